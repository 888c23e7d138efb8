"""A broker for perpetual futures: what backtrader's own leaves out, and nothing else.

- *The entry bar is exposed.* A market order filled at the open lives through that whole bar, so a
  bracket's stop and target are live in it; backtrader wakes them one bar later.
- *Order within a bar.* First what can happen at the open (market orders, stops and limits that the
  open has passed), then stops, then limits: where a bar reaches both, the stop counts.
- *After an entry by a stop order* the moments before and after the entry cannot be told apart: if the
  bar's range reaches the protective stop, it counts, at the stop's price.
- *After an entry by a limit order* a target in the same bar counts if the bar closes beyond it.
- *A resting limit order* fills at its price and pays the maker fee, also when the market opens beyond
  it; one that is passed by the very first open it sees is a taker at that open.
- *Slippage* on every order but limits, against the order, beyond the bar's range if need be.
- *Cash is asked for what opens a position alone*: what closes one, a bracket's children and the
  others of an order-cancels-order group are accepted without. backtrader pretends to fill all of a
  bracket, one after the other, and refuses the whole where the second exit would need margin.
- *Funding* on the position held at a bar's close, from the feed's ``funding_settled`` line.
- *Own liquidation* of the isolated position on the mark price (else the trade price). A stop between
  price and the liquidation price goes first unless the open has passed both. The whole margin is
  lost: the position is closed at its bankruptcy price, without a further fee, and every other order
  on the feed is cancelled.
- *An order waits for a bar of its own feed* that begins after it was sent, whatever other feeds do.

Given up: interest, order history, volume fillers and cheat-on-close.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import backtrader as bt

from ..datasets.instruments import Brackets
from ._cost_formulas import bankruptcy_price, funding_of, slipped_price
from .commission import PerpetualCommission
from .ledger import END, LIQUIDATED, Fill, FundingPayment, Ledger
from .slippage import Slippage, SquareRootSlippage

AT_OPEN: Final = 0
AT_STOP: Final = 1
AT_LIMIT: Final = 2
_CHILD: Final = 3
RESTING_SINCE: Final = "resting_since"
"""Key of ``order.info``: how many bars the feed had when a limit order was first in the book. Give it
to an order that replaces another one in its place."""
_DUST: Final = 1e-9
"""Share of an order below which what remains, of it or of the position, is a rounding error."""
_LIMITS: Final = (bt.Order.Limit, bt.Order.StopLimit, bt.Order.StopTrailLimit)


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

    def init(self) -> None:
        """Forget an earlier run; backtrader calls this before each."""
        super().init()
        self.ledgers: dict[Any, Ledger] = {}
        self._owners: dict[Any, Any] = {}
        self._bars_closed: dict[Any, int] = {}
        self._liquidation_prices: dict[tuple[float, float, float], float] = {}

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
        leverage = comminfo.p.position_leverage
        key = (position.size, position.price, leverage)
        if key not in self._liquidation_prices:
            self._liquidation_prices[key] = self.brackets.liquidation_price(
                position.price,
                leverage,
                quantity=abs(position.size),
                direction=1 if position.size > 0 else -1,
            )
        return self._liquidation_prices[key]

    def settle(self, data: Any) -> None:
        """Close the position on a feed at its last close, with fee and slippage (reason ``end``)."""
        if self.positions[data].size:
            order = self._own_order(data, END)
            self._fill(order, data.close[0], taker=True)
            self._bracketize(order)
        self._get_value()

    def next(self) -> None:
        """Advance one bar."""
        if self.p.checksubmit and self.submitted:
            self.check_submitted()
        for data in self._held():
            if self._beyond_liquidation(data, data.open[0]) and self._liquidation_reached(data):
                self._liquidate(data)
        self._put_in_order()
        super().next()
        for data in self._held():
            if self._liquidation_reached(data):
                self._liquidate(data)
            # Another feed's bar brings this one here again with the same bar.
            elif self._bars_closed.get(data) != len(data):
                self._bars_closed[data] = len(data)
                self._pay_funding(data)

    def close_bar(self, data: Any) -> None:
        """Leave orders and equity as a bar does that touched neither orders nor position."""
        self._put_in_order()
        self._bars_closed[data] = len(data)
        self._get_value()

    def _put_in_order(self) -> None:
        if len(self.pending) > 1:
            self.pending: deque[Any] = deque(sorted(self.pending, key=self._place_in_bar))

    def check_submitted(self) -> None:
        """Accept what was submitted; see the module for what needs cash."""
        cash = self.cash
        positions: dict[Any, bt.Position] = {}
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            if order.parent is not None or self._ocos[order.ref] != order.ref:
                self.submit_accept(order)
                continue
            trial = positions.get(order.data, self.positions[order.data]).clone()
            closes = _reduces(trial.size, order) and abs(order.size) <= abs(trial.size)
            left = self._execute(order, cash=cash, position=trial)
            if left >= 0.0 or closes:
                cash, positions[order.data] = left, trial
                self.submit_accept(order)
            else:
                order.margin()
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)

    def notify(self, order: bt.Order) -> None:
        """Tell the strategy about an order; one that is filled but for a rounding error is complete."""
        if order.status == order.Partial and abs(order.executed.remsize) < _DUST * abs(order.size):
            order.executed.remsize = 0.0
            order.completed()
        super().notify(order)

    def _held(self) -> list[Any]:
        return [data for data, position in self.positions.items() if position.size]

    def _bracketize(self, order: bt.Order, cancel: bool = False) -> None:
        super()._bracketize(order, cancel=cancel)
        # Only what woke up within this bar is waiting here: it lives from now on.
        while self._toactivate:
            self._toactivate.popleft().activate()

    def _place_in_bar(self, order: bt.Order) -> int:
        """Return when in a bar an order can be filled, bracket children after all parents."""
        parent, place = order.parent, AT_STOP
        waiting = parent is not None and parent.alive()
        if order.exectype == bt.Order.Market:
            place = AT_OPEN
        elif order.exectype == bt.Order.Limit:
            place = AT_LIMIT
        if self._passed(order, order.data.open[0]) and not (
            waiting and self._place_in_bar(parent) != AT_OPEN
        ):
            place = AT_OPEN
        return place + (_CHILD if waiting else 0)

    @staticmethod
    def _passed(order: bt.Order, price: float) -> bool:
        """Return whether a price fulfils a limit or triggers a stop order."""
        trigger = order.created.price
        if trigger is None:
            return False
        return bool(price >= trigger if acts_above(order) else price <= trigger)

    def _try_exec(self, order: bt.Order) -> None:
        if not self.p.coo and order.data.datetime[0] <= order.created.dt:
            return
        if order.exectype == bt.Order.Market:
            self._fill_unless_liquidated(order, order.data.open[0], taker=True)
        elif order.exectype == bt.Order.Limit:
            self._try_limit(order)
        elif order.exectype == bt.Order.Stop:
            self._try_stop(order)
        else:
            super()._try_exec(order)

    def _try_limit(self, order: bt.Order) -> None:
        data, price = order.data, order.created.price
        parent = self._entered_within_bar(order)
        if parent is not None and parent.exectype == bt.Order.Limit:
            if self._passed(order, data.close[0]):
                self._fill_unless_liquidated(order, price, taker=False)
        elif parent is None and self._passed(order, data.open[0]):
            rested = order.info.get(RESTING_SINCE, len(data)) < len(data)
            self._fill_unless_liquidated(order, price if rested else data.open[0], taker=not rested)
        elif self._passed(order, data.high[0] if order.issell() else data.low[0]):
            self._fill_unless_liquidated(order, price, taker=False)
        order.info.setdefault(RESTING_SINCE, len(data))

    def _try_stop(self, order: bt.Order) -> None:
        data, price = order.data, order.created.price
        if self._fills_at_open(order):
            self._fill_unless_liquidated(order, data.open[0], taker=True)
        elif self._passed(order, data.high[0] if order.isbuy() else data.low[0]):
            self._fill_unless_liquidated(order, price, taker=True)

    def _entered_within_bar(self, order: bt.Order) -> bt.Order | None:
        """Return the parent, if it was filled during this very bar and not at its open."""
        parent = order.parent
        within = (
            parent is not None
            and parent.exectype != bt.Order.Market
            and parent.executed.dt == order.data.datetime[0]
            and not self._passed(parent, order.data.open[0])
        )
        return parent if within else None

    def _fill_unless_liquidated(self, order: bt.Order, price: float, *, taker: bool) -> None:
        """Fill an order, unless the position it would reduce is liquidated before that price."""
        if _reduces(self.positions[order.data].size, order) and self._liquidation_reached(
            order.data
        ):
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
        return self._passed(order, order.data.open[0]) and self._entered_within_bar(order) is None

    def _fill(self, order: bt.Order, reference: float, *, taker: bool) -> None:
        data, asked = order.data, order.executed.remsize
        price = self._slipped(order, reference) if taker else reference
        comminfo = self.getcommissioninfo(data)
        fee_before = self._set_fee(comminfo, order, taker=taker)
        super()._execute(order, ago=0, price=price)
        position = self.positions[data]
        if abs(position.size) < _DUST * abs(asked):
            position.size = 0.0
        if size := asked - order.executed.remsize:
            self._owners[data] = order.owner
            fill = Fill(
                bar=len(data) - 1,
                size=size,
                price=price,
                reference_price=reference,
                fee=comminfo.getcommission(size, price),
                reason=order.info.get("reason", ""),
                context=order.info.get("context", None),
                order_ref=order.ref,
                liquidity="taker" if taker else "maker",
            )
            self.ledger(data).fills.append(fill)
        self._restore_fee(comminfo, fee_before)

    def _slipped(self, order: bt.Order, reference: float) -> float:
        data, size = order.data, order.executed.remsize
        if order.exectype in _LIMITS or order.info.get("reason") == LIQUIDATED:
            return reference
        volume = self._line(data, "quote_volume", data.volume[0] * data.close[0])
        bps = self.slippage.bps(
            abs(size) * reference, quote_volume=volume, high=data.high[0], low=data.low[0]
        )
        return slipped_price(reference, size, bps)

    def _execute(
        self, order: bt.Order, ago: int | None = None, price: float | None = None, **rest: Any
    ) -> Any:
        """Fill what backtrader's own methods have matched; without `ago` only pretend to."""
        if ago is None:
            return super()._execute(order, price=price, **rest)
        if price is not None:
            self._fill_unless_liquidated(order, price, taker=True)
        return None

    @staticmethod
    def _set_fee(comminfo: Any, order: bt.Order, *, taker: bool) -> float | None:
        if not isinstance(comminfo, PerpetualCommission):
            return None
        before = comminfo.fee_rate
        free = order.info.get("reason") == LIQUIDATED
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
        bankruptcy = bankruptcy_price(position.price, leverage, 1 if position.size > 0 else -1)
        for order in [o for o in self.pending if o is not None and o.data is data]:
            self.cancel(order)
        order = self._own_order(data, LIQUIDATED)
        self._fill(order, bankruptcy, taker=True)
        self._bracketize(order)
        self._get_value()

    def _pay_funding(self, data: Any) -> None:
        rate = self._line(data, "funding_settled", 0.0)
        if rate != 0.0:
            ledger = self.ledger(data)
            amount = funding_of(self.positions[data].size, data.close[0], rate)
            self.cash += amount
            payment = FundingPayment(bar=len(data) - 1, amount=amount, fills=len(ledger.fills))
            ledger.funding.append(payment)
            self._get_value()


def acts_above(order: bt.Order) -> bool:
    """Return whether a limit or stop order waits for a price at its own or above; else for one below."""
    return bool(order.isbuy() != (order.exectype == bt.Order.Limit))


def _reduces(size: float, order: bt.Order) -> bool:
    """Return whether an order works against a position."""
    return bool(size * order.executed.remsize < 0)
