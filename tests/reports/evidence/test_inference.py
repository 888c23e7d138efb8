"""Clustered tests against brute force, closed forms, scipy, statsmodels, and worlds whose truth is known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, spearmanr, ttest_1samp, ttest_ind
from scipy.stats import t as student

from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.inference import (
    Effect,
    blocks_of,
    clustered_correlation,
    clustered_difference,
    clustered_mean,
    holm,
    minimum_detectable_effect,
    surrogate_effect,
)
from liqtiers.reports.rank_statistics import partial_rank_correlation

WORLDS = 200
MOST_FALSE = int(binom.ppf(0.999, WORLDS, 0.05))


def some_clusters(rng: np.random.Generator, count: int, mean_size: int) -> np.ndarray:
    """Clusters of unequal size, as a label a row."""
    return np.repeat(np.arange(count), rng.geometric(1.0 / mean_size, count))


def clustered_noise(rng: np.random.Generator, cluster: np.ndarray) -> np.ndarray:
    """Heavy-tailed noise of mean 0 that rows of a cluster share, with some of their own."""
    shared = rng.standard_t(3, cluster.max() + 1)
    return shared[cluster] + rng.standard_t(3, len(cluster))


def wild_bootstrap_by_hand(values: np.ndarray, cluster: np.ndarray) -> float:
    """The p-value from every flip of the clusters' signs, row by row as in the paper."""

    def studentised(rows: np.ndarray) -> float:
        left = rows - rows.mean()
        sums = [left[cluster == name].sum() for name in np.unique(cluster)]
        return abs(rows.mean()) / np.sqrt(np.square(sums).sum())

    ours = studentised(values)
    flips = product([-1.0, 1.0], repeat=cluster.max() + 1)
    found = [studentised(values * np.array(signs)[cluster]) for signs in flips]
    return float(np.mean(np.array(found) >= ours * (1.0 - 1e-9)))


@pytest.mark.parametrize("seed", range(4))
def test_few_clusters_give_the_exact_share_of_sign_flips(seed: int) -> None:
    """With seven clusters the p-value is that of all 128 flips, computed row by row."""
    rng = np.random.default_rng(seed)
    cluster = some_clusters(rng, 7, 4)
    values = clustered_noise(rng, cluster) + 0.8
    assert clustered_mean(values, cluster, rng=rng).p == wild_bootstrap_by_hand(values, cluster)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_single_observations_are_judged_as_by_students_t(shift: float) -> None:
    """With one normal observation a cluster, p-value and interval are nearly the textbook's."""
    rng = np.random.default_rng(5)
    values = rng.normal(shift, 1.0, 90)
    effect = clustered_mean(values, np.arange(90), rng=rng, draws=9999)
    textbook = ttest_1samp(values, 0.0)
    interval = textbook.confidence_interval(0.95)
    assert effect.p == pytest.approx(textbook.pvalue, abs=0.02)
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high), abs=0.02)


def test_a_difference_is_judged_by_clusters_that_both_sides_share() -> None:
    """statsmodels' regression on a dummy with cluster-robust errors: the same difference and error."""
    from statsmodels.regression import linear_model  # here, since it takes seconds

    rng = np.random.default_rng(8)
    cluster = some_clusters(rng, 40, 6)
    values = clustered_noise(rng, cluster)
    of_second = rng.random(len(cluster)) < 0.4
    effect = clustered_difference(
        values[~of_second], cluster[~of_second], values[of_second], cluster[of_second], rng=rng
    )
    design = np.column_stack([np.ones(len(values)), ~of_second])
    fitted = linear_model.OLS(values, design).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False}
    )
    error = fitted.bse[1] * np.sqrt(40 / 39)
    assert effect.value == pytest.approx(fitted.params[1])
    assert effect.mde == pytest.approx(minimum_detectable_effect(error, degrees=39))
    assert (effect.n, effect.clusters) == (len(values), 40)


