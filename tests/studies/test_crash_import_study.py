"""The study of crashed imports in small: some kills, and proof that it would see what it looks for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq

from liqtiers.datasets.lake import Lake

STUDY = "crash_import"


def test_kills_and_full_disks_lose_nothing(project: Path) -> None:
    """A few of each: nothing lost, twice, wrong or unreadable."""
    script = project / "tests" / "studies" / "crash_import.py"
    run = subprocess.run(
        [sys.executable, script, "--kills", "5", "--full-disks", "2", "--seed", "4"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["kills"] == 5
    assert found["ended"]["killed"] >= 5
    assert [found[name] for name in ("lost", "duplicated", "wrong", "unreadable")] == [0] * 4


def test_the_study_sees_what_it_looks_for(study: ModuleType, tmp_path: Path) -> None:
    """A month taken away is lost, one written twice is twice, half a file cannot be read."""
    (tmp_path / "files").mkdir()
    lake = Lake(tmp_path / "lake")
    for number in range(3):
        study.import_number(tmp_path, lake, number)
    assert study.last_noted(tmp_path) == 3
    assert not any(study.judged(tmp_path, 3).values())
    month = min(lake.root.glob("bars/**/*.parquet"))
    whole = month.read_bytes()
    rows = pq.read_table(month, partitioning=None)
    month.unlink()
    assert study.judged(tmp_path, 3)["lost"] >= rows.num_rows
    pq.write_table(rows.take([0, 0, *range(1, rows.num_rows)]), month)
    assert study.judged(tmp_path, 3)["duplicated"] == 1
    month.write_bytes(whole[: len(whole) // 2])
    assert study.judged(tmp_path, 3)["unreadable"] == 1
