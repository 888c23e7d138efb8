"""A broker for perpetual futures: what backtrader's own leaves out, and nothing else.

- *The entry bar is exposed.* A market order filled at the open lives through that whole bar, so a
  bracket's stop and target are live in it; backtrader wakes them one bar later.
- *Order within a bar.* First what can happen at the open (market orders, stops and limits that the
  open has passed), then stops, then limits: where a bar reaches both, the stop counts.
- *After an entry by a stop order* the moments before and after the entry cannot be told apart: if the
  bar's range reaches the protective stop, it counts, at the stop's price.
- *A resting limit order* fills at its price and pays the maker fee, also when the market opens beyond
  it; one that is passed by the very first open it sees is a taker at that open.
- *Slippage* on market and stop orders, against the order, beyond the bar's range if need be.
- *Funding* on the position held at a bar's close, from the feed's ``funding_settled`` line.
- *Own liquidation* of the isolated position on the mark price (else the trade price). A stop between
  price and the liquidation price goes first unless the open has passed both. The whole margin is
  lost: the position is closed at its bankruptcy price, without a further fee.

Given up: interest, order history, volume fillers and cheat-on-close.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import backtrader as bt

from ..datasets.instruments import Brackets
from .commission import PerpetualCommission
from .slippage import Slippage, SquareRootSlippage

AT_OPEN: Final = 0
AT_STOP: Final = 1
AT_LIMIT: Final = 2
_CHILD: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution.

    Attributes
    ----------
    bar : int
        Index of the bar in the feed.
    size : float
        Base, signed.
    price, reference_price : float
        What was paid, and what it would have been without slippage, quote per base.
    fee : float
        Quote.
    reason : str
        Why the order was sent: ``entry``, ``stop``, ``target``, ``absorbed``, ``time``, ``trail``,
        ``liquidated``, ``end``, or empty for an order that says nothing.
    context : object
        What the order carried under ``context``.
    """

    bar: int
    size: float
    price: float
    reference_price: float
    fee: float
    reason: str
    context: Any


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """Funding received (positive) or paid at a bar's close, quote."""

    bar: int
    amount: float


@dataclass(slots=True)
class Ledger:
    """Everything that changed the cash of one feed, in order."""

    fills: list[Fill] = field(default_factory=list)
    funding: list[FundingPayment] = field(default_factory=list)


