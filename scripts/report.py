"""`liqtiers report`: a run's HTML report, written anew."""

from __future__ import annotations

from typing import Annotated

import typer

from liqtiers.reports.backtest_report import write_report
from liqtiers.reports.run_record import find_run
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import workspace


def run(
    name: Annotated[str, typer.Argument(help="A run's folder or id, or latest.")] = "latest",
) -> None:
    """Write the report of a run as one HTML file.

    Example: liqtiers report latest
    """
    typer.echo(write_report(find_run(workspace(), name)))


if __name__ == "__main__":
    run_verb(run, name="report")
