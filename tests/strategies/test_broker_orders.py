"""Orders of every kind in the broker: cash checks, unusual orders, several feeds, a second run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from candles import NO_BRACKETS, panel_of

from liqtiers.datasets.instruments import Brackets
from liqtiers.datasets.panel import Panel
from liqtiers.strategies.broker import Fill, PerpetualBroker
from liqtiers.strategies.commission import PerpetualCommission
from liqtiers.strategies.feed import PanelFeed
from liqtiers.strategies.slippage import Slippage, SquareRootSlippage

FREE = SquareRootSlippage(spread_bps=0.0, coefficient=0.0)
FLAT = (100.0, 101.0, 99.0, 100.0)
Script = dict[int, Callable[[Any], object]]


class Scripted(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Does what the script says at the close of each bar of the first feed."""

    params = (("script", None),)

    def __init__(self) -> None:
        self.done: set[int] = set()
        self.statuses: list[tuple[int, str]] = []
        self.closed_trades: list[float] = []
        self.equity: list[float] = []

    def next(self) -> None:
        bar = len(self.data) - 1
        self.equity.append(self.broker.getvalue())
        if bar in self.p.script and bar not in self.done:
            self.done.add(bar)
            self.p.script[bar](self)

    def notify_order(self, order: bt.Order) -> None:
        self.statuses.append((len(self.data) - 1, order.getstatusname()))

    def notify_trade(self, trade: bt.Trade) -> None:
        if trade.isclosed:
            self.closed_trades.append(trade.pnlcomm)


def cerebro_for(
    *panels: Panel,
    script: Script,
    slippage: Slippage = FREE,
    leverage: float = 1.0,
    brackets: Brackets | None = None,
    cash: float = 10_000.0,
    fees: tuple[float, float] = (0.0, 0.0),
) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = PerpetualBroker(slippage, brackets, cash=cash)
    taker, maker = fees
    cerebro.broker.addcommissioninfo(
        PerpetualCommission(taker=taker, maker=maker, position_leverage=leverage)
    )
    for panel in panels:
        cerebro.adddata(PanelFeed.from_panel(panel))
    cerebro.addstrategy(Scripted, script=script)
    return cerebro


def run(*panels: Panel, script: Script, **settings: object) -> tuple[list[Fill], Any]:
    """Return the first feed's fills and the strategy."""
    cerebro = cerebro_for(*panels, script=script, **settings)
    (strategy,) = cerebro.run()
    return cerebro.broker.ledger(strategy.data).fills, strategy


def told(fills: list[Fill]) -> list[tuple[int, float, float]]:
    """Return bar, signed size and price of each fill."""
    return [(f.bar, f.size, f.price) for f in fills]


def test_a_bracket_at_full_leverage_is_accepted() -> None:
    """A bracket's children only close what the parent opens: a far target needs no margin."""
    fills, _ = run(
        panel_of([FLAT, FLAT, (100, 131, 99, 130), FLAT]),
        script={0: lambda s: s.buy_bracket(size=98.0, stopprice=99.0 - 4.0, limitprice=130.0)[0]},
    )
    assert [(f.bar, f.size) for f in fills][:1] == [(1, 98.0)]


def test_a_losing_position_can_always_be_closed() -> None:
    """At 3x a fall of 28 % leaves negative free cash; a closing order needs none."""
    rows = [FLAT, FLAT, (100, 100, 72, 72), (72, 73, 71, 72), (72, 73, 71, 72)]
    script: Script = {0: lambda s: s.buy(size=294.0), 2: lambda s: s.close()}
    fills, strategy = run(panel_of(rows), script=script, leverage=3.0)
    assert told(fills) == [(1, 294.0, 100.0), (3, -294.0, 72.0)]
    assert strategy.broker.getvalue() == pytest.approx(10_000 - 28 * 294)


