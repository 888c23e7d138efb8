"""`liqtiers data fetch`: a symbol's data from an exchange's archive into the lake."""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.downloads import (
    Fetched,
    Fetcher,
    FetchSettings,
    Remote,
    Request,
    Source,
    known_sources,
    source_named,
)
from liqtiers.datasets.downloads.source import check_asked
from liqtiers.datasets.errors import InputError
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import now, open_lake, workspace
from liqtiers.scripts.data_import import import_file

CACHE: Final = "downloads"
_DAY: Final = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")
_MOST_NAMED: Final = 10

What = Annotated[
    str, typer.Option(help="Kinds of data, separated by commas; --list shows what a source has.")
]
First = Annotated[
    str | None, typer.Option("--from", help="First month or day, as 2021-12 or 2021-12-05.")
]
Last = Annotated[
    str | None, typer.Option("--to", help="Last month or day, included; yesterday unless given.")
]
Parallel = Annotated[int, typer.Option(min=1, max=8, help="Requests at once.")]
ListSources = Annotated[
    bool, typer.Option("--list", help="Show the sources, what they have, and their limits.")
]


def run(
    source: Annotated[str | None, typer.Argument(help="A source; --list shows them.")] = None,
    symbol: Annotated[str | None, typer.Argument(help="As the source writes it.")] = None,
    *,
    first: First = None,
    last: Last = None,
    what: What = "bars,metrics,funding",
    timeframe: Annotated[str, typer.Option(help="Length of bars: 1m, 5m, 1h …")] = "1m",
    market: Annotated[str, typer.Option(help="um, cm or spot.")] = "um",
    parallel: Parallel = 4,
    list_sources: ListSources = False,
) -> None:
    """Download a symbol's data and put it into the lake.

    Files are kept in downloads/ of the workspace; a second run fetches only what is missing. Exit code 1
    if some could not be fetched or read: the same command goes on.

    Example: liqtiers data fetch binance BTCUSDT --from 2021-12 --to 2026-01 --what bars,metrics,funding
    """
    console = Console(soft_wrap=True, highlight=False)
    if list_sources:
        console.print(_sources())
        return
    if source is None or symbol is None or first is None:
        raise InputError(
            "name a source, a symbol and --from, as in: data fetch binance BTCUSDT --from 2021-12"
        )
    chosen = source_named(source)
    today = now().date()
    request = Request(
        symbol=symbol,
        what=tuple(dict.fromkeys(part.strip() for part in what.split(",") if part.strip())),
        first=day_of(first, "--from", end=False),
        last=min(day_of(last, "--to", end=True) if last else today, _day_before(today)),
        timeframe=timeframe,
        market=market,
    )
    check_asked(chosen, request)
    results = _fetch(chosen, request, today, parallel)
    broken = _put_into_lake(results, console)
    _told(results, broken, console)
    if broken or any(result.state == "failed" for result in results):
        raise typer.Exit(1)


def day_of(text: str, option: str, *, end: bool) -> date:
    """Return the first, or with `end` the last, day that a month or day names.

    Raises
    ------
    InputError
        If it names none.
    """
    match = _DAY.fullmatch(text)
    wrong = InputError(f"{option} {text!r} is no month or day: write 2021-12 or 2021-12-05")
    if match is None:
        raise wrong
    try:
        year, month = int(match[1]), int(match[2])
        if match[3] is not None:
            return date(year, month, int(match[3]))
        return date(year, month, calendar.monthrange(year, month)[1] if end else 1)
    except ValueError:
        raise InputError(
            f"{option} {text!r} is no month or day: write 2021-12 or 2021-12-05"
        ) from None


def _day_before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)


def _fetch(source: Source, request: Request, today: date, parallel: int) -> list[Fetched]:
    remotes = source.plan(request)
    folder = workspace() / CACHE / source.name
    terminal = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    settings = FetchSettings(parallel=parallel)
    with (
        Progress(
            *columns, console=terminal, transient=True, disable=not terminal.is_terminal
        ) as bar,
        Fetcher(folder, today=today, settings=settings) as fetcher,
    ):
        task = bar.add_task(f"Fetching from {source.name}", total=len(remotes))
        return fetcher.fetch(remotes, told=lambda _: bar.advance(task))


def _put_into_lake(results: Sequence[Fetched], console: Console) -> list[tuple[Path, str]]:
    """Put what is there into the lake, in order of time; return what could not be read."""
    lake, broken = open_lake(), []
    quiet = Console(quiet=True)
    files = [r for r in results if r.path is not None]
    for result in files:
        path = result.path
        if path is None:
            continue
        try:
            import_file(
                lake, path, "auto", result.remote.options, quiet if len(files) > 3 else console
            )
        except InputError as error:
            # A file that is broken here may be whole there: the next run asks again.
            path.unlink(missing_ok=True)
            broken.append((path, str(error)))
    if files:
        refresh_catalog(lake)
    return broken


def _told(results: Sequence[Fetched], broken: list[tuple[Path, str]], console: Console) -> None:
    counts = Counter(result.state for result in results)
    console.print(
        f"{counts['fetched']:,} files fetched, {counts['cached']:,} already here, "
        f"{counts['missing']:,} that the source does not have, {counts['failed']:,} failed; "
        f"{sum(r.path is not None for r in results) - len(broken):,} put into the lake.",
        markup=False,
    )
    for kind in dict.fromkeys(r.remote.what for r in results if r.state == "missing"):
        days = [r.remote for r in results if r.state == "missing" and r.remote.what == kind]
        console.print(f"  missing {kind}: {_spans(days)}", markup=False)
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    told = [r.error for r in results if r.state == "failed"] + [error for _, error in broken]
    for error in told[:_MOST_NAMED]:
        errors.print(f"  {' '.join(error.split())}", markup=False)
    if len(told) > _MOST_NAMED:
        errors.print(f"  and {len(told) - _MOST_NAMED:,} more", markup=False)


def _spans(remotes: Sequence[Remote]) -> str:
    """Return the days that files hold as spans, neighbours joined."""
    spans: list[list[date]] = []
    for remote in sorted(remotes, key=lambda r: r.first):
        if spans and remote.first.toordinal() <= spans[-1][1].toordinal() + 1:
            spans[-1][1] = max(spans[-1][1], remote.last)
        else:
            spans.append([remote.first, remote.last])
    shown = [f"{a}" if a == b else f"{a} to {b}" for a, b in spans[:_MOST_NAMED]]
    return ", ".join(shown) + (" …" if len(spans) > _MOST_NAMED else "")


def _sources() -> Table:
    table = Table(title="Sources", title_justify="left")
    for name in ("source", "--what", "from", "to", "what it is"):
        table.add_column(name)
    for name in sorted(known_sources()):
        for offer in source_named(name).offers:
            table.add_row(name, offer.what, offer.since or "", offer.until or "", offer.note)
    return table


if __name__ == "__main__":
    run_verb(run, name="data fetch")
