"""How much of each day a series covers, for a calendar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..naming import DAY_US
from ..panel import Float64Array1D, Int64Array1D


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """The covered share of each UTC day from a series' first to its last.

    Attributes
    ----------
    first_day : int
        Days since 1970.
    share : ndarray of float64, shape (d,)
        0 to 1; of the rows that the step lets expect, or where quiet times leave no rows, 1 for a day
        with any.
    """

    first_day: int
    share: Float64Array1D


class DayCounts:
    """Counts rows by UTC day, one stretch of a series after another.

    Parameters
    ----------
    first_us, last_us : int
        The first and the last row's time, UTC microseconds.
    """

    def __init__(self, first_us: int, last_us: int) -> None:
        self.first_us, self.last_us = first_us, last_us
        self.first_day = first_us // DAY_US
        self.rows: Int64Array1D = np.zeros(last_us // DAY_US - self.first_day + 1, dtype=np.int64)

    def add(self, ts: Int64Array1D) -> None:
        """Count rows by their times, UTC microseconds."""
        days = ts // DAY_US - self.first_day
        self.rows += np.bincount(days, minlength=len(self.rows))

    def coverage(self, step_us: Int64Array1D | int | None) -> Coverage:
        """Return the covered shares; of the first and the last day, of the part that the series spans.

        Parameters
        ----------
        step_us : int or ndarray of int64, shape (d,), or None
            Time between two rows, where it changed day by day; None where quiet times leave no rows.
        """
        if step_us is None:
            share = (self.rows > 0).astype(np.float64)
            return Coverage(first_day=self.first_day, share=share)
        step = np.broadcast_to(np.asarray(step_us, dtype=np.float64), self.rows.shape)
        share = np.minimum(self.rows * step / self._spanned(step), 1.0)
        return Coverage(first_day=self.first_day, share=_spread(share, self.rows, step))

    def _spanned(self, step: NDArray[np.float64]) -> Float64Array1D:
        starts = (self.first_day + np.arange(len(self.rows))) * float(DAY_US)
        start = np.maximum(starts, self.first_us)
        end = np.minimum(starts + DAY_US, self.last_us + step)
        return np.asarray(np.maximum(end - start, 1.0))


def _spread(share: Float64Array1D, rows: Int64Array1D, step: NDArray[np.float64]) -> Float64Array1D:
    """Let a row whose step is longer than a day cover the days up to the next."""
    out = share.copy()
    for day in np.flatnonzero((step > DAY_US) & (rows > 0)):
        out[day : day + int(np.ceil(step[day] / DAY_US))] = 1.0
    return out
