"""What the rules read of each bar: prices, indicators and the map's tiers, as arrays over all bars.

Everything in row t was known at the close of bar t.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..datasets.map_features import MapFeatures
from ..datasets.panel import Float64Array1D, Panel
from .indicators import average_true_range, thrust
from .parameters import TierBreakoutParameters

LOWER, UPPER, PEAK, NOTIONAL, FUEL = range(5)


class Signals(NamedTuple):
    """What the rules read of each bar, as arrays over all bars.

    `tiers` has shape (n, 2, K, 5): side (shorts above first), tier (nearest first), and lower, upper,
    peak, notional, fuel.
    """

    close: Float64Array1D
    high: Float64Array1D
    low: Float64Array1D
    atr: Float64Array1D
    thrust: Float64Array1D
    funding_rate: Float64Array1D
    imbalance: Float64Array1D
    tiers: np.ndarray[tuple[int, int, int, int], np.dtype[np.float64]]


class Row(NamedTuple):
    """One bar of `Signals`."""

    bar: int
    close: float
    high: float
    low: float
    atr: float
    thrust: float
    funding_rate: float
    imbalance: float
    tiers: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]


def signals_of(panel: Panel, features: MapFeatures, parameters: TierBreakoutParameters) -> Signals:
    """Return what the rules read, over all bars of a panel.

    Raises
    ------
    InputError
        If the map was not measured within `imbalance_window`.
    """
    atr = average_true_range(panel.high, panel.low, panel.close, parameters.atr_bars)
    window = features.window_index(parameters.imbalance_window)
    ladders = [
        np.stack([side.lower, side.upper, side.peak, side.notional, side.fuel], axis=2)
        for side in (features.above, features.below)
    ]
    return Signals(
        close=panel.close,
        high=panel.high,
        low=panel.low,
        atr=atr,
        thrust=thrust(panel.close, atr, parameters.thrust_bars),
        funding_rate=panel.funding_rate,
        imbalance=np.ascontiguousarray(features.imbalance[:, window]),
        tiers=np.ascontiguousarray(np.stack(ladders, axis=1)),
    )


def row_at(signals: Signals, bar: int) -> Row:
    """Return one bar of the signals."""
    return Row(
        bar,
        signals.close[bar],
        signals.high[bar],
        signals.low[bar],
        signals.atr[bar],
        signals.thrust[bar],
        signals.funding_rate[bar],
        signals.imbalance[bar],
        signals.tiers[bar],
    )
