"""`liqtiers data describe`: which series the lake holds, in which units, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liqtiers.datasets.lake import Series
from liqtiers.datasets.schemas import TABLES
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import open_lake

_PIPED_WIDTH: Final = 200  # rich would cut a table to 80 columns where there is no terminal
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def run(
    *,
    columns: Annotated[
        bool, typer.Option("--columns", help="Also show the stored tables' columns and units.")
    ] = False,
) -> None:
    """Show what the lake holds.

    One line a stored series with its first and last time (UTC), and one line for each reason why
    rows were set aside.

    Example: liqtiers data describe --columns
    """
    lake = open_lake()
    console = Console(emoji=False)
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH, emoji=False)
    stored = lake.series()
    if not stored:
        typer.echo(f"The lake at {lake.address} is empty: fill it by `liqtiers data import`.")
    else:
        console.print(_series_table(stored, lake.address))
    if columns:
        console.print(_columns_table({series.table for series in stored} or set(TABLES)))
    if (aside := lake.quarantine()).num_rows:
        console.print(_quarantine_table(aside.to_pylist()))


def _series_table(stored: Sequence[Series], address: str) -> Table:
    table = _table(f"Series in {address}", ("table", "venue", "symbol", "timeframe"))
    for name in ("rows", "first (UTC)", "last (UTC)"):
        table.add_column(name, justify="right", no_wrap=True)
    for series in stored:
        names = (series.table, series.venue, series.symbol, series.timeframe or "")
        span = (_moment(series.first_us), _moment(series.last_us))
        _add_row(table, *names, f"{series.rows:,}", *span)
    return table


def _columns_table(names: Iterable[str]) -> Table:
    table = _table("Columns", ("table", "column", "unit", "type", "meaning"))
    for name in sorted(names, key=list(TABLES).index):
        for field in TABLES[name].schema:
            unit, meaning = (field.metadata[key].decode() for key in (b"unit", b"description"))
            _add_row(table, name, field.name, unit, str(field.type), meaning)
        table.add_section()
    return table


def _quarantine_table(counts: Sequence[dict[str, object]]) -> Table:
    total = sum(int(str(count["rows"])) for count in counts)
    names = ("table", "venue", "symbol", "timeframe", "source", "reason")
    table = _table(f"Rows set aside: {total:,}", names)
    table.add_column("rows", justify="right")
    for count in counts:
        _add_row(table, *(str(count[name] or "") for name in names), f"{count['rows']:,}")
    return table


def _table(title: str, names: Sequence[str]) -> Table:
    table = Table(title=Text(title), title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _add_row(table: Table, *cells: str) -> None:
    # As Text: rich would take the brackets in a type or a file's name for markup.
    table.add_row(*(Text(cell) for cell in cells))


def _moment(us: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=us):%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    run_verb(run, name="data describe")
