"""`liqtiers data check`: what is wrong with stored data, and what a backtest does about it.

Exit code 0: nothing serious. 3: a serious finding.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.quality import CheckedSeries, check_lake
from liqtiers.datasets.quality.times import moment
from liqtiers.reports.quality_page import sentence_of, series_name, write_quality_page
from liqtiers.scripts._options import check_target
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import now, open_lake

SERIOUS: Final = 3
_PIPED_WIDTH: Final = 200


def run(
    *,
    venue: Annotated[str | None, typer.Option(help="Only series of this venue.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only series of this symbol.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write a page with a calendar, here.")
    ] = None,
) -> None:
    """Check what the lake holds for faults.

    Gaps, doubled rows, values that stand still, prices and values that do not fit each other, clocks that
    are off; each with what a backtest does about it. Nothing is changed. Exit code 3 if anything is
    serious: if a result can be wrong without showing it.

    Example: liqtiers data check --symbol BTCUSDT --html check.html
    """
    check_target(html, option="--html")
    lake = open_lake()
    checked = list(check_lake(lake, venue=venue, symbol=symbol))
    if not checked:
        raise InputError(_nothing(lake, venue, symbol))
    _show(checked)
    if html is not None:
        command = shlex.join(["liqtiers", *sys.argv[1:]])
        write_quality_page(checked, html, lake=lake.address, command=command, created_at=now())
        typer.echo(f"page: {html}")
    if any(finding.severity == "serious" for each in checked for finding in each.findings):
        raise typer.Exit(SERIOUS)


def _nothing(lake: Lake, venue: str | None, symbol: str | None) -> str:
    known = sorted({f"{s.venue}:{s.symbol}" for s in lake.series()})
    if not known:
        return f"the lake at {lake.address} is empty: fill it by `liqtiers data import`"
    wanted = " ".join(filter(None, (venue, symbol)))
    return f"the lake has nothing of {wanted}; it has {', '.join(known)}"


def _show(checked: Sequence[CheckedSeries]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_PIPED_WIDTH)
    console.print(sentence_of(checked))
    found = [(each.series, finding) for each in checked for finding in each.findings]
    if not found:
        return
    found.sort(key=lambda pair: pair[1].severity != "serious")
    table = Table()
    for name in ("severity", "series", "what", "how many", "first to last", "the worst"):
        table.add_column(name, overflow="fold")
    for series, finding in found:
        cells = (
            finding.severity,
            f"{series.table} {series_name(series)}",
            finding.title,
            f"{finding.count:,} of {finding.of:,} {finding.unit}",
            f"{moment(finding.first_us)[:10]} to {moment(finding.last_us)[:10]}",
            finding.example,
        )
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    console.print("What a backtest does about it:")
    for title, consequence in {f.title: f.consequence for _, f in found}.items():
        console.print(f"- {title}: {consequence}")


if __name__ == "__main__":
    run_verb(run, name="data check")
