"""The price-only twin: it knows price, and how maps have looked so far, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from builders import random_panel
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import MapParameters, rebuild_features
from liqtiers.datasets.panel import Panel
from liqtiers.reports.evidence.market import EvidenceMarket, known_facts, sliced
from liqtiers.reports.evidence.past_only import hourly_rows, past_group, weekly_fits
from liqtiers.reports.evidence.price_twin import EXTREME_DAYS, matched_to, price_only_twin

WEEK = 7 * 288


def long_panel(days: int = 40) -> Panel:
    """Return a random walk at five minutes."""
    return random_panel(days * 288, seed=8)


def test_matched_values_have_the_targets_past_distribution() -> None:
    """A driver that falls as the target rises is turned over, and its quantiles become the target's."""
    panel = long_panel()
    rng = np.random.default_rng(1)
    target = rng.gamma(2.0, 3.0, len(panel))
    driver = np.exp(-target)  # the same order, turned round
    matched = matched_to(panel, driver, target)
    assert np.isnan(matched[:WEEK]).all()
    late = matched[4 * WEEK :]
    wanted = np.quantile(target[: 4 * WEEK], [0.1, 0.5, 0.9])
    assert np.allclose(np.quantile(late, [0.1, 0.5, 0.9]), wanted, rtol=0.1)
    assert spearmanr(late, target[4 * WEEK :]).statistic > 0.999


def test_matched_values_use_the_past_alone() -> None:
    """Within a week each value is the past quantile that its driver is, computed here by hand."""
    panel = long_panel()
    rng = np.random.default_rng(2)
    driver = rng.normal(size=len(panel))
    target = driver + rng.normal(size=len(panel))
    matched = matched_to(panel, driver, target)
    bar = 2 * WEEK + 777
    past = hourly_rows(panel)
    past = past[past < 2 * WEEK]
    order = np.sort(driver[past])
    place = np.interp(driver[bar], order, np.arange(len(order)))
    assert matched[bar] == pytest.approx(
        np.interp(place, np.arange(len(order)), np.sort(target[past]))
    )


def test_fits_follow_each_other_and_see_only_what_was() -> None:
    """The weeks cover all bars after the first, and no fit looks at a bar for which it holds."""
    panel = long_panel()
    fits = list(weekly_fits(panel))
    assert fits[0].start == WEEK
    assert fits[-1].stop == len(panel)
    assert all(one.stop == two.start for one, two in itertools.pairwise(fits))
    assert all(fit.past.max() < fit.start for fit in fits)
    assert (panel.close_ts[fits[0].past] % 3_600_000_000 == 0).all()


def test_past_groups_are_thirds_of_the_past() -> None:
    """A value belongs to the third of its past in which it lies; rising values are in the highest."""
    panel = long_panel()
    rising = past_group(panel, np.arange(len(panel), dtype=np.float64), 3)
    assert (rising[:WEEK] == -1).all()
    assert (rising[WEEK:] == 2).all()
    noise = past_group(panel, np.random.default_rng(3).normal(size=len(panel)), 3)
    assert np.allclose(np.bincount(noise[WEEK:]) / (len(panel) - WEEK), 1 / 3, atol=0.06)


def test_twin_tiers_begin_at_recent_extremes(null_world: EvidenceMarket) -> None:
    """Each near edge is the high or low of 1, 3, 7 or 30 days, beyond the close, nearest first."""
    twin, panel = price_only_twin(null_world), null_world.panel
    rng = np.random.default_rng(4)
    for bar in rng.integers(WEEK, len(panel), 60):
        for side, ladder in ((1, twin.above), (-1, twin.below)):
            edges = (ladder.lower if side > 0 else ladder.upper)[bar]
            edges = edges[np.isfinite(edges)].astype(np.float64)
            spans = [288 * d for d in EXTREME_DAYS if 288 * d <= bar + 1]
            price = panel.high if side > 0 else panel.low
            extremes = [side * (side * price[bar + 1 - span : bar + 1]).max() for span in spans]
            assert all(np.isclose(edge, extremes, rtol=1e-6).any() for edge in edges)
            assert (side * (edges / panel.close[bar] - 1.0) > -1e-6).all()
            assert (side * np.diff(edges) > 0.0).all()
            beyond = [e for e in extremes if side * e > side * panel.close[bar]]
            assert (len(edges) > 0) == (len(beyond) > 0)


