"""A study as its page reads it: found by any name, and refused where it is not whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.reports.tuning_record import find_study, known_studies, read_study
from liqtiers.reports.tuning_report import write_tuning_report
from made_up_studies import change_outcome

MakeStudy = Callable[..., Path]


def test_trials_are_read_with_their_scores(made_study: MakeStudy) -> None:
    """Scores are the stored values; what was stopped early has none; the winner is the record's."""
    record = read_study(made_study(trials=1, pruned=3))
    stored = pq.read_table(record.folder / "trials.parquet").to_pylist()
    assert record.trials["score"].tolist()[0] == stored[0]["values"][0]
    assert np.isnan(record.trials["score"][1:]).all()
    assert record.scored["number"].tolist() == [0]
    assert record.winner["number"] == record.outcome["winner"]["number"] == 0


def test_study_is_found_by_name_and_folder(make_study: MakeStudy, tmp_path: Path) -> None:
    """By the name in the workspace or by its path; nothing else is a study."""
    folder = make_study(trials=1)
    assert find_study(tmp_path, "night") == folder
    assert find_study(tmp_path, str(folder)) == folder
    assert known_studies(tmp_path) == ["night"]
    (tmp_path / "studies" / "other").mkdir()
    for name in ("", "other", "latest", ".."):
        assert find_study(tmp_path, name) is None


def test_a_closed_holdout_is_told(tmp_path: Path) -> None:
    """A study that still runs has no report, and the reader learns why."""
    folder = tmp_path / "studies" / "night"
    folder.mkdir(parents=True)
    (folder / "journal.log").write_text("")
    assert find_study(tmp_path, "night") == folder
    with pytest.raises(InputError, match="the holdout of night was not opened yet"):
        read_study(folder)


def cut_trials(folder: Path) -> None:
    (folder / "trials.parquet").write_bytes(b"PAR1")


def lose_winner(folder: Path) -> None:
    table = pq.read_table(folder / "trials.parquet")
    pq.write_table(table.slice(0, 0), folder / "trials.parquet")


def lose_column(folder: Path) -> None:
    table = pq.read_table(folder / "trials.parquet")
    pq.write_table(table.drop_columns(["feasible"]), folder / "trials.parquet")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "trials.parquet").unlink(), r"trials\.parquet is not whole"),
        (cut_trials, r"trials\.parquet is not whole"),
        (lose_winner, r"trials\.parquet lacks the winner, trial 0"),
        (lose_column, r"trials\.parquet lacks the columns feasible"),
        (lambda f: change_outcome(f, lambda o: o.pop("winner")), r"outcome\.json lacks something"),
        (lambda f: change_outcome(f, lambda o: o.pop("space")), "record lacks something .*'space'"),
    ],
)  # fmt: skip
def test_a_damaged_study_is_told(
    make_study: MakeStudy, damage: Callable[[Path], object], message: str
) -> None:
    """What is missing is named with its file, and no page is written."""
    folder = make_study(trials=1)
    damage(folder)
    with pytest.raises(InputError, match=message):
        write_tuning_report(folder)
    assert not (folder / "report.html").exists()
