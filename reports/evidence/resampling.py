"""Drawing days again: blocks that wrap around, intervals from them, and shifts of one series against another.

Blocks, because what follows each other belongs together. These need a series in order of time, one row a
step; where a few numbers a cluster say all, inference.py is quicker and keeps its level better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ...datasets.errors import InputError
from ...datasets.panel import Int64Array1D
from ..rank_statistics import INTERVAL

Resampling = Literal["stationary", "blocks"]
DEFAULT_DRAWS: Final = 999


def usual_block(length: int) -> float:
    """Return the cube root of a series' length, the rate at which blocks should grow, at least 1."""
    return max(float(np.cbrt(length)), 1.0)


def resampled_rows(
    length: int,
    block: float,
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
    resampling: Resampling = "stationary",
) -> NDArray[np.int64]:
    """Return rows drawn again in blocks; the series continues from its end at its beginning.

    Parameters
    ----------
    length : int
        Rows of the series.
    block : float
        Rows a block, on average (``stationary``: lengths are geometric) or each (``blocks``: rounded).
    rng : numpy.random.Generator
    draws : int
    resampling : str
        ``stationary`` or ``blocks``.

    Returns
    -------
    ndarray of int64, shape (draws, length)

    Raises
    ------
    InputError
        If a block is shorter than a row.

    References
    ----------
    Politis, D. N. & Romano, J. P. (1994). The stationary bootstrap. Journal of the American Statistical
    Association 89, 1303-1313, doi:10.1080/01621459.1994.10476870
    """
    if not block >= 1.0:
        raise InputError(f"a block of {block:g} rows is too short: 1 or more")
    step = np.arange(length)
    if resampling == "stationary":
        begins = rng.random((draws, length)) < 1.0 / block
    else:
        begins = np.broadcast_to(step % max(round(block), 1) == 0, (draws, length)).copy()
    begins[:, :1] = True
    first = np.maximum.accumulate(np.where(begins, step, 0), axis=1)
    start = rng.integers(0, max(length, 1), (draws, length))
    rows: NDArray[np.int64] = (np.take_along_axis(start, first, axis=1) + step - first) % length
    return rows


def stationary_bootstrap_interval(
    statistic: Callable[[Int64Array1D], float],
    length: int,
    *,
    rng: np.random.Generator,
    block: float | None = None,
    draws: int = DEFAULT_DRAWS,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic of a series, by the stationary bootstrap.

    Parameters
    ----------
    statistic : callable
        Of the rows drawn, as indices with repetition.
    length : int
        Rows of the series.
    rng : numpy.random.Generator
    block : float, optional
        Rows a block on average; the cube root of the length unless given.
    draws : int

    Returns
    -------
    tuple of float
        NaN with fewer than two rows.
    """
    if length < 2:
        return float("nan"), float("nan")
    drawn = resampled_rows(length, block or usual_block(length), rng=rng, draws=draws)
    found = np.array([statistic(rows) for rows in drawn])
    tail = (1.0 - INTERVAL) / 2.0
    low, high = np.nanquantile(found, [tail, 1.0 - tail])
    return float(low), float(high)


def circular_shift_p(
    statistic: Callable[[Int64Array1D], float],
    day: Int64Array1D,
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
) -> float:
    """Return the p-value of a tie between two series when one is shifted by whole days, around its end.

    Parameters
    ----------
    statistic : callable
        Of the rows at which the first series is read, while the second stays: row i of the second meets
        row ``rows[i]`` of the first.
    day : ndarray of int64, shape (n,)
        The day of each row, increasing.
    rng : numpy.random.Generator
        Chooses shifts where there are more than `draws`.
    draws : int

    Returns
    -------
    float
        Two-sided: twice the share of shifts (none among them) at least as extreme on the rarer side. NaN
        with fewer than two days.

    Notes
    -----
    Both series keep their own autocorrelation, time of day included where all days have all their rows.
    The statistic's mean over shifts need not be 0.
    """
    starts = np.flatnonzero(np.r_[True, np.diff(day) != 0])
    if len(starts) < 2:
        return float("nan")
    shifts = starts[1:]
    if len(shifts) > draws:
        shifts = rng.choice(shifts, draws, replace=False)
    rows = np.arange(len(day))
    value = statistic(rows)
    found = np.array([value, *(statistic(np.roll(rows, shift)) for shift in shifts)])
    rarer = min(np.count_nonzero(found >= value), np.count_nonzero(found <= value))
    return min(2.0 * rarer / len(found), 1.0)