def test_a_closing_order_frees_margin_for_the_next() -> None:
    """Close and open anew in one batch: the pseudo-execution counts the freed margin."""
    script: Script = {
        0: lambda s: s.buy(size=90.0),
        2: lambda s: (s.close(), s.sell(size=90.0)),
    }
    fills, _ = run(panel_of([FLAT] * 5), script=script)
    assert told(fills) == [(1, 90.0, 100.0), (3, -90.0, 100.0), (3, -90.0, 100.0)]


def test_an_order_without_margin_does_not_take_the_rest_of_its_batch_along() -> None:
    """A refused order leaves the cash as it was for the orders sent after it."""
    script: Script = {0: lambda s: (s.buy(size=500.0), s.buy(size=1.0))}
    fills, strategy = run(panel_of([FLAT] * 3), script=script)
    assert told(fills) == [(1, 1.0, 100.0)]
    assert (1, "Margin") in strategy.statuses


def test_a_gap_that_takes_the_margin_refuses_the_entry_and_its_exits() -> None:
    """An open far above the close on which the size was decided: nothing fills, nothing rests."""
    cerebro = cerebro_for(
        panel_of([FLAT, (120, 121, 119, 120), (120, 121, 10, 20), FLAT]),
        script={
            0: lambda s: s.buy_bracket(
                size=98.0, exectype=bt.Order.Market, stopprice=95.0, limitprice=130.0
            )
        },
    )
    (strategy,) = cerebro.run()
    assert cerebro.broker.ledger(strategy.data).fills == []
    assert cerebro.broker.getvalue() == 10_000.0
    assert [order for order in cerebro.broker.pending if order is not None] == []


def test_a_closing_order_under_way_does_not_outlive_the_liquidation() -> None:
    """Close sent at the close, liquidated by the gap at the next open: no position turned around."""
    script: Script = {0: lambda s: s.buy(size=10.0), 1: lambda s: s.close()}
    fills, strategy = run(
        panel_of([FLAT, FLAT, (80, 81, 79, 80), (80, 81, 79, 80)]),
        script=script,
        leverage=10.0,
        brackets=NO_BRACKETS,
    )
    assert told(fills) == [(1, 10.0, 100.0), (2, -10.0, 90.0)]
    assert strategy.position.size == 0.0


def test_liquidation_is_notified_as_any_other_trade() -> None:
    """The strategy hears of the closed trade and of the cancelled exits."""
    script: Script = {
        0: lambda s: s.buy_bracket(
            size=10.0, exectype=bt.Order.Market, stopprice=50.0, limitprice=200.0
        )
    }
    _, strategy = run(
        panel_of([FLAT, FLAT, (100, 100, 80, 82), FLAT]),
        script=script,
        leverage=10.0,
        brackets=NO_BRACKETS,
    )
    assert strategy.closed_trades == [pytest.approx(-100.0)]
    told_in_bar_2 = [status for bar, status in strategy.statuses if bar == 2]
    assert told_in_bar_2 == ["Canceled", "Canceled", "Accepted", "Completed"]


def test_an_open_beyond_the_liquidation_price_needs_the_mark_price_too() -> None:
    """Trades open at 80, but the mark price never left 95: the position lives."""
    panel = panel_of(
        [FLAT, FLAT, (80, 96, 79, 95), FLAT],
        mark_low=[99.0, 99.0, 95.0, 99.0],
        mark_high=[101.0] * 4,
    )
    script: Script = {0: lambda s: s.buy(size=10.0)}
    fills, _ = run(panel, script=script, leverage=10.0, brackets=NO_BRACKETS)
    assert told(fills) == [(1, 10.0, 100.0)]


def test_funding_is_paid_once_a_bar_whatever_other_feeds_do() -> None:
    """A second feed with bars in between does not make the first one pay again."""
    slow = panel_of([FLAT] * 4, funding_settled=[0.0, 0.0, 0.01, 0.0])
    quick = panel_of([FLAT] * 16)
    quarter = 900_000_000
    ts = np.arange(16, dtype=np.int64) * quarter + slow.ts[0]
    quick = replace(quick, ts=ts, timeframe="15m", symbol="OTHER", gaps=())
    cerebro = cerebro_for(slow, quick, script={0: lambda s: s.buy(size=1.0)})
    (strategy,) = cerebro.run()
    ledger = cerebro.broker.ledger(strategy.data)
    assert [p.bar for p in ledger.funding] == [2]
    assert cerebro.broker.getvalue() == pytest.approx(10_000 - 1.0)


