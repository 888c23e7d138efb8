"""Clocks: whether a series fits the price best at the time at which it is stamped.

Two series that hang together are correlated at every shift of whole steps up to three and of whole
hours up to fourteen (the farthest time zone). A shift is told only where the best one is clearly better
than none, by Fisher's z and by size, for most clocks are right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from ..naming import HOUR_US
from ..panel import Float64Array1D, Int64Array1D
from .finding import Hit
from .times import duration, moment

_ZONES: Final = 14
_STEPS: Final = 3
_LEAST_PAIRS: Final = 150
_LEAST_GAIN: Final = 0.2
_LEAST_FIT: Final = 0.25
_LEAST_Z: Final = 6.0


class Fit(NamedTuple):
    """How two series fit at the best shift, and at none."""

    late_steps: int
    best: float
    stamped: float
    pairs: int


def shifts(step_us: int) -> list[int]:
    """Return the shifts tried, in steps: a few steps, and whole hours as far as time zones reach.

    Examples
    --------
    >>> shifts(8 * 3_600_000_000)
    [-3, -2, -1, 0, 1, 2, 3]
    """
    zones = [
        h * HOUR_US // step_us for h in range(-_ZONES, _ZONES + 1) if h * HOUR_US % step_us == 0
    ]
    return sorted({*range(-_STEPS, _STEPS + 1), *zones})


def best_fit(one: Float64Array1D, other: Float64Array1D, late: Sequence[int]) -> Fit:
    """Return at which shift two series on one grid are correlated most.

    Parameters
    ----------
    one, other : ndarray of float64, shape (n,)
        Regular steps; NaN where unknown.
    late : sequence of int
        Steps by which `one` may come after `other`.
    """
    fits = [_correlation(one, other, k) for k in late]
    stamped, pairs = fits[list(late).index(0)]
    place = int(np.argmax([value for value, _ in fits]))
    return Fit(late[place], fits[place][0], stamped, min(pairs, fits[place][1]))


def _correlation(one: Float64Array1D, other: Float64Array1D, late: int) -> tuple[float, int]:
    a = one[late:] if late >= 0 else one[:late]
    b = other[: len(other) - late] if late >= 0 else other[-late:]
    both = np.isfinite(a) & np.isfinite(b)
    pairs = int(both.sum())
    if pairs < _LEAST_PAIRS:
        return -1.0, pairs
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return (float(x @ y) / scale if scale > 0.0 else -1.0), pairs


def clock_shifts(
    what: str,
    step_us: int,
    one: tuple[Int64Array1D, Float64Array1D],
    other: tuple[Int64Array1D, Float64Array1D],
) -> Iterator[Hit]:
    """Yield the months (or the whole stretch, where months are short) in which a clock is off.

    Parameters
    ----------
    what : str
        What is compared, for the example.
    step_us : int
        Of the grid, microseconds.
    one, other : tuple of ndarray, shape (n,) and (m,)
        Times on the grid and values of the series that is judged, and of the one that it is held to.
    """
    if min(len(one[0]), len(other[0])) < _LEAST_PAIRS:
        return
    start = min(int(one[0][0]), int(other[0][0]))
    length = (max(int(one[0][-1]), int(other[0][-1])) - start) // step_us + 1
    a, b = (_on_grid(series, start, step_us, length) for series in (one, other))
    late = shifts(step_us)
    for begin, end in _windows(start, step_us, length):
        fit = best_fit(a[begin:end], b[begin:end], late)
        if _is_off(fit):
            yield _hit(
                what,
                step_us,
                fit,
                start + begin * step_us,
                start + (end - 1) * step_us,
                a[begin:end],
            )


def _on_grid(
    series: tuple[Int64Array1D, Float64Array1D], start: int, step_us: int, length: int
) -> Float64Array1D:
    out = np.full(length, np.nan)
    out[(series[0] - start) // step_us] = series[1]
    return out


def _windows(start: int, step_us: int, length: int) -> Iterator[tuple[int, int]]:
    times = start + step_us * np.arange(length, dtype=np.int64)
    months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    edges = [0, *(np.flatnonzero(np.diff(months)) + 1).tolist(), length]
    usual = 30 * 24 * HOUR_US // step_us
    if usual < 2 * _LEAST_PAIRS:
        yield 0, length
        return
    yield from itertools.pairwise(edges)


def _is_off(fit: Fit) -> bool:
    if fit.late_steps == 0 or fit.pairs < _LEAST_PAIRS or fit.best < _LEAST_FIT:
        return False
    clip = 1.0 - 1e-6
    z = np.arctanh(min(fit.best, clip)) - np.arctanh(np.clip(fit.stamped, -clip, clip))
    return bool(
        fit.best - fit.stamped > _LEAST_GAIN and z * np.sqrt((fit.pairs - 3) / 2.0) > _LEAST_Z
    )


def _hit(
    what: str, step_us: int, fit: Fit, first_us: int, last_us: int, values: Float64Array1D
) -> Hit:
    way = "late" if fit.late_steps > 0 else "early"
    return Hit(
        kind="clock shift",
        count=int(np.isfinite(values).sum()),
        first_us=first_us,
        last_us=last_us,
        example=(
            f"from {moment(first_us)[:10]} to {moment(last_us)[:10]} {what} fits best as if stamped "
            f"{duration(abs(fit.late_steps) * step_us)} too {way}: correlation {fit.best:.2f}, as stamped "
            f"{fit.stamped:.2f}"
        ),
        worst=fit.best - fit.stamped,
    )
