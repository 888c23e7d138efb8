"""`liqtiers report`: pages written anew from what was recorded, runs side by side, a tear sheet."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from liqtiers.datasets.errors import InputError
from liqtiers.reports.backtest_report import write_report
from liqtiers.reports.comparison_page import write_comparison
from liqtiers.reports.evidence.record import find_evidence, known_evidence
from liqtiers.reports.evidence_page import write_evidence_page
from liqtiers.reports.run_record import find_run, known_runs, read_run
from liqtiers.reports.tear_sheet import write_tear_sheet
from liqtiers.reports.tuning_record import find_study, known_studies
from liqtiers.reports.tuning_report import write_tuning_report
from liqtiers.reports.winners_run import find_winners_run
from liqtiers.reports.workspace_index import write_index
from liqtiers.scripts._options import check_target
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import now, refresh_index, workspace

Names = Annotated[
    list[str] | None,
    typer.Argument(
        help="A run's folder or id, latest (as without a name), or a name, id or folder of a study.",
        metavar="[NAME]...",
    ),
]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Put the runs that are named side by side on one page; of a study of tuning its winner's run.",
    ),
]
TearSheet = Annotated[
    Path | None,
    typer.Option(help="Write the run's daily returns as a quantstats tear sheet here, too."),
]


def run(names: Names = None, *, compare: Compare = False, tear_sheet: TearSheet = None) -> None:
    """Write the report of a run or study as one HTML file.

    Nothing is run again: the page is made of what was written down. The workspace's index.html, with all
    results, is brought up to date too; where there is no run yet it is the page that is written.

    Example: liqtiers report --compare latest 20260114-080000-1a2b3c
    """
    if not (names or compare or tear_sheet or known_runs(workspace())):
        _write_index_alone()
        return
    try:
        if compare:
            _write_comparison(names or (), tear_sheet)
        else:
            for name in names or ["latest"]:
                _write(name, tear_sheet)
    finally:
        # After a name that was wrong too: who is lost looks there. No folder is made for a mistake.
        if workspace().is_dir():
            refresh_index()


def _write_index_alone() -> None:
    folder = workspace()
    folder.mkdir(parents=True, exist_ok=True)
    typer.echo(write_index(folder))
    typer.echo(
        f"note: there is no run in {folder} yet: liqtiers demo makes one on a simulated market, liqtiers "
        "backtest on your data",
        err=True,
    )


def _write_comparison(names: Sequence[str], tear_sheet: Path | None) -> None:
    if tear_sheet is not None:
        raise InputError("--tear-sheet is of one run: leave --compare out")
    records = [read_run(_compared(name)) for name in names]
    command = shlex.join(["liqtiers", *sys.argv[1:]])
    typer.echo(write_comparison(workspace(), records, command=command, created_at=now()))


def _write(name: str, tear_sheet: Path | None) -> None:
    folder = workspace()
    evidence, study = find_evidence(folder, name), find_study(folder, name)
    if tear_sheet is not None and (evidence or study):
        raise InputError(f"--tear-sheet is of a run; {name} is a study")
    if evidence is not None:
        typer.echo(write_evidence_page(evidence))
    elif study is not None:
        typer.echo(write_tuning_report(study))
    else:
        path = _run_of(name)
        typer.echo(write_report(path))
        if tear_sheet is not None:
            check_target(tear_sheet, option="--tear-sheet")
            write_tear_sheet(read_run(path), tear_sheet)
            typer.echo(tear_sheet)


def _compared(name: str) -> Path:
    winners = find_winners_run(workspace(), name)
    if winners is None:
        return _run_of(name)
    typer.echo(f"note: of the study {name} its winner's run {winners.name} is compared", err=True)
    return winners


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
