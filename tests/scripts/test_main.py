"""The command `liqtiers`: its verbs, its global options and how it fails."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata

import pytest
import typer

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.scripts import _terminal
from liqtiers.scripts.main import DATA_VERBS, VERBS, Verb, build

HEAVY = ("backtrader", "bokeh", "duckdb", "numba", "numpy", "pandas", "pyarrow", "scipy")


def run(*words: str) -> int:
    return _terminal.run(build(), words, program="liqtiers")


def run_function(function: Callable[[], None], *words: str) -> int:
    return _terminal.run(_terminal.command_of(function, name="verb"), words, program="liqtiers")


def raising(error: BaseException) -> Callable[[], None]:
    def verb() -> None:
        raise error

    return verb


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` lists the verbs with what they are for, and an example."""
    assert run("--help") == 0
    told = capsys.readouterr().out
    for name, verb in VERBS.items():
        assert f"{name} " in told
        assert verb.summary in told
    assert "Example: liqtiers demo" in told


def test_data_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """`data --help` lists its verbs."""
    assert run("data", "--help") == 0
    told = capsys.readouterr().out
    assert all(f"{name} " in told for name in DATA_VERBS)
    assert all(verb.summary in told for verb in DATA_VERBS.values())


@pytest.mark.parametrize(
    "verb", [*DATA_VERBS.values(), *VERBS.values()], ids=lambda verb: verb.module
)
def test_summary_is_the_verbs_own(verb: Verb) -> None:
    """What the list says of a verb is the first line of what the verb says of itself."""
    module = importlib.import_module(f"liqtiers.scripts.{verb.module}")
    own = inspect.getdoc(getattr(module, verb.function))
    assert own is not None
    assert own.splitlines()[0] == verb.summary


@pytest.mark.parametrize(
    "words",
    [*(("data", name) for name in DATA_VERBS), *((name,) for name in VERBS)],
    ids=" ".join,
)
def test_each_verb_helps_with_an_example(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """`--help` of every verb is enough to use it: it shows a whole command line."""
    assert run(*words, "--help") == 0
    assert f"liqtiers {' '.join(words)}" in " ".join(capsys.readouterr().out.split())


def test_help_loads_nothing_heavy() -> None:
    """`liqtiers --help` answers at once: no numeric library is imported for it."""
    code = (
        "import sys\n"
        "from liqtiers.scripts.main import build\n"
        "from liqtiers.scripts._terminal import run\n"
        "run(build(), ['--help'], program='liqtiers')\n"
        f"print('LOADED', sorted(set({HEAVY}) & set(sys.modules)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "LOADED []"


def test_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` tells the version that was installed."""
    assert run("--version") == 0
    assert capsys.readouterr().out == f"liqtiers {metadata.version('liqtiers')}\n"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["bactest"], ["'bactest'", "'backtest'", "liqtiers --help"]),
        (["data", "descibe"], ["'descibe'", "'describe'", "liqtiers data --help"]),
        (["--versoin"], ["--versoin", "--version"]),
        (["data", "describe", "--colums"], ["--colums", "--columns", "data describe --help"]),
        (["data", "describe", "surplus"], ["surplus"]),
    ],
    ids=["verb", "data verb", "option", "option of a verb", "argument"],
)
def test_wrong_word_gets_one_line_with_a_way_out(
    words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped verb or option exits with 2 and one line that says what would be right."""
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("liqtiers: ")
    assert all(part in err for part in parts)


@pytest.mark.parametrize("words", [[], ["data"]], ids=["alone", "data"])
def test_no_verb_shows_the_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a verb the help is shown, as a mistake."""
    assert run(*words) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("row 3: no price"), 2, "liqtiers: row 3: no price"),
        (LakeError("the lake\nis locked"), 1, "liqtiers: the lake is locked"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "liqtiers: /x/y: Permission denied"),
        (KeyError("k"), 1, "liqtiers: unexpected KeyError: 'k' (add --debug to see where)"),
        (AssertionError(), 1, "liqtiers: unexpected AssertionError (add --debug to see where)"),
        (KeyboardInterrupt(), 130, "liqtiers: interrupted"),
        (typer.Abort(), 130, "liqtiers: interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_failure_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 is the user's mistake, 1 a failure, 130 an interruption; never a traceback."""
    assert run_function(raising(error)) == code
    assert capsys.readouterr().err.strip() == line


def test_debug_shows_the_traceback_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """`--debug` may come last, and then the traceback comes before the line."""
    assert run_function(raising(InputError("row 3")), "--debug") == 2
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert "in verb" in told
    assert told.endswith("liqtiers: row 3\n")


def test_debug_after_two_dashes_is_a_plain_word(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands after `--` belongs to the verb."""
    assert run("data", "describe", "--", "--debug") == 2
    assert "--debug" in capsys.readouterr().err


def test_success_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """A verb that returns has succeeded, and nothing is added to what it said."""
    assert run_function(lambda: typer.echo("done")) == 0
    assert capsys.readouterr() == ("done\n", "")
