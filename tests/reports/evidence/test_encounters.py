"""Encounters: hand-written candles, what is frozen, and that the future changes nothing."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from hand_made_markets import LEAD, VOLATILITY, Candle, hand_market
from liqtiers.reports.evidence.encounters import Encounters, encounters_of
from liqtiers.reports.evidence.market import EvidenceMarket, sliced

TIER = ((102.0, 103.0),)
REACHED: Candle = (101.0, 102.2, 100.0, 101.9)
CALM: Candle = (101.0, 101.5, 100.5, 101.0)


def bars_of(candles: list[Candle], **tiers: object) -> list[int]:
    """Return which of the candles reached a tier anew."""
    return (encounters_of(hand_market(candles, **tiers)).bar - LEAD).tolist()  # type: ignore[arg-type]  # tiers


def same(part: Encounters, whole: Encounters) -> bool:
    """Whether all that is frozen is equal."""
    names = [f.name for f in fields(part) if f.name != "facts"]
    pairs = [(getattr(part, name), getattr(whole, name)) for name in names]
    pairs += list(zip(part.facts, whole.facts, strict=True))
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


@pytest.mark.parametrize(
    ("candles", "reached"),
    [
        ([CALM, (101.0, 102.0, 100.0, 101.0)], [1]),
        ([CALM, (101.0, 101.99, 100.0, 101.0)], []),
        ([REACHED, REACHED], [0]),
        # Half of 1 % short of 102 is 101.49.
        ([REACHED, (101.9, 101.9, 101.0, 101.5), REACHED], [0]),
        ([REACHED, (101.9, 101.9, 101.0, 101.49), REACHED], [0, 2]),
        ([(101.0, 102.2, 100.0, 101.0), REACHED], [0, 1]),
        ([(101.0, 102.5, 100.0, 102.1), (102.1, 102.6, 101.8, 102.5)], [0]),
    ],
    ids=["at the edge", "just short", "still there", "not left", "left", "left at once", "inside"],
)
def test_a_tier_is_reached_when_its_near_edge_is_touched_anew(
    candles: list[Candle], reached: list[int]
) -> None:
    """A touch counts, exactly at the edge too; a second one only once price has left."""
    assert bars_of(candles, above=TIER) == reached


def test_a_tier_further_on_is_a_new_one() -> None:
    """Without leaving, a tier half an hour's volatility further on counts, and a nearer one does not."""
    on = [REACHED, (101.9, 104.0, 101.8, 103.5), (103.5, 105.0, 103.2, 104.0)]
    assert bars_of(on, above=((102.0, 102.3), (104.5, 105.0))) == [0, 2]
    close = [(101.0, 102.05, 100.0, 102.05), (102.05, 102.5, 101.9, 102.4)]
    assert bars_of(close, above=((102.0, 102.1), (102.3, 102.4))) == [0]


def test_a_tier_that_price_jumped_to_over_missing_bars_is_none() -> None:
    """What stood before a gap in the data is not what stood just before it was reached."""
    candles = [CALM, REACHED, CALM, REACHED]
    assert bars_of(candles, above=TIER) == [1, 3]
    assert bars_of(candles, above=TIER, missing_after=0) == [3]


def test_what_is_frozen_is_what_stood_before() -> None:
    """Edges, fuel, distances and the imbalance are those at the close before, by hand."""
    market = hand_market([(100.0, 101.0, 99.0, 101.0), REACHED], above=TIER, below=((90.0, 91.0),))
    found = encounters_of(market)
    assert len(found) == 1
    assert found.bar[0] == LEAD + 1
    assert found.known_us[0] == market.panel.ts[LEAD + 1]
    assert (found.side[0], found.rank[0]) == (1, 0)
    assert (found.near[0], found.far[0], found.peak[0]) == (102.0, 103.0, 102.5)
    assert (found.notional[0], found.fuel[0]) == (5_000.0, 5.0)
    assert found.width[0] == pytest.approx(np.log(103.0 / 102.0))
    assert found.imbalance_towards[0] == pytest.approx(np.log(4.0))
    assert found.age_hours[0] == LEAD + 1
    # The last day's returns: 23 of 1 % and one of log(101 / 100).
    one_bar = np.sqrt((23 * VOLATILITY**2 + np.log(1.01) ** 2) / 24)
    assert found.volatility[0] == pytest.approx(one_bar)
    assert found.gap[0] == pytest.approx(np.log(102.0 / 101.0) / one_bar)
    assert found.last_return[0] == pytest.approx(np.log(1.01) / one_bar)
    assert found.distance_4h[0] == pytest.approx(np.log(102.0 / market.panel.close[LEAD - 4]))


def test_the_mirrored_market_gives_the_mirrored_encounters() -> None:
    """With prices turned upside down, shorts above become longs below, and all else is the same."""
    candles = [CALM, REACHED, (101.9, 101.9, 99.0, 99.5), (99.5, 99.6, 97.0, 97.5)]
    tiers = {"above": TIER, "below": ((97.2, 98.1),)}
    plain, turned = (
        encounters_of(hand_market(candles, mirrored=flip, **tiers)) for flip in (False, True)
    )
    assert plain.side.tolist() == [1, -1]
    assert plain.bar.tolist() == turned.bar.tolist()
    assert (plain.side == -turned.side).all()
    for name in ("gap", "width", "distance_4h", "imbalance_towards", "last_return", "volatility"):
        assert getattr(plain, name) == pytest.approx(getattr(turned, name), rel=1e-4), name


def test_encounters_do_not_know_the_future(impact_world: EvidenceMarket) -> None:
    """Cutting the future off changes no encounter before the cut."""
    whole = encounters_of(impact_world)
    assert len(whole) > 60
    assert set(whole.side.tolist()) == {1, -1}
    for cut in (1_200, 3_001, 5_000):
        part = encounters_of(sliced(impact_world, 0, cut))
        assert same(part, whole.where(whole.bar < cut))


def test_a_market_without_tiers_has_no_encounters() -> None:
    """Where there is no tier nothing is reached, and the table is empty."""
    found = encounters_of(hand_market([CALM] * 3))
    assert len(found) == 0
    assert found.to_table().num_rows == 0


def test_the_table_says_what_its_columns_are(impact_world: EvidenceMarket) -> None:
    """Each column has unit and meaning, and every figure is in it."""
    found = encounters_of(impact_world)
    table = found.to_table()
    assert table.num_rows == len(found)
    for column in table.schema:
        assert set(column.metadata) == {b"unit", b"description"}, column.name
    assert table["near"].to_numpy().tolist() == found.near.tolist()
    assert table["return_4h"].to_pylist()[-1] == found.facts.return_4h[-1]
