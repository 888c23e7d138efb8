"""`liqtiers audit`: the verdict first, an exit code of its own for a finding, one line for mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqtiers.scripts import audit
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build

LEAKY = """
def middle(frame):
    return frame.close.rolling(5, center=True).mean()


def fair(frame, window=5):
    return frame.close.rolling(window).mean()
"""
SMALL = ("--simulated", "--cuts", "4", "--bars", "200")


@pytest.fixture
def feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's file, on a market of one day."""
    monkeypatch.setattr(audit, "_SIMULATED_DAYS", 1)
    path = tmp_path / "mine.py"
    path.write_text(LEAKY)
    return path


def audited(*words: object) -> int:
    return run(build(), ["audit", *map(str, words)], program="liqtiers")


def test_finding_is_said_first_and_has_its_own_exit_code(
    feature: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line, place, bar and time in the first sentence, then the table; exit code 3."""
    assert audited(f"{feature}:middle", *SMALL) == audit.LOOKS_AHEAD == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("mine.py:middle looks ahead: middle (mine.py:2) changes at bar ")
    assert "What changed, and where first" in shown
    assert "UTC on are taken away." in shown
    assert "A leak that" not in shown


def test_fair_feature_passes_and_says_how_sure_that_is(
    feature: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0, what was compared, the warm-up with the user's parameter, and the power."""
    assert audited(f"{feature}:fair", *SMALL, "--param", "window=8") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith(
        "No look-ahead found in mine.py:fair: with the future cut off at 4 places"
    )
    assert "Warm-up: after 7 bars of history" in shown
    assert "A leak that is at work at one bar in" in shown
    assert "parameters and tables that were chosen or made by hindsight" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing",), "'nothing' names nothing to audit: write FILE.py:Name"),
        (("nowhere.py:Any",), "nowhere.py: there is no such file"),
        (("{}:fair",), "--venue and --symbol say which bars to use; or use --simulated"),
        (("{}:fair", "--simulated", "--param", "window"), "--param 'window' is no name=value"),
        (("{}:fair", "--start", "soon", "--simulated"), "--start 'soon' is no date"),
        (("ours", "--venue", "own", "--symbol", "COIN"), "has no bars of own:COIN"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    feature: Path,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    """Each names the option or the file; a mistake is never taken for a finding."""
    assert audited(*(word.format(feature) for word in words)) == 2
    told = capsys.readouterr()
    assert message in told.err.splitlines()[-1]
    assert told.out == ""


def test_a_name_that_is_an_emoji_elsewhere_is_shown_as_typed(
    feature: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class called Ok comes between two colons, where a console may see a picture."""
    feature.write_text("def ok(frame):\n    return frame.close.rolling(3).mean()\n")
    assert audited(f"{feature}:ok", *SMALL) == 0
    assert "No look-ahead found in mine.py:ok: with" in " ".join(capsys.readouterr().out.split())
