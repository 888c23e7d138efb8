"""Which bars the lean run may pass over, compiled: what an order or a position meets, what is decided.

`rulebook.quiet_until` says it of a strategy that is flat; here is the rest. No rule is written a second
time: orders and liquidation are compared with the ranges of bars, and the rulebook itself is asked what
it decides.
"""

from __future__ import annotations

from typing import NamedTuple

from ..datasets._compiled import compiled
from ._replay_kernel import Bars
from .rulebook import HOLD, Account, Rules, State, decide
from .signals import Signals, row_at

_row_at = compiled(row_at)


class Bounds(NamedTuple):
    """The prices between which nothing happens; infinite where there is none.

    `above` and `below` are those of orders in the book, `mark_above` and `mark_below` those at which the
    mark price liquidates the position. `held` says whether there is a position, to which funding is
    paid.
    """

    above: float
    below: float
    mark_above: float
    mark_below: float
    held: bool


@compiled
def touched_at(bars: Bars, start: int, stop: int, bounds: Bounds) -> int:
    """Return the first bar, from `start` on, that does anything to orders or position; else `stop`."""
    opened, high, low = bars.open, bars.high, bars.low
    mark_high, mark_low, settled = bars.mark_high, bars.mark_low, bars.funding_settled
    for bar in range(start, stop):
        # An unknown price is not between two others, so that backtrader gets to see it.
        within = low[bar] > bounds.below and high[bar] < bounds.above
        if not (within and bounds.below < opened[bar] < bounds.above):
            return bar
        if mark_low[bar] <= bounds.mark_below or mark_high[bar] >= bounds.mark_above:
            return bar
        if bounds.held and settled[bar] != 0.0:
            return bar
    return stop


@compiled
def held_until(
    state: State, signals: Signals, bar: int, stop: int, account: Account, rules: Rules
) -> tuple[int, State]:
    """Return the first bar at which `decide` does more than hold a position, and the state before it.

    Parameters
    ----------
    state : State
        What `decide` returned for the bar before.
    signals : Signals
    bar, stop : int
        Where to begin; a bar by which the position may have changed. `stop` is returned if all before
        it hold.
    account : Account
        What is held at the close of `bar`.
    rules : Rules
    """
    position, held = account.position, account.bars_held
    while bar < stop:
        now = Account(position, held, filled=False)
        after, decision = decide(state, _row_at(signals, bar), now, rules)
        if decision.action != HOLD:
            break
        state = after
        bar += 1
        held += 1
    return bar, state
