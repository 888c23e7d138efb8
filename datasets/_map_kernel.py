"""The accumulation kernel of the liquidation map: sweep, close, open, bar by bar.

What the steps mean stands in ``liquidation_map``, what they do to the state in ``_map_book``; this file
runs them over the bars. A bar costs what it touches and what is measured around the price, not the
size of the book.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ._compiled import compiled_in_place
from ._map_book import (
    LONG,
    LOSING,
    SHORT,
    WINNING,
    Book,
    Grid,
    empty_book,
    enter,
    leave,
    reached_bin,
    reweight,
    shrink,
    sweep,
    total,
    turn,
)
from ._map_measure import measure
from .map_features import TIER_FIELDS, Float64Array2D, MeasureSettings
from .panel import BoolArray1D, Float64Array1D, Int64Array1D

_LARGEST_TURNOVER: Final = 0.5
"""Churn may replace at most this share of the book in one bar, however large the volume."""


class MarketArrays(NamedTuple):
    """The panel's columns that the kernel reads, each shape (n,).

    Prices are grid positions, ``log(price) / bin_width``; volume and open interest are in base.
    """

    sweep_high: Float64Array1D
    sweep_low: Float64Array1D
    high: Float64Array1D
    low: Float64Array1D
    close: Float64Array1D
    volume: Float64Array1D
    oi: Float64Array1D
    oi_observed: BoolArray1D


class KernelSettings(NamedTuple):
    """The map's parameters as the kernel wants them.

    Attributes
    ----------
    grid : Grid
    offsets : ndarray of float64, shape (2, C)
        Distance from entry to liquidation in bins, by side and leverage class.
    in_force_from : ndarray of int64, shape (S,)
        First bar at whose openings each row of `mix` and `churn` holds, increasing from 0.
    mix : ndarray of float64, shape (S, 2, C)
        Share of the openings by class; above 0 where a later row is not 0.
    churn : ndarray of float64, shape (S,)
    losers_hazard : float
    entry_points : int
    fallback_survival, fallback_warm_up_bars : float
    measuring : MeasureSettings
    """

    grid: Grid
    offsets: Float64Array2D
    in_force_from: Int64Array1D
    mix: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
    churn: Float64Array1D
    losers_hazard: float
    entry_points: int
    fallback_survival: float
    fallback_warm_up_bars: float
    measuring: MeasureSettings


class KernelOutput(NamedTuple):
    """One row a bar; the first axis of the paired arrays is the side, shorts first.

    `swept_by_class` has a row a period: what was swept as if each class had all of the openings, quote.
    `by_class`, `factors`, `seen` and `one` are working memory.
    """

    sums: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
    tiers: np.ndarray[tuple[int, int, int, int], np.dtype[np.float32]]
    predicted: Float64Array2D
    book: Float64Array2D
    snapshots: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]
    swept_by_class: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
    by_class: Float64Array2D
    factors: Float64Array1D
    seen: Float64Array2D
    one: Float64Array2D


@compiled_in_place
def _enter_over_bar(
    book: Book,
    side: int,
    quantity: float,
    bar: int,
    barrier: int,
    close: float,
    market: MarketArrays,
    settings: KernelSettings,
    row: int,
) -> None:
    """Open positions evenly across one bar's range."""
    enter(
        book,
        side,
        quantity,
        market.low[bar],
        market.high[bar] - market.low[bar],
        settings.entry_points,
        barrier,
        close,
        settings.offsets,
        settings.mix,
        row,
        settings.grid,
    )


@compiled_in_place
def _enter_over_interval(
    book: Book,
    quantity: float,
    first: int,
    last: int,
    market: MarketArrays,
    settings: KernelSettings,
    row: int,
) -> None:
    """Open positions on both sides across bars `first` to `last`, in proportion to their volume.

    Open interest that is observed seldom says only at the end how much was opened. The positions
    are put where trading was, less those that price has liquidated between.
    """
    traded = 0.0
    for bar in range(first, last + 1):
        traded += market.volume[bar]
    close = market.close[last]
    above = close
    below = close
    for back in range(last - first + 1):
        bar = last - back
        weight = market.volume[bar] / traded if traded > 0.0 else 1.0 / (last - first + 1)
        amount = quantity * weight
        barrier = reached_bin(above, SHORT, settings.grid)
        _enter_over_bar(book, SHORT, amount, bar, barrier, close, market, settings, row)
        barrier = reached_bin(below, LONG, settings.grid)
        _enter_over_bar(book, LONG, amount, bar, barrier, close, market, settings, row)
        above = max(above, market.sweep_high[bar])
        below = min(below, market.sweep_low[bar])


