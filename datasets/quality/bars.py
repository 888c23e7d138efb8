"""Checks of bars: against themselves, the mark price, and the same bars at another timeframe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..naming import timeframe_us
from ..panel import BoolArray1D, Float64Array1D, Int64Array1D
from ..validation import grid_origin_us
from .finding import Hit
from .stretches import Stretch
from .times import gaps, long_runs, marked

PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = (*PRICES, "volume", "quote_volume", "taker_buy_volume")

_LEAST_LEAP: Final = 0.03
_LEAP_OVER_USUAL: Final = 20.0
_COMES_BACK: Final = 0.2
_HOUR_US: Final = timeframe_us("1h")
_NEAR_MARK: Final = 0.01
_FAR_FROM_MARK: Final = 0.01
_WICK_BEYOND: Final = 0.03
_PRICE_TOLERANCE: Final = 1e-4
_VOLUME_TOLERANCE: Final = 0.01
_VALUE_TOLERANCE: Final = 2e-3


def check_bars(rows: Stretch, timeframe: str) -> Iterator[Hit]:
    """Yield what is wrong with a stretch of bars, seen by themselves."""
    yield from gaps("missing bars", rows.ts, step_us=timeframe_us(timeframe))
    yield from _repeated(rows)
    yield from _no_trade(rows)
    yield from _values(rows)


def check_mark_bars(rows: Stretch, timeframe: str) -> Iterator[Hit]:
    """Yield what is wrong with a stretch of mark-price bars."""
    yield from gaps("missing mark bars", rows.ts, step_us=timeframe_us(timeframe))
    same = _as_before(rows, PRICES) & (rows.number("high") > rows.number("low"))
    yield from marked(
        "repeated bars", rows, same, worst=same.astype(np.float64), words=_prices_of(rows)
    )


def _as_before(rows: Stretch, names: tuple[str, ...]) -> BoolArray1D:
    same = np.ones(len(rows), dtype=bool)
    same[:1] = False
    for name in names:
        values = rows.number(name)
        same[1:] &= values[1:] == values[:-1]
    return same


def _repeated(rows: Stretch) -> Iterator[Hit]:
    # Small orders can leave two flat bars alike; a bar that moved does not come twice.
    same = _as_before(rows, (*PRICES, "volume")) & (rows.number("volume") > 0.0)
    same &= rows.number("high") > rows.number("low")
    yield from marked(
        "repeated bars", rows, same, worst=same.astype(np.float64), words=_prices_of(rows)
    )


def _prices_of(rows: Stretch) -> Callable[[int], str]:
    return lambda at: ", ".join(f"{name} {rows.number(name)[at]:,.10g}" for name in PRICES)


def _no_trade(rows: Stretch) -> Iterator[Hit]:
    step = float(np.median(np.diff(rows.ts))) if len(rows) > 1 else 0.0
    yield from long_runs(
        "no trade",
        rows.ts,
        rows.number("volume") == 0.0,
        least_rows=3,
        least_us=max(_HOUR_US, 3 * step),
        words=lambda at: f"close {rows.number('close')[at]:,.10g}",
    )


def spikes(rows: Stretch, mark: Whole | None) -> Iterator[Hit]:
    """Yield closes that leap and come straight back, where the mark price did not go along."""
    if len(rows) < 4:
        return
    move = np.diff(np.log(rows.number("close")))
    usual = float(np.median(np.abs(move)))
    leap = np.abs(move) > max(_LEAST_LEAP, _LEAP_OVER_USUAL * usual)
    there = np.zeros(len(rows), dtype=bool)
    back = np.abs(move[:-1] + move[1:]) < _COMES_BACK * np.abs(move[:-1])
    there[1:-1] = leap[:-1] & back
    if mark is not None:
        there &= ~_was_marked(rows, mark)
    size = np.zeros(len(rows))
    size[1:] = np.abs(move)
    close = rows.number("close")
    yield from marked(
        "price spike",
        rows,
        there,
        worst=size,
        words=lambda at: f"{close[at - 1]:,.10g}, {close[at]:,.10g}, {close[at + 1]:,.10g}",
    )


def _was_marked(rows: Stretch, mark: Whole) -> BoolArray1D:
    """Return whether the mark price came near a bar's close, in the bar of its own that holds it."""
    if len(mark.ts) < 2:
        return np.zeros(len(rows), dtype=bool)
    at = np.maximum(np.searchsorted(mark.ts, rows.ts, side="right") - 1, 0)
    step = int(np.median(np.diff(mark.ts)))
    inside = (rows.ts >= mark.ts[at]) & (rows.ts < mark.ts[at] + step)
    close = rows.number("close")
    near = (close >= mark.low[at] * (1.0 - _NEAR_MARK)) & (
        close <= mark.high[at] * (1.0 + _NEAR_MARK)
    )
    return np.asarray(inside & near)


