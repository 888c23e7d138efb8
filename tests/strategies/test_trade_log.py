"""The trades table: whose funding, which equity, how far it went, with any broker and strategy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from candles import panel_of

from builders import random_panel
from liqtiers.datasets.instruments import GENERIC_BRACKETS
from liqtiers.datasets.panel import Panel
from liqtiers.strategies import (
    TRADES_SCHEMA,
    EquityCurve,
    PanelFeed,
    PerpetualBroker,
    PerpetualCommission,
    SquareRootSlippage,
    TierTrades,
)

FREE = SquareRootSlippage(spread_bps=0.0, coefficient=0.0)
FLAT = (100.0, 101.0, 99.0, 100.0)
Script = dict[int, Callable[[Any], object]]


class Scripted(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Does what the script says at the close of each bar, and may close all at the end."""

    params = (("script", None), ("settle", False), ("average", 1))

    def __init__(self) -> None:
        self.slow = bt.ind.SMA(self.data, period=self.p.average)

    def next(self) -> None:
        bar = len(self.data) - 1
        if bar in self.p.script:
            self.p.script[bar](self)

    def stop(self) -> None:
        if self.p.settle:
            self.broker.settle(self.data)


def run(
    panel: Panel,
    script: Script,
    *,
    broker: bt.BrokerBase | None = None,
    taker: float = 0.0,
    cash: float = 10_000.0,
    feed: bt.feed.DataBase | None = None,
    **params: object,
) -> bt.Strategy:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker or PerpetualBroker(FREE)
    cerebro.broker.setcash(cash)
    cerebro.broker.addcommissioninfo(PerpetualCommission(taker=taker, maker=0.0))
    cerebro.adddata(PanelFeed.from_panel(panel) if feed is None else feed)
    cerebro.addstrategy(Scripted, script=script, **params)
    cerebro.addanalyzer(TierTrades, _name="trades")
    cerebro.addanalyzer(EquityCurve, _name="equity")
    (strategy,) = cerebro.run()
    return strategy


def rows(strategy: bt.Strategy) -> list[dict[str, Any]]:
    trades = strategy.analyzers.trades.get_analysis()
    assert trades.schema == TRADES_SCHEMA
    return list(trades.to_pylist())


def test_funding_of_the_last_bar_belongs_to_the_trade_that_is_settled_there() -> None:
    """Held at the last close, it pays, and the trade that the end closes shows it."""
    panel = panel_of([FLAT] * 4, funding_settled=[0.0, 0.0, 0.01, 0.02])
    strategy = run(panel, {0: lambda s: s.buy(size=1.0)}, settle=True)
    (trade,) = rows(strategy)
    assert trade["exit_reason"] == "end"
    assert trade["funding"] == pytest.approx(-3.0)
    assert trade["net_pnl"] == pytest.approx(strategy.broker.getvalue() - 10_000.0)


def test_funding_belongs_to_the_side_held_at_the_close() -> None:
    """Turned from long to short within the bar that pays: the short receives it, the long nothing."""
    panel = panel_of([FLAT] * 5, funding_settled=[0.0, 0.0, 0.01, 0.0, 0.0])
    script: Script = {
        0: lambda s: s.buy(size=1.0),
        1: lambda s: s.sell(size=3.0),
        3: lambda s: s.close(),
    }
    long, short = rows(run(panel, script))
    assert (long["direction"], long["size"], long["funding"]) == (1, 1.0, 0.0)
    assert (short["direction"], short["size"]) == (-1, pytest.approx(2.0))
    assert short["funding"] == pytest.approx(2.0)


def test_a_fill_that_turns_the_position_shares_its_fee() -> None:
    """One of the three coins sold closes the long, two open the short."""
    script: Script = {
        0: lambda s: s.buy(size=1.0),
        1: lambda s: s.sell(size=3.0),
        3: lambda s: s.close(),
    }
    long, short = rows(run(panel_of([FLAT] * 5), script, taker=0.001))
    assert long["fees"] == pytest.approx(0.1 + 0.1)
    assert short["fees"] == pytest.approx(0.2 + 0.2)


