"""Each part by itself, in a plain Cerebro and with a user's own data."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from candles import NO_BRACKETS, features_of, panel_of

from liqtiers.strategies import (
    DepthSlippage,
    PanelFeed,
    PerpetualBroker,
    PerpetualCommission,
    SquareRootSlippage,
    TierBreakout,
)

FLAT = (100.0, 101.0, 99.0, 100.0)
FREE = SquareRootSlippage(spread_bps=0.0, coefficient=0.0)


class BuyAndLeave(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """A user's strategy: in at the first close, out at the given one."""

    params = (("leave", 2), ("size", 1.0))

    def __init__(self) -> None:
        self.fills: list[tuple[int, float, float]] = []

    def next(self) -> None:
        if len(self.data) == 1:
            (self.buy if self.p.size > 0 else self.sell)(size=abs(self.p.size))
        elif len(self.data) == self.p.leave + 1:
            self.close()

    def notify_order(self, order: bt.Order) -> None:
        if order.status == order.Completed:
            self.fills.append((len(self.data) - 1, order.executed.size, order.executed.price))


def own_data(rows: list[tuple[float, float, float, float]], **columns: Any) -> bt.feed.DataBase:
    """Return backtrader's own feed over a user's DataFrame, without any of our lines."""
    frame = pd.DataFrame(
        rows,
        columns=["open", "high", "low", "close"],
        index=pd.date_range("2026-01-01", periods=len(rows), freq="1h"),
        dtype=float,
    )
    frame["volume"] = 1_000.0
    return bt.feeds.PandasData(dataname=frame.assign(**columns), openinterest=None)


def run(
    feed: bt.feed.DataBase, broker: bt.BrokerBase | None = None, **params: Any
) -> tuple[Any, bt.BrokerBase]:
    """Return the strategy and the broker after a run."""
    cerebro = bt.Cerebro(stdstats=False)
    if broker is not None:
        cerebro.broker = broker
    cerebro.adddata(feed)
    cerebro.addstrategy(BuyAndLeave, **params)
    (strategy,) = cerebro.run()
    return strategy, cerebro.broker


def test_the_feed_alone() -> None:
    """A panel in a plain Cerebro: backtrader's broker, a user's strategy."""
    rows = [FLAT, (101, 102, 100, 101), FLAT, (103, 104, 102, 103)]
    strategy, broker = run(PanelFeed.from_panel(panel_of(rows)))
    assert strategy.fills == [(1, 1.0, 101.0), (3, -1.0, 103.0)]
    assert broker.getvalue() == 10_002.0


def test_the_broker_alone() -> None:
    """Without our commission, feed or brackets: fills and money as with backtrader's own."""
    rows = [FLAT, (101, 102, 100, 101), FLAT, (103, 104, 102, 103)]
    ours = run(own_data(rows), PerpetualBroker(FREE))
    theirs = run(own_data(rows))
    assert ours[0].fills == theirs[0].fills
    assert ours[1].getvalue() == theirs[1].getvalue() == 10_002.0
    ledger = ours[1].ledger(ours[0].data)
    assert [(f.reason, f.fee) for f in ledger.fills] == [("", 0.0), ("", 0.0)]
    assert ledger.funding == []


def test_the_broker_needs_no_traded_value() -> None:
    """Without `quote_volume` the volume counts at the close: 1,000 coins at 50 here."""
    rows = [FLAT, (100.0, 101.0, 49.0, 50.0), FLAT, FLAT]
    slippage = SquareRootSlippage(spread_bps=0.0, coefficient=1.0, max_bps=1e6)
    _, broker = run(own_data(rows), PerpetualBroker(slippage, cash=1e6), size=5.0, leave=9)
    (fill,) = next(iter(broker.ledgers.values())).fills
    volatility = np.log(101.0 / 49.0) / (2.0 * np.sqrt(np.log(2.0)))
    impact = volatility * np.sqrt(5.0 * 100.0 / (1_000.0 * 50.0))
    assert fill.price == pytest.approx(100.0 * (1.0 + impact), rel=1e-12)


@pytest.mark.parametrize("mark", [None, "unknown"])
def test_the_broker_liquidates_on_the_trade_price_where_there_is_no_mark(mark: str | None) -> None:
    """A user's feed has no mark price, and a panel may not know it in a bar."""
    rows = [FLAT, FLAT, (100.0, 100.0, 90.0, 95.0), FLAT]
    unknown = [float("nan")] * 4
    feed = (
        own_data(rows)
        if mark is None
        else PanelFeed.from_panel(panel_of(rows, mark_low=unknown, mark_high=unknown))
    )
    broker = PerpetualBroker(FREE, NO_BRACKETS, cash=1_000.0)
    broker.addcommissioninfo(PerpetualCommission(taker=0.0, position_leverage=10.0))
    strategy, broker = run(feed, broker, leave=3)
    assert [f.reason for f in broker.ledger(strategy.data).fills] == ["", "liquidated"]
    assert broker.getvalue() == pytest.approx(990.0)