def test_what_both_sides_share_leaves_no_doubt_about_their_difference() -> None:
    """Days that move both alike cancel; a day more or less on one side is told from the other by its mean."""
    rng = np.random.default_rng(9)
    cluster = np.repeat(np.arange(60), 4)
    shared = clustered_noise(rng, cluster)
    other = shared + rng.normal(0.0, 0.01, len(shared))
    effect = clustered_difference(shared + 0.05, cluster, other, cluster, rng=rng)
    assert effect.value == pytest.approx(0.05, abs=0.01)
    assert effect.p < 0.01
    assert clustered_mean(shared + 0.05, cluster, rng=rng).p > 0.1


def test_a_difference_keeps_its_level() -> None:
    """Of worlds without a difference, with unequal heavy-tailed clusters, about 5 % are significant."""
    rng = np.random.default_rng(10)
    false = 0
    for _ in range(WORLDS):
        cluster = some_clusters(rng, 40, 5)
        values = clustered_noise(rng, cluster)
        second = rng.random(len(cluster)) < 0.5
        effect = clustered_difference(
            values[second], cluster[second], values[~second], cluster[~second], rng=rng, draws=199
        )
        false += effect.p < 0.05
    assert false <= MOST_FALSE


def test_a_difference_from_nothing_is_unknown() -> None:
    """Without an observation on one side there is nothing to compare with."""
    rng, nothing = np.random.default_rng(0), np.array([], dtype=np.int64)
    effect = clustered_difference(np.ones(3), np.arange(3), np.array([]), nothing, rng=rng)
    assert not effect.known
    assert effect.n == 3


def test_minimum_detectable_effect_rests_on_the_clustered_standard_error() -> None:
    """statsmodels' cluster-robust standard error of a mean, times Student's quantiles."""
    from statsmodels.regression import linear_model  # here, since it takes seconds

    rng = np.random.default_rng(6)
    cluster = some_clusters(rng, 25, 8)
    values = clustered_noise(rng, cluster)
    fit = linear_model.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": cluster}
    )
    quantiles = student.ppf(0.975, 24) + student.ppf(0.8, 24)
    effect = clustered_mean(values, cluster, rng=rng)
    assert effect.mde == pytest.approx(float(fit.bse[0]) * quantiles, rel=1e-9)
    assert (effect.n, effect.clusters) == (len(values), 25)


def test_the_interval_holds_what_the_same_test_does_not_reject() -> None:
    """Moved to an end of the interval, the data are just at the 5 % level; 0 is inside as p says."""
    rng = np.random.default_rng(7)
    cluster = some_clusters(rng, 11, 5)
    for shift in (0.0, 0.6, 1.5, -1.2):
        values = clustered_noise(rng, cluster) + shift
        effect = clustered_mean(values, cluster, rng=rng)
        for end, inward in ((effect.low, 1e-6), (effect.high, -1e-6)):
            assert clustered_mean(values - end - inward, cluster, rng=rng).p >= 0.05
            assert clustered_mean(values - end + inward, cluster, rng=rng).p < 0.05
        assert (effect.p < 0.05) == (effect.low > 0.0 or effect.high < 0.0)


def test_order_names_scale_and_sign_do_not_matter() -> None:
    """Shuffled rows and renamed clusters change nothing; a factor scales and a sign mirrors."""
    rng = np.random.default_rng(8)
    cluster = some_clusters(rng, 9, 4)
    values = clustered_noise(rng, cluster) + 0.5
    effect = clustered_mean(values, cluster, rng=rng)
    order, names = rng.permutation(len(values)), rng.permutation(9) * 17 - 3
    same = clustered_mean(values[order], names[cluster][order], rng=rng)
    mirrored = clustered_mean(-2.0 * values, cluster, rng=rng)
    assert same.p == mirrored.p == effect.p
    assert (same.value, same.low, same.high) == pytest.approx(
        (effect.value, effect.low, effect.high)
    )
    assert (mirrored.low, mirrored.high) == pytest.approx((-2 * effect.high, -2 * effect.low))


