"""Checks of funding: missing and doubled settlements, units, hours and intervals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..naming import HOUR_US
from .finding import Hit
from .stretches import Stretch
from .times import duration, gaps, local_steps, marked

COLUMNS: Final = ("rate", "interval_hours")
_OUTLIER: Final = 0.01
_USUAL_AT_MOST: Final = 0.002
"""The median of a fraction is about 0.0001 an interval; of a percent, a hundred times that."""
_LATE_AT_MOST: Final = 60_000_000
_LEAST_ROWS: Final = 20


def check_funding(rows: Stretch) -> Iterator[Hit]:
    """Yield what is wrong with a stretch of funding."""
    yield from gaps("missing funding", rows.ts)
    yield from _twice(rows)
    rate = rows.number("rate")
    yield from marked(
        "funding outlier",
        rows,
        np.abs(rate) > _OUTLIER,
        worst=np.abs(rate),
        words=lambda at: f"{rate[at]:+.4%}",
    )
    usual = float(np.median(np.abs(rate)))
    if len(rows) >= _LEAST_ROWS and usual > _USUAL_AT_MOST:
        yield Hit(
            kind="funding in percent",
            count=len(rows),
            first_us=int(rows.ts[0]),
            last_us=int(rows.ts[-1]),
            example=f"half of the rates are beyond {usual:.3%} an interval",
            worst=usual,
        )
    off = np.minimum(rows.ts % HOUR_US, HOUR_US - rows.ts % HOUR_US)
    yield from marked(
        "funding off the hour",
        rows,
        off > _LATE_AT_MOST,
        worst=off.astype(np.float64),
        words=lambda at: f"{duration(float(off[at]))} from a full hour",
    )
    yield from _intervals(rows)


def _twice(rows: Stretch) -> Iterator[Hit]:
    if len(rows) < 3:
        return
    steps = np.diff(rows.ts)
    usual = local_steps(rows.ts)
    close = np.zeros(len(rows), dtype=bool)
    close[1:] = steps < 0.5 * usual
    # A venue may settle more often from one moment on: one short step between two of the usual length,
    # or after a short one nothing until the next, is a second row for one settlement.
    after = np.append(steps, steps[-1:])
    close &= after >= 0.5 * np.append(usual, usual[-1:])
    nearness = np.zeros(len(rows))
    nearness[1:] = 1.0 / np.maximum(steps, 1)
    yield from marked(
        "funding twice",
        rows,
        close,
        worst=nearness,
        words=lambda at: f"{duration(float(steps[at - 1]))} after the one before",
    )


def _intervals(rows: Stretch) -> Iterator[Hit]:
    stated = rows.number("interval_hours") * HOUR_US
    steps = np.full(len(rows), np.nan)
    steps[1:] = np.diff(rows.ts)
    ratio = np.abs(np.log(steps / stated))
    # A missing settlement makes one step some times as long as those around it, which is told as such.
    longer = np.abs(steps / stated - np.rint(steps / stated)) < 0.05
    unusual = np.zeros(len(rows), dtype=bool)
    unusual[1:] = steps[1:] > 1.5 * local_steps(rows.ts)
    wrong = (ratio > 0.2) & ~(longer & unusual)
    yield from marked(
        "funding interval",
        rows,
        wrong,
        worst=np.nan_to_num(ratio),
        words=lambda at: (
            f"stated {duration(stated[at])}, settled {duration(steps[at])} after the one before"
        ),
    )
