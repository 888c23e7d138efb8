"""The compiled replay of one parameter set: the rulebook's decisions carried out bar by bar.

Bars at which nothing can happen are passed over (`rulebook.quiet_until`); the others go the same way as
in backtrader: first the bar does to orders and position what it does, then the rulebook decides at its
close, and its orders live from the next bar on.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..datasets._compiled import compiled_in_place
from ..datasets.panel import Float64Array1D, Int64Array1D, Panel
from ._cost_formulas import REFUSED
from ._replay_fills import (
    END_OF_DATA,
    Candle,
    Entry,
    Exit,
    Exits,
    Order,
    Settings,
    cash_after_entry,
    cash_after_exit,
    entry_fee,
    entry_of,
    exit_of,
    funding_received,
    liquidated,
    liquidation_reached,
    no_entry,
    no_exits,
    no_order,
    value_of,
)
from .rulebook import (
    ENTER,
    EXIT,
    HOLD,
    MOVE_STOP,
    NO_REASON,
    REST,
    Account,
    Decision,
    Tier,
    decide,
    first_state,
    position_size,
    quiet_until,
)
from .signals import Signals, row_at

FLOAT_COLUMNS: Final = (
    "size",
    "entry_price",
    "entry_reference",
    "exit_price",
    "exit_reference",
    "fees",
    "funding",
    "lowest",
    "highest",
    "equity_before",
    "stop_price",
    "target_price",
    "own_liquidation_price",
    "tier_lower",
    "tier_upper",
    "tier_peak",
    "tier_notional",
    "tier_fuel",
    "imbalance",
)
INT_COLUMNS: Final = ("armed_bar", "trigger_bar", "entry_bar", "exit_bar", "exit_reason")

(
    _SIZE,
    _ENTRY_PRICE,
    _ENTRY_REFERENCE,
    _EXIT_PRICE,
    _EXIT_REFERENCE,
    _FEES,
    _FUNDING,
    _LOWEST,
    _HIGHEST,
    _EQUITY_BEFORE,
    _STOP_PRICE,
    _TARGET_PRICE,
    _LIQUIDATION_PRICE,
    _TIER_LOWER,
    _TIER_UPPER,
    _TIER_PEAK,
    _TIER_NOTIONAL,
    _TIER_FUEL,
    _IMBALANCE,
) = range(len(FLOAT_COLUMNS))
_ARMED_BAR, _TRIGGER_BAR, _ENTRY_BAR, _EXIT_BAR, _EXIT_REASON = range(len(INT_COLUMNS))

FloatRows = NDArray[np.float64]
IntRows = NDArray[np.int64]
_row_at = compiled_in_place(row_at)


class Bars(NamedTuple):
    """The columns of `Candle`, shape (n,) each."""

    open: Float64Array1D
    high: Float64Array1D
    low: Float64Array1D
    close: Float64Array1D
    quote_volume: Float64Array1D
    mark_high: Float64Array1D
    mark_low: Float64Array1D
    funding_settled: Float64Array1D


def bars_of(panel: Panel) -> Bars:
    """Return what orders are filled at, unknown values replaced as `PerpetualBroker` replaces them."""

    def known(column: Float64Array1D, otherwise: Float64Array1D) -> Float64Array1D:
        unknown = np.isnan(column)
        return np.where(unknown, otherwise, column) if unknown.any() else column

    return Bars(
        open=panel.open,
        high=panel.high,
        low=panel.low,
        close=panel.close,
        quote_volume=known(panel.quote_volume, panel.volume * panel.close),
        mark_high=known(panel.mark_high, panel.high),
        mark_low=known(panel.mark_low, panel.low),
        funding_settled=known(panel.funding_settled, np.zeros(len(panel))),
    )


class Course(NamedTuple):
    """What became of a position so far: the price it was last marked at, its range, its funding."""

    marked: float
    lowest: float
    highest: float
    funding: float


def rows_for(bars: int) -> tuple[FloatRows, IntRows]:
    """Return room for a run's trades, a row each: `FLOAT_COLUMNS` and `INT_COLUMNS`.

    From one entry to the next there are two bars at least: at the close of one a tier is armed, at that
    of another the order is sent.
    """
    rows = bars // 2 + 2
    floats = np.empty((rows, len(FLOAT_COLUMNS)))
    return floats, np.empty((rows, len(INT_COLUMNS)), dtype=np.int64)


@compiled_in_place
def _candle(bars: Bars, bar: int) -> Candle:
    return Candle(
        bars.open[bar],
        bars.high[bar],
        bars.low[bar],
        bars.close[bar],
        bars.quote_volume[bar],
        bars.mark_high[bar],
        bars.mark_low[bar],
        bars.funding_settled[bar],
    )


@compiled_in_place
def _new_course(entry: Entry) -> Course:
    return Course(entry.price, entry.reference, entry.reference, 0.0)


@compiled_in_place
def _new_exits(order: Order) -> Exits:
    return Exits(order.stop, order.target, trailed=False, rested=False, leaving=NO_REASON)


@compiled_in_place
def _order_for(decision: Decision, equity: float, settings: Settings) -> Order:
    """Return the entry that a decision asks for, if there is money for one lot."""
    if decision.action != ENTER and decision.action != REST:
        return no_order()
    size = position_size(
        equity,
        decision.entry,
        decision.stop,
        settings.risk_fraction,
        settings.leverage,
        settings.lot,
    )
    if size <= 0.0:
        return no_order()
    signed = size if decision.direction > 0 else -size
    return Order(decision.action, signed, decision.entry, decision.stop, decision.target)


@compiled_in_place
def _exits_for(decision: Decision, exits: Exits) -> Exits:
    """Return the orders around a position after a decision; its target has now been in the book."""
    stop, trailed, leaving = exits.stop, exits.trailed, exits.leaving
    if decision.action == EXIT:
        leaving = decision.reason
    elif decision.action == MOVE_STOP:
        stop, trailed = decision.stop, True
    return Exits(stop, exits.target, trailed, rested=True, leaving=leaving)


@compiled_in_place
def _hold_on(
    cash: float, entry: Entry, course: Course, candle: Candle, settings: Settings
) -> tuple[float, Course, Exit]:
    """Mark a position at the close: it may still be liquidated within the bar, else funding is paid."""
    cash += entry.size * (candle.close - course.marked)
    if liquidation_reached(entry, candle):
        marked = Course(candle.close, course.lowest, course.highest, course.funding)
        return cash, marked, liquidated(entry, settings)
    paid = funding_received(entry.size, candle)
    held = Course(
        candle.close,
        min(course.lowest, candle.low),
        max(course.highest, candle.high),
        course.funding + paid,
    )
    return cash + paid, held, Exit(NO_REASON, np.nan, taker=False)


@compiled_in_place
def _write_entry(
    floats: Float64Array1D,
    ints: Int64Array1D,
    cash: float,
    order: Order,
    entry: Entry,
    tier: Tier,
    bar: int,
) -> None:
    """Begin a row; `cash` is what there was before."""
    floats[_SIZE] = entry.size
    floats[_ENTRY_PRICE] = entry.price
    floats[_ENTRY_REFERENCE] = entry.reference
    floats[_EQUITY_BEFORE] = cash
    floats[_STOP_PRICE] = order.stop
    floats[_TARGET_PRICE] = order.target
    floats[_LIQUIDATION_PRICE] = entry.liquidation
    floats[_TIER_LOWER] = tier.lower
    floats[_TIER_UPPER] = tier.upper
    floats[_TIER_PEAK] = tier.peak
    floats[_TIER_NOTIONAL] = tier.notional
    floats[_TIER_FUEL] = tier.fuel
    floats[_IMBALANCE] = tier.imbalance
    ints[_ARMED_BAR] = tier.armed_bar
    ints[_TRIGGER_BAR] = bar - 1
    ints[_ENTRY_BAR] = bar


@compiled_in_place
def _leave(
    floats: Float64Array1D,
    ints: Int64Array1D,
    cash: float,
    entry: Entry,
    course: Course,
    found: Exit,
    candle: Candle,
    bar: int,
    settings: Settings,
) -> float:
    """Close a position, finish its row and return the cash."""
    cash, price, fee = cash_after_exit(cash, entry, course.marked, found, candle, settings)
    # Of the bar in which it was left its open was seen for certain, if it was held by then.
    seen = candle.open if bar > ints[_ENTRY_BAR] else found.reference
    floats[_EXIT_PRICE] = price
    floats[_EXIT_REFERENCE] = found.reference
    floats[_FEES] = entry_fee(entry, settings) + fee
    floats[_FUNDING] = course.funding
    floats[_LOWEST] = min(course.lowest, found.reference, seen)
    floats[_HIGHEST] = max(course.highest, found.reference, seen)
    ints[_EXIT_BAR] = bar
    ints[_EXIT_REASON] = found.reason
    return cash


@compiled_in_place
def run(
    signals: Signals,
    bars: Bars,
    settings: Settings,
    start: int,
    stop: int,
    equity: Float64Array1D,
    position: Float64Array1D,
    floats: FloatRows,
    ints: IntRows,
) -> tuple[int, bool]:
    """Run over bars `start` to `stop` (exclusive), from flat to flat.

    Parameters
    ----------
    signals, bars, settings
    start, stop : int
    equity, position : ndarray of float64, shape (stop - start,), output
    floats, ints : ndarray, output
        See `rows_for`.

    Returns
    -------
    tuple of int and bool
        Number of trades, and whether the run was broken off because the venue refuses the leverage to
        the position in the row after them.
    """
    # A literal 0 would have what it is passed to compiled twice.
    cash, trades, entry_bar = settings.cash, 0 * stop, start - 1
    state, order, entry, exits = first_state(), no_order(), no_entry(), no_exits()
    course = _new_course(entry)
    bar = start
    while bar < stop:
        if entry.size == 0.0 and order.action == HOLD:
            quiet = quiet_until(state, signals, bar, stop, settings.rules)
            equity[bar - start : quiet - start] = cash
            position[bar - start : quiet - start] = 0.0
            bar = quiet
            if bar == stop:
                break
        candle = _candle(bars, bar)
        filled = False
        if order.action != HOLD:
            entry = entry_of(cash, order, candle, settings)
            if entry.size != 0.0:
                exits, course = _new_exits(order), _new_course(entry)
                tier = state.above if entry.size > 0.0 else state.below
                _write_entry(floats[trades], ints[trades], cash, order, entry, tier, bar)
                if entry.liquidation == REFUSED:
                    return trades, True
                cash = cash_after_entry(cash, entry.size, entry.price, settings)
                entry_bar, filled = bar, True
        if entry.size != 0.0:
            found = exit_of(entry, exits, entry_bar == bar, candle, settings)
            if found.reason == NO_REASON:
                cash, course, found = _hold_on(cash, entry, course, candle, settings)
            if found.reason != NO_REASON:
                row, codes = floats[trades], ints[trades]
                cash = _leave(row, codes, cash, entry, course, found, candle, bar, settings)
                entry, filled = no_entry(), True
                trades += 1
        value = value_of(cash, entry, candle.close, settings)
        equity[bar - start] = value
        position[bar - start] = entry.size
        held = bar - entry_bar + 1 if entry.size != 0.0 else 0
        account = Account(entry.size, held, filled)
        state, decision = decide(state, _row_at(signals, bar), account, settings.rules)
        order = _order_for(decision, value, settings)
        exits = _exits_for(decision, exits)
        bar += 1
    if entry.size != 0.0:
        last = stop - 1
        candle = _candle(bars, last)
        found = Exit(END_OF_DATA, candle.close, taker=True)
        row, codes = floats[trades], ints[trades]
        equity[-1] = _leave(row, codes, cash, entry, course, found, candle, last, settings)
        trades += 1
    return trades, False
