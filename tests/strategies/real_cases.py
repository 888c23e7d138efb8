"""Bitcoin's real bars, with their own map, brackets and funding, for the comparison of the two engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd
from replay_cases import World

from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.panel import Panel, panel_from_frame
from liqtiers.strategies import CostParameters, TierBreakoutParameters

_BUSY: Final = TierBreakoutParameters(side="both", min_imbalance=0.5, min_fuel=0.01, min_thrust=0.3)
WAYS: Final = (
    _BUSY,
    replace(_BUSY, entry="stop", target="next", trail_atr=2.0),
    replace(_BUSY, max_leverage=50.0, risk_fraction=0.05, stop_atr=20.0, max_hold=1_000),
)
"""Three ways of trading, in which every kind of entry and exit is likely."""


def real_panel(real_data: Path, timeframe: str, bars: int) -> Panel:
    """Return the last bars of a file; those of five minutes have open interest from December 2025 on."""
    frame = pd.read_parquet(real_data / "bars" / f"BTCUSDT_um_{timeframe}.parquet")
    frame = frame.set_index("date")[["open", "high", "low", "close", "volume"]].iloc[-bars:]
    frame.index = _utc(frame.index)
    closes = frame.index + pd.Timedelta(timeframe.replace("m", "min"))
    if timeframe == "5m":
        held = pd.read_csv(real_data / "open_interest" / "BTC_binance_5m.csv")
        held.index = pd.to_datetime(held["t"], unit="ms", utc=True)
        frame["oi_base"] = held["oi"].reindex(frame.index).to_numpy()
    rate = pd.read_parquet(real_data / "funding" / "BTCUSDT_binance.parquet").set_index("date")[
        "rate"
    ]
    rate.index = _utc(rate.index).floor("5min")
    frame["funding_settled"] = rate.reindex(closes).fillna(0.0).to_numpy()
    frame["funding_rate"] = rate.reindex(closes, method="ffill").to_numpy()
    return panel_from_frame(frame, timeframe=timeframe)


def _utc(index: pd.Index) -> pd.DatetimeIndex:
    moments = pd.DatetimeIndex(index)
    return moments if moments.tz is not None else moments.tz_localize("UTC")


def real_worlds(real_data: Path, timeframe: str, *, bars: int) -> list[World]:
    """Return the last bars, one world a way of trading."""
    panel = real_panel(real_data, timeframe, bars)
    instrument = instrument_for("binance", "BTCUSDT")
    features = build_map(panel, instrument).features
    return [
        World(
            panel=panel,
            features=features,
            instrument=instrument,
            parameters=parameters,
            costs=CostParameters(),
            cash=100_000.0,
        )
        for parameters in WAYS
    ]