def test_excursions_end_with_the_trade() -> None:
    """Left at the open of a bar that crashed later: the crash is not part of the trade."""
    candles = [FLAT, (100, 104, 98, 103), (103, 105, 102, 104), (101, 150, 10, 20), FLAT]
    script: Script = {0: lambda s: s.buy(size=1.0), 2: lambda s: s.close()}
    (trade,) = rows(run(panel_of(candles), script))
    assert trade["exit_price"] == 101.0
    assert trade["mae"] == pytest.approx(-0.02)
    assert trade["mfe"] == pytest.approx(0.05)


def test_excursions_of_a_short_that_is_open_at_the_end() -> None:
    """Mirrored, and the last bar counts in whole since it was held to its close."""
    candles = [FLAT, (100, 104, 98, 103), (103, 107, 90, 104)]
    (trade,) = rows(run(panel_of(candles), {0: lambda s: s.sell(size=1.0)}, settle=True))
    assert trade["direction"] == -1
    assert trade["mae"] == pytest.approx(-0.07)
    assert trade["mfe"] == pytest.approx(0.10)


def test_return_on_equity_needs_no_other_analyzer() -> None:
    """The second trade is measured on what the first left."""
    candles = [FLAT, (100, 151, 99, 150), (150, 151, 149, 150), *[(150, 151, 149, 150)] * 3]
    script: Script = {
        0: lambda s: s.buy(size=100.0),
        1: lambda s: s.close(),
        3: lambda s: (s.buy(size=1.0), s.sell(size=1.0, price=140.0, exectype=bt.Order.Stop)),
    }
    candles.append((150, 150, 139, 139))
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = PerpetualBroker(FREE, cash=10_000.0)
    cerebro.broker.addcommissioninfo(PerpetualCommission(taker=0.0, maker=0.0))
    cerebro.adddata(PanelFeed.from_panel(panel_of(candles)))
    cerebro.addstrategy(Scripted, script=script)
    cerebro.addanalyzer(TierTrades, _name="trades")
    (strategy,) = cerebro.run()
    first, second = rows(strategy)
    assert first["return_on_equity"] == pytest.approx(0.5)
    assert second["return_on_equity"] == pytest.approx(-10.0 / 15_000.0)


def test_any_feed_broker_and_strategy_will_do() -> None:
    """backtrader's own parts and a warm-up: times, prices and net result, and no tier."""
    panel = random_panel(60, seed=1)
    frame = panel.to_frame().tz_localize(None)
    script: Script = {20: lambda s: s.buy(size=0.01), 30: lambda s: s.close()}
    strategy = run(
        panel,
        script,
        broker=bt.brokers.BackBroker(shortcash=False),
        taker=0.001,
        feed=bt.feeds.PandasData(dataname=frame, openinterest=None),
        average=10,
    )
    (trade,) = rows(strategy)
    assert trade["entry_ts"].timestamp() * 1e6 == panel.ts[21]
    assert trade["exit_ts"].timestamp() * 1e6 == panel.ts[31]
    assert (trade["entry_price"], trade["exit_price"]) == (panel.open[21], panel.open[31])
    gross = 0.01 * (panel.open[31] - panel.open[21])
    fees = 0.01 * 0.001 * (panel.open[31] + panel.open[21])
    assert trade["net_pnl"] == pytest.approx(gross - fees)
    assert trade["net_pnl"] == pytest.approx(strategy.broker.getvalue() - 10_000.0)
    assert np.isnan(
        [trade["tier_lower"], trade["stop_price"], trade["own_liquidation_price"]]
    ).all()
    assert trade["armed_ts"] is None
    assert len(strategy.analyzers.equity.get_analysis()["equity"]) == 60


