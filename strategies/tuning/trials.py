"""A finished trial: how it is written into the storage, and read back as arrays.

A trial is written once, when it is finished, in one piece: the storage never holds half of one, and a
process that dies loses the one it was at and nothing else. Per-fold figures and the sums of its daily
returns over blocks of days stand in its user attributes, for the statistics of the search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, Self

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from ...datasets.panel import Float64Array1D, Int64Array1D
from .objective import SegmentResult

BLOCKS: Final = 16
"""Into how many blocks of days the scored folds are cut for cross-validation, if there are enough."""
FEW_TRADES: Final = "few trades"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One set of parameters over the stretches that were run.

    Attributes
    ----------
    inner : mapping
        Its values of the inner grid.
    results : tuple of SegmentResult
        Of the scored folds, in order; fewer where it was stopped early.
    first : SegmentResult or None
        Of the first stretch, which is not scored.
    """

    inner: Mapping[str, Any]
    results: tuple[SegmentResult, ...]
    first: SegmentResult | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialTable:
    """Completed trials as arrays, in the order of their numbers.

    Attributes
    ----------
    number : ndarray of int64, shape (n,)
    value : ndarray of float64, shape (n, goals)
    feasible : ndarray of bool, shape (n,)
        Whether it has the trades it must have.
    sharpe : ndarray of float64, shape (n, folds)
        Yearly, of each scored fold.
    first_sharpe : ndarray of float64, shape (n,)
        Of the first stretch.
    trades : ndarray of int64, shape (n,)
        In the scored folds.
    block_sums, block_squares : ndarray of float64, shape (n, blocks)
        Of daily returns and of their squares.
    params : DataFrame
        One column a searched parameter.
    """

    number: Int64Array1D
    value: NDArray[np.float64]
    feasible: NDArray[np.bool_]
    sharpe: NDArray[np.float64]
    first_sharpe: Float64Array1D
    trades: Int64Array1D
    block_sums: NDArray[np.float64]
    block_squares: NDArray[np.float64]
    params: pd.DataFrame

    def __len__(self) -> int:
        return len(self.number)

    def eligible(self) -> Self:
        """Return the trials that could have won: those with the trades they must have."""
        kept = self.feasible
        columns = {f.name: getattr(self, f.name)[kept] for f in fields(self) if f.name != "params"}
        return replace(self, params=self.params[kept].reset_index(drop=True), **columns)


def block_edges(days: int) -> Int64Array1D:
    """Return the edges of an even number of blocks of days, each of two or more, as equal as can be."""
    blocks = min(BLOCKS, days // 2 // 2 * 2)
    return np.round(np.linspace(0, days, max(blocks, 2) + 1)).astype(np.int64)


def block_sums(daily: Float64Array1D) -> tuple[list[float], list[float]]:
    """Return the sums of daily returns and of their squares over `block_edges`."""
    starts = block_edges(len(daily))[:-1]
    return (
        np.add.reduceat(daily, starts).tolist(),
        np.add.reduceat(daily * daily, starts).tolist(),
    )


def finished_trial(
    *,
    state: TrialState,
    params: Mapping[str, Any],
    distributions: Mapping[str, optuna.distributions.BaseDistribution],
    evaluation: Evaluation | None,
    values: Sequence[float] | None,
    reported: Mapping[int, float],
    short: float,
    began: datetime,
    ended: datetime,
    about: Mapping[str, Any],
) -> FrozenTrial:
    """Return a trial ready to be stored.

    Parameters
    ----------
    state : TrialState
    params, distributions : mapping
        Suggestion and inner values.
    evaluation : Evaluation or None
        The one that counts; None if it failed.
    values : sequence of float or None
    reported : mapping of int to float
        What the pruner was told after each fold.
    short : float
        Share of the trades that are missing; at most 0 if it has enough.
    began, ended : datetime
    about : mapping
        What else to keep: worker, seconds, number of evaluations, a failure's reason.
    """
    kept = {} if evaluation is None else _figures(evaluation, whole=state == TrialState.COMPLETE)
    trial = optuna.trial.create_trial(
        state=state,
        values=None if values is None or state != TrialState.COMPLETE else list(values),
        params=dict(params),
        distributions=dict(distributions),
        user_attrs={**kept, **about},
        intermediate_values=dict(reported),
        constraints=None if evaluation is None else {FEW_TRADES: short},
    )
    trial.datetime_start, trial.datetime_complete = began, ended
    return trial


def _figures(evaluation: Evaluation, *, whole: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "fold_sharpe": [r.sharpe for r in evaluation.results],
        "fold_return": [r.total for r in evaluation.results],
        "fold_drawdown": [r.drawdown for r in evaluation.results],
        "fold_trades": [r.trades for r in evaluation.results],
    }
    if whole:
        daily = np.concatenate([r.daily for r in evaluation.results])
        found["block_sums"], found["block_squares"] = block_sums(daily)
    if evaluation.first is not None:
        found["first_sharpe"] = evaluation.first.sharpe
    return found


def trial_table(trials: Sequence[FrozenTrial]) -> TrialTable:
    """Return the completed ones of some trials as arrays."""
    whole = [t for t in trials if t.state == TrialState.COMPLETE and "block_sums" in t.user_attrs]
    attrs = [t.user_attrs for t in whole]

    def matrix(name: str) -> NDArray[np.float64]:
        return np.array([a[name] for a in attrs], dtype=np.float64)

    return TrialTable(
        number=np.array([t.number for t in whole], dtype=np.int64),
        value=np.array([t.values for t in whole], dtype=np.float64),  # noqa: PD011  # not pandas
        feasible=np.array([t.constraints.get(FEW_TRADES, 0.0) <= 0.0 for t in whole], dtype=bool),
        sharpe=matrix("fold_sharpe"),
        first_sharpe=np.array([a.get("first_sharpe", np.nan) for a in attrs], dtype=np.float64),
        trades=np.array([sum(a["fold_trades"]) for a in attrs], dtype=np.int64),
        block_sums=matrix("block_sums"),
        block_squares=matrix("block_squares"),
        params=pd.DataFrame([t.params for t in whole]),
    )


def evaluations_made(trials: Sequence[FrozenTrial]) -> int:
    """Return how many sets of parameters were tried, also those that were stopped early."""
    return sum(int(t.user_attrs.get("evaluations", 1)) for t in trials)