@compiled_in_place
def _start_from_volume(book: Book, oi: float, weight: float) -> None:
    """Make the book sum to the first open interest: `weight` of it where volume says, the rest pooled."""
    for side in range(2):
        known = total(book, side)
        if known > 0.0:
            factor = oi * weight / known
            book.pool[side] *= factor
            for region in range(book.value.shape[0]):
                book.scale[region, side] *= factor
                book.known[region, side] *= factor
        book.pool[side] += oi - total(book, side)


@compiled_in_place
def _step_with_open_interest(
    book: Book,
    bar: int,
    previous: int,
    level: float,
    swept: tuple[float, float],
    market: MarketArrays,
    settings: KernelSettings,
    row: int,
) -> float:
    """Close and open so that each side sums to the open interest; return its new level."""
    change = market.oi[bar] - level if market.oi_observed[bar] else 0.0
    churned = min(settings.churn[row] * market.volume[bar], _LARGEST_TURNOVER * level)
    closed = max(-change, 0.0) + churned
    close = market.close[bar]
    one_bar = previous + 1 == bar
    for side in range(2):
        leave(book, side, max(closed - swept[side], 0.0), settings.losers_hazard)
        # A swept position's contract lives on: someone took the other side of the forced order.
        entering = level + min(change, 0.0) - total(book, side)
        if one_bar:
            entering += max(change, 0.0)
        barrier = reached_bin(close, side, settings.grid)
        _enter_over_bar(book, side, entering, bar, barrier, close, market, settings, row)
    if change > 0.0 and not one_bar:
        _enter_over_interval(book, change, previous + 1, bar, market, settings, row)
    return level + change


@compiled_in_place
def _step_with_volume(
    book: Book, bar: int, market: MarketArrays, settings: KernelSettings, row: int
) -> None:
    close = market.close[bar]
    opened = settings.churn[row] * market.volume[bar]
    for side in range(2):
        shrink(book, side, settings.fallback_survival)
        barrier = reached_bin(close, side, settings.grid)
        _enter_over_bar(book, side, opened, bar, barrier, close, market, settings, row)


@compiled_in_place
def _reweight_sides(
    book: Book, row: int, settings: KernelSettings, factors: Float64Array1D
) -> None:
    """Let a new mix hold for the positions that stand as well as for those to come."""
    for side in range(2):
        for c in range(len(factors)):
            before = settings.mix[row - 1, side, c]
            factors[c] = settings.mix[row, side, c] / before if before > 0.0 else 1.0
        reweight(book, side, factors, settings.grid)


@compiled_in_place
def _combine(book: Book, bin_of_price: int, settings: KernelSettings, seen: Float64Array2D) -> None:
    """Add up winners and losers where they will be measured."""
    measuring = settings.measuring
    for side in range(2):
        reach = max(measuring.mean_bins[side], measuring.reach_bins[side])
        reach = max(reach, measuring.window_bins[side, -1])
        first = bin_of_price if side == SHORT else max(bin_of_price - reach, 0)
        last = min(bin_of_price + reach, seen.shape[1] - 1) if side == SHORT else bin_of_price
        losing = book.value[LOSING, side, first : last + 1]
        winning = book.value[WINNING, side, first : last + 1]
        both = seen[side, first : last + 1]
        losing_scale, winning_scale = book.scale[LOSING, side], book.scale[WINNING, side]
        for place in range(len(both)):
            both[place] = losing[place] * losing_scale + winning[place] * winning_scale


@compiled_in_place
def _sweep_both(
    book: Book,
    bar: int,
    row: int,
    market: MarketArrays,
    settings: KernelSettings,
    period: int,
    output: KernelOutput,
) -> tuple[float, float]:
    """Remove what the bar's range has reached; return the quantities, shorts first."""
    classes = output.by_class.shape[1]
    short_reached = reached_bin(market.sweep_high[bar], SHORT, settings.grid)
    long_reached = reached_bin(market.sweep_low[bar], LONG, settings.grid)
    short_swept, short_value = sweep(book, SHORT, short_reached, settings.grid, output.by_class)
    long_swept, long_value = sweep(book, LONG, long_reached, settings.grid, output.by_class)
    output.predicted[SHORT, bar] = short_value
    output.predicted[LONG, bar] = long_value
    for side in range(2):
        for c in range(classes):
            if settings.mix[row, side, c] > 0.0:
                unit = output.by_class[side, c] / settings.mix[row, side, c]
                output.swept_by_class[side, period, c] += unit
                output.by_class[side, c] = 0.0
        turn(book, side, market.close[bar], settings.offsets, settings.grid)
    return short_swept, long_swept


