"""Who suggests the next parameters, at a cost that does not grow with the number of trials.

Optuna's samplers read all trials so far for each suggestion; after some thousand that costs far more
than the replay. Here a sampler sees a study in memory that is begun anew every `RENEW_EVERY` trials.

"tpe" and "random" are functions of the trials in the storage and the seed: the memory holds the best
`CARRIED` trials up to the last renewal and all since, of all workers, and each suggestion has a random
stream of its own. One worker thus suggests the same again, whether it was interrupted or not.
"cmaes", "nsgaii" and "qmc" carry a state of their own, which other trials would disturb: each worker
goes its own way, from the start in each session.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial, TrialState

from ...datasets.errors import InputError
from .objective import Direction
from .space import SearchSpace

RENEW_EVERY: Final = 200
CARRIED: Final = 20
_RENEW_STATEFUL_EVERY: Final = 1000
_FOLLOWS_STORAGE: Final = frozenset({"tpe", "random"})


class Suggestion(NamedTuple):
    """What to try, and the trial in memory that hears of its folds."""

    params: dict[str, Any]
    trial: optuna.Trial


class _KnownSpaceTPE(TPESampler):
    """TPE that is told its space instead of finding it anew from all trials."""

    def __init__(self, seed: int, space: dict[str, BaseDistribution]) -> None:
        super().__init__(seed=seed)
        self._known_space = space

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {name: d for name, d in self._known_space.items() if not d.single()}


_Space = dict[str, BaseDistribution]

SAMPLERS: Final[Mapping[str, Callable[[int, _Space], BaseSampler]]] = {
    "tpe": _KnownSpaceTPE,
    "cmaes": lambda seed, _: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "nsgaii": lambda seed, _: NSGAIISampler(seed=seed),
    "qmc": lambda seed, _: QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
    "random": lambda seed, _: RandomSampler(seed=seed),
}
PRUNERS: Final[Mapping[str, Callable[[], BasePruner]]] = {
    "wilcoxon": lambda: WilcoxonPruner(p_threshold=0.1),
    "median": lambda: MedianPruner(n_startup_trials=20, n_warmup_steps=1),
    "none": NopPruner,
}
_SINGLE_GOAL_ONLY: Final = frozenset({"cmaes"})


def check_sampler(name: str, *, goals: int) -> None:
    """Raise an InputError if there is no such sampler, or it cannot do what is asked."""
    if name not in SAMPLERS:
        raise InputError(f"there is no sampler {name!r}; they are {', '.join(SAMPLERS)}")
    if goals > 1 and name in _SINGLE_GOAL_ONLY:
        raise InputError(f"the sampler {name} knows one goal only: use tpe or nsgaii for two")
    if name == "cmaes" and importlib.util.find_spec("cmaes") is None:
        raise InputError("the sampler cmaes needs the package cmaes: pip install cmaes")


def check_pruner(name: str) -> None:
    """Raise an InputError if there is no such pruner."""
    if name not in PRUNERS:
        raise InputError(f"there is no pruner {name!r}; they are {', '.join(PRUNERS)}")


class Suggester:
    """Suggests parameters and says when a trial may stop early.

    Parameters
    ----------
    space : SearchSpace
    sampler, pruner : str
        See `SAMPLERS` and `PRUNERS`.
    directions : sequence of {"minimize", "maximize"}
        One a goal.
    seed, worker : int
        The stream of random numbers is that of both.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        sampler: str,
        pruner: str,
        directions: Sequence[Direction],
        seed: int,
        worker: int,
    ) -> None:
        check_sampler(sampler, goals=len(directions))
        self._space = space
        self._dimensions = {d.name: d for d in space.outer}
        self._sampled = {d.name: d.sampled() for d in space.outer}
        self._sampler = sampler
        self._pruner = pruner if len(directions) == 1 else "none"
        self._directions = list(directions)
        self._entropy = (seed, worker)
        self._follows = sampler in _FOLLOWS_STORAGE
        self._era = -1
        self._asked = 0
        self._seen = 0
        self._carried: list[FrozenTrial] = []
        self._memory: optuna.Study | None = None

    def ask(self, known: Sequence[FrozenTrial]) -> Suggestion:
        """Return the next suggestion.

        Parameters
        ----------
        known : sequence of FrozenTrial
            All finished trials of all workers, in the order of the storage.
        """
        memory = self._remember(known)
        if self._follows:
            memory.sampler = SAMPLERS[self._sampler](self._seed(len(known)), self._sampled)
        if not known and self._entropy[1] == 0:
            # The defaults come first, so that the best is never worse than they are.
            defaults = self._space.defaults()
            if defaults is not None:
                memory.enqueue_trial(defaults)
        self._asked += 1
        trial = memory.ask(fixed_distributions=self._sampled)
        params = {name: d.value(trial.params[name]) for name, d in self._dimensions.items()}
        return Suggestion(params, trial)

    def tell(
        self,
        suggestion: Suggestion,
        values: Sequence[float] | None,
        *,
        state: TrialState,
        short: float,
    ) -> None:
        """Say how a suggestion ended, after it was stored; `short` is the share of trades missing."""
        assert self._memory is not None
        trial = suggestion.trial
        if self._follows:
            # It comes back from the storage, in its order; here it is out of the way.
            self._memory.tell(trial, state=TrialState.FAIL)
            return
        if short > 0.0 and values is not None and self._sampler in ("cmaes", "qmc"):
            values = [values[0] - _PENALTY * short]
        elif short > 0.0:
            trial.set_constraint("few trades", short)
        told = values if state == TrialState.COMPLETE else None
        self._memory.tell(trial, values=told, state=state)

    def _seed(self, ordinal: int) -> int:
        return int(np.random.SeedSequence([*self._entropy, ordinal]).generate_state(1)[0])

    def _remember(self, known: Sequence[FrozenTrial]) -> optuna.Study:
        if not self._follows:
            if self._memory is None or self._asked % _RENEW_STATEFUL_EVERY == 0:
                seed = self._seed(len(known))
                self._memory = self._new_memory(SAMPLERS[self._sampler](seed, self._sampled))
            return self._memory
        era = len(known) // RENEW_EVERY
        if self._memory is None or era != self._era:
            for past in range(max(self._era, 0), era):
                fresh = known[past * RENEW_EVERY : (past + 1) * RENEW_EVERY]
                self._carried = self._best([*self._carried, *fresh])
            self._era, self._seen = era, era * RENEW_EVERY
            self._memory = self._new_memory(RandomSampler(seed=0))
            self._memory.add_trials([self._stripped(trial) for trial in self._carried])
        for trial in known[self._seen :]:
            self._memory.add_trial(self._stripped(trial))
        self._seen = len(known)
        return self._memory

    def _new_memory(self, sampler: BaseSampler) -> optuna.Study:
        return optuna.create_study(
            directions=self._directions, sampler=sampler, pruner=PRUNERS[self._pruner]()
        )

    def _stripped(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial without what the sampler did not suggest."""
        names = [name for name in self._sampled if name in trial.params]
        return optuna.trial.create_trial(
            state=trial.state,
            values=trial.values,
            params={name: trial.params[name] for name in names},
            distributions={name: self._sampled[name] for name in names},
            intermediate_values=trial.intermediate_values,
            constraints=trial.constraints,
        )

    def _best(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        whole = [t for t in trials if t.state == TrialState.COMPLETE]
        if len(self._directions) == 1:
            sign = 1.0 if self._directions[0] == "minimize" else -1.0
            ranked = sorted(whole, key=lambda t: _rank(t, sign))
        else:
            ranked = _layers(whole, self._directions)
        # Without some that are not good a sampler would have to find out again what is not.
        others = ranked[CARRIED:]
        return ranked[:CARRIED] + others[:: max(len(others) // CARRIED, 1)][:CARRIED]


_PENALTY: Final = 10.0
"""What a trial without any trade loses in the eyes of a sampler that knows no constraints."""


def violation(trial: FrozenTrial) -> float:
    """Return by how much a trial breaks its constraints; 0 if it keeps them."""
    return float(sum(max(value, 0.0) for value in trial.constraints.values()))


def _rank(trial: FrozenTrial, sign: float) -> tuple[float, float]:
    return violation(trial), sign * float(trial.values[0])


def _layers(trials: Sequence[FrozenTrial], directions: Sequence[str]) -> list[FrozenTrial]:
    """Return trials by how many others are better in every goal, those that keep constraints first."""
    if not trials:
        return []
    signs = np.array([1.0 if d == "minimize" else -1.0 for d in directions])
    costs = np.array([t.values for t in trials]) * signs
    worse = (costs[:, None] <= costs[None]).all(axis=2) & (costs[:, None] < costs[None]).any(axis=2)
    dominated = worse.sum(axis=0)
    order = sorted(range(len(trials)), key=lambda i: (violation(trials[i]), int(dominated[i]), i))
    return [trials[i] for i in order]


def pruner_report(name: str, sharpes: Sequence[float]) -> float:
    """Return what a pruner is told after a fold: the fold's own figure, or the mean so far."""
    return float(np.mean(sharpes)) if name == "median" else float(sharpes[-1])
