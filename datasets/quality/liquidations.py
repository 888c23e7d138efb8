"""Checks of printed liquidations: silence, zeros, and prices and values that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..naming import DAY_US, HOUR_US, timeframe_us
from ..panel import BoolArray1D, Float64Array1D, Int64Array1D
from ..schemas import EVENTS
from .bars import Whole
from .clock import clock_shifts
from .finding import Hit
from .stretches import Stretch
from .times import duration, long_runs, marked, moment

COLUMNS: Final = ("side", "price", "average_price", "quantity", "notional", "seq")
_OFF_PRICE: Final = 0.005
_ZONES: Final = 14
_LEAST_ROWS: Final = 30
_LEAST_GAIN: Final = 0.2


def check_liquidations(
    rows: Stretch, timeframe: str, prices: Whole | None, *, same_venue: bool
) -> Iterator[Hit]:
    """Yield what is wrong with a stretch of liquidations.

    Parameters
    ----------
    rows : Stretch
    timeframe : str
    prices : Whole, optional
        Bars of the coin.
    same_venue : bool
        Whether those are of the venue whose liquidations these are.
    """
    yield from _silence(rows, timeframe)
    yield from _equal(rows)
    if timeframe != EVENTS:
        yield from _sums(rows, timeframe)
    if prices is None or len(prices.ts) < 2:
        return
    yield from _off_price(rows, prices)
    if same_venue:
        yield from _above_volume(rows, prices, timeframe)
    if timeframe == EVENTS:
        yield from _clock_of_events(rows, prices)
    else:
        yield from _clock_of_sums(rows, timeframe, prices)


def _silence(rows: Stretch, timeframe: str) -> Iterator[Hit]:
    patience = DAY_US if timeframe == EVENTS else max(DAY_US, timeframe_us(timeframe))
    steps = np.diff(rows.ts)
    wide = np.flatnonzero(steps > patience)
    if len(wide) == 0:
        return
    longest = int(wide[np.argmax(steps[wide])])
    yield Hit(
        kind="silence",
        count=int((steps[wide] // DAY_US).sum()),
        first_us=int(rows.ts[wide[0]]),
        last_us=int(rows.ts[wide[-1] + 1]),
        example=f"{duration(float(steps[longest]))} from {moment(int(rows.ts[longest]))}",
        worst=float(steps[longest]),
    )


def _equal(rows: Stretch) -> Iterator[Hit]:
    again = rows.number("seq") > 0.0
    yield from marked(
        "equal liquidations",
        rows,
        again,
        worst=rows.number("seq"),
        words=lambda at: (
            f"{int(rows.number('seq')[at]) + 1} orders of {rows.number('notional')[at]:,.6g}"
        ),
    )


def _by_moment(rows: Stretch) -> tuple[Int64Array1D, Float64Array1D, Float64Array1D]:
    """Return the moments, and what was liquidated at each: longs, shorts."""
    ts, place = np.unique(rows.ts, return_inverse=True)
    is_long = rows.columns["side"] == "long"
    notional = rows.number("notional")
    longs = np.bincount(place, np.where(is_long, notional, 0.0), len(ts)).astype(np.float64)
    shorts = np.bincount(place, np.where(is_long, 0.0, notional), len(ts)).astype(np.float64)
    return ts, longs, shorts


def _sums(rows: Stretch, timeframe: str) -> Iterator[Hit]:
    ts, longs, shorts = _by_moment(rows)
    yield from long_runs(
        "zero liquidations",
        ts,
        (longs == 0.0) & (shorts == 0.0),
        least_rows=2,
        least_us=max(DAY_US, 2 * timeframe_us(timeframe)),
        words=lambda _: "0 of longs and shorts",
    )
    same = np.zeros(len(ts), dtype=bool)
    same[1:] = (np.diff(longs) == 0.0) & (np.diff(shorts) == 0.0) & (longs[1:] + shorts[1:] > 0.0)
    yield from marked(
        "repeated liquidations",
        Stretch(ts=ts, columns={}, lead=min(rows.lead, 1)),
        same,
        worst=longs + shorts,
        words=lambda at: f"{longs[at]:,.6g} of longs, {shorts[at]:,.6g} of shorts",
    )


def _bar_of(ts: Int64Array1D, prices: Whole) -> tuple[Int64Array1D, BoolArray1D]:
    step = int(np.median(np.diff(prices.ts)))
    bar = np.maximum(np.searchsorted(prices.ts, ts, side="right") - 1, 0)
    inside = (ts >= prices.ts[bar]) & (ts < prices.ts[bar] + step)
    return bar.astype(np.int64), inside


def _price(rows: Stretch) -> Float64Array1D:
    """Return the price at which each was filled; the limit price may lie outside of every trade."""
    average = rows.number("average_price")
    return np.where(np.isfinite(average), average, rows.number("price"))


def _away(price: Float64Array1D, ts: Int64Array1D, prices: Whole) -> Float64Array1D:
    bar, inside = _bar_of(ts, prices)
    away = np.fmax(price / prices.high[bar], prices.low[bar] / price) - 1.0
    return np.where(inside, away, np.nan)


def _off_price(rows: Stretch, prices: Whole) -> Iterator[Hit]:
    price = _price(rows)
    away = _away(price, rows.ts, prices)
    bar, _ = _bar_of(rows.ts, prices)
    yield from marked(
        "liquidation off price",
        rows,
        away > _OFF_PRICE,
        worst=np.nan_to_num(away),
        words=lambda at: (
            f"at {price[at]:,.8g}, the bar {prices.low[bar[at]]:,.8g} to {prices.high[bar[at]]:,.8g}"
        ),
    )


def _above_volume(rows: Stretch, prices: Whole, timeframe: str) -> Iterator[Hit]:
    step = int(np.median(np.diff(prices.ts)))
    length = step if timeframe == EVENTS else max(timeframe_us(timeframe), step)
    if length % step:
        return
    traded_at, traded = _summed(prices.ts, prices.volume * prices.close, length)
    forced_at, forced = _summed(rows.ts, rows.number("notional"), length)
    parts = _summed(prices.ts, np.ones(len(prices.ts)), length)[1]
    _, ours, theirs = np.intersect1d(forced_at, traded_at, assume_unique=True, return_indices=True)
    whole = parts[theirs] == length // step
    ratio = np.zeros(len(forced_at))
    ratio[ours] = np.where(
        whole & (traded[theirs] > 0.0), forced[ours] / np.maximum(traded[theirs], 1e-300), 0.0
    )
    yield from marked(
        "liquidations above volume",
        Stretch(ts=forced_at, columns={}, lead=0),
        ratio > 1.0,
        worst=ratio,
        words=lambda at: f"{forced[at]:,.6g} liquidated, {ratio[at]:.3g} times what was traded",
    )


def _summed(
    ts: Int64Array1D, values: Float64Array1D, length: int
) -> tuple[Int64Array1D, Float64Array1D]:
    bucket, place = np.unique(ts // length * length, return_inverse=True)
    return bucket, np.bincount(place, np.nan_to_num(values), len(bucket)).astype(np.float64)


def _clock_of_events(rows: Stretch, prices: Whole) -> Iterator[Hit]:
    """Look, day by day, at which whole hour's shift most orders lie within the bar's range."""
    price = _price(rows)
    days = rows.ts // DAY_US
    for day in np.unique(days[np.isfinite(price)]):
        of_day = (days == day) & np.isfinite(price)
        if of_day.sum() < _LEAST_ROWS:
            continue
        hours = range(-_ZONES, _ZONES + 1)
        share = [
            float(np.mean(_away(price[of_day], rows.ts[of_day] - h * HOUR_US, prices) <= 0.0))
            for h in hours
        ]
        best = int(np.argmax(share))
        stamped = share[_ZONES]
        if hours[best] and share[best] - stamped > _LEAST_GAIN and share[best] > 0.5:
            way = "late" if hours[best] > 0 else "early"
            at = rows.ts[of_day]
            yield Hit(
                kind="clock shift",
                count=int(of_day.sum()),
                first_us=int(at[0]),
                last_us=int(at[-1]),
                example=(
                    f"{moment(int(at[0]))[:10]}: {share[best]:.0%} of the orders lie within the bar's range "
                    f"as if stamped {abs(hours[best])} hours too {way}, as stamped {stamped:.0%}"
                ),
                worst=share[best] - stamped,
            )


def _clock_of_sums(rows: Stretch, timeframe: str, prices: Whole) -> Iterator[Hit]:
    """Longs are liquidated in the bars in which price falls."""
    step = timeframe_us(timeframe)
    bar_step = int(np.median(np.diff(prices.ts)))
    if step % bar_step or step >= DAY_US:
        return
    ts, longs, shorts = _by_moment(rows)
    both = longs + shorts
    lean = np.divide(shorts - longs, both, out=np.full(len(ts), np.nan), where=both > 0.0)
    bucket = prices.ts // step * step
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[:1] - 1))
    stops = np.append(starts[1:], len(bucket))
    move = np.log(prices.close[stops - 1] / prices.open[starts])
    rank = np.sign(move) * np.sqrt(np.abs(move))
    yield from clock_shifts("which side was liquidated", step, (ts, lean), (bucket[starts], rank))
