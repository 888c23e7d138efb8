"""`liqtiers report`: the HTML report of a run or of a study, written anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liqtiers.datasets.errors import InputError
from liqtiers.reports.backtest_report import write_report
from liqtiers.reports.evidence.record import find_evidence, known_evidence
from liqtiers.reports.evidence_page import write_evidence_page
from liqtiers.reports.run_record import find_run
from liqtiers.reports.tuning_record import find_study, known_studies
from liqtiers.reports.tuning_report import write_tuning_report
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import workspace


def run(
    name: Annotated[
        str,
        typer.Argument(help="A run's folder or id, latest, or a name, id or folder of a study."),
    ] = "latest",
) -> None:
    """Write the report of a run or study as one HTML file.

    Nothing is run again: the page is made of what was written down.

    Example: liqtiers report latest
    """
    folder = workspace()
    if (evidence := find_evidence(folder, name)) is not None:
        typer.echo(write_evidence_page(evidence))
    elif (study := find_study(folder, name)) is not None:
        typer.echo(write_tuning_report(study))
    else:
        typer.echo(write_report(_run_of(name)))


def _run_of(name: str) -> Path:
    try:
        return find_run(workspace(), name)
    except InputError as error:
        studies = [*known_studies(workspace()), *known_evidence(workspace())]
        if not studies:
            raise
        raise InputError(f"{error}; the studies are: {', '.join(studies)}") from None


if __name__ == "__main__":
    run_verb(run, name="report")
