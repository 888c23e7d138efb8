"""How much of a search's best result is the search's own doing.

- *Deflated Sharpe ratio*: the chance that the true ratio is above 0, given that the best of so many was
  taken. Trials of a sampler resemble each other, so that their number overstates how many independent
  ones there were: it errs on the careful side.
- *Probability of backtest overfitting*: how often the best on one half of the days is below the median
  on the other half.
- *Plateau*: whether settings near the best one are good as well.
- *Walk-forward check*: what would have come of choosing by the past alone, fold after fold.

References
----------
D. H. Bailey, M. López de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5), 2014,
https://doi.org/10.3905/jpm.2014.40.5.094.
D. H. Bailey, J. Borwein, M. López de Prado, Q. J. Zhu, "The Probability of Backtest Overfitting", Journal
of Computational Finance 20(4), 2017, https://doi.org/10.21314/JCF.2016.322.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...datasets.panel import Float64Array1D, Int64Array1D
from .folds import Folds
from .space import SearchSpace
from .trials import TrialTable

Matrix = NDArray[np.float64]

_MOST_COLUMNS: Final = 2000
"""More trials than these are thinned out evenly before the cross-validation."""
_CHUNK: Final = 256
_NEIGHBOURS: Final = 10


def probabilistic_sharpe_ratio(daily: Float64Array1D, *, benchmark: float = 0.0) -> float:
    """Return the chance that the true Sharpe ratio of some returns is above a benchmark.

    Parameters
    ----------
    daily : ndarray of float64, shape (n,)
    benchmark : float
        A Sharpe ratio of one day, not of a year.

    Returns
    -------
    float
        NaN if the returns are fewer than 3 or flat. Skewness and kurtosis are the sample's.

    References
    ----------
    Equation 1 of Bailey and López de Prado (2014).
    """
    if len(daily) < 3 or not np.std(daily) > 0.0:
        return math.nan
    ratio = float(np.mean(daily) / np.std(daily, ddof=1))
    return _probability(
        ratio,
        benchmark,
        observations=len(daily),
        skewness=float(stats.skew(daily)),
        kurtosis=float(stats.kurtosis(daily, fisher=False)),
    )


def deflated_sharpe_ratio(
    ratio: float,
    *,
    observations: int,
    skewness: float,
    kurtosis: float,
    trials: int,
    spread: float,
) -> float:
    """Return the chance that the best trial's true Sharpe ratio is above 0.

    Parameters
    ----------
    ratio : float
        The best trial's Sharpe ratio of one period, not of a year.
    observations : int
        Returns that it is of.
    skewness, kurtosis : float
        Of these returns; 0 and 3 for a normal distribution.
    trials : int
        How many were tried.
    spread : float
        Standard deviation of the trials' Sharpe ratios, of one period.

    Examples
    --------
    The example of the paper: a yearly ratio of 2.5 over 1,250 days, the best of 100 trials whose yearly
    ratios have the variance 1/2.

    >>> deflated = deflated_sharpe_ratio(2.5 / 250**0.5, observations=1250, skewness=-3.0, kurtosis=10.0,
    ...                                  trials=100, spread=(0.5 / 250) ** 0.5)
    >>> round(deflated, 4)
    0.9004
    """
    benchmark = expected_best(trials, spread=spread)
    return _probability(
        ratio, benchmark, observations=observations, skewness=skewness, kurtosis=kurtosis
    )


def expected_best(trials: int, *, spread: float) -> float:
    """Return the Sharpe ratio that the best of so many worthless, independent trials is expected to have."""
    if trials < 2:
        return 0.0
    normal = stats.norm.ppf
    weight = float(np.euler_gamma)
    highest = (1.0 - weight) * normal(1.0 - 1.0 / trials) + weight * normal(
        1.0 - 1.0 / (trials * math.e)
    )
    return float(spread * highest)


def _probability(
    ratio: float, benchmark: float, *, observations: int, skewness: float, kurtosis: float
) -> float:
    variance = 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio * ratio
    if not variance > 0.0:
        return math.nan
    return float(
        stats.norm.cdf((ratio - benchmark) * math.sqrt(observations - 1) / math.sqrt(variance))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitting:
    """What the cross-validation found.

    Attributes
    ----------
    probability : float
        Share of splits in which the best of one half is below the median of the other half; ties count
        half. NaN for fewer than 2 trials.
    loss : float
        Share of splits in which it loses money on the other half.
    splits, trials : int
        What it was taken over.
    """

    probability: float
    loss: float
    splits: int
    trials: int


def overfitting(sums: Matrix, squares: Matrix, days: Int64Array1D) -> Overfitting:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    Parameters
    ----------
    sums, squares : ndarray of float64, shape (trials, blocks)
        Of daily returns and of their squares over consecutive blocks of days.
    days : ndarray of int64, shape (blocks,)
        Days in each block; their number is even.

    Notes
    -----
    Sharpe ratios of any union of blocks follow from the sums, so that no return is needed again. Returns
    are cut into blocks in time order, and every choice of half of the blocks is tried.
    """
    if len(sums) > _MOST_COLUMNS:
        chosen = np.linspace(0, len(sums) - 1, _MOST_COLUMNS).astype(np.int64)
        sums, squares = sums[chosen], squares[chosen]
    blocks = len(days)
    halves = np.array(list(itertools.combinations(range(blocks), blocks // 2)))
    if len(sums) < 2:
        return Overfitting(probability=math.nan, loss=math.nan, splits=0, trials=len(sums))
    inside = np.zeros((len(halves), blocks))
    np.put_along_axis(inside, halves, 1.0, axis=1)
    below = losses = 0.0
    for first in range(0, len(halves), _CHUNK):
        part = inside[first : first + _CHUNK]
        best = np.argmax(_ratios(part, sums, squares, days), axis=1)
        outside = _ratios(1.0 - part, sums, squares, days)
        own = outside[np.arange(len(part)), best][:, None]
        # The mean rank of a tie, over the number of trials and one, as in the paper.
        rank = (outside < own).sum(axis=1) + ((outside == own).sum(axis=1) + 1) / 2.0
        middle = (len(sums) + 1) / 2.0
        below += float((rank < middle).sum() + 0.5 * (rank == middle).sum())
        losses += float((own[:, 0] < 0.0).sum())
    return Overfitting(
        probability=below / len(halves),
        loss=losses / len(halves),
        splits=len(halves),
        trials=len(sums),
    )


def _ratios(chosen: Matrix, sums: Matrix, squares: Matrix, days: Int64Array1D) -> Matrix:
    """Return Sharpe ratios of a day, shape (splits, trials), of the chosen blocks; 0 for flat ones."""
    count = (chosen @ days.astype(np.float64))[:, None]
    mean = chosen @ sums.T / count
    square = chosen @ squares.T / count
    variance = (square - mean * mean) * count / (count - 1.0)
    # Sums leave a rest where all returns are equal.
    flat = variance <= 1e-12 * square
    ratios: Matrix = np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance)))
    return ratios


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """How settings near the best one did.

    Attributes
    ----------
    best, typical : float
        The best value, and the median of all trials.
    neighbours : float
        Median value of the nearest trials.
    distance : float
        Root mean square difference of the farthest of them, as a share of each range.
    height : float
        Where the neighbours stand between typical (0) and best (1): near 1 it is a plateau, near 0 a
        spike. NaN where all trials are alike.
    count : int
        Neighbours looked at.
    nearest : tuple of int
        Their trials' numbers, the nearest first.
    """

    best: float
    typical: float
    neighbours: float
    distance: float
    height: float
    count: int
    nearest: tuple[int, ...] = ()


