"""Indicators, feed, parameters and slippage, each against something independent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.strategies import (
    CostParameters,
    DepthSlippage,
    PanelFeed,
    SquareRootSlippage,
    TierBreakout,
    TierBreakoutParameters,
)
from liqtiers.strategies.indicators import average_true_range, thrust
from liqtiers.strategies.parameters import from_mapping, parameter_rows


class Recorder(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Writes down every bar, and trades a little with the stock parts."""

    def __init__(self) -> None:
        self.atr = bt.ind.ATR(self.data, period=14)
        self.seen: list[tuple[Any, ...]] = []

    def next(self) -> None:
        data = self.data
        lines = (data.open, data.high, data.low, data.close, data.volume)
        self.seen.append((data.datetime.datetime(0), *[line[0] for line in lines], self.atr[0]))
        if len(data) % 50 == 0:
            if self.position:
                self.close()
            else:
                self.buy(size=1)


def record(feed: bt.feed.DataBase, **options: Any) -> tuple[list[Any], float]:
    """Return what the recorder saw and the final value."""
    cerebro = bt.Cerebro(stdstats=False, **options)
    cerebro.adddata(feed)
    cerebro.broker.setcash(1e6)
    cerebro.addstrategy(Recorder)
    (run,) = cerebro.run()
    return run.seen, cerebro.broker.getvalue()


def test_the_feed_equals_pandas_data_bar_for_bar() -> None:
    """The same times, prices, indicators and result as backtrader's own feed."""
    panel = random_panel(400, seed=3)
    frame = panel.to_frame().tz_localize(None)
    theirs = record(bt.feeds.PandasData(dataname=frame, openinterest=None))
    ours = record(PanelFeed.from_panel(panel))
    assert ours == theirs
    assert len(ours[0]) == 400 - 14


@pytest.mark.parametrize(
    "options", [{"runonce": False}, {"preload": False}, {"runonce": False, "preload": False}]
)
def test_the_feed_runs_the_same_however_it_is_run(options: dict[str, bool]) -> None:
    """Bar by bar or vectorised, loaded at once or as it goes."""
    panel = random_panel(300, seed=4)
    assert record(PanelFeed.from_panel(panel), **options) == record(PanelFeed.from_panel(panel))


def test_the_strategy_needs_features() -> None:
    """A feed without a map is refused with what would be right."""
    cerebro = bt.Cerebro()
    cerebro.adddata(PanelFeed.from_panel(random_panel(50, seed=1)))
    cerebro.addstrategy(TierBreakout)
    with pytest.raises(InputError, match="PanelFeed with features"):
        cerebro.run()


def test_the_average_true_range_is_backtraders() -> None:
    """Wilder's, as bt.ind.ATR computes it."""
    panel = random_panel(300, seed=5)
    seen, _ = record(PanelFeed.from_panel(panel))
    ours = average_true_range(panel.high, panel.low, panel.close, 14)
    assert np.isnan(ours[:14]).all()
    assert ours[14:] == pytest.approx([bar[-1] for bar in seen], rel=1e-12)


def test_the_true_range_spans_gaps_as_backtraders_does() -> None:
    """Bars that open far from the close before: their own range is not all of it."""
    panel = random_panel(100, seed=6)
    jump = np.where(np.arange(100) % 7 < 3, 1.05, 0.97)
    prices = {name: getattr(panel, name) * jump for name in ("open", "high", "low", "close")}
    gapped = replace(panel, **prices)
    seen, _ = record(PanelFeed.from_panel(gapped))
    ours = average_true_range(gapped.high, gapped.low, gapped.close, 14)
    assert ours[14:] == pytest.approx([bar[-1] for bar in seen], rel=1e-12)


@given(seed=st.integers(0, 1000), cut=st.integers(5, 199), period=st.integers(1, 30))
def test_indicators_do_not_look_ahead(seed: int, cut: int, period: int) -> None:
    """The same to the bit with the future cut off."""
    panel = random_panel(200, seed=seed)
    whole = average_true_range(panel.high, panel.low, panel.close, period)
    part = average_true_range(panel.high[:cut], panel.low[:cut], panel.close[:cut], period)
    assert np.array_equal(whole[:cut], part, equal_nan=True)
    moves = thrust(panel.close, whole, 3)
    assert np.array_equal(moves[:cut], thrust(panel.close[:cut], part, 3), equal_nan=True)


def test_thrust_by_hand() -> None:
    """(close - close k bars ago) / ATR."""
    close = np.array([100.0, 101.0, 104.0])
    assert thrust(close, np.array([np.nan, 2.0, 2.0]), 2)[2] == 2.0
    assert np.isnan(thrust(close, np.array([1.0, 1.0, 0.0]), 1)[2])


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"min_imbalanc": "2"}, "did you mean min_imbalance"),
        ({"min_imbalance": "many"}, "min_imbalance is 'many', it must be a number"),
        ({"patience": "2.5"}, "patience is '2.5', it must be a whole number"),
        ({"patience": 0}, "patience is 0 bars, it must lie between 1 and 100000"),
        ({"side": "up"}, "side is 'up', it must be one of shorts, longs, both"),
        ({"risk_fraction": float("nan")}, "risk_fraction is nan"),
    ],
)
def test_a_wrong_parameter_is_named(given_: dict[str, object], message: str) -> None:
    """Name, value and limit, and the nearest known name."""
    with pytest.raises(InputError, match=message):
        from_mapping(TierBreakoutParameters, given_)


def test_texts_become_numbers_and_rows() -> None:
    """The same declaration serves the command line and the report's table."""
    parameters = from_mapping(TierBreakoutParameters, {"patience": "7", "max_distance": "0.2"})
    rows = {row["name"]: row for row in parameter_rows(parameters)}
    assert (rows["patience"]["value"], rows["max_distance"]["value"]) == (7, 0.2)
    assert rows["patience"]["unit"] == "bars"
    assert all(row["meaning"] for row in parameter_rows(CostParameters()))


def test_a_bar_without_volume_costs_the_cap() -> None:
    """Nothing traded: nothing is known of the price of trading."""
    slippage = SquareRootSlippage(max_bps=77.0)
    assert slippage.bps(1e4, quote_volume=0.0, high=101.0, low=99.0) == 77.0
    assert slippage.bps(1e4, quote_volume=float("nan"), high=101.0, low=99.0) == 77.0


def test_walking_a_depth_table_by_hand() -> None:
    """100 k within 2 bp of the middle and 300 k within 6: 200 k fill at 2 and then up to 4."""
    book = DepthSlippage([(0.0, 0.0), (2.0, 100_000.0), (6.0, 300_000.0)])
    bar = {"quote_volume": 1.0, "high": 1.0, "low": 1.0}
    assert book.bps(100_000.0, **bar) == pytest.approx(1.0)
    assert book.bps(200_000.0, **bar) == pytest.approx((1.0 + 3.0) / 2)
    assert book.bps(600_000.0, **bar) == pytest.approx((1.0 + 2 * 4.0 + 3 * 6.0) / 6)
    with pytest.raises(InputError, match="increasing"):
        DepthSlippage([(1.0, 5.0), (1.0, 6.0)])
