"""Compiled loops over bars: when a level is reached anew, and what price did afterwards.

Everything is in logs of prices, so that the two directions mirror each other. A side of 1 is a level above
price (shorts), -1 one below it (longs).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...datasets._compiled import compiled
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D, Panel

ACTIVATED: Final = 1
ABSORBED: Final = 0
REJECTED: Final = -1
UNKNOWN: Final = -2
"""The horizon has not ended, or bars are missing in it."""

PATH_COLUMNS: Final = 6
SIGNED_COLUMN, _PROGRESS, _SETBACK, STATE_COLUMN, _CROSSING_BARS, _EXCESS = range(PATH_COLUMNS)


class LogPrices(NamedTuple):
    """The logs of a panel's prices, and which bars follow the one before without a gap; shape (n,).

    `ordinal` counts bars as the clock does: missing ones count too.
    """

    open: Float64Array1D
    high: Float64Array1D
    low: Float64Array1D
    close: Float64Array1D
    follows: BoolArray1D
    ordinal: Int64Array1D


def log_prices(panel: Panel) -> LogPrices:
    """Return the logs of a panel's prices."""
    ordinal = (panel.ts - panel.ts[:1]) // panel.bar_us
    return LogPrices(
        open=np.log(panel.open),
        high=np.log(panel.high),
        low=np.log(panel.low),
        close=np.log(panel.close),
        follows=np.diff(ordinal, prepend=ordinal[:1] - 2) == 1,
        ordinal=ordinal,
    )


@compiled
def fresh_reaches(
    prices: LogPrices, side: int, near: Float64Array1D, unit: Float64Array1D
) -> Int64Array1D:
    """Return the bars in which a level was reached that had not just been reached.

    Parameters
    ----------
    prices : LogPrices
    side : int
    near : ndarray of float64, shape (n,)
        Log of the near edge of what stood beyond the close of bar t, NaN for none. It is reached in bar
        t + 1 if that bar touches it.
    unit : ndarray of float64, shape (n,)
        How far price has to leave, in log price, as known at each close.

    Notes
    -----
    After a level was reached, the next counts if it lies a unit further on, or if price has closed a unit
    short of that level since. A level that is reached across missing bars is
    not one that stood there just before, and does not count.
    """
    bars = np.empty(len(near), np.int64)
    count = 0
    away = True
    last = last_unit = 0.0
    for bar in range(1, len(near)):
        edge = near[bar - 1]
        if prices.follows[bar] and not np.isnan(edge) and not np.isnan(unit[bar - 1]):
            extreme = prices.high[bar] if side > 0 else prices.low[bar]
            fresh = away or side * (edge - last) >= last_unit
            if side * (extreme - edge) >= 0.0 and fresh:
                bars[count] = bar
                count += 1
                away = False
                last, last_unit = edge, unit[bar - 1]
        if side * (last - prices.close[bar]) >= last_unit:
            away = True
    return bars[:count]


@compiled
def follow(
    prices: LogPrices,
    bar: Int64Array1D,
    side: Int64Array1D,
    start: Float64Array1D,
    far: Float64Array1D,
    unit: Float64Array1D,
    horizon: int,
) -> Float64Array1D:
    """Return what price did after each level was reached, shape (m, PATH_COLUMNS).

    Parameters
    ----------
    prices : LogPrices
    bar : ndarray of int64, shape (m,)
        In which the level was reached.
    side : ndarray of int64, shape (m,)
    start, far : ndarray of float64, shape (m,)
        Log price at which it was reached, and of its far edge.
    unit : ndarray of float64, shape (m,)
        A volatility unit of this horizon, log price.
    horizon : int
        Bars after the one in which it was reached.

    Notes
    -----
    Of the bar in which the level was reached, the extreme in the level's direction and the close came
    after the reaching; its other extreme may have come before and is left out. Where a later bar touches
    both the far edge and the price a unit short of the start, their order is unknown: rejected.
    """
    found = np.full((len(bar), PATH_COLUMNS), np.nan)
    for row in range(len(bar)):
        first = bar[row]
        end = first + horizon
        found[row, STATE_COLUMN] = UNKNOWN
        if (
            end >= len(prices.close)
            or prices.ordinal[end] - prices.ordinal[first] != horizon
            or np.isnan(unit[row])
        ):
            continue
        way = side[row]
        progress = setback = 0.0
        state = ABSORBED
        for at in range(first, end + 1):
            ahead, behind = prices.high[at], prices.low[at]
            if way < 0:
                ahead, behind = behind, ahead
            if at == first:
                behind = prices.close[at]
            progress = max(progress, way * (ahead - start[row]))
            setback = max(setback, way * (start[row] - behind))
            if state == ABSORBED:
                crossed = way * (ahead - far[row]) >= 0.0
                turned = way * (start[row] - behind) >= unit[row]
                # Within the first bar the far edge came before the close.
                if turned and not (crossed and at == first):
                    state = REJECTED
                elif crossed:
                    state = ACTIVATED
                    found[row, _CROSSING_BARS] = at - first
        found[row, SIGNED_COLUMN] = way * (prices.close[end] - start[row]) / unit[row]
        found[row, _PROGRESS] = progress / unit[row]
        found[row, _SETBACK] = setback / unit[row]
        found[row, STATE_COLUMN] = state
        if state == ACTIVATED:
            beyond = progress - way * (far[row] - start[row])
            found[row, _EXCESS] = beyond / unit[row]
    return found


@compiled
def standing_bars(
    lower: NDArray[np.float32],
    upper: NDArray[np.float32],
    bar: Int64Array1D,
    price: Float64Array1D,
    limit: int,
) -> Int64Array1D:
    """Return for how many bars in a row, the one before `bar` the last, a tier held a price, shape (m,).

    Parameters
    ----------
    lower, upper : ndarray of float32, shape (n, K)
        Edges of one side's tiers at each close.
    bar : ndarray of int64, shape (m,)
    price : ndarray of float64, shape (m,)
        Quote per base.
    limit : int
        Where counting ends, bars.
    """
    stood = np.zeros(len(bar), np.int64)
    for row in range(len(bar)):
        for at in range(bar[row] - 1, max(bar[row] - 1 - limit, -1), -1):
            held = False
            for rank in range(lower.shape[1]):
                if lower[at, rank] <= price[row] <= upper[at, rank]:
                    held = True
            if not held:
                break
            stood[row] += 1
    return stood
