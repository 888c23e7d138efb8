"""Markets written out by hand: one row a bar, and the tiers that the map is to show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from liqtiers.datasets.instruments import Brackets, Instrument
from liqtiers.datasets.map_features import MapFeatures, TierLadder
from liqtiers.datasets.panel import Panel, panel_from_frame

NO_BRACKETS = Brackets(
    floor_notional=np.array([0.0]),
    maintenance_rate=np.array([0.005]),
    max_leverage=np.array([125.0]),
    maintenance_amount=np.array([0.0]),
    source="test",
)
INSTRUMENT = Instrument(
    venue="test",
    symbol="COIN",
    kind="linear",
    tick=0.01,
    lot=0.1,
    taker_fee=0.0,
    maker_fee=0.0,
    brackets=NO_BRACKETS,
)


def panel_of(rows: list[tuple[float, float, float, float]], **columns: list[float]) -> Panel:
    """Return a panel of hourly candles: open, high, low, close; volume 1000 unless given."""
    index = pd.date_range("2026-01-01", periods=len(rows), freq="1h", tz="UTC")
    frame = pd.DataFrame(rows, columns=["open", "high", "low", "close"], index=index, dtype=float)
    frame["volume"] = 1000.0
    for name, values in columns.items():
        frame[name] = values
    return panel_from_frame(frame, timeframe="1h")


def features_of(
    bars: int,
    *,
    above: list[tuple[float, float]] | None = None,
    below: list[tuple[float, float]] | None = None,
    fuel: float = 1.0,
    imbalance: float = 5.0,
) -> MapFeatures:
    """Return features that show the same tiers (lower, upper) and imbalance at every bar."""
    ones = np.ones(bars)

    def ladder(tiers: list[tuple[float, float]]) -> TierLadder:
        padded = [*tiers, *[(np.nan, np.nan)] * (2 - len(tiers))]
        lower = np.tile([t[0] for t in padded], (bars, 1))
        upper = np.tile([t[1] for t in padded], (bars, 1))
        known = np.where(np.isnan(lower), np.nan, 1.0)
        return TierLadder(
            lower=lower,
            upper=upper,
            peak=(lower + upper) / 2.0,
            notional=1e6 * known,
            fuel=fuel * known,
        )

    return MapFeatures(
        windows=(0.10,),
        notional_above=imbalance * np.ones((bars, 1)),
        notional_below=np.ones((bars, 1)),
        imbalance=imbalance * np.ones((bars, 1)),
        above=ladder(above or []),
        below=ladder(below or []),
        hourly_quote_volume=ones,
        predicted_short_liquidations=ones,
        predicted_long_liquidations=ones,
        book_short=ones,
        book_long=ones,
    )