def _values(rows: Stretch) -> Iterator[Hit]:
    volume, quote = rows.number("volume"), rows.number("quote_volume")
    taker = rows.number("taker_buy_volume")
    mean = np.divide(quote, volume, out=np.full(len(rows), np.nan), where=volume > 0.0)
    low = rows.number("low") * (1.0 - _VALUE_TOLERANCE)
    high = rows.number("high") * (1.0 + _VALUE_TOLERANCE)
    off = np.abs(np.log(np.where(mean > 0.0, mean, np.nan) / rows.number("close")))
    yield from marked(
        "quote volume",
        rows,
        (mean < low) | (mean > high),
        worst=np.nan_to_num(off),
        words=lambda at: (
            f"value over quantity is {mean[at]:,.6g}, the close {rows.number('close')[at]:,.6g}"
        ),
    )
    excess = np.divide(taker, volume, out=np.zeros(len(rows)), where=volume > 0.0)
    yield from marked(
        "taker volume",
        rows,
        taker > volume * (1.0 + 1e-9),
        worst=np.nan_to_num(excess),
        words=lambda at: f"takers bought {taker[at]:,.6g} of {volume[at]:,.6g}",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """Bars made of finer ones, those alone of which no part is missing; shape (m,) each."""

    ts: Int64Array1D
    open: Float64Array1D
    high: Float64Array1D
    low: Float64Array1D
    close: Float64Array1D
    volume: Float64Array1D


def made_of(rows: Stretch, part_us: int, step_us: int) -> Whole:
    """Make bars of length `step_us` of those of length `part_us`."""
    if len(rows) == 0:
        none = np.zeros(0)
        return Whole(rows.ts, none, none, none, none, none)
    origin = grid_origin_us(step_us)
    bucket = (rows.ts - origin) // step_us
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[:1] - 1))
    stops = np.append(starts[1:], len(rows))
    whole = stops - starts == step_us // part_us
    volume = rows.number("volume") if "volume" in rows.columns else np.full(len(rows), np.nan)
    return Whole(
        ts=(bucket[starts] * step_us + origin)[whole],
        open=rows.number("open")[starts][whole],
        high=np.maximum.reduceat(rows.number("high"), starts)[whole],
        low=np.minimum.reduceat(rows.number("low"), starts)[whole],
        close=rows.number("close")[stops - 1][whole],
        volume=np.add.reduceat(volume, starts)[whole],
    )


def _alike(rows: Stretch, other: Whole) -> tuple[Int64Array1D, Int64Array1D]:
    _, ours, theirs = np.intersect1d(rows.ts, other.ts, assume_unique=True, return_indices=True)
    return np.asarray(ours, dtype=np.int64), np.asarray(theirs, dtype=np.int64)


def _on_rows(rows: Stretch, ours: Int64Array1D, values: Float64Array1D) -> Float64Array1D:
    out = np.full(len(rows), np.nan)
    out[ours] = values
    return out


def against_mark(rows: Stretch, mark: Whole) -> Iterator[Hit]:
    """Yield where bars and the mark price's bars of the same length are far apart."""
    ours, theirs = _alike(rows, mark)
    close = _on_rows(rows, ours, mark.close[theirs])
    high = _on_rows(rows, ours, mark.high[theirs])
    low = _on_rows(rows, ours, mark.low[theirs])
    away = np.abs(np.log(rows.number("close") / close))
    yield from marked(
        "close far from mark",
        rows,
        away > _FAR_FROM_MARK,
        worst=np.nan_to_num(away),
        words=lambda at: f"close {rows.number('close')[at]:,.10g}, mark {close[at]:,.10g}",
    )
    beyond = np.fmax(rows.number("high") / high, low / rows.number("low")) - 1.0
    yield from marked(
        "wick beyond mark",
        rows,
        beyond > _WICK_BEYOND,
        worst=np.nan_to_num(beyond),
        words=lambda at: (
            f"{rows.number('low')[at]:,.10g} to {rows.number('high')[at]:,.10g}, mark "
            f"{low[at]:,.10g} to {high[at]:,.10g}"
        ),
    )


def against_finer(rows: Stretch, finer: Whole, name: str) -> Iterator[Hit]:
    """Yield where bars are not those that a finer series makes."""
    ours, theirs = _alike(rows, finer)
    worst = np.zeros(len(rows))
    for column in PRICES:
        other = getattr(finer, column)[theirs]
        away = np.abs(np.log(rows.number(column)[ours] / other))
        worst[ours] = np.fmax(worst[ours], np.where(away > _PRICE_TOLERANCE, away, 0.0))
    made = _on_rows(rows, ours, finer.close[theirs])
    volume = _on_rows(rows, ours, finer.volume[theirs])
    given = rows.number("volume")
    apart = np.abs(given - volume) / np.maximum(np.maximum(given, volume), 1e-300)
    worst = np.fmax(worst, np.where(apart > _VOLUME_TOLERANCE, apart, 0.0))
    yield from marked(
        "timeframes disagree",
        rows,
        worst > 0.0,
        worst=worst,
        words=lambda at: (
            f"close {rows.number('close')[at]:,.10g} and volume {given[at]:,.6g}; made of {name} "
            f"{made[at]:,.10g} and {volume[at]:,.6g}"
        ),
    )


def moves(bars: Whole) -> tuple[Int64Array1D, Float64Array1D]:
    """Return the log return of each bar whose predecessor is there, by its open."""
    move = np.diff(np.log(bars.close))
    next_to = (
        np.diff(bars.ts) == np.min(np.diff(bars.ts)) if len(bars.ts) > 1 else np.array([], bool)
    )
    return bars.ts[1:][next_to], move[next_to]