def test_no_trades_give_an_empty_table() -> None:
    """The columns are there even so."""
    assert rows(run(panel_of([FLAT] * 3), {})) == []


def test_an_open_position_is_no_trade_unless_it_is_settled() -> None:
    """Nothing is closed on paper behind a user's back."""
    assert rows(run(panel_of([FLAT] * 3), {0: lambda s: s.buy(size=1.0)})) == []


def test_the_analyzers_survive_an_optimisation() -> None:
    """optstrategy strips an analyzer of its strategy; the trades are there all the same."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = PerpetualBroker(FREE, cash=10_000.0)
    cerebro.broker.addcommissioninfo(PerpetualCommission(taker=0.0, maker=0.0))
    cerebro.adddata(PanelFeed.from_panel(panel_of([FLAT] * 4)))
    script: Script = {0: lambda s: s.buy(size=1.0), 1: lambda s: s.close()}
    cerebro.optstrategy(Scripted, script=[script], average=[1, 2])
    cerebro.addanalyzer(TierTrades, _name="trades")
    cerebro.addanalyzer(EquityCurve, _name="equity")
    runs = [result for (result,) in cerebro.run(maxcpus=1)]
    assert [r.analyzers.trades.get_analysis().num_rows for r in runs] == [1, 0]
    assert [len(r.analyzers.equity.get_analysis()["equity"]) for r in runs] == [4, 4]


def test_funding_before_a_turn_is_the_first_sides_alone() -> None:
    """Paid by the long at the close before the fill that turns it: not counted for the short too."""
    panel = panel_of([FLAT] * 5, funding_settled=[0.0, 0.01, 0.0, 0.0, 0.0])
    script: Script = {
        0: lambda s: s.buy(size=1.0),
        1: lambda s: s.sell(size=3.0),
        3: lambda s: s.close(),
    }
    long, short = rows(run(panel, script))
    assert (long["funding"], short["funding"]) == (pytest.approx(-1.0), 0.0)


def test_the_open_of_the_bar_in_which_it_was_left_counts() -> None:
    """It came before the stop: opened at 107 and stopped at 95 is a best of 7 % and a worst of 5 %."""
    candles = [FLAT, FLAT, (107, 120, 90, 92), FLAT]
    script: Script = {
        0: lambda s: s.buy(size=1.0),
        1: lambda s: s.sell(size=1.0, price=95.0, exectype=bt.Order.Stop),
    }
    (trade,) = rows(run(panel_of(candles), script))
    assert (trade["mae"], trade["mfe"]) == (pytest.approx(-0.05), pytest.approx(0.07))


def test_the_own_liquidation_price_is_of_the_largest_position_held() -> None:
    """Four times 60 coins in and out of a position of at most 100: not that of 280 coins at once."""
    broker = PerpetualBroker(FREE, GENERIC_BRACKETS)
    broker.setcash(1e9)
    script: Script = {0: lambda s: s.buy(size=100.0)}
    for bar in range(1, 7, 2):
        script[bar] = lambda s: s.sell(size=60.0)
        script[bar + 1] = lambda s: s.buy(size=60.0)
    script[7] = lambda s: s.close()
    # 100 coins at 9,999 lie in the bracket of up to 1,000,000; 280 do not.
    dear = [(9_999.0, 10_000.0, 9_998.0, 9_999.0)] * 10
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker
    cerebro.broker.addcommissioninfo(PerpetualCommission(taker=0.0, position_leverage=100.0))
    cerebro.adddata(PanelFeed.from_panel(panel_of(dear)))
    cerebro.addstrategy(Scripted, script=script)
    cerebro.addanalyzer(TierTrades, _name="trades")
    (strategy,) = cerebro.run()
    (trade,) = rows(strategy)
    assert trade["size"] == pytest.approx(280.0)
    expected = GENERIC_BRACKETS.liquidation_price(9_999.0, 100.0, quantity=100.0, direction=1)
    assert trade["own_liquidation_price"] == pytest.approx(expected)
