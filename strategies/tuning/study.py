"""A study: its name, what it is a study of, and its trials.

A study's identity is everything on which the worth of a trial depends: the bars, the maps, the code, the
space, the folds, the objective and the costs. It is kept with the study, in words, and a study that was
begun with another one is refused with the difference named: trials that mean different things must not
stand in one list. The sampler, its seed and the number of workers may change from session to session.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from ...datasets.errors import InputError, LakeError
from ...datasets.map_features import MapFeatures, TierLadder
from ..parameters import ParameterSet
from .folds import Folds
from .market import Market
from .objective import DIRECTIONS, Direction, ObjectiveParameters
from .space import SearchSpace
from .storage import quiet, why_storage_failed

IDENTITY: Final = "liqtiers"
"""The study's user attribute that holds its identity."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Identity = dict[str, dict[str, str]]
"""Sections (``panel``, ``folds`` …) of names and values in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """What is tuned, apart from the data.

    Attributes
    ----------
    name : str
    space : SearchSpace
    folds : Folds
    objective : ObjectiveParameters
    pruner : str
        See `samplers.PRUNERS`.
    """

    name: str
    space: SearchSpace
    folds: Folds
    objective: ObjectiveParameters
    pruner: str

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Whether each value of a trial is better when it is larger, in Optuna's words."""
        return DIRECTIONS[self.objective.goal]


def check_name(name: str) -> None:
    """Raise an InputError if a text cannot be a study's name, which is also its folder's."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"the study's name is {name!r}: use letters, digits, dots, dashes and underscores, at "
            "most 64, the first a letter or digit"
        )


def identity_of(plan: StudyPlan, market: Market) -> Identity:
    """Return what makes this study's trials comparable, in words.

    Parameters
    ----------
    plan : StudyPlan
    market : Market
        As the tuner gets it, without the holdout.
    """
    panel = market.panel
    folds = plan.folds
    return {
        "panel": {
            "series": f"{panel.venue} {panel.symbol} {panel.timeframe}",
            "bars": f"{len(panel)} from {_day(panel.ts[0])} to {_day(panel.close_ts[-1])}",
            "fingerprint": panel.fingerprint(),
        },
        "maps": {name: features_fingerprint(features) for name, features in market.maps.items()},
        "code": {"version": version("liqtiers"), "sources": code_fingerprint()},
        "space": plan.space.told(),
        "folds": {
            "scored": f"{len(folds.tests)} of {folds.segments[0].bars} bars",
            "gap": f"{folds.gap_bars} bars",
            "holdout": f"{folds.holdout.bars} bars",
            "scheme": folds.scheme,
        },
        "objective": {**_words(plan.objective), "pruner": plan.pruner},
        "costs": {
            **_words(market.costs),
            "cash": f"{market.cash:g}",
            "lot": f"{market.instrument.lot:g}",
            "brackets": market.instrument.brackets.source,
        },
    }


def open_study(
    storage: optuna.storages.BaseStorage, plan: StudyPlan, identity: Identity
) -> optuna.Study:
    """Return the study of that name, begun now if there is none.

    Raises
    ------
    InputError
        If there is one of another identity; the first differences are named.
    LakeError
        If it cannot be written or read.
    """
    try:
        with quiet():
            study = _found_or_made(storage, plan)
            found = _identity_in(study) or _begun(study, identity)
    except (OSError, optuna.exceptions.OptunaError) as error:
        raise LakeError(
            f"cannot open the study {plan.name!r}: {why_storage_failed(error)}"
        ) from error
    told = differences(found, identity)
    if told:
        raise InputError(
            f"the study {plan.name!r} was begun otherwise: {'; '.join(told[:3])}"
            f"{f' and {len(told) - 3} more' if len(told) > 3 else ''}. Give this one another name"
        )
    return study


def _found_or_made(storage: optuna.storages.BaseStorage, plan: StudyPlan) -> optuna.Study:
    # To look first writes nothing: a study opens on a full disk, too.
    try:
        return optuna.load_study(study_name=plan.name, storage=storage)
    except KeyError:
        return optuna.create_study(
            storage=storage,
            study_name=plan.name,
            directions=list(plan.directions),
            load_if_exists=True,
        )


def _identity_in(study: optuna.Study) -> Identity | None:
    found: Identity | None = study.user_attrs.get(IDENTITY)
    return found


def _begun(study: optuna.Study, identity: Identity) -> Identity:
    if study.get_trials(deepcopy=False):
        # Another machine may have begun it since; its identity stands there before its first trial.
        found = _identity_in(study)
        if found is None:
            raise InputError(
                f"the study {study.study_name!r} is not one of liqtiers: use another name"
            )
        return found
    study.set_user_attr(IDENTITY, identity)
    return _identity_in(study) or identity


def differences(begun: Mapping[str, Mapping[str, str]], now: Identity) -> list[str]:
    """Return in words where two identities differ, one entry a section and name."""
    told = []
    for section in sorted({*begun, *now}):
        old, new = begun.get(section, {}), now.get(section, {})
        told += [
            f"{section}: {name} was {old.get(name, 'not there')}, now {new.get(name, 'not there')}"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    return told


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the finished trials in the order of their numbers.

    Raises
    ------
    LakeError
        If they cannot be read.
    """
    try:
        return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
    except (OSError, optuna.exceptions.StorageInternalError) as error:
        raise cannot_read(study, error) from error


