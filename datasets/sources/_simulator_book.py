"""Every open position of the simulator, found by liquidation price, and the record of all of them.

Positions with a liquidation price hang in lists by log-price bin, so that the nearest one of a side
is known at any time. Each position has a lot in the record from the moment it is opened; a lot
keeps its quantity while it is open, except that a part which closes is cut off as a lot of its own.
Side 0 is the shorts, 1 the longs, as in ``_map_book``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from .._compiled import compiled
from .._map_book import LONG, SHORT
from ..map_features import Float64Array2D
from ..panel import Int64Array1D

ENTRY: Final = 0
LIQUIDATION: Final = 1
QUANTITY: Final = 2
LEVERAGE: Final = 3
PATIENCE: Final = 4
CAUTION: Final = 5
DIRECTION: Final = 6
_NUMBERS: Final = 8
"""A power of two, so that a position lies in one line of the processor's cache."""

SIDE: Final = 0
VENUE: Final = 1
TRADER: Final = 2
OPENED: Final = 3
LOT: Final = 4
_BIN: Final = 5
_NEXT: Final = 6
_PREVIOUS: Final = 7
_MARKS: Final = 8

LOT_ENTRY: Final = 0
LOT_LIQUIDATION: Final = 1
LOT_QUANTITY: Final = 2
LOT_LEVERAGE: Final = 3
LOT_MOMENT: Final = 4
_LOT_NUMBERS: Final = 5

LOT_OPENED: Final = 0
LOT_CLOSED: Final = 1
LOT_SIDE: Final = 2
LOT_VENUE: Final = 3
LOT_TRADER: Final = 4
LOT_REASON: Final = 5
_LOT_MARKS: Final = 6

# Of numpy's integer type: numba compiles a function anew for each plain constant it is called with.
STILL_OPEN: Final = cast("int", np.int64(0))
LIQUIDATED: Final = cast("int", np.int64(1))
CLOSED_AT_WILL: Final = cast("int", np.int64(2))
CLOSED_AGAINST_FORCED: Final = cast("int", np.int64(3))
MARGIN_ADDED: Final = cast("int", np.int64(4))
BEFORE_THE_FIRST: Final = cast("int", np.int64(-1))
"""The bar in which the positions of the first book were opened."""
FEW: Final = cast("int", np.int64(4))
"""Room for the positions and lots that one forced order can add."""

NEVER: Final = 2**31 - 1
"""The bar in which a lot closes that is still open at the end."""

USED: Final = 0
FREED: Final = 1
TRADERS: Final = 2
LOTS: Final = 3

_BIN_WIDTH: Final = 0.0005
_BINS_EACH_WAY: Final = 8_000
"""Four log units up and down; prices beyond share the outermost bin, which is slow but right."""


class Book(NamedTuple):
    """The state: `numbers` and `marks` have a row for each position, `lot_…` are the record.

    `nearest` (2,) is the slot whose liquidation price a move reaches first, by side, -1 for none;
    `totals` (2, 2) the quantity by side and venue; `counts` slots ever used, slots free again,
    traders and lots.
    """

    numbers: Float64Array2D
    marks: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    free: Int64Array1D
    lot_numbers: Float64Array2D
    lot_marks: np.ndarray[tuple[int, int], np.dtype[np.int32]]
    heads: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    nearest: Int64Array1D
    totals: Float64Array2D
    counts: Int64Array1D
    log_origin: float


@compiled
def empty_book(start_price: float, slots: int, lots: int) -> Book:
    """Return a book without positions, with room for so many."""
    return _blank(slots, lots, np.log(start_price) - _BINS_EACH_WAY * _BIN_WIDTH)


@compiled
def _blank(slots: int, lots: int, log_origin: float) -> Book:
    return Book(
        np.zeros((slots, _NUMBERS)),
        np.zeros((slots, _MARKS), np.int64),
        np.zeros(slots, np.int64),
        np.zeros((lots, _LOT_NUMBERS)),
        np.zeros((lots, _LOT_MARKS), np.int32),
        np.full((2, 2 * _BINS_EACH_WAY), -1, np.int64),
        np.full(2, -1, np.int64),
        np.zeros((2, 2)),
        np.zeros(4, np.int64),
        log_origin,
    )


