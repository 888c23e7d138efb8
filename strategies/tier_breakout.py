"""The breakout strategy: the rulebook's decisions as backtrader orders."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

import backtrader as bt

from ..datasets._compiled import frozen
from ..datasets.errors import InputError
from ._quiet_bars import held_until
from .broker import RESTING_SINCE
from .feed import backtrader_days
from .parameters import TierBreakoutParameters, backtrader_params
from .rulebook import (
    ENTER,
    EXIT,
    MOVE_STOP,
    REASONS,
    REST,
    Account,
    Decision,
    State,
    Tier,
    decide,
    first_state,
    position_size,
    quiet_until,
    rules_of,
)
from .signals import row_at, signals_of

_DEFAULT_LOT: Final = 0.001


class TierBreakout(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Trade breakouts into dense liquidation tiers.

    Its first data must be a `PanelFeed` with features. The rules and their parameters are those of
    `rulebook.decide` and `TierBreakoutParameters`; ``lot`` is the smallest quantity step, base.
    Each order carries why it was sent (``order.info.reason``), an entry also what it was decided on
    (``order.info.context``).

    Notes
    -----
    Look-ahead: ``next`` decides on what is known at a bar's close; its orders are filled from the next
    bar's open on.
    """

    params = (*backtrader_params(TierBreakoutParameters), ("lot", _DEFAULT_LOT))

    def __init__(self) -> None:
        feed = self.data
        if getattr(feed, "panel", None) is None or getattr(feed, "features", None) is None:
            raise InputError(
                "TierBreakout needs a PanelFeed with features: "
                "PanelFeed.from_panel(panel, liquidation_map.features)"
            )
        self.parameters = TierBreakoutParameters(
            **{f.name: getattr(self.p, f.name) for f in fields(TierBreakoutParameters)}
        )
        self._rules = rules_of(self.parameters)
        self._signals = signals_of(feed.panel, feed.features, self.parameters)
        self._quick_signals = frozen(self._signals)
        self._days: list[float] = backtrader_days(feed.panel).tolist()
        self._state: State = first_state()
        self._filled = False
        self._entry_bar = 0
        self._entry_order: bt.Order | None = None
        self._protective_stop: bt.Order | None = None
        self._take_profit: bt.Order | None = None

    def notify_order(self, order: bt.Order) -> None:
        """Note a fill; the rulebook must know of one even if the position is flat again."""
        if order.status == order.Completed:
            self._filled = True
            if order.info.get("reason") == "entry":
                self._entry_bar = len(self.data) - 1

    def next(self) -> None:
        """Decide at the close of a bar."""
        bar = len(self.data) - 1
        if self.data.datetime[0] != self._days[bar]:
            raise InputError(
                f"bar {bar} of the feed is not bar {bar} of its panel: TierBreakout takes a PanelFeed "
                "as it is, neither resampled nor filtered"
            )
        size = self.position.size
        held = bar - self._entry_bar + 1 if size else 0
        account = Account(float(size), held, self._filled)
        self._filled = False
        self._state, decision = decide(
            self._state, row_at(self._signals, bar), account, self._rules
        )
        if not size:
            self._withdraw_resting_entry()
        if decision.action in (ENTER, REST):
            self._enter(decision)
        elif decision.action == EXIT:
            self._leave(REASONS[decision.reason])
        elif decision.action == MOVE_STOP:
            self._move_stop(decision.stop)

    def idle_until(self, stop: int) -> int:
        """Return the first bar to come at which ``next`` may do anything; see `LeanCerebro`."""
        bar = len(self.data)
        size = float(self.position.size)
        if self._filled or (not size and self._entry_order is not None):
            return bar
        if not size:
            return quiet_until(self._state, self._quick_signals, bar, stop, self._rules)
        account = Account(size, bar - self._entry_bar + 1, self._filled)
        bar, self._state = held_until(
            self._state, self._quick_signals, bar, stop, account, self._rules
        )
        return bar

    def _withdraw_resting_entry(self) -> None:
        if self._entry_order is not None and self._entry_order.alive():
            self.cancel(self._entry_order)
        self._entry_order = None

    def _enter(self, decision: Decision) -> None:
        size = position_size(
            self.broker.getvalue(),
            decision.entry,
            decision.stop,
            self.parameters.risk_fraction,
            self.parameters.max_leverage,
            self.p.lot,
        )
        if size <= 0.0:
            return
        long = decision.direction > 0
        send, close = (self.buy, self.sell) if long else (self.sell, self.buy)
        rests = decision.action == REST
        self._entry_order = send(
            size=size,
            price=decision.entry if rests else None,
            exectype=bt.Order.Stop if rests else bt.Order.Market,
            transmit=False,
            reason="entry",
            context=self._context(decision),
        )
        self._protective_stop = close(
            size=size,
            price=decision.stop,
            exectype=bt.Order.Stop,
            parent=self._entry_order,
            transmit=False,
            reason="stop",
        )
        self._take_profit = close(
            size=size,
            price=decision.target,
            exectype=bt.Order.Limit,
            parent=self._entry_order,
            transmit=True,
            reason="target",
        )

    def _context(self, decision: Decision) -> dict[str, Any]:
        tier: Tier = self._state.above if decision.direction > 0 else self._state.below
        ts = self.data.panel.ts
        return {
            "armed_ts": int(ts[tier.armed_bar]),
            "trigger_ts": int(ts[len(self.data) - 1]),
            "stop_price": decision.stop,
            "target_price": decision.target,
            "tier_lower": tier.lower,
            "tier_upper": tier.upper,
            "tier_peak": tier.peak,
            "tier_notional": tier.notional,
            "tier_fuel": tier.fuel,
            "imbalance": tier.imbalance,
        }

    def _leave(self, reason: str) -> None:
        self._cancel_exits()
        self.close(reason=reason)

    def _cancel_exits(self) -> None:
        for order in (self._protective_stop, self._take_profit):
            if order is not None and order.alive():
                self.cancel(order)

    def _move_stop(self, price: float) -> None:
        """Replace stop and target by a pair of which one cancels the other."""
        size = abs(self.position.size)
        replaced = self._take_profit
        if replaced is None:
            return
        self._cancel_exits()
        close = self.sell if self.position.size > 0 else self.buy
        self._protective_stop = close(
            size=size, price=price, exectype=bt.Order.Stop, reason="trail"
        )
        self._take_profit = close(
            size=size,
            price=replaced.created.price,
            exectype=bt.Order.Limit,
            oco=self._protective_stop,
            reason="target",
            # It never left the book: at the venue only the stop is moved.
            **{RESTING_SINCE: replaced.info[RESTING_SINCE]},
        )