def test_twin_tiers_are_as_wide_and_full_as_the_maps(null_world: EvidenceMarket) -> None:
    """Width and fuel are the medians of the map's nearest tiers, both sides, up to the week's start."""
    twin, features = price_only_twin(null_world), null_world.features
    bar = 2 * WEEK + 5
    past = hourly_rows(null_world.panel)
    past = past[past < 2 * WEEK]
    sides = (features.above, features.below)
    widths = np.concatenate(
        [np.log(s.upper[past, 0].astype(float) / s.lower[past, 0]) for s in sides]
    )
    fuels = np.concatenate([s.fuel[past, 0] for s in sides])
    tiers = twin.above if np.isfinite(twin.above.lower[bar, 0]) else twin.below
    found = np.log(float(tiers.upper[bar, 0]) / float(tiers.lower[bar, 0]))
    assert found == pytest.approx(np.nanmedian(widths), rel=1e-3)
    assert tiers.fuel[bar, 0] == pytest.approx(np.nanmedian(fuels), rel=1e-5)
    assert np.allclose(
        tiers.notional[bar, 0], tiers.fuel[bar, 0] * features.hourly_quote_volume[bar], rtol=1e-5
    )


def test_twin_imbalance_is_price_over_its_average(null_world: EvidenceMarket) -> None:
    """Within a week the twin's imbalance ranks as price over its three-day average does."""
    twin = price_only_twin(null_world)
    driver = known_facts(null_world.panel).over_average_72h
    rows = slice(2 * WEEK, len(null_world.panel))
    ranks = spearmanr(twin.imbalance[rows, 1], driver[rows]).statistic
    assert abs(ranks) > 0.99
    assert np.allclose(
        twin.notional_above[rows] / twin.notional_below[rows], twin.imbalance[rows], equal_nan=True
    )
    assert np.isnan(twin.predicted_long_liquidations).all()


def test_twin_does_not_know_this_weeks_map(null_world: EvidenceMarket) -> None:
    """Another map in the last week changes no twin in it; another map before does."""
    start = 2 * WEEK

    def with_map(rows: slice) -> np.ndarray:
        other = null_world.features.imbalance.copy()
        other[rows] *= 3.0
        return price_only_twin(
            replace(null_world, features=replace(null_world.features, imbalance=other))
        ).imbalance

    plain = price_only_twin(null_world).imbalance
    stop = start + WEEK
    assert np.array_equal(with_map(slice(start, None))[:stop], plain[:stop], equal_nan=True)
    assert not np.array_equal(with_map(slice(0, start))[start:], plain[start:], equal_nan=True)


@pytest.mark.parametrize("cut", [WEEK + 1, 4321])
def test_twin_does_not_know_the_future(null_world: EvidenceMarket, cut: int) -> None:
    """Cutting the future off changes no row before the cut."""
    whole = price_only_twin(null_world).slice(0, cut)
    part = price_only_twin(sliced(null_world, 0, cut))
    for name in ("imbalance", "notional_above", "notional_below"):
        assert np.array_equal(getattr(part, name), getattr(whole, name), equal_nan=True), name
    for name in ("lower", "upper", "fuel"):
        for side in ("above", "below"):
            early, late = (getattr(getattr(m, side), name) for m in (part, whole))
            assert np.array_equal(early, late, equal_nan=True), (side, name)


def test_twin_of_a_short_market_knows_nothing() -> None:
    """With less than a week of bars there is no past to scale by: all of it is unknown, nothing fails."""
    panel = random_panel(500, seed=9)
    instrument = instrument_for("simulated", "SIMUSDT")
    features = rebuild_features(panel, instrument, parameters=MapParameters())
    twin = price_only_twin(EvidenceMarket(panel=panel, features=features, instrument=instrument))
    assert np.isnan(twin.imbalance).all()
    assert np.isnan(twin.above.lower).all()
