"""When a holdout was opened, and for which winner.

It is noted in the study's storage before the first bar is read, so that each machine that tunes the study
knows of it, whatever folder the outcome was written to; and in ``outcome.json``, which remembers where the
storage was deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import optuna

from ...datasets.errors import InputError, LakeError
from .storage import why_storage_failed

OPENED: Final = "liqtiers holdout opened"
"""How the study's user attributes begin that hold an opening; each has one of its own."""

Opening = dict[str, Any]
"""``at`` (UTC, ISO), ``winner`` (number of the trial) and ``trials`` (how many there were)."""


def openings_of(study: optuna.Study, outcome: Mapping[str, Any] | None) -> list[Opening]:
    """Return all openings of a study's holdout, in time order.

    Parameters
    ----------
    study : optuna.Study
    outcome : mapping or None
        See `read_outcome`.
    """
    noted = [v for k, v in study.user_attrs.items() if k.startswith(OPENED)]
    written = [] if outcome is None else outcome["openings"]
    by_moment = {opening["at"]: dict(opening) for opening in [*written, *noted]}
    return [by_moment[moment] for moment in sorted(by_moment)]


def check_unopened(past: Sequence[Opening], name: str, winner: int, *, reopen: bool) -> None:
    """Raise an InputError if the holdout was opened for another winner, unless that is wanted."""
    if not past or reopen or past[-1]["winner"] == winner:
        return
    raise InputError(
        f"the holdout of {name} was opened on {past[-1]['at']} for trial {past[-1]['winner']}, and trial "
        f"{winner} is now the best: tuning went on after the answer was seen. Begin a study of another "
        "name, or add --reopen, which the record will show"
    )


def note_opening(study: optuna.Study, past: Sequence[Opening], opening: Opening) -> list[Opening]:
    """Note an opening and return all; another look at the same winner is none.

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    if past and past[-1]["winner"] == opening["winner"]:
        return list(past)
    try:
        study.set_user_attr(f"{OPENED} {opening['at']} for trial {opening['winner']}", opening)
    except (OSError, optuna.exceptions.StorageInternalError) as error:
        raise LakeError(
            f"cannot note in the study {study.study_name!r} that its holdout is opened: "
            f"{why_storage_failed(error)}"
        ) from error
    return [*past, opening]
