"""Joins in time, on plain arrays: what was known when a bar closed, and what fell within it.

Every function is causal: an answer for one bar depends on nothing that became known after its
close, so a longer history never changes it. numpy's searchsorted does the work (faster here than an
as-of join in SQL, and equal).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from .naming import DAY_US
from .panel import BoolArray1D, Float64Array1D, Int64Array1D

_STALE_STEPS: Final = 3


class Run(NamedTuple):
    """Bars `start` to `stop` (exclusive), all of which use series `number` (-1: none)."""

    number: int
    start: int
    stop: int


def in_order_of_knowledge(ts: Int64Array1D, available: Int64Array1D) -> Int64Array1D:
    """Return the rows in the order in which they became known, without those outdated on arrival.

    A row that becomes known after one of a later moment says nothing about the present any more.

    Parameters
    ----------
    ts, available : ndarray of int64, shape (n,)
        When each row happened and when it became known, microseconds, in any order.

    Returns
    -------
    ndarray of int64, shape (m,)
        Indices of the rows kept; both times increase along it.
    """
    order = np.lexsort((ts, available))
    return order[ts[order] >= np.maximum.accumulate(ts[order])]


def newest_known(available: Int64Array1D, at: Int64Array1D) -> Int64Array1D:
    """Return the index of the last row available at each moment, -1 where there is none."""
    return np.asarray(np.searchsorted(available, at, side="right") - 1, dtype=np.int64)


def is_fresh(available: Int64Array1D, newest: Int64Array1D, at: Int64Array1D) -> BoolArray1D:
    """Return where the newest row is younger than three of the series' steps or one day.

    The step is the median of the last three known at that moment, so that an outage does not count.

    Parameters
    ----------
    available : ndarray of int64, shape (n,), n > 0
        When each row became known, microseconds, increasing.
    newest : ndarray of int64, shape (m,)
        From `newest_known`.
    at : ndarray of int64, shape (m,)
        The moments asked about.
    """
    limit = np.full(len(newest), DAY_US, dtype=np.int64)
    if len(available) > 1:
        steps = np.diff(available)
        padded = np.concatenate([np.repeat(steps[:1], 2), steps])
        typical = np.median(np.stack([padded[2:], padded[1:-1], padded[:-2]]), axis=0)
        known = typical[np.maximum(newest - 1, 0)].astype(np.int64)
        limit = np.where(newest > 0, np.maximum(_STALE_STEPS * known, DAY_US), DAY_US)
    return (newest >= 0) & (at - available[np.maximum(newest, 0)] < limit)


def sum_between(
    at: Int64Array1D, values: Float64Array1D, opens: Int64Array1D, closes: Int64Array1D
) -> Float64Array1D:
    """Return the sum of the values with open < at <= close of each bar, 0 where there are none.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        Moments, increasing.
    values : ndarray of float64, shape (n,)
    opens, closes : ndarray of int64, shape (m,)
        Bars that do not overlap, increasing.
    """
    first = np.searchsorted(at, opens, side="right")
    last = np.searchsorted(at, closes, side="right")
    out = np.zeros(len(opens))
    filled = np.flatnonzero(last > first)
    if len(filled):
        edges = np.stack([first[filled], last[filled]], axis=1).ravel()
        # The zero lets an edge stand at the end; it is in none of the sums that are kept.
        out[filled] = np.add.reduceat(np.append(values, 0.0), edges)[::2]
    return out


def runs_of(series: Int64Array1D) -> list[Run]:
    """Return the stretches of bars that use one series, in order."""
    edges = np.flatnonzero(np.diff(series)) + 1
    starts = np.concatenate([[0], edges])
    stops = np.concatenate([edges, [len(series)]])
    return [Run(int(series[a]), int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def chain(values: Sequence[Float64Array1D], runs: Sequence[Run]) -> Float64Array1D:
    """Join series end to end, each rescaled to the level of the one before when it takes over.

    The factor is fixed at the close of the first bar that uses the new series, from what both
    series said then; the change within that bar is the old one's. Where no series is in use the
    last level stands.

    Parameters
    ----------
    values : sequence of ndarray of float64, shape (n,)
        Each series as known at each bar's close; finite where it is in use.
    runs : sequence of Run
        From `runs_of`.
    """
    level = np.full(len(values[0]), np.nan)
    before: Run | None = None
    factor = 1.0
    for run in runs:
        if run.number >= 0 and before is not None and run.number != before.number:
            old = factor * values[before.number][run.start]
            factor = old / values[run.number][run.start]
        if run.number >= 0:
            level[run.start : run.stop] = factor * values[run.number][run.start : run.stop]
            before = run
        elif before is not None:
            level[run.start : run.stop] = level[run.start - 1]
    return level
