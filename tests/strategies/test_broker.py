"""The broker on ten-row candle tables: what fills, where, and what it costs."""

from __future__ import annotations

import math
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


class Bracketed(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Sends one bracket at the close of bar 0."""

    params = (
        ("long", True),
        ("size", 1.0),
        ("entry", None),
        ("stop", None),
        ("target", None),
        ("leave", None),
    )

    def next(self) -> None:
        bar = len(self.data) - 1
        if bar == 0:
            self._send()
        elif bar == self.p.leave:
            self.close(reason="left")

    def _send(self) -> None:
        send, close = (self.buy, self.sell) if self.p.long else (self.sell, self.buy)
        exits = [
            (kind, price)
            for kind, price in ((bt.Order.Stop, self.p.stop), (bt.Order.Limit, self.p.target))
            if price is not None
        ]
        kind = bt.Order.Market if self.p.entry is None else bt.Order.Stop
        parent = send(
            size=self.p.size,
            price=self.p.entry,
            exectype=kind,
            transmit=not exits,
            reason="entry",
        )
        for number, (exectype, price) in enumerate(exits, start=1):
            close(
                size=self.p.size,
                price=price,
                exectype=exectype,
                parent=parent,
                transmit=number == len(exits),
                reason="stop" if exectype == bt.Order.Stop else "target",
            )


def run(
    panel: Panel,
    *,
    slippage: Slippage = FREE,
    taker: float = 0.0,
    maker: float = 0.0,
    leverage: float = 1.0,
    brackets: Brackets | None = None,
    cash: float = 10_000.0,
    **params: Any,
) -> tuple[list[Fill], float, PerpetualBroker]:
    """Return the fills, the final equity and the broker."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = PerpetualBroker(slippage, brackets, cash=cash)
    cerebro.broker.addcommissioninfo(
        PerpetualCommission(taker=taker, maker=maker, position_leverage=leverage)
    )
    cerebro.adddata(PanelFeed.from_panel(panel))
    cerebro.addstrategy(Bracketed, **params)
    (strategy,) = cerebro.run()
    broker = cerebro.broker
    return broker.ledger(strategy.data).fills, broker.getvalue(), broker


def told(fills: list[Fill]) -> list[tuple[int, str, float]]:
    """Return bar, reason and price of each fill."""
    return [(f.bar, f.reason, f.price) for f in fills]


FLAT = (100.0, 101.0, 99.0, 100.0)


def test_the_entry_bar_is_exposed_to_the_stop() -> None:
    """A market entry at 100 whose own bar trades down to 94 is stopped at 95 in that bar."""
    panel = panel_of([FLAT, (100, 101, 94, 100), FLAT, FLAT])
    fills, value, _ = run(panel, stop=95.0, target=120.0)
    assert told(fills) == [(1, "entry", 100.0), (1, "stop", 95.0)]
    assert value == 9_995.0


def test_backtrader_itself_misses_the_entry_bar() -> None:
    """The hole that is closed: the stock broker wakes the stop a bar later, at a worse price or never."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed.from_panel(panel_of([FLAT, (100, 101, 94, 100), FLAT, FLAT])))
    cerebro.addstrategy(Bracketed, stop=95.0, target=120.0)
    (strategy,) = cerebro.run()
    assert strategy.position.size == 1.0


def test_the_stop_counts_where_a_bar_reaches_both() -> None:
    """Stop and target in one bar: the stop counts."""
    panel = panel_of([FLAT, FLAT, (100, 111, 89, 100), FLAT])
    fills, _, _ = run(panel, stop=90.0, target=110.0)
    assert told(fills)[1] == (2, "stop", 90.0)


def test_a_gap_through_the_stop_fills_at_the_open() -> None:
    """No better price than the market's."""
    fills, _, _ = run(panel_of([FLAT, FLAT, (85, 86, 84, 85), FLAT]), stop=90.0, target=110.0)
    assert told(fills)[1] == (2, "stop", 85.0)


def test_a_gap_through_a_resting_target_fills_at_its_price_as_maker() -> None:
    """A limit order that rests in the book is taken at its own price, for the maker's fee."""
    panel = panel_of([FLAT, FLAT, (115, 116, 114, 115), FLAT])
    fills, _, _ = run(panel, stop=90.0, target=110.0, taker=0.001, maker=0.0002)
    assert told(fills)[1] == (2, "target", 110.0)
    assert [f.fee for f in fills] == pytest.approx([100 * 0.001, 110 * 0.0002])


def test_the_open_comes_before_the_range() -> None:
    """A bar that opens beyond the target and later falls to the stop has met the target."""
    panel = panel_of([FLAT, FLAT, (112, 113, 80, 85), FLAT])
    fills, _, _ = run(panel, stop=90.0, target=110.0)
    assert told(fills)[1] == (2, "target", 110.0)


def test_a_target_below_the_first_open_is_taken_there() -> None:
    """An order that the first open it sees has passed is a taker at that open."""
    panel = panel_of([FLAT, (112, 113, 111, 112), FLAT])
    fills, _, _ = run(panel, stop=90.0, target=110.0, taker=0.001, maker=0.0)
    assert told(fills) == [(1, "entry", 112.0), (1, "target", 112.0)]
    assert fills[1].fee == pytest.approx(0.112)


def test_a_stop_entry_may_be_stopped_within_its_bar() -> None:
    """What came first cannot be told, so the stop counts, at its own price and not at the open."""
    panel = panel_of([FLAT, (92, 106, 91, 105), FLAT])
    fills, _, _ = run(panel, entry=104.0, stop=95.0, target=120.0)
    assert told(fills) == [(1, "entry", 104.0), (1, "stop", 95.0)]


def test_a_stop_entry_reaches_its_target_within_its_bar() -> None:
    """Beyond the entry lies the target: a bar that trades there has passed the entry before."""
    panel = panel_of([FLAT, (100, 112, 99, 111), FLAT])
    fills, _, _ = run(panel, entry=104.0, stop=95.0, target=110.0)
    assert told(fills) == [(1, "entry", 104.0), (1, "target", 110.0)]


@pytest.mark.parametrize("long", [True, False])
def test_slippage_is_the_square_root_law_by_hand(long: bool) -> None:
    """10 coins at 100 in a bar of 1000 coins at 100, range 99 to 101."""
    panel = panel_of([FLAT, FLAT, FLAT], quote_volume=[100_000.0] * 3)
    slippage = SquareRootSlippage(spread_bps=2.0, coefficient=0.5, max_bps=1000.0)
    fills, value, _ = run(panel, long=long, slippage=slippage, size=10.0, leave=1)
    volatility = math.log(101 / 99) / (2 * math.sqrt(math.log(2)))
    fraction = 1e-4 + 0.5 * volatility * math.sqrt(0.01)
    sign = 1 if long else -1
    assert fills[0].price == pytest.approx(100 * (1 + sign * fraction), rel=1e-12)
    assert fills[1].price == pytest.approx(100 * (1 - sign * fraction), rel=1e-12)
    assert value == pytest.approx(10_000 - 2 * 10 * 100 * fraction)


@pytest.mark.parametrize(("long", "sign"), [(True, -1.0), (False, 1.0)])
def test_funding_is_paid_on_what_is_held_at_the_close(long: bool, sign: float) -> None:
    """Longs pay a positive rate, from the entry bar's close on; what left before does not."""
    panel = panel_of([FLAT] * 5, funding_settled=[0.0, 0.001, 0.0, 0.002, 0.004])
    fills, value, broker = run(panel, long=long, size=2.0, leave=2)
    assert [f.bar for f in fills] == [1, 3]
    ledger = next(iter(broker.ledgers.values()))
    assert [(p.bar, p.amount) for p in ledger.funding] == [
        (1, pytest.approx(sign * 2 * 100 * 0.001))
    ]
    assert value == pytest.approx(10_000 + sign * 0.2)


def test_the_own_position_is_liquidated_at_the_loss_of_its_margin() -> None:
    """10x from 100: liquidation at 100 (1 - 0.1) / (1 - 0.005) = 90.45; 100 of margin are lost."""
    panel = panel_of([FLAT, FLAT, (100, 100, 90.4, 95), FLAT])
    fills, value, _broker = run(panel, size=10.0, leverage=10.0, brackets=NO_BRACKETS, taker=0.001)
    assert told(fills) == [(1, "entry", 100.0), (2, "liquidated", 90.0)]
    assert value == pytest.approx(10_000 - 100 - 1.0)
    assert fills[1].fee == 0.0


def test_a_position_just_above_its_liquidation_price_lives() -> None:
    """90.46 is not 90.45."""
    panel = panel_of([FLAT, FLAT, (100, 100, 90.46, 95), FLAT])
    fills, _, _ = run(panel, size=10.0, leverage=10.0, brackets=NO_BRACKETS)
    assert told(fills) == [(1, "entry", 100.0)]


def test_liquidation_in_the_entry_bar() -> None:
    """The entry bar is exposed to the own liquidation too; a short's lies above."""
    panel = panel_of([FLAT, (100, 110, 99, 100), FLAT])
    fills, _, _ = run(panel, long=False, leverage=10.0, brackets=NO_BRACKETS)
    assert told(fills) == [(1, "entry", 100.0), (1, "liquidated", pytest.approx(110.0))]


def test_a_stop_between_goes_first_and_a_gap_beyond_both_does_not_help() -> None:
    """The path meets the stop at 95 before 90.45; an open at 89 has passed both."""
    common = {"leverage": 10.0, "brackets": NO_BRACKETS, "stop": 95.0, "target": 120.0}
    fills, _, _ = run(panel_of([FLAT, FLAT, (100, 100, 88, 90), FLAT]), **common)
    assert told(fills)[1] == (2, "stop", 95.0)
    fills, _, _ = run(panel_of([FLAT, FLAT, (89, 90, 88, 89), FLAT]), **common)
    assert told(fills)[1] == (2, "liquidated", 90.0)


def test_a_stop_beyond_the_liquidation_price_comes_too_late() -> None:
    """A stop at 85 does not save a position that is liquidated at 90.45, and is cancelled."""
    panel = panel_of([FLAT, FLAT, (100, 100, 80, 82), FLAT, FLAT])
    fills, _, broker = run(panel, leverage=10.0, brackets=NO_BRACKETS, stop=85.0, target=120.0)
    assert told(fills) == [(1, "entry", 100.0), (2, "liquidated", 90.0)]
    assert not [order for order in broker.pending if order is not None]


def test_liquidation_goes_by_the_mark_price() -> None:
    """A wick of trades alone does not liquidate."""
    wick = [FLAT, FLAT, (100, 100, 80, 95), FLAT]
    panel = panel_of(wick, mark_low=[99.0, 99.0, 93.0, 99.0], mark_high=[101.0] * 4)
    fills, _, _ = run(panel, leverage=10.0, brackets=NO_BRACKETS)
    assert told(fills) == [(1, "entry", 100.0)]


def test_equity_with_leverage_by_hand() -> None:
    """Long 10 at 100 with 5x, at 110 at the end: 100 of profit, fees of 0.1 % on 1,000."""
    panel = panel_of([FLAT, FLAT, (100, 111, 99, 110), (110, 111, 109, 110)])
    _, value, broker = run(panel, size=10.0, leverage=5.0, taker=0.001)
    assert value == pytest.approx(10_000 + 100 - 1.0)
    assert broker.getcash() == pytest.approx(value - 200.0)


def test_too_little_cash_opens_nothing() -> None:
    """An order whose margin is not there is refused."""
    fills, value, _ = run(panel_of([FLAT] * 4), size=10.0, cash=500.0)
    assert fills == []
    assert value == 500.0


def test_a_position_open_at_the_end_is_settled_with_costs() -> None:
    """The last close, the taker's fee."""
    panel = panel_of([FLAT, FLAT, FLAT])
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = PerpetualBroker(FREE, cash=1_000.0)
    cerebro.broker.addcommissioninfo(PerpetualCommission(taker=0.001))
    cerebro.adddata(PanelFeed.from_panel(panel))
    cerebro.addstrategy(Bracketed)
    (strategy,) = cerebro.run()
    cerebro.broker.settle(strategy.data)
    fills = cerebro.broker.ledger(strategy.data).fills
    assert told(fills)[-1] == (2, "end", 100.0)
    assert cerebro.broker.getvalue() == pytest.approx(1_000 - 0.2)


def test_the_commission_works_with_backtraders_own_broker() -> None:
    """Alone, with shortcash=False: the same equity as by hand."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = bt.brokers.BackBroker(cash=1_000.0, shortcash=False)
    cerebro.broker.addcommissioninfo(PerpetualCommission(taker=0.001, position_leverage=4.0))
    rows = [FLAT, FLAT, (100, 105, 99, 104), (104, 105, 103, 104)]
    cerebro.adddata(PanelFeed.from_panel(panel_of(rows)))
    cerebro.addstrategy(Bracketed, size=10.0)
    cerebro.run()
    assert cerebro.broker.getvalue() == pytest.approx(1_000 + 40 - 1.0)
    assert np.isfinite(cerebro.broker.getcash())
