"""The rulebook, rule by rule, on rows written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.strategies.parameters import TierBreakoutParameters
from liqtiers.strategies.rulebook import (
    ABSORBED,
    ENTER,
    EXIT,
    HOLD,
    MOVE_STOP,
    REST,
    TIME,
    Account,
    Decision,
    Row,
    State,
    decide,
    first_state,
    position_size,
    rules_of,
)

FLAT = Account(0.0, 0, False)
TIER = (105.0, 107.0, 106.0, 1e6, 2.0)
FURTHER = (112.0, 113.0, 112.5, 1e6, 3.0)
BELOW = (93.0, 95.0, 94.0, 1e6, 2.0)


def row(bar: int, close: float, **changes: Any) -> Row:
    """Return a bar that shows a tier above and one below, moves up hard, and pays no funding."""
    values: dict[str, Any] = {
        "high": close + 0.5,
        "low": close - 0.5,
        "atr": 1.0,
        "thrust": 3.0,
        "funding_rate": 0.0,
        "imbalance": 4.0,
        "above": [TIER, FURTHER],
        "below": [BELOW],
        **changes,
    }
    tiers = np.full((2, 2, 5), np.nan)
    for side, name in enumerate(("above", "below")):
        for place, tier in enumerate(values[name]):
            tiers[side, place] = tier
    names = ("high", "low", "atr", "thrust", "funding_rate", "imbalance")
    return Row(bar, close, *[float(values[name]) for name in names], tiers)


def play(
    rows: list[Row], accounts: list[Account] | None = None, **parameters: Any
) -> tuple[State, list[Decision]]:
    """Return the last state and all decisions."""
    rules = rules_of(
        TierBreakoutParameters(**{"min_imbalance": 1.5, "max_distance": 0.1, **parameters})
    )
    state, decisions = first_state(), []
    for place, bar in enumerate(rows):
        account = accounts[place] if accounts else FLAT
        state, decision = decide(state, bar, account, rules)
        decisions.append(decision)
    return state, decisions


def test_the_nearest_tier_is_frozen_on_arming() -> None:
    """Later changes of the map do not move an armed tier."""
    state, _ = play([row(0, 100.0), row(1, 100.0, above=[(101.0, 102.0, 101.5, 1e6, 9.0)])])
    assert (state.above.lower, state.above.upper, state.above.armed_bar) == (105.0, 107.0, 0)
    assert state.above.imbalance == 4.0


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({"imbalance": 1.4}, {}),
        ({"imbalance": np.nan}, {}),
        ({"above": [(111.0, 112.0, 111.5, 1e6, 2.0)]}, {}),
        ({}, {"max_distance": 0.04}),
        ({"above": [(105.0, 107.0, 106.0, 1e6, 0.01)]}, {}),
        ({}, {"min_fuel": 5.0}),
        ({"above": []}, {}),
        ({}, {"side": "longs"}),
    ],
)
def test_what_does_not_arm(changes: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Too little imbalance or fuel, too far, or not this side."""
    state, _ = play([row(0, 100.0, **changes)], **parameters)
    assert state.above.armed_bar == -1


def test_a_thin_tier_is_passed_over_for_the_next() -> None:
    """The nearest one with enough fuel counts."""
    thin = (103.0, 104.0, 103.5, 1e6, 0.01)
    state, _ = play([row(0, 100.0, above=[thin, TIER])])
    assert state.above.lower == 105.0


@pytest.mark.parametrize(
    "rows",
    [
        [row(0, 100.0), row(3, 100.0, above=[])],
        [row(0, 100.0), row(1, 94.0, above=[])],
        [row(0, 100.0), row(1, 107.0, above=[], thrust=0.0)],
    ],
    ids=["too old", "price too far away", "closed beyond the far edge"],
)
def test_an_armed_tier_is_given_up(rows: list[Row]) -> None:
    """After max_armed_bars, with distance, and once passed."""
    state, decisions = play(rows, max_armed_bars=2)
    assert state.above.armed_bar == -1
    assert decisions[-1].action == HOLD


def test_a_close_beyond_the_near_edge_triggers_on_a_later_bar() -> None:
    """Entry at the next open, stop behind the near edge, target at the far edge."""
    _, decisions = play([row(0, 100.0), row(1, 105.5)], stop_atr=2.0)
    assert decisions[0].action == HOLD
    assert decisions[1][:5] == (ENTER, 1, 105.5, 103.0, 107.0)