class PerpetualBroker(bt.brokers.BackBroker):  # type: ignore[misc]  # backtrader has no stubs
    """Backtrader's broker for perpetual futures; see the module for what differs.

    Parameters
    ----------
    slippage : Slippage, optional
        `SquareRootSlippage` by default.
    brackets : Brackets, optional
        Maintenance-margin table for the own liquidation; none without.
    **params
        Those of ``BackBroker``.
    """

    params = (("shortcash", False),)

    def __init__(
        self, slippage: Slippage | None = None, brackets: Brackets | None = None, **params: Any
    ) -> None:
        super().__init__(**params)
        self.slippage: Slippage = slippage if slippage is not None else SquareRootSlippage()
        self.brackets = brackets
        self.ledgers: dict[Any, Ledger] = {}
        self._owners: dict[Any, Any] = {}
        self._reference: float | None = None
        self._liquidation_prices: dict[tuple[float, float], float] = {}

    def ledger(self, data: Any) -> Ledger:
        """Return what happened on a feed so far."""
        return self.ledgers.setdefault(data, Ledger())

    def liquidation_price(self, data: Any) -> float:
        """Return the price at which the position on a feed is liquidated; NaN where there is none."""
        position = self.positions[data]
        comminfo = self.getcommissioninfo(data)
        if (
            self.brackets is None
            or not position.size
            or not isinstance(comminfo, PerpetualCommission)
        ):
            return float("nan")
        key = (position.size, position.price)
        if key not in self._liquidation_prices:
            self._liquidation_prices[key] = self.brackets.liquidation_price(
                position.price,
                comminfo.p.position_leverage,
                quantity=abs(position.size),
                direction=1 if position.size > 0 else -1,
            )
        return self._liquidation_prices[key]

    def settle(self, data: Any) -> None:
        """Close the position on a feed at its last close, with fee and slippage (reason ``end``)."""
        position = self.positions[data]
        if position.size:
            order = self._own_order(data, "end")
            self._fill(order, data.close[0], taker=True)
            self._bracketize(order)
        self._get_value()

    def next(self) -> None:
        """Advance one bar."""
        for data, position in list(self.positions.items()):
            if position.size and self._beyond_liquidation(data, data.open[0]):
                self._liquidate(data)
        if len(self.pending) > 1 or self.submitted:
            if self.p.checksubmit:
                self.check_submitted()
            self.pending: deque[Any] = deque(sorted(self.pending, key=self._place_in_bar))
        super().next()
        changed = False
        for data, position in list(self.positions.items()):
            if position.size and self._liquidation_reached(data):
                self._liquidate(data)
                changed = True
            if position.size:
                changed |= self._pay_funding(data)
        if changed:
            self._get_value()

    def _bracketize(self, order: bt.Order, cancel: bool = False) -> None:
        super()._bracketize(order, cancel=cancel)
        # Only what woke up within this bar is waiting here: it lives from now on.
        while self._toactivate:
            self._toactivate.popleft().activate()

    def _place_in_bar(self, order: bt.Order) -> int:
        """Return when in a bar an order can be filled, bracket children after all parents."""
        waiting = order.parent is not None and order.parent.alive()
        if order.exectype == bt.Order.Market:
            place = AT_OPEN
        elif order.exectype == bt.Order.Limit:
            place = AT_OPEN if self._passed(order, order.data.open[0]) else AT_LIMIT
        else:
            place = AT_OPEN if self._passed(order, order.data.open[0]) else AT_STOP
        return place + (_CHILD if waiting else 0)

    @staticmethod
    def _passed(order: bt.Order, price: float) -> bool:
        """Return whether a price fulfils a limit or triggers a stop order."""
        rising = order.isbuy() != (order.exectype == bt.Order.Limit)
        trigger = order.created.price
        if trigger is None:
            return False
        return bool(price >= trigger if rising else price <= trigger)

    def _try_exec(self, order: bt.Order) -> None:
        if order.exectype == bt.Order.Market:
            if order.data.datetime[0] > order.created.dt:
                self._fill_unless_liquidated(order, order.data.open[0], taker=True)
        elif order.exectype == bt.Order.Limit:
            self._try_limit(order)
        elif order.exectype == bt.Order.Stop:
            self._try_stop(order)
        else:
            super()._try_exec(order)

    def _try_limit(self, order: bt.Order) -> None:
        data, price = order.data, order.created.price
        if self._passed(order, data.open[0]):
            first_bar = len(data) - order.info.get("first_bar", len(data)) == 0
            fill = data.open[0] if first_bar else price
            self._fill_unless_liquidated(order, fill, taker=first_bar)
        elif self._passed(order, data.high[0] if order.issell() else data.low[0]):
            self._fill_unless_liquidated(order, price, taker=False)
        order.addinfo(first_bar=order.info.get("first_bar", len(data)))

    def _try_stop(self, order: bt.Order) -> None:
        data, price = order.data, order.created.price
        if self._passed(order, data.open[0]) and not self._entered_within_bar(order):
            self._fill_unless_liquidated(order, data.open[0], taker=True)
        elif self._passed(order, data.high[0] if order.isbuy() else data.low[0]):
            self._fill_unless_liquidated(order, price, taker=True)

    @staticmethod
    def _entered_within_bar(order: bt.Order) -> bool:
        """Return whether the parent was a stop order that the market reached during this very bar."""
        parent = order.parent
        return (
            parent is not None
            and parent.exectype == bt.Order.Stop
            and parent.executed.dt == order.data.datetime[0]
            and not PerpetualBroker._passed(parent, order.data.open[0])
        )

    def _fill_unless_liquidated(self, order: bt.Order, price: float, *, taker: bool) -> None:
        """Fill an order, unless the position it would reduce is liquidated before that price."""
        position = self.positions[order.data]
        reduces = position.size * (1 if order.isbuy() else -1) < 0
        if reduces and self._liquidation_reached(order.data):
            stops_before = order.exectype == bt.Order.Stop and not self._beyond_liquidation(
                order.data, price
            )
            if not (stops_before or self._fills_at_open(order)):
                self._liquidate(order.data)
                order.cancel()
                self.notify(order)
                return
        self._fill(order, price, taker=taker)

    def _fills_at_open(self, order: bt.Order) -> bool:
        if order.exectype == bt.Order.Market:
            return True
        return self._passed(order, order.data.open[0]) and not self._entered_within_bar(order)

    def _fill(self, order: bt.Order, reference: float, *, taker: bool) -> None:
        data = order.data
        size = order.executed.remsize
        direction = 1 if size > 0 else -1
        slips = (
            taker and order.exectype != bt.Order.Limit and order.info.get("reason") != "liquidated"
        )
        price = reference
        if slips:
            volume = self._line(data, "quote_volume", data.volume[0] * data.close[0])
            bps = self.slippage.bps(
                abs(size) * reference, quote_volume=volume, high=data.high[0], low=data.low[0]
            )
            price = reference * (1.0 + direction * bps / 1e4)
        comminfo = self.getcommissioninfo(data)
        fee_before = self._set_fee(comminfo, order, taker=taker)
        self._reference = reference
        self._execute(order, ago=0, price=price)
        self._reference = None
        self._restore_fee(comminfo, fee_before)

    def _execute(
        self, order: bt.Order, ago: int | None = None, price: float | None = None, **rest: Any
    ) -> Any:
        before = order.executed.remsize
        result = super()._execute(order, ago=ago, price=price, **rest)
        size = before - order.executed.remsize
        if ago is not None and size and price is not None:
            data = order.data
            self._owners[data] = order.owner
            self.ledger(data).fills.append(
                Fill(
                    bar=len(data) - 1,
                    size=size,
                    price=price,
                    reference_price=price if self._reference is None else self._reference,
                    fee=self.getcommissioninfo(data).getcommission(size, price),
                    reason=order.info.get("reason", ""),
                    context=order.info.get("context", None),
                )
            )
        return result

    @staticmethod
    def _set_fee(comminfo: Any, order: bt.Order, *, taker: bool) -> float | None:
        if not isinstance(comminfo, PerpetualCommission):
            return None
        before = comminfo.fee_rate
        free = order.info.get("reason") == "liquidated"
        comminfo.fee_rate = 0.0 if free else comminfo.p.taker if taker else comminfo.p.maker
        return before

    @staticmethod
    def _restore_fee(comminfo: Any, before: float | None) -> None:
        if before is not None:
            comminfo.fee_rate = before

    @staticmethod
    def _line(data: Any, name: str, otherwise: float) -> float:
        line = getattr(data.lines, name, None)
        if line is None:
            return otherwise
        value = float(line[0])
        return value if value == value else otherwise

    def _beyond_liquidation(self, data: Any, price: float) -> bool:
        level = self.liquidation_price(data)
        return price <= level if self.positions[data].size > 0 else price >= level

    def _liquidation_reached(self, data: Any) -> bool:
        if self.brackets is None:
            return False
        if self.positions[data].size > 0:
            extreme = self._line(data, "mark_low", data.low[0])
        else:
            extreme = self._line(data, "mark_high", data.high[0])
        return self._beyond_liquidation(data, extreme)

    def _own_order(self, data: Any, reason: str) -> bt.Order:
        """Return an order of the broker's that closes a position, out of the queue."""
        position = self.positions[data]
        send = self.sell if position.size > 0 else self.buy
        order = send(
            self._owners[data],
            data,
            abs(position.size),
            exectype=bt.Order.Market,
            _checksubmit=False,
            reason=reason,
        )
        if order in self.pending:
            self.pending.remove(order)
        return order

    def _liquidate(self, data: Any) -> None:
        position = self.positions[data]
        leverage = self.getcommissioninfo(data).p.position_leverage
        side = 1.0 if position.size > 0 else -1.0
        bankruptcy = position.price * (1.0 - side / leverage)
        for order in [o for o in self.pending if o is not None and o.data is data]:
            self.cancel(order)
        order = self._own_order(data, "liquidated")
        self._fill(order, bankruptcy, taker=True)
        self._bracketize(order)

    def _pay_funding(self, data: Any) -> bool:
        rate = self._line(data, "funding_settled", 0.0)
        if rate == 0.0:
            return False
        amount = -self.positions[data].size * data.close[0] * rate
        self.cash += amount
        self.ledger(data).funding.append(FundingPayment(len(data) - 1, amount))
        return True
