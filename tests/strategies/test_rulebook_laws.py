"""What holds for the rulebook whatever the market does: edges, the mirror, missing values."""

from __future__ import annotations

import math
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
ABOVE = (105.0, 107.0, 106.0, 1e6, 2.0)
BELOW = (93.0, 95.0, 94.0, 1e6, 2.0)
NUMBERS = ("atr", "thrust", "imbalance")


def row(bar: int, close: float, **changes: Any) -> Row:
    """Return a bar that moves up hard below a tier of shorts and above a tier of longs."""
    values = {
        "high": close,
        "low": close,
        "atr": 1.0,
        "thrust": 3.0,
        "funding_rate": 0.0,
        "imbalance": 4.0,
        **changes,
    }
    tiers = np.full((2, 2, 5), np.nan)
    for side, default in enumerate((ABOVE, BELOW)):
        for place, tier in enumerate(changes.get(("above", "below")[side], [default])):
            tiers[side, place] = tier
    names = ("high", "low", "atr", "thrust", "funding_rate", "imbalance")
    return Row(bar, close, *[float(values[name]) for name in names], tiers)


def play(
    rows: list[Row], accounts: list[Account] | None = None, **parameters: Any
) -> tuple[State, list[Decision]]:
    """Return the last state and all decisions."""
    rules = rules_of(TierBreakoutParameters(**parameters))
    state, decisions = first_state(), []
    for place, bar in enumerate(rows):
        state, decision = decide(state, bar, accounts[place] if accounts else FLAT, rules)
        decisions.append(decision)
    return state, decisions


def armed(*rows: Row, **parameters: Any) -> int:
    """Return the bar in which the tier above was armed, -1 without one."""
    return play(list(rows), **parameters)[0].above.armed_bar


def test_every_limit_is_inclusive() -> None:
    """A value that equals its parameter passes: distance, fuel, imbalance, thrust, funding, age."""
    at_limits = {"imbalance": 1.5, "above": [(125.0, 127.0, 126.0, 1e6, 2.0)]}
    limits = {"min_imbalance": 1.5, "min_fuel": 2.0, "max_distance": 0.25}
    assert armed(row(0, 100.0, **at_limits), **limits) == 0
    assert armed(row(0, 100.0), row(5, 100.0), max_armed_bars=5) == 0
    assert armed(row(0, 100.0), row(6, 100.0, above=[]), max_armed_bars=5) == -1
    triggering = row(1, 105.0, thrust=1.0, funding_rate=0.0005)
    _, decisions = play([row(0, 100.0), triggering], min_thrust=1.0, max_funding=0.0005)
    assert decisions[1].action == ENTER


def test_an_edge_at_the_close_is_not_ahead_and_a_close_at_the_far_edge_is_passed() -> None:
    """Equality counts as reached at both edges."""
    assert armed(row(0, 105.0)) == -1
    assert armed(row(0, 100.0), row(1, 107.0, above=[])) == -1
    assert armed(row(0, 100.0), row(1, 106.9, above=[], thrust=0.0)) == 0


def test_a_close_inside_the_tier_keeps_it_however_narrow_the_distance() -> None:
    """`max_distance` is about the way to the tier; behind its near edge there is none."""
    wide = [(100.1, 120.0, 110.0, 1e6, 2.0)]
    rows = [row(0, 100.0, above=wide), row(1, 110.0, above=[], thrust=0.0)]
    assert armed(*rows, max_distance=0.001) == 0


@pytest.mark.parametrize("level", [0.0, math.inf, math.nan])
def test_an_empty_side_of_the_map_makes_the_imbalance_one_sided(level: float) -> None:
    """0: nothing above, so longs below stand out; infinite: the mirror; unknown: neither."""
    state, _ = play([row(0, 100.0, imbalance=level)], side="both", min_imbalance=1.0)
    assert (state.above.armed_bar == 0) == (level == math.inf)
    assert (state.below.armed_bar == 0) == (level == 0.0)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_missing_value_never_acts(name: str) -> None:
    """NaN in what arms or triggers neither arms nor triggers, on either side."""
    unknown = {name: math.nan}
    for side, sign in (("shorts", 1), ("longs", -1)):
        moving = {"thrust": 3.0 * sign, "imbalance": 4.0**sign}
        closes = (100.0, 100.0 + 5.5 * sign)
        rows = [row(bar, close, **{**moving, **unknown}) for bar, close in enumerate(closes)]
        assert [d.action for d in play(rows, side=side)[1]] == [HOLD, HOLD]
        rows = [row(bar, close, **moving) for bar, close in enumerate(closes)]
        assert [d.action for d in play(rows, side=side)[1]] == [HOLD, ENTER]


