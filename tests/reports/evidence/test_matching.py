"""Controls and matching: against brute force, without the future, near in time left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from liqtiers.reports.evidence.controls import MARGIN, controls_of, without_tiers_of
from liqtiers.reports.evidence.encounters import Encounters, encounters_of, ladder_of
from liqtiers.reports.evidence.market import EvidenceMarket, sliced
from liqtiers.reports.evidence.market_claims import with_map
from liqtiers.reports.evidence.matching import (
    APART_HOURS,
    CALIPER,
    NEIGHBOURS,
    WEIGHTS,
    Covariates,
    Matching,
    covariates_of,
    match,
)
from liqtiers.reports.evidence.outcomes import outcomes_of
from liqtiers.reports.evidence.price_twin import price_only_twin


@pytest.fixture(scope="module")
def pair(null_world: EvidenceMarket) -> tuple[Encounters, Encounters]:
    """Encounters and controls of a market."""
    return encounters_of(null_world), controls_of(null_world, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def matching(null_world: EvidenceMarket, pair: tuple[Encounters, Encounters]) -> Matching:
    """Their matching at one hour."""
    return match(null_world, *pair, 1)


def test_controls_lie_outside_every_dense_tier(
    null_world: EvidenceMarket, pair: tuple[Encounters, Encounters]
) -> None:
    """No control lies in a tier of its side, or near one, as it stood at the close before."""
    controls = pair[1]
    assert len(controls) > 500
    for side in (1, -1):
        own = controls.where(controls.side == side)
        ladder = ladder_of(null_world, side)
        lower, upper = ladder.lower[own.bar - 1], ladder.upper[own.bar - 1]
        level = own.near[:, np.newaxis]
        inside = (level >= lower * (1 - MARGIN)) & (level <= upper * (1 + MARGIN))
        assert not inside.any()


def test_price_alone_is_kept_clear_of_the_maps_tiers(null_world: EvidenceMarket) -> None:
    """Of the twin's tiers those that touch one of the map's go, the others stay as they are; nor do
    controls touch either; and cutting the future off changes nothing before.
    """
    twin = with_map(null_world, price_only_twin(null_world))
    clear = without_tiers_of(twin, null_world)
    gone = 0
    for side in (1, -1):
        ladder, old, other = (ladder_of(m, side) for m in (clear, twin, null_world))
        for bar in range(0, len(null_world.panel), 97):
            for rank in range(old.lower.shape[1]):
                low, high = old.lower[bar, rank], old.upper[bar, rank]
                touched = any(
                    high >= a * (1 - MARGIN) and low <= b * (1 + MARGIN)
                    for a, b in zip(other.lower[bar], other.upper[bar], strict=True)
                )
                left = ladder.lower[bar, rank]
                assert np.isnan(left) if touched else np.array_equal(left, low, equal_nan=True)
                gone += touched
    assert gone > 20
    controls = controls_of(clear, rng=np.random.default_rng(1), clear_of=null_world)
    apart = controls_of(null_world, rng=np.random.default_rng(1))
    assert 0 < len(controls) < len(apart)
    cut = len(null_world.panel) // 2
    part = without_tiers_of(sliced(twin, 0, cut), sliced(null_world, 0, cut))
    assert np.array_equal(
        part.features.above.lower, clear.features.above.lower[:cut], equal_nan=True
    )


def test_controls_were_reached_from_the_other_side(
    null_world: EvidenceMarket, pair: tuple[Encounters, Encounters]
) -> None:
    """A control lies beyond the close before and within the bar's range; no level twice at once."""
    controls, panel = pair[1], null_world.panel
    assert (controls.side * (controls.near - panel.close[controls.bar - 1]) > 0).all()
    up = controls.side == 1
    assert (panel.high[controls.bar[up]] >= controls.near[up]).all()
    assert (panel.low[controls.bar[~up]] <= controls.near[~up]).all()
    crossings = list(zip(controls.bar.tolist(), controls.near.tolist(), strict=True))
    assert len(set(crossings)) == len(crossings)


def test_controls_do_not_know_the_future(null_world: EvidenceMarket) -> None:
    """Cutting the future off changes no control before the cut."""
    whole = controls_of(null_world, rng=np.random.default_rng(3))
    for cut in (1_111, 4_000):
        part = controls_of(sliced(null_world, 0, cut), rng=np.random.default_rng(3))
        early = whole.where(whole.bar < cut)
        assert part.bar.tolist() == early.bar.tolist()
        assert part.near.tolist() == early.near.tolist()
        assert np.array_equal(np.stack(part.facts), np.stack(early.facts), equal_nan=True)


