"""The accumulation kernel of the liquidation map: sweep, close, open, bar by bar.

Quantities are held per side, leverage class and log-price bin. Proportional closing is one factor a
side (`scale`), so a bar costs what it touches and not the size of the book. Side 0 is the shorts,
whose liquidations lie above price, side 1 the longs. What the steps mean stands in
``liquidation_map``; this file only computes them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ._compiled import compiled
from .map_features import (
    TIER_FIELDS,
    Float64Array2D,
    MeasureSettings,
    measure,
)
from .panel import BoolArray1D, Float64Array1D, Int64Array1D

SHORT: Final = 0
LONG: Final = 1
_RESCALE_BELOW: Final = 1e-60
_LARGEST_TURNOVER: Final = 0.5
"""Churn may replace at most this share of the book in one bar, however large the volume."""


class MarketArrays(NamedTuple):
    """The panel's columns that the kernel reads, each shape (n,); see `Panel` for units."""

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

    `offsets` and `mix` have shape (2, C): log distance from entry to liquidation and share of the
    openings, by side and leverage class. Bins are counted from `first_bin` on the absolute grid
    ``floor(log(price) / bin_width)``, so that a longer history does not move them.
    """

    offsets: Float64Array2D
    mix: Float64Array2D
    bin_width: float
    first_bin: int
    bin_prices: Float64Array1D
    churn: float
    entry_points: int
    fallback_survival: float
    fallback_warm_up_bars: float
    measuring: MeasureSettings


class Book(NamedTuple):
    """The map's state: `held` (2, C, B) in base and `value` (2, B) in quote, both times `scale` (2,)."""

    held: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
    value: Float64Array2D
    scale: Float64Array1D
    pool: Float64Array1D
    total: Float64Array1D
    nearest: Int64Array1D


class KernelOutput(NamedTuple):
    """One row a bar; the first axis of the paired arrays is the side, shorts first."""

    sums: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
    tiers: np.ndarray[tuple[int, int, int, int], np.dtype[np.float64]]
    predicted: Float64Array2D
    book: Float64Array2D
    snapshots: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]
    swept_by_class: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]


@compiled
def empty_book(classes: int, bins: int) -> Book:
    """Return a book without positions."""
    nearest = np.empty(2, np.int64)
    nearest[SHORT] = bins
    nearest[LONG] = -1
    return Book(
        np.zeros((2, classes, bins)),
        np.zeros((2, bins)),
        np.ones(2),
        np.zeros(2),
        np.zeros(2),
        nearest,
    )


@compiled
def reached_bin(log_price: float, side: int, settings: KernelSettings) -> int:
    """Return the furthest bin of that side whose middle a price has reached."""
    position = log_price / settings.bin_width - 0.5
    edge = np.floor(position) if side == SHORT else np.ceil(position)
    return int(edge) - settings.first_bin


@compiled
def sweep(
    book: Book, side: int, reached: int, settings: KernelSettings, by_class: Float64Array1D
) -> tuple[float, float]:
    """Remove what a price has reached; return its quantity (base) and value (quote)."""
    quantity = 0.0
    value = 0.0
    step = 1 if side == SHORT else -1
    position = book.nearest[side]
    record = len(by_class) > 0
    while (reached - position) * step >= 0:
        if book.value[side, position] != 0.0:
            value += book.value[side, position]
            book.value[side, position] = 0.0
            for c in range(book.held.shape[1]):
                amount = book.held[side, c, position]
                if amount != 0.0:
                    quantity += amount
                    book.held[side, c, position] = 0.0
                    if record:
                        by_class[c] += amount * book.scale[side] * settings.bin_prices[position]
        position += step
    book.nearest[side] = position
    quantity = min(quantity * book.scale[side], book.total[side])
    book.total[side] -= quantity
    return quantity, value * book.scale[side]


@compiled
def _shrink(book: Book, side: int, kept: float) -> None:
    """Keep a share of everything on one side."""
    book.scale[side] *= kept
    book.pool[side] *= kept
    book.total[side] *= kept
    if book.scale[side] < _RESCALE_BELOW:
        factor = book.scale[side]
        book.held[side] *= factor
        book.value[side] *= factor
        book.scale[side] = 1.0