def cannot_read(study: optuna.Study, error: Exception) -> LakeError:
    """Return what to raise when a study's storage does not answer."""
    return LakeError(
        f"cannot read the study {study.study_name!r}: {why_storage_failed(error)}. What is finished is "
        "safe; run the same command to go on"
    )


class TrialFeed:
    """The finished trials of a study, of which each look reads only what is new.

    `optuna.Study.get_trials` walks through all of them, which after some thousand costs as much as the
    sampler does.
    """

    def __init__(self, study: optuna.Study) -> None:
        # Optuna has no public way from a study to its storage.
        self._storage, self._study_id = study._storage, study._study_id
        self._known: list[FrozenTrial] = []
        self._next = 0
        self._unfinished: list[int] = []

    def look(self) -> list[FrozenTrial]:
        """Return all finished trials, in the order of their numbers but for those that took longer."""
        for trial_id in self._unfinished[:]:
            self._take(trial_id)
        while True:
            try:
                trial_id = self._storage.get_trial_id_from_study_id_trial_number(
                    self._study_id, self._next
                )
            except KeyError:
                return self._known
            self._next += 1
            self._unfinished.append(trial_id)
            self._take(trial_id)

    def _take(self, trial_id: int) -> None:
        trial = self._storage.get_trial(trial_id)
        if trial.state.is_finished():
            self._unfinished.remove(trial_id)
            self._known.append(trial)


def features_fingerprint(features: MapFeatures) -> str:
    """Return a hash of every array of a map's features (16 hex digits)."""
    digest = hashlib.sha256(repr(features.windows).encode())
    for f in fields(features):
        value = getattr(features, f.name)
        if isinstance(value, TierLadder):
            for part in fields(value):
                digest.update(np.ascontiguousarray(getattr(value, part.name)).tobytes())
        elif isinstance(value, np.ndarray):
            digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


@cache
def code_fingerprint() -> str:
    """Return a hash of the sources on which a trial's worth depends (16 hex digits)."""
    here = Path(__file__).parent
    paths: Sequence[Path] = [
        *(here.parents[1] / "datasets").glob("*.py"),
        *here.parent.glob("*.py"),
        *(here / f"{name}.py" for name in ("folds", "market", "objective")),
    ]
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def identity_text(identity: Mapping[str, Mapping[str, str]]) -> str:
    """Return one hash of an identity (16 hex digits)."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _words(parameters: ParameterSet) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(parameters).items()}


def _day(ts_us: np.int64) -> str:
    return str(np.datetime_as_string(np.datetime64(int(ts_us), "us"), unit="m"))
