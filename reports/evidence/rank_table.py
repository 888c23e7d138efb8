"""Partial rank correlations of one signal with many outcomes over many subsets, from ranks computed once.

A study on dozens of surrogate paths computes the same few thousand correlations again and again; here a
subset costs one product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import rankdata

from ...datasets.map_features import Float64Array2D
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D

_LEAST_ROWS: Final = 50
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankTable:
    """Ranks of a signal, of its controls and of outcomes, all over the same rows.

    Attributes
    ----------
    signal : ndarray of float64, shape (n,)
    design : ndarray of float64, shape (n, C + 1)
        A column of ones and the controls' ranks.
    outcomes : ndarray of float64, shape (n, H)
        NaN where an outcome is not known; each is ranked among its known rows.
    """

    signal: Float64Array1D
    design: Float64Array2D
    outcomes: Float64Array2D

    def partial(self, outcome: int, rows: BoolArray1D | None = None) -> float:
        """Return the correlation that remains when the controls are taken out of both.

        Parameters
        ----------
        outcome : int
            Column of `outcomes`.
        rows : ndarray of bool, shape (n,), optional
            A subset; it keeps its ranks in the whole.

        Returns
        -------
        float
            NaN with fewer than 50 rows, and where nothing is left of the signal or the outcome.
        """
        known = np.isfinite(self.outcomes[:, outcome])
        if rows is not None:
            known &= rows
        if known.sum() < _LEAST_ROWS:
            return float("nan")
        pair = np.column_stack([self.signal[known], self.outcomes[known, outcome]])
        controls = self.design[known]
        cross = controls.T @ pair
        # Constant or repeated controls make this singular: the pseudo-inverse leaves them out.
        explained = cross.T @ np.linalg.pinv(controls.T @ controls, 1e-10, hermitian=True) @ cross
        left = pair.T @ pair - explained
        sizes = np.diag(left)
        if not (sizes > _ROUNDING * known.sum()).all():
            return float("nan")
        return float(left[0, 1] / np.sqrt(sizes[0] * sizes[1]))

    def products(self, outcome: int) -> tuple[Int64Array1D, Float64Array1D]:
        """Return the rows at which an outcome is known, and what each adds to `partial`, unscaled."""
        known = np.flatnonzero(np.isfinite(self.outcomes[:, outcome]))
        pair = np.column_stack([self.signal[known], self.outcomes[known, outcome]])
        controls = self.design[known]
        inner = np.linalg.pinv(controls.T @ controls, 1e-10, hermitian=True)
        left = pair - controls @ (inner @ (controls.T @ pair))
        return known, left[:, 0] * left[:, 1]


def rank_table(
    signal: Float64Array1D, controls: Sequence[Float64Array1D], outcomes: Sequence[Float64Array1D]
) -> RankTable:
    """Rank finite signals and controls, and outcomes that may be unknown in places, all shape (n,)."""
    ones = np.ones(len(signal))
    ranked = [_ranks(column) for column in controls]
    return RankTable(
        signal=_ranks(signal),
        design=np.column_stack([ones, *ranked]),
        outcomes=np.column_stack([_ranks(column) for column in outcomes]),
    )


def _ranks(values: Float64Array1D) -> Float64Array1D:
    """Return ranks between -1 and 1 among the known values."""
    known = np.isfinite(values)
    ranks = np.full(len(values), np.nan)
    count = int(known.sum())
    ranks[known] = (2.0 * rankdata(values[known]) - count - 1.0) / max(count, 1)
    return ranks