@compiled_in_place
def keep_picture(book: Book, picture: np.ndarray, shot: int) -> None:
    """Add the whole map to an empty picture, both regions together."""
    for side in range(2):
        for region in range(book.value.shape[0]):
            stored = book.value[region, side]
            scale = book.scale[region, side]
            for place in range(len(stored)):
                picture[side, shot, place] += stored[place] * scale


def empty_output(
    bars: int, settings: KernelSettings, *, tiers_kept: int = 0, pictures: int = 0, periods: int = 0
) -> KernelOutput:
    """Return the arrays that `accumulate` fills, made by numpy, which asks for large memory pages.

    Parameters
    ----------
    bars : int
    settings : KernelSettings
    tiers_kept : int
        Length of the tier ladders; 0 leaves out all that is measured around the price.
    pictures : int
        How many times the whole map will be kept.
    periods : int
        Over how many periods to sum what is swept by leverage class, for calibration.
    """
    measured = bars if tiers_kept > 0 else 0
    return KernelOutput(
        np.zeros((2, measured, len(settings.measuring.window_bins[0]))),
        np.full((2, measured, tiers_kept, TIER_FIELDS), np.nan, np.float32),
        np.zeros((2, bars)),
        np.zeros((2, bars)),
        np.zeros((2, pictures, len(settings.grid.prices)), np.float32),
        np.zeros((2, periods, settings.mix.shape[2])),
        np.zeros((2, settings.mix.shape[2] if periods > 0 else 0)),
        np.zeros(settings.mix.shape[2]),
        np.zeros((2, len(settings.grid.prices) if _regions(settings) == 2 else 0)),
        np.ones((1, 2)),
    )


def accumulate(
    market: MarketArrays,
    settings: KernelSettings,
    snapshot_bars: Int64Array1D,
    period_of_bar: Int64Array1D,
    output: KernelOutput,
) -> None:
    """Run the map over all bars.

    Parameters
    ----------
    market : MarketArrays
    settings : KernelSettings
    snapshot_bars : ndarray of int64, increasing
        Bars at whose close the whole map is kept.
    period_of_bar : ndarray of int64, shape (n,) or (0,)
        The row of `swept_by_class` to which each bar adds; empty to leave it out.
    output : KernelOutput
        Fresh from `empty_output`; filled.
    """
    regions = _regions(settings)
    apart = regions == 2 or len(settings.in_force_from) > 1 or output.swept_by_class.shape[1] > 0
    classes = settings.mix.shape[2] if apart else 0
    book = empty_book(regions, classes, len(settings.grid.prices))
    _run(book, market, settings, snapshot_bars, period_of_bar, output)


def _regions(settings: KernelSettings) -> int:
    return 1 if settings.losers_hazard == 1.0 else 2


@compiled_in_place
def _run(
    book: Book,
    market: MarketArrays,
    settings: KernelSettings,
    snapshot_bars: Int64Array1D,
    period_of_bar: Int64Array1D,
    output: KernelOutput,
) -> None:
    """Run the map over all bars, from an empty book."""
    level = np.nan
    previous = -1
    row = 0
    shot = 0
    for bar in range(len(market.close)):
        if row + 1 < len(settings.in_force_from) and settings.in_force_from[row + 1] == bar:
            row += 1
            _reweight_sides(book, row, settings, output.factors)
        period = period_of_bar[bar] if len(period_of_bar) > 0 else -1
        swept = _sweep_both(book, bar, row, market, settings, period, output)
        if np.isnan(level):
            _step_with_volume(book, bar, market, settings, row)
            if market.oi_observed[bar]:
                level = market.oi[bar]
                known = min((bar + 1) / settings.fallback_warm_up_bars, 1.0)
                _start_from_volume(book, level, known)
        else:
            level = _step_with_open_interest(
                book, bar, previous, level, swept, market, settings, row
            )
        if market.oi_observed[bar]:
            previous = bar
        for side in range(2):
            output.book[side, bar] = total(book, side)
        if output.sums.shape[1] > 0:
            measure_bar(book, bar, market, settings, output)
        if shot < len(snapshot_bars) and snapshot_bars[shot] == bar:
            keep_picture(book, output.snapshots, shot)
            shot += 1


@compiled_in_place
def measure_bar(
    book: Book, bar: int, market: MarketArrays, settings: KernelSettings, output: KernelOutput
) -> None:
    """Measure the map around one bar's close."""
    price_bin = int(np.floor(market.close[bar])) - settings.grid.first_bin
    measuring = settings.measuring
    if book.value.shape[0] == 1:
        value, scale = book.value[0], book.scale
    else:
        _combine(book, price_bin, settings, output.seen)
        value, scale = output.seen, output.one
    measure(value, scale, 0, price_bin, measuring, output.sums, output.tiers, bar)
