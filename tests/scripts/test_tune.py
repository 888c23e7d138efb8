"""`liqtiers tune`: from an evening's command to a morning's verdict, and every way to get it wrong."""

from __future__ import annotations

import html
import json
import os
import shlex
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import tuning_worlds

from liqtiers.datasets.errors import LakeError
from liqtiers.datasets.map_features import MapFeatures
from liqtiers.datasets.panel import Panel
from liqtiers.scripts import tune
from liqtiers.scripts._terminal import run
from liqtiers.scripts._tune_words import ProgressLine, progress_text
from liqtiers.scripts.main import build
from liqtiers.strategies.tuning import Progress

SERIES = ("--venue", "own", "--symbol", "DATA", "--timeframe", "1h")
SMALL = (
    *("--folds", "3", "--min-trades", "4", "--fix", "side=both", "--fix", "min_imbalance=0.1"),
    *("--range", "max_hold=12:24", "--range", "atr_bars=12:24", "--range", "thrust_bars=2:12"),
    *("--range", "min_thrust=0:1", "--fix", "max_distance=0.1", "--pruner", "none"),
)


@pytest.fixture
def lake(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose lake holds an hourly market and its map."""
    panel = tuning_worlds.hourly_panel(200 * 24)

    def features(_: object, bars: Panel, *__: object, **___: object) -> MapFeatures:
        return tuning_worlds.tiers_overhead(panel).slice(0, len(bars))

    monkeypatch.setattr(tune.options, "panel_of", lambda *_, **__: panel)
    monkeypatch.setattr(tune, "_features", features)
    return workspace


def tuned(*words: str, name: str = "small", series: tuple[str, ...] = SERIES) -> int:
    given = ["tune", name, *series, *SMALL, "--workers", "1", *words]
    return run(build(), given, program="liqtiers")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_an_evening_and_a_morning(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict comes first, then what it rests on and the command that runs the winner again; the
    same command says the same once more, without a trial.
    """
    assert tuned("--trials", "4") == 0
    out = told(capsys)
    assert out.startswith(("Evidence of an edge: ", "No evidence of an edge: ", "No edge found: "))
    outcome = json.loads((lake / "studies" / "small" / "outcome.json").read_text())
    assert outcome["search"]["trials"] == 4
    assert outcome["verdict"]["sentence"] in out
    assert f"outcome: {lake / 'studies' / 'small' / 'outcome.json'}" in out
    page = lake / "studies" / "small" / "report.html"
    assert f"report:  {page}\n" in out
    assert html.escape(outcome["verdict"]["sentence"]) in page.read_text()
    (again,) = [line for line in out.splitlines() if line.startswith("again:")]
    words = shlex.split(again.removeprefix("again:"))
    assert words[:2] == ["liqtiers", "backtest"]
    values = dict(zip(words[2::2], words[3::2], strict=True))
    assert values["--venue"] == "own"
    assert outcome["session"]["seed"] == 1
    assert words[2:].count("--no-calibrate") == 0
    parameters = {row["name"]: row["value"] for row in outcome["winner"]["parameters"]}
    assert values["--side"] == "both"
    assert float(values.get("--stop-atr", "2")) == parameters["stop_atr"]
    assert tuned("--trials", "4") == 0
    assert told(capsys) == out


def test_the_verdict_outlives_a_page_that_cannot_be_written(
    lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk is full the answer is told all the same, and the failure after it."""

    def full(_: Path) -> Path:
        raise LakeError("cannot write report.html: No space left on device")

    monkeypatch.setattr(tune, "write_tuning_report", full)
    assert tuned("--trials", "2") == 1
    printed = capsys.readouterr()
    assert " days that tuning never saw " in printed.out
    assert printed.err.endswith("cannot write report.html: No space left on device\n")


def test_keeping_the_holdout_closed(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --keep-holdout nothing is opened, and more trials may follow; afterwards they may not."""
    assert tuned("--trials", "2", "--keep-holdout") == 0
    assert "2 trials are safe. The same command goes on." in told(capsys)
    assert not (lake / "studies" / "small" / "outcome.json").exists()
    assert tuned("--trials", "3") == 0
    assert tuned("--trials", "5") == 2
    assert "the holdout of small was opened on" in capsys.readouterr().err


def test_an_interruption_is_clean(
    lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM ends the run after the trial at hand, keeps the holdout closed, and says how to go on."""
    before = signal.getsignal(signal.SIGTERM)
    plain = tune.run_night

    def interrupted(*given: Any, **more: Any) -> Progress:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return plain(*given, **more)

    monkeypatch.setattr(tune, "run_night", interrupted)
    assert tuned("--hours", "1") == 130
    assert "trials are safe. The same command goes on." in told(capsys)
    assert not (lake / "studies" / "small" / "outcome.json").exists()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say when to stop: --until 07:00, --hours 8 or --trials 5000"),
        (("--until", "7am"), "--until '7am' is no time of day"),
        (("--hours", "inf"), "Invalid value for '--hours'"),
        (("--trials", "2", "--cash", "nan"), "--cash is nan, it must be above 0"),
        (("--trials", "2", "--cash", "0"), "--cash is 0, it must be above 0"),
        (("--trials", "2", "--sampler", "grid"), "there is no sampler 'grid'"),
        (("--trials", "2", "--pruner", "axe"), "there is no pruner 'axe'"),
        (("--trials", "2", "--range", "stop_atr=1"), "--range stop_atr=1 must be LOW:HIGH"),
        (("--trials", "2", "--range", "stop_atr"), "--range 'stop_atr' must be NAME=VALUE"),
        (("--trials", "2", "--fix", "stop_art=1"), "did you mean stop_atr"),
        (("--trials", "2", "--fix", "side=longs"), "--fix names side twice"),
        (("--trials", "2", "--map-values", "colour=1,2"), "--map-values colour: it must be one of"),
        (("--trials", "2", "--map-values", "churn=a,b"), "churn has 'a', which is no number"),
        (("--trials", "2", "--goal", "profit"), "goal is 'profit'"),
        (("--trials", "2", "--holdout", "0.9"), "the holdout is 0.9"),
        (("--trials", "2", "--folds", "90"), "take more bars or fewer folds"),
    ],
)
def test_mistakes_are_one_line(
    lake: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """Each mistake is one line that names the option, with exit code 2."""
    assert tuned(*words) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len([line for line in errors.splitlines() if line.startswith("liqtiers:")]) == 1


def test_a_password_reaches_no_record(
    lake: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The database's password is in none of the files that a study leaves."""
    address = f"sqlite:///{tmp_path / 'shared.db'}"
    monkeypatch.setattr("sys.argv", ["liqtiers", "tune", "--storage", "db://me:secret@host/x"])
    # Without a seed of its own it would be that of this machine and folder.
    assert tuned("--trials", "2", "--storage", address, "--seed", "1") == 0
    folder = lake / "studies" / "small"
    assert "db://me@host/x" in (folder / "outcome.json").read_text()
    assert all(b"secret" not in path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_a_bad_name_is_refused(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that leads out of the studies' folder is none."""
    assert tuned("--trials", "2", name="../x") == 2
    assert "the study's name is '../x'" in capsys.readouterr().err


def test_maps_are_named_by_what_differs() -> None:
    """Two lists make every combination, each named by its values; without lists it is the default map."""
    grid = tune._map_grid(["churn=0.02,0.05", "tier_density=2,3"], None)
    assert list(grid) == [
        "churn=0.02 tier_density=2",
        "churn=0.02 tier_density=3",
        "churn=0.05 tier_density=2",
        "churn=0.05 tier_density=3",
    ]
    assert grid["churn=0.05 tier_density=2"].churn == 0.05
    assert list(tune._map_grid(None, None)) == ["default"]


def test_deadline_is_the_next_such_hour() -> None:
    """A time of day that has passed is tomorrow's; of two goals the earlier one counts."""
    present = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
    until = tune._deadline("07:00", None, present)
    assert until is not None
    local = until.astimezone()
    assert (local.hour, local.minute) == (7, 0)
    assert 0.0 < (until - present).total_seconds() <= 86_400.0
    both = tune._deadline("07:00", 0.001, present)
    assert both is not None
    assert (both - present).total_seconds() == pytest.approx(3.6)
    assert tune._deadline(None, None, present) is None


def test_progress_says_how_far_it_is() -> None:
    """Done, pruned, failed, best, trials a second, restarts and time left, in that order."""
    progress = Progress(done=1234, pruned=56, failed=7, best=1.23456, rate=12.34, deaths=1)
    assert progress_text(progress, 3725.0) == (
        "1,234 trials · 56 pruned · 7 failed · best 1.235 · 12.3 a second · 1 workers restarted · "
        "1:02:05 left"
    )
    assert progress_text(Progress(), None) == "0 trials · 0 pruned · no winner yet · 0.0 a second"


def test_progress_to_a_file_is_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody watches, a line a minute is written instead of one that is written over."""
    moments = iter(
        datetime(2026, 1, 1, 0, minute, second, tzinfo=UTC)
        for minute, second in ((0, 0), (0, 30), (1, 1))
    )
    line = ProgressLine(deadline=None, trials=100, clock=lambda: next(moments))
    for done in (1, 2, 3):
        line.show(Progress(done=done, rate=1.0))
    line.end()
    assert [text.split()[0] for text in capsys.readouterr().err.splitlines()] == ["1", "3"]
