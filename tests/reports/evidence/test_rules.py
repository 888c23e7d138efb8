"""Trading the same tier both ways: by hand, net of costs, without the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.panel import Panel, panel_from_frame
from liqtiers.reports.evidence.market import EvidenceMarket
from liqtiers.reports.evidence.rules import (
    BREAKOUT,
    FADE,
    check_notionals,
    daily_nets,
    run_rules,
    trade_events,
)
from liqtiers.strategies.parameters import CostParameters, TierBreakoutParameters
from liqtiers.strategies.slippage import DepthSlippage

FREE = CostParameters(taker_fee=0.0, maker_fee=0.0, spread_bps=0.0, impact_coefficient=0.0)


def hours(opens: list[float], *, settled: list[float] | None = None) -> Panel:
    """Hourly bars that open at the given prices and close at the next one."""
    close = [*opens[1:], opens[-1]]
    frame = pd.DataFrame(
        {
            "open": opens,
            "high": np.maximum(opens, close) * 1.01,
            "low": np.minimum(opens, close) * 0.99,
            "close": close,
            "volume": 1000.0,
            "funding_settled": settled or [0.0] * len(opens),
        },
        index=pd.date_range("2024-01-01 20:00", periods=len(opens), freq="h", tz="UTC"),
    )
    return panel_from_frame(frame, timeframe="1h")


def one(panel: Panel, bar: int, side: int, costs: CostParameters, **more: object):  # noqa: ANN201
    return trade_events(
        panel,
        np.array([bar]),
        np.array([side]),
        hours=2,
        costs=costs,
        notionals=(1000.0,),
        **more,
    )


def test_a_breakout_buys_the_next_open_and_sells_hours_later() -> None:
    """Reached in bar 1: bought at bar 2's open, 100, sold two hours later at 110; the fade loses it."""
    trades = one(hours([90, 95, 100, 105, 110, 120]), 1, 1, FREE)
    assert (trades.entry_bar[0], trades.exit_bar[0]) == (2, 4)
    assert trades.net(BREAKOUT, 0) == pytest.approx([0.10])
    assert trades.net(FADE, 0) == pytest.approx([-0.10])


def test_a_tier_below_is_sold() -> None:
    """A breakout through a tier below price gains when price falls."""
    trades = one(hours([110, 105, 100, 95, 90, 80]), 1, -1, FREE)
    assert trades.net(BREAKOUT, 0) == pytest.approx([0.10])


def test_fees_are_paid_both_ways() -> None:
    """Five basis points of 100 and of 110 are taken off either way."""
    costs = replace(FREE, taker_fee=0.0005)
    trades = one(hours([90, 95, 100, 105, 110, 120]), 1, 1, costs)
    assert trades.net(BREAKOUT, 0) == pytest.approx([0.10 - 0.0005 - 0.00055])
    assert trades.net(FADE, 0) == pytest.approx([-0.10 - 0.0005 - 0.00055])


def test_funding_is_settled_while_held() -> None:
    """Funding of the bars held at their close counts, with the sign of the position; others do not."""
    panel = hours([100] * 6, settled=[0.5, 0.5, 0.001, 0.002, 0.5, 0.5])
    trades = one(panel, 1, 1, FREE)
    assert trades.net(BREAKOUT, 0) == pytest.approx([-0.003])
    assert trades.net(FADE, 0) == pytest.approx([0.003])


def test_slippage_follows_the_depth_table() -> None:
    """A thousand out of a book with 500 at each of 10 and 30 basis points walks it on both fills."""
    book = DepthSlippage([(10.0, 500.0), (30.0, 1000.0)])
    bps = book.bps(1000.0, quote_volume=1.0, high=1.0, low=1.0)
    trades = one(hours([100] * 6), 1, 1, FREE, slippage=book)
    assert trades.net(BREAKOUT, 0) == pytest.approx([-2e-4 * bps])
    assert bps == pytest.approx((500 * 10 + 500 * 20) / 1000)


def test_larger_orders_slip_more(impact_world: EvidenceMarket) -> None:
    """Slippage grows with the order, by the root of its size where the spread is 0."""
    costs = replace(CostParameters(), spread_bps=0.0)
    bars = np.arange(600, 5000, 100)
    trades = trade_events(
        impact_world.panel,
        bars,
        np.ones(len(bars), np.int64),
        hours=1,
        costs=costs,
        notionals=(1e4, 4e4),
    )
    assert trades.slippage[1] == pytest.approx(2.0 * trades.slippage[0])


def test_events_near_the_end_or_a_gap_are_left_out() -> None:
    """A trade needs its exit's open, and no bar missing on the way."""
    panel = hours([100] * 12)
    columns = {
        name: getattr(panel, name)[np.r_[0:6, 8:12]]
        for name in panel.__slots__
        if isinstance(getattr(panel, name), np.ndarray)
    }
    broken = replace(panel, **columns)
    trades = trade_events(
        broken, np.arange(10), np.ones(10, np.int64), hours=2, costs=FREE, notionals=(1.0,)
    )
    assert trades.event.tolist() == [0, 1, 2, 6]


def test_trades_before_a_cut_do_not_change(null_world: EvidenceMarket) -> None:
    """Cutting the future off changes no trade that ended before the cut."""
    bars = np.arange(600, 5000, 37)
    side = np.where(bars % 2, 1, -1)
    whole, part = (
        trade_events(
            panel, bars[bars < len(panel)], side[bars < len(panel)], hours=4, costs=CostParameters()
        )
        for panel in (null_world.panel, null_world.panel.slice(0, 3000))
    )
    count = len(part.event)
    assert 0 < count < len(whole.event)
    assert np.array_equal(part.net(BREAKOUT, 2), whole.net(BREAKOUT, 2)[:count])


def test_daily_sums_fall_on_the_day_of_entry() -> None:
    """A trade that begins before midnight and ends after it counts on the day it began."""
    panel = hours([100, 100, 100, 100, 110, 120, 130, 140])
    trades = trade_events(
        panel, np.array([1, 4]), np.array([1, 1]), hours=2, costs=FREE, notionals=(1.0,)
    )
    days = np.unique(panel.ts // 86_400_000_000)
    sums = daily_nets(trades, days, way=BREAKOUT, size=0)
    assert sums == pytest.approx([0.10, 140 / 120 - 1.0])
    only = daily_nets(trades, days, way=FADE, size=0, chosen=np.array([True, False]))
    assert only == pytest.approx([-0.10, 0.0])


def test_the_rule_differs_from_its_twin_only_by_the_map(impact_world: EvidenceMarket) -> None:
    """Fed with the same features both runs are equal; fed with none, the twin never trades."""
    parameters = TierBreakoutParameters(min_imbalance=1.0, min_fuel=0.01)
    same = run_rules(impact_world, impact_world.features, parameters=parameters)
    assert np.array_equal(same.mapped, same.twin)
    assert same.mapped_trades > 0
    features = impact_world.features
    none = replace(features, imbalance=np.full_like(features.imbalance, np.nan))
    runs = run_rules(impact_world, none, parameters=parameters)
    assert runs.twin_trades == 0
    assert not runs.twin.any()
    assert len(runs.day) == len(runs.mapped) == len(runs.twin)


@pytest.mark.parametrize("wrong", [(), (0.0, 1.0), (2.0, 1.0), (1.0, 1.0)])
def test_sizes_must_increase(wrong: tuple[float, ...]) -> None:
    """Order sizes that are not positive and increasing are refused."""
    with pytest.raises(InputError, match="positive and increasing"):
        check_notionals(wrong)
