"""What is fitted to the past and holds until it is fitted again: the calendar, and quantiles of the past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from ...datasets.naming import HOUR_US
from ...datasets.panel import Float64Array1D, Int64Array1D, Panel
from .market import bars_in

FIRST_FIT_DAYS: Final = 7
_EVERY_DAYS: Final = 7
_MEMORY_DAYS: Final = 180


class Fit(NamedTuple):
    """One fit: it looks at the bars of `past` and holds from bar `start` to before bar `stop`."""

    past: Int64Array1D
    start: int
    stop: int


def weekly_fits(panel: Panel) -> Iterator[Fit]:
    """Yield the fits of a panel: after the first week and each week from then on.

    Notes
    -----
    Look-ahead: the calendar is counted in bars from the panel's first, and a fit looks at bars before those
    for which it holds, at hourly ones where bars are shorter, of the last 180 days.
    """
    hourly = hourly_rows(panel)
    memory = bars_in(panel, 24.0 * _MEMORY_DAYS)
    every = bars_in(panel, 24.0 * _EVERY_DAYS)
    for start in range(bars_in(panel, 24.0 * FIRST_FIT_DAYS), len(panel), every):
        begin, end = np.searchsorted(hourly, [start - memory, start])
        yield Fit(hourly[begin:end], start, min(start + every, len(panel)))


def hourly_rows(panel: Panel) -> Int64Array1D:
    """Return the bars that close on the hour; all of them where bars are an hour or longer."""
    if panel.bar_us >= HOUR_US:
        return np.arange(len(panel))
    return np.flatnonzero(panel.close_ts % HOUR_US == 0)


def past_group(panel: Panel, values: Float64Array1D, groups: int) -> Int64Array1D:
    """Return to which of equally large groups of its own past each value belongs, shape (n,).

    0 for the lowest; -1 where the value or its past is not known.
    """
    group = np.full(len(panel), -1)
    share = np.arange(1, groups) / groups
    for fit in weekly_fits(panel):
        past = values[fit.past]
        past = past[np.isfinite(past)]
        if len(past) < groups:
            continue
        now = values[fit.start : fit.stop]
        found = np.searchsorted(np.quantile(past, share), now, side="right")
        group[fit.start : fit.stop] = np.where(np.isfinite(now), found, -1)
    return group
