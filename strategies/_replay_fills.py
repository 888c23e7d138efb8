"""What one bar does to an order and to a position, compiled: `PerpetualBroker`'s rules without its queue.

The broker's module says what happens in which order. Here it is the same for the orders that
`TierBreakout` sends, of which there are few: an entry that lives for one bar, a stop and a target around
a position, and a market order that leaves it. Money is reckoned in backtrader's own sequence of
operations, so that a size that hangs on the last bit of equity is the same.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ..datasets._compiled import compiled_in_place
from ._cost_formulas import (
    BracketTable,
    bankruptcy_price,
    fee_of,
    funding_of,
    margin_of_one,
    own_liquidation_price,
    slipped_price,
    square_root_bps,
)
from .rulebook import ENTER, HOLD, NO_REASON, Rules

STOP: Final = 3
TARGET: Final = 4
TRAIL: Final = 5
LIQUIDATION: Final = 6
END_OF_DATA: Final = 7
"""Reasons for an exit; the rulebook's own come before them."""

_margin_of_one = compiled_in_place(margin_of_one)
_fee_of = compiled_in_place(fee_of)
_funding_of = compiled_in_place(funding_of)
_bankruptcy_price = compiled_in_place(bankruptcy_price)
_slipped_price = compiled_in_place(slipped_price)


class Settings(NamedTuple):
    """Parameters, costs, the contract and the cash at the start, as numbers."""

    rules: Rules
    risk_fraction: float
    leverage: float
    lot: float
    taker_fee: float
    maker_fee: float
    spread_bps: float
    impact_coefficient: float
    max_slippage_bps: float
    brackets: BracketTable
    cash: float


class Candle(NamedTuple):
    """What orders are filled at in one bar; no value is unknown."""

    open: float
    high: float
    low: float
    close: float
    quote_volume: float
    mark_high: float
    mark_low: float
    funding_settled: float


class Order(NamedTuple):
    """An entry sent at a close, for the next bar: `action` HOLD for none; `size` is signed."""

    action: int
    size: float
    entry: float
    stop: float
    target: float


class Entry(NamedTuple):
    """A filled entry; `size` 0 for none, `at_open` whether the position lived from the open on."""

    size: float
    price: float
    reference: float
    liquidation: float
    at_open: bool


class Exits(NamedTuple):
    """The orders around a position.

    `rested` says whether the target has been in the book since an earlier bar, `leaving` why a market
    order closes the position at the next open.
    """

    stop: float
    target: float
    trailed: bool
    rested: bool
    leaving: int


class Exit(NamedTuple):
    """How a position ends within a bar; `reason` NO_REASON if it does not."""

    reason: int
    reference: float
    taker: bool


@compiled_in_place
def no_order() -> Order:
    """Return the absence of an order."""
    return Order(HOLD, 0.0, np.nan, np.nan, np.nan)


@compiled_in_place
def no_entry() -> Entry:
    """Return the absence of a position."""
    return Entry(0.0, 0.0, np.nan, np.nan, at_open=False)


@compiled_in_place
def no_exits() -> Exits:
    """Return the absence of orders around a position."""
    return Exits(np.nan, np.nan, trailed=False, rested=False, leaving=NO_REASON)


@compiled_in_place
def side_of(size: float) -> int:
    """Return 1 for a long position, -1 for a short one."""
    return 1 if size > 0.0 else -1


@compiled_in_place
def _behind(price: float, level: float, side: int) -> bool:
    """Return whether a price is at a level or beyond it, to the loss of a position."""
    return price <= level if side > 0 else price >= level


@compiled_in_place
def _ahead(price: float, level: float, side: int) -> bool:
    """Return whether a price is at a level or beyond it, to the gain of a position."""
    return price >= level if side > 0 else price <= level


@compiled_in_place
def _slipped(size: float, reference: float, candle: Candle, settings: Settings) -> float:
    bps = square_root_bps(
        abs(size) * reference,
        candle.quote_volume,
        candle.high,
        candle.low,
        settings.spread_bps,
        settings.impact_coefficient,
        settings.max_slippage_bps,
    )
    return _slipped_price(reference, size, bps)


@compiled_in_place
def cash_after_entry(cash: float, size: float, price: float, settings: Settings) -> float:
    """Return the cash left when margin and fee are taken off."""
    left = cash - abs(size) * _margin_of_one(price, settings.leverage)
    return left - _fee_of(size, price, settings.taker_fee)


@compiled_in_place
def entry_fee(entry: Entry, settings: Settings) -> float:
    """Return the fee of an entry, quote."""
    return _fee_of(entry.size, entry.price, settings.taker_fee)


