"""The simulated market step by step: price, forced orders and their impact, volume.

Positions of the second venue move the price like those of the first, but are not shown. Nothing is
drawn at random here: see ``_simulator_path``; what traders do stands in ``_simulator_traders``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .._compiled import compiled
from .._map_book import LONG, SHORT
from ..map_features import Float64Array2D
from ..panel import Float64Array1D
from ._simulator_book import (
    FEW,
    LIQUIDATED,
    LIQUIDATION,
    QUANTITY,
    TRADER,
    VENUE,
    Book,
    close_position,
    empty_book,
    with_room,
)
from ._simulator_path import Draws
from ._simulator_traders import Rules, close_at_will, open_first_book, open_pairs, take_other_side

OPEN: Final = 0
HIGH: Final = 1
LOW: Final = 2
CLOSE: Final = 3
VOLUME: Final = 4
QUOTE_VOLUME: Final = 5
TAKER_BUY: Final = 6
TAKER_BUY_QUOTE: Final = 7
OPEN_INTEREST: Final = 8
OPEN_INTEREST_ALL: Final = 9
_COLUMNS: Final = 10

_TAKERS_FOLLOW_MOVE: Final = 0.15
"""How far the takers' buy share leaves one half in a step that moves by a standard deviation."""
_TAKER_NOISE: Final = 0.03
_ABSOLUTE_NORMAL: Final = 0.7978845608028654
"""Mean of the absolute value of a standard normal variable."""
_JUST_BEFORE: Final = 0.999
"""The last moment of a step at which a forced order can fall, as a share of the step."""


_PRICE: Final = 0
_PATH: Final = 1
_PUSHED: Final = 2
_PENDING: Final = 3
_AVERAGE: Final = 4
_BAR_HIGH: Final = 5
_BAR_LOW: Final = 6
_FORCED: Final = 7
_FORCED_BUYS: Final = 8
_NOW: Final = 9
# What changes within a bar is one array: the price, the log path that no trader moves, the log
# impact in force and still to come, the average log price of a day, the bar's range, and the
# quantity of the step's forced orders at the venue shown, with the buys among them.


@compiled
def run(draws: Draws, rules: Rules) -> tuple[Float64Array2D, Book]:
    """Trade all bars; return one row a bar (columns named above) and the book with its record."""
    bars, steps = draws.moves.shape
    slots = draws.slots.shape[1]
    first = len(draws.first_entries)
    rows = np.zeros((bars, _COLUMNS))
    book = empty_book(rules.start_price, 40 * first, bars * (2 * slots + 4) + 4 * first)
    open_first_book(book, draws, rules)
    now = np.zeros(_NOW)
    now[_PRICE] = rules.start_price
    now[_PATH] = np.log(rules.start_price)
    now[_AVERAGE] = now[_PATH]
    for bar in range(bars):
        rows[bar, OPEN] = now[_PRICE]
        now[_BAR_HIGH] = now[_PRICE]
        now[_BAR_LOW] = now[_PRICE]
        trend = (np.log(now[_PRICE]) - now[_AVERAGE]) / rules.trend_scale
        for step in range(steps):
            before = now[_PRICE]
            now[_FORCED] = 0.0
            now[_FORCED_BUYS] = 0.0
            _move(now, draws.moves[bar, step], rules)
            if rules.liquidations:
                book = _force(book, now, before, bar, step, draws, rules, trend)
            moved = np.log(now[_PRICE] / before)
            since_open = np.log(now[_PRICE] / rows[bar, OPEN])
            since_open /= rules.bar_volatility * np.sqrt((step + 1) / steps)
            volume = _trade(rows[bar], now, moved, since_open, bar, draws, rules)
            book = with_room(book, 2 * slots)
            open_pairs(book, now[_PRICE], volume, bar, step, draws, rules, trend)
        book = close_at_will(book, now[_PRICE], bar, draws, rules, trend)
        now[_AVERAGE] *= rules.trend_memory
        now[_AVERAGE] += (1.0 - rules.trend_memory) * np.log(now[_PRICE])
        rows[bar, HIGH] = now[_BAR_HIGH]
        rows[bar, LOW] = now[_BAR_LOW]
        rows[bar, CLOSE] = now[_PRICE]
        rows[bar, OPEN_INTEREST] = book.totals[LONG, 0]
        rows[bar, OPEN_INTEREST_ALL] = book.totals[LONG, 0] + book.totals[LONG, 1]
    return rows, book


