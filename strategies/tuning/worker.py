"""One worker: suggest, evaluate fold by fold, write the finished trial, and again while it may.

A worker process asks its parent for leave before each trial, through a pipe; when the parent is gone the
pipe ends and so does the worker. Interruptions are the parent's business: a worker always finishes the
trial that it is at.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

import optuna
from optuna.trial import TrialState

from ...datasets.errors import InputError, LakeError, LiqtiersError
from .market import Evaluate, Market, evaluate, kept_market
from .objective import SHARPE, SegmentResult, day_ends, segment_result, values_of
from .samplers import Suggester, Suggestion, pruner_report
from .storage import open_storage, quiet, why_storage_failed
from .study import StudyPlan, TrialFeed, cannot_read
from .trials import Evaluation, finished_trial

_FAILURES_AT_THE_START: Final = 10
"""After so many failed trials and no other, nothing will work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How this session goes about it; may differ from one session of a study to the next.

    Attributes
    ----------
    storage : str
        See `open_storage`.
    sampler : str
        See `samplers.SAMPLERS`.
    seed : int
    evaluate : callable
        `market.evaluate`; tests put another in its place.
    clock : callable
        Returns the present moment, UTC.
    """

    storage: str
    sampler: str = "tpe"
    seed: int = 1
    evaluate: Evaluate = evaluate
    clock: Callable[[], datetime]


class TrialEnd(NamedTuple):
    """What is told of a finished trial: its state, values, and seconds by part."""

    state: TrialState
    values: tuple[float, ...] | None
    feasible: bool
    evaluations: int
    seconds: dict[str, float]


class _Outcome(NamedTuple):
    state: TrialState
    evaluation: Evaluation | None
    values: tuple[float, ...] | None
    short: float
    evaluations: int
    reason: str


def run_trials(
    plan: StudyPlan,
    session: Session,
    market: Market,
    study: optuna.Study,
    *,
    worker: int,
    permit: Callable[[], bool],
    tell: Callable[[TrialEnd], None],
) -> None:
    """Run trials while `permit` says so, and `tell` of each.

    Parameters
    ----------
    plan : StudyPlan
    session : Session
    market : Market
        Without the holdout.
    study : optuna.Study
        Into which finished trials are written.
    worker : int
        From 0; workers with different numbers suggest differently.
    permit, tell : callable

    Raises
    ------
    InputError
        If the first trials all fail; the reason of the last is told.
    LakeError
        If a trial cannot be written. Those before it are safe.
    """
    runner, feed = _Runner(plan, session, market), TrialFeed(study)
    suggester = Suggester(
        plan.space,
        sampler=session.sampler,
        pruner=plan.pruner,
        directions=plan.directions,
        seed=session.seed,
        worker=worker,
    )
    with quiet():
        while permit():
            marks = [time.perf_counter()]
            began = session.clock()
            known = _known(study, feed)
            suggestion = suggester.ask(known)
            marks.append(time.perf_counter())
            outcome = runner.run(suggestion)
            marks.append(time.perf_counter())
            seconds = {"suggest": marks[1] - marks[0], "evaluate": marks[2] - marks[1]}
            params = {
                **suggestion.params,
                **(outcome.evaluation.inner if outcome.evaluation else {}),
            }
            about: dict[str, Any] = {
                "worker": worker,
                "evaluations": outcome.evaluations,
                "seconds": {name: round(value, 6) for name, value in seconds.items()},
            }
            if outcome.reason:
                about["reason"] = outcome.reason
            names = plan.space.all_distributions()
            _write(
                study,
                finished_trial(
                    state=outcome.state,
                    params=params,
                    distributions={name: names[name] for name in params},
                    evaluation=outcome.evaluation,
                    values=outcome.values,
                    reported=runner.reported,
                    short=outcome.short,
                    began=began,
                    ended=session.clock(),
                    about=about,
                ),
                done=len(known),
            )
            suggester.tell(suggestion, outcome.values, state=outcome.state, short=outcome.short)
            seconds["store"] = time.perf_counter() - marks[2]
            tell(
                TrialEnd(
                    outcome.state,
                    outcome.values,
                    outcome.state == TrialState.COMPLETE and outcome.short <= 0.0,
                    outcome.evaluations,
                    seconds,
                )
            )
            if outcome.state == TrialState.FAIL:
                _give_up_early([*(t.state for t in known), outcome.state], outcome.reason)


class _Runner:
    """Evaluates suggestions; what is the same for all of them is made once."""

    def __init__(self, plan: StudyPlan, session: Session, market: Market) -> None:
        self._plan, self._market = plan, market
        self._evaluate = session.evaluate
        ts = market.panel.ts
        self._ends = [day_ends(ts[s.start : s.stop]) for s in plan.folds.segments]
        self._grid = plan.space.inner_grid()
        self.reported: dict[int, float] = {}

    def run(self, suggestion: Suggestion) -> _Outcome:
        """Evaluate a suggestion with each inner combination, fold by fold; the best one counts."""
        self.reported = {}
        plan = self._plan
        results: list[list[SegmentResult]] = [[] for _ in self._grid]
        try:
            for fold in range(len(plan.folds.tests)):
                for found, inner in zip(results, self._grid, strict=True):
                    found.append(self._segment({**suggestion.params, **inner}, fold + 1))
                last = fold == len(plan.folds.tests) - 1
                if (
                    plan.objective.goal == SHARPE
                    and not last
                    and self._prunes(suggestion, results, fold)
                ):
                    return self._ended(TrialState.PRUNED, results, suggestion)
            return self._ended(TrialState.COMPLETE, results, suggestion)
        except InputError as error:
            return _Outcome(TrialState.FAIL, None, None, 0.0, len(self._grid), str(error))

    def _segment(self, found: dict[str, Any], place: int) -> SegmentResult:
        space, folds = self._plan.space, self._plan.folds
        run = self._evaluate(
            self._market, space.parameters(found), space.map_name(found), folds.segments[place]
        )
        return segment_result(
            run.equity, self._ends[place], cash=self._market.cash, trades=run.trades
        )

    def _prunes(
        self, suggestion: Suggestion, results: list[list[SegmentResult]], fold: int
    ) -> bool:
        best = max(results, key=lambda found: sum(r.sharpe for r in found))
        value = pruner_report(self._plan.pruner, [r.sharpe for r in best])
        self.reported[fold] = value
        suggestion.trial.report(value, fold)
        return suggestion.trial.should_prune()

    def _ended(
        self, state: TrialState, results: list[list[SegmentResult]], suggestion: Suggestion
    ) -> _Outcome:
        plan = self._plan
        sign = 1.0 if plan.directions[0] == "maximize" else -1.0
        shorts = [self._short(found) for found in results]
        values = [values_of(found, plan.objective) for found in results]
        chosen = min(
            range(len(results)), key=lambda i: (max(shorts[i], 0.0), -sign * values[i][0], i)
        )
        inner = self._grid[chosen]
        first = None
        if state == TrialState.COMPLETE:
            first = self._segment({**suggestion.params, **inner}, 0)
            last = len(plan.folds.tests) - 1
            sharpes = [r.sharpe for r in results[chosen]]
            self.reported[last] = pruner_report(plan.pruner, sharpes)
        evaluation = Evaluation(inner=inner, results=tuple(results[chosen]), first=first)
        return _Outcome(state, evaluation, values[chosen], shorts[chosen], len(results), "")

    def _short(self, found: list[SegmentResult]) -> float:
        """Return the share of trades that are missing, 0 or below if there are enough."""
        wanted = self._plan.objective.min_trades * len(found) / len(self._plan.folds.tests)
        return 1.0 - sum(r.trades for r in found) / wanted if wanted > 0 else 0.0


def _known(study: optuna.Study, feed: TrialFeed) -> list[optuna.trial.FrozenTrial]:
    try:
        return feed.look()
    except (OSError, optuna.exceptions.StorageInternalError) as error:
        raise cannot_read(study, error) from error


def _write(study: optuna.Study, trial: optuna.trial.FrozenTrial, *, done: int) -> None:
    try:
        study.add_trial(trial)
    except (OSError, optuna.exceptions.StorageInternalError) as error:
        raise LakeError(
            f"cannot write a trial of the study {study.study_name!r}: {why_storage_failed(error)}. The "
            f"{done:,} before it are safe; make room, and run the same command to go on"
        ) from error


def _give_up_early(states: list[TrialState], reason: str) -> None:
    if len(states) >= _FAILURES_AT_THE_START and all(s == TrialState.FAIL for s in states):
        raise InputError(f"each of the first {len(states)} trials failed, the last with: {reason}")


def worker_process(
    plan: StudyPlan, session: Session, folder: Path, worker: int, parent: Connection
) -> None:
    """Run trials as a process of its own; the target of a spawn."""
    # A terminal interrupts every process of its group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def permit() -> bool:
        parent.send(("ready", None))
        return bool(parent.recv())

    try:
        with quiet():
            study = optuna.load_study(study_name=plan.name, storage=open_storage(session.storage))
        run_trials(
            plan,
            session,
            kept_market(folder),
            study,
            worker=worker,
            permit=permit,
            tell=lambda end: parent.send(("done", end)),
        )
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except LiqtiersError as error:
        _send_last(parent, ("error", (type(error), str(error))))
    except Exception as error:  # noqa: BLE001  # the parent tells it
        _send_last(parent, ("error", (LiqtiersError, f"a worker failed: {error!r}")))


def _send_last(parent: Connection, message: tuple[str, Any]) -> None:
    try:
        parent.send(message)
    except OSError:
        return