def test_an_order_does_not_fill_in_the_bar_that_it_saw() -> None:
    """A limit sent at a close waits for its own feed's next bar, even if another feed moves on."""
    slow = panel_of([FLAT, FLAT, FLAT])
    quick = panel_of([FLAT] * 12)
    ts = np.arange(12, dtype=np.int64) * 900_000_000 + slow.ts[0]
    quick = replace(quick, ts=ts, timeframe="15m", symbol="OTHER", gaps=())
    script: Script = {0: lambda s: s.buy(size=1.0, price=99.5, exectype=bt.Order.Limit)}
    fills, _ = run(slow, quick, script=script)
    assert told(fills) == [(1, 1.0, 99.5)]


def test_a_second_run_of_the_same_cerebro_starts_anew() -> None:
    """Ledger and positions are those of the last run."""
    cerebro = cerebro_for(
        panel_of([FLAT] * 4, funding_settled=[0.0, 0.0, 0.01, 0.0]),
        script={0: lambda s: s.buy(size=1.0)},
    )
    for _ in range(2):
        (strategy,) = cerebro.run()
        ledger = cerebro.broker.ledger(strategy.data)
        assert (len(ledger.fills), len(ledger.funding)) == (1, 1)
        assert cerebro.broker.getvalue() == pytest.approx(9_999.0)


def test_a_limit_entry_cannot_reach_its_target_before_it_was_filled() -> None:
    """Open 100, bought at 95 on the way down: the open beyond the target at 99 came before."""
    bracket = {"price": 95.0, "exectype": bt.Order.Limit, "stopprice": 90.0, "limitprice": 99.0}
    script: Script = {0: lambda s: s.buy_bracket(size=1.0, **bracket)}
    rows = [FLAT, (100, 101, 94, 96), (96, 99.5, 95, 98), FLAT]
    fills, _ = run(panel_of(rows), script=script, fees=(0.001, 0.0))
    assert told(fills) == [(1, 1.0, 95.0), (2, -1.0, 99.0)]
    assert [f.fee for f in fills] == [0.0, 0.0]


def test_a_limit_entry_reaches_its_target_if_the_bar_closes_beyond_it() -> None:
    """The close comes after the fill, so a close above the target proves it."""
    bracket = {"price": 95.0, "exectype": bt.Order.Limit, "stopprice": 90.0, "limitprice": 99.0}
    script: Script = {0: lambda s: s.buy_bracket(size=1.0, **bracket)}
    fills, _ = run(panel_of([FLAT, (100, 101, 94, 99.5), FLAT]), script=script)
    assert told(fills) == [(1, 1.0, 95.0), (1, -1.0, 99.0)]


def test_a_limit_entry_is_stopped_in_its_bar() -> None:
    """Below the limit lies the stop: a bar that trades there has filled the limit before."""
    bracket = {"price": 95.0, "exectype": bt.Order.Limit, "stopprice": 90.0, "limitprice": 99.0}
    script: Script = {0: lambda s: s.buy_bracket(size=1.0, **bracket)}
    fills, _ = run(panel_of([FLAT, (100, 101, 89, 100), FLAT]), script=script)
    assert told(fills) == [(1, 1.0, 95.0), (1, -1.0, 90.0)]


@pytest.mark.parametrize("kind", ["StopTrail", "Close"])
def test_other_taker_orders_pay_slippage_and_fee_as_well(kind: str) -> None:
    """A backtrader order of another kind is not a way around the costs."""
    extra = {"trailamount": 5.0} if kind == "StopTrail" else {}
    script: Script = {
        0: lambda s: s.buy(size=1.0),
        1: lambda s: s.sell(size=1.0, exectype=getattr(bt.Order, kind), **extra),
    }
    day = panel_of([FLAT, FLAT, (100, 101, 90, 100)] + [FLAT] * 30)
    fills, _ = run(
        day,
        script=script,
        slippage=SquareRootSlippage(spread_bps=20.0, coefficient=0.0),
        fees=(0.001, 0.0),
    )
    assert len(fills) == 2
    assert fills[1].price == pytest.approx(fills[1].reference_price * (1 - 0.001))
    assert fills[1].fee == pytest.approx(fills[1].price * 0.001)