@compiled
def _set_price(now: Float64Array1D, rules: Rules) -> None:
    price = np.exp(now[_PATH] + now[_PUSHED])
    # At least one tick: a price of zero has no logarithm.
    ticks = max(np.round(price * rules.price_factor), 1.0)
    now[_PRICE] = ticks / rules.price_factor
    now[_BAR_HIGH] = max(now[_BAR_HIGH], now[_PRICE])
    now[_BAR_LOW] = min(now[_BAR_LOW], now[_PRICE])


@compiled
def _move(now: Float64Array1D, log_return: float, rules: Rules) -> None:
    now[_PATH] += log_return
    released = now[_PENDING] * rules.release
    now[_PENDING] -= released
    now[_PUSHED] += released
    _set_price(now, rules)


@compiled
def _force(
    book: Book,
    now: Float64Array1D,
    before: float,
    bar: int,
    step: int,
    draws: Draws,
    rules: Rules,
    trend: float,
) -> Book:
    """Liquidate what the step's move has reached, nearest first, then what the impact reaches."""
    steps = draws.moves.shape[1]
    target = now[_PRICE]
    while True:
        side = SHORT
        slot = book.nearest[SHORT]
        if slot < 0 or book.numbers[slot, LIQUIDATION] > now[_PRICE]:
            side = LONG
            slot = book.nearest[LONG]
            if slot < 0 or book.numbers[slot, LIQUIDATION] < now[_PRICE]:
                return book
        price = book.numbers[slot, LIQUIDATION]
        passed = _JUST_BEFORE
        if target != before:
            passed = min(max((price - before) / (target - before), 0.0), _JUST_BEFORE)
        moment = (step + passed) / steps
        quantity = book.numbers[slot, QUANTITY]
        venue = book.marks[slot, VENUE]
        trader = book.marks[slot, TRADER]
        close_position(book, slot, bar, LIQUIDATED, moment)
        book = with_room(book, FEW)
        take_other_side(
            book, side, venue, quantity, price, trader, bar, moment, draws, rules, trend
        )
        if venue == 0:
            now[_FORCED] += quantity
            now[_FORCED_BUYS] += quantity if side == SHORT else 0.0
        if rules.impact > 0.0:
            direction = 1.0 if side == SHORT else -1.0
            push = direction * rules.impact * quantity * price / rules.hourly_quote_volume
            now[_PUSHED] += push * rules.impact_at_once
            now[_PENDING] += push * (1.0 - rules.impact_at_once)
            _set_price(now, rules)


@compiled
def _trade(
    row: Float64Array1D,
    now: Float64Array1D,
    moved: float,
    since_open: float,
    bar: int,
    draws: Draws,
    rules: Rules,
) -> float:
    """Add a step's volume at the venue shown to the bar; return that of all venues, quote.

    `moved` is the step's log return, `since_open` the bar's so far in standard deviations, whose
    size the volume follows. Forced orders come on top.
    """
    steps = draws.moves.shape[1]
    price = now[_PRICE]
    size = 1.0 - rules.volume_from_move
    size += rules.volume_from_move * abs(since_open) / _ABSOLUTE_NORMAL
    volume = rules.bar_quote_volume / steps * draws.volume[bar] * size
    buys = (
        0.5
        + _TAKERS_FOLLOW_MOVE * np.tanh(moved * np.sqrt(steps) / rules.bar_volatility)
        + _TAKER_NOISE * draws.taker[bar]
    )
    shown = volume * rules.venue_share / price
    bought = shown * min(max(buys, 0.0), 1.0) + now[_FORCED_BUYS]
    shown += now[_FORCED]
    row[VOLUME] += shown
    row[QUOTE_VOLUME] += shown * price
    row[TAKER_BUY] += bought
    row[TAKER_BUY_QUOTE] += bought * price
    return float(volume)
