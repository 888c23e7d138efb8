"""`liqtiers map`: the liquidation map at one moment, as a page, an image and a table."""

from __future__ import annotations

import hashlib
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from liqtiers.datasets._series_name import parse_series
from liqtiers.datasets.errors import LakeError
from liqtiers.datasets.instruments import Instrument
from liqtiers.datasets.panel import Panel
from liqtiers.reports import map_words as words
from liqtiers.reports.formatting import money
from liqtiers.reports.map_comparison import (
    MapComparison,
    compare_maps,
    comparison_rows,
    comparison_words,
)
from liqtiers.reports.map_page import write_map_page
from liqtiers.reports.map_picture import MapPicture, map_picture
from liqtiers.scripts import _options as options
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import moment_us, now, open_lake, refresh_index, workspace

HtmlFile = Annotated[
    Path | None, typer.Option("--html", help="Where to write the page; else into maps/.")
]
PngFile = Annotated[Path | None, typer.Option("--png", help="Draw it as an image too, here.")]


def run(
    *,
    venue: options.Venue,
    symbol: options.Symbol,
    timeframe: options.BarLength,
    at: options.End = None,
    start: options.Start = None,
    open_interest: options.OpenInterest = None,
    liquidations: options.Liquidations = None,
    mark: options.Mark = None,
    imported_map: options.ImportedMap = None,
    compare: options.ComparedMap = None,
    calibrate: options.Calibrate = True,
    html: HtmlFile = None,
    png: PngFile = None,
) -> None:
    """Build the liquidation map of an instrument.

    Shows it as it stood at the close of the last bar before --at: nothing later is used. Writes a page,
    and its figures as JSON, into maps/ of the workspace, or where --html says, and prints where.

    Example: liqtiers map --venue binance --symbol BTCUSDT --timeframe 5m --at 2026-01-14
    """
    for option, path in (("--html", html), ("--png", png)):
        options.check_target(path, option=option)
    lake, until = open_lake(), moment_us(at, option="--at")
    panel = options.panel_of(
        lake,
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        start_us=moment_us(start, option="--start"),
        end_us=until,
        open_interest=open_interest or (),
        liquidations=liquidations or (),
        mark=mark or (),
    )
    # As a run over the same bars takes it, so that both have the same map.
    instrument = options.contract_of(panel)
    built = options.map_for(lake, panel, instrument, imported_map, calibrate=calibrate)
    comparison = None
    if compare is not None:
        other = options.map_for(lake, panel, instrument, compare, calibrate=calibrate)
        comparison = compare_maps(panel, built, other)
    picture = map_picture(
        built,
        panel,
        tick=instrument.tick,
        notes=(*_late(panel, until), *_brackets(instrument, imported_map)),
    )
    command = shlex.join(["liqtiers", *sys.argv[1:]])
    page = html or _own_place(picture, imported_map, command)
    write_map_page(
        picture,
        page,
        command=command,
        fingerprint=panel.fingerprint(),
        created_at=now(),
        comparison=comparison,
    )
    if html is None:
        refresh_index()
    if png is not None:
        # Only here, since it takes a second to import.
        from liqtiers.reports.map_image import write_map_image

        write_map_image(picture, png)
    _show(picture, comparison)
    if png is not None:
        typer.echo(f"image: {png}")
    typer.echo(f"page:  {page}")


def _late(panel: Panel, until: int | None) -> tuple[str, ...]:
    """Return a note where the last bar closed long before the moment that was asked for."""
    missing = 0 if until is None else (until - int(panel.close_ts[-1])) // panel.bar_us
    if missing < 1:
        return ()
    return (f"The last bar closed {missing:,} bars before the moment asked for.",)


def _brackets(instrument: Instrument, imported_map: str | None) -> tuple[str, ...]:
    if imported_map is not None:
        return ()
    return (f"Margin brackets as at the first bar, from {instrument.brackets.source}.",)


def _own_place(picture: MapPicture, imported_map: str | None, command: str) -> Path:
    """Return a name that tells maps of one moment apart by what was asked for."""
    moment = words.moment_words(picture).replace("-", "").replace(":", "").replace(" ", "T")
    asked = hashlib.sha256(command.encode()).hexdigest()[:6]
    parts = [picture.venue, picture.symbol, picture.timeframe, moment]
    if imported_map is not None:
        name = parse_series(imported_map)
        parts += ["map", name.venue, name.symbol]
    parts.append(asked)
    folder = workspace() / "maps"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder / f"{'-'.join(parts)}.html"


def _show(picture: MapPicture, comparison: MapComparison | None) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=120)
    console.print(words.title_words(picture))
    console.print(words.imbalance_words(picture.headline, picture))
    console.print(words.base_rate_words(picture.headline, picture))
    console.print(words.CAVEAT)
    console.print(_windows(picture))
    console.print(_tiers(picture) if picture.tiers else "No tier: no stretch is dense enough.")
    if comparison is not None:
        console.print(_comparison(comparison))
        for sentence in comparison_words(comparison):
            console.print(sentence)
    for note in (*words.remarks(picture), *picture.data_notes):
        console.print(f"note: {note}")


def _windows(picture: MapPicture) -> Table:
    table = Table(title=f"Within each distance ({picture.currency})", title_justify="left")
    for name in ("within", "shorts above", "longs below", "imbalance"):
        table.add_column(name, justify="right")
    for w in picture.windows:
        cells = (words.distance_words(w.distance), money(w.above), money(w.below))
        table.add_row(*cells, words.ratio_words(w.imbalance))
    return table


def _comparison(comparison: MapComparison) -> Table:
    title = f"Beside the map from {comparison.models[1]} (rank correlations)"
    table = Table(title=title, title_justify="left")
    for name in ("within", "bars", "shorts above", "longs below", "imbalance", "same lean"):
        table.add_column(name, justify="right")
    for row in comparison_rows(comparison):
        table.add_row(*row.values())
    return table


def _tiers(picture: MapPicture) -> Table:
    table = Table(title=f"Dense tiers, from the top ({picture.currency})", title_justify="left")
    for name in ("tier", "side", "lower", "upper", "peak", "notional", "fuel", "distance"):
        table.add_column(name, justify="left" if name in ("tier", "side") else "right")
    for t in picture.tiers:
        prices = [words.price_words(p, picture) for p in (t.lower, t.upper, t.peak)]
        distance = words.signed_distance_words(t.distance)
        table.add_row(t.name, t.side, *prices, money(t.notional), words.fuel_words(t), distance)
    return table


if __name__ == "__main__":
    run_verb(run, name="map")
