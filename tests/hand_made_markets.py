"""Markets of a few hand-written candles under a map whose every tier is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.map_features import MapFeatures, TierLadder
from liqtiers.datasets.panel import panel_from_frame
from liqtiers.reports.evidence.market import EvidenceMarket

Candle = tuple[float, float, float, float]
"""Open, high, low, close."""
Tiers = Sequence[tuple[float, float]]
"""Lower and upper edge of each, nearest first."""

LEAD = 26
"""Hourly bars before the first candle: price swings by 1 % an hour, so that is its volatility."""
VOLATILITY = 0.01


def hand_market(
    candles: Sequence[Candle],
    *,
    above: Tiers = (),
    below: Tiers = (),
    mirrored: bool = False,
    missing_after: int | None = None,
    imbalance: float = 4.0,
) -> EvidenceMarket:
    """Return a lead-in at 100 and the candles, hourly; `mirrored` turns prices p into 10,000 / p."""
    swings = 100.0 * np.exp(VOLATILITY * (np.arange(LEAD) % 2 == 0))
    opens = np.r_[100.0, swings[:-1]]
    lead = [(o, max(o, c), min(o, c), c) for o, c in zip(opens, swings, strict=True)]
    rows = np.array([*lead, *candles])
    if mirrored:
        rows = 1e4 / rows[:, [0, 2, 1, 3]]
        above, below = (
            tuple((1e4 / upper, 1e4 / lower) for lower, upper in tiers) for tiers in (below, above)
        )
    index = pd.date_range("2024-01-01", periods=len(rows), freq="1h", tz="UTC")
    if missing_after is not None:
        late = np.arange(len(rows)) > LEAD + missing_after
        index = index.where(~late, index + pd.Timedelta(hours=7))
    frame = pd.DataFrame(rows, columns=["open", "high", "low", "close"], index=index)
    frame["volume"] = 10.0
    frame["oi_base"] = 1_000.0 - np.arange(len(rows))
    frame["short_liquidations"] = np.arange(len(rows), dtype=np.float64)
    frame["long_liquidations"] = np.arange(len(rows), dtype=np.float64)
    panel = panel_from_frame(frame, venue="binance", symbol="BTCUSDT", timeframe="1h")
    return EvidenceMarket(
        panel=panel,
        features=features_with(
            len(rows), above, below, imbalance=1.0 / imbalance if mirrored else imbalance
        ),
        instrument=instrument_for("binance", "BTCUSDT"),
    )


def features_with(bars: int, above: Tiers, below: Tiers, *, imbalance: float) -> MapFeatures:
    """Return a map that holds the same tiers at every bar."""
    column = np.ones(bars)
    return MapFeatures(
        windows=(0.10,),
        notional_above=np.full((bars, 1), 1e6 * imbalance),
        notional_below=np.full((bars, 1), 1e6),
        imbalance=np.full((bars, 1), imbalance),
        above=_ladder(bars, above),
        below=_ladder(bars, below),
        hourly_quote_volume=column * 1e3,
        predicted_short_liquidations=2.0 * column,
        predicted_long_liquidations=2.0 * column,
        book_short=column,
        book_long=column,
    )


def _ladder(bars: int, tiers: Tiers) -> TierLadder:
    kept = [*tiers, (np.nan, np.nan)]
    lower, upper = (np.tile(edge, (bars, 1)).astype(np.float32) for edge in zip(*kept, strict=True))
    notional = (5e3 * np.isfinite(lower)).astype(np.float32)
    return TierLadder(
        lower=lower, upper=upper, peak=(lower + upper) / 2, notional=notional, fuel=notional / 1e3
    )