def test_neighbours_are_those_of_brute_force(
    null_world: EvidenceMarket, pair: tuple[Encounters, Encounters], matching: Matching
) -> None:
    """Controls are the nearest of the same side that are alike enough and far enough in time."""
    own, other = (np.column_stack(covariates_of(null_world, part)) for part in pair)
    known = np.isfinite(other).all(axis=1)
    known &= np.isfinite(outcomes_of(null_world, pair[1], 1).signed_move)
    weight = np.array(WEIGHTS)
    scale = other[known].std(axis=0) / weight
    away = 12 * (1 + APART_HOURS)
    checked = 0
    for row in matching.matched[::7]:
        distance = cdist(own[[row]] / scale, other / scale)[0]
        looked_at = known & (pair[1].side == pair[0].side[row])
        nearest = np.flatnonzero(looked_at)[np.argsort(distance[looked_at])][: 8 * NEIGHBOURS]
        allowed = np.abs(pair[1].bar[nearest] - pair[0].bar[row]) > away
        allowed &= distance[nearest] <= CALIPER * np.sqrt(np.square(weight).sum())
        expected = nearest[allowed][:NEIGHBOURS]
        assert matching.control[row, : len(expected)].tolist() == expected.tolist()
        assert (matching.control[row, len(expected) :] == -1).all()
        checked += len(expected)
    assert checked > 50


def test_every_encounter_is_accounted_for(
    pair: tuple[Encounters, Encounters], matching: Matching
) -> None:
    """Each encounter is matched, unlike all controls, or unknown; no more than a few percent unlike."""
    total = len(matching.matched) + matching.unmatched + matching.unknown
    assert total == len(pair[0])
    assert matching.unmatched < 0.1 * len(pair[0])


def test_matching_brings_encounters_and_controls_together(
    null_world: EvidenceMarket, pair: tuple[Encounters, Encounters], matching: Matching
) -> None:
    """The largest differences of the covariates shrink; the figures are those of a plain computation."""
    before, after = np.abs(matching.before), np.abs(matching.after)
    assert after.max() < 0.6 * before.max()
    own, other = (covariates_of(null_world, part).return_24h for part in pair)
    known = [
        np.isfinite(np.column_stack(covariates_of(null_world, part))).all(axis=1)
        & np.isfinite(outcomes_of(null_world, part, 1).signed_move)
        for part in pair
    ]
    plain = (own[known[0]].mean() - other[known[1]].mean()) / other[known[1]].std()
    assert matching.before.return_24h == pytest.approx(plain)
    pairs = [
        own[row] - np.mean([other[c] for c in matching.control[row] if c >= 0])
        for row in matching.matched
    ]
    assert matching.after.return_24h == pytest.approx(np.mean(pairs) / other[known[1]].std())
    assert matching.to_table().num_rows == len(Covariates._fields)


def test_a_tighter_caliper_leaves_more_unmatched(
    null_world: EvidenceMarket, pair: tuple[Encounters, Encounters]
) -> None:
    """Nothing alike within the caliper means no control, and it is counted."""
    none = match(null_world, *pair, 1, caliper=1e-6)
    assert len(none.matched) == 0
    assert none.unmatched + none.unknown == len(pair[0])
    assert np.isnan(none.after).all()
    tight = match(null_world, *pair, 1, caliper=0.5)
    assert 0 < len(tight.matched) < len(match(null_world, *pair, 1).matched)


def test_time_apart_and_neighbours_are_obeyed(
    null_world: EvidenceMarket, pair: tuple[Encounters, Encounters]
) -> None:
    """Controls keep the distance in time that is asked for, and are not more than asked for."""
    found = match(null_world, *pair, 4, neighbours=3, apart_hours=100)
    assert found.control.shape == (len(pair[0]), 3)
    row, place = np.nonzero(found.control >= 0)
    apart = np.abs(pair[1].bar[found.control[row, place]] - pair[0].bar[row])
    assert len(row) > 0
    assert apart.min() > 12 * 104


def test_without_controls_nothing_is_matched(
    null_world: EvidenceMarket, pair: tuple[Encounters, Encounters]
) -> None:
    """No controls, or no encounters, is an answer and not an error."""
    nobody = np.zeros(0, np.int64)
    found = match(null_world, pair[0], pair[1].where(nobody), 1)
    assert len(found.matched) == 0
    assert len(match(null_world, pair[0].where(nobody), pair[1], 1).matched) == 0


def test_covariates_are_signed_towards_the_level(
    null_world: EvidenceMarket, pair: tuple[Encounters, Encounters]
) -> None:
    """A return towards the level is above 0 on either side, in the volatility of its hours."""
    encounters = pair[0]
    turned = replace(encounters, side=-encounters.side)
    plain, mirrored = (covariates_of(null_world, part) for part in (encounters, turned))
    assert np.array_equal(plain.return_4h, -mirrored.return_4h, equal_nan=True)
    close = np.log(null_world.panel.close)
    row = int(np.flatnonzero(encounters.bar > 300)[0])
    at = encounters.bar[row] - 1
    expected = (close[at] - close[at - 48]) / (encounters.volatility[row] * np.sqrt(48))
    assert plain.return_4h[row] == pytest.approx(encounters.side[row] * expected)
