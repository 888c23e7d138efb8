"""The lean run: backtrader's own loop over the bars at which something can happen, and over no others.

Between two such bars nothing is asked of the strategy, no order is near enough to be filled, the
position is not liquidated and pays no funding. Then only equity moves, with the price; it is reckoned
for all those bars at once, in backtrader's own sequence of operations, so that a lean run is equal to a
stock one to the last bit. At the other bars everything is backtrader: its loop, broker, orders, trades,
commission and notifications.

`LeanCerebro` runs so by itself where nothing is in use that has to see every bar, and as backtrader
does where anything is. The run is lean with

- one `PanelFeed`, preloaded, without filter, resampling or replay;
- `PerpetualBroker` with `PerpetualCommission` (without interest), no cheating on open or close, no
  filler, no history of orders or of a fund;
- one strategy that says when it is idle, as `TierBreakout` does, without indicators;
- analyzers that can be told of many bars at once, as `EquityCurve` and `TierTrades` can;
- no observers (``stdstats=False``), writers or timers.

A subclass of any of these that changes what its base does at each bar is run as backtrader does. A
strategy of yours joins in by a method ``idle_until(stop)``: it returns the index of the first bar to
come, ``len(self.data)`` or later, at which its ``next`` (or a notification of cash and value) would do
anything if no order of its own is filled before; ``stop`` if there is none before that. It is called
only while no bar before ``stop`` touches its orders. An analyzer joins in by
``pass_over(passed: PassedBars)``.
"""

from __future__ import annotations

import inspect
import math
from array import array
from typing import Any, Final, NamedTuple

import backtrader as bt
import numpy as np

from ..datasets._compiled import frozen
from ..datasets.panel import Float64Array1D
from ._quiet_bars import Bounds, touched_at
from ._replay_kernel import Bars, bars_of
from .broker import RESTING_SINCE, PerpetualBroker, acts_above
from .commission import PerpetualCommission
from .feed import PanelFeed

_HARMLESS: Final = frozenset(
    {
        "__init__",
        "init",
        "start",
        "stop",
        "notify_order",
        "notify_trade",
        "create_analysis",
        "get_analysis",
    }
)
"""Methods that are called once, or only where a lean run does as backtrader does."""
_LOOK_AHEAD: Final = 4096
"""How far orders are looked after at once, so that one that is far away is not for ever searched for."""


class PassedBars(NamedTuple):
    """Bars `start` to `stop` (exclusive), which nothing happened at.

    `equity` (quote) is that at each close, shape (stop - start,); `position` (base, signed) was held
    throughout.
    """

    start: int
    stop: int
    equity: Float64Array1D
    position: float


class LeanCerebro(bt.Cerebro):  # type: ignore[misc]  # backtrader has no stubs
    """A Cerebro that passes over bars at which nothing can happen; see the module for when."""

    def _runonce(self, runstrats: list[bt.Strategy]) -> None:
        if not self._may_be_lean(runstrats):
            super()._runonce(runstrats)
            return
        (strategy,), (data,) = runstrats, self.datas
        # What `_once` leaves of a strategy without indicators.
        data.home()
        strategy.reset()
        bars = frozen(bars_of(data.panel))
        while True:
            self._pass_over(strategy, data, bars)
            if len(data) == data.buflen():
                return
            data.advance()
            self._brokernotify()
            if self._event_stop:
                return
            strategy._oncepost(data.datetime[0])
            if self._event_stop:
                return

    def _may_be_lean(self, runstrats: list[bt.Strategy]) -> bool:
        if len(runstrats) != 1 or len(self.datas) != 1:
            return False
        (strategy,) = runstrats
        seen_at_each_bar = (
            *strategy.getindicators(),
            *strategy.getobservers(),
            *strategy._slave_analyzers,
            *self.runwriters,
            *self._timers,
            *self._timerscheat,
        )
        return (
            not seen_at_each_bar
            and not self.p.cheat_on_open
            and _whole(self.datas[0])
            and _keeps(strategy, "idle_until")
            and all(_keeps(a, "pass_over") and not a._children for a in strategy.analyzers)
            and _perpetual(self.broker)
        )

    def _pass_over(self, strategy: bt.Strategy, data: PanelFeed, bars: Bars) -> None:
        # Up to its first bar a strategy waits for its data, and is told when they are there.
        if strategy._minperstatus > 0:
            return
        start = len(data)
        stop = _untouched_until(self.broker, data, bars)
        if stop > start:
            stop = strategy.idle_until(stop)
        if stop <= start:
            return
        data.advance(stop - start)
        _forward(strategy, data, stop - start)
        position = self.broker.positions[data]
        equity = _marked(self.broker, data, position, bars.close[start:stop])
        passed = PassedBars(start, stop, equity, position.size)
        for analyzer in strategy.analyzers:
            analyzer.pass_over(passed)


