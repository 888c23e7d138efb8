"""`liqtiers report`: a run's or a study's page written anew, found by whatever name the user has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liqtiers.reports.tuning_words import winning_command
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build
from made_up_runs import write_made_up_run
from made_up_studies import change_outcome, write_made_up_study


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


@pytest.mark.parametrize("holds", ["no folder", "nothing", "a study"])
def test_without_runs_the_index_is_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], holds: str
) -> None:
    """It is written and printed; empty it says what to run first, and it lists what there is but runs."""
    folder = tmp_path / "deep" / "data"
    monkeypatch.setenv("LIQTIERS_HOME", str(folder))
    if holds != "no folder":
        folder.mkdir(parents=True)
    if holds == "a study":
        write_made_up_study(folder, trials=1)
    assert report() == 0
    told = capsys.readouterr()
    assert told.out == f"{folder / 'index.html'}\n"
    assert told.err.startswith(f"note: there is no run in {folder} yet: liqtiers demo makes one")
    page = (folder / "index.html").read_text()
    assert ("<code>liqtiers demo</code> first" in page) == (holds != "a study")
    assert ("night" in page) == (holds == "a study")


@pytest.mark.parametrize(
    "words", [("latest",), ("--tear-sheet", "x.html"), ("--compare", "a", "b")]
)
def test_a_mistake_leaves_the_index_up_to_date(workspace: Path, words: tuple[str, ...]) -> None:
    """Who named what there is not finds there what there is."""
    (workspace / "index.html").write_text("of yesterday")
    assert report(*words) == 2
    assert "Nothing here yet" in (workspace / "index.html").read_text()


def test_a_mistake_makes_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is wrong since the workspace is another leaves no folder behind."""
    monkeypatch.setenv("LIQTIERS_HOME", str(tmp_path / "mistyped"))
    assert report("20200101-000000-abcdef") == 2
    assert not (tmp_path / "mistyped").exists()


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


def test_runs_are_put_side_by_side(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named by id or latest; the page's path is printed and the index knows it."""
    folders = [write_made_up_run(workspace, seed=seed) for seed in (1, 2)]
    latest = max(folder.name for folder in folders)
    other = next(folder.name for folder in folders if folder.name != latest)
    assert report("--compare", other, "latest") == 0
    page = Path(capsys.readouterr().out.strip())
    assert page.parent.parent == workspace / "comparisons"
    text = page.read_text()
    assert all(folder.name in text for folder in folders)
    assert page.relative_to(workspace).as_posix() in (workspace / "index.html").read_text()


def test_a_study_is_compared_by_its_winners_run(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest run that was made by the study's own command stands for it, and that is said."""
    folder = write_made_up_study(workspace, trials=1)
    command = winning_command(json.loads((folder / "outcome.json").read_text()))
    runs = [write_made_up_run(workspace, seed=seed) for seed in (1, 2, 3)]
    for run_folder in runs[:2]:
        about = json.loads((run_folder / "run.json").read_text())
        (run_folder / "run.json").write_text(json.dumps({**about, "command": command}))
    (workspace / "runs" / "99999999-torn").mkdir()
    (workspace / "runs" / "99999999-torn" / "run.json").write_text("{")
    winners = max(runs[:2]).name
    assert report("--compare", "night", runs[2].name) == 0
    told = capsys.readouterr()
    assert told.err == f"note: of the study night its winner's run {winners} is compared\n"
    about = json.loads((Path(told.out.strip()).parent / "comparison.json").read_text())
    assert [run["id"] for run in about["runs"]] == [winners, runs[2].name]


def test_a_study_whose_winner_was_not_run_is_told_how_to(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the command that would make the run; nothing is written; exit code 2."""
    folder = write_made_up_study(workspace, trials=1)
    latest = write_made_up_run(workspace)
    command = winning_command(json.loads((folder / "outcome.json").read_text()))
    assert report("--compare", latest.name, "night") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "liqtiers: --compare takes runs, and night is a study whose winner was not run yet: run it first "
        f"by {command}\n"
    )
    assert not (workspace / "comparisons").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda o: o["session"].clear(), " with --venue, --symbol and the rest\n"),
        (
            lambda o: o["winner"].update(map="wide"),
            "winner's map, wide, liqtiers backtest does not",
        ),
        (lambda o: o.pop("winner"), "the study's record lacks something or was changed"),
    ],
    ids=["no series", "another map", "damaged"],
)
def test_a_study_that_no_run_can_stand_for_is_one_line(
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], object],
    told: str,
) -> None:
    """What is missing is named; exit code 2."""
    change_outcome(write_made_up_study(workspace, trials=1), change)
    assert report("--compare", "night", "latest") == 2
    errors = capsys.readouterr().err
    assert told in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "file", "told"),
    [
        ("studies", "journal.log", "night is a study that has no winner yet, since its holdout is closed"),
        ("evidence", "evidence.json", "night is a study of evidence, which trades nothing"),
    ],
)  # fmt: skip
def test_a_study_without_a_winner_is_not_compared(
    workspace: Path, capsys: pytest.CaptureFixture[str], kind: str, file: str, told: str
) -> None:
    """A study whose holdout is closed, and one of evidence, are told what they are; exit code 2."""
    (workspace / kind / "night").mkdir(parents=True)
    (workspace / kind / "night" / file).write_text("{}")
    assert report("--compare", "night", "latest") == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"liqtiers: --compare takes runs, and {told}")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--compare",), "--compare needs two runs or more, each once; given: none"),
        (("--compare", "latest"), "--compare needs two runs or more"),
        (("--compare", "latest", "nowhere"), "there is no run 'nowhere'"),
        (("--compare", "latest", "latest", "--tear-sheet", "x"), "--tear-sheet is of one run"),
        (("--tear-sheet", "nowhere/x.html"), "there is no folder nowhere"),
        (("--tear-sheet", "x.html"), "returns of 6 days: a tear sheet needs 30"),
    ],
)
def test_what_cannot_be_compared_or_drawn_is_one_line(
    workspace: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    """The option, what is wrong with it and what would be right; exit code 2."""
    write_made_up_run(workspace)
    assert report(*words) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_a_tear_sheet_is_one_file_without_a_network(workspace: Path, tmp_path: Path) -> None:
    """quantstats' page of the run's daily returns: its title, and no remote element left."""
    pytest.importorskip("quantstats", reason="quantstats is not installed")
    folder = write_made_up_run(workspace, bars=12_000, trades=9)
    sheet = tmp_path / "sheet.html"
    assert report(folder.name, "--tear-sheet", str(sheet)) == 0
    text = sheet.read_text()
    assert folder.name in text
    assert "favicon" not in text
    assert not re.search(r"<(link|script|img)[^>]*https?://", text)


def test_a_run_of_the_version_before_is_still_shown(workspace: Path) -> None:
    """Without daily returns and what came with them the page leaves those parts out."""
    folder = write_made_up_run(workspace)
    about = json.loads((folder / "run.json").read_text())
    about["schema"] = 1
    for name in ("by_group", "random_entry", "returns", "months", "drawdowns"):
        del about["summary"][name]
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "daily.parquet").unlink()
    assert report(folder.name) == 0
    page = (folder / "report.html").read_text()
    assert 'id="trades"' in page
    assert 'id="months"' not in page