def test_brackets_without_our_commission_liquidate_nothing() -> None:
    """A leverage is needed to know where; backtrader's commission has none."""
    rows = [FLAT, FLAT, (100.0, 100.0, 1.0, 2.0), FLAT, FLAT]
    strategy, broker = run(own_data(rows), PerpetualBroker(FREE, NO_BRACKETS), leave=3)
    assert len(strategy.fills) == 2
    assert np.isnan(broker.liquidation_price(strategy.data))


@pytest.mark.parametrize("long", [True, False])
def test_a_short_is_liquidated_by_the_high_of_the_mark_price(long: bool) -> None:
    """A short above its entry, a long below: a wick of trades in between is not a mark."""
    size = 1.0 if long else -1.0
    wick = (100.0, 130.0, 70.0, 100.0)
    marks = {"mark_low": [99.0] * 3 + [89.0], "mark_high": [101.0] * 3 + [111.0]}
    broker = PerpetualBroker(FREE, NO_BRACKETS, cash=1_000.0)
    broker.addcommissioninfo(PerpetualCommission(taker=0.0, position_leverage=10.0))
    feed = PanelFeed.from_panel(panel_of([FLAT, FLAT, wick, FLAT], **marks))
    strategy, broker = run(feed, broker, size=size, leave=9)
    fills = [(f.bar, f.reason) for f in broker.ledger(strategy.data).fills]
    assert fills == [(1, ""), (3, "liquidated")]


def test_a_depth_table_prices_the_brokers_fills() -> None:
    """Any slippage will do: 200 of value walk half of a book of 400 that is 20 bp deep."""
    broker = PerpetualBroker(DepthSlippage([(0.0, 1e-9), (20.0, 400.0)]))
    strategy, _ = run(own_data([FLAT] * 4), broker, size=2.0, leave=9)
    ((_, _, price),) = strategy.fills
    assert price == pytest.approx(100.0 * (1 + 5e-4), rel=1e-6)


def test_the_strategy_alone_with_backtraders_broker() -> None:
    """TierBreakout and its feed in a plain Cerebro: entry at bar 6's open, out at the far edge."""
    rows = [FLAT] * 5 + [(100, 106, 100, 106), (106, 107, 105.5, 106.5)]
    rows += [(106.5, 110.5, 106, 109), (109, 110, 108, 109)]
    cerebro = bt.Cerebro(stdstats=False)
    features = features_of(len(rows), above=[(105.0, 110.0)])
    cerebro.adddata(PanelFeed.from_panel(panel_of(rows), features))
    cerebro.addstrategy(TierBreakout, atr_bars=3, thrust_bars=1, stop_atr=1.0, lot=0.1)
    cerebro.addanalyzer(bt.analyzers.Transactions, _name="fills")
    (strategy,) = cerebro.run()
    fills = [fill[:2] for (fill,) in strategy.analyzers.fills.get_analysis().values()]
    # 1 % of 10,000 over 106 - (105 - 10 / 3), in lots of 0.1.
    assert fills == [[23.0, 106.0], [-23.0, 110.0]]
    assert cerebro.broker.getvalue() == pytest.approx(10_000 + 4 * 23.0)


@pytest.mark.parametrize("traded", [250_000.0, 4_000_000.0])
def test_the_traded_value_of_the_feed_counts_where_it_is_known(traded: float) -> None:
    """Not 1,000 coins times the close: 1,000 of value against what the feed says."""
    slippage = SquareRootSlippage(spread_bps=0.0, coefficient=1.0, max_bps=1e6)
    feed = PanelFeed.from_panel(panel_of([FLAT] * 3, quote_volume=[traded] * 3))
    strategy, _ = run(feed, PerpetualBroker(slippage), size=10.0, leave=9)
    ((_, _, price),) = strategy.fills
    volatility = np.log(101.0 / 99.0) / (2.0 * np.sqrt(np.log(2.0)))
    expected = 100.0 * (1.0 + volatility * np.sqrt(1_000.0 / traded))
    assert price == pytest.approx(expected, rel=1e-12)


def test_a_liquidation_costs_the_margin_and_no_slippage() -> None:
    """Bankrupt at nine tenths of what was paid, whatever the book would have given."""
    broker = PerpetualBroker(SquareRootSlippage(spread_bps=20.0), NO_BRACKETS, cash=1_000.0)
    broker.addcommissioninfo(PerpetualCommission(taker=0.0, position_leverage=10.0))
    rows = [FLAT, FLAT, (100.0, 100.0, 80.0, 85.0), FLAT]
    strategy, broker = run(own_data(rows), broker, leave=9)
    entry, liquidation = broker.ledger(strategy.data).fills
    assert entry.slippage > 0.0
    assert liquidation.price == pytest.approx(entry.price * 0.9, rel=1e-12)
    assert liquidation.slippage == liquidation.fee == 0.0
    assert broker.getvalue() == pytest.approx(1_000.0 - entry.price / 10.0)