@compiled
def with_room(book: Book, more: int) -> Book:
    """Return the book with room for so many more positions and lots, itself if it has that."""
    slots_wanted = book.counts[USED] + more
    lots_wanted = book.counts[LOTS] + more
    if slots_wanted <= len(book.numbers) and lots_wanted <= len(book.lot_numbers):
        return book
    slot_rows = len(book.numbers)
    if slots_wanted > slot_rows:
        slot_rows = 2 * slots_wanted
    lot_rows = len(book.lot_numbers)
    if lots_wanted > lot_rows:
        lot_rows = lots_wanted + lots_wanted // 2
    larger = _blank(slot_rows, lot_rows, book.log_origin)
    _copy_rows(book.numbers, larger.numbers)
    _copy_rows(book.marks, larger.marks)
    for row in range(len(book.free)):
        larger.free[row] = book.free[row]
    _copy_rows(book.lot_numbers, larger.lot_numbers)
    _copy_rows(book.lot_marks, larger.lot_marks)
    _copy_rows(book.heads, larger.heads)
    _copy_rows(book.totals, larger.totals)
    for row in range(len(book.nearest)):
        larger.nearest[row] = book.nearest[row]
    for row in range(len(book.counts)):
        larger.counts[row] = book.counts[row]
    return larger


@compiled
def _copy_rows(source: NDArray[Any], target: NDArray[Any]) -> None:
    # Loops, for a slice assignment would bring numba's whole formatting of errors along.
    for row in range(source.shape[0]):
        for column in range(source.shape[1]):
            target[row, column] = source[row, column]


@compiled
def open_position(
    book: Book,
    side: int,
    venue: int,
    entry: float,
    quantity: float,
    leverage: float,
    liquidation: float,
    patience: float,
    caution: float,
    bar: int,
) -> None:
    """Add a position; the caller has made room. No liquidation price: NaN."""
    if book.counts[FREED] > 0:
        book.counts[FREED] -= 1
        slot = book.free[book.counts[FREED]]
    else:
        slot = book.counts[USED]
        book.counts[USED] += 1
    numbers = book.numbers[slot]
    numbers[ENTRY] = entry
    numbers[LIQUIDATION] = liquidation
    numbers[QUANTITY] = quantity
    numbers[LEVERAGE] = leverage
    numbers[PATIENCE] = patience
    numbers[CAUTION] = caution
    numbers[DIRECTION] = 1.0 if side == LONG else -1.0
    marks = book.marks[slot]
    marks[SIDE] = side
    marks[VENUE] = venue
    marks[TRADER] = book.counts[TRADERS]
    marks[OPENED] = bar
    book.counts[TRADERS] += 1
    book.totals[side, venue] += quantity
    _begin_lot(book, slot, bar)
    _link(book, slot)


@compiled
def _begin_lot(book: Book, slot: int, bar: int) -> None:
    lot = book.counts[LOTS]
    book.counts[LOTS] += 1
    book.lot_numbers[lot, LOT_ENTRY] = book.numbers[slot, ENTRY]
    book.lot_numbers[lot, LOT_LIQUIDATION] = book.numbers[slot, LIQUIDATION]
    book.lot_numbers[lot, LOT_QUANTITY] = book.numbers[slot, QUANTITY]
    book.lot_numbers[lot, LOT_LEVERAGE] = book.numbers[slot, LEVERAGE]
    book.lot_numbers[lot, LOT_MOMENT] = np.nan
    book.lot_marks[lot, LOT_OPENED] = bar
    book.lot_marks[lot, LOT_CLOSED] = NEVER
    book.lot_marks[lot, LOT_SIDE] = book.marks[slot, SIDE]
    book.lot_marks[lot, LOT_VENUE] = book.marks[slot, VENUE]
    book.lot_marks[lot, LOT_TRADER] = book.marks[slot, TRADER]
    book.lot_marks[lot, LOT_REASON] = STILL_OPEN
    book.marks[slot, LOT] = lot


@compiled
def _end_lot(book: Book, lot: int, bar: int, reason: int, moment: float) -> None:
    book.lot_marks[lot, LOT_CLOSED] = bar
    book.lot_marks[lot, LOT_REASON] = reason
    book.lot_numbers[lot, LOT_MOMENT] = moment


