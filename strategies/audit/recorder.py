"""Writes down what a backtrader strategy sees and does, bar by bar.

At each bar, after ``next``, it notes the value that stands there of every line of every indicator, of
every array among the strategy's attributes that has one entry a bar, and of every number among them;
the position, the equity; and each order when it is sent. Runs are preloaded, as backtrader's are by
default: only then do ``data.close[1]`` and indicators that are computed at once reach the future.
"""

from __future__ import annotations

import itertools
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, Final, NamedTuple

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from ...datasets.panel import Panel
from .columns import arrays_in, numbers_of
from .record import Column, Failure, OrderSent, Record, Stage
from .target import SourceLines, Target, user_line

_NUMBERS: Final = (float, int, bool, np.floating, np.integer, np.bool_)
_NOT_THE_USERS: Final = frozenset(
    {"_id", "_minperiod", "_minperstatus", "_opstage", "_tradehistoryon"}
)
"""Numbers that backtrader itself keeps among a strategy's attributes."""


class _Watched(NamedTuple):
    """Something with one entry a bar, and where its entries are kept."""

    source: Any
    kept: NDArray[np.float64]
    where: str


class Recorder:
    """Watches one strategy in one run.

    Parameters
    ----------
    cerebro : backtrader.Cerebro
        With feed and broker, without a strategy.
    panel : Panel
        What the feed is over.
    target : Target
        The strategy; tells which frames are the user's.
    """

    def __init__(self, cerebro: bt.Cerebro, panel: Panel, target: Target) -> None:
        self._cerebro = cerebro
        self._broker = cerebro.broker
        self._panel = panel
        self._target = target
        self._source = SourceLines(target)
        self._feed = cerebro.datas[0]
        self._begun = False
        self._bars = 0
        self._first_bar = len(panel)
        self._over = False
        self._watched: dict[str, _Watched] = {}
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._account = {name: self._empty() for name in ("position", "equity")}
        self._orders: list[OrderSent] = []

    def run(self, strategy: type[bt.Strategy], parameters: Mapping[str, Any]) -> Record:
        """Run the strategy and return what it did, however far it came."""
        # backtrader numbers orders and trades through a process, whichever run they are of.
        bt.order.OrderBase.refbasis = itertools.count(1)
        bt.Trade.refbasis = itertools.count(1)
        self._listen()
        self._cerebro.addstrategy(self._watching(strategy), **parameters)
        failure = None
        try:
            self._cerebro.run()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever the user's code raises
            frames = traceback.walk_tb(error.__traceback__)
            told = f"{type(error).__name__}: {error}".removesuffix(": ")
            failure = Failure(self._bar, told, user_line(frames, self._target))
        return Record(
            ts=self._panel.ts,
            bars=self._bars,
            first_bar=self._first_bar,
            columns=self._columns(),
            orders=tuple(self._orders),
            failure=failure,
        )

    @property
    def _bar(self) -> int:
        """The bar that the feed stands at; -1 while nothing has been shown to the strategy yet."""
        return len(self._feed) - 1 if self._begun else -1

    def _watching(self, strategy: type[bt.Strategy]) -> type[bt.Strategy]:
        recorder = self

        class Watching(strategy):  # type: ignore[misc]  # backtrader has no stubs
            def _notify(self, *args: Any, **options: Any) -> None:
                recorder._before(self)  # its own class
                super()._notify(*args, **options)

            def _next_analyzers(self, *args: Any, **options: Any) -> None:
                recorder._after(self)
                super()._next_analyzers(*args, **options)

            def stop(self) -> None:
                recorder._over = True
                super().stop()

        Watching.__name__ = strategy.__name__
        return Watching

    def _before(self, strategy: bt.Strategy) -> None:
        self._begun = True
        if self._bar == 0:
            self._watched = {
                name: _Watched(source, np.full((len(self._panel), *shape), np.nan), where)
                for name, source, shape, where in self._to_watch(strategy)
            }

    def _after(self, strategy: bt.Strategy) -> None:
        bar = self._bar
        for watched in self._watched.values():
            if bar < len(watched.source):
                watched.kept[bar] = watched.source[bar]
        for name, value in vars(strategy).items():
            if isinstance(value, _NUMBERS) and name not in _NOT_THE_USERS:
                self._numbers.setdefault(name, self._empty())[bar] = float(value)
        self._account["position"][bar] = self._broker.getposition(strategy.data).size
        self._account["equity"][bar] = self._broker.getvalue()
        if strategy._getminperstatus() <= 0:  # backtrader has no public name
            self._first_bar = min(self._first_bar, bar)
        self._bars = bar + 1

    def _empty(self) -> NDArray[np.float64]:
        return np.full(len(self._panel), np.nan)

    def _to_watch(self, strategy: bt.Strategy) -> Iterator[tuple[str, Any, tuple[int, ...], str]]:
        attributes = vars(strategy)
        names = _names_of_objects(attributes)
        seen: set[str] = set()
        for indicator, owner in _indicators(strategy):
            first = names.get(id(indicator), owner + type(indicator).__name__)
            where = self._source.of_class(type(indicator).__name__)
            where = where or self._source.of_attribute(re.split(r"[\[. ]", first)[0])
            for alias, line in _lines(indicator):
                yield _distinct(f"{first}{alias}", seen), line.array, (), where
        for alias, line in _lines(strategy):
            if alias != ".datetime":
                yield _distinct(alias[1:], seen), line.array, (), ""
        for name, value in attributes.items():
            if isinstance(value, bt.LineRoot):
                continue
            where = self._source.of_attribute(name)
            for inner, array in arrays_in(name, value, len(self._panel)):
                numbers = numbers_of(array)
                source = numbers if numbers.dtype != getattr(array, "dtype", None) else array
                yield _distinct(inner, seen), source, numbers.shape[1:], where

    def _listen(self) -> None:
        send, cancel = self._broker.submit, self._broker.cancel

        def submit(order: bt.Order, check: bool = True) -> Any:
            self._note(order, "")
            return send(order, check=check)

        def cancelled(order: bt.Order, *args: Any, **options: Any) -> Any:
            self._note(order, "cancel ")
            return cancel(order, *args, **options)

        self._broker.submit, self._broker.cancel = submit, cancelled

    def _note(self, order: bt.Order, prefix: str) -> None:
        if self._over:
            return
        words = f"{prefix}{'buy' if order.isbuy() else 'sell'} {order.getordername().lower()}"
        size, price, limit = (
            np.nan if number is None else float(number)
            for number in (order.created.size, order.created.price, order.created.pricelimit)
        )
        where = user_line(_frames_to_here(), self._target)
        # By the feed: the broker cancels at a bar of which the strategy has not heard yet.
        bar = len(self._feed) - 1
        self._orders.append(OrderSent(bar, words, size, price, limit, where))

    def _columns(self) -> dict[str, Column]:
        lines = {n: Column(Stage.LINE, w.kept, w.where) for n, w in self._watched.items()}
        numbers = {
            name: Column(Stage.STATE, values, self._source.of_attribute(name))
            for name, values in self._numbers.items()
            if name not in lines
        }
        account = {
            name: Column(Stage.ACCOUNT, values, "") for name, values in self._account.items()
        }
        return {**lines, **numbers, **account}


