"""Capacity: the strategy's own tables summed by hand, and where an edge ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liqtiers.reports.evidence.capacity import CapacityRow, break_even, capacity
from liqtiers.reports.evidence.market import EvidenceMarket
from liqtiers.strategies import run_backtest
from liqtiers.strategies.parameters import TierBreakoutParameters

TRADES = TierBreakoutParameters(min_imbalance=1.0, min_fuel=0.01, risk_fraction=0.001)


def row(equity: float, net: float, **more: object) -> CapacityRow:
    plain = CapacityRow(
        equity=equity,
        order=1.0,
        trades=9,
        gross=0.0,
        fees=0.0,
        slippage=0.0,
        funding=0.0,
        net=net,
    )
    return replace(plain, **more)


def test_rows_are_what_backtrader_made_of_each_equity(impact_world: EvidenceMarket) -> None:
    """Each row's yearly shares are the sums of backtrader's trades over the equity and the 20 days."""
    (small, large) = capacity(impact_world, parameters=TRADES, equities=(1e5, 1e7))
    reference = run_backtest(
        impact_world.panel,
        impact_world.features,
        instrument=impact_world.instrument,
        parameters=TRADES,
        cash=1e5,
    ).trades.to_pandas()
    assert small.trades == len(reference) > 0
    assert small.net == pytest.approx(reference["net_pnl"].sum() / 1e5 * 365 / 20)
    assert small.gross - small.fees - small.slippage + small.funding == pytest.approx(small.net)
    assert large.slippage > small.slippage
    assert large.order > 10 * small.order


def test_an_equity_that_the_venue_refuses_says_why(impact_world: EvidenceMarket) -> None:
    """Positions beyond the brackets' leverage have no result, and the reason stands in the row."""
    greedy = replace(TRADES, max_leverage=125.0, risk_fraction=1.0)
    (refused,) = capacity(impact_world, parameters=greedy, equities=(1e12,))
    assert refused.refused
    assert refused.net != refused.net


def test_the_edge_ends_between_two_sizes() -> None:
    """From +10 % at 1 M to -10 % at 100 M a year the line crosses 0 at 10 M."""
    assert break_even((row(1e6, 0.1), row(1e8, -0.1))) == pytest.approx(1e7)


def test_an_edge_that_never_was_has_no_size() -> None:
    """A loss at the smallest equity means 0, a gain at the largest has no end in sight."""
    assert break_even((row(1e4, -0.1), row(1e6, -0.2))) == 0.0
    assert break_even((row(1e4, 0.1), row(1e6, 0.2))) == float("inf")
    assert break_even((row(1e4, 0.0, trades=0),)) == 0.0
