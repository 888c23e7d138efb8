"""When rows are missing, or stand still: runs and gaps on plain arrays of times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ..naming import DAY_US, HOUR_US
from ..panel import BoolArray1D, Float64Array1D, Int64Array1D
from .finding import Hit
from .stretches import Stretch

_NEIGHBOURS: Final = 7
_TOLERANCE: Final = 1.5
"""Steps from which on something is missing."""


def moment(us: int) -> str:
    """Return a time to the minute, UTC."""
    return str(np.datetime_as_string(np.datetime64(int(us), "us"), unit="m")).replace("T", " ")


def duration(us: float) -> str:
    """Return a length of time in words.

    Examples
    --------
    >>> duration(5_400_000_000), duration(3 * 86_400_000_000), duration(300_000_000)
    ('1.5 hours', '3 days', '5 minutes')
    """
    unit, name = 60_000_000, "minute"
    if us >= HOUR_US:
        unit, name = (DAY_US, "day") if us >= 2 * DAY_US else (HOUR_US, "hour")
    count = f"{us / unit:.3g}"
    return f"{count} {name}" if count == "1" else f"{count} {name}s"


def local_steps(ts: Int64Array1D) -> Float64Array1D:
    """Return the usual time between rows around each step, shape (n - 1,), microseconds.

    The median of a few neighbours: a series may change from days to hours.
    """
    steps = np.diff(ts).astype(np.float64)
    if len(steps) <= _NEIGHBOURS:
        return np.full(len(steps), float(np.median(steps)) if len(steps) else 0.0)
    # Mirrored at the ends: repeated, a gap at the edge of a stretch would look usual.
    padded = np.pad(steps, _NEIGHBOURS // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS)
    return np.asarray(np.median(windows, axis=1))


def gaps(kind: str, ts: Int64Array1D, *, step_us: int | None = None) -> list[Hit]:
    """Return the rows that are missing between those present.

    Parameters
    ----------
    kind : str
    ts : ndarray of int64, shape (n,)
        Increasing, UTC microseconds.
    step_us : int, optional
        Time between two rows; what is usual around each by default.
    """
    if len(ts) < 2:
        return []
    steps = np.diff(ts).astype(np.float64)
    usual = local_steps(ts) if step_us is None else np.full(len(steps), float(step_us))
    wide = np.flatnonzero((steps > _TOLERANCE * usual) & (usual > 0.0))
    if len(wide) == 0:
        return []
    missing = np.rint(steps[wide] / usual[wide]).astype(np.int64) - 1
    longest = wide[np.argmax(steps[wide])]
    worst = steps[longest] - usual[longest]
    first_missing = int(ts[longest] + usual[longest])
    return [
        Hit(
            kind=kind,
            count=int(np.maximum(missing, 1).sum()),
            first_us=int(ts[wide[0]] + usual[wide[0]]),
            last_us=int(ts[wide[-1] + 1] - usual[wide[-1]]),
            example=f"{duration(worst)} from {moment(first_missing)}",
            worst=float(worst),
        )
    ]


def runs(mask: BoolArray1D) -> tuple[Int64Array1D, Int64Array1D]:
    """Return where stretches of a mask start, and where they stop (exclusive)."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return starts.astype(np.int64), stops.astype(np.int64)


def long_runs(
    kind: str,
    ts: Int64Array1D,
    mask: BoolArray1D,
    *,
    least_rows: int,
    least_us: float,
    words: Callable[[int], str],
) -> list[Hit]:
    """Return the stretches of a mask that are long enough, by rows and by time.

    Parameters
    ----------
    kind : str
    ts : ndarray of int64, shape (n,)
    mask : ndarray of bool, shape (n,)
    least_rows : int
    least_us : float
        From the row before a stretch to its last.
    words : callable
        Says of a row what stood still in it.
    """
    starts, stops = runs(mask)
    lasted = ts[stops - 1] - ts[np.maximum(starts - 1, 0)]
    kept = (stops - starts >= least_rows) & (lasted >= least_us)
    if not kept.any():
        return []
    starts, stops, lasted = starts[kept], stops[kept], lasted[kept]
    longest = int(np.argmax(lasted))
    at = int(starts[longest])
    return [
        Hit(
            kind=kind,
            count=int((stops - starts).sum()),
            first_us=int(ts[starts[0]]),
            last_us=int(ts[stops[-1] - 1]),
            example=f"{duration(float(lasted[longest]))} from {moment(int(ts[at]))}: {words(at)}",
            worst=float(lasted[longest]),
        )
    ]


def marked(
    kind: str,
    stretch: Stretch,
    mask: BoolArray1D,
    *,
    worst: Float64Array1D,
    words: Callable[[int], str],
) -> list[Hit]:
    """Return the rows of a mask, the one with the highest `worst` as the example."""
    found = stretch.own(mask)
    if len(found) == 0:
        return []
    at = int(found[np.argmax(worst[found])])
    return [
        Hit(
            kind=kind,
            count=len(found),
            first_us=int(stretch.ts[found[0]]),
            last_us=int(stretch.ts[found[-1]]),
            example=f"{moment(int(stretch.ts[at]))}: {words(at)}",
            worst=float(worst[at]),
        )
    ]
