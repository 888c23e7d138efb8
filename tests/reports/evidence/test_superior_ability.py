"""The best of many rules: against literal loops, arch, and rules whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.resampling import resampled_rows
from liqtiers.reports.evidence.superior_ability import SuperiorAbility, superior_ability


def judged(differences: np.ndarray, seed: int = 1, **options: Any) -> SuperiorAbility:
    return superior_ability(differences, rng=np.random.default_rng(seed), **options)


def test_the_tests_by_hand_on_a_few_days() -> None:
    """Hansen's three p-values and the stepwise ones, from the same days by loops as in the papers."""
    rng = np.random.default_rng(2)
    differences = rng.normal([0.2, 0.1, 0.0, -2.0], [1.0, 0.5, 1.0, 0.7], (40, 4))
    rows = resampled_rows(40, 4.0, rng=np.random.default_rng(3), draws=199)
    found = judged(differences, 3, block=4.0, draws=199)
    mean, drawn = differences.mean(axis=0), np.array([differences[r].mean(axis=0) for r in rows])
    error = drawn.std(axis=0)
    best = max(mean / error)
    beyond = {"lower": 1, "consistent": 1, "upper": 1}
    for star in drawn:
        for name in beyond:
            largest = 0.0
            for k in range(4):
                hopeless = mean[k] < -error[k] * np.sqrt(2.0 * np.log(np.log(40)))
                centre = {
                    "lower": max(mean[k], 0.0),
                    "consistent": 0.0 if hopeless else mean[k],
                    "upper": mean[k],
                }[name]
                largest = max(largest, (star[k] - centre) / error[k])
            beyond[name] += largest >= best
    assert found.statistic == pytest.approx(best)
    assert found.best == int(np.argmax(mean / error))
    for name, count in beyond.items():
        assert getattr(found, name) == pytest.approx(count / 200), name
    assert found.lower <= found.consistent < found.upper


@pytest.mark.parametrize("level", [0.02, 0.05, 0.3])
def test_stepwise_p_values_reject_what_the_stepwise_test_rejects(level: float) -> None:
    """Romano and Wolf's algorithm: reject, take out, test the rest anew, until nothing more is rejected."""
    rng = np.random.default_rng(4)
    truth = [0.6, 0.45, 0.35, 0.25, 0.1, 0.0, -0.2]
    differences = rng.normal(truth, 1.0, (90, 7)) + 0.5 * rng.normal(size=(90, 1))
    rows = resampled_rows(90, 3.0, rng=np.random.default_rng(5), draws=999)
    mean, drawn = differences.mean(axis=0), np.array([differences[r].mean(axis=0) for r in rows])
    statistic, null = mean / drawn.std(axis=0), (drawn - mean) / drawn.std(axis=0)
    left, rejected = list(range(7)), []
    while left:
        largest = null[:, left].max(axis=1)
        out = [k for k in left if (1 + (largest >= statistic[k]).sum()) / 1000 <= level]
        if not out:
            break
        rejected += out
        left = [k for k in left if k not in out]
    found = judged(differences, 5, block=3.0)
    assert found.superior(level).tolist() == sorted(rejected)
    assert 0 < len(rejected) < 7


def test_a_rule_never_has_a_smaller_stepwise_p_value_than_a_better_one() -> None:
    """Three rules as good as each other: the last stands against fewer, and still does no better."""
    noise = np.random.default_rng(15).normal(size=(200, 3))
    noise = (noise - noise.mean(axis=0)) / noise.std(axis=0)
    found = judged(noise + np.array([0.1, 0.0995, 0.099]), scaling="plain")
    assert 0.05 < found.stepwise[0] <= found.stepwise[1] <= found.stepwise[2]


def test_rules_of_equal_spread_agree_with_arch() -> None:
    """Where studentising makes no difference, arch's p-values and superior rules are ours."""
    from arch import bootstrap as arch  # here, since it takes seconds

    rng = np.random.default_rng(6)
    noise = rng.normal(size=(250, 8)) + rng.normal(size=(250, 1))
    noise = (noise - noise.mean(axis=0)) / noise.std(axis=0)
    losses = np.zeros(250)
    for edge in (0.06, 0.13, 0.2):
        differences = noise + edge * np.array([1.0, 0.9, 0.2, 0.0, 0.0, -0.5, -1.0, -4.0])
        theirs = arch.SPA(losses, -differences, block_size=5, reps=2000, seed=7)
        theirs.compute()
        for scaling in ("plain", "studentised"):
            ours = judged(differences, 8, block=5.0, draws=2000, scaling=scaling)
            # Bootstrap noise of both is 0.016; standard errors of equal rules still differ a little.
            for name in ("lower", "consistent", "upper"):
                assert getattr(ours, name) == pytest.approx(theirs.pvalues[name], abs=0.045), name
    stepwise = arch.StepM(losses, -differences, size=0.05, block_size=5, reps=2000, seed=9)
    stepwise.compute()
    plain = judged(differences, 8, block=5.0, draws=2000, scaling="plain")
    assert plain.superior().tolist() == list(stepwise.superior_models)


