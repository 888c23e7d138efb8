"""Rank correlations against scipy and a closed form; day-block intervals against noise that clusters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata, spearmanr

from liqtiers.datasets.errors import InputError
from liqtiers.reports.rank_statistics import (
    correlations_without_each,
    day_block_interval,
    partial_rank_correlation,
    rank_correlation,
    with_interval,
)


@settings(max_examples=50)
@given(values=arrays(np.float64, (2, 30), elements=st.integers(0, 6).map(float)))
def test_rank_correlation_is_spearmans(values: np.ndarray) -> None:
    """Ties and all, scipy agrees; a constant column has none."""
    if np.ptp(values[0]) == 0.0 or np.ptp(values[1]) == 0.0:
        assert np.isnan(rank_correlation(values[0], values[1]))
    else:
        assert rank_correlation(values[0], values[1]) == pytest.approx(
            spearmanr(values[0], values[1]).statistic, abs=1e-12
        )


@pytest.mark.parametrize("controls", [0, 1, 4])
def test_each_cluster_is_left_out_as_by_hand(controls: int) -> None:
    """Least squares on the rows that are kept, with the ranks of all rows; labels in any order."""
    rng = np.random.default_rng(controls)
    cluster = rng.integers(3, 9, 60) * 7
    columns = rng.normal(size=(2 + controls, 60)) + rng.normal(size=70)[cluster]
    found = correlations_without_each(columns[0], columns[1], list(columns[2:]), cluster)
    ranks = np.array([rankdata(column) for column in columns])
    for value, name in zip(found, np.unique(cluster), strict=True):
        first, second, *others = ranks[:, cluster != name]
        design = np.column_stack([np.ones(len(first)), *others])
        left = [r - design @ np.linalg.lstsq(design, r, rcond=None)[0] for r in (first, second)]
        assert value == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-9)


def test_a_cluster_that_holds_all_that_varies_leaves_nothing() -> None:
    """Without the one row that differs there is no correlation; without another there is one."""
    first, second = np.r_[np.zeros(9), 1.0], np.arange(10.0)
    found = correlations_without_each(first, second, [], np.arange(10))
    assert np.isnan(found[-1])
    assert np.isfinite(found[:-1]).all()


@pytest.mark.parametrize("seed", range(5))
def test_one_control_has_a_closed_form(seed: int) -> None:
    """Kendall's formula for a partial correlation with one control."""
    a, b, c = np.random.default_rng(seed).normal(size=(3, 80))
    b, c = b + 0.5 * a, c + a - b
    ab, ac, bc = (rank_correlation(*pair) for pair in ((a, b), (a, c), (b, c)))
    by_hand = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    assert partial_rank_correlation(a, b, [c]) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("controls", [2, 5])
def test_several_controls_agree_with_the_inverse_correlation_matrix(controls: int) -> None:
    """A second route: partial correlations are the inverse of scipy's rank correlation matrix, scaled."""
    rng = np.random.default_rng(controls)
    columns = rng.normal(size=(2 + controls, 120)) + 0.8 * rng.normal(size=120)
    columns[0] = np.round(columns[0], 1)  # ties
    inverse = np.linalg.inv(spearmanr(columns, axis=1).statistic)
    by_inverse = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    ours = partial_rank_correlation(columns[0], columns[1], list(columns[2:]))
    assert ours == pytest.approx(by_inverse, abs=1e-12)


def test_nothing_is_left_when_a_control_explains_all() -> None:
    """A predictor that is a monotone function of the control has no partial correlation."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 50))
    assert np.isnan(partial_rank_correlation(np.exp(a), b, [a]))


def test_unknown_values_are_refused() -> None:
    """NaN is named and not ranked as the largest."""
    with pytest.raises(InputError, match="finite"):
        rank_correlation(np.array([1.0, np.nan]), np.array([1.0, 2.0]))


def test_noise_that_clusters_by_day_is_seldom_called_skill() -> None:
    """False positives stay near 5 % where hours of a day are alike; by single hours they would not."""
    rng = np.random.default_rng(3)
    days, hours, worlds = 40, 12, 120
    day = np.repeat(np.arange(days), hours)
    wrong = {"days": 0, "hours": 0}
    for _ in range(worlds):
        a, b = (
            np.repeat(rng.normal(size=days), hours) + 0.3 * rng.normal(size=days * hours)
            for _ in range(2)
        )
        for name, block in (("days", day), ("hours", np.arange(days * hours))):
            found = with_interval(rank_correlation, [a, b], block, rng=rng, draws=60)
            wrong[name] += not found.low <= 0.0 <= found.high
    assert wrong["days"] / worlds < 0.15
    assert wrong["hours"] / worlds > 0.4


def test_what_only_a_control_explains_is_seldom_called_skill() -> None:
    """False positives of the partial correlation's interval, over 100 clustered worlds, near 5 %."""
    rng = np.random.default_rng(11)
    days, hours, worlds = 40, 6, 100
    day = np.repeat(np.arange(days), hours)
    wrong = {"partial": 0, "plain": 0}
    for _ in range(worlds):
        control = rng.normal(size=days * hours)
        a, b = (
            control + np.repeat(rng.normal(size=days), hours) + rng.normal(size=days * hours)
            for _ in range(2)
        )
        found = with_interval(
            lambda a, b, c: partial_rank_correlation(a, b, [c]),
            [a, b, control],
            day,
            rng=rng,
            draws=80,
        )
        plain = with_interval(rank_correlation, [a, b], day, rng=rng, draws=20)
        wrong["partial"] += not found.low <= 0.0 <= found.high
        wrong["plain"] += plain.low > 0.0
    assert wrong["partial"] / worlds <= 0.12
    assert wrong["plain"] / worlds > 0.5


def test_the_interval_shrinks_with_more_days() -> None:
    """Four times the days, about half the width."""
    rng = np.random.default_rng(5)
    widths = []
    for days in (50, 200):
        a = rng.normal(size=days * 4)
        b = a + rng.normal(size=days * 4)
        found = with_interval(
            rank_correlation, [a, b], np.repeat(np.arange(days), 4), rng=rng, draws=200
        )
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert 0.3 < widths[1] / widths[0] < 0.7


def test_one_day_has_no_interval() -> None:
    """What cannot be resampled is unknown."""
    low, high = day_block_interval(
        lambda rows: float(len(rows)), np.zeros(5, dtype=np.int64), rng=np.random.default_rng(1)
    )
    assert np.isnan([low, high]).all()
