"""Whether any of many rules beat a benchmark, when the best of many does so by luck alone.

The test of superior predictive ability judges the best rule against what the best of so many rules
would do by chance, and the stepwise version says which rules stand by themselves. Both are
studentised: without it a single wild rule decides. The rules' dependence is kept by drawing the same days
again for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ...datasets.errors import InputError
from ...datasets.panel import Float64Array1D, Int64Array1D
from .inference import LEVEL
from .resampling import DEFAULT_DRAWS, Resampling, resampled_rows, usual_block

Scaling = Literal["studentised", "plain"]
_FEWEST_DAYS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SuperiorAbility:
    """What is left of the best of many rules.

    Attributes
    ----------
    best : int
        The column of the rule with the largest statistic.
    statistic : float
        The largest statistic, at least 0: the mean difference over its standard error (``studentised``)
        or times the root of the number of days (``plain``).
    lower, consistent, upper : float
        p-values that no rule beats the benchmark. ``upper`` lets all rules be exactly as good as it,
        ``lower`` leaves those that did worse out of the comparison, ``consistent`` only those that did so
        much worse that they cannot matter.
    stepwise : ndarray of float64, shape (rules,)
        p-values of each rule, corrected for all rules.
    """

    best: int
    statistic: float
    lower: float
    consistent: float
    upper: float
    stepwise: Float64Array1D

    def superior(self, level: float = LEVEL) -> Int64Array1D:
        """Return the rules that beat the benchmark: the chance of any false one is at most `level`."""
        return np.flatnonzero(self.stepwise <= level)


def superior_ability(
    differences: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
    block: float | None = None,
    resampling: Resampling = "stationary",
    scaling: Scaling = "studentised",
) -> SuperiorAbility:
    """Test whether any rule's mean daily difference from a benchmark is above 0.

    Parameters
    ----------
    differences : ndarray of float64, shape (days, rules)
        Each rule's result minus the benchmark's, a row a day in order of time.
    rng : numpy.random.Generator
    draws : int
    block : float, optional
        Days a block; the cube root of their number unless given.
    resampling : str
        ``stationary`` (blocks of geometric length) or ``blocks`` (of fixed length).
    scaling : str
        ``studentised`` or ``plain``.

    Raises
    ------
    InputError
        If there are no rules or fewer than three days, a difference is not finite, or a rule differs from
        the benchmark by the same amount on all days.

    Notes
    -----
    A rule that never differs from the benchmark has the statistic 0. Standard errors are those of the
    same resampling. Costs O(days x rules x draws).

    References
    ----------
    Hansen, P. R. (2005). A test for superior predictive ability. Journal of Business & Economic
    Statistics 23, 365-380, doi:10.1198/073500105000000063

    Romano, J. P. & Wolf, M. (2005). Stepwise multiple testing as formalized data snooping. Econometrica
    73, 1237-1282, doi:10.1111/j.1468-0262.2005.00615.x; p-values as in Romano, J. P. & Wolf, M. (2016).
    Efficient computation of adjusted p-values for resampling-based stepdown multiple testing.
    Statistics & Probability Letters 113, 38-40, doi:10.1016/j.spl.2016.02.012
    """
    _check(differences)
    days = len(differences)
    rows = resampled_rows(
        days, block or usual_block(days), rng=rng, draws=draws, resampling=resampling
    )
    return _judged(differences, _means_drawn(differences, rows), scaling)


def _judged(
    differences: NDArray[np.float64], drawn: NDArray[np.float64], scaling: Scaling
) -> SuperiorAbility:
    """Return the tests from the means of the days drawn, of shape (draws, rules)."""
    days, rules = differences.shape
    mean = differences.mean(axis=0)
    error = drawn.std(axis=0)
    scale = error if scaling == "studentised" else np.full(rules, days**-0.5)
    # A rule that is the benchmark divides 0 by 0: its statistic is 0, in each draw too.
    scale = np.where(error > 0.0, scale, 1.0)
    statistics = mean / scale
    best = max(float(statistics.max()), 0.0)
    # What did this much worse than the benchmark cannot be its equal (law of the iterated logarithm).
    poor = mean < -error * np.sqrt(2.0 * np.log(np.log(days)))
    centres = (np.maximum(mean, 0.0), np.where(poor, 0.0, mean), mean)
    lower, consistent, upper = (
        _share_beyond(np.maximum(((drawn - centre) / scale).max(axis=1), 0.0), best)
        for centre in centres
    )
    return SuperiorAbility(
        best=int(statistics.argmax()),
        statistic=best,
        lower=lower,
        consistent=consistent,
        upper=upper,
        stepwise=_stepwise(statistics, (drawn - mean) / scale),
    )


def _stepwise(statistics: Float64Array1D, drawn: NDArray[np.float64]) -> Float64Array1D:
    """Return p-values corrected step by step, each against the rules that did no better.

    Notes
    -----
    Those up to a level are the rules that the stepwise test rejects at it.
    """
    order = np.argsort(-statistics, kind="stable")
    # 1. In each draw the largest statistic among a rule and those after it.
    largest = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]
    # 2. How often chance does as well, and never less often than for the rule before.
    single = [_share_beyond(largest[:, k], statistics[rule]) for k, rule in enumerate(order)]
    adjusted = np.empty(len(statistics))
    adjusted[order] = np.maximum.accumulate(single)
    return adjusted


def _share_beyond(drawn: Float64Array1D, value: float) -> float:
    return float(1 + np.count_nonzero(drawn >= value)) / (1 + len(drawn))


def _means_drawn(differences: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of each rule over each draw's days, shape (draws, rules)."""
    draws, days = rows.shape
    cells = rows + days * np.arange(draws)[:, None]
    times = np.bincount(cells.ravel(), minlength=draws * days).reshape(draws, days)
    means: NDArray[np.float64] = times.astype(np.float64) @ differences / days
    return means


def _check(differences: NDArray[np.float64]) -> None:
    if differences.ndim != 2 or differences.shape[1] < 1 or len(differences) < _FEWEST_DAYS:
        raise InputError(
            f"differences of shape {differences.shape} cannot be tested: one column a rule, and at least "
            f"{_FEWEST_DAYS} days"
        )
    if not np.isfinite(differences).all():
        raise InputError("superior ability needs finite differences: leave out the others first")
    still = (np.ptp(differences, axis=0) == 0.0) & (differences[0] != 0.0)
    if still.any():
        raise InputError(
            f"rule {int(np.argmax(still))} differs from the benchmark by the same amount on all days: "
            "give what it earned day by day"
        )
