"""The run itself: workers until a goal is reached, and what they have done so far.

One worker runs in this process; more are processes of their own that this one restarts should they die.
Nothing here reads a clock or a signal: the caller says when it is time to stop.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import optuna
from optuna.trial import TrialState

from ...datasets.errors import LakeError, LiqtiersError
from .market import Market, keep_market
from .study import StudyPlan, finished
from .worker import Session, TrialEnd, run_trials, worker_process

_DEATHS_IN_A_ROW: Final = 5
_POLL_SECONDS: Final = 0.25
_RATE_SECONDS: Final = 60.0
_RECOUNT_SECONDS: Final = 5.0


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, pruned, failed : int
        Finished trials of the whole study, and how many of them were stopped early or failed.
    best : float or None
        The best value (the first goal's) of those with enough trades.
    this_session : int
        Trials finished since the start.
    evaluations : int
        Sets of parameters tried since the start.
    rate : float
        Trials a second over the last minute; 0 before the first.
    deaths : int
        Workers that had to be restarted.
    seconds : dict of str to float
        Spent since the start, over all workers: suggest, evaluate, store.
    """

    done: int = 0
    pruned: int = 0
    failed: int = 0
    best: float | None = None
    this_session: int = 0
    evaluations: int = 0
    rate: float = 0.0
    deaths: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def run_night(
    plan: StudyPlan,
    session: Session,
    market: Market,
    study: optuna.Study,
    *,
    workers: int,
    scratch: Path,
    stop: Callable[[], bool],
    trials: int | None = None,
    show: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Run trials until `stop` says so, or the study has `trials` of them.

    Parameters
    ----------
    plan, session, market, study
        See `run_trials`.
    workers : int
        Processes; 1 for this one alone.
    scratch : Path
        A folder for the data that workers share, made anew and removed at the end.
    stop : callable
        Asked several times a second.
    trials : int, optional
        Finished trials that the study shall have, those of former sessions included.
    show : callable
        Told how far it is, about four times a second and at the end.

    Raises
    ------
    InputError, LakeError, LiqtiersError
        What a worker raised, or that workers keep dying.
    """
    tally = _Tally(plan, study, show)
    if workers == 1:
        run_trials(
            plan,
            session,
            market,
            study,
            worker=0,
            permit=lambda: not stop() and (trials is None or tally.progress.done < trials),
            tell=tally.add,
        )
    else:
        keep_market(scratch, market)
        try:
            _Crew(plan, session, scratch, tally, workers=workers, stop=stop, trials=trials).run()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    tally.recount()
    show(tally.progress)
    return tally.progress


class _Tally:
    """Counts trials."""

    def __init__(
        self, plan: StudyPlan, study: optuna.Study, show: Callable[[Progress], None]
    ) -> None:
        self._study, self._show = study, show
        self._sign = 1.0 if plan.directions[0] == "maximize" else -1.0
        self.progress = Progress()
        self._recent: deque[float] = deque()
        self._shown = self._recounted = time.monotonic()
        self.recount()

    def recount(self) -> None:
        """Count again from the storage, where others may have written, too."""
        p = self.progress
        p.done = p.pruned = p.failed = 0
        for trial in finished(self._study):
            p.done += 1
            p.pruned += trial.state == TrialState.PRUNED
            p.failed += trial.state == TrialState.FAIL
            if trial.state == TrialState.COMPLETE and all(
                value <= 0.0 for value in trial.constraints.values()
            ):
                self._better(trial.values[0])
        self._recounted = time.monotonic()

    def add(self, end: TrialEnd) -> None:
        """Count one more."""
        p, now = self.progress, time.monotonic()
        p.done += 1
        p.this_session += 1
        p.evaluations += end.evaluations
        p.pruned += end.state == TrialState.PRUNED
        p.failed += end.state == TrialState.FAIL
        if end.feasible and end.values is not None:
            self._better(end.values[0])
        for name, value in end.seconds.items():
            p.seconds[name] = p.seconds.get(name, 0.0) + value
        self._recent.append(now)
        while now - self._recent[0] > _RATE_SECONDS:
            self._recent.popleft()
        span = now - self._recent[0]
        p.rate = (len(self._recent) - 1) / span if span > 0.0 else 0.0
        self.tick()

    def tick(self) -> None:
        """Show where it stands, if it is time."""
        now = time.monotonic()
        if now - self._shown >= _POLL_SECONDS:
            self._shown = now
            self._show(self.progress)

    def recount_sometimes(self) -> None:
        """Count again if it was long ago."""
        if time.monotonic() - self._recounted > _RECOUNT_SECONDS:
            self.recount()

    def _better(self, value: float) -> None:
        best = self.progress.best
        if best is None or self._sign * value > self._sign * best:
            self.progress.best = float(value)


@contextmanager
def _unheard() -> Iterator[None]:
    """Let processes start that no interruption reaches, not even before their first line is run.

    They inherit the mask; what arrives meanwhile waits for this process.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # begun inside, it would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Crew:
    """Worker processes and the pipes to them."""

    def __init__(
        self,
        plan: StudyPlan,
        session: Session,
        scratch: Path,
        tally: _Tally,
        *,
        workers: int,
        stop: Callable[[], bool],
        trials: int | None,
    ) -> None:
        self._plan, self._session, self._scratch = plan, session, scratch
        self._tally, self._stop, self._trials = tally, stop, trials
        self._context = multiprocessing.get_context("spawn")
        self._pipes: dict[Connection, tuple[int, BaseProcess]] = {}
        self._busy: set[Connection] = set()
        self._deaths_in_a_row = 0
        self._next_worker = 0
        self._error: tuple[type[LiqtiersError], str] | None = None
        self._workers = workers

    def run(self) -> None:
        """Keep the workers going until there is no more to do, then wait for them."""
        try:
            for _ in range(self._workers):
                self._start()
            while self._pipes:
                for pipe in wait(list(self._pipes), timeout=_POLL_SECONDS):
                    assert isinstance(pipe, Connection)
                    self._serve(pipe)
                self._tally.recount_sometimes()
                self._tally.tick()
        finally:
            # Without their pipes workers end by themselves, after the trial they are at.
            for pipe in self._pipes:
                pipe.close()
            for _, process in self._pipes.values():
                process.join()
        if self._error is not None:
            kind, text = self._error
            raise kind(text)

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        number = self._next_worker
        self._next_worker += 1
        process = self._context.Process(
            target=worker_process,
            args=(self._plan, self._session, self._scratch, number, theirs),
            daemon=False,
        )
        with _unheard():
            process.start()
        theirs.close()
        self._pipes[ours] = (number, process)

    def _serve(self, pipe: Connection) -> None:
        try:
            kind, content = pipe.recv()
        except (EOFError, OSError):
            self._ended(pipe)
            return
        if kind == "done":
            self._busy.discard(pipe)
            self._deaths_in_a_row = 0
            self._tally.add(content)
        elif kind == "error":
            self._error = self._error or content
        else:
            self._answer(pipe)

    def _answer(self, pipe: Connection) -> None:
        goes_on = self._more()
        if goes_on:
            self._busy.add(pipe)
        try:
            pipe.send(goes_on)
        except OSError:
            self._ended(pipe)

    def _more(self) -> bool:
        """Return whether one more trial may begin."""
        if self._error is not None or self._stop():
            return False
        if self._trials is None:
            return True
        progress = self._tally.progress
        if progress.done + len(self._busy) >= self._trials:
            self._tally.recount()
        return progress.done + len(self._busy) < self._trials

    def _ended(self, pipe: Connection) -> None:
        _, process = self._pipes.pop(pipe)
        self._busy.discard(pipe)
        pipe.close()
        process.join()
        died = process.exitcode != 0
        if died:
            self._tally.progress.deaths += 1
            self._deaths_in_a_row += 1
            if self._deaths_in_a_row >= _DEATHS_IN_A_ROW and self._error is None:
                self._error = (
                    LakeError,
                    f"{_DEATHS_IN_A_ROW} workers died one after another without finishing a trial "
                    f"(exit code {process.exitcode}); is there enough memory? Fewer --workers need less",
                )
        if died and self._more():
            self._start()
        elif not died and not self._pipes and self._more():
            # The goal was in sight when the others ended, but one of them died before reaching it.
            self._start()
