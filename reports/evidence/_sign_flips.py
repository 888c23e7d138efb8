"""The wild cluster bootstrap-t on cluster sums alone: signs of whole clusters are flipped at random.

An estimate is ``sum(scores) / sum(weights)`` over clusters: a mean has the number of observations as
weights, a regression through the origin the sum of squares. With the null imposed, what is left of each
cluster keeps its size and gets a random sign (Rademacher); the statistic is studentised anew each time.
All that depends on the signs are four sums a draw, so a test of any other null costs O(draws).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np

from ...datasets.panel import Float64Array1D

_ROUNDING: Final = 1e-12
_ROWS_AT_ONCE: Final = 1000
_HALVINGS: Final = 26
_DOUBLINGS: Final = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class SignFlips:
    """Cluster sums and what random signs make of them.

    Attributes
    ----------
    scores, weights : ndarray of float64, shape (clusters,)
    sums : ndarray of float64, shape (4, draws)
        Sums over clusters of sign times score, weight, score x weight and weight squared.
    complete : bool
        Whether the draws are all flips that exist (the data's own signs among them).
    """

    scores: Float64Array1D
    weights: Float64Array1D
    sums: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    complete: bool

    @classmethod
    def drawn(
        cls,
        scores: Float64Array1D,
        weights: Float64Array1D,
        *,
        rng: np.random.Generator,
        draws: int,
    ) -> Self:
        """Flip signs at random, or take every flip once where there are not more than `draws`."""
        columns = np.stack([scores, weights, scores * weights, weights**2], axis=1)
        count = len(scores)
        complete = count - 1 <= np.log2(draws)
        # A flip of all clusters changes no |t|: with the last sign fixed, half of the flips are all.
        rows = 2 ** (count - 1) if complete else draws
        sums = np.empty((4, rows))
        for start in range(0, rows, _ROWS_AT_ONCE):
            numbers = np.arange(start, min(start + _ROWS_AT_ONCE, rows))
            if complete:
                bits = (numbers[:, None] >> np.arange(count)) & 1
            else:
                bits = rng.integers(0, 2, (len(numbers), count), dtype=np.int8)
            flipped = bits.astype(np.float64) @ columns
            sums[:, numbers] = (columns.sum(axis=0) - 2.0 * flipped).T
        return cls(scores=scores, weights=weights, sums=sums, complete=complete)

    @cached_property
    def estimate(self) -> float:
        """The estimate itself."""
        return float(self.scores.sum() / self.weights.sum())

    @cached_property
    def standard_error(self) -> float:
        """Its cluster-robust standard error, with the factor G / (G - 1); 0 where nothing varies."""
        count = len(self.scores)
        return float(np.sqrt(self._spread * count / (count - 1)) / self.weights.sum())

    def p_value(self, null: float) -> float:
        """Return the two-sided p-value of the null that the effect is `null`."""
        score, weight, cross, square = self.sums
        # 1. Under the null each cluster keeps `scores - null * weights`, with a random sign.
        kept = self.scores - null * self.weights
        flipped = score - null * weight
        left = float(kept @ kept)
        # 2. The estimate moves by `flipped / total`; what then remains of each cluster is its spread.
        total, squares = self._totals
        move = flipped / total
        spread = left + move * (squares * move - 2.0 * (cross - null * square))
        spread = np.maximum(spread - _ROUNDING * left, 0.0)
        # 3. |t| of a draw against ours, multiplied out since a spread may be 0.
        beyond = int(np.count_nonzero(flipped**2 * self._spread >= kept.sum() ** 2 * spread))
        return beyond / len(flipped) if self.complete else (1 + beyond) / (1 + len(flipped))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the values around the estimate that are not rejected at `level`.

        Notes
        -----
        An end is infinite where nothing is rejected however far away. 0 lies inside exactly where its own
        p-value is not below `level`.
        """
        return self._end(-1.0, level), self._end(1.0, level)

    def _end(self, direction: float, level: float) -> float:
        estimate, step = self.estimate, direction * 4.0 * self.standard_error
        if step == 0.0:
            return estimate
        if direction * estimate >= 0.0 or self.p_value(0.0) >= level:
            inside = 0.0 if direction * estimate < 0.0 else estimate
            outside = inside + step
            for _ in range(_DOUBLINGS):
                if self.p_value(outside) < level:
                    break
                inside, outside = outside, estimate + 2.0 * (outside - estimate)
            else:
                return direction * np.inf
        else:
            inside, outside = estimate, 0.0
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2.0
            if self.p_value(middle) < level:
                outside = middle
            else:
                inside = middle
        return inside

    @cached_property
    def _totals(self) -> tuple[float, float]:
        return float(self.weights.sum()), float(self.weights @ self.weights)

    @cached_property
    def _spread(self) -> float:
        """The sum of squares of what the estimate leaves of each cluster."""
        left = self.scores - self.estimate * self.weights
        spread = float(left @ left)
        return spread if spread > _ROUNDING * float(self.scores @ self.scores) else 0.0