def test_correlation_is_the_partial_rank_correlation_either_way_round() -> None:
    """The value is that of rank_statistics; swapping or reshaping the two variables changes nothing."""
    rng = np.random.default_rng(9)
    cluster = some_clusters(rng, 9, 12)
    x, y, control = (clustered_noise(rng, cluster) for _ in range(3))
    x, y = x + control, y + control + 0.3 * x
    effect = clustered_correlation(x, y, [control], cluster, rng=rng)
    swapped = clustered_correlation(y, np.exp(x / 9.0), [control], cluster, rng=rng)
    mirrored = clustered_correlation(x, -y, [control], cluster, rng=rng)
    assert effect.value == pytest.approx(partial_rank_correlation(x, y, [control]), abs=1e-12)
    assert swapped.p == mirrored.p == effect.p
    assert (swapped.low, swapped.high) == pytest.approx((effect.low, effect.high))
    assert (mirrored.low, mirrored.high) == pytest.approx((-effect.high, -effect.low))
    assert effect.value != pytest.approx(clustered_correlation(x, y, [], cluster, rng=rng).value)


def test_strong_controls_are_taken_out_by_curves() -> None:
    """Two columns that share nothing but the sum of five controls: ranks leave 0.2, curves nothing.
    A true tie stays: 0.4/sqrt(1.16) of normal columns is 6/pi asin(0.2/sqrt(1.16)) of their ranks.
    """
    rng = np.random.default_rng(20)
    cluster = np.arange(8000) // 80
    controls = rng.normal(size=(5, 8000))
    own, noise = rng.normal(size=(2, 8000))
    x = controls.sum(axis=0) + own

    def found(tie: float, taken_out: str) -> Effect:
        y = controls.sum(axis=0) + tie * own + noise
        options = {"rng": rng, "draws": 199, "taken_out": taken_out}
        return clustered_correlation(x, y, list(controls), cluster, **options)

    assert found(0.0, "ranks").value > 0.15
    assert abs(found(0.0, "curves").value) < 0.04
    assert found(0.0, "curves").p > 0.01
    truth = 6.0 / np.pi * np.arcsin(0.2 / np.sqrt(1.16))
    assert found(0.4, "curves").value == pytest.approx(truth, abs=0.04)
    alone = clustered_correlation(x, noise, [], cluster, rng=rng, taken_out="curves")
    assert alone.value == clustered_correlation(x, noise, [], cluster, rng=rng).value


def test_clustered_noise_is_seldom_called_an_effect() -> None:
    """Heavy-tailed noise in 30 unequal clusters: at most as many claims as 5 % allow, by rows far more."""
    rng = np.random.default_rng(10)
    false = {"mean": 0, "correlation": 0, "rows": 0}
    for _ in range(WORLDS):
        cluster = some_clusters(rng, 30, 8)
        x, y, control = (clustered_noise(rng, cluster) for _ in range(3))
        false["mean"] += clustered_mean(y, cluster, rng=rng, draws=399).p < 0.05
        with_control = (x + control, y + control, [control])
        false["correlation"] += (
            clustered_correlation(*with_control, cluster, rng=rng, draws=399).p < 0.05
        )
        false["rows"] += ttest_1samp(y, 0.0).pvalue < 0.05
    assert 2 <= false["mean"] <= MOST_FALSE
    assert 2 <= false["correlation"] <= MOST_FALSE
    assert false["rows"] > 2 * MOST_FALSE


def test_a_dozen_controls_of_some_hundred_rows_are_paid_for() -> None:
    """Persistent controls that eat degrees of freedom, in few clusters: still 5 % and not 10."""
    rng = np.random.default_rng(21)
    cluster = np.repeat(np.arange(30), 8)
    false = 0
    for _ in range(WORLDS):
        x, y, *controls = (clustered_noise(rng, cluster) for _ in range(12))
        false += clustered_correlation(x, y, controls, cluster, rng=rng, draws=199).p < 0.05
    assert false <= MOST_FALSE


def test_overlapping_horizons_are_seldom_called_skill() -> None:
    """A persistent predictor and overlapping sums of noise: clustered in blocks of two horizons, 5 % hold."""
    rng = np.random.default_rng(11)
    hours, horizon, worlds = 24 * 60, 24, 80
    day = np.arange(hours) // 24
    false = {"blocks": 0, "rows": 0}
    for _ in range(worlds):
        steps = rng.standard_t(4, hours + horizon)
        ahead = np.convolve(steps, np.ones(horizon), "valid")[1:]
        # A mean-reverting predictor that has nothing to do with these steps.
        predictor = np.convolve(rng.normal(size=hours + 47), np.exp(-np.arange(48) / 8.0), "valid")
        effect = clustered_correlation(
            predictor, ahead, [], blocks_of(day, 1.0), rng=rng, draws=199
        )
        false["blocks"] += effect.p < 0.05
        false["rows"] += spearmanr(predictor, ahead).pvalue < 0.05
    assert false["blocks"] <= binom.ppf(0.999, worlds, 0.05)
    assert false["rows"] > 0.3 * worlds


