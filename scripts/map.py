"""`liqtiers map`: the liquidation map at one moment, as a table."""

from __future__ import annotations

import math

import numpy as np
from rich.console import Console
from rich.table import Table

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import LiquidationMap
from liqtiers.datasets.map_features import TierLadder
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import load_panel
from liqtiers.scripts import _options as options
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import moment_us, open_lake


def run(
    *,
    venue: options.Venue,
    symbol: options.Symbol,
    timeframe: options.BarLength,
    at: options.End = None,
    start: options.Start = None,
    open_interest: options.OpenInterest = None,
    mark: options.Mark = None,
    imported_map: options.ImportedMap = None,
) -> None:
    """Build the liquidation map of an instrument.

    Shows it as it stood at the close of the last bar before --at: nothing later is used.

    Example: liqtiers map --venue binance --symbol BTCUSDT --timeframe 5m --at 2026-01-14
    """
    lake = open_lake()
    panel = load_panel(
        lake,
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        start_us=moment_us(start, option="--start"),
        end_us=moment_us(at, option="--at"),
        open_interest=open_interest or (),
        mark=mark or (),
    )
    instrument = instrument_for(venue, symbol)
    _show(panel, options.map_for(lake, panel, instrument, imported_map))


def _show(panel: Panel, liquidation_map: LiquidationMap) -> None:
    features = liquidation_map.features
    close = float(panel.close[-1])
    if not np.isfinite(features.notional_above[-1]).any():
        raise InputError("the map says nothing at that moment: its last snapshot is too old")
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    moment = np.datetime_as_string(panel.close_ts[-1].astype("datetime64[us]"), unit="m")
    console.print(
        f"{panel.venue} {panel.symbol} at {moment} UTC, price {close:,.2f}, map from "
        f"{liquidation_map.model}"
    )
    for index, window in enumerate(features.windows):
        above = float(features.notional_above[-1, index])
        below = float(features.notional_below[-1, index])
        console.print(
            f"  within {window:4.0%}: shorts above {_money(above)}, longs below {_money(below)}, "
            f"imbalance {_ratio(float(features.imbalance[-1, index]))}"
        )
    console.print(_ladder(close, features.above, features.below))
    for note in liquidation_map.notes:
        console.print(f"note: {note}", markup=False)


def _ladder(close: float, above: TierLadder, below: TierLadder) -> Table:
    table = Table(title="Dense tiers, from the top", title_justify="left")
    for name in ("side", "lower", "upper", "peak", "notional", "fuel (h)", "distance"):
        table.add_column(name, justify="left" if name == "side" else "right")
    count = above.lower.shape[1]
    rows = [("shorts", above, k) for k in reversed(range(count))]
    rows += [("longs", below, k) for k in range(count)]
    for side, ladder, k in rows:
        lower, upper = float(ladder.lower[-1, k]), float(ladder.upper[-1, k])
        if math.isnan(lower):
            continue
        near = lower if side == "shorts" else upper
        table.add_row(
            side,
            f"{lower:,.2f}",
            f"{upper:,.2f}",
            f"{float(ladder.peak[-1, k]):,.2f}",
            _money(float(ladder.notional[-1, k])),
            f"{float(ladder.fuel[-1, k]):.2f}",
            f"{near / close - 1.0:+.1%}",
        )
    return table


def _money(value: float) -> str:
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:,.2f} {unit}"
    return f"{value:,.0f}"


def _ratio(value: float) -> str:
    if math.isnan(value):
        return "unknown"
    return "none below" if math.isinf(value) else f"{value:.2f} : 1"


if __name__ == "__main__":
    run_verb(run, name="map")