@compiled
def _place(
    book: Book,
    side: int,
    quantity: float,
    log_entry: float,
    barrier: int,
    log_close: float,
    settings: KernelSettings,
) -> None:
    """Open positions at one price; whoever price has passed since entered at the close instead."""
    step = 1 if side == SHORT else -1
    placed = 0.0
    for c in range(book.held.shape[1]):
        share = settings.mix[side, c]
        if share == 0.0:
            continue
        offset = settings.offsets[side, c]
        position = int(np.floor((log_entry + offset) / settings.bin_width)) - settings.first_bin
        if (position - barrier) * step <= 0:
            position = int(np.floor((log_close + offset) / settings.bin_width))
            position -= settings.first_bin
        amount = quantity * share / book.scale[side]
        book.held[side, c, position] += amount
        book.value[side, position] += amount * settings.bin_prices[position]
        if (position - book.nearest[side]) * step < 0:
            book.nearest[side] = position
        placed += share
    book.pool[side] += quantity * (1.0 - placed)
    book.total[side] += quantity


@compiled
def _place_over_bar(
    book: Book,
    side: int,
    quantity: float,
    bar: int,
    barrier: int,
    log_close: float,
    market: MarketArrays,
    settings: KernelSettings,
) -> None:
    """Open positions evenly across one bar's range."""
    if quantity <= 0.0:
        return
    log_low = np.log(market.low[bar])
    log_range = np.log(market.high[bar]) - log_low
    points = settings.entry_points
    for point in range(points):
        entry = log_low + log_range * (point + 0.5) / points
        _place(book, side, quantity / points, entry, barrier, log_close, settings)


@compiled
def _place_over_interval(
    book: Book,
    quantity: float,
    first: int,
    last: int,
    market: MarketArrays,
    settings: KernelSettings,
) -> None:
    """Open positions on both sides across bars `first` to `last`, in proportion to their volume.

    Open interest that is observed seldom says only at the end how much was opened. The positions
    are put where trading was, less those that price has liquidated between.
    """
    traded = 0.0
    for bar in range(first, last + 1):
        traded += market.volume[bar]
    log_close = np.log(market.close[last])
    above = log_close
    below = log_close
    for back in range(last - first + 1):
        bar = last - back
        weight = market.volume[bar] / traded if traded > 0.0 else 1.0 / (last - first + 1)
        short_barrier = reached_bin(above, SHORT, settings)
        long_barrier = reached_bin(below, LONG, settings)
        amount = quantity * weight
        _place_over_bar(book, SHORT, amount, bar, short_barrier, log_close, market, settings)
        _place_over_bar(book, LONG, amount, bar, long_barrier, log_close, market, settings)
        above = max(above, np.log(market.sweep_high[bar]))
        below = min(below, np.log(market.sweep_low[bar]))


@compiled
def _start_from_volume(book: Book, oi: float, weight: float) -> None:
    """Make the book sum to the first open interest: `weight` of it where volume says, the rest pooled."""
    for side in range(2):
        known = book.total[side]
        if known > 0.0:
            factor = oi * weight / known
            book.scale[side] *= factor
            book.pool[side] *= factor
            book.total[side] = oi * weight
        book.pool[side] += oi - book.total[side]
        book.total[side] = oi


@compiled
def _step_with_open_interest(
    book: Book,
    bar: int,
    previous: int,
    level: float,
    swept: tuple[float, float],
    market: MarketArrays,
    settings: KernelSettings,
) -> float:
    """Close and open so that each side sums to the open interest; return its new level."""
    change = market.oi[bar] - level if market.oi_observed[bar] else 0.0
    churned = min(settings.churn * market.volume[bar], _LARGEST_TURNOVER * level)
    closed = max(-change, 0.0) + churned
    log_close = np.log(market.close[bar])
    for side in range(2):
        gone = swept[side]
        remaining = book.total[side]
        leaving = min(max(closed - gone, 0.0), remaining)
        if remaining > 0.0:
            _shrink(book, side, 1.0 - leaving / remaining)
        # A swept position's contract lives on: someone took the other side of the forced order.
        entering = level + min(change, 0.0) - book.total[side]
        barrier = reached_bin(log_close, side, settings)
        _place_over_bar(book, side, entering, bar, barrier, log_close, market, settings)
    if change > 0.0:
        _place_over_interval(book, change, previous + 1, bar, market, settings)
    return level + change