def test_the_bar_that_arms_does_not_trigger() -> None:
    """A tier is frozen before price reaches it, not in the bar that does."""
    inside = (100.0, 107.0, 103.0, 1e6, 2.0)
    _, decisions = play([row(0, 100.0, above=[inside])])
    assert decisions[0].action == HOLD


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({"thrust": 0.9}, {}),
        ({"thrust": np.nan}, {}),
        ({"atr": np.nan}, {}),
        ({"funding_rate": 0.0006}, {}),
        ({}, {"min_thrust": 3.5}),
        ({"funding_rate": 0.0004}, {"max_funding": 0.0003}),
    ],
)
def test_what_does_not_trigger(changes: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Too little thrust, or too much funding to pay."""
    _, decisions = play([row(0, 100.0), row(1, 105.5, **changes)], **parameters)
    assert decisions[1].action == HOLD


def test_unknown_funding_does_not_forbid() -> None:
    """A missing rate is no reason against."""
    _, decisions = play([row(0, 100.0), row(1, 105.5, funding_rate=np.nan)])
    assert decisions[1].action == ENTER


def test_the_mirror_trades_longs_below_with_shorts() -> None:
    """Everything the other way round: the imbalance too."""
    falling = {"thrust": -3.0, "imbalance": 0.25}
    _, decisions = play(
        [row(0, 100.0, **falling), row(1, 94.5, **falling)], side="longs", stop_atr=2.0
    )
    assert decisions[1][:5] == (ENTER, -1, 94.5, 97.0, 93.0)
    blocked = [row(0, 100.0, **falling), row(1, 94.5, **falling, funding_rate=-0.0006)]
    assert play(blocked, side="longs")[1][1].action == HOLD


def test_both_sides_arm_at_once() -> None:
    """One slot for each direction."""
    state, _ = play([row(0, 100.0, imbalance=1.0)], side="both", min_imbalance=0.5)
    assert (state.above.lower, state.below.upper) == (105.0, 95.0)


def test_the_target_may_be_the_next_tier() -> None:
    """Its near edge; the far edge where there is none."""
    rows = [row(0, 100.0), row(1, 105.5)]
    assert play(rows, target="next")[1][1].target == 112.0
    alone = [row(0, 100.0, above=[TIER]), row(1, 105.5, above=[TIER])]
    assert play(alone, target="next")[1][1].target == 107.0


def test_a_resting_entry_waits_at_the_edge_and_does_not_chase() -> None:
    """It rests while price is short of the edge, and not once price has closed beyond."""
    _, decisions = play([row(0, 100.0), row(1, 103.0), row(2, 105.5)], entry="stop")
    assert decisions[1][:3] == (REST, 1, 105.0)
    assert decisions[2].action == HOLD


def held(bars: int) -> Account:
    """Return an account that holds a long."""
    return Account(1.0, bars, bars == 1)


def in_position(closes: list[float], **parameters: Any) -> list[Decision]:
    """Return the decisions of bars held, after arming and triggering."""
    rows = [row(0, 100.0), row(1, 105.5)]
    rows += [row(2 + i, close, high=close, low=close) for i, close in enumerate(closes)]
    accounts = [FLAT, FLAT, *[held(i + 1) for i in range(len(closes))]]
    _, decisions = play(rows, accounts, **parameters)
    return decisions[2:]


def test_a_trade_without_progress_is_absorbed() -> None:
    """Less than min_progress of the tier crossed after patience bars."""
    decisions = in_position([105.2, 105.3, 105.4], patience=3, min_progress=0.25)
    assert [d.action for d in decisions] == [HOLD, HOLD, EXIT]
    assert decisions[2].reason == ABSORBED
    assert in_position([105.2, 105.6, 105.4], patience=3, min_progress=0.25)[2].action == HOLD


def test_a_trade_ends_with_its_time() -> None:
    """max_hold bars, the entry bar counted."""
    decisions = in_position([106.0] * 4, max_hold=4)
    assert [d.action for d in decisions] == [HOLD, HOLD, HOLD, EXIT]
    assert decisions[3].reason == TIME


def test_the_trail_only_tightens() -> None:
    """The stop follows the best close at trail_atr average true ranges, never back."""
    decisions = in_position([105.0, 106.0, 105.2, 106.5], trail_atr=1.5, stop_atr=2.0)
    assert [d.action for d in decisions] == [MOVE_STOP, MOVE_STOP, HOLD, MOVE_STOP]
    assert [decisions[i].stop for i in (0, 1, 3)] == [103.5, 104.5, 105.0]


def test_after_a_trade_within_one_bar_the_tier_is_forgotten() -> None:
    """Filled and flat again: the same frozen tier is not traded twice."""
    rows = [row(0, 100.0), row(1, 105.5), row(2, 105.5, above=[FURTHER])]
    accounts = [FLAT, FLAT, Account(0.0, 0, True)]
    state, decisions = play(rows, accounts)
    assert decisions[2].action == HOLD
    assert state.above.lower == 112.0


@given(
    equity=st.floats(1.0, 1e7),
    price=st.floats(0.1, 1e5),
    distance=st.floats(1e-4, 0.5),
    risk=st.floats(1e-4, 0.1),
    leverage=st.floats(1.0, 20.0),
    lot=st.sampled_from([0.001, 0.1, 1.0]),
)
def test_a_position_risks_no_more_than_asked(
    equity: float, price: float, distance: float, risk: float, leverage: float, lot: float
) -> None:
    """Whole lots, within the risk and within the leverage, and not a lot less than could be."""
    size = position_size(equity, price, price * (1 - distance), risk, leverage, lot)
    slack = 1 + 1e-6
    assert size / lot == pytest.approx(round(size / lot), rel=1e-12, abs=1e-6)
    assert size * price * distance <= equity * risk * slack + 1e-9 * price
    assert size * price <= equity * leverage * slack + 1e-9 * price
    more = size + 1.01 * lot
    assert (
        more * price * distance > equity * risk / slack
        or more * price > 0.98 * equity * leverage / slack
    )


def test_no_size_without_a_distance_or_a_lot() -> None:
    """Nothing rather than a fraction of a lot or a division by zero."""
    assert position_size(1_000.0, 100.0, 100.0, 0.01, 3.0, 0.1) == 0.0
    assert position_size(10.0, 100.0, 90.0, 0.01, 3.0, 0.1) == 0.0
    assert position_size(-5.0, 100.0, 90.0, 0.01, 3.0, 0.1) == 0.0
