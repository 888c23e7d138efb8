"""The map's skill: planted skill is found, none is claimed on noise, and nothing looks ahead."""

from dataclasses import replace

import numpy as np
import pytest

from builders import random_panel
from liqtiers.datasets.calibration import LOST
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.map_features import MapFeatures
from liqtiers.datasets.naming import DAY_US, HOUR_US
from liqtiers.datasets.panel import Panel, column_names
from liqtiers.reports.map_skill import (
    HARD,
    MINIMUM_DAYS,
    MOVE,
    RANGE,
    SIDE_VOLUME,
    VOLUME,
    YESTERDAY,
    map_skill,
    period_table,
)

INSTRUMENT = instrument_for("generic", "COIN")


def market(days: int = 40, *, seed: int = 1) -> tuple[Panel, MapFeatures]:
    """A random market by the quarter hour with its map, no prints."""
    panel = random_panel(96 * days, seed=seed, timeframe="15m")
    return panel, build_map(panel, INSTRUMENT, snapshots=1).features


def printed(panel: Panel, short: np.ndarray, long: np.ndarray) -> Panel:
    return replace(panel, short_liquidations=short, long_liquidations=long)


def test_planted_skill_is_found_from_thin_prints() -> None:
    """Prints that are a random part of what the map predicts: skill beyond every naive predictor."""
    panel, features = market()
    rng = np.random.default_rng(2)
    seen = rng.uniform(0.05, 0.2, (2, len(panel)))
    panel = printed(
        panel,
        features.predicted_short_liquidations * seen[0],
        features.predicted_long_liquidations * seen[1],
    )
    skill = map_skill(panel, features, period_us=HOUR_US, rng=rng, draws=60)
    for side in (skill.short, skill.long):
        assert side.rank.value > 0.9
        assert side.partial_hard.low > 0.3
        assert side.ratio == pytest.approx(8.0, rel=0.25)
        assert side.sentence.startswith(f"The map locates {side.side} liquidations")
    assert skill.days == 39
    assert skill.dropped == 24


