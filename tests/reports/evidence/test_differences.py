"""Matched differences: by hand, with a planted effect, and nothing where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqtiers.reports.evidence.controls import controls_of
from liqtiers.reports.evidence.differences import (
    OUTCOMES,
    MatchedDifferences,
    matched_differences,
    matched_effect,
)
from liqtiers.reports.evidence.encounters import encounters_of
from liqtiers.reports.evidence.market import EvidenceMarket
from liqtiers.reports.evidence.matching import match
from liqtiers.reports.evidence.outcomes import outcomes_of


def made_up(own: list[float], others: list[list[float]], days: list[int]) -> MatchedDifferences:
    """Return differences of one outcome, each control in the day after its encounter."""
    pair = np.repeat(np.arange(len(own)), [len(part) for part in others])
    values = np.concatenate([np.array(part) for part in others])
    day = np.array(days)
    return MatchedDifferences(
        horizon_hours=1.0,
        encounter=np.arange(len(own)),
        day=day,
        pair=pair,
        control=np.arange(len(pair)),
        control_day=day[pair] + 1,
        own=dict.fromkeys(OUTCOMES, np.array(own)),
        others=dict.fromkeys(OUTCOMES, values),
        explained=dict.fromkeys(OUTCOMES, np.zeros(len(own))),
        others_explained=dict.fromkeys(OUTCOMES, np.zeros(len(pair))),
    )


def differences_at(market: EvidenceMarket, hours: float = 1) -> MatchedDifferences:
    """Return the differences of a market's tiers."""
    encounters = encounters_of(market)
    controls = controls_of(market, rng=np.random.default_rng(1))
    matching = match(market, encounters, controls, hours)
    return matched_differences(market, encounters, controls, matching)


def test_a_difference_is_the_encounter_minus_the_mean_of_its_controls() -> None:
    """One with controls 1 and 3 and one with control 0, by hand."""
    found = made_up([5.0, 2.0], [[1.0, 3.0], [0.0]], [10, 20])
    assert found.controls_mean("signed_move").tolist() == [2.0, 0.0]
    assert found.differences("signed_move").tolist() == [3.0, 2.0]


def test_scores_have_the_mean_of_the_differences_and_each_its_day() -> None:
    """Controls count in their own block; a block with controls alone has a row of its own."""
    found = made_up([5.0, 2.0], [[1.0, 3.0], [0.0]], [10, 11])
    values, block = found.scores("signed_move")
    assert values.mean() == pytest.approx(2.5)
    # Ordinary is (2 + 0) / 2 = 1. Days 10, 11, 12: own 4; own 1 less controls 0 / 2 and 2 / 2; less -1.
    assert (block - block.min()).tolist() == [0, 1, 2]
    assert (values * 2 / 3).tolist() == pytest.approx([4.0, 1.0 - 1.0, 1.0])


def test_scores_of_real_matches_have_the_mean_of_the_differences(
    impact_world: EvidenceMarket,
) -> None:
    """However controls are shared and days fall, the effect is the mean difference."""
    found = differences_at(impact_world)
    for outcome in OUTCOMES:
        values, block = found.scores(outcome)
        assert values.mean() == pytest.approx(found.differences(outcome).mean(), abs=1e-12)
        assert len(values) == len(block) >= len(found)
        effect = matched_effect(found, outcome, rng=np.random.default_rng(1), draws=99)
        assert effect.value == pytest.approx(found.differences(outcome).mean(), abs=1e-12)
        assert effect.n == len(found)
        assert effect.clusters == len(np.unique(found.day))


def test_outcomes_are_those_of_the_encounters(impact_world: EvidenceMarket) -> None:
    """Moves and states are what `outcomes_of` says; without adjustment nothing is explained."""
    encounters = encounters_of(impact_world)
    controls = controls_of(impact_world, rng=np.random.default_rng(1))
    matching = match(impact_world, encounters, controls, 4)
    found = matched_differences(impact_world, encounters, controls, matching, adjustment="none")
    whole = outcomes_of(impact_world, encounters, 4)
    others = outcomes_of(impact_world, controls, 4)
    assert found.own["signed_move"].tolist() == whole.signed_move[found.encounter].tolist()
    assert found.own["activated"].tolist() == (whole.state[found.encounter] == 1).tolist()
    assert found.others["absolute_move"].tolist() == others.absolute_move[found.control].tolist()
    row = 3
    mean = others.signed_move[found.control[found.pair == row]].mean()
    assert found.differences("signed_move")[row] == pytest.approx(
        whole.signed_move[found.encounter[row]] - mean
    )
    adjusted = matched_differences(impact_world, encounters, controls, matching)
    assert not np.allclose(adjusted.differences("signed_move"), found.differences("signed_move"))
    assert adjusted.differences("activated").tolist() == found.differences("activated").tolist()


def test_controls_have_the_width_of_their_tier(impact_world: EvidenceMarket) -> None:
    """Endlessly wide tiers are crossed by nobody, their controls neither; thin ones by both."""
    encounters = encounters_of(impact_world)
    controls = controls_of(impact_world, rng=np.random.default_rng(1))
    matching = match(impact_world, encounters, controls, 4)
    for width, crossed in ((9.0, 0.0), (0.0, 1.0)):
        far = encounters.near * np.exp(encounters.side * width)
        other = replace(encounters, far=far, width=np.full(len(encounters), width))
        found = matched_differences(impact_world, other, controls, matching)
        assert (found.own["activated"] == crossed).all()
        assert (found.others["activated"] == crossed).all()


def test_a_planted_effect_is_found_and_none_is_not(null_world: EvidenceMarket) -> None:
    """A unit added to what followed the tiers is found and measured; without it the test is quiet."""
    plain = differences_at(null_world)
    own = {**plain.own, "signed_move": plain.own["signed_move"] + 1.0}
    none, planted = (
        matched_effect(part, "signed_move", rng=np.random.default_rng(1), draws=999)
        for part in (plain, replace(plain, own=own))
    )
    assert none.p > 0.05
    assert planted.value == pytest.approx(none.value + 1.0)
    assert planted.p < 0.05
    assert planted.low < planted.value < planted.high


def test_regression_takes_out_what_a_covariate_explains(null_world: EvidenceMarket) -> None:
    """Moves that are a multiple of the last return leave no difference once that is taken out."""
    encounters = encounters_of(null_world)
    controls = controls_of(null_world, rng=np.random.default_rng(1))
    matching = match(null_world, encounters, controls, 1)
    found = matched_differences(null_world, encounters, controls, matching)
    # What is explained is linear in the covariates: alike covariates, alike explanations.
    gap = found.explained["signed_move"] - np.bincount(
        found.pair, found.others_explained["signed_move"], len(found)
    ) / np.bincount(found.pair)
    plain = matched_differences(null_world, encounters, controls, matching, adjustment="none")
    rest = plain.differences("signed_move") - found.differences("signed_move")
    assert rest == pytest.approx(gap)


def test_the_table_holds_both_and_the_difference(impact_world: EvidenceMarket) -> None:
    """A row an encounter, with the unit of each outcome."""
    table = differences_at(impact_world).to_table()
    assert table.schema.field("signed_move").metadata[b"unit"] == b"volatility units"
    assert table.schema.field("activated_controls").metadata[b"unit"] == b"share"
    assert 0.0 <= min(table["activated_controls"].to_pylist()) <= 1.0
