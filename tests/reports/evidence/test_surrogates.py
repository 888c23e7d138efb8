"""Surrogate paths: what stays, what is turned round, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import random_panel
from liqtiers.datasets.liquidation_map import MapParameters, build_map, rebuild_features
from liqtiers.datasets.panel import Panel, column_names
from liqtiers.reports.evidence.map_recipe import MapRecipe
from liqtiers.reports.evidence.market import EvidenceMarket, day_of, volatility
from liqtiers.reports.evidence.surrogates import (
    mirrored_days,
    null_markets,
    null_note,
    random_signs,
)

RECIPE = MapRecipe(parameters=MapParameters())


@pytest.fixture(name="panel")
def rich_panel() -> Panel:
    """Ten days with a gap, mark prices, takers, prints and a funding rate."""
    rng = np.random.default_rng(5)
    panel = random_panel(2880, seed=3)
    kept = np.r_[0:1000, 1100:2880]
    rich = replace(
        panel,
        mark_high=panel.high * 1.0005,
        mark_low=panel.low * 0.9996,
        taker_buy_share=rng.uniform(0.2, 0.8, len(panel)),
        taker_buy_sell=rng.uniform(0.5, 2.0, len(panel)),
        long_liquidations=rng.exponential(1e5, len(panel)),
        short_liquidations=rng.exponential(2e5, len(panel)),
    )
    columns = {name: getattr(rich, name)[kept] for name in column_names()}
    return replace(rich, **columns)


def test_mirroring_all_days_turns_the_path_round(panel: Panel) -> None:
    """With every move mirrored each price is the first open squared over the old one."""
    turned = mirrored_days(panel, np.full(len(panel), -1))
    square = panel.open[0] ** 2
    assert np.allclose(turned.close, square / panel.close)
    assert np.allclose(turned.open, square / panel.open)
    assert np.allclose(turned.high, square / panel.low)
    assert np.allclose(turned.low, square / panel.high)
    assert np.allclose(turned.mark_high, square / panel.mark_low)
    assert np.allclose(turned.taker_buy_share, 1.0 - panel.taker_buy_share)
    assert np.allclose(turned.taker_buy_sell, 1.0 / panel.taker_buy_sell)
    assert np.array_equal(turned.long_liquidations, panel.short_liquidations)


def test_one_mirrored_day_moves_what_follows_in_parallel(panel: Panel) -> None:
    """Only the day's own returns change sign; those of other days, jumps between them too, stay."""
    day = day_of(panel) - day_of(panel)[0]
    sign = np.where(day == 4, -1, 1)
    turned = mirrored_days(panel, sign)
    returns = np.diff(np.log(panel.close))
    assert np.allclose(np.diff(np.log(turned.close)), sign[1:] * returns)
    before = day < 4
    assert np.allclose(turned.close[before], panel.close[before], rtol=1e-13)
    ratio = turned.mark_high[day > 4] / panel.mark_high[day > 4]
    assert np.allclose(ratio, ratio[0])


def test_surrogates_keep_volatility_volume_and_gaps(panel: Panel) -> None:
    """Ranges, squared returns, quantities, open interest, funding and moments are those of the market."""
    turned = mirrored_days(panel, random_signs(panel, np.random.default_rng(1)))
    for name in ("ts", "volume", "oi_base", "oi_observed", "funding_rate", "funding_settled"):
        assert np.array_equal(getattr(turned, name), getattr(panel, name), equal_nan=True), name
    assert turned.gaps == panel.gaps
    assert np.allclose(turned.high / turned.low, panel.high / panel.low, rtol=1e-12)
    assert np.allclose(volatility(turned), volatility(panel), rtol=1e-9, equal_nan=True)
    price = turned.quote_volume / turned.volume / (panel.quote_volume / panel.volume)
    assert np.allclose(price, turned.close / panel.close)
    inside = (turned.low <= np.minimum(turned.open, turned.close) * (1.0 + 1e-12)).all()
    assert inside
    assert (turned.high * (1.0 + 1e-12) >= np.maximum(turned.open, turned.close)).all()


def test_mirrored_twice_is_the_original(panel: Panel) -> None:
    """The same signs again give the panel back, but for rounding."""
    sign = random_signs(panel, np.random.default_rng(2))
    again = mirrored_days(mirrored_days(panel, sign), sign)
    for name in column_names():
        assert np.allclose(getattr(again, name), getattr(panel, name), equal_nan=True), name


def test_directions_are_drawn_by_day(panel: Panel) -> None:
    """All bars of a UTC day share a sign, both signs are drawn, and another seed draws others."""
    sign = random_signs(panel, np.random.default_rng(3))
    day = day_of(panel)
    assert all(len(np.unique(sign[day == each])) == 1 for each in np.unique(day))
    assert set(np.unique(sign)) == {-1, 1}
    assert not np.array_equal(sign, random_signs(panel, np.random.default_rng(4)))


def test_rebuilt_features_are_those_of_the_map(null_world: EvidenceMarket) -> None:
    """Without pictures and with the parameters given, each figure equals that of `build_map`."""
    parameters = MapParameters(mix=(0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05))
    whole = build_map(null_world.panel, null_world.instrument, parameters=parameters).features
    plain = rebuild_features(null_world.panel, null_world.instrument, parameters=parameters)
    for name in ("imbalance", "predicted_short_liquidations", "book_long", "notional_below"):
        assert np.array_equal(getattr(plain, name), getattr(whole, name), equal_nan=True), name
    assert np.array_equal(plain.above.lower, whole.above.lower, equal_nan=True)


def test_surrogate_maps_follow_their_own_path(null_world: EvidenceMarket) -> None:
    """Each null market has another path, and the map that this path would have had."""
    rng = np.random.default_rng(6)
    first, second = null_markets(null_world, RECIPE, rng=rng, count=2)
    assert not np.allclose(first.panel.close, second.panel.close)
    rebuilt = rebuild_features(first.panel, first.instrument, parameters=RECIPE.parameters)
    column = rebuilt.window_index(first.window)
    # One window is summed in another order than four.
    assert np.allclose(first.features.imbalance[:, 0], rebuilt.imbalance[:, column], rtol=1e-9)
    assert np.array_equal(
        first.features.predicted_long_liquidations, rebuilt.predicted_long_liquidations
    )
    assert np.array_equal(
        first.features.above.lower[:, 0], rebuilt.above.lower[:, 0], equal_nan=True
    )


def test_imported_maps_are_turned_against_the_prices(null_world: EvidenceMarket) -> None:
    """Without a recipe the prices stay and the map's own values come from other days, and a note says so."""
    (turned,) = null_markets(null_world, None, rng=np.random.default_rng(7), count=1)
    assert np.array_equal(turned.panel.close, null_world.panel.close)
    real, other = null_world.features.imbalance[:, 1], turned.features.imbalance[:, 1]
    assert np.array_equal(np.sort(real), np.sort(other))
    days = [k for k in range(1, 20) if np.array_equal(np.roll(real, 288 * k), other)]
    assert len(days) == 1
    assert 3 <= days[0] <= 17
    assert "cannot be rebuilt" in null_note(None)
    assert "rebuilt" in null_note(RECIPE)