def _names_of_objects(attributes: Mapping[str, Any]) -> dict[int, str]:
    """Return what the strategy calls its indicators, by identity; lists and dicts are looked into."""
    names: dict[int, str] = {}
    for name, value in attributes.items():
        if isinstance(value, (list, tuple)):
            names.update({id(part): f"{name}[{place}]" for place, part in enumerate(value)})
        elif isinstance(value, dict):
            names.update({id(part): f"{name}[{key!r}]" for key, part in value.items()})
        elif name not in ("data", "broker", "_owner"):
            names[id(value)] = name
            names.update(_names_of_operands(name, value))
    return names


def _names_of_operands(name: str, value: object) -> dict[int, str]:
    """Return names for what an operation on lines is made of: ``close(1)`` in ``close(1) > close``."""
    if not isinstance(value, bt.linebuffer.LineActions):
        return {}
    names: dict[int, str] = {}
    for part in (getattr(value, "a", None), getattr(value, "b", None)):
        if isinstance(part, bt.linebuffer.LineActions):
            inner = f"{name} > {type(part).__name__}"
            names[id(part)] = inner
            names.update(_names_of_operands(inner, part))
    return names


def _indicators(owner: Any, prefix: str = "") -> Iterator[tuple[Any, str]]:
    """Return the indicators of a strategy and those inside of them, each with whose it is."""
    for indicator in owner._lineiterators[bt.LineIterator.IndType]:
        yield indicator, prefix
        if hasattr(indicator, "_lineiterators"):
            yield from _indicators(indicator, f"{prefix}{type(indicator).__name__} > ")


def _lines(owner: Any) -> list[tuple[str, Any]]:
    """Return the lines of an indicator, the name of a lone one left out."""
    if not hasattr(owner.lines, "getlinealiases"):
        return [("", owner)]
    aliases = owner.lines.getlinealiases()
    if len(aliases) == 1 and isinstance(owner, bt.Indicator):
        return [("", owner.lines[0])]
    return [(f".{alias}", owner.lines[place]) for place, alias in enumerate(aliases)]


def _distinct(name: str, seen: set[str]) -> str:
    candidates = itertools.chain([name], (f"{name} ({n})" for n in itertools.count(2)))
    chosen = next(candidate for candidate in candidates if candidate not in seen)
    seen.add(chosen)
    return chosen


def _frames_to_here() -> list[tuple[FrameType, int]]:
    """Return the frames that led here, the outermost first."""
    frames: list[tuple[FrameType, int]] = []
    frame: FrameType | None = sys._getframe(1)  # the documented way to walk frames
    while frame is not None:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return frames[::-1]