def test_no_skill_is_claimed_where_prints_follow_the_range() -> None:
    """Prints made of range x open interest alone: the partial correlation's interval holds 0."""
    claimed = 0
    for seed in range(6):
        panel, features = market(25, seed=seed)
        rng = np.random.default_rng(seed)
        table = period_table(panel, features, HOUR_US)
        period = np.repeat(np.arange(len(panel) // 4), 4)
        sides = [
            np.nan_to_num(table[f"{side}: {RANGE}"])[period]
            * rng.lognormal(0, 0.5, len(period) // 4)[period]
            for side in ("short", "long")
        ]
        skill = map_skill(
            printed(panel, sides[0], sides[1]), features, period_us=HOUR_US, rng=rng, draws=60
        )
        claimed += sum(side.partial.low > 0.0 for side in (skill.short, skill.long))
        for side in (skill.short, skill.long):
            assert ("No skill" in side.sentence) == (side.partial.low <= 0.0)
    assert claimed <= 2


def test_predictors_by_hand() -> None:
    """One period's predictors, worked out from its bars."""
    panel, features = market(4)
    panel = printed(panel, np.arange(len(panel)) * 1.0, np.ones(len(panel)))
    table = period_table(panel, features, HOUR_US)
    k = 50
    bars = slice(4 * k, 4 * k + 4)
    before = panel.close[4 * k - 1]
    oi = panel.oi_base[4 * k - 1] * before
    high, low = panel.high[bars].max(), panel.low[bars].min()
    steps = np.diff(np.log(panel.close[4 * k - 1 : 4 * k + 4]))
    volume = panel.quote_volume[bars].sum()
    assert table[f"short: {RANGE}"][k] == pytest.approx(np.log(high / low) * oi)
    assert table[f"short: {MOVE}"][k] == pytest.approx(max(np.log(high / before), 0.0) * oi)
    assert table[f"long: {MOVE}"][k] == pytest.approx(max(np.log(before / low), 0.0) * oi)
    assert table[f"long: {VOLUME}"][k] == pytest.approx(volume * np.abs(steps).sum())
    assert table[f"long: {SIDE_VOLUME}"][k] == pytest.approx(volume * -steps[steps < 0].sum())
    assert table["happened_short"][k] == np.arange(len(panel))[bars].sum()
    assert table[f"long: {YESTERDAY}"][k] == 96.0
    assert np.isnan(table[f"long: {YESTERDAY}"][:24]).all()
    assert table["predicted_short"][k] == pytest.approx(
        features.predicted_short_liquidations[bars].sum()
    )
    assert table["start_us"][k] == panel.ts[4 * k]


def test_a_period_of_one_bar_has_its_range_for_a_path() -> None:
    """Where no finer bars are there, the close-to-close step of one bar would be no path."""
    panel, features = market(3)
    table = period_table(panel, features, panel.bar_us)
    k, volume = 7, panel.quote_volume[7]
    furthest = max(np.log(panel.high[k] / panel.close[k - 1]), 0.0)
    assert table[f"short: {VOLUME}"][k] == pytest.approx(
        volume * np.log(panel.high[k] / panel.low[k])
    )
    assert table[f"short: {SIDE_VOLUME}"][k] == pytest.approx(volume * furthest)


def test_a_period_with_missing_bars_is_left_out() -> None:
    """What happened in an hour that was only partly seen is unknown, and so is the day after it."""
    panel, features = market(6)
    panel = printed(panel, panel.volume, panel.volume)
    kept = np.flatnonzero(np.arange(len(panel)) != 4 * 60 + 1)
    columns = {name: getattr(panel, name)[kept] for name in column_names()}
    holed = replace(panel, **columns)
    table = period_table(holed, build_map(holed, INSTRUMENT, snapshots=1).features, HOUR_US)
    unknown = np.flatnonzero(np.isnan(table["happened_short"]))
    assert unknown.tolist() == [60]
    assert np.isnan(table[f"short: {YESTERDAY}"][61:85]).all()
    assert np.isfinite(table[f"short: {YESTERDAY}"][[59, 60, 85]]).all()
    with pytest.raises(InputError, match="whole number"):
        period_table(panel, features, HOUR_US + 1)


@pytest.mark.parametrize("cut", [97, 400, 611])
def test_the_future_changes_no_row(cut: int) -> None:
    """Truncation: rows of periods that had ended before the cut are the same to the last bit."""
    panel, features = market(8)
    panel = printed(panel, features.predicted_short_liquidations, panel.volume)
    full = period_table(panel, features, HOUR_US)
    cut_table = period_table(panel.slice(0, cut), features.slice(0, cut), HOUR_US)
    whole = cut // 4
    for name, column in full.items():
        assert np.array_equal(column[:whole], cut_table[name][:whole], equal_nan=True), name


def test_lost_open_interest_can_be_the_target() -> None:
    """Without prints both sides together are compared with the open interest that disappeared."""
    panel, features = market(30)
    skill = map_skill(
        panel, features, period_us=HOUR_US, rng=np.random.default_rng(1), against=LOST, draws=30
    )
    assert skill.target == LOST
    assert skill.short.rank.value == skill.long.rank.value
    with pytest.raises(InputError, match="no printed liquidations"):
        map_skill(panel, features, period_us=HOUR_US, rng=np.random.default_rng(1))


def test_lost_open_interest_is_the_net_fall_over_a_period() -> None:
    """Down 30, up 20 and down 5 within an hour is a fall of 15; where nobody looked it is unknown."""
    panel, features = market(1)
    level = np.full(len(panel), 1_000.0)
    level[4:8] = (970.0, 990.0, 990.0, 985.0)
    level[8:12] = 1_100.0
    seen = np.arange(len(panel)) < 16
    panel = replace(panel, oi_base=level, oi_observed=seen)
    lost = period_table(panel, features, HOUR_US, against=LOST)["happened_short"]
    assert np.isnan(lost[0])
    assert lost[1] == pytest.approx(15.0 * panel.close[7])
    assert lost[2] == 0.0
    assert lost[3] == pytest.approx(100.0 * panel.close[15])
    assert np.isnan(lost[4:]).all()


def test_too_little_data_is_a_sentence_of_its_own() -> None:
    """Few days are not called "no skill"."""
    panel, features = market(MINIMUM_DAYS - 5)
    panel = printed(panel, panel.volume, panel.volume)
    skill = map_skill(panel, features, period_us=HOUR_US, rng=np.random.default_rng(1), draws=30)
    assert skill.short.sentence.startswith("Too little data")


def test_a_start_leaves_out_what_came_before() -> None:
    """Scoring from a moment on changes periods and days; all naive predictors are reported."""
    panel, features = market(30)
    panel = printed(panel, panel.volume, panel.volume)
    start = int(panel.ts[0]) + 10 * DAY_US
    skill = map_skill(
        panel,
        features,
        period_us=HOUR_US,
        rng=np.random.default_rng(1),
        start_us=start,
        draws=20,
    )
    assert skill.periods == 20 * 24
    assert set(skill.short.naive) == set(HARD)
