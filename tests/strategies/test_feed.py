"""The bulk feed inside backtrader's own machinery: extra lines, resampling, dates, pickling."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import datetime
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from candles import features_of, panel_of

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.panel import Panel
from liqtiers.strategies import PanelFeed, TierBreakout
from liqtiers.strategies.feed import EXTRA_LINES

FLAT = (100.0, 101.0, 99.0, 100.0)


class Watcher(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Writes down every line of the first feed at every bar."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def next(self) -> None:
        lines = [getattr(self.data.lines, name)[0] for name in self.data.getlinealiases()]
        self.seen.append((self.data.datetime.datetime(0), *lines))


def watch(cerebro: bt.Cerebro, **options: bool) -> list[tuple[Any, ...]]:
    cerebro.addstrategy(Watcher)
    (strategy,) = cerebro.run(stdstats=False, **options)
    return list(strategy.seen)


HOWEVER = [
    {},
    {"runonce": False},
    {"preload": False},
    {"runonce": False, "preload": False},
    {"exactbars": True},
]


@pytest.mark.parametrize("options", HOWEVER, ids=str)
def test_every_line_is_the_panels_column(options: dict[str, bool]) -> None:
    """The extra lines too, each at its bar, which is stamped with its open to the microsecond."""
    panel = random_panel(50, seed=2)
    cerebro = bt.Cerebro()
    feed = PanelFeed.from_panel(panel)
    cerebro.adddata(feed)
    seen = watch(cerebro, **options)
    assert len(seen) == 50
    names = feed.getlinealiases()
    assert set(EXTRA_LINES) < set(names)
    for place, name in enumerate(names, start=1):
        if name == "datetime":
            continue
        column = getattr(panel, {"openinterest": "oi_base"}.get(name, name))
        assert np.array_equal([row[place] for row in seen], column, equal_nan=True), name
    stamps = [np.datetime64(row[0], "us").astype(np.int64) for row in seen]
    assert np.array_equal(stamps, panel.ts)


@pytest.mark.parametrize("options", HOWEVER[:4], ids=str)
def test_backtraders_resampling_works(options: dict[str, bool]) -> None:
    """Five-minute bars resampled by Cerebro to fifteen are as PandasData's are."""
    panel = random_panel(60, seed=3)
    frame = panel.to_frame().tz_localize(None)
    seen = []
    stock = bt.feeds.PandasData(
        dataname=frame, openinterest=None, timeframe=bt.TimeFrame.Minutes, compression=5
    )
    for feed in (PanelFeed.from_panel(panel), stock):
        cerebro = bt.Cerebro()
        cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=15)
        seen.append([row[:6] for row in watch(cerebro, **options)])
    assert seen[0] == seen[1]
    assert 0 < len(seen[0]) < 60


@pytest.mark.parametrize("options", HOWEVER[:4], ids=str)
def test_a_filter_of_backtraders_is_obeyed(options: dict[str, bool]) -> None:
    """Bars that a filter removes are not seen, however the run loads."""
    cerebro = bt.Cerebro()
    feed = PanelFeed.from_panel(random_panel(60, seed=3))
    feed.addfilter_simple(lambda data: data.datetime.datetime(0).minute % 10 == 5)
    cerebro.adddata(feed)
    assert {row[0].minute % 10 for row in watch(cerebro, **options)} == {0}


@pytest.mark.parametrize("name", ["fromdate", "todate"])
def test_dates_are_refused(name: str) -> None:
    """They would cut the bars and not what goes with them by index."""
    cerebro = bt.Cerebro()
    date = datetime(2024, 1, 1, 1)  # noqa: DTZ001  # backtrader's are naive
    cerebro.adddata(PanelFeed(panel=random_panel(30, seed=3), **{name: date}))
    with pytest.raises(InputError, match="panel.slice"):
        watch(cerebro)


def test_the_strategy_refuses_bars_that_are_not_the_panels() -> None:
    """Resampled bars would read the wrong rows of the map."""
    panel = random_panel(60, seed=3)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.resampledata(
        PanelFeed.from_panel(panel, features_of(60)),
        timeframe=bt.TimeFrame.Minutes,
        compression=15,
    )
    cerebro.addstrategy(TierBreakout)
    with pytest.raises(InputError, match="neither resampled nor filtered"):
        cerebro.run()


def test_one_feed_serves_two_runs() -> None:
    """A second run of the same Cerebro sees the same bars."""
    cerebro = bt.Cerebro()
    cerebro.adddata(PanelFeed.from_panel(random_panel(30, seed=3)))
    first = watch(cerebro)
    (strategy,) = cerebro.run(stdstats=False)
    assert repr(strategy.seen) == repr(first)


def test_an_empty_panel_is_an_empty_feed() -> None:
    """No bars, no calls."""
    cerebro = bt.Cerebro()
    cerebro.adddata(PanelFeed.from_panel(random_panel(5, seed=1).slice(0, 0)))
    assert watch(cerebro) == []


def test_a_feed_can_be_sent_to_another_process() -> None:
    """optstrategy pickles feeds; panel and features go along."""
    panel = panel_of([FLAT] * 3)
    feed = pickle.loads(pickle.dumps(PanelFeed.from_panel(panel, features_of(3))))
    assert feed.panel.fingerprint() == panel.fingerprint()
    assert len(feed.features) == 3


def test_features_over_other_bars_are_refused() -> None:
    """One row of features a bar."""
    with pytest.raises(ValueError, match="2 rows of features for 3 bars"):
        PanelFeed.from_panel(panel_of([FLAT] * 3), features_of(2))


def test_gaps_stay_gaps() -> None:
    """A missing hour is a jump in time and no bar."""
    panel: Panel = panel_of([FLAT] * 3)
    hours = np.array([0, 1, 5]) * 3_600_000_000 + panel.ts[0]
    cerebro = bt.Cerebro()
    cerebro.adddata(PanelFeed.from_panel(replace(panel, ts=hours)))
    assert [row[0].hour for row in watch(cerebro)] == [0, 1, 5]