@compiled
def close_position(book: Book, slot: int, bar: int, reason: int, moment: float) -> None:
    """Take a whole position out; `moment` is the part of the bar that had passed."""
    _unlink(book, slot)
    _end_lot(book, book.marks[slot, LOT], bar, reason, moment)
    side = book.marks[slot, SIDE]
    book.totals[side, book.marks[slot, VENUE]] -= book.numbers[slot, QUANTITY]
    book.numbers[slot, QUANTITY] = 0.0
    book.free[book.counts[FREED]] = slot
    book.counts[FREED] += 1


@compiled
def close_part(
    book: Book, slot: int, quantity: float, bar: int, reason: int, moment: float
) -> None:
    """Take less than all of a position out; the caller has made room for one lot."""
    kept = book.marks[slot, LOT]
    whole = book.numbers[slot, QUANTITY]
    book.numbers[slot, QUANTITY] = quantity
    _begin_lot(book, slot, book.marks[slot, OPENED])
    _end_lot(book, book.marks[slot, LOT], bar, reason, moment)
    book.marks[slot, LOT] = kept
    book.numbers[slot, QUANTITY] = whole - quantity
    book.lot_numbers[kept, LOT_QUANTITY] = whole - quantity
    book.totals[book.marks[slot, SIDE], book.marks[slot, VENUE]] -= quantity


@compiled
def move_liquidation(book: Book, slot: int, leverage: float, liquidation: float, bar: int) -> None:
    """Change a position's margin; the caller has made room for one lot."""
    _unlink(book, slot)
    _end_lot(book, book.marks[slot, LOT], bar, MARGIN_ADDED, 1.0)
    book.numbers[slot, LEVERAGE] = leverage
    book.numbers[slot, LIQUIDATION] = liquidation
    book.marks[slot, OPENED] = bar
    _begin_lot(book, slot, bar)
    _link(book, slot)


@compiled
def _link(book: Book, slot: int) -> None:
    liquidation = book.numbers[slot, LIQUIDATION]
    marks = book.marks[slot]
    if np.isnan(liquidation):
        marks[_BIN] = -1
        return
    side = marks[SIDE]
    position = int(np.floor((np.log(liquidation) - book.log_origin) / _BIN_WIDTH))
    position = min(max(position, 0), book.heads.shape[1] - 1)
    head = book.heads[side, position]
    marks[_BIN] = position
    marks[_NEXT] = head
    marks[_PREVIOUS] = -1
    if head >= 0:
        book.marks[head, _PREVIOUS] = slot
    book.heads[side, position] = slot
    best = book.nearest[side]
    if best < 0 or _reached_before(liquidation, book.numbers[best, LIQUIDATION], side):
        book.nearest[side] = slot


@compiled
def _reached_before(liquidation: float, other: float, side: int) -> bool:
    return liquidation < other if side == SHORT else liquidation > other


@compiled
def _unlink(book: Book, slot: int) -> None:
    marks = book.marks[slot]
    position = marks[_BIN]
    if position < 0:
        return
    side = marks[SIDE]
    if marks[_PREVIOUS] >= 0:
        book.marks[marks[_PREVIOUS], _NEXT] = marks[_NEXT]
    else:
        book.heads[side, position] = marks[_NEXT]
    if marks[_NEXT] >= 0:
        book.marks[marks[_NEXT], _PREVIOUS] = marks[_PREVIOUS]
    if book.nearest[side] == slot:
        book.nearest[side] = _first_from(book, side, position)


@compiled
def _first_from(book: Book, side: int, position: int) -> int:
    """Return the side's nearest slot, searching outwards from a bin that nothing lies before."""
    step = -1 if side == LONG else 1
    best = -1
    while 0 <= position < book.heads.shape[1]:
        slot = book.heads[side, position]
        while slot >= 0:
            liquidation = book.numbers[slot, LIQUIDATION]
            if best < 0 or _reached_before(liquidation, book.numbers[best, LIQUIDATION], side):
                best = slot
            slot = book.marks[slot, _NEXT]
        if best >= 0:
            break
        position += step
    return best
