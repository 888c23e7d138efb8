"""The study of scale in small."""

from __future__ import annotations

from types import ModuleType

STUDY = "lake_scale"


def test_all_rows_are_written_loaded_and_checked(study: ModuleType) -> None:
    """Two symbols over a year: every row is counted, and each stage has its peak of memory."""
    found = study.measured(2, 1, 3)
    assert found["rows"] == 2 * 366 * 1_440
    for stage in ("write", "load", "check"):
        first, last = found[f"{stage}_peak_mb"]
        assert 0 < first <= last
