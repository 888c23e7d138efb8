"""Does an effect stand when part of the data is taken away: either half, or its three best days.

An effect that lives in one half, or in three days, is a story about that half or those days. What
"best" means is decided by the effect itself: the clusters that push it furthest its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D
from ..rank_statistics import TakenOut, rank_residuals
from .inference import DEFAULT_DRAWS, Effect, clustered_correlation, clustered_mean

BEST_CLUSTERS: Final = 3


class Parts(NamedTuple):
    """What is kept of the observations, each of shape (n,).

    `first_half` and `second_half` split the clusters in order of time, `without_best` leaves out the
    three that contribute most.
    """

    first_half: BoolArray1D
    second_half: BoolArray1D
    without_best: BoolArray1D


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """An effect in parts of its data.

    Attributes
    ----------
    first_half, second_half : Effect
        In the earlier and the later half of the clusters.
    without_best : Effect
        Without the three clusters that contribute most.
    """

    first_half: Effect
    second_half: Effect
    without_best: Effect


def parts_of(cluster: Int64Array1D, contribution: Float64Array1D, *, direction: float) -> Parts:
    """Return which observations to keep.

    Parameters
    ----------
    cluster : ndarray of int64, shape (n,)
        Increasing with time.
    contribution : ndarray of float64, shape (n,)
        What each observation adds to the effect: its value for a mean, the product of the rank residuals
        for a correlation.
    direction : float
        The effect, or its sign: with a negative one the most negative clusters are the best.

    Notes
    -----
    With an odd number of clusters the later half has one more.
    """
    names, row = np.unique(cluster, return_inverse=True)
    total = np.bincount(row, contribution, len(names)) * (-1.0 if direction < 0.0 else 1.0)
    best = np.argsort(-total, kind="stable")[:BEST_CLUSTERS]
    early = row < len(names) // 2
    return Parts(early, ~early, ~np.isin(row, best))


def robustness_of(estimate: Callable[[BoolArray1D], Effect], parts: Parts) -> Robustness:
    """Return an effect in each part of its data.

    Parameters
    ----------
    estimate : callable
        The effect of the observations kept.
    parts : Parts
    """
    return Robustness(
        first_half=estimate(parts.first_half),
        second_half=estimate(parts.second_half),
        without_best=estimate(parts.without_best),
    )


def mean_robustness(
    values: Float64Array1D,
    cluster: Int64Array1D,
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
) -> Robustness:
    """Return `clustered_mean` in each part of its data; parameters are the same."""
    direction = float(values.sum())

    def of(kept: BoolArray1D) -> Effect:
        return clustered_mean(values[kept], cluster[kept], rng=rng, draws=draws)

    return robustness_of(of, parts_of(cluster, values, direction=direction))


def correlation_robustness(
    x: Float64Array1D,
    y: Float64Array1D,
    controls: Sequence[Float64Array1D],
    cluster: Int64Array1D,
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
    taken_out: TakenOut = "ranks",
) -> Robustness:
    """Return `clustered_correlation` in each part of its data; parameters are the same.

    Notes
    -----
    Ranks are taken anew within each part.
    """
    first, second = rank_residuals((x, y), controls, taken_out=taken_out) if len(x) else (x, y)
    products = first * second

    def of(kept: BoolArray1D) -> Effect:
        left = [column[kept] for column in controls]
        return clustered_correlation(
            x[kept], y[kept], left, cluster[kept], rng=rng, draws=draws, taken_out=taken_out
        )

    return robustness_of(of, parts_of(cluster, products, direction=float(products.sum())))