def test_the_ledger_says_who_was_the_taker() -> None:
    """Each fill names its order, its liquidity and its slippage."""
    script: Script = {
        0: lambda s: s.buy(size=2.0),
        1: lambda s: s.sell(size=2.0, price=100.5, exectype=bt.Order.Limit),
    }
    fills, _ = run(
        panel_of([FLAT] * 4),
        script=script,
        slippage=SquareRootSlippage(spread_bps=20.0, coefficient=0.0),
    )
    assert [f.liquidity for f in fills] == ["taker", "maker"]
    assert [f.slippage for f in fills] == [pytest.approx(0.2), 0.0]
    assert fills[0].order_ref < fills[1].order_ref


def test_rounding_errors_leave_neither_orders_nor_positions() -> None:
    """0.1 and 0.2 bought and 0.3 sold is nothing; a fill that turns a position is a whole fill."""
    script: Script = {
        0: lambda s: (s.buy(size=0.1), s.buy(size=0.2)),
        1: lambda s: s.sell(size=0.3),
        2: lambda s: s.buy(size=0.7),
        3: lambda s: s.sell(size=1.1, price=100.5, exectype=bt.Order.Limit),
    }
    fills, strategy = run(panel_of([FLAT] * 6), script=script)
    sizes_of_bar_2 = [f.size for f in fills if f.bar == 2]
    assert sizes_of_bar_2 == [-0.3]
    assert [status for bar, status in strategy.statuses if bar == 4][-1] == "Completed"
    assert [f.size for f in fills if f.bar > 3] == [-1.1]
    assert [order for order in strategy.broker.pending if order is not None] == []


@pytest.mark.parametrize("leverage", [1.0, 4.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_equity_is_cash_and_unrealised_profit_at_every_bar(leverage: float, sign: int) -> None:
    """Adding, reducing, turning around: equity is the sum of what each fill earned since, by hand."""
    rng = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 12)))
    opened = np.concatenate([[100.0], close[:-1]]) * (1 + rng.normal(0.0, 1e-3, 12))
    rows = [(o, max(o, c) + 0.5, min(o, c) - 0.5, c) for o, c in zip(opened, close, strict=True)]
    sizes = {0: 10.0, 2: 5.0, 4: -7.0, 6: -20.0, 8: 12.0}
    script: Script = {
        bar: (lambda s, size=size * sign: (s.buy if size > 0 else s.sell)(size=abs(size)))
        for bar, size in sizes.items()
    }
    _, strategy = run(panel_of(rows), script=script, leverage=leverage, fees=(0.001, 0.0))
    expected = []
    for bar in range(12):
        done = [(b, s * sign) for b, s in sizes.items() if b + 1 <= bar]
        profit = sum(s * (close[bar] - opened[b + 1]) for b, s in done)
        fees = sum(abs(s) * opened[b + 1] * 0.001 for b, s in done)
        expected.append(10_000.0 + profit - fees)
    assert strategy.equity == pytest.approx(expected, rel=1e-12)
    assert all(math.isfinite(value) for value in strategy.equity)


def test_what_is_closed_at_the_open_is_not_liquidated_later_in_the_bar() -> None:
    """The open comes first: out at 100, and the fall to 80 finds no position."""
    script: Script = {0: lambda s: s.buy(size=10.0), 1: lambda s: s.close()}
    rows = [FLAT, FLAT, (100, 100, 80, 82), FLAT]
    fills, _ = run(panel_of(rows), script=script, leverage=10.0, brackets=NO_BRACKETS)
    assert told(fills) == [(1, 10.0, 100.0), (2, -10.0, 100.0)]
