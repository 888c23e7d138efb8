"""What is taken away from an effect, by hand; and effects that live in a half or in three days."""

from __future__ import annotations

import numpy as np
import pytest

from liqtiers.reports.evidence.inference import clustered_correlation, clustered_mean
from liqtiers.reports.evidence.robustness import (
    correlation_robustness,
    mean_robustness,
    parts_of,
)

DAYS = np.repeat(np.arange(41), 5)


def test_halves_split_the_days_and_the_best_three_go() -> None:
    """Twenty days and twenty-one; the three days with the largest sums are left out, whichever way."""
    contribution = np.zeros(205)
    for day, value in ((3, 9.0), (7, 8.0), (30, 7.0), (31, 6.9), (12, -20.0)):
        contribution[5 * day + 2] = value
    for sign in (1.0, -1.0):
        kept = parts_of(DAYS, sign * contribution, direction=sign)
        assert np.unique(DAYS[kept.first_half]).tolist() == list(range(20))
        assert np.unique(DAYS[kept.second_half]).tolist() == list(range(20, 41))
        assert np.unique(DAYS[~kept.without_best]).tolist() == [3, 7, 30]


def test_each_part_is_judged_as_the_whole() -> None:
    """The effect of a part is the same statistic on its rows."""
    rng = np.random.default_rng(1)
    x, control = rng.normal(size=(2, 205))
    y = 0.3 * x + control + rng.normal(size=205)
    late = DAYS >= 20
    mean = mean_robustness(y, DAYS, rng=np.random.default_rng(2)).second_half
    assert mean.value == clustered_mean(y[late], DAYS[late], rng=rng).value
    assert (mean.n, mean.clusters) == (105, 21)
    half = correlation_robustness(x, y, [control], DAYS, rng=np.random.default_rng(2)).second_half
    alone = clustered_correlation(x[late], y[late], [control[late]], DAYS[late], rng=rng)
    assert half.value == alone.value
    options = {"rng": rng, "taken_out": "curves"}
    curved = correlation_robustness(x, y, [control], DAYS, **options).second_half
    assert curved.value != alone.value
    late_curved = clustered_correlation(x[late], y[late], [control[late]], DAYS[late], **options)
    assert curved.value == late_curved.value


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_effect_of_three_days_vanishes_without_them(sign: float) -> None:
    """Three extreme days make a mean; without them nothing of it is left."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=205)
    values -= values.mean() + 0.05
    values[np.isin(DAYS, (4, 18, 33))] += 4.0
    robust = mean_robustness(sign * values, DAYS, rng=rng)
    assert sign * robust.first_half.value > 0.0
    assert sign * robust.without_best.value < 0.0
    assert robust.without_best.clusters == 38


def test_an_effect_of_one_half_is_seen() -> None:
    """A tie that holds early and turns around late has both signs."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=205)
    y = np.where(DAYS < 20, 1.0, -0.3) * x + rng.normal(size=205)
    robust = correlation_robustness(x, y, [], DAYS, rng=rng)
    assert robust.first_half.value > 0.4
    assert robust.second_half.value < 0.0


def test_the_best_days_of_a_correlation_are_those_that_carry_it() -> None:
    """Three days of perfect agreement among noise carry a rank correlation and are left out."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 205))
    for day in (10, 20, 30):
        x[day == DAYS] = y[day == DAYS] = [-3.0, 3.0, -4.0, 4.0, 5.0]
    whole = clustered_correlation(x, y, [], DAYS, rng=rng)
    without = correlation_robustness(x, y, [], DAYS, rng=rng).without_best
    plain = ~np.isin(DAYS, (10, 20, 30))
    expected = clustered_correlation(x[plain], y[plain], [], DAYS[plain], rng=rng)
    assert without.value == expected.value < whole.value


def test_no_data_are_no_failure() -> None:
    """Without rows each part is unknown."""
    nothing, rng = np.empty(0), np.random.default_rng(6)
    for robust in (
        mean_robustness(nothing, nothing.astype(np.int64), rng=rng),
        correlation_robustness(nothing, nothing, [], nothing.astype(np.int64), rng=rng),
    ):
        assert not robust.first_half.known
        assert not robust.without_best.known
