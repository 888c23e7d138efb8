"""The command ``liqtiers``: its verbs, global options, and nothing of what they do.

A verb's module is imported only when the verb is used, so that ``liqtiers --help`` does not wait
for numba, backtrader and bokeh. The one-line summaries therefore stand here; a test holds them
equal to the verbs' own docstrings.
"""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import Annotated, Any, Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup

from liqtiers.scripts._terminal import DEBUG, command_of, run

PROGRAM: Final = "liqtiers"


class Verb(NamedTuple):
    """Where a verb's function stands, and what `--help` says of it."""

    module: str
    function: str
    summary: str


DATA_VERBS: Final = {
    "import": Verb("data_import", "run", "Read files of exchanges and vendors into the lake."),
    "fetch": Verb("data_fetch", "run", "Fetch data of exchanges and vendors into the lake."),
    "check": Verb("data_check", "run", "Check what the lake holds for faults."),
    "repair": Verb("data_repair", "run", "Repair the lake's files, or set them aside."),
    "describe": Verb("data_describe", "run", "Show what the lake holds."),
}
VERBS: Final = {
    "map": Verb("map", "run", "Build the liquidation map of an instrument."),
    "backtest": Verb(
        "backtest", "run", "Trade the breakout into the map's tiers, after all costs."
    ),
    "tune": Verb("tune", "run", "Tune overnight, and test the winner on bars never read."),
    "evidence": Verb(
        "evidence", "run", "Judge whether the map predicted moves, and write it as one page."
    ),
    "report": Verb("report", "run", "Write the report of a run or study as one HTML file."),
    "audit": Verb("audit", "run", "Find out whether a strategy or a feature looks ahead."),
    "demo": Verb("demo", "run", "Run the main job on a simulated market."),
}


class LazyCommand(TyperCommand):
    """A verb that is known by name and summary until it is used."""

    def __init__(self, name: str, verb: Verb) -> None:
        super().__init__(name=name, help=verb.summary, rich_markup_mode=None)
        self._verb = verb

    def make_context(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  # typer's types are private
        """Import the verb and let its own command take over."""
        module = importlib.import_module(f"liqtiers.scripts.{self._verb.module}")
        command = command_of(getattr(module, self._verb.function), name=self.name or "")
        return command.make_context(*args, **options)


def build() -> TyperGroup:
    """Return the whole command tree."""
    root, data = _group(_root, PROGRAM), _group(_data, "data")
    for name, verb in DATA_VERBS.items():
        data.add_command(LazyCommand(name, verb), name)
    root.add_command(data, "data")
    for name, verb in VERBS.items():
        root.add_command(LazyCommand(name, verb), name)
    return root


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(build(), sys.argv[1:], program=PROGRAM))


def _group(callback: Any, name: str) -> TyperGroup:  # noqa: ANN401  # any function of options
    app = typer.Typer(name=name, add_completion=False, rich_markup_mode=None)
    app.callback(invoke_without_command=True)(callback)
    return cast("TyperGroup", typer.main.get_command(app))


def _help_without_verb(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {metadata.version(PROGRAM)}")
        raise typer.Exit


def _root(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  # its callback has answered already
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[  # noqa: ARG001  # taken out by `run`, which also finds it after the verb
        bool, typer.Option(DEBUG, help="Show a traceback when something fails.")
    ] = False,
) -> None:
    """Test whether liquidation-map imbalances ever predicted moves, after costs.

    What runs produce goes to the folder named by LIQTIERS_HOME, else ./liqtiers-data. The lake is in
    there, too, or where LIQTIERS_LAKE says: another folder, or s3://bucket/lake.

    Example: liqtiers demo
    """
    _help_without_verb(context)


def _data(context: typer.Context) -> None:
    """Fill the lake and look at it."""
    _help_without_verb(context)


if __name__ == "__main__":
    main()
