"""Rank correlations, plain and partial, with intervals that respect that hours of a day belong together.

Ranks, because printed liquidations are incomplete and heavy-tailed: their order means more than their
size. Intervals resample whole days with replacement, so that what is alike within a day is not counted
as many witnesses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from ..datasets.errors import InputError
from ..datasets.panel import Float64Array1D, Int64Array1D

INTERVAL: Final = 0.95
DEFAULT_DRAWS: Final = 500

TakenOut = Literal["ranks", "curves"]
"""How controls are taken out of ranks."""


class Estimate(NamedTuple):
    """A statistic with its 95 % interval."""

    value: float
    low: float
    high: float


def rank_correlation(first: Float64Array1D, second: Float64Array1D) -> float:
    """Return Spearman's rank correlation; ties share their mean rank.

    Parameters
    ----------
    first, second : ndarray of float64, shape (n,)

    Returns
    -------
    float
        NaN where one of them does not vary.

    Raises
    ------
    InputError
        If a value is not finite: drop those first and say how many.
    """
    return partial_rank_correlation(first, second, ())


def partial_rank_correlation(
    first: Float64Array1D,
    second: Float64Array1D,
    controls: tuple[Float64Array1D, ...] | list[Float64Array1D],
) -> float:
    """Return the rank correlation that remains when the ranks of the controls are taken out of both.

    Parameters
    ----------
    first, second : ndarray of float64, shape (n,)
    controls : sequence of ndarray of float64, shape (n,)

    Returns
    -------
    float
        The correlation of the residuals of a least-squares fit on the controls' ranks; NaN where
        nothing is left of one of them.

    Raises
    ------
    InputError
        If a value is not finite.

    References
    ----------
    For one control it equals ``(r12 - r13 r23) / sqrt((1 - r13^2) (1 - r23^2))`` of the rank
    correlations (Kendall, M. G. (1942). Partial rank correlation. Biometrika 32, 277-283).
    """
    residuals = rank_residuals((first, second), controls)
    sizes = [float(np.sqrt(residual @ residual)) for residual in residuals]
    if min(sizes) == 0.0:
        return float("nan")
    return float(residuals[0] @ residuals[1] / (sizes[0] * sizes[1]))


def rank_residuals(
    columns: Sequence[Float64Array1D],
    controls: Sequence[Float64Array1D],
    *,
    taken_out: TakenOut = "ranks",
) -> list[Float64Array1D]:
    """Return what is left of each column's ranks when the controls are taken out.

    Parameters
    ----------
    columns, controls : sequence of ndarray of float64, shape (n,)
    taken_out : str
        ``ranks``: the controls' ranks; ``curves``: their normal scores too, and the squares and cubes of
        what all these say of each column.

    Returns
    -------
    list of ndarray of float64, shape (n,)
        The residuals of a least-squares fit; all 0 where the controls explain a column fully or it does
        not vary.

    Raises
    ------
    InputError
        If a value is not finite.

    Notes
    -----
    Ranks alone leave something behind where strong controls work together: of two columns that share
    nothing but the sum of five normal controls, rank residuals correlate at 0.2. Curves leave less than
    0.01 of it.
    """
    ranks, design = _ranks_and_design(columns, controls, taken_out)
    residuals = [rank - design @ np.linalg.lstsq(design, rank, rcond=None)[0] for rank in ranks]
    # What least squares leaves of a rank that the controls explain fully is rounding.
    limit = 1e-9 * len(ranks[0]) ** 1.5
    return [r if np.sqrt(r @ r) > limit else np.zeros_like(r) for r in residuals]


def correlations_without_each(
    first: Float64Array1D,
    second: Float64Array1D,
    controls: Sequence[Float64Array1D],
    cluster: Int64Array1D,
    *,
    taken_out: TakenOut = "ranks",
) -> Float64Array1D:
    """Return the correlation of `rank_residuals` without each of the clusters in turn, shape (clusters,).

    Parameters
    ----------
    first, second : ndarray of float64, shape (n,)
    controls : sequence of ndarray of float64, shape (n,)
    cluster : ndarray of int64, shape (n,)
    taken_out : str
        See `rank_residuals`.

    Returns
    -------
    ndarray of float64
        In the order of the clusters' labels; the controls are fitted anew each time, ranks are those
        among all rows. NaN where nothing is left of a column.

    Raises
    ------
    InputError
        If a value is not finite.
    """
    ranks, design = _ranks_and_design((first, second), controls, taken_out)
    # In an orthonormal basis of the design all cross products are known: leaving rows out takes their own
    # products away.
    basis = _orthonormal(design)
    left = np.column_stack(ranks)
    left -= basis @ (basis.T @ left)
    left /= np.maximum(np.linalg.norm(left, axis=0), 1e-300)
    _, row = np.unique(cluster, return_inverse=True)
    order = np.argsort(row, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(row[order]) != 0])[1:]
    kept = np.empty((len(starts) + 1, 2, 2))
    for k, rows in enumerate(np.split(order, starts)):
        own, rest = basis[rows], left[rows]
        cross = own.T @ rest
        inner = np.linalg.pinv(np.eye(basis.shape[1]) - own.T @ own, rcond=1e-10, hermitian=True)
        kept[k] = left.T @ left - rest.T @ rest - cross.T @ inner @ cross
    size = kept[:, 0, 0] * kept[:, 1, 1]
    some = np.minimum(kept[:, 0, 0], kept[:, 1, 1]) > 1e-9
    found: Float64Array1D = np.where(
        some, kept[:, 0, 1] / np.sqrt(np.where(some, size, 1.0)), np.nan
    )
    return found


def _ranks_and_design(
    columns: Sequence[Float64Array1D], controls: Sequence[Float64Array1D], taken_out: TakenOut
) -> tuple[list[Float64Array1D], NDArray[np.float64]]:
    if not all(np.isfinite(column).all() for column in (*columns, *controls)):
        raise InputError("a rank correlation needs finite values: leave out the others first")
    ranks = [rankdata(column) for column in columns]
    design = np.column_stack([np.ones(len(ranks[0])), *(rankdata(c) for c in controls)])
    if taken_out == "curves" and len(controls):
        design = _with_curves(design, ranks)
    return ranks, design


def _orthonormal(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a basis of the space of the design's columns, of as many columns as are independent."""
    basis, sizes, _ = np.linalg.svd(design / np.linalg.norm(design, axis=0), full_matrices=False)
    return np.asarray(basis[:, sizes > 1e-10 * sizes[0]])


