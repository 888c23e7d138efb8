"""Counterexamples: the worst are found, do not overlap, and come with what the map said."""

from __future__ import annotations

import numpy as np
import pytest

from hand_made_markets import LEAD, Candle, hand_market
from liqtiers.datasets.naming import HOUR_US
from liqtiers.reports.evidence.counterexamples import (
    counterexample_table,
    moves_against,
    rejected_tiers,
)
from liqtiers.reports.evidence.encounters import encounters_of
from liqtiers.reports.evidence.market import EvidenceMarket, bars_in, forward_returns
from liqtiers.reports.evidence.outcomes import OUTCOME_NAMES, outcomes_of

FALL: list[Candle] = [(100.0, 100.0, 100.0, 100.0), (100.0, 100.5, 89.5, 90.0)]
STILL: Candle = (90.0, 90.1, 89.9, 90.0)


def test_the_fall_under_shorts_above_is_found() -> None:
    """A map with four times as much above, and price that fell 10 %: moment, move and tier by hand."""
    market = hand_market([*FALL, *[STILL] * 3], above=((102.0, 103.0),), imbalance=4.0)
    worst = moves_against(market, 1, count=1)[0]
    assert worst.moment_us == market.panel.close_ts[LEAD]
    assert worst.side == 1
    assert worst.move == pytest.approx(np.log(0.9))
    assert worst.log_imbalance == pytest.approx(np.log(4.0))
    assert (worst.notional_above, worst.notional_below) == (4e6, 1e6)
    assert (worst.tier_near, worst.tier_far, worst.tier_fuel) == (102.0, 103.0, 5.0)
    assert worst.around_price.tolist() == market.panel.close[LEAD - 24 :].tolist()


def test_the_mirror_is_found_as_well() -> None:
    """Longs below and a rise: the same example, upside down."""
    market = hand_market([*FALL, STILL], above=((102.0, 103.0),), imbalance=4.0, mirrored=True)
    worst = moves_against(market, 1, count=1)[0]
    assert worst.side == -1
    assert worst.move == pytest.approx(-np.log(0.9))
    assert worst.tier_near == pytest.approx(1e4 / 102.0)


def test_examples_are_the_worst_and_apart(null_world: EvidenceMarket) -> None:
    """The first is the worst of all; no two start within a horizon; each next is no worse."""
    found = moves_against(null_world, 24, count=6)
    score = null_world.log_imbalance() * forward_returns(
        null_world.panel, bars_in(null_world.panel, 24)
    )
    scores = [x.log_imbalance * x.move for x in found]
    assert scores[0] == pytest.approx(np.nanmin(score))
    assert scores == sorted(scores)
    assert len(found) == 6
    moments = np.sort([x.moment_us for x in found])
    assert np.diff(moments).min() >= 24 * HOUR_US
    assert all(len(x.around_us) == len(x.around_price) <= 73 for x in found)
    assert counterexample_table(found).num_rows == 6


def test_each_month_can_have_its_own(null_world: EvidenceMarket) -> None:
    """Asked by month, each month has so many; twenty days of one month have one."""
    monthly = moves_against(null_world, 24, count=1, period="month")
    assert len(monthly) == 1
    assert monthly[0].moment_us == moves_against(null_world, 24, count=1)[0].moment_us


def test_rejected_tiers_are_those_with_most_fuel(null_world: EvidenceMarket) -> None:
    """Only tiers from which price came back and stayed, the fullest first, with the move from their edge."""
    encounters = encounters_of(null_world)
    outcomes = outcomes_of(null_world, encounters, 4)
    found = rejected_tiers(null_world, encounters, outcomes, count=3)
    turned = np.array([OUTCOME_NAMES[s] == "rejected" for s in outcomes.state.tolist()])
    fuel = np.where(turned & (outcomes.signed_move < 0.0), encounters.fuel, np.nan)
    best = int(np.nanargmax(fuel))
    assert found[0].tier_fuel == fuel[best]
    assert found[0].tier_near == encounters.near[best]
    end = null_world.panel.close[encounters.bar[best] + 48]
    assert found[0].move == pytest.approx(np.log(end / encounters.near[best]))
    assert [x.tier_fuel for x in found] == sorted((x.tier_fuel for x in found), reverse=True)