@compiled_in_place
def value_of(cash: float, entry: Entry, close: float, settings: Settings) -> float:
    """Return equity: cash, margin and the result since the entry."""
    margin = abs(entry.size) * _margin_of_one(entry.price, settings.leverage)
    result = entry.size * (close - entry.price)
    return cash + ((margin - result) + result) if margin > 0.0 else cash


@compiled_in_place
def entry_of(cash: float, order: Order, candle: Candle, settings: Settings) -> Entry:
    """Return what becomes of an entry order in its bar; its liquidation price may be `REFUSED`."""
    side = side_of(order.size)
    at_open = order.action == ENTER or _ahead(candle.open, order.entry, side)
    reference = candle.open if at_open else order.entry
    if not at_open and not _ahead(candle.high if side > 0 else candle.low, reference, side):
        return no_entry()
    # Margin is asked for when the order is sent and again when it is filled.
    if not cash_after_entry(cash, order.size, order.entry, settings) >= 0.0:
        return no_entry()
    price = _slipped(order.size, reference, candle, settings)
    if cash_after_entry(cash, order.size, price, settings) < 0.0:
        return no_entry()
    liquidation = own_liquidation_price(
        price, settings.leverage, abs(order.size), side, settings.brackets
    )
    return Entry(order.size, price, reference, liquidation, at_open)


@compiled_in_place
def liquidation_reached(entry: Entry, candle: Candle) -> bool:
    """Return whether the mark price liquidates a position within a bar."""
    if entry.size > 0.0:
        return _behind(candle.mark_low, entry.liquidation, 1)
    return _behind(candle.mark_high, entry.liquidation, -1)


@compiled_in_place
def liquidated(entry: Entry, settings: Settings) -> Exit:
    """Return the liquidation of a position."""
    price = _bankruptcy_price(entry.price, settings.leverage, side_of(entry.size))
    return Exit(LIQUIDATION, price, taker=False)


@compiled_in_place
def exit_of(entry: Entry, exits: Exits, entered: bool, candle: Candle, settings: Settings) -> Exit:
    """Return how a position's orders end it in a bar; `entered` if it was opened in this very bar."""
    side = side_of(entry.size)
    if (
        not entered
        and _behind(candle.open, entry.liquidation, side)
        and liquidation_reached(entry, candle)
    ):
        return liquidated(entry, settings)
    if entry.at_open or not entered:
        found = _exit_at_open(exits, candle.open, side)
        if found.reason != NO_REASON:
            return found
    return _exit_within(entry, exits, candle, settings)


@compiled_in_place
def _exit_at_open(exits: Exits, opened: float, side: int) -> Exit:
    if exits.leaving != NO_REASON:
        return Exit(exits.leaving, opened, taker=True)
    if _behind(opened, exits.stop, side):
        return Exit(TRAIL if exits.trailed else STOP, opened, taker=True)
    if _ahead(opened, exits.target, side):
        return Exit(TARGET, exits.target if exits.rested else opened, not exits.rested)
    return Exit(NO_REASON, np.nan, taker=False)


@compiled_in_place
def _exit_within(entry: Entry, exits: Exits, candle: Candle, settings: Settings) -> Exit:
    """Return what the bar's range fills: the stop, else the target, unless liquidated before it."""
    side = side_of(entry.size)
    against, along = candle.low, candle.high
    if side < 0:
        against, along = along, against
    stopped = _behind(against, exits.stop, side)
    if not stopped and not _ahead(along, exits.target, side):
        return Exit(NO_REASON, np.nan, taker=False)
    if liquidation_reached(entry, candle):
        in_time = stopped and not _behind(exits.stop, entry.liquidation, side)
        if not in_time:
            return liquidated(entry, settings)
    if stopped:
        return Exit(TRAIL if exits.trailed else STOP, exits.stop, taker=True)
    return Exit(TARGET, exits.target, taker=False)


@compiled_in_place
def cash_after_exit(
    cash: float, entry: Entry, marked: float, found: Exit, candle: Candle, settings: Settings
) -> tuple[float, float, float]:
    """Return cash, price and fee of an exit from a position that was last `marked` at a price."""
    price, rate = found.reference, settings.taker_fee if found.taker else settings.maker_fee
    if found.reason == LIQUIDATION:
        rate = 0.0
    elif found.reason != TARGET:  # a limit order gets its price or a better one
        price = _slipped(-entry.size, price, candle, settings)
    fee = _fee_of(entry.size, price, rate)
    cash += abs(entry.size) * _margin_of_one(entry.price, settings.leverage)
    cash -= fee
    return cash + entry.size * (price - marked), price, fee


@compiled_in_place
def funding_received(size: float, candle: Candle) -> float:
    """Return the funding on a position held at a bar's close, quote."""
    if candle.funding_settled == 0.0:
        return 0.0
    return _funding_of(size, candle.close, candle.funding_settled)
