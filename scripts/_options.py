"""Command-line options that several verbs share, and those made of parameter dataclasses."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from liqtiers.datasets._series_name import parse_series
from liqtiers.datasets.calibration import CalibrationParameters
from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.imported_map import build_imported_map
from liqtiers.datasets.instruments import Instrument, instrument_for
from liqtiers.datasets.ladder import keep_ladder
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import LiquidationMap
from liqtiers.datasets.map_cache import cached_map, map_fingerprint
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import check_files, load_panel
from liqtiers.datasets.query import read

_SERIES = "venue:symbol[:timeframe], the preferred first; may be repeated."

Venue = Annotated[str, typer.Option(help="Venue of the bars, for example binance.")]
Symbol = Annotated[str, typer.Option(help="Symbol of the bars, for example BTCUSDT.")]
BarLength = Annotated[str, typer.Option("--timeframe", help="Bar length: 5m, 1h …")]
Start = Annotated[str | None, typer.Option(help="First day or moment, UTC.")]
End = Annotated[str | None, typer.Option(help="Day or moment before which to end, UTC.")]
OpenInterest = Annotated[list[str] | None, typer.Option(help=f"Open interest as {_SERIES}")]
Funding = Annotated[list[str] | None, typer.Option(help=f"Funding as {_SERIES}")]
Liquidations = Annotated[list[str] | None, typer.Option(help=f"Printed liquidations as {_SERIES}")]
Mark = Annotated[list[str] | None, typer.Option(help=f"Mark price as {_SERIES}")]
ImportedMap = Annotated[
    str | None,
    typer.Option("--map", help="An imported map, venue:symbol, instead of our own."),
]

ComparedMap = Annotated[
    str | None,
    typer.Option("--compare", help="An imported map, venue:symbol, to hold against this one."),
]

Levels = Annotated[
    str | None,
    typer.Option(help="Prices whose every approach is logged, as 85000,90000,95000."),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        help="Fit the leverage mix and the churn to past liquidations as time goes on, or keep the "
        "prior throughout."
    ),
]


def level_prices(text: str | None) -> tuple[float, ...]:
    """Return the prices that a text names.

    Raises
    ------
    InputError
        If one is no positive number.
    """
    if text is None:
        return ()
    try:
        prices = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--levels {text!r} must be prices, separated by commas, as 85000,90000"
        ) from None
    if not all(0.0 < price < float("inf") for price in prices):
        raise InputError(f"--levels {text!r}: prices must be above 0")
    return tuple(dict.fromkeys(prices))


def check_target(path: Path | None, *, option: str) -> None:
    """Refuse a file to write that cannot be one, before the work is done.

    Raises
    ------
    InputError
        If it is a folder, or lies in none.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder: give a file in it")
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}; make it first")


def panel_of(lake: Lake, **request: Any) -> Panel:  # noqa: ANN401  # the arguments of load_panel
    """Return a panel out of files that were held against their checksums.

    Raises
    ------
    InputError
        As `load_panel`.
    LakeError
        If a file of it is damaged.
    """
    panel = load_panel(lake, **request)
    check_files(lake, panel)
    return panel


def contract_of(panel: Panel) -> Instrument:
    """Return a panel's contract as it was at the first bar: later tables of a venue are not known then."""
    first = pd.Timestamp(int(panel.ts[0]), unit="us", tz="UTC") if len(panel) else None
    return instrument_for(panel.venue, panel.symbol, at=first)


def map_for(
    lake: Lake, panel: Panel, instrument: Instrument, imported: str | None, *, calibrate: bool
) -> LiquidationMap:
    """Return our own map over a panel, fitted or not, or an imported one.

    Our own comes out of the lake's cache where it has been built before, and leaves its ladder of tiers
    in the lake.
    """
    if imported is None:
        calibration = CalibrationParameters() if calibrate else None
        built = cached_map(lake, panel, instrument, calibration=calibration)
        fingerprint = map_fingerprint(panel, instrument, calibration=calibration)
        keep_ladder(lake, panel, built.features, name=fingerprint)
        refresh_catalog(lake)
        return built
    name = parse_series(imported)
    rows = read(lake, "liquidation_map", venue=name.venue, symbol=name.symbol)
    return build_imported_map(panel, rows, instrument=instrument)


def with_parameters(
    groups: Mapping[str, type[Any]],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each field of the dataclasses, and pass it the built sets.

    Parameters
    ----------
    groups : mapping of str to type
        The command's argument names and the parameter dataclass of each.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True)
        kept = [p for name, p in own.parameters.items() if name not in groups]
        options = [_option(f) for cls in groups.values() for f in fields(cls)]

        @functools.wraps(function)
        def command(**given: Any) -> None:  # noqa: ANN401  # any option's value
            built = {
                name: cls(**{f.name: given.pop(f.name) for f in fields(cls)})
                for name, cls in groups.items()
            }
            function(**given, **built)

        everything = [*kept, *options]
        command.__signature__ = own.replace(parameters=everything)  # type: ignore[attr-defined]  # typer reads it
        command.__annotations__ = {p.name: p.annotation for p in everything}
        del command.__wrapped__  # else typer reads the original's signature
        return command

    return decorate


def _option(f: Any) -> inspect.Parameter:  # noqa: ANN401  # a dataclass field
    meta = f.metadata
    limits = (
        ", ".join(meta["choices"]) if meta["choices"] else f"{meta['low']:g} to {meta['high']:g}"
    )
    text = f"{meta['meaning']} ({meta['unit']}; {limits})"
    return inspect.Parameter(
        f.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=f.default,
        annotation=Annotated[type(f.default), typer.Option(help=text)],
    )