def test_intervals_hold_the_true_correlation() -> None:
    """Spearman's correlation of a normal pair is 6/pi asin(r/2); 95 % intervals seldom miss it."""
    rng = np.random.default_rng(12)
    cluster = np.repeat(np.arange(50), 4)
    truth = 6.0 / np.pi * np.arcsin(0.25)
    missed = 0
    for _ in range(WORLDS):
        x, noise = (rng.normal(size=50)[cluster] + rng.normal(size=200) for _ in range(2))
        y = 0.5 * x + np.sqrt(0.75) * noise
        effect = clustered_correlation(x, y, [], cluster, rng=rng, draws=399)
        missed += not effect.low <= truth <= effect.high
    assert 1 <= missed <= MOST_FALSE


def test_an_effect_of_the_minimum_detectable_size_is_found_four_times_in_five() -> None:
    """In samples whose true effect is what theory calls detectable, 80 % are found."""
    rng = np.random.default_rng(13)
    cluster = np.repeat(np.arange(40), 5)
    # Variance of a cluster's mean: 1 shared and 1/5 of one's own.
    effect = minimum_detectable_effect(np.sqrt(1.2 / 40), degrees=39)
    found, told = 0, []
    for _ in range(WORLDS):
        values = effect + rng.normal(size=40)[cluster] + rng.normal(size=200)
        result = clustered_mean(values, cluster, rng=rng, draws=399)
        found += result.p < 0.05
        told.append(result.mde)
    assert binom.ppf(0.001, WORLDS, 0.8) <= found <= binom.ppf(0.999, WORLDS, 0.8)
    assert np.mean(told) == pytest.approx(effect, rel=0.03)


def test_more_draws_only_sharpen_the_p_value() -> None:
    """The number of draws sets the smallest p-value that can be told."""
    rng = np.random.default_rng(14)
    values = rng.normal(3.0, 1.0, 60)
    for draws in (99, 999):
        effect = clustered_mean(values, np.arange(60), rng=rng, draws=draws)
        assert effect.p == pytest.approx(1.0 / (1 + draws))


def nothing_known(effect: Effect) -> bool:
    return not effect.known and bool(
        np.isnan([effect.low, effect.high, effect.p, effect.mde]).all()
    )


def test_too_few_clusters_are_said_and_not_guessed() -> None:
    """No rows, one cluster, or five: no number that looks like a finding."""
    rng = np.random.default_rng(15)
    nothing = np.empty(0)
    none = clustered_mean(nothing, np.empty(0, np.int64), rng=rng)
    assert nothing_known(none)
    assert (none.n, none.clusters) == (0, 0)
    assert nothing_known(
        clustered_correlation(nothing, nothing, [nothing], np.empty(0, np.int64), rng=rng)
    )
    one = clustered_mean(np.array([1.0, 2.0]), np.zeros(2, np.int64), rng=rng)
    assert nothing_known(one)
    assert (one.value, one.n, one.clusters) == (1.5, 2, 1)
    five = clustered_mean(np.array([1.0, 1.1, 0.9, 1.2, 1.0]), np.arange(5), rng=rng)
    assert five.p == 1 / 16
    assert (five.low, five.high) == (-np.inf, np.inf)


