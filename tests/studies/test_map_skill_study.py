"""The skill study says what it cannot measure instead of failing."""

import json
import subprocess
import sys
from pathlib import Path


def test_missing_files_give_nulls_and_a_reason(project: Path, tmp_path: Path) -> None:
    """An empty folder: one line a window that names the files, and nulls under the agreed keys."""
    study = project / "tests" / "studies" / "map_skill.py"
    run = subprocess.run(
        [sys.executable, study, "--data", tmp_path, "--symbol", "ETH"],
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, last = run.stdout.splitlines()
    found = json.loads(last)
    assert [line.split(":")[0] for line in lines] == ["w4", "hourly_bars", "hourly", "w2"]
    assert all("left out" in line and "ETH" in line for line in lines)
    for prefix in ("", "hourly_", "hourly_bars_", "w2_"):
        for key in ("partial_short", "partial_long", "rank_short", "naive_rank_long", "days"):
            assert found[prefix + key] is None
