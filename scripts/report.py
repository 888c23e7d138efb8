"""`liqtiers report`: a run's HTML report, written anew."""

from __future__ import annotations

from typing import Annotated

import typer

from liqtiers.reports.backtest_report import write_report
from liqtiers.reports.evidence.record import find_evidence
from liqtiers.reports.evidence_page import write_evidence_page
from liqtiers.reports.run_record import find_run
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import workspace


def run(
    name: Annotated[
        str, typer.Argument(help="A run's folder or id, latest, or a study of evidence's.")
    ] = "latest",
) -> None:
    """Write the report of a run as one HTML file.

    Example: liqtiers report latest
    """
    evidence = find_evidence(workspace(), name)
    if evidence is not None:
        typer.echo(write_evidence_page(evidence))
        return
    typer.echo(write_report(find_run(workspace(), name)))


if __name__ == "__main__":
    run_verb(run, name="report")