@compiled
def _step_with_volume(book: Book, bar: int, market: MarketArrays, settings: KernelSettings) -> None:
    log_close = np.log(market.close[bar])
    opened = settings.churn * market.volume[bar]
    for side in range(2):
        _shrink(book, side, settings.fallback_survival)
        barrier = reached_bin(log_close, side, settings)
        _place_over_bar(book, side, opened, bar, barrier, log_close, market, settings)


@compiled
def accumulate(
    market: MarketArrays,
    settings: KernelSettings,
    tiers_kept: int,
    snapshot_bars: Int64Array1D,
    record_classes: bool,  # noqa: FBT001  # compiled code takes arguments by position
) -> tuple[KernelOutput, Book]:
    """Run the map over all bars.

    Parameters
    ----------
    market : MarketArrays
    settings : KernelSettings
    tiers_kept : int
        Length of the tier ladders.
    snapshot_bars : ndarray of int64, increasing
        Bars at whose close the whole map is kept.
    record_classes : bool
        Whether to keep what was swept by leverage class (for calibration).

    Returns
    -------
    KernelOutput, Book
        What was measured at each bar, and the state after the last.
    """
    bars = len(market.close)
    classes = settings.mix.shape[1]
    bins = len(settings.bin_prices)
    book = empty_book(classes, bins)
    output = KernelOutput(
        np.zeros((2, bars, len(settings.measuring.window_bins[0]))),
        np.full((2, bars, tiers_kept, TIER_FIELDS), np.nan),
        np.zeros((2, bars)),
        np.zeros((2, bars)),
        np.zeros((2, len(snapshot_bars), bins), np.float32),
        np.zeros((2, bars if record_classes else 0, classes)),
    )
    nothing = np.zeros(0)
    level = np.nan
    previous = -1
    next_snapshot = 0
    for bar in range(bars):
        short_reached = reached_bin(np.log(market.sweep_high[bar]), SHORT, settings)
        long_reached = reached_bin(np.log(market.sweep_low[bar]), LONG, settings)
        by_class = output.swept_by_class[SHORT, bar] if record_classes else nothing
        short_swept, output.predicted[SHORT, bar] = sweep(
            book, SHORT, short_reached, settings, by_class
        )
        by_class = output.swept_by_class[LONG, bar] if record_classes else nothing
        long_swept, output.predicted[LONG, bar] = sweep(
            book, LONG, long_reached, settings, by_class
        )
        if np.isnan(level):
            _step_with_volume(book, bar, market, settings)
            if market.oi_observed[bar]:
                level = market.oi[bar]
                known = min((bar + 1) / settings.fallback_warm_up_bars, 1.0)
                _start_from_volume(book, level, known)
        else:
            swept = (short_swept, long_swept)
            level = _step_with_open_interest(book, bar, previous, level, swept, market, settings)
        if market.oi_observed[bar]:
            previous = bar

        price_bin = int(np.floor(np.log(market.close[bar]) / settings.bin_width))
        price_bin -= settings.first_bin
        for side in range(2):
            output.book[side, bar] = book.total[side]
        measure(
            book.value, book.scale, price_bin, settings.measuring, output.sums, output.tiers, bar
        )
        if next_snapshot < len(snapshot_bars) and snapshot_bars[next_snapshot] == bar:
            for side in range(2):
                for position in range(bins):
                    output.snapshots[side, next_snapshot, position] = (
                        book.value[side, position] * book.scale[side]
                    )
            next_snapshot += 1
    return output, book
