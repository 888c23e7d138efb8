"""What every part of the evidence reads: bars, the map, and what everyone knows from price alone.

The facts here are the controls of each claim. They are trailing: row t holds what was known at the
close of bar t. Forward returns are the only values that look ahead, and are named so.

Gaps count as they are: a horizon is a number of bars, and a stretch that runs over missing bars has no
forward return.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from ...datasets.errors import InputError
from ...datasets.instruments import Instrument
from ...datasets.map_features import MapFeatures
from ...datasets.naming import DAY_US, HOUR_US
from ...datasets.order_book import BookSeries
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D, Panel

HORIZON_HOURS: Final = (1, 4, 24)
"""How long after a moment its outcome is judged."""

_VOLATILITY_HOURS: Final = 24
_RETURN_HOURS: Final = (1, 4, 24, 168)
_AVERAGE_HOURS: Final = (24, 72, 168)
_WEEK_HOURS: Final = 168


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvidenceMarket:
    """One instrument's bars and map.

    Attributes
    ----------
    panel : Panel
    features : MapFeatures
        Over the same bars.
    instrument : Instrument
    books : BookSeries or None
        Order books of the past, where there are any; no claim rests on them.
    window : float
        Distance within which the imbalance is taken, a fraction; one of the map's windows.
    """

    panel: Panel
    features: MapFeatures
    instrument: Instrument
    books: BookSeries | None = None
    window: float = 0.10

    def __post_init__(self) -> None:
        if len(self.panel) != len(self.features):
            raise InputError(
                f"the map has {len(self.features):,} bars and the panel {len(self.panel):,}"
            )
        self.features.window_index(self.window)

    def log_imbalance(self) -> Float64Array1D:
        """Return the log of above over below within the window, shape (n,); NaN where a side is empty."""
        imbalance = self.features.imbalance[:, self.features.window_index(self.window)]
        known = np.isfinite(imbalance) & (imbalance > 0.0)
        return np.where(known, np.log(np.where(known, imbalance, 1.0)), np.nan)


class Facts(NamedTuple):
    """What everyone knows at each close without a map; all of shape (n,), NaN where not yet known.

    Returns and distances are of the log price. `return_…` trail by so many hours, `over_average_…` is
    price over its moving average of so many hours, `hour_sine` to `week_cosine` are the time of day and of
    week on their circles, `funding` is the rate known.
    """

    return_1h: Float64Array1D
    return_4h: Float64Array1D
    return_24h: Float64Array1D
    return_168h: Float64Array1D
    over_average_24h: Float64Array1D
    over_average_72h: Float64Array1D
    over_average_168h: Float64Array1D
    volatility: Float64Array1D
    hour_sine: Float64Array1D
    hour_cosine: Float64Array1D
    week_sine: Float64Array1D
    week_cosine: Float64Array1D
    funding: Float64Array1D

    def known(self) -> BoolArray1D:
        """Return the bars at which all of them are known, shape (n,)."""
        known: BoolArray1D = np.logical_and.reduce(np.isfinite(np.stack(self)), axis=0)
        return known


def known_facts(panel: Panel) -> Facts:
    """Return what everyone knows at each close.

    Parameters
    ----------
    panel : Panel

    Notes
    -----
    Look-ahead: row t uses bars up to t. Hours are counted in bars, over gaps too. An unknown funding rate
    counts as 0, so that a market without funding can be judged as well.
    """
    log_close = np.log(panel.close)
    returns = [_trailing(log_close, bars_in(panel, hours)) for hours in _RETURN_HOURS]
    averages = [log_close - _average(log_close, bars_in(panel, hours)) for hours in _AVERAGE_HOURS]
    day = 2.0 * np.pi * (panel.close_ts % DAY_US) / DAY_US
    week = 2.0 * np.pi * (panel.close_ts % (_WEEK_HOURS * HOUR_US)) / (_WEEK_HOURS * HOUR_US)
    return Facts._make(
        [
            *returns,
            *averages,
            volatility(panel),
            np.sin(day),
            np.cos(day),
            np.sin(week),
            np.cos(week),
            np.nan_to_num(panel.funding_rate),
        ]
    )


def bars_in(panel: Panel, hours: float) -> int:
    """Return how many bars so many hours are, at least 1."""
    return max(round(hours * HOUR_US / panel.bar_us), 1)


def day_of(panel: Panel) -> Int64Array1D:
    """Return the UTC day in which each bar closes, counted from 1970, shape (n,)."""
    # A bar that closes at midnight is the last of its day.
    return (panel.close_ts - 1) // DAY_US


def volatility(panel: Panel) -> Float64Array1D:
    """Return the standard deviation of one bar's log return over the last day, shape (n,).

    Notes
    -----
    The mean return counts as 0. NaN until a day of bars has passed, and where price stood still.
    """
    bars = max(bars_in(panel, _VOLATILITY_HOURS), 2)
    square = np.square(np.diff(np.log(panel.close), prepend=np.nan))
    deviation = np.sqrt(_average(square, bars))
    return np.where(deviation > 0.0, deviation, np.nan)


def forward_returns(panel: Panel, bars: int) -> Float64Array1D:
    """Return the log return from each close to the close `bars` later, shape (n,).

    NaN at the end, and where bars are missing in between.
    """
    log_close = np.log(panel.close)
    forward = np.full(len(panel), np.nan)
    if bars < len(panel):
        forward[:-bars] = log_close[bars:] - log_close[:-bars]
        forward[:-bars][panel.ts[bars:] - panel.ts[:-bars] != bars * panel.bar_us] = np.nan
    return forward


def _trailing(log_close: Float64Array1D, bars: int) -> Float64Array1D:
    past = np.full(len(log_close), np.nan)
    if bars < len(log_close):
        past[bars:] = log_close[bars:] - log_close[:-bars]
    return past


def _average(values: Float64Array1D, bars: int) -> Float64Array1D:
    """Return the trailing mean over `bars` values; NaN where one of them is unknown."""
    mean = np.full(len(values), np.nan)
    known = np.isfinite(values)
    if len(values) < bars or not known.any():
        return mean
    # Sums of differences from the first known value keep their digits over years.
    base = float(values[np.argmax(known)])
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values - base, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    whole = count[bars:] - count[:-bars] == bars
    mean[bars - 1 :] = np.where(whole, base + (total[bars:] - total[:-bars]) / bars, np.nan)
    return mean


def sliced(market: EvidenceMarket, start: int, stop: int) -> EvidenceMarket:
    """Return bars `start` to `stop` (exclusive) of a market."""
    return replace(
        market,
        panel=market.panel.slice(start, stop),
        features=market.features.slice(start, stop),
    )
