"""`liqtiers data fetch`: from a source's server into the cache, and from there into the lake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final

import stamina.instrumentation
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from liqtiers.datasets._series_name import SeriesName
from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.downloads.cache import Cache, Imports
from liqtiers.datasets.downloads.client import Client, Policy
from liqtiers.datasets.downloads.fetching import Fetched, fetch
from liqtiers.datasets.downloads.period import parse_span
from liqtiers.datasets.downloads.source import (
    WHAT,
    Piece,
    Source,
    Wish,
    load_source,
    source_class,
    source_names,
    url_of,
)
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.importing import import_file
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.naming import timeframe_us
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import now, open_lake, workspace

_DAYS_SHOWN: Final = 6
_PIPED_WIDTH: Final = 160


@dataclass(slots=True)
class _Tally:
    """What the run did, for its last lines."""

    status: Counter[str] = field(default_factory=Counter)
    missing: dict[str, list[Piece]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    known: int = 0
    notes: dict[str, None] = field(default_factory=dict)


def run(
    source: Annotated[
        str, typer.Argument(help="Where from, for example binance or ccxt:okx; see --list.")
    ] = "",
    symbol: Annotated[
        str, typer.Argument(help="As the source names it, for example BTCUSDT.")
    ] = "",
    *,
    begin: Annotated[
        str, typer.Option("--from", help="First month or day, UTC; not for maps.")
    ] = "",
    end: Annotated[
        str | None, typer.Option("--to", help="Last month or day; now by default.")
    ] = None,
    what: Annotated[str, typer.Option(help=f"Any of {', '.join(WHAT)}, with commas.")] = "bars",
    timeframe: Annotated[str, typer.Option(help="Length of bars and of vendors' series.")] = "1m",
    market: Annotated[str, typer.Option(help="um, cm or spot.")] = "um",
    address: Annotated[
        list[str] | None, typer.Option(help="Account to look at (hyperliquid); may be repeated.")
    ] = None,
    unit: Annotated[
        str, typer.Option(help="coins or contracts: what volume is in (ccxt), where nobody says.")
    ] = "",
    url: Annotated[str | None, typer.Option(help="A mirror in place of the server.")] = None,
    attempts: Annotated[int, typer.Option(help="Tries a file.")] = 6,
    wait: Annotated[float, typer.Option(help="Seconds before the second try, then doubled.")] = 1.0,
    timeout: Annotated[float, typer.Option(help="Seconds without a byte.")] = 30.0,
    ask_again: Annotated[
        bool, typer.Option("--ask-again", help="Ask again for what the server did not have.")
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="Show the sources and their limits.")
    ] = False,
) -> None:
    """Fetch data of exchanges and vendors into the lake.

    What was fetched before is kept in the workspace's downloads folder and not asked for again; an
    interrupted run is gone on with by the same command. Keys are read from the environment.

    Example: liqtiers data fetch binance BTCUSDT --from 2021-12 --to 2026-01 --what bars,metrics,funding
    """
    if listing:
        _list()
        return
    kinds = _kinds(what)
    if kinds == ("map",) and not begin:
        begin = f"{now():%Y-%m-%d}"  # maps are snapshots of now
    for name, given in (("SOURCE", source), ("SYMBOL", symbol), ("--from", begin)):
        if not given:
            raise InputError(f"{name} is missing (see liqtiers data fetch --help, or --list)")
    if unit not in ("", "coins", "contracts"):
        raise InputError(f"--unit is {unit!r}, it must be coins or contracts")
    stamina.instrumentation.set_on_retry_hooks([])  # it would print each retry
    chosen, exchange = load_source(source)
    timeframe_us(timeframe)
    moment = now()
    wish = Wish(
        symbol=symbol,
        what=kinds,
        span=parse_span(begin, end, now=moment),
        url=url_of(chosen, url),
        timeframe=timeframe,
        market=market,
        now=moment,
        exchange=exchange,
        addresses=tuple(address or ()),
        unit=unit,
    )
    plan = chosen.plan(wish)
    if not plan:
        raise InputError(
            f"{chosen.title} cannot have anything from {begin} on yet; ask for earlier days"
        )
    cache = Cache(workspace() / "downloads" / chosen.name)
    if ask_again:
        cache.forget_absent()
    client = Client(chosen, wish.url, policy=Policy(attempts=attempts, wait=wait, timeout=timeout))
    tally = _Tally()
    try:
        _bring(chosen, plan, client, cache, open_lake(), tally, moment)
    finally:
        client.close()
        _report(chosen, tally)
    if tally.failures:
        raise typer.Exit(1)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    unknown = [kind for kind in kinds if kind not in WHAT]
    if unknown or not kinds:
        named = repr(unknown[0]) if unknown else "empty"
        raise InputError(f"--what: {named} is none of {', '.join(WHAT)}")
    return kinds


def _bring(
    source: Source,
    plan: list[Piece],
    client: Client,
    cache: Cache,
    lake: Lake,
    tally: _Tally,
    moment: datetime,
) -> None:
    imports = Imports(cache.root, lake)
    written = False
    arriving = fetch(source, plan, client=client, cache=cache, now=moment)
    try:
        for found in _shown(arriving, len(plan), f"Fetching from {source.title}"):
            for each in found:
                tally.status[each.status] += 1
                if each.status == "missing":
                    tally.missing.setdefault(each.piece.what, []).append(each.piece)
                elif each.status == "failed":
                    tally.failures.append(each.message)
                elif each.final and imports.holds(each.piece.name):
                    tally.known += 1
                else:
                    written |= _import(source, each, cache, lake, imports, tally)
    finally:
        if written:
            refresh_catalog(lake)


def _import(
    source: Source, each: Fetched, cache: Cache, lake: Lake, imports: Imports, tally: _Tally
) -> bool:
    assert each.path is not None
    piece = each.piece
    try:
        found = import_file(lake, each.path, source=piece.reader, options=piece.options)
    except InputError as error:
        tally.failures.append(_why(source, each, cache, error))
        return False
    for parsed, report in found:
        name = str(SeriesName(report.venue, report.symbol, report.timeframe))
        label = f"{report.table} of {name}"
        tally.rows[label, "new"] += report.inserted
        tally.rows[label, "changed"] += report.updated
        tally.rows[label, "already there"] += report.unchanged + report.repeated
        tally.rows[label, "set aside"] += report.quarantined
        tally.reasons.update({(label, why): count for why, count in report.reasons.items()})
        tally.notes.update(dict.fromkeys(parsed.notes))
    if each.final:
        imports.note(piece.name, [report for _, report in found])
    return True


def _why(source: Source, each: Fetched, cache: Cache, error: InputError) -> str:
    """Return why a file was not imported; one that was damaged on the disk is removed."""
    assert each.path is not None
    try:
        source.check(each.piece, each.path)
    except Exception:  # noqa: BLE001  # whatever is wrong with it, it is not what was put there
        cache.drop(each.piece.name)
        return f"{each.path}: was damaged on the disk and is removed; run the same command again"
    return str(error)


def _shown(arriving: Iterator[list[Fetched]], total: int, title: str) -> Iterator[list[Fetched]]:
    errors = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
    if not errors.is_terminal:
        errors.print(f"{title}: {total} files", markup=False)
        yield from arriving
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(title, total=total)
        for found in arriving:
            yield found
            progress.advance(task)


def _report(source: Source, tally: _Tally) -> None:
    out = Console(soft_wrap=True, highlight=False, emoji=False)
    errors = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
    counts = tally.status
    out.print(
        f"{source.title}: {counts['fetched']:,} files fetched, {counts['cached']:,} from the cache, "
        f"{counts['missing']:,} not there, {counts['failed']:,} failed",
        markup=False,
    )
    for what, pieces in tally.missing.items():
        out.print(f"  {what}: the server has nothing for {_days(pieces)}", markup=False)
        limit = next((o for o in source.offers if o.what == what), None)
        if limit is not None:
            out.print(f"    it has {limit.period}", markup=False)
    for label in dict.fromkeys(label for label, _ in tally.rows):
        names = ("new", "changed", "already there", "set aside")
        told = ", ".join(f"{tally.rows[label, name]:,} {name}" for name in names)
        whys = [f"{n:,} x {why}" for (of, why), n in tally.reasons.items() if of == label]
        reasons = f" ({'; '.join(whys)[:300]})" if whys else ""
        out.print(f"  {label}: {told}{reasons}", markup=False)
    if tally.known:
        out.print(f"  {tally.known:,} files were imported before", markup=False)
    for note in tally.notes:
        out.print(f"  note: {note}", markup=False)
    if tally.failures:
        errors.print(f"{len(tally.failures):,} files failed:", markup=False)
        for message in tally.failures:
            errors.print(f"  {' '.join(message.split())}", markup=False)
        errors.print("The same command tries again what failed, and only that.", markup=False)


def _days(pieces: list[Piece]) -> str:
    """Return stretches of days without a break, the first few."""
    stretches: list[tuple[datetime, datetime]] = []
    for piece in sorted(pieces, key=lambda p: p.begin):
        if stretches and piece.begin <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], piece.end))
        else:
            stretches.append((piece.begin, piece.end))
    told = [_stretch(begin, end) for begin, end in stretches[:_DAYS_SHOWN]]
    more = len(stretches) - _DAYS_SHOWN
    return ", ".join(told) + (f" and {more} more stretches" if more > 0 else "")


def _stretch(begin: datetime, end: datetime) -> str:
    last = end - datetime.resolution
    first, until = f"{begin:%Y-%m-%d}", f"{last:%Y-%m-%d}"
    return first if first == until else f"{first} to {until}"


def _list() -> None:
    found: list[type[Source]] = []
    faults: list[str] = []
    for name in source_names():
        try:
            found.append(source_class(name))
        except InputError as error:  # of another package; the others are there all the same
            faults.append(str(error))
    _show(found)
    for told in faults:
        typer.echo(told, err=True)


def _show(found: Iterable[type[Source]]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    table = Table(title=Text("Sources of liqtiers data fetch"), title_justify="left")
    for name in ("source", "what", "period", "published after", "limits"):
        table.add_column(name, overflow="fold")
    for source in found:
        key = f"\nkey: {source.key_variable}" if source.key_variable else ""
        head = f"{source.name}\n{source.title}{key}"
        for offer in source.offers:
            cells = (head, offer.what, offer.period, offer.delay, offer.limits)
            table.add_row(*(Text(cell) for cell in cells))
            head = ""
        table.add_section()
    console.print(table)


if __name__ == "__main__":
    run_verb(run, name="data fetch")
