"""What the simulator's traders do: open, close at will, add margin, take the other side.

Every trade has two sides. A new contract is a long and a short. Those who close at will trade with
each other, and the side with more of them sells to newcomers. A forced order is taken by a new
position on the side that was liquidated, or by some of the other side who close. So at each venue
the longs' quantity equals the shorts' at all times.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from .._compiled import compiled
from .._map_book import LONG, SHORT
from ..map_features import Float64Array2D
from ..panel import Float64Array1D, Int64Array1D
from ._simulator_book import (
    BEFORE_THE_FIRST,
    CAUTION,
    CLOSED_AGAINST_FORCED,
    CLOSED_AT_WILL,
    DIRECTION,
    ENTRY,
    FEW,
    LEVERAGE,
    LIQUIDATION,
    PATIENCE,
    QUANTITY,
    SIDE,
    TRADERS,
    USED,
    VENUE,
    Book,
    close_part,
    close_position,
    move_liquidation,
    open_position,
    with_room,
)
from ._simulator_path import (
    CAUTION_DRAW,
    COUNTERPARTY_DRAW,
    LEVERAGE_DRAW,
    PATIENCE_DRAW,
    Draws,
)

_REVIEW_BLOCK: Final = 64
"""Traders are asked in blocks that lie together in memory."""


class Rules(NamedTuple):
    """The parameters as the kernel wants them; `mix` (days, C) is cumulative, rates are per bar."""

    start_price: float
    price_factor: float
    bar_volatility: float
    trend_memory: float
    trend_scale: float
    bar_quote_volume: float
    hourly_quote_volume: float
    volume_from_move: float
    open_interest_at_start: float
    opening_share: float
    leverages: Float64Array1D
    mix: Float64Array2D
    bars_a_day: int
    isolated_share: float
    long_tilt: float
    trend_following: float
    maintenance_rate: float
    closing_hazard: float
    losers_hazard: float
    review_bars: int
    top_up_share: float
    top_up_distance: float
    counterparty_opens: float
    liquidations: bool
    impact: float
    impact_at_once: float
    release: float
    venue_share: float


@compiled
def open_pairs(
    book: Book,
    price: float,
    volume: float,
    bar: int,
    step: int,
    draws: Draws,
    rules: Rules,
    trend: float,
) -> None:
    """Open the step's new contracts, each a long and a short."""
    steps = draws.moves.shape[1]
    slots = draws.slots.shape[1]
    for slot in range(slots):
        place = draws.slots[bar, slot] * steps
        if int(place) != step:
            continue
        # The rest of the uniform draw is uniform too, and says at which venue.
        venue = 0 if place - step < rules.venue_share else 1
        value = rules.opening_share * volume * steps / slots * draws.sizes[bar, slot]
        for side in range(2):
            _open_one(book, side, venue, price, value / price, bar, draws, rules, trend)


@compiled
def _open_one(
    book: Book,
    side: int,
    venue: int,
    price: float,
    quantity: float,
    bar: int,
    draws: Draws,
    rules: Rules,
    trend: float,
) -> None:
    chance = draws.traders[book.counts[TRADERS] % len(draws.traders)]
    leverage, liquidation = _terms(side, price, chance[LEVERAGE_DRAW], bar, rules, trend)
    open_position(
        book,
        side,
        venue,
        price,
        quantity,
        leverage,
        liquidation,
        chance[PATIENCE_DRAW],
        chance[CAUTION_DRAW],
        bar,
    )


