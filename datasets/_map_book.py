"""The liquidation map's state and the steps that change it: sweep, turn, leave, enter, reweight.

A side holds value by log-price bin, in two regions that decay at their own pace: positions that lose
(their entry lies behind the price, on the far side from their liquidation) and positions that win.
Each region has one factor (`scale`), so that closing in proportion costs nothing a bin. Where classes
are kept apart, quantities by leverage class stand beside the sums.

Side 0 is the shorts, whose liquidations lie above price, side 1 the longs. Positions on the grid are
``log(price) / bin_width``, bins are their floor less `first_bin`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ._compiled import compiled_in_place
from .map_features import Float64Array2D
from .panel import Float64Array1D, Int64Array1D

SHORT: Final = 0
LONG: Final = 1
LOSING: Final = 0
WINNING: Final = 1
_RESCALE_BELOW: Final = 1e-60
_GONE: Final = 1e-12
"""A region of which less than this share is kept is emptied, so that its factor stays above 0."""


class Grid(NamedTuple):
    """Log-price bins: bin i spans ``(first_bin + i) * width`` to one width more in log price.

    Bins are counted on an absolute grid, so that a longer history does not move them. `prices` has
    shape (B,): the middle of each bin, quote per base.
    """

    width: float
    first_bin: int
    prices: Float64Array1D


class Book(NamedTuple):
    """The map's state.

    Attributes
    ----------
    value : ndarray of float64, shape (R, 2, B)
        Quote by region, side and bin, in units of `scale`; one region (R = 1) where winners and
        losers close alike.
    held : ndarray of float64, shape (2, C, B)
        Base by leverage class, in units of its region's scale; C = 0 where classes are not kept.
    scale : ndarray of float64, shape (2, 2)
        By region and side.
    known : ndarray of float64, shape (2, 2)
        Sum by region and side, base.
    pool : ndarray of float64, shape (2,)
        Positions without a liquidation price, base.
    nearest : ndarray of int64, shape (2,)
        The bin nearest to price that may hold something.
    turning : ndarray of int64, shape (2, C)
        By class, the bin of a position entered at the price; those beyond it win.
    """

    value: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
    held: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
    scale: Float64Array2D
    known: Float64Array2D
    pool: Float64Array1D
    nearest: Int64Array1D
    turning: np.ndarray[tuple[int, int], np.dtype[np.int64]]


def empty_book(regions: int, classes: int, bins: int) -> Book:
    """Return a book without positions."""
    nearest = np.empty(2, np.int64)
    nearest[SHORT] = bins
    nearest[LONG] = -1
    return Book(
        np.zeros((regions, 2, bins)),
        np.zeros((2, classes, bins)),
        np.ones((2, 2)),
        np.zeros((2, 2)),
        np.zeros(2),
        nearest,
        np.zeros((2, classes), np.int64),
    )


@compiled_in_place
def total(book: Book, side: int) -> float:
    """Return the sum of one side, base."""
    everything: float = book.known[LOSING, side] + book.known[WINNING, side] + book.pool[side]
    return everything


@compiled_in_place
def reached_bin(position: float, side: int, grid: Grid) -> int:
    """Return the furthest bin of that side whose middle a price has reached."""
    edge = np.floor(position - 0.5) if side == SHORT else np.ceil(position - 0.5)
    return int(edge) - grid.first_bin


@compiled_in_place
def _region(book: Book, side: int, c: int, position: int) -> int:
    if book.value.shape[0] == 1:
        return LOSING
    beyond = position - book.turning[side, c]
    return WINNING if (beyond > 0 if side == SHORT else beyond < 0) else LOSING


@compiled_in_place
def sweep(
    book: Book, side: int, reached: int, grid: Grid, by_class: Float64Array2D
) -> tuple[float, float]:
    """Remove what a price has reached; return its quantity (base) and value (quote).

    `by_class`, shape (2, C), takes up the value by class; with C = 0 it is left out.
    """
    quantity = 0.0
    value = 0.0
    step = 1 if side == SHORT else -1
    position = book.nearest[side]
    while (reached - position) * step >= 0:
        for region in range(book.value.shape[0]):
            stored = book.value[region, side, position]
            if stored != 0.0:
                gone = stored * book.scale[region, side]
                amount = min(gone / grid.prices[position], book.known[region, side])
                value += gone
                quantity += amount
                book.known[region, side] -= amount
                book.value[region, side, position] = 0.0
        for c in range(book.held.shape[1]):
            stored = book.held[side, c, position]
            if stored != 0.0:
                if by_class.shape[1] > 0:
                    scale = book.scale[_region(book, side, c, position), side]
                    by_class[side, c] += stored * scale * grid.prices[position]
                book.held[side, c, position] = 0.0
        position += step
    book.nearest[side] = position
    return quantity, value


@compiled_in_place
def turn(book: Book, side: int, position: float, offsets: Float64Array2D, grid: Grid) -> None:
    """Move positions between winners and losers after the price has moved to a grid position."""
    if book.value.shape[0] == 1:
        return
    for c in range(book.held.shape[1]):
        turning = int(np.floor(position + offsets[side, c])) - grid.first_bin
        before = book.turning[side, c]
        low, high = min(before, turning), max(before, turning)
        for place in range(low, high + 1):
            stored = book.held[side, c, place]
            if stored == 0.0:
                continue
            old = _region(book, side, c, place)
            book.turning[side, c] = turning
            new = _region(book, side, c, place)
            book.turning[side, c] = before
            if old != new:
                amount = stored * book.scale[old, side]
                price = grid.prices[place]
                left = book.value[old, side, place] - stored * price
                # What rounding leaves of an emptied bin would be swept as a position.
                book.value[old, side, place] = left if left > _GONE * stored * price else 0.0
                book.held[side, c, place] = amount / book.scale[new, side]
                book.value[new, side, place] += book.held[side, c, place] * price
                amount = min(amount, book.known[old, side])
                book.known[old, side] -= amount
                book.known[new, side] += amount
        book.turning[side, c] = turning


@compiled_in_place
def _keep(book: Book, side: int, region: int, kept: float) -> None:
    """Keep a share of one region."""
    book.known[region, side] *= kept
    book.scale[region, side] *= kept
    if book.scale[region, side] >= _RESCALE_BELOW and kept > _GONE:
        return
    factor = book.scale[region, side] if kept > _GONE else 0.0
    for place in range(book.value.shape[2]):
        book.value[region, side, place] *= factor
    for c in range(book.held.shape[1]):
        for place in range(book.held.shape[2]):
            if book.held[side, c, place] != 0.0 and _region(book, side, c, place) == region:
                book.held[side, c, place] *= factor
    book.scale[region, side] = 1.0
    if kept <= _GONE:
        book.known[region, side] = 0.0


@compiled_in_place
def leave(book: Book, side: int, quantity: float, losers_hazard: float) -> None:
    """Close positions at will: losers at `losers_hazard` times the rate of winners.

    The pool, whose entries are not known, closes at the side's mean rate.
    """
    everything = total(book, side)
    if everything <= 0.0 or quantity <= 0.0:
        return
    share = min(quantity / everything, 1.0)
    book.pool[side] *= 1.0 - share
    if book.value.shape[0] == 1:
        _keep(book, side, LOSING, 1.0 - share)
        return
    losing, winning = book.known[LOSING, side], book.known[WINNING, side]
    leaving = share * (losing + winning)
    weighted = winning + losers_hazard * losing
    if weighted <= 0.0:
        return
    from_losing = min(leaving * losers_hazard * losing / weighted, losing)
    from_winning = min(leaving - from_losing, winning)
    from_losing = min(leaving - from_winning, losing)
    if losing > 0.0:
        _keep(book, side, LOSING, 1.0 - from_losing / losing)
    if winning > 0.0:
        _keep(book, side, WINNING, 1.0 - from_winning / winning)


@compiled_in_place
def shrink(book: Book, side: int, kept: float) -> None:
    """Keep a share of everything on one side."""
    book.pool[side] *= kept
    for region in range(book.value.shape[0]):
        _keep(book, side, region, kept)


@compiled_in_place
def enter(
    book: Book,
    side: int,
    quantity: float,
    low: float,
    span: float,
    points: int,
    barrier: int,
    close: float,
    offsets: Float64Array2D,
    mix: np.ndarray[tuple[int, int, int], np.dtype[np.float64]],
    row: int,
    grid: Grid,
) -> None:
    """Open positions evenly across a range; whoever price has passed since entered at the close.

    Parameters
    ----------
    quantity : float
        Base, all classes and the pool together.
    low, span, close : float
        Grid positions: lower end and width of the range, and the bar's close.
    points : int
        Entry prices, in the middle of as many equal parts of the range.
    barrier : int
        The furthest bin that price has reached since the entries.
    offsets : ndarray of float64, shape (2, C)
        Distance from entry to liquidation in bins, by side and class.
    mix : ndarray of float64, shape (S, 2, C)
        Share of the openings by side and class, in its row.
    row : int
        Which row of `mix` holds.
    """
    if quantity <= 0.0:
        return
    step = 1 if side == SHORT else -1
    split = book.held.shape[1] > 0
    placed = 0.0
    nearest = book.nearest[side]
    for c in range(mix.shape[2]):
        if mix[row, side, c] == 0.0:
            continue
        placed += mix[row, side, c]
        amount = quantity * mix[row, side, c] / points
        at_close = int(np.floor(close + offsets[side, c])) - grid.first_bin
        for point in range(points):
            entry = low + span * (point + 0.5) / points
            place = int(np.floor(entry + offsets[side, c])) - grid.first_bin
            if (place - barrier) * step <= 0:
                place = at_close
            region = LOSING
            if split:
                region = _region(book, side, c, place)
                book.held[side, c, place] += amount / book.scale[region, side]
            book.value[region, side, place] += (
                amount * grid.prices[place] / book.scale[region, side]
            )
            book.known[region, side] += amount
            if (place - nearest) * step < 0:
                nearest = place
    book.nearest[side] = nearest
    book.pool[side] += quantity * (1.0 - placed)


@compiled_in_place
def reweight(book: Book, side: int, factors: Float64Array1D, grid: Grid) -> None:
    """Multiply each class by its factor; the pool takes up the difference and is never negative."""
    everything = total(book, side)
    book.value[:, side] = 0.0
    book.known[:, side] = 0.0
    for place in range(book.held.shape[2]):
        for c in range(book.held.shape[1]):
            if book.held[side, c, place] != 0.0:
                region = _region(book, side, c, place)
                book.held[side, c, place] *= factors[c]
                stored = book.held[side, c, place]
                book.value[region, side, place] += stored * grid.prices[place]
                book.known[region, side] += stored * book.scale[region, side]
    known = book.known[LOSING, side] + book.known[WINNING, side]
    if known > everything:
        for region in range(book.value.shape[0]):
            _keep(book, side, region, everything / known)
        known = everything
    book.pool[side] = everything - known
