"""Two maps on the same bars: alike, mirrored, known at other times, and against what was printed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import LiquidationMap, MapParameters, build_map
from liqtiers.datasets.naming import HOUR_US
from liqtiers.datasets.panel import Panel
from liqtiers.reports.map_comparison import compare_maps, comparison_rows, comparison_words
from made_up_maps import made_up_map, still_panel

INSTRUMENT = instrument_for("generic", "COIN")
DAYS = 30


@pytest.fixture(scope="module")
def market() -> tuple[Panel, LiquidationMap]:
    """A random market by the hour, with prints, and our map of it."""
    panel = random_panel(24 * DAYS, seed=3, timeframe="1h")
    rng = np.random.default_rng(8)
    printed = rng.exponential(1e6, (2, len(panel)))
    panel = replace(panel, short_liquidations=printed[0], long_liquidations=printed[1])
    return panel, build_map(panel, INSTRUMENT, snapshots=1)


def mirrored(built: LiquidationMap) -> LiquidationMap:
    """Return the map with above and below in each other's place."""
    f = built.features
    features = replace(
        f,
        notional_above=f.notional_below,
        notional_below=f.notional_above,
        imbalance=1.0 / f.imbalance,
    )
    return replace(built, features=features, model="mirror")


def test_a_map_agrees_with_itself_and_leans_against_its_mirror(
    market: tuple[Panel, LiquidationMap],
) -> None:
    """Ranks of 1 with itself; of -1 for the imbalance, and never the same lean, with its mirror."""
    panel, built = market
    same = compare_maps(panel, built, built)
    opposite = compare_maps(panel, built, mirrored(built))
    for alike, against in zip(same.windows, opposite.windows, strict=True):
        assert alike.bars == np.isfinite(built.features.imbalance[:, 0]).sum() > 0
        assert (alike.above, alike.below, alike.imbalance) == pytest.approx((1.0, 1.0, 1.0))
        assert alike.same_lean == 1.0
        assert against.imbalance == pytest.approx(-1.0)
        assert against.same_lean == 0.0
    assert same.by_bin == pytest.approx((1.0, 1.0))


def test_figures_equal_scipys_over_the_bars_that_both_know(
    market: tuple[Panel, LiquidationMap],
) -> None:
    """Only bars at which both are known count, and their ranks are scipy's."""
    panel, built = market
    other = build_map(
        panel, INSTRUMENT, parameters=MapParameters(churn=1.0, mix=(0.05,) * 9), snapshots=1
    )
    f = other.features
    late = np.arange(len(panel))[:, np.newaxis] >= 100
    hidden = replace(
        f,
        notional_above=np.where(late, f.notional_above, np.nan),
        notional_below=np.where(late, f.notional_below, np.nan),
        imbalance=np.where(late, f.imbalance, np.nan),
    )
    found = compare_maps(panel, built, replace(other, features=hidden)).windows[1]
    ours = built.features
    assert found.bars == len(panel) - 100
    for name in ("above", "below"):
        mine, theirs = (getattr(x, f"notional_{name}")[100:, 1] for x in (ours, f))
        assert getattr(found, name) == pytest.approx(spearmanr(mine, theirs).statistic)
    assert found.same_lean == np.mean((ours.imbalance[100:, 1] > 1) == (f.imbalance[100:, 1] > 1))


def test_each_map_is_held_against_the_prints(market: tuple[Panel, LiquidationMap]) -> None:
    """By the hour over a month: scipy's rank correlation of hourly sums, one pair a map."""
    panel, built = market
    doubled = replace(panel, short_liquidations=built.features.predicted_short_liquidations)
    found = compare_maps(doubled, built, mirrored(built))
    assert (found.period_us, found.periods, found.days) == (HOUR_US, 24 * DAYS, DAYS)
    assert found.printed[0][0] == pytest.approx(1.0)
    hourly = (built.features.predicted_long_liquidations, panel.long_liquidations)
    assert found.printed[0][1] == pytest.approx(spearmanr(*hourly).statistic)
    assert any("map from mirror ranks the liquidations" in s for s in comparison_words(found))


def test_sums_over_hours_are_ranked_by_as_many_hours(
    market: tuple[Panel, LiquidationMap],
) -> None:
    """Prints that come as sums over four hours, in one bar of them, are no prints by the hour."""
    panel, built = market
    every = np.arange(len(panel)) % 4 == 3
    sums = {
        name: np.where(every, np.convolve(getattr(panel, name), np.ones(4))[: len(panel)], 0.0)
        for name in ("short_liquidations", "long_liquidations")
    }
    sources = {**panel.sources, "liquidations": ("v:S:4h",)}
    found = compare_maps(replace(panel, **sums, sources=sources), built, built)
    assert found.period_us == 4 * HOUR_US
    assert "printed in 4 hours at" in " ".join(comparison_words(found))


def test_few_days_of_prints_call_neither_better(market: tuple[Panel, LiquidationMap]) -> None:
    """With 18 days of prints the page says that it is too little, not which map won."""
    panel, built = market
    spread = np.where(np.arange(len(panel)) >= 24 * 12, panel.long_liquidations, np.nan)
    hourly = compare_maps(replace(panel, long_liquidations=spread), built, built)
    assert (hourly.period_us, hourly.days) == (HOUR_US, DAYS - 12)
    assert "18 days of prints, at least 20 are needed" in comparison_words(hourly)[1]


def test_an_imported_map_stands_beside_ours() -> None:
    """A vendor's snapshot, known from the third bar on, against one that holds the mirror of it."""
    panel = still_panel()
    vendor = made_up_map(panel)
    twin = made_up_map(panel, known_at_bar=10, model="late twin")
    found = compare_maps(panel, vendor, twin)
    assert found.by_bin == pytest.approx((1.0, 1.0))
    # The twin is known at bars 10 to 34: a snapshot lasts a day.
    known = np.isfinite(vendor.features.imbalance[:, 0]) & np.isfinite(
        twin.features.imbalance[:, 0]
    )
    assert 0 < found.windows[0].bars == known.sum() < len(panel)
    assert "0 days of prints, at least 20 are needed" in comparison_words(found)[1]
    assert comparison_rows(found)[0]["same_lean"] == "100.0%"


def test_maps_of_other_bars_or_windows_are_refused(market: tuple[Panel, LiquidationMap]) -> None:
    """One line that says what would be right."""
    panel, built = market
    short = panel.slice(0, 100)
    with pytest.raises(InputError, match="build both over the same panel"):
        compare_maps(panel, built, build_map(short, INSTRUMENT))
    other = build_map(panel, INSTRUMENT, parameters=MapParameters(windows=(0.05,)), snapshots=1)
    with pytest.raises(InputError, match="other windows or bins"):
        compare_maps(panel, built, other)
