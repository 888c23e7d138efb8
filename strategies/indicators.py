"""Causal indicators over whole arrays: row t uses bars up to t."""

from __future__ import annotations

import numpy as np

from ..datasets._compiled import compiled
from ..datasets.panel import Float64Array1D


@compiled
def average_true_range(
    high: Float64Array1D, low: Float64Array1D, close: Float64Array1D, period: int
) -> Float64Array1D:
    """Return Wilder's average true range.

    Parameters
    ----------
    high, low, close : ndarray of float64, shape (n,)
        Quote per base.
    period : int
        Bars; the first value is the plain mean of the first `period` true ranges.

    Returns
    -------
    ndarray of float64, shape (n,)
        Quote per base; NaN for the first `period` bars. The first true range needs the close before,
        so bar 0 has none. Equal to backtrader's ``bt.ind.ATR``.

    References
    ----------
    J. Welles Wilder, *New Concepts in Technical Trading Systems* (1978), chapter 3.
    """
    out = np.full(len(close), np.nan)
    if len(close) <= period:
        return out
    total = 0.0
    for bar in range(1, len(close)):
        true_range = max(high[bar], close[bar - 1]) - min(low[bar], close[bar - 1])
        if bar <= period:
            total += true_range
            if bar == period:
                out[bar] = total / period
        else:
            out[bar] = (out[bar - 1] * (period - 1) + true_range) / period
    return out


@compiled
def thrust(close: Float64Array1D, atr: Float64Array1D, bars: int) -> Float64Array1D:
    """Return the move of the last `bars` bars in average true ranges, shape (n,); NaN at the start."""
    out = np.full(len(close), np.nan)
    for bar in range(bars, len(close)):
        if atr[bar] > 0.0:
            out[bar] = (close[bar] - close[bar - bars]) / atr[bar]
    return out
