"""Whatever is ordered, the money adds up: the broker under random orders."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builders import random_panel
from liqtiers.datasets.instruments import GENERIC_BRACKETS
from liqtiers.strategies import (
    EquityCurve,
    PanelFeed,
    PerpetualBroker,
    PerpetualCommission,
    SquareRootSlippage,
    TierTrades,
)

CASH = 100_000.0


class Gambler(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Sends orders of every kind at random, cancels some, and closes all at the end."""

    params = (("seed", 0), ("leverage", 1.0))

    def __init__(self) -> None:
        self.rng = np.random.default_rng(self.p.seed)
        self.sent: list[bt.Order] = []

    def next(self) -> None:
        dice = self.rng.random()
        if dice < 0.25:
            self._bracket()
        elif dice < 0.45:
            self._single()
        elif dice < 0.55:
            self.close()
        elif dice < 0.65 and self.sent:
            self.cancel(self.sent[self.rng.integers(len(self.sent))])

    def _size(self) -> float:
        most = self.p.leverage * CASH / self.data.close[0]
        return round(self.rng.uniform(0.01, 1.1) * most, 3)

    def _near(self, sign: float) -> float:
        return float(self.data.close[0] * (1 + sign * self.rng.uniform(0.0005, 0.02)))

    def _single(self) -> None:
        send = self.buy if self.rng.random() < 0.5 else self.sell
        kind = self.rng.choice([bt.Order.Market, bt.Order.Limit, bt.Order.Stop, bt.Order.StopTrail])
        sign = self.rng.choice([-1.0, 1.0])
        trail = (
            {"trailpercent": 0.01} if kind == bt.Order.StopTrail else {"price": self._near(sign)}
        )
        self.sent.append(send(size=self._size(), exectype=int(kind), **trail))

    def _bracket(self) -> None:
        long = self.rng.random() < 0.5
        sign = 1.0 if long else -1.0
        send = self.buy_bracket if long else self.sell_bracket
        kind = int(self.rng.choice([bt.Order.Market, bt.Order.Limit, bt.Order.Stop]))
        side = {bt.Order.Market: 0.0, bt.Order.Limit: -sign, bt.Order.Stop: sign}[kind]
        entry = self._near(side) if side else self.data.close[0]
        away = self.rng.uniform(0.002, 0.03, 2)
        self.sent += send(
            size=self._size(),
            price=entry,
            exectype=kind,
            stopprice=entry * (1 - sign * away[0]),
            limitprice=entry * (1 + sign * away[1]),
        )

    def stop(self) -> None:
        self.broker.settle(self.data)


def gamble(seed: int, leverage: float, **options: bool) -> tuple[Any, Any]:
    """Return the strategy and the broker after a run over 150 bars."""
    cerebro = bt.Cerebro(stdstats=False, **options)
    cerebro.broker = PerpetualBroker(SquareRootSlippage(), GENERIC_BRACKETS, cash=CASH)
    cerebro.broker.addcommissioninfo(PerpetualCommission(position_leverage=leverage))
    cerebro.adddata(PanelFeed.from_panel(random_panel(150, seed=seed)))
    cerebro.addstrategy(Gambler, seed=seed, leverage=leverage)
    cerebro.addanalyzer(TierTrades, _name="trades")
    cerebro.addanalyzer(EquityCurve, _name="equity")
    (strategy,) = cerebro.run()
    return strategy, cerebro.broker


@settings(max_examples=25)
@given(seed=st.integers(0, 100_000), leverage=st.sampled_from([1.0, 3.0, 10.0, 40.0]))
@example(seed=2433, leverage=40.0)  # turned over far more than it ever held
def test_the_trades_explain_all_of_the_equity(seed: int, leverage: float) -> None:
    """Net results sum to the change of equity; fills to no position; cash is what is left."""
    strategy, broker = gamble(seed, leverage)
    trades = strategy.analyzers.trades.get_analysis().to_pandas()
    assert trades.net_pnl.sum() == pytest.approx(broker.getvalue() - CASH, rel=1e-9, abs=1e-5)
    ledger = broker.ledger(strategy.data)
    assert sum(fill.size for fill in ledger.fills) == pytest.approx(0.0, abs=1e-9)
    assert broker.getcash() == pytest.approx(broker.getvalue(), abs=1e-5)
    assert sum(p.amount for p in ledger.funding) == pytest.approx(trades.funding.sum(), abs=1e-9)
    assert trades.fees.sum() == pytest.approx(sum(f.fee for f in ledger.fills))


@settings(max_examples=25)
@given(seed=st.integers(0, 100_000), leverage=st.sampled_from([1.0, 10.0, 40.0]))
def test_no_fill_is_better_than_the_market(seed: int, leverage: float) -> None:
    """Without slippage each price lies within its bar, liquidations apart; slippage only costs."""
    strategy, broker = gamble(seed, leverage)
    panel = strategy.data.panel
    for fill in broker.ledger(strategy.data).fills:
        assert fill.slippage >= 0.0
        if fill.reason != "liquidated":
            low, high = panel.low[fill.bar], panel.high[fill.bar]
            resting_beyond = fill.liquidity == "maker" and (
                fill.reference_price < low if fill.size < 0 else fill.reference_price > high
            )
            assert low <= fill.reference_price <= high or resting_beyond


@pytest.mark.parametrize("seed", range(3))
def test_the_result_does_not_depend_on_how_backtrader_runs(seed: int) -> None:
    """Bar by bar or vectorised: the same ledger."""
    strategy, broker = gamble(seed, 3.0)
    other, same = gamble(seed, 3.0, runonce=False, preload=False)
    ours = [(f.bar, f.size, f.price, f.fee) for f in broker.ledger(strategy.data).fills]
    theirs = [(f.bar, f.size, f.price, f.fee) for f in same.ledger(other.data).fills]
    assert ours == theirs
    assert len(ours) > 5
