"""What is told of each trade: recomputed from the bars, cut off after the trigger, and in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liqtiers.datasets.panel import Panel, panel_from_frame
from liqtiers.reports.run_record import read_run
from liqtiers.reports.trade_groups import trade_groups
from liqtiers.reports.trade_story import (
    WHAT_THE_RULES_SAW,
    trade_stories,
    with_what_the_rules_saw,
)
from liqtiers.strategies.parameters import TierBreakoutParameters, parameter_rows
from liqtiers.strategies.trade_log import TRADES_SCHEMA
from made_up_runs import made_up_trades, random_walk

PARAMETERS = TierBreakoutParameters()


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Twenty days of a random walk."""
    return panel_from_frame(random_walk(5760, seed=4), venue="x", symbol="Y", timeframe="5m")


@pytest.fixture(scope="module")
def trades(panel: Panel) -> pa.Table:
    """A dozen trades on it."""
    return made_up_trades(panel, count=24, seed=4, losses_only=False, reason=None)


def test_the_trigger_is_what_the_bars_say(panel: Panel, trades: pa.Table) -> None:
    """Thrust is the move of so many bars over Wilder's range, towards the tier; computed by hand here."""
    frame = panel.to_frame()
    before = frame.close.shift()
    true_range = np.maximum(frame.high, before) - np.minimum(frame.low, before)
    true_range.iloc[0] = frame.high.iloc[0] - frame.low.iloc[0]
    n = PARAMETERS.atr_bars
    atr = np.full(len(frame), np.nan)
    atr[n - 1] = true_range.iloc[:n].mean()
    for k in range(n, len(frame)):
        atr[k] = (atr[k - 1] * (n - 1) + true_range.iloc[k]) / n
    found = with_what_the_rules_saw(trades, panel, PARAMETERS)
    for row in found.to_pylist():
        k = frame.index.get_loc(row["trigger_ts"])
        move = frame.close.iloc[k] - frame.close.iloc[k - PARAMETERS.thrust_bars]
        assert row["trigger_thrust"] == pytest.approx(
            row["direction"] * move / atr[k], rel=5e-3
        )  # two ways to begin Wilder's average fade apart
        assert row["trigger_funding"] == panel.funding_rate[k]
        armed = frame.close[row["armed_ts"]]
        edge = row["tier_lower"] if row["direction"] > 0 else row["tier_upper"]
        assert row["armed_distance"] == pytest.approx(row["direction"] * (edge / armed - 1.0))


def test_what_is_told_does_not_know_the_future(panel: Panel, trades: pa.Table) -> None:
    """With the bars after the last trigger cut off, every trade's context is the same."""
    whole = with_what_the_rules_saw(trades, panel, PARAMETERS)
    last = int(np.searchsorted(panel.ts, trades["trigger_ts"].to_pandas().max().value // 1000)) + 1
    part = with_what_the_rules_saw(trades, panel.slice(0, last), PARAMETERS)
    for name in WHAT_THE_RULES_SAW:
        assert np.array_equal(whole[name].to_numpy(), part[name].to_numpy(), equal_nan=True)


def test_a_story_names_limits_and_costs(panel: Panel, trades: pa.Table) -> None:
    """Each line holds the figures of the row and what the parameters asked for."""
    found = with_what_the_rules_saw(trades, panel, PARAMETERS)
    stories = trade_stories(found, parameter_rows(PARAMETERS), places=1)
    assert len(stories) == found.num_rows
    row, story = found.to_pylist()[0], dict(stories[0])
    assert f"(at least {PARAMETERS.min_imbalance:g} asked for)" in story["Armed by"]
    assert f"{row['trigger_thrust']:.2f} average true ranges" in story["Triggered by"]
    assert f"{row['fees']:,.2f}" in story["Result, quote"]
    assert f"after {row['bars_held']} bars" in story["Ended"]


def test_a_trade_of_another_strategy_has_a_story_too(panel: Panel, trades: pa.Table) -> None:
    """No tier, no arming, no trigger: said, not guessed; a run without the columns is told as well."""
    bare = dict.fromkeys(("armed_ts", "trigger_ts")) | dict.fromkeys(
        ("tier_lower", "tier_upper", "tier_notional", "tier_fuel", "imbalance"), float("nan")
    )
    rows = [{**trades.to_pylist()[0], **bare}]
    lonely = type(trades).from_pylist(rows, schema=TRADES_SCHEMA)
    told = with_what_the_rules_saw(lonely, panel, PARAMETERS)
    assert all(np.isnan(told[name].to_numpy()).all() for name in WHAT_THE_RULES_SAW)
    for table in (told, lonely):
        story = dict(trade_stories(table, [], places=1)[0])
        assert story["Tier, as it was frozen"].startswith("none")
        assert "n/a" in story["Triggered by"]


def test_groups_count_every_trade_once_a_kind(panel: Panel, trades: pa.Table) -> None:
    """Sides, hours and thirds each hold all trades; sums add up; few trades get no interval."""
    rows = trade_groups(trades, panel)
    net = trades["net_pnl"].to_numpy()
    for kind in ("side", "hour of entry, UTC", "imbalance", "tier's fuel"):
        own = [row for row in rows if row["kind"] == kind]
        assert sum(row["trades"] for row in own) == trades.num_rows
        assert sum(row["net_pnl"] for row in own) == pytest.approx(net.sum())
    assert all(np.isnan(row["low"]) for row in rows if row["trades"] < 10)
    hours = trades["entry_ts"].to_pandas().dt.hour
    night = [row for row in rows if row["label"] == "00 to 06"]
    assert sum(row["trades"] for row in night) == (hours < 6).sum()
    assert trade_groups(trades.slice(0, 0), panel) == []


def test_the_record_holds_what_is_told(make_run: Callable[..., Path]) -> None:
    """A run's trades carry what the rules saw, and its days their returns."""
    record = read_run(make_run())
    assert set(WHAT_THE_RULES_SAW) <= set(record.trades.column_names)
    growth = np.prod(1.0 + record.daily["account"].to_numpy())
    last = record.equity["equity"].to_numpy()[-1]
    assert growth == pytest.approx(last / record.about["summary"]["cash"])