def test_constant_values_have_no_spread_and_no_power() -> None:
    """All 0 is no effect, all 1 is one; neither says what could have been found."""
    rng = np.random.default_rng(16)
    zeros, ones = (clustered_mean(np.full(80, v), np.arange(80), rng=rng) for v in (0.0, 1.0))
    assert (zeros.value, zeros.low, zeros.high, zeros.p) == (0.0, 0.0, 0.0, 1.0)
    assert (ones.low, ones.high) == (1.0, 1.0)
    assert ones.p < 0.01
    assert np.isnan([zeros.mde, ones.mde]).all()
    x = rng.normal(size=80)
    assert nothing_known(clustered_correlation(x, np.ones(80), [], np.arange(80), rng=rng))
    assert nothing_known(clustered_correlation(x, rng.normal(size=80), [x], np.arange(80), rng=rng))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_unknown_values_are_refused(bad: float) -> None:
    """Values that are not finite, and lengths that differ, are named."""
    rng = np.random.default_rng(17)
    values, cluster = np.array([1.0, bad, 2.0]), np.arange(3)
    with pytest.raises(InputError, match="needs finite values"):
        clustered_mean(values, cluster, rng=rng)
    with pytest.raises(InputError, match="needs finite values"):
        clustered_correlation(np.ones(3), np.ones(3), [values], cluster, rng=rng)
    with pytest.raises(InputError, match="2 clusters for 3 values"):
        clustered_mean(np.ones(3), np.arange(2), rng=rng)
    with pytest.raises(InputError, match="need finite values"):
        surrogate_effect(bad, np.ones(3), n=1, clusters=1)


def test_surrogates_are_judged_as_one_draw_against_many() -> None:
    """A pooled two-sample t-test with a single value in the first sample, as scipy computes it."""
    surrogates = np.random.default_rng(18).normal(0.02, 0.05, 30)
    effect = surrogate_effect(0.15, surrogates, n=900, clusters=40)
    oracle = ttest_ind([0.15], surrogates)
    interval = oracle.confidence_interval(0.95)
    assert effect.p == pytest.approx(oracle.pvalue)
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
    assert effect.value == pytest.approx(0.15 - surrogates.mean())
    half = (effect.high - effect.low) / 2.0
    quantiles = student.ppf([0.8, 0.975], 29)
    assert effect.mde == pytest.approx(half * quantiles.sum() / quantiles[1])
    assert (effect.n, effect.clusters) == (900, 40)


def test_surrogates_that_do_not_vary_say_nothing() -> None:
    """None, one, or all alike: the effect is unknown."""
    for surrogates in (np.empty(0), np.array([0.1]), np.full(20, 0.1)):
        assert nothing_known(surrogate_effect(0.3, surrogates, n=9, clusters=9))


def test_holm_by_hand_and_by_statsmodels() -> None:
    """Holm's steps on four p-values, and on forty random ones; what was not tested is not counted."""
    by_hand = holm(np.array([0.01, np.nan, 0.04, 0.03, 0.005]))
    assert by_hand[[0, 2, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(by_hand[1])
    from statsmodels.stats import multitest  # here, since it takes seconds

    p_values = np.random.default_rng(19).random(40) ** 4
    assert np.allclose(holm(p_values), multitest.multipletests(p_values, method="holm")[1])


@pytest.mark.parametrize(("hours", "length"), [(1, 1), (4, 1), (12, 1), (24, 2), (30, 3)])
def test_blocks_are_twice_the_horizon_and_at_least_a_day(hours: int, length: int) -> None:
    """An outcome can only share its days with the neighbouring block."""
    days = 19_998 + np.repeat(np.arange(12), 3)
    blocks = blocks_of(days, hours / 24)
    assert np.array_equal(blocks - blocks[0], np.repeat(np.arange(12) // length, 3))
    # Another instrument that begins later has the same blocks.
    assert np.array_equal(blocks_of(days[4:], hours / 24), blocks[4:])


def test_higher_power_and_stricter_tests_need_larger_effects() -> None:
    """The closed form: 1.96 + 0.84 standard errors, and more when more is asked."""
    assert minimum_detectable_effect(2.0) == pytest.approx(2 * (1.959964 + 0.841621), rel=1e-6)
    assert minimum_detectable_effect(1.0, 0.01) == pytest.approx(2.575829 + 0.841621, rel=1e-6)
    assert minimum_detectable_effect(1.0, power=0.9) == pytest.approx(3.241515, rel=1e-6)
    assert minimum_detectable_effect(1.0, degrees=9) == pytest.approx(2.262157 + 0.883404, rel=1e-6)
