"""What README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_the_script_in_readme_runs(project: Path, tmp_path: Path) -> None:
    """Copied out and run from an empty folder, it prints trades and the final equity."""
    (script,) = re.findall(r"```python\n(.*?)```", (project / "README.md").read_text(), re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "exit_reason" in run.stdout
    assert re.search(r"final equity [\d,]+\.\d\d", run.stdout)


def test_the_commands_in_readme_run(project: Path, real_data: Path, workspace: Path) -> None:
    """The main job on real data by the commands that README gives, but those at 5 minutes, of runs, and those
    that audit a file of the reader's own, which other tests run.
    """
    text = (project / "README.md").read_text()
    blocks = [line for line in text.replace("\\\n", " ").splitlines() if line.startswith("    ")]
    commands = [c.strip() for c in blocks if c.strip().startswith("liqtiers ")]
    left_out = {"5m", "RUN", "fetch"}  # no network here
    wanted = [c for c in commands if not left_out & set(c.split()) and "audit my_" not in c]
    assert sum(c.startswith("liqtiers data import") for c in wanted) == 3
    for command in wanted:
        arguments = command.replace("$D", str(real_data)).split()[1:]
        run = subprocess.run(
            [sys.executable, "-m", "liqtiers.scripts.main", *arguments],
            cwd=workspace,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"{command}: {run.stderr}"
    assert list(workspace.glob("**/report.html"))
