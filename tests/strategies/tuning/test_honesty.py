"""Statistics of a search: published examples, closed forms, brute force and other libraries."""

from __future__ import annotations

import itertools
import math
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from liqtiers.datasets.panel import Float64Array1D
from liqtiers.strategies.parameters import TierBreakoutParameters
from liqtiers.strategies.tuning import (
    Dimension,
    SearchSpace,
    TrialTable,
    deflated_sharpe_ratio,
    make_folds,
    overfitting,
    plateau,
    probabilistic_sharpe_ratio,
    walk_forward,
)
from liqtiers.strategies.tuning.honesty import Overfitting, expected_best

DAY = 86_400_000_000


def cross_validated(returns: np.ndarray, blocks: int) -> Overfitting:
    cut = returns.reshape(len(returns), blocks, -1)
    days = np.full(blocks, cut.shape[2])
    return overfitting(cut.sum(axis=2), (cut**2).sum(axis=2), days)


def moments(daily: Float64Array1D) -> dict[str, float]:
    return {
        "skewness": float(stats.skew(daily)),
        "kurtosis": float(stats.kurtosis(daily, fisher=False)),
    }


def table_of(values: list[float], params: dict[str, list[object]], **more: object) -> TrialTable:
    count = len(values)
    plain: dict[str, object] = {
        "number": np.arange(count),
        "value": np.array(values)[:, None],
        "feasible": np.ones(count, dtype=bool),
        "sharpe": np.zeros((count, 2)),
        "first_sharpe": np.zeros(count),
        "trades": np.full(count, 50),
        "block_sums": np.zeros((count, 4)),
        "block_squares": np.zeros((count, 4)),
        "params": pd.DataFrame(params),
    }
    return TrialTable(**{**plain, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(("trials", "deflated"), [(100, 0.9004), (46, 0.9505)])
def test_deflated_sharpe_ratio_of_the_paper(trials: int, deflated: float) -> None:
    """Bailey and López de Prado's own example: 2.5 a year over 5 years of 250 days, variance of the
    trials 1/2, skewness -3, kurtosis 10; 0.9004 for 100 trials and 0.9505 for 46.
    """
    found = deflated_sharpe_ratio(
        2.5 / math.sqrt(250),
        observations=1250,
        skewness=-3.0,
        kurtosis=10.0,
        trials=trials,
        spread=math.sqrt(0.5 / 250),
    )
    assert found == pytest.approx(deflated, abs=5e-5)


def test_expected_best_is_that_of_simulated_normals() -> None:
    """The best of 50 standard normal draws averages 2.25; the formula is within a hundredth of it."""
    draws = np.random.default_rng(5).normal(size=(20_000, 50)).max(axis=1)
    assert expected_best(50, spread=1.0) == pytest.approx(draws.mean(), abs=0.03)
    assert expected_best(1, spread=1.0) == 0.0


def test_more_trials_deflate_more() -> None:
    """The same record is worth less the more was tried for it."""
    found = [
        deflated_sharpe_ratio(
            0.1, observations=500, skewness=0.0, kurtosis=3.0, trials=n, spread=0.05
        )
        for n in (1, 10, 1000)
    ]
    assert found[0] > found[1] > found[2]


def test_probabilistic_sharpe_ratio_by_hand() -> None:
    """Without skewness and kurtosis of 3 it is the normal test with the variance 1 + SR²/2."""
    daily = np.array([0.03, -0.01, 0.02, 0.0, 0.01])
    ratio = daily.mean() / daily.std(ddof=1)
    skewness, kurtosis = moments(daily).values()
    z = ratio * 2.0 / math.sqrt(1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2)
    assert probabilistic_sharpe_ratio(daily) == pytest.approx(stats.norm.cdf(z))


@pytest.mark.parametrize("daily", [[], [0.1, 0.2], [0.0, 0.0, 0.0, 0.0]])
def test_probabilistic_sharpe_ratio_of_nothing(daily: list[float]) -> None:
    """Too few or flat returns have none."""
    assert math.isnan(probabilistic_sharpe_ratio(np.array(daily)))


def test_overfitting_of_identical_trials_is_a_coin() -> None:
    """Where all trials are the same, the chosen one is always in the middle."""
    returns = np.tile(np.random.default_rng(1).normal(size=80), (7, 1))
    found = cross_validated(returns, 8)
    assert found.probability == 0.5
    assert found.splits == math.comb(8, 4)


def test_overfitting_of_a_dominant_trial_is_none() -> None:
    """A trial that is best on every day is best everywhere."""
    rng = np.random.default_rng(2)
    returns = rng.normal(size=(6, 80)) * 0.01
    returns[3] += 1.0
    assert cross_validated(returns, 8).probability == 0.0


def test_overfitting_of_halves_that_exclude_each_other_is_certain() -> None:
    """Two trials, each good on what the other is bad on: the best inside is the worst outside."""
    pattern = np.repeat([1.0, 1.0, -1.0, -1.0], 10) + np.tile([0.1, -0.1], 20)
    found = cross_validated(np.array([pattern, -pattern]), 4)
    # Where a half holds one block of each kind both are level with each other on either side.
    assert found.probability >= 0.5
    assert found.loss > 0.0


def test_overfitting_by_brute_force() -> None:
    """Block sums give what the returns themselves give, split by split."""
    returns = np.random.default_rng(3).normal(0.02, 1.0, size=(9, 60))
    blocks = np.arange(60).reshape(6, 10)
    below = 0.0
    for chosen in itertools.combinations(range(6), 3):
        rest = [b for b in range(6) if b not in chosen]
        inside, outside = (
            returns[:, np.ravel(blocks[list(chosen)])],
            returns[:, np.ravel(blocks[rest])],
        )
        best = np.argmax(inside.mean(axis=1) / inside.std(axis=1, ddof=1))
        ratios = outside.mean(axis=1) / outside.std(axis=1, ddof=1)
        rank = stats.rankdata(ratios)[best] / 10.0
        below += (rank < 0.5) + 0.5 * (rank == 0.5)
    assert cross_validated(returns, 6).probability == pytest.approx(below / 20)


def test_overfitting_of_one_trial_is_unknown() -> None:
    """There is nothing to compare one trial with."""
    assert math.isnan(cross_validated(np.ones((1, 40)), 4).probability)


def test_flat_trials_count_as_nothing_earned() -> None:
    """A trial without a trade has a ratio of 0: it beats those that lose."""
    rng = np.random.default_rng(4)
    returns = rng.normal(-1.0, 0.1, size=(3, 40))
    returns[1] = 0.0
    assert cross_validated(returns, 4).probability == 0.0


if find_spec("ffn"):

    def test_deflated_sharpe_ratio_is_ffns() -> None:
        """ffn gives the same, but for its small-sample corrections of the moments."""
        import ffn

        rng = np.random.default_rng(6)
        returns = rng.normal(0.001, 0.01, size=(20, 400))
        ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
        mine = deflated_sharpe_ratio(
            ratios[0],
            observations=400,
            trials=20,
            spread=float(np.std(ratios, ddof=1)),
            **moments(returns[0]),
        )
        series = pd.Series(returns[0], index=pd.date_range("2024-01-01", periods=400))
        theirs = ffn.core.calc_deflated_sharpe_ratio(
            series, ratios, nperiods=365, annualized_trials=False
        )
        assert mine == pytest.approx(theirs, abs=1e-3)


if find_spec("purgedcv"):

    def test_overfitting_is_purgedcvs() -> None:
        """purgedcv counts the same splits, with an even number of trials and blocks of one length."""
        import purgedcv

        for seed in range(3):
            returns = np.random.default_rng(seed).normal(0.0, 0.01, size=(20, 160))
            theirs = purgedcv.probability_of_backtest_overfitting(returns, n_splits=8)
            assert cross_validated(returns, 8).probability == pytest.approx(theirs.pbo)


def one_dimension(**more: object) -> SearchSpace:
    outer = (Dimension(name="stop_atr", low=0.0, high=10.0),)
    return SearchSpace(base=TierBreakoutParameters(), **{"outer": outer, **more})  # type: ignore[arg-type]


def test_plateau_and_spike() -> None:
    """Neighbours as good as the best are a plateau, neighbours as poor as all others a spike."""
    places: list[object] = [float(x) for x in np.linspace(0, 10, 101)]
    broad = [1.0 - abs(float(x) - 5.0) / 5.0 for x in places]  # type: ignore[arg-type]
    spike = [1.0 if x == 5.0 else 0.0 for x in places]
    best = 50
    flat = plateau(one_dimension(), table_of(broad, {"stop_atr": places}), best)
    sharp = plateau(one_dimension(), table_of(spike, {"stop_atr": places}), best)
    assert flat.count == sharp.count == 10
    # The nearest ten are 0.1 to 0.5 away: their median is 0.94, the median of all 0.5.
    assert flat.neighbours == pytest.approx(0.94)
    assert flat.height == pytest.approx((0.94 - 0.5) / 0.5, abs=0.02)
    assert flat.distance == pytest.approx(0.05)
    assert sharp.height == 0.0


def test_neighbours_are_near_as_the_range_is_searched() -> None:
    """In a logarithmic range 1 and 2 are as far apart as 10 and 20; other choices are a range away."""
    space = SearchSpace(
        base=TierBreakoutParameters(),
        outer=(
            Dimension(name="min_fuel", low=1.0, high=100.0, log=True),
            Dimension(name="side", choices=("shorts", "longs")),
        ),
    )
    table = table_of(
        [1.0, 0.5, 0.1],
        {"min_fuel": [1.0, 100.0, 1.0], "side": ["shorts", "shorts", "longs"]},
    )
    found = plateau(space, table, 0)
    assert found.distance == pytest.approx(math.sqrt(1.0 / 3.0))
    assert found.neighbours == pytest.approx(0.3)


def test_a_single_trial_has_no_neighbours() -> None:
    """Then there is nothing to say about its neighbourhood."""
    found = plateau(one_dimension(), table_of([1.0], {"stop_atr": [5.0]}), 0)
    assert found.count == 0
    assert math.isnan(found.height)


@pytest.mark.parametrize(
    ("scheme", "chosen", "given"),
    [("anchored", [0, 0], [1.0, -1.0]), ("rolling", [0, 1], [1.0, 2.0])],
)
def test_walk_forward_chooses_by_the_past_alone(
    scheme: str, chosen: list[int], given: list[float]
) -> None:
    """Trial 0 was best in the first stretch and still over the first two, trial 1 in the second alone."""
    table = table_of(
        [0.0, 0.0],
        {"stop_atr": [1.0, 2.0]},
        first_sharpe=np.array([5.0, 0.0]),
        sharpe=np.array([[1.0, -1.0], [3.0, 2.0]]),
    )
    folds = make_folds(400, folds=2, holdout=0.2, gap_bars=0, bar_us=DAY, scheme=scheme)
    steps = walk_forward(table, folds)
    assert [step.trial for step in steps] == chosen
    assert [step.given for step in steps] == given
    assert steps[0].promised == 5.0
