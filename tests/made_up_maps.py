"""Made-up liquidation maps whose every level is known: for the picture's tests.

The levels go through the public builder of imported maps, on a market that stands still; the model's
name can then be changed to that of our own maps. Prices are multiples of `price`, amounts are in quote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from liqtiers.datasets.imported_map import build_imported_map
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import LiquidationMap, MapParameters
from liqtiers.datasets.panel import Panel, panel_from_frame

PRICE = 71_450.0
WIDTH = 0.004
SHORTS = {1.02: 0.2e9, 1.06: 0.5e9, 1.18: 0.6e9, 1.232: 2.6e9, 1.30: 3.9e9, 1.37: 6.4e9}
LONGS = {0.97: 0.3e9, 0.93: 0.1e9, 0.85: 0.6e9}


def still_panel(
    *, price: float = PRICE, bars: int = 60, symbol: str = "BTCUSDT", venue: str = "vendor"
) -> Panel:
    """Return a market that stands still, after a first bar that went far."""
    index = pd.date_range("2026-03-01", periods=bars, freq="1h", tz="UTC")
    frame = pd.DataFrame({"open": price, "high": price, "low": price, "close": price}, index=index)
    frame.loc[index[0], ["high", "low"]] = [1.5 * price, 0.55 * price]
    frame["volume"] = 7e10 / price
    return panel_from_frame(frame, venue=venue, symbol=symbol, timeframe="1h")


def made_up_map(
    panel: Panel,
    *,
    shorts: Mapping[float, float] = SHORTS,
    longs: Mapping[float, float] = LONGS,
    model: str = "worked example",
    known_at_bar: int = 2,
) -> LiquidationMap:
    """Return a map with these levels, known from the close of a bar on."""
    price = float(panel.close[-1])
    levels = [
        (side, at * price, at * price, notional)
        for side, given in (("short", shorts), ("long", longs))
        for at, notional in given.items()
    ]
    frame = pd.DataFrame(levels, columns=["side", "price_low", "price_high", "notional"])
    moment = pd.Timestamp(int(panel.close_ts[known_at_bar]), unit="us", tz="UTC").as_unit("us")
    frame["ts"] = frame["available_at"] = moment
    frame["model"] = "made up"
    built = build_imported_map(
        panel,
        pa.Table.from_pandas(frame, preserve_index=False),
        instrument=instrument_for("binance", "BTCUSDT"),
        parameters=MapParameters(bin_width=WIDTH),
        max_age_hours=1e5,
    )
    return replace(built, model=model)


def with_imbalance(liquidation_map: LiquidationMap, values: np.ndarray) -> LiquidationMap:
    """Return the map with another history of its imbalance, in every window."""
    features = liquidation_map.features
    column = np.asarray(values, dtype=np.float64)[:, np.newaxis]
    history = np.repeat(column, len(features.windows), axis=1)
    return replace(liquidation_map, features=replace(features, imbalance=history))
