"""Strategies that look ahead, each in another way; the line that does is marked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import backtrader as bt
import numpy as np

from liqtiers.datasets.instruments import Instrument
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.map_features import MapFeatures
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.query import read

MEANS: dict[str, float] = {}  # LEAK global
SIGNALS: dict[float, bool] = {}  # LEAK cache


class Trader(bt.Strategy):
    """Is long where `wants` says so."""

    def wants(self) -> bool:
        raise NotImplementedError

    def next(self) -> None:
        wanted = self.wants()
        if wanted and not self.position:
            self.buy(size=0.1)  # ENTRY
        elif not wanted and self.position:
            self.close()  # LEAVE


class NextClose(Trader):
    def wants(self) -> bool:
        return self.data.close[1] > self.data.close[0]  # LEAK next close


class GuardedNextClose(Trader):
    """Asks first whether there is a next bar, so that nothing is raised."""

    def wants(self) -> bool:
        there = len(self.data) < self.data.buflen()
        return there and self.data.close[1] > self.data.close[0]


class PeeksWhenLong(Trader):
    """Looks ahead only while it holds something, and only to get out."""

    def __init__(self) -> None:
        self.fast = bt.ind.SMA(period=5)
        self.slow = bt.ind.SMA(period=30)

    def wants(self) -> bool:
        if self.position:
            return self.data.close[1] > self.data.close[0] * 0.99  # LEAK when long
        return self.fast[0] > self.slow[0] * 1.004


class Centred(bt.Indicator):  # LEAK indicator
    lines = ("middle",)
    params = (("reach", 3),)

    def once(self, start: int, end: int) -> None:
        close = np.array(self.data.array)
        for bar in range(start, end):
            around = close[max(bar - self.p.reach, 0) : bar + self.p.reach + 1]
            self.lines.middle.array[bar] = around.mean()


class CentredIndicator(Trader):
    def __init__(self) -> None:
        self.smooth = Centred(self.data.close)
        self.plain = bt.ind.SMA(period=7)

    def wants(self) -> bool:
        return self.smooth[0] > self.plain[0]


class ForwardLine(Trader):
    def __init__(self) -> None:
        self.rises = self.data.close(1) > self.data.close  # LEAK forward

    def wants(self) -> bool:
        return bool(self.rises[0])


class ZScore(Trader):
    def __init__(self) -> None:
        close = self.data.panel.close
        self.zscore = (close - close.mean()) / close.std()  # LEAK strategy zscore

    def wants(self) -> bool:
        return self.zscore[len(self.data) - 1] < -0.5


class WrapsAround(Trader):
    """Looks back beyond the first bar, where backtrader's arrays begin again at their end."""

    def wants(self) -> bool:
        self.change = self.data.close[0] / self.data.close[-20] - 1.0  # LEAK wrap
        return self.change > 0.01


class GlobalMean(Trader):
    """Keeps in a module global what its first bar found out about all bars."""

    def wants(self) -> bool:
        if "close" not in MEANS:
            MEANS["close"] = float(np.mean(self.data.close.array))
        return self.data.close[0] < MEANS["close"]


class CachedSignals(Trader):
    """Fills a module global at its first bar; a second run in the same process finds it filled."""

    def start(self) -> None:
        if not SIGNALS:
            times, close = self.data.datetime.array, np.array(self.data.close.array)
            SIGNALS.update(zip(times, np.append(close[1:] > close[:-1], False), strict=True))

    def wants(self) -> bool:
        return bool(SIGNALS[self.data.datetime[0]])


class RemembersItsLastRun(Trader):
    """Fair in its first run; from the second on it knows where prices went in the first."""

    seen: ClassVar[list[float]] = []  # LEAK class attribute

    def wants(self) -> bool:
        return bool(self.seen) and self.data.close[0] < self.seen[-1]

    def stop(self) -> None:
        self.seen.append(self.data.close[0])


class FailsByItself(bt.Strategy):
    def next(self) -> None:
        if len(self.data) == 50:
            raise KeyError("mine")  # LEAK own failure


class Unseeded(bt.Strategy):
    def next(self) -> None:
        self.luck = float(np.random.default_rng().normal())


class ReadsATable(Trader):
    """Its signals come from a file; whatever made that is beyond any check."""

    params = (("table", ""),)

    def __init__(self) -> None:
        with open(self.p.table) as file:  # noqa: PTH123  # as people write it
            self.level = float(file.read())

    def wants(self) -> bool:
        return self.data.close[0] < self.level


def later_open_interest(panel: Panel, instrument: Instrument) -> MapFeatures:
    """A map that is told of open interest a bar before anyone could know."""
    later = np.append(panel.oi_base[1:], panel.oi_base[-1])  # LEAK map
    return build_map(replace(panel, oi_base=later), instrument).features


def honest_map(panel: Panel, instrument: Instrument) -> Any:
    return build_map(panel, instrument).features


def event_time_loader(lake: Lake, **request: Any) -> Panel:
    """Joins open interest on when it happened, not on when it became known."""
    panel = load_panel(lake, **request)
    rows = read(lake, "open_interest", venue=request["venue"], symbol=request["symbol"])
    happened = rows["ts"].cast("int64").to_numpy()
    newest = np.searchsorted(happened, panel.close_ts, side="right") - 1
    return replace(panel, oi_base=rows["oi_base"].to_numpy()[newest])


class Idle(bt.Strategy):
    """Does nothing at all."""


class Exits(bt.Strategy):
    def next(self) -> None:
        raise SystemExit(4)