def test_studentising_keeps_a_wild_rule_from_deciding() -> None:
    """A steady good rule beside a wild useless one is found only when differences are studentised."""
    rng = np.random.default_rng(10)
    steady, wild = rng.normal(0.05, 0.1, 200), rng.normal(0.0, 10.0, 200)
    differences = np.column_stack([steady, wild])
    studentised = judged(differences)
    plain = judged(differences, scaling="plain")
    assert studentised.best == 0
    assert studentised.consistent < 0.01
    assert studentised.superior().tolist() == [0]
    assert plain.consistent > 0.2
    assert len(plain.superior()) == 0


def test_block_and_resampling_change_the_result() -> None:
    """On persistent differences single days overstate the evidence; both kinds of blocks see it."""
    rng = np.random.default_rng(11)
    steps = rng.normal(size=(300, 5))
    differences = np.stack([steps[k : k + 290] for k in range(10)]).mean(axis=0) + 0.05
    days, stationary = (judged(differences, block=block).consistent for block in (1.0, 15.0))
    fixed = judged(differences, block=15.0, resampling="blocks").consistent
    assert days < 0.5 * min(stationary, fixed)
    assert fixed != stationary
    assert judged(differences).consistent == judged(differences, block=290 ** (1 / 3)).consistent


@pytest.mark.parametrize("resampling", ["stationary", "blocks"])
def test_useless_rules_are_seldom_called_superior(resampling: str) -> None:
    """Ten related, heavy-tailed rules as good as the benchmark: 5 % of samples find one, not 40 %."""
    rng = np.random.default_rng(12)
    samples, false, naive = 200, 0, 0
    for _ in range(samples):
        differences = rng.standard_t(4, (120, 10)) + 0.5 * rng.normal(size=(120, 1))
        found = superior_ability(differences, rng=rng, draws=199, block=2.0, resampling=resampling)
        false += found.consistent <= 0.05
        naive += found.statistic > 1.645
        assert found.lower <= found.consistent <= found.upper
    # Short blocks understate the spread a little: nominal 5 % may be 7 %.
    assert 1 <= false <= binom.ppf(0.999, samples, 0.07)
    assert naive > 0.25 * samples


def test_good_rules_are_found_among_hopeless_ones() -> None:
    """Hopeless rules cost the consistent test nothing, while the upper p-value drowns in them."""
    rng = np.random.default_rng(13)
    samples, found, drowned = 60, 0, 0
    for _ in range(samples):
        differences = rng.normal(size=(150, 41))
        differences[:, 0] += 0.25
        differences[:, 1:] -= 1.0
        result = superior_ability(differences, rng=rng, draws=199, block=2.0)
        found += result.consistent <= 0.05
        drowned += result.upper > 0.05
    # Alone, such a rule (3.06 standard errors) is found by a one-sided test in 92 % of samples.
    assert found >= binom.ppf(0.001, samples, 0.9)
    assert drowned > 0.4 * samples


def test_a_rule_that_is_the_benchmark_changes_nothing() -> None:
    """A rule that never differs has the statistic 0; alone, or with worse ones, nothing is superior."""
    rng = np.random.default_rng(14)
    differences = rng.normal(0.2, 1.0, (100, 2))
    with_copy = np.column_stack([differences, np.zeros(100)])
    assert judged(with_copy).consistent == judged(differences).consistent
    assert judged(np.zeros((50, 1))).consistent == 1.0
    worse = judged(differences - 3.0)
    assert (worse.statistic, worse.lower, worse.consistent, worse.upper) == (0.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        (np.zeros((2, 3)), "at least 3 days"),
        (np.zeros((9, 0)), "one column a rule"),
        (np.zeros(9), "one column a rule"),
        (np.full((9, 2), np.nan), "finite differences"),
        (np.column_stack([np.arange(9.0), np.ones(9)]), "rule 1 differs"),
    ],
    ids=["two days", "no rules", "one axis", "unknown", "constant"],
)
def test_what_cannot_be_tested_is_refused(differences: np.ndarray, message: str) -> None:
    """One line says what is wrong and what would be right."""
    with pytest.raises(InputError, match=message):
        judged(differences)
