"""Which run stands for a study where runs are put side by side.

A study holds no run that could stand beside others: its trials are replayed fold by fold. Its winner's run
is the one that was made by the command which the study names at its end, word by word.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from ..datasets.errors import InputError
from ..strategies.tuning.outcome import read_outcome
from ._page import told_of_record
from .evidence.record import find_evidence
from .run_record import RUN_FILE, known_runs
from .tuning_record import find_study
from .tuning_words import DEFAULT_MAP, winning_command


def find_winners_run(workspace: Path, name: str) -> Path | None:
    """Return the newest run of the winner of a study, or None if there is no study of that name.

    Raises
    ------
    InputError
        If it is a study without such a run; the message says what would be right.
    """
    study = find_study(workspace, name)
    if study is not None:
        with told_of_record(study, "study"):
            return _winners_run(workspace, study)
    if find_evidence(workspace, name) is not None:
        raise InputError(
            f"--compare takes runs, and {name} is a study of evidence, which trades nothing: name a run "
            "that liqtiers backtest made"
        )
    return None


def _winners_run(workspace: Path, study: Path) -> Path:
    told = f"--compare takes runs, and {study.name} is a study"
    outcome = read_outcome(study)
    if outcome is None:
        raise InputError(
            f"{told} that has no winner yet, since its holdout is closed: go on with the command that "
            "began it"
        )
    if outcome["winner"]["map"] != DEFAULT_MAP:
        raise InputError(
            f"{told} whose winner's map, {outcome['winner']['map']}, liqtiers backtest does not draw: name "
            "a run"
        )
    command = winning_command(outcome)
    runs = [run for run in known_runs(workspace) if _made_by(command, workspace / "runs" / run)]
    if not runs:
        more = "" if outcome["session"].get("series") else " with --venue, --symbol and the rest"
        raise InputError(f"{told} whose winner was not run yet: run it first by {command}{more}")
    return workspace / "runs" / runs[-1]


def _made_by(command: str, run: Path) -> bool:
    try:
        made = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))["command"]
        return shlex.split(made) == shlex.split(command)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False  # what cannot be read is no winner's run
