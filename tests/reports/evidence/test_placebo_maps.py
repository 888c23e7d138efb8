"""Placebo maps: each keeps what it says and loses what it must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqtiers.datasets.calibration import PRINTED, Calibration
from liqtiers.datasets.liquidation_map import MapParameters, build_map
from liqtiers.datasets.map_features import MapFeatures, TierLadder
from liqtiers.datasets.naming import DAY_US
from liqtiers.datasets.panel import column_names
from liqtiers.reports.evidence.map_recipe import MapRecipe
from liqtiers.reports.evidence.market import EvidenceMarket, sliced
from liqtiers.reports.evidence.placebo_maps import (
    leverage_shuffled,
    mirrored,
    shifted,
    turned,
    volume_only,
)

BARS_A_DAY = 288


def distances(tiers: TierLadder, market: EvidenceMarket) -> np.ndarray:
    """Near and far log distance of each tier from price, both positive, shape (2, n, K)."""
    price = np.log(market.panel.close)[:, np.newaxis]
    edges = np.abs(np.log(np.stack([tiers.lower, tiers.upper]).astype(np.float64)) - price)
    return np.sort(edges, axis=0)


def test_mirrored_maps_swap_the_sides_at_their_distances(null_world: EvidenceMarket) -> None:
    """Tiers above stand as far below, amounts change sides, and the imbalance is turned over."""
    features, other = null_world.features, mirrored(null_world)
    for mine, theirs in ((other.above, features.below), (other.below, features.above)):
        assert np.allclose(
            distances(mine, null_world), distances(theirs, null_world), atol=1e-6, equal_nan=True
        )
        assert np.array_equal(mine.fuel, theirs.fuel, equal_nan=True)
    known = np.isfinite(other.above.lower)
    price = np.broadcast_to(null_world.panel.close[:, np.newaxis], known.shape)
    assert (other.above.lower[known] > price[known] * (1 - 1e-6)).all()
    assert np.allclose(other.imbalance[500:] * features.imbalance[500:], 1.0)


def test_mirrored_twice_is_the_map(null_world: EvidenceMarket) -> None:
    """A map mirrored again is the map, to single precision."""
    again = mirrored(replace(null_world, features=mirrored(null_world)))
    assert np.allclose(again.above.peak, null_world.features.above.peak, rtol=1e-6, equal_nan=True)
    assert np.array_equal(again.notional_above, null_world.features.notional_above)


def test_shifted_maps_keep_the_distances_of_days_ago(null_world: EvidenceMarket) -> None:
    """Two days later each tier stands as far from price as it did, and before that nothing is known."""
    late, bars = shifted(null_world, 2), 2 * BARS_A_DAY
    assert np.isnan(late.imbalance[:bars]).all()
    assert np.isnan(late.below.peak[:bars]).all()
    assert np.array_equal(late.imbalance[bars:], null_world.features.imbalance[:-bars])
    now = distances(late.below, null_world)[:, bars:]
    then = distances(null_world.features.below, null_world)[:, :-bars]
    assert np.allclose(now, then, atol=1e-6, equal_nan=True)


def test_shifted_maps_look_at_the_clock_over_gaps(null_world: EvidenceMarket) -> None:
    """Where no bar stood the given days earlier nothing is known; elsewhere that bar counts."""
    kept = np.r_[0:1000, 1100:3000]
    panel = null_world.panel
    columns = {name: getattr(panel, name)[kept] for name in column_names()}
    thin = replace(null_world.features, imbalance=null_world.features.imbalance)
    market = EvidenceMarket(
        panel=replace(panel, **columns),
        features=_rows(thin, kept),
        instrument=null_world.instrument,
    )
    late = shifted(market, 1).imbalance[:, 0]
    ts = market.panel.ts
    known = np.isin(ts - DAY_US, ts)
    assert np.array_equal(np.isfinite(late), known)
    assert (~known).sum() == BARS_A_DAY + 100
    assert np.array_equal(late[known], null_world.features.imbalance[kept[known] - BARS_A_DAY, 0])


def _rows(features: MapFeatures, kept: np.ndarray) -> MapFeatures:
    below, above = (
        TierLadder(
            **{n: getattr(side, n)[kept] for n in ("lower", "upper", "peak", "notional", "fuel")}
        )
        for side in (features.below, features.above)
    )
    names = ("notional_above", "notional_below", "imbalance", "hourly_quote_volume")
    names += ("predicted_short_liquidations", "predicted_long_liquidations")
    names += ("book_short", "book_long")
    return replace(
        features, above=above, below=below, **{n: getattr(features, n)[kept] for n in names}
    )


def test_turned_maps_bring_the_end_to_the_beginning(null_world: EvidenceMarket) -> None:
    """A whole turn by the number of days is the map itself."""
    whole = turned(null_world, 20)
    assert np.array_equal(whole.imbalance, null_world.features.imbalance)
    part = turned(null_world, 19).imbalance[:, 1]
    assert np.array_equal(part, np.roll(null_world.features.imbalance[:, 1], 19 * BARS_A_DAY))


def test_shuffled_leverages_are_a_map_of_another_mix(null_world: EvidenceMarket) -> None:
    """Every class loses its share, prior and fitted alike, and the book still sums to open interest."""
    parameters = MapParameters(leverages=(5.0, 50.0), mix=(0.5, 0.1))
    fitted = Calibration(
        target=PRINTED,
        leverages=parameters.leverages,
        fitted_us=null_world.panel.ts[[0, 3000]],
        mix=np.array([[[0.5, 0.1], [0.5, 0.1]], [[0.4, 0.2], [0.3, 0.3]]]),
        churn=np.array([0.3, 0.1]),
        periods=np.array([0, 100]),
    )
    swapped = replace(fitted, mix=fitted.mix[:, :, ::-1].copy())
    recipe = MapRecipe(parameters=parameters, calibration=fitted)
    expected = MapRecipe(parameters=replace(parameters, mix=(0.1, 0.5)), calibration=swapped).build(
        null_world, null_world.panel
    )
    shuffled = leverage_shuffled(null_world, recipe, rng=np.random.default_rng(1))
    assert np.array_equal(shuffled.imbalance, expected.features.imbalance)
    assert np.allclose(shuffled.book_short[1:], null_world.panel.oi_base[1:])
    same = recipe.build(null_world, null_world.panel).features
    assert not np.allclose(shuffled.imbalance[2000:], same.imbalance[2000:])


def test_volume_only_maps_do_not_know_open_interest(null_world: EvidenceMarket) -> None:
    """Whatever the open interest was, the map is the same, and it is the one built without any."""
    recipe = MapRecipe(parameters=MapParameters())
    doubled = replace(
        null_world, panel=replace(null_world.panel, oi_base=2.0 * null_world.panel.oi_base)
    )
    plain = volume_only(null_world, recipe)
    assert np.array_equal(plain.imbalance, volume_only(doubled, recipe).imbalance, equal_nan=True)
    bars = len(null_world.panel)
    bare = replace(
        null_world.panel, oi_base=np.full(bars, np.nan), oi_observed=np.zeros(bars, dtype=bool)
    )
    expected = build_map(bare, null_world.instrument)
    assert expected.model == "volume"
    assert np.array_equal(plain.imbalance, expected.features.imbalance, equal_nan=True)


@pytest.mark.parametrize("cut", [700, 3001])
def test_placebo_maps_do_not_know_the_future(null_world: EvidenceMarket, cut: int) -> None:
    """Cutting the future off changes no placebo map before the cut."""
    recipe = MapRecipe(parameters=MapParameters())
    part = sliced(null_world, 0, cut)
    makers = (
        mirrored,
        lambda market: shifted(market, 1),
        lambda market: leverage_shuffled(market, recipe, rng=np.random.default_rng(1)),
        lambda market: volume_only(market, recipe),
    )
    for maker in makers:
        whole, early = maker(null_world).slice(0, cut), maker(part)
        assert np.array_equal(early.imbalance, whole.imbalance, equal_nan=True)
        assert np.array_equal(early.above.lower, whole.above.lower, equal_nan=True)
        assert np.array_equal(early.below.fuel, whole.below.fuel, equal_nan=True)