def plateau(space: SearchSpace, table: TrialTable, best: int) -> Plateau:
    """Return how the trials nearest to one of them did.

    Parameters
    ----------
    space : SearchSpace
    table : TrialTable
    best : int
        Its row.

    Notes
    -----
    Ranges are compared as they are searched, evenly or in the logarithm; two different choices are a
    whole range apart.
    """
    values = table.value[:, 0]
    places = unit_places(space, table)
    distances = np.sqrt(np.mean((places - places[best]) ** 2, axis=1))
    distances[best] = np.inf
    count = min(_NEIGHBOURS, len(table) - 1)
    nearest = np.argsort(distances, kind="stable")[:count]
    if count == 0:
        value = float(values[best])
        return Plateau(
            best=value,
            typical=value,
            neighbours=math.nan,
            distance=math.nan,
            height=math.nan,
            count=0,
        )
    typical, near = float(np.median(values)), float(np.median(values[nearest]))
    rise = float(values[best]) - typical
    return Plateau(
        best=float(values[best]),
        typical=typical,
        neighbours=near,
        distance=float(distances[nearest[-1]]),
        height=(near - typical) / rise if rise != 0.0 else math.nan,
        count=count,
        nearest=tuple(int(number) for number in table.number[nearest]),
    )


def unit_places(space: SearchSpace, table: TrialTable) -> Matrix:
    """Return where each trial lies in its ranges, 0 to 1; each choice has a column of its own."""
    columns = []
    for d in (*space.outer, *space.inner):
        found = table.params[d.name]
        if d.choices:
            # Two columns differ where two choices do; each counts half.
            columns += [(found == choice).to_numpy() * math.sqrt(0.5) for choice in d.choices]
        else:
            numbers = found.to_numpy(dtype=np.float64)
            low, high = (math.log(d.low), math.log(d.high)) if d.log else (d.low, d.high)
            columns.append(((np.log(numbers) if d.log else numbers) - low) / (high - low))
    return np.column_stack(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForwardStep:
    """One fold: the trial that the past would have chosen, what it promised, and what it gave.

    Sharpe ratios are yearly; `trial` is the trial's number.
    """

    trial: int
    promised: float
    given: float


def walk_forward(table: TrialTable, folds: Folds) -> list[WalkForwardStep]:
    """Return for each fold what the best trial of its training stretches did in it.

    Notes
    -----
    Look-ahead: a fold's choice reads the stretches before it alone. The trials themselves were suggested
    with all folds in view, so that this is kinder than a search begun anew at each fold would be.
    """
    if len(table) == 0:
        return []
    stretches = np.column_stack([table.first_sharpe, table.sharpe])
    steps = []
    for fold in range(len(folds.tests)):
        past = np.mean(stretches[:, list(folds.train(fold))], axis=1)
        chosen = int(np.nanargmax(past)) if np.isfinite(past).any() else 0
        steps.append(
            WalkForwardStep(
                trial=int(table.number[chosen]),
                promised=float(past[chosen]),
                given=float(table.sharpe[chosen, fold]),
            )
        )
    return steps