def test_a_tier_without_fuel_known_is_passed_over() -> None:
    """NaN fuel is not enough fuel; the next tier may be."""
    unknown = (103.0, 104.0, 103.5, 1e6, math.nan)
    state, _ = play([row(0, 100.0, above=[unknown, ABOVE])])
    assert state.above.lower == 105.0


def test_an_unknown_range_ends_no_trailing_stop() -> None:
    """Without an average true range the stop stays where it is."""
    rows = [row(0, 100.0), row(1, 105.5), row(2, 106.0, atr=math.nan)]
    _, decisions = play(rows, [FLAT, FLAT, Account(1.0, 1, True)], trail_atr=1.0)
    assert decisions[2].action == HOLD


@pytest.mark.parametrize(("close", "direction"), [(100.6, 1), (99.4, -1)])
def test_of_two_resting_entries_the_nearer_one_is_sent(close: float, direction: int) -> None:
    """One position at a time: the edge at 101 or the one at 99, by where price is."""
    quiet = {
        "thrust": 0.0,
        "imbalance": 1.0,
        "above": [(101.0, 102.0, 101.5, 1e6, 2.0)],
        "below": [(98.0, 99.0, 98.5, 1e6, 2.0)],
    }
    rows = [row(0, 100.0, **quiet), row(1, close, **quiet)]
    _, decisions = play(rows, side="both", entry="stop", min_imbalance=0.5, min_thrust=-1.0)
    assert decisions[1].direction == direction


@pytest.mark.parametrize("sign", [1, -1])
def test_progress_counts_what_the_bars_reached_and_not_where_they_closed(sign: int) -> None:
    """A wick through a quarter of the tier is progress, in the entry bar or a later one."""
    for wicked in (2, 3):
        rows = [
            row(bar, 100 + sign * up, thrust=3.0 * sign, imbalance=4.0**sign)
            for bar, up in enumerate((0.0, 5.5, 5.1, 5.1))
        ]
        wick = {"high" if sign > 0 else "low": 100 + sign * 5.5}
        rows[wicked] = rows[wicked]._replace(**wick)
        accounts = [FLAT, FLAT, Account(sign, 1, True), Account(sign, 2, False)]
        options = {"side": "shorts" if sign > 0 else "longs", "patience": 2}
        assert play(rows, accounts, **options, min_progress=0.25)[1][3].action == HOLD
        assert play(rows, accounts, **options, min_progress=0.26)[1][3].reason == ABSORBED


@pytest.mark.parametrize("sign", [1, -1])
def test_time_names_the_exit_where_the_trade_is_absorbed_as_well(sign: int) -> None:
    """One reason an exit, and never an exit with a stop to move."""
    rows = [
        row(bar, 100 + sign * up, thrust=3.0 * sign, imbalance=4.0**sign)
        for bar, up in enumerate((0.0, 5.5, 5.1))
    ]
    accounts = [FLAT, FLAT, Account(sign, 1, True)]
    options = {"side": "both", "patience": 1, "max_hold": 1, "trail_atr": 0.1}
    assert play(rows, accounts, **options)[1][2][:6:5] == (EXIT, TIME)


def test_after_a_trade_its_tier_must_be_armed_anew() -> None:
    """Left by an exit in the bar before: the slot is empty though no order was filled in this one."""
    rows = [row(0, 100.0), row(1, 105.5), row(2, 106.0), row(3, 105.5, above=[])]
    accounts = [FLAT, FLAT, Account(1.0, 1, True), FLAT]
    state, decisions = play(rows, accounts)
    assert state.above.armed_bar == state.active.armed_bar == -1
    assert decisions[3].action == HOLD


bars = st.lists(
    st.tuples(
        st.integers(-30, 30),  # close, eighths away from 100
        st.integers(0, 8),  # range above, eighths
        st.integers(0, 8),  # range below, eighths
        st.sampled_from([math.nan, 0.5, 1.0, 2.0]),  # average true range
        st.sampled_from([math.nan, -2.0, -0.5, 0.5, 2.0]),  # thrust
        st.sampled_from([math.nan, -0.001, 0.0, 0.001]),  # funding
        st.sampled_from([math.nan, 0.0, 0.25, 1.0, 4.0, math.inf]),  # imbalance
        st.integers(1, 30),  # near edge, eighths away from 100
        st.integers(1, 16),  # width, eighths
        st.booleans(),  # whether the account follows the decision
    ),
    min_size=2,
    max_size=25,
)


