"""Where runs keep what they produce."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.scripts._workspace import workspace


def test_the_workspace_is_the_folder_named_or_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LIQTIERS_HOME where it is set, whether it exists or not; else liqtiers-data."""
    monkeypatch.setenv("LIQTIERS_HOME", "elsewhere/data")
    assert workspace() == Path("elsewhere/data")
    monkeypatch.setenv("LIQTIERS_HOME", "")
    assert workspace() == Path("liqtiers-data")


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_is_no_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    """Neither the folder itself nor one above it may be a file: one line says which."""
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    monkeypatch.setenv("LIQTIERS_HOME", str(file / below))
    with pytest.raises(InputError, match=r"notes\.txt is a file: set LIQTIERS_HOME to a folder"):
        workspace()
