"""Levels named by the user: approaches of hand-written candles, and what the map held there."""

from __future__ import annotations

import numpy as np
import pytest

from hand_made_markets import LEAD, Candle, hand_market
from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.controls import controls_of
from liqtiers.reports.evidence.differences import matched_differences
from liqtiers.reports.evidence.levels import LEVEL_WIDTH, level_approaches
from liqtiers.reports.evidence.market import EvidenceMarket, sliced
from liqtiers.reports.evidence.matching import match
from liqtiers.reports.evidence.outcomes import OUTCOME_NAMES, outcomes_of

UP: Candle = (101.0, 103.5, 100.5, 103.2)
DOWN: Candle = (103.2, 103.3, 99.5, 99.6)
CALM: Candle = (99.6, 100.0, 99.0, 99.5)


def test_each_approach_is_logged_with_its_direction() -> None:
    """Up through the level, down through it, and up again once price had left it."""
    found = level_approaches(hand_market([UP, DOWN, CALM, UP]), (103.0,)).approaches
    assert (found.bar - LEAD).tolist() == [0, 1, 3]
    assert found.side.tolist() == [1, -1, 1]
    assert found.near.tolist() == [103.0] * 3


def test_a_level_in_a_tier_is_as_deep_as_the_rest_of_it() -> None:
    """The far edge is the tier's; without a tier it is half a percent further on."""
    market = hand_market([UP, DOWN], above=((102.0, 104.0),))
    found = level_approaches(market, (103.0, 99.7))
    assert found.in_tier.tolist() == [True, False, False]
    assert found.approaches.near.tolist() == [103.0, 99.7, 103.0]
    assert found.approaches.far[0] == 104.0
    assert found.approaches.fuel[0] == 5.0
    assert found.approaches.far[1] == pytest.approx(99.7 * np.exp(-LEVEL_WIDTH))
    assert np.isnan(found.approaches.fuel[1])
    state = outcomes_of(market, found.approaches, 1).state
    assert OUTCOME_NAMES[int(state[0])] == "rejected"


def test_what_the_map_held_there_is_told() -> None:
    """Nearby notional is the tier's part within 1 %, the rest is what both sides held in the window."""
    market = hand_market([UP, DOWN], above=((102.0, 104.0),), imbalance=4.0)
    found = level_approaches(market, (103.0,))
    within = np.log(104.0 / 102.0)
    reach = min(np.log(104.0), np.log(103.0) + 0.01) - max(np.log(102.0), np.log(103.0) - 0.01)
    assert found.notional_nearby[0] == pytest.approx(5e3 * reach / within, rel=1e-5)
    assert found.notional_towards.tolist() == [4e6, 1e6]
    assert found.notional_behind.tolist() == [1e6, 4e6]
    table = found.to_table()
    assert table["notional_nearby"].to_pylist() == found.notional_nearby.tolist()
    assert table.schema.field("notional_nearby").metadata[b"unit"] == b"quote"


def test_levels_are_matched_as_tiers_are(null_world: EvidenceMarket) -> None:
    """Approaches go through the same matching, and the future changes none of them."""
    levels = tuple(np.quantile(null_world.panel.close, [0.3, 0.5, 0.7]))
    found = level_approaches(null_world, levels)
    assert len(found) > 10
    assert (np.diff(found.approaches.bar) >= 0).all()
    controls = controls_of(null_world, rng=np.random.default_rng(1))
    matching = match(null_world, found.approaches, controls, 4)
    differences = matched_differences(null_world, found.approaches, controls, matching)
    assert len(differences) > 5
    early = level_approaches(sliced(null_world, 0, 3_000), levels)
    kept = found.approaches.where(found.approaches.bar < 3_000)
    assert early.approaches.bar.tolist() == kept.bar.tolist()
    assert early.approaches.far.tolist() == kept.far.tolist()


@pytest.mark.parametrize("levels", [(), (0.0,), (float("nan"),), (90_000.0, -1.0)])
def test_a_level_must_be_a_price(levels: tuple[float, ...]) -> None:
    """What is no price is refused in one line."""
    with pytest.raises(InputError, match="prices above 0"):
        level_approaches(hand_market([CALM]), levels)
