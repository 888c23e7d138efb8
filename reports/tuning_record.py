"""A study on disk, as its page reads it: outcome.json and trials.parquet of ``studies/<name>/``.

Nothing is run again: what the page shows was written down when the holdout was opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..datasets.errors import InputError
from ..strategies.tuning.objective import SHARPE
from ..strategies.tuning.outcome import OUTCOME_FILE, TRIALS_FILE, read_outcome
from ..strategies.tuning.storage import JOURNAL_FILE
from .formatting import number, percent

STUDIES: Final = "studies"
_COLUMNS: Final = ("number", "state", "values", "feasible")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyRecord:
    """A study whose holdout was opened.

    Attributes
    ----------
    folder : Path
    outcome : dict
        outcome.json.
    trials : DataFrame
        One row a finished trial, by number: ``number``, ``state``, ``feasible``, ``score`` (the first
        goal's value; NaN where it was not completed), ``second`` (the second goal's), parameters.
    """

    folder: Path
    outcome: dict[str, Any]
    trials: pd.DataFrame

    @property
    def two_goals(self) -> bool:
        """Whether return stands against drawdown, instead of one score."""
        return bool(self.outcome["objective"]["goal"] != SHARPE)

    @property
    def scored(self) -> pd.DataFrame:
        """The trials that have a score."""
        known: pd.DataFrame = self.trials[np.isfinite(self.trials["score"])]
        return known

    @property
    def winner(self) -> pd.Series[Any]:
        """The winner's row."""
        (row,) = np.flatnonzero(self.trials["number"] == self.outcome["winner"]["number"])
        return self.trials.iloc[row]

    @property
    def score_name(self) -> str:
        """What a trial's (first) value is, for an axis."""
        return "Return a year (%)" if self.two_goals else "Score (yearly Sharpe)"

    def score_text(self, score: float | None) -> str:
        """Return a trial's first value in words."""
        return percent(score) if self.two_goals else number(score)

    def score_scale(self) -> float:
        """Return what a score is multiplied with where it is drawn."""
        return 100.0 if self.two_goals else 1.0


def read_study(folder: Path) -> StudyRecord:
    """Return a study.

    Raises
    ------
    InputError
        If its holdout was never opened, or its files are not whole.
    """
    outcome = read_outcome(folder)
    if outcome is None:
        raise InputError(
            f"the holdout of {folder.name} was not opened yet, so that there is nothing to report: the "
            "command that began the study goes on with it"
        )
    path = folder / TRIALS_FILE
    try:
        table = pq.read_table(path)
        missing = [name for name in _COLUMNS if name not in table.column_names]
        if missing:
            raise InputError(f"{path} lacks the columns {', '.join(missing)}")
        record = StudyRecord(folder=folder, outcome=outcome, trials=_trials(table))
        if outcome["winner"]["number"] not in set(record.scored["number"]):
            raise InputError(f"{path} lacks the winner, trial {outcome['winner']['number']}")
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is not whole: {error}") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / OUTCOME_FILE} lacks something: {error}") from error
    return record


def _trials(table: pa.Table) -> pd.DataFrame:
    values = table["values"].to_pylist()
    frame: pd.DataFrame = table.drop_columns(["values"]).to_pandas()
    frame["score"] = np.array([_value(v, 0) for v in values], dtype=np.float64)
    frame["second"] = np.array([_value(v, 1) for v in values], dtype=np.float64)
    frame["feasible"] = frame["feasible"].astype(bool)
    return frame.sort_values("number").reset_index(drop=True)


def _value(values: list[float | None] | None, goal: int) -> float:
    found = values[goal] if values is not None and len(values) > goal else None
    return np.nan if found is None else found


def find_study(workspace: Path, name: str) -> Path | None:
    """Return the folder of a study by path or name, or None if there is none of that name."""
    for candidate in (Path(name), workspace / STUDIES / name):
        if name and _is_study(candidate):
            return candidate
    return None


def known_studies(workspace: Path) -> list[str]:
    """Return the names of the workspace's studies."""
    folders = sorted((workspace / STUDIES).glob("[!.]*"))
    return [folder.name for folder in folders if _is_study(folder)]


def _is_study(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (OUTCOME_FILE, JOURNAL_FILE))