def mirrored(bar: Row) -> Row:
    """Return a bar reflected at 100."""
    tiers = 200.0 - bar.tiers[::-1, :, [1, 0, 2, 3, 4]]
    tiers[:, :, 3:] = bar.tiers[::-1, :, 3:]
    return Row(
        bar.bar,
        200.0 - bar.close,
        200.0 - bar.low,
        200.0 - bar.high,
        bar.atr,
        -bar.thrust,
        -bar.funding_rate,
        math.inf if bar.imbalance == 0.0 else 1.0 / bar.imbalance,
        tiers,
    )


@given(
    drawn=bars,
    entry=st.sampled_from(["market", "stop"]),
    target=st.sampled_from(["tier", "next"]),
    trail=st.sampled_from([0.0, 1.0]),
    patience=st.integers(1, 4),
)
def test_upside_down_every_decision_is_the_opposite(
    drawn: list[tuple[Any, ...]], entry: str, target: str, trail: float, patience: int
) -> None:
    """Shorts above in a market, longs below in its reflection: the same actions at mirrored prices."""
    options = {"entry": entry, "target": target, "trail_atr": trail, "patience": patience}
    # Distance is a fraction of price, which a reflection does not keep: wide enough not to matter.
    common = {**options, "max_distance": 0.5, "min_thrust": 0.5, "max_hold": 6}
    ours = rules_of(TierBreakoutParameters(side="shorts", **common))
    theirs = rules_of(TierBreakoutParameters(side="longs", **common))
    one, other, size, held, filled = first_state(), first_state(), 0.0, 0, False
    for number, values in enumerate(drawn):
        close, up, down, atr, thrust, funding, imbalance, edge, width, follows = values
        lower = 100.0 + edge / 8.0
        tier = (lower, lower + width / 8.0, lower, 1e6, 2.0)
        tier_beyond = (lower + 5.0, lower + 6.0, lower + 5.0, 1e6, 2.0)
        price = 100.0 + close / 8.0
        bar = row(
            number,
            price,
            high=price + up / 8.0,
            low=price - down / 8.0,
            atr=atr,
            thrust=thrust,
            funding_rate=funding,
            imbalance=imbalance,
            above=[tier, tier_beyond],
        )
        held = held + 1 if size else 0
        one, mine = decide(one, bar, Account(size, held, filled), ours)
        other, mirror = decide(other, mirrored(bar), Account(-size, held, filled), theirs)
        assert (mine.action, mine.reason) == (mirror.action, mirror.reason)
        for name in ("entry", "stop", "target"):
            assert 200.0 - getattr(mirror, name) == pytest.approx(getattr(mine, name), nan_ok=True)
        filled = follows and mine.action not in (HOLD, MOVE_STOP)
        size = size if not filled else 0.0 if mine.action == EXIT else 1.0


def test_two_per_cent_of_the_leverage_cap_stay_free() -> None:
    """9,800 of 10,000 at 1x, 29,400 at 3x."""
    assert position_size(10_000.0, 100.0, 99.9, 1.0, 1.0, 0.1) == 98.0
    assert position_size(10_000.0, 100.0, 100.1, 1.0, 3.0, 0.1) == 294.0


@given(equity=st.floats(100.0, 1e6), risk=st.floats(1e-4, 0.05), distance=st.floats(0.001, 0.1))
def test_size_grows_with_equity_and_risk_and_not_with_distance(
    equity: float, risk: float, distance: float
) -> None:
    """Monotone in each of the three, the same for a stop above as for one below."""
    price = 100.0

    def size(e: float, r: float, d: float) -> float:
        return position_size(e, price, price + d * price, r, 3.0, 0.001)

    base = size(equity, risk, distance)
    assert base <= size(2 * equity, risk, distance)
    assert base <= size(equity, 2 * risk, distance)
    assert base >= size(equity, risk, 2 * distance)
    below = position_size(equity, price, price - distance * price, risk, 3.0, 0.001)
    assert below == pytest.approx(base, abs=0.0011)