@compiled
def _terms(
    side: int, price: float, chance: float, bar: int, rules: Rules, trend: float
) -> tuple[float, float]:
    """Return leverage and liquidation price of a new position: 0 and NaN where it has none."""
    direction = 1.0 if side == LONG else -1.0
    tilt = rules.long_tilt + rules.trend_following * np.tanh(trend)
    isolated = min(max(rules.isolated_share * (1.0 + direction * tilt), 0.0), 1.0)
    if chance >= isolated:
        return 0.0, np.nan
    mix = rules.mix[max(bar, 0) // rules.bars_a_day]
    pick = np.searchsorted(mix, chance / isolated, side="right")
    leverage = rules.leverages[min(pick, len(mix) - 1)]
    liquidation = _liquidation_price(price, leverage, direction, rules.maintenance_rate)
    # In the book before the first bar, where entries lie on both sides of the price: who would be
    # liquidated already has no leverage.
    if bar < 0 and (rules.start_price - liquidation) * direction <= 0.0:
        return 0.0, np.nan
    return leverage, liquidation


@compiled
def _liquidation_price(entry: float, leverage: float, direction: float, rate: float) -> float:
    """As ``liquidation_price`` with the formula "linear", for one position."""
    price: float = entry * (1.0 - direction / leverage) / (1.0 - direction * rate)
    return price


@compiled
def open_first_book(book: Book, draws: Draws, rules: Rules) -> None:
    """Fill the book before the first bar."""
    pairs = len(draws.first_entries)
    quantity = rules.open_interest_at_start / rules.start_price / pairs
    for pair in range(pairs):
        entry = rules.start_price * np.exp(draws.first_entries[pair])
        venue = 0 if pair < rules.venue_share * pairs else 1
        for side in range(2):
            _open_one(book, side, venue, entry, quantity, BEFORE_THE_FIRST, draws, rules, 0.0)


@compiled
def take_other_side(
    book: Book,
    side: int,
    venue: int,
    quantity: float,
    price: float,
    trader: int,
    bar: int,
    moment: float,
    draws: Draws,
    rules: Rules,
    trend: float,
) -> None:
    """Find who trades with a forced order: a newcomer on its side, or some of the other side."""
    chance = draws.traders[trader % len(draws.traders), COUNTERPARTY_DRAW]
    left = quantity
    if chance >= rules.counterparty_opens:
        spread = (chance - rules.counterparty_opens) / (1.0 - rules.counterparty_opens)
        used = book.counts[USED]
        start = int(spread * used)
        for offset in range(used):
            slot = (start + offset) % used
            held = book.numbers[slot, QUANTITY]
            if held == 0.0 or book.marks[slot, SIDE] == side or book.marks[slot, VENUE] != venue:
                continue
            if held > left:
                close_part(book, slot, left, bar, CLOSED_AGAINST_FORCED, moment)
                return
            close_position(book, slot, bar, CLOSED_AGAINST_FORCED, moment)
            left -= held
            if left == 0.0:
                return
    _open_one(book, side, venue, price, left, bar, draws, rules, trend)


@compiled
def close_at_will(
    book: Book, price: float, bar: int, draws: Draws, rules: Rules, trend: float
) -> Book:
    """Let those who have had enough close, and hand what one side closes more to newcomers."""
    due, count = _due(book.numbers, book.counts[USED], price, bar, rules)
    closed = np.zeros((2, 2))
    for slot in due[:count]:
        if book.numbers[slot, PATIENCE] > 0.0:
            book = with_room(book, FEW)
            _top_up(book, slot, bar, rules)
        else:
            closed[book.marks[slot, SIDE], book.marks[slot, VENUE]] += book.numbers[slot, QUANTITY]
            close_position(book, slot, bar, CLOSED_AT_WILL, 1.0)
    for venue in range(2):
        more = SHORT if closed[SHORT, venue] > closed[LONG, venue] else LONG
        excess = abs(closed[SHORT, venue] - closed[LONG, venue])
        if excess > 0.0:
            book = with_room(book, FEW)
            _open_one(book, more, venue, price, excess, bar, draws, rules, trend)
    return book


@compiled
def _due(
    numbers: Float64Array2D, used: int, price: float, bar: int, rules: Rules
) -> tuple[Int64Array1D, int]:
    """Return who closes and who adds margin; each bar asks a part of the traders."""
    stride = _REVIEW_BLOCK * rules.review_bars
    due = np.empty((used // stride + 1) * _REVIEW_BLOCK, np.int64)
    count = 0
    for first in range(_REVIEW_BLOCK * (bar % rules.review_bars), used, stride):
        for slot in range(first, min(first + _REVIEW_BLOCK, used)):
            if numbers[slot, QUANTITY] == 0.0:
                continue
            gain = (price - numbers[slot, ENTRY]) * numbers[slot, DIRECTION]
            hazard = rules.closing_hazard * (rules.losers_hazard if gain < 0.0 else 1.0)
            numbers[slot, PATIENCE] -= hazard
            cautious = numbers[slot, CAUTION] < rules.top_up_share
            # A comparison with NaN is false: who cannot be liquidated adds no margin.
            way = numbers[slot, ENTRY] - numbers[slot, LIQUIDATION]
            left = rules.top_up_distance * abs(way)
            near = abs(price - numbers[slot, LIQUIDATION]) < left
            if numbers[slot, PATIENCE] <= 0.0 or (cautious and near):
                due[count] = slot
                count += 1
    return due, count


@compiled
def _top_up(book: Book, slot: int, bar: int, rules: Rules) -> None:
    """Double the margin of a position that has come near its liquidation price."""
    leverage = 0.5 * book.numbers[slot, LEVERAGE]
    direction = book.numbers[slot, DIRECTION]
    # A long with a leverage of one or less is never liquidated.
    moved = np.nan
    if leverage > 1.0 or direction < 0.0:
        entry = book.numbers[slot, ENTRY]
        moved = _liquidation_price(entry, leverage, direction, rules.maintenance_rate)
    move_liquidation(book, slot, leverage, moved, bar)
