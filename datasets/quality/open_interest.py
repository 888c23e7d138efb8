"""Checks of open interest: by itself, and against the price and the volume of its moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..naming import HOUR_US
from ..panel import Float64Array1D, Int64Array1D
from .bars import Whole
from .clock import clock_shifts
from .finding import Hit
from .stretches import Stretch
from .times import gaps, long_runs, marked

COLUMNS: Final = ("oi_base", "oi_quote")
_STANDS_STILL_ROWS: Final = 6
_LEAST_JUMP: Final = 0.1
_JUMP_OVER_USUAL: Final = 30.0
_COMES_BACK: Final = 0.2
_PRICE_TOLERANCE: Final = 0.03
_WRONG_UNIT: Final = 1.5


def check_open_interest(rows: Stretch, prices: Whole | None) -> Iterator[Hit]:
    """Yield what is wrong with a stretch of open interest; `prices` are bars of the same coin."""
    yield from gaps("missing open interest", rows.ts)
    level = _level(rows, prices)
    yield from _still(rows)
    yield from _jumps(rows, level)
    if prices is not None and len(prices.ts):
        yield from _implied_price(rows, prices)
        yield from _clock(rows, prices)


def _level(rows: Stretch, prices: Whole | None) -> Float64Array1D:
    """Return coins where they are given, else money over the price where there is one, else money."""
    base, quote = rows.number("oi_base"), rows.number("oi_quote")
    if np.isfinite(base).any():
        return base
    if prices is None or not len(prices.ts):
        return quote
    bar = np.searchsorted(prices.ts, rows.ts, side="right") - 1
    price = np.where(bar >= 0, prices.open[np.maximum(bar, 0)], np.nan)
    return np.asarray(quote / price)


def _still(rows: Stretch) -> Iterator[Hit]:
    base, quote = rows.number("oi_base"), rows.number("oi_quote")
    same = np.zeros(len(rows), dtype=bool)
    value = np.where(np.isfinite(base), base, quote)
    same[1:] = value[1:] == value[:-1]
    yield from long_runs(
        "repeated open interest",
        rows.ts,
        same,
        least_rows=_STANDS_STILL_ROWS,
        least_us=HOUR_US,
        words=lambda at: f"{value[at]:,.10g}",
    )


def _jumps(rows: Stretch, level: Float64Array1D) -> Iterator[Hit]:
    if len(rows) < 4:
        return
    move = np.diff(np.log(np.where(level > 0.0, level, np.nan)))
    size = np.zeros(len(rows))
    size[1:] = np.nan_to_num(np.abs(move))
    known = np.abs(move[np.isfinite(move)])
    usual = float(np.median(known)) if len(known) else 0.0
    leap = size > max(_LEAST_JUMP, _JUMP_OVER_USUAL * usual)
    back = np.zeros(len(rows), dtype=bool)
    back[1:-1] = np.abs(move[:-1] + move[1:]) < _COMES_BACK * np.abs(move[:-1])
    returning = np.concatenate([[False], (leap & back)[:-1]])

    def words(at: int) -> str:
        return f"from {level[at - 1]:,.6g} to {level[at]:,.6g}"

    yield from marked("open interest spike", rows, leap & back, worst=size, words=words)
    yield from marked(
        "open interest jump", rows, leap & ~back & ~returning, worst=size, words=words
    )


def _implied_price(rows: Stretch, prices: Whole) -> Iterator[Hit]:
    implied = rows.number("oi_quote") / rows.number("oi_base")
    bar = np.searchsorted(prices.ts, rows.ts, side="right") - 1
    step = _step(prices)
    near = (bar >= 0) & (rows.ts - prices.ts[np.maximum(bar, 0)] <= 2 * step)
    at = np.maximum(bar, 0)
    # Taken at the bar's open, an observation may belong to the one before.
    low = np.minimum(prices.low[at], prices.low[np.maximum(at - 1, 0)])
    high = np.maximum(prices.high[at], prices.high[np.maximum(at - 1, 0)])
    away = np.fmax(implied / high, low / implied) - 1.0
    off = near & (away > _PRICE_TOLERANCE)
    yield from marked(
        "open interest unit",
        rows,
        off,
        worst=np.nan_to_num(away),
        words=lambda k: (
            f"money over coins is {implied[k]:,.6g}, price {prices.close[at[k]]:,.6g}"
            + (f", {implied[k] / prices.close[at[k]]:.4g} times" if away[k] > _WRONG_UNIT else "")
        ),
    )


def _step(prices: Whole) -> int:
    return int(np.median(np.diff(prices.ts))) if len(prices.ts) > 1 else HOUR_US


def _clock(rows: Stretch, prices: Whole) -> Iterator[Hit]:
    """Hold changes of what moves with the price to the price's own changes."""
    quote, base = rows.number("oi_quote"), rows.number("oi_base")
    if not np.isfinite(quote).any():
        yield from _clock_by_volume(rows, prices)
        return
    implied = np.where(np.isfinite(base), quote / base, quote)
    step = max(_step(prices), int(np.median(np.diff(rows.ts))) if len(rows) > 1 else 0)
    yield from clock_shifts(
        "the price in it" if np.isfinite(base).any() else "its value",
        step,
        changes_at(rows.ts, np.log(implied), step),
        changes_at(prices.ts + _step(prices), np.log(prices.close), step),
    )


def _clock_by_volume(rows: Stretch, prices: Whole) -> Iterator[Hit]:
    if not np.isfinite(prices.volume).any():
        return
    step = max(_step(prices), int(np.median(np.diff(rows.ts))) if len(rows) > 1 else 0)
    if step > _step(prices):
        return  # sums of volume over longer steps differ too little from each other
    ts, move = changes_at(rows.ts, np.log(rows.number("oi_base")), step)
    volume = np.log(np.where(prices.volume > 0.0, prices.volume, np.nan))
    yield from clock_shifts("its change", step, (ts, np.abs(move)), (prices.ts + step, volume))


def changes_at(
    ts: Int64Array1D, values: Float64Array1D, step: int
) -> tuple[Int64Array1D, Float64Array1D]:
    """Return the changes from one grid point to the next, by the later one.

    The value at a grid point is the last at or before it, and not a whole step older.
    """
    if len(ts) == 0:
        return ts, values
    grid = np.arange(-(-int(ts[0]) // step), int(ts[-1]) // step + 1, dtype=np.int64) * step
    at = np.searchsorted(ts, grid, side="right") - 1
    known = np.where(
        (at >= 0) & (grid - ts[np.maximum(at, 0)] < step), values[np.maximum(at, 0)], np.nan
    )
    return grid[1:], np.diff(known)
