"""What the rules read of each bar: prices, indicators and the map's tiers, as arrays over all bars.

Everything in row t was known at the close of bar t.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Self

import numpy as np

from ..datasets.map_features import Float64Array2D, MapFeatures
from ..datasets.panel import Float64Array1D, Panel
from .indicators import average_true_range, thrust
from .parameters import TierBreakoutParameters

_TIER_FIELDS: Final = 5
LOWER, UPPER, PEAK, NOTIONAL, FUEL = range(_TIER_FIELDS)


class Signals(NamedTuple):
    """What the rules read of each bar, as arrays over all bars.

    `tiers` has shape (n, 2, K, 5): side (shorts above first), tier (nearest first), and lower, upper,
    peak, notional, fuel. `most_fuel` has shape (n, 2): the largest of a side's tiers, -1 without any.
    """

    close: Float64Array1D
    high: Float64Array1D
    low: Float64Array1D
    atr: Float64Array1D
    thrust: Float64Array1D
    funding_rate: Float64Array1D
    imbalance: Float64Array1D
    tiers: np.ndarray[tuple[int, int, int, int], np.dtype[np.float64]]
    most_fuel: Float64Array2D


class Ladders(NamedTuple):
    """The part of `Signals` that no parameter changes: `imbalance` has shape (windows, n)."""

    imbalance: Float64Array2D
    tiers: np.ndarray[tuple[int, int, int, int], np.dtype[np.float64]]
    most_fuel: Float64Array2D

    def slice(self, start: int, stop: int) -> Self:
        """Return bars `start` to `stop` (exclusive) as views."""
        return self._replace(
            imbalance=self.imbalance[:, start:stop],
            tiers=self.tiers[start:stop],
            most_fuel=self.most_fuel[start:stop],
        )


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


def ladders_of(features: MapFeatures) -> Ladders:
    """Return the map's tiers and imbalances as the rules read them."""
    count, most = features.above.lower.shape
    # Filled in place: stacked, these are copied twice, and of a year of minutes that is felt.
    tiers = np.empty((count, 2, most, _TIER_FIELDS))
    for place, side in enumerate((features.above, features.below)):
        tiers[:, place, :, LOWER] = side.lower
        tiers[:, place, :, UPPER] = side.upper
        tiers[:, place, :, PEAK] = side.peak
        tiers[:, place, :, NOTIONAL] = side.notional
        tiers[:, place, :, FUEL] = side.fuel
    return Ladders(
        imbalance=np.ascontiguousarray(features.imbalance.T, dtype=np.float64),
        tiers=tiers,
        most_fuel=np.fmax.reduce(tiers[:, :, :, FUEL], axis=2, initial=-1.0),
    )


def signals_of(
    panel: Panel,
    features: MapFeatures,
    parameters: TierBreakoutParameters,
    ladders: Ladders | None = None,
) -> Signals:
    """Return what the rules read, over all bars of a panel.

    Parameters
    ----------
    panel : Panel
    features : MapFeatures
        Over the same bars.
    parameters : TierBreakoutParameters
    ladders : Ladders, optional
        `ladders_of` the same features, for who calls this often.

    Raises
    ------
    InputError
        If the map was not measured within `imbalance_window`.
    """
    window = features.window_index(parameters.imbalance_window)
    known = ladders_of(features) if ladders is None else ladders
    atr = average_true_range(panel.high, panel.low, panel.close, parameters.atr_bars)
    return Signals(
        close=panel.close,
        high=panel.high,
        low=panel.low,
        atr=atr,
        thrust=thrust(panel.close, atr, parameters.thrust_bars),
        funding_rate=panel.funding_rate,
        imbalance=known.imbalance[window],
        tiers=known.tiers,
        most_fuel=known.most_fuel,
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
