"""What a trial is worth: statistics of the folds' daily returns, after all costs.

Returns are of UTC days and years have 365 of them. A stretch without a trade has neither return nor
risk: its Sharpe ratio counts as 0 here, so that a rule that never trades is neither punished nor
rewarded by the score; the least number of trades keeps it from winning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from ...datasets.naming import DAY_US
from ...datasets.panel import Float64Array1D, Int64Array1D
from ..parameters import check_parameters, parameter

DAYS_A_YEAR: Final = 365
SHARPE: Final = "sharpe"
RETURN_AND_DRAWDOWN: Final = "return-drawdown"
GOALS: Final = (SHARPE, RETURN_AND_DRAWDOWN)
Direction = Literal["minimize", "maximize"]
DIRECTIONS: Final[Mapping[str, tuple[Direction, ...]]] = {
    SHARPE: ("maximize",),
    RETURN_AND_DRAWDOWN: ("maximize", "minimize"),
}
"""Of each goal's values, in Optuna's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveParameters:
    """What tuning looks for."""

    goal: str = parameter(
        SHARPE,
        unit="choice",
        meaning="one score, or two goals at once: yearly return against the deepest drawdown",
        choices=GOALS,
    )
    spread_penalty: float = parameter(
        0.5,
        unit="standard deviations",
        meaning="of the folds' Sharpe ratios, taken off their mean",
        low=0.0,
        high=10.0,
    )
    min_trades: int = parameter(
        30,
        unit="trades",
        meaning="in all folds together; with fewer a trial cannot win",
        low=0,
        high=1_000_000,
    )

    def __post_init__(self) -> None:
        check_parameters(self)


class SegmentResult(NamedTuple):
    """What one set of parameters did in one stretch.

    `daily` are the returns of its UTC days, `sharpe` is yearly, `total` the stretch's return and
    `drawdown` the deepest fall from a peak, a fraction of 0 or above.
    """

    daily: Float64Array1D
    sharpe: float
    total: float
    drawdown: float
    trades: int


def day_ends(ts: Int64Array1D) -> Int64Array1D:
    """Return the places of each UTC day's last bar, shape (days,), from the bars' opens in microseconds."""
    days = ts // DAY_US
    return np.append(np.flatnonzero(np.diff(days)), len(ts) - 1).astype(np.int64)


def segment_result(
    equity: Float64Array1D, ends: Int64Array1D, *, cash: float, trades: int
) -> SegmentResult:
    """Return what an equity curve amounts to.

    Parameters
    ----------
    equity : ndarray of float64, shape (n,)
        At each bar's close, quote, all costs taken off.
    ends : ndarray of int64, shape (days,)
        See `day_ends`.
    cash : float
        Equity before the first bar.
    trades : int
    """
    daily = daily_returns(equity, ends, cash=cash)
    return SegmentResult(
        daily=daily,
        sharpe=sharpe_ratio(daily),
        total=float(equity[-1] / cash - 1.0),
        drawdown=max_drawdown(equity, cash=cash),
        trades=trades,
    )


def daily_returns(equity: Float64Array1D, ends: Int64Array1D, *, cash: float) -> Float64Array1D:
    """Return the returns of days, shape (days,); an account that is lost returns 0 from then on."""
    last = np.maximum(equity[ends], 0.0)
    before = np.concatenate([[cash], last[:-1]])
    returns: Float64Array1D = np.where(
        before > 0.0, last / np.where(before > 0.0, before, 1.0), 1.0
    )
    return returns - 1.0


def sharpe_ratio(daily: Float64Array1D) -> float:
    """Return the yearly Sharpe ratio of daily returns without a risk-free rate; 0 if they are flat.

    ``mean / standard deviation (of a sample) * sqrt(365)``.
    """
    if len(daily) < 2:  # a deviation needs two
        return 0.0
    deviation = float(np.std(daily, ddof=1))
    return float(np.mean(daily) / deviation * np.sqrt(DAYS_A_YEAR)) if deviation > 0.0 else 0.0


def max_drawdown(equity: Float64Array1D, *, cash: float) -> float:
    """Return the deepest fall from a peak, a fraction of it."""
    peaks = np.maximum(np.maximum.accumulate(equity), cash)
    return float(np.max(1.0 - equity / peaks, initial=0.0))


def score(sharpes: Sequence[float], *, spread_penalty: float) -> float:
    """Return the mean of the folds' Sharpe ratios minus a multiple of their standard deviation.

    Examples
    --------
    >>> score([1.0, 2.0, 3.0], spread_penalty=0.5)
    1.5
    """
    spread = float(np.std(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0
    return float(np.mean(sharpes)) - spread_penalty * spread


def values_of(
    results: Sequence[SegmentResult], objective: ObjectiveParameters
) -> tuple[float, ...]:
    """Return a trial's value or values over its scored folds, in the order of `DIRECTIONS`."""
    if objective.goal == SHARPE:
        sharpes = [result.sharpe for result in results]
        return (score(sharpes, spread_penalty=objective.spread_penalty),)
    days = sum(len(result.daily) for result in results)
    growth = float(np.prod([max(1.0 + result.total, 0.0) for result in results]))
    return growth ** (DAYS_A_YEAR / days) - 1.0, max(result.drawdown for result in results)
