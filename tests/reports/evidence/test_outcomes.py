"""Outcomes: hand-written candles whose outcome is known, mirror images, and no look beyond the horizon."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from hand_made_markets import LEAD, VOLATILITY, Candle, hand_market
from liqtiers.reports.evidence.definitions import DEFINITIONS
from liqtiers.reports.evidence.encounters import encounters_of
from liqtiers.reports.evidence.market import EvidenceMarket, sliced
from liqtiers.reports.evidence.outcomes import OUTCOME_NAMES, Outcomes, outcomes_of

TIER = ((102.0, 103.0),)
# Four hours' unit is 2 %: a unit short of 102 is 99.98. The low before the touch does not count.
TOUCH: Candle = (101.0, 102.5, 99.0, 102.2)
INSIDE: Candle = (102.2, 102.9, 101.0, 102.0)
BACK: Candle = (102.0, 102.1, 99.9, 100.5)
THROUGH: Candle = (102.0, 103.2, 101.0, 103.1)
BOTH: Candle = (102.0, 103.5, 99.5, 101.0)
FIRST_BAR_THROUGH: Candle = (101.0, 103.5, 100.5, 99.5)
FELL_AT_ONCE: Candle = (101.0, 102.5, 99.0, 99.9)
JUMP: Candle = (102.6, 102.8, 102.5, 102.7)


def outcome(candles: list[Candle], *, hours: float = 4, mirrored: bool = False) -> Outcomes:
    """Return what came of the tier from 102 to 103."""
    market = hand_market(candles, above=TIER, mirrored=mirrored)
    return outcomes_of(market, encounters_of(market), hours)


TABLES = [
    ([TOUCH, INSIDE, THROUGH, INSIDE, INSIDE], "activated"),
    ([TOUCH, INSIDE, BACK, THROUGH, INSIDE], "rejected"),
    ([TOUCH, INSIDE, THROUGH, BACK, INSIDE], "activated"),
    ([TOUCH, INSIDE, INSIDE, INSIDE, INSIDE], "absorbed"),
    ([TOUCH, BOTH, INSIDE, INSIDE, INSIDE], "rejected"),
    ([FIRST_BAR_THROUGH, INSIDE, INSIDE, INSIDE, INSIDE], "activated"),
    ([FELL_AT_ONCE, INSIDE, INSIDE, INSIDE, INSIDE], "rejected"),
    ([TOUCH, INSIDE, INSIDE, INSIDE, (102.0, 103.0, 101.0, 102.0)], "activated"),
    ([TOUCH, INSIDE, INSIDE, INSIDE], "unknown"),
]


@pytest.mark.parametrize("mirrored", [False, True], ids=["above", "below"])
@pytest.mark.parametrize(("candles", "expected"), TABLES)
def test_candles_decide_the_outcome(candles: list[Candle], expected: str, mirrored: bool) -> None:
    """The far edge or a unit's fall, whichever comes first; both in one bar is a rejection."""
    if mirrored and candles[-1][1] == 103.0:
        candles = [*candles[:-1], THROUGH]  # at an edge, a reciprocal is not exact
    assert OUTCOME_NAMES[int(outcome(candles, mirrored=mirrored).state[0])] == expected


def test_moves_are_in_units_of_the_horizon() -> None:
    """Moves, times and sums of an activated tier, by hand."""
    found = outcome([TOUCH, INSIDE, THROUGH, INSIDE, (102.0, 104.0, 101.0, 103.5)])
    unit = 2 * VOLATILITY
    assert found.signed_move[0] == pytest.approx(np.log(103.5 / 102) / unit)
    assert found.absolute_move[0] == found.signed_move[0]
    assert found.progress[0] == pytest.approx(np.log(104 / 102) / unit)
    assert found.setback[0] == pytest.approx(np.log(102 / 101) / unit)
    assert found.hours_to_cross[0] == 2.0
    assert found.speed[0] == pytest.approx(np.log(103 / 102) / (VOLATILITY * np.sqrt(3)))
    assert found.excess_move[0] == pytest.approx(np.log(104 / 103) / unit)
    assert found.predicted[0] == 5 * 2.0
    assert found.printed[0] == sum(range(LEAD, LEAD + 5))
    assert found.open_interest_lost[0] == pytest.approx(5 / (1_000 - (LEAD - 1)))


def test_a_fall_is_a_negative_move() -> None:
    """Price that turned back has a negative signed move, a positive size, and crossed nothing."""
    found = outcome([TOUCH, INSIDE, BACK, INSIDE, (100.0, 101.0, 99.0, 100.0)])
    assert found.signed_move[0] == pytest.approx(np.log(100 / 102) / 0.02)
    assert found.absolute_move[0] == -found.signed_move[0]
    assert np.isnan([found.hours_to_cross[0], found.speed[0], found.excess_move[0]]).all()


def test_a_bar_that_opens_beyond_the_edge_starts_at_its_open() -> None:
    """Nobody could have bought at the edge that price jumped over."""
    found = outcome([JUMP, (102.7, 102.9, 102.5, 102.8)], hours=1)
    assert found.signed_move[0] == pytest.approx(np.log(102.8 / 102.6) / VOLATILITY)


def test_a_horizon_over_missing_bars_has_no_outcome() -> None:
    """Where bars are missing within the horizon nobody knows what happened."""
    market = hand_market([TOUCH, INSIDE, INSIDE, INSIDE, INSIDE], above=TIER, missing_after=2)
    found = encounters_of(market)
    assert OUTCOME_NAMES[int(outcomes_of(market, found, 4).state[0])] == "unknown"
    assert np.isnan(outcomes_of(market, found, 4).printed[0])
    assert OUTCOME_NAMES[int(outcomes_of(market, found, 1).state[0])] == "absorbed"


@pytest.mark.parametrize("hours", [1, 24])
def test_outcomes_end_with_their_horizon(impact_world: EvidenceMarket, hours: float) -> None:
    """What comes after the horizon changes nothing; what has not ended by the cut is unknown."""
    encounters = encounters_of(impact_world)
    whole = outcomes_of(impact_world, encounters, hours)
    cut = int(encounters.bar[len(encounters) // 2]) + 5
    early = encounters.bar < cut
    part = outcomes_of(sliced(impact_world, 0, cut), encounters.where(early), hours)
    ended = encounters.bar[early] + 12 * hours < cut
    assert not ended.all()
    for f in fields(Outcomes)[1:]:
        expected = getattr(whole, f.name)[early]
        assert np.array_equal(getattr(part, f.name)[ended], expected[ended], equal_nan=True), f.name
    assert {OUTCOME_NAMES[s] for s in part.state[~ended].tolist()} == {"unknown"}
    assert np.isnan(part.signed_move[~ended]).all()


def test_outcomes_have_a_table_and_a_reader_has_the_words() -> None:
    """The table carries units; each outcome that a table can show is explained in plain words."""
    table = outcome(TABLES[0][0]).to_table()
    assert table["outcome"].to_pylist() == ["activated"]
    assert table.schema.field("speed").metadata[b"unit"] == b"ratio"
    terms = {term.lower() for term, _ in DEFINITIONS}
    assert {"activated", "absorbed", "rejected", "volatility unit", "signed move"} <= terms
