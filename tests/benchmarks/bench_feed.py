"""The bulk feed against backtrader's PandasData: loading alone, and a whole run."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import backtrader as bt

from liqtiers.datasets.panel import Panel
from liqtiers.strategies import PanelFeed

sys.path.insert(0, str(Path(__file__).parents[1]))
from builders import random_panel


class Idle(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Does nothing at every bar."""

    def next(self) -> None:
        pass


def bulk(panel: Panel) -> bt.feed.DataBase:
    """Return our feed."""
    return PanelFeed.from_panel(panel)


def stock(panel: Panel) -> bt.feed.DataBase:
    """Return backtrader's feed over the same bars, its DataFrame made beforehand."""
    return bt.feeds.PandasData(dataname=panel.to_frame().tz_localize(None), openinterest=None)


def load(feed: bt.feed.DataBase) -> float:
    """Return the CPU seconds of loading alone."""
    cerebro = bt.Cerebro()
    cerebro.adddata(feed)
    feed._start()
    began = time.process_time()
    feed.preload()
    return time.process_time() - began


def run(feed: bt.feed.DataBase) -> float:
    """Return the CPU seconds of a run of a strategy that does nothing."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed)
    cerebro.addstrategy(Idle)
    began = time.process_time()
    cerebro.run()
    return time.process_time() - began


def ratio(measure: Callable[[bt.feed.DataBase], float], panel: Panel, rounds: int) -> float:
    """Return the median over interleaved rounds of theirs divided by ours."""
    ratios = []
    for _ in range(rounds):
        theirs, ours = measure(stock(panel)), measure(bulk(panel))
        ratios.append(theirs / max(ours, 1e-9))
    return statistics.median(ratios)


def main() -> None:
    """Print the ratios, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    panel = random_panel(options.bars, seed=1)
    found = {
        "bars": options.bars,
        "load_ratio": round(ratio(load, panel, options.rounds), 1),
        "run_ratio": round(ratio(run, panel, options.rounds), 2),
    }
    print(f"loading: {found['load_ratio']} times PandasData; run: {found['run_ratio']} times")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