def _with_curves(design: NDArray[np.float64], ranks: list[Float64Array1D]) -> NDArray[np.float64]:
    """Return a design of a constant and ranks with normal scores and powers of what they explain."""
    design = np.column_stack([design, ndtri((design[:, 1:] - 0.5) / len(design))])
    fits = [design @ np.linalg.lstsq(design, rank, rcond=None)[0] for rank in ranks]
    scaled = [(fit - fit.mean()) / max(float(fit.std()), 1e-9) for fit in fits]
    return np.column_stack([design, *(fit**2 for fit in scaled), *(fit**3 for fit in scaled)])


def day_block_interval(
    statistic: Callable[[Int64Array1D], float],
    day: Int64Array1D,
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic when whole days are drawn again.

    Parameters
    ----------
    statistic : callable
        Of the rows drawn, as indices with repetition.
    day : ndarray of int64, shape (n,)
        The day of each row, increasing.
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    tuple of float
        The percentile interval; NaN with fewer than two days.

    References
    ----------
    Davison, A. C. & Hinkley, D. V. (1997). Bootstrap Methods and their Application, section 8.2
    (blocks), doi:10.1017/CBO9780511802843
    """
    starts = np.flatnonzero(np.r_[True, np.diff(day) != 0])
    if len(starts) < 2:
        return float("nan"), float("nan")
    rows = np.split(np.arange(len(day)), starts[1:])
    found = np.empty(draws)
    for draw in range(draws):
        chosen = rng.integers(0, len(rows), len(rows))
        found[draw] = statistic(np.concatenate([rows[k] for k in chosen]))
    tail = (1.0 - INTERVAL) / 2.0
    low, high = np.nanquantile(found, [tail, 1.0 - tail])
    return float(low), float(high)


def with_interval(
    statistic: Callable[..., float],
    columns: list[NDArray[np.float64]],
    day: Int64Array1D,
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
) -> Estimate:
    """Return a statistic of columns with its day-block interval."""

    def of_rows(rows: Int64Array1D) -> float:
        return statistic(*(column[rows] for column in columns))

    low, high = day_block_interval(of_rows, day, rng=rng, draws=draws)
    return Estimate(statistic(*columns), low, high)
