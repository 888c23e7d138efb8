"""`liqtiers report`: a run's or a study's page written anew, found by whatever name the user has."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build
from made_up_runs import write_made_up_run
from made_up_studies import write_made_up_study


def report(*words: str) -> int:
    return run(build(), ["report", *words], program="liqtiers")


@pytest.mark.parametrize("by", ["nothing", "latest", "id", "folder"])
def test_report_is_written_and_its_path_printed(
    workspace: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    """Without a name it is the latest run; the only output is where the page is."""
    folder = write_made_up_run(workspace)
    words = {"nothing": (), "latest": ("latest",), "id": (folder.name,), "folder": (str(folder),)}
    assert report(*words[by]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_report_again_replaces_the_page(workspace: Path) -> None:
    """A page that was damaged is whole again."""
    folder = write_made_up_run(workspace)
    (folder / "report.html").write_text("damaged")
    assert report(folder.name) == 0
    assert "damaged" not in (folder / "report.html").read_text()


@pytest.mark.parametrize("name", ["latest", "20200101-000000-abcdef", "../..", ""])
def test_unknown_run_is_one_line_and_exit_code_2(
    workspace: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The user's mistake is told in one line that names what was looked for."""
    assert report(name) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert f"there is no run {name!r}" in told.err


def test_damaged_run_is_one_line_and_exit_code_2(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run whose trades are gone is refused by name, without a traceback."""
    folder = write_made_up_run(workspace)
    (folder / "trades.parquet").unlink()
    assert report(folder.name) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{folder.name} is not a whole run" in told


def test_a_studys_report_is_written_from_its_files(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the study's name, without its storage or the lake; the run's files stay as they were."""
    folder = write_made_up_study(workspace, trials=1)
    (folder / "journal.log").unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert report("night") == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    page = (folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "liqtiers report night" in page
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after == {**before, "report.html": page.encode()}


def test_an_unknown_name_is_told_with_the_studies(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who mistypes a study's name reads those that there are, one whose holdout is closed among them."""
    folder = workspace / "studies" / "night"
    folder.mkdir(parents=True)
    (folder / "journal.log").write_text("")
    assert report("nihgt") == 2
    assert capsys.readouterr().err.endswith("; the studies are: night\n")
    assert report("night") == 2
    assert "the holdout of night was not opened yet" in capsys.readouterr().err