def _forward(strategy: bt.Strategy, data: PanelFeed, bars: int) -> None:
    """Move a strategy's lines as far as its data has gone; one value at a time would take long."""
    unknown = array("d", [math.nan]) * bars
    for line in strategy.lines:
        line.array.extend(unknown)
        line.advance(bars)
    moments: Any = data.lines
    strategy.lines.datetime.array[-bars:] = moments.datetime.array[len(data) - bars : len(data)]
    strategy._getminperstatus()


def _keeps(thing: Any, method: str) -> bool:
    """Return whether an object has a method and is otherwise as the class that wrote it."""
    author = next((kind for kind in type(thing).__mro__ if method in vars(kind)), None)
    return author is not None and _unchanged(thing, author)


def _unchanged(thing: Any, author: type) -> bool:
    """Return whether an object, and what it is between its own class and a base, change the base."""
    changed = _routines(thing)
    for kind in type(thing).__mro__:
        if kind is author:
            break
        changed |= _routines(kind)
    return not any(hasattr(author, name) for name in changed - _HARMLESS)


def _routines(thing: Any) -> set[str]:
    return {
        name
        for name, value in vars(thing).items()
        if inspect.isroutine(value) or isinstance(value, property)
    }


def _whole(data: Any) -> bool:
    """Return whether a feed's lines are its panel's columns."""
    return (
        type(data) is PanelFeed
        and not (data._filters or data.resampling or data.replaying)
        and data.buflen() == len(data.panel)
    )


def _perpetual(broker: Any) -> bool:
    return (
        isinstance(broker, PerpetualBroker)
        and _unchanged(broker, PerpetualBroker)
        and not (broker.p.coc or broker.p.coo or broker.p.filler)
        and not (broker._userhist or broker._fundhist)
    )


def _untouched_until(broker: PerpetualBroker, data: PanelFeed, bars: Bars) -> int:
    """Return the next bar that does anything to orders or position; the end of the data if none does."""
    start, stop = len(data), len(data.panel)
    if broker.submitted or broker.notifs or broker._toactivate or broker._cash_addition:
        return start
    if not broker.pending and not broker.positions[data].size:
        return stop
    bounds = _bounds(broker, data)
    if bounds is None:
        return start
    return touched_at(bars, start, min(stop, start + _LOOK_AHEAD), bounds)


def _bounds(broker: PerpetualBroker, data: PanelFeed) -> Bounds | None:
    """Return between which prices nothing happens, None where that is not known."""
    above, below = math.inf, -math.inf
    for order in broker.pending:
        if order.exectype not in (bt.Order.Stop, bt.Order.Limit) or order.valid is not None:
            return None
        if not order.active():  # its parent is in the book, too
            continue
        if order.exectype == bt.Order.Limit and RESTING_SINCE not in order.info:
            return None
        if acts_above(order):
            above = min(above, order.created.price)
        else:
            below = max(below, order.created.price)
    size = broker.positions[data].size
    comminfo = broker.getcommissioninfo(data)
    if size and (type(comminfo) is not PerpetualCommission or comminfo.p.interest):
        return None
    level = broker.liquidation_price(data)
    return Bounds(
        above=float(above),
        below=float(below),
        mark_above=level if size < 0 else math.inf,
        mark_below=level if size > 0 else -math.inf,
        held=bool(size),
    )


def _marked(
    broker: PerpetualBroker, data: PanelFeed, position: bt.Position, closes: Float64Array1D
) -> Float64Array1D:
    """Carry cash and equity over bars that only moved the price; return equity at each close."""
    if not position.size:
        broker.close_bar(data)
        return np.full(len(closes), broker.getvalue())
    comminfo = broker.getcommissioninfo(data)
    before = np.concatenate([[position.adjbase], closes[:-1]])
    moves = comminfo.cashadjust(position.size, before, closes)
    cash = np.cumsum(np.concatenate([[broker.cash], moves]))[1:]
    margin = abs(comminfo.getvalue(position, closes[-1]))
    result = comminfo.profitandloss(position.size, position.price, closes)
    equity: Float64Array1D = cash + ((margin - result) / comminfo.get_leverage() + result)
    broker.cash = float(cash[-1])
    position.adjbase = float(closes[-1])
    position.datetime = data.datetime.datetime()
    broker.close_bar(data)
    return equity
