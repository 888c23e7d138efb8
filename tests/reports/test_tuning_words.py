"""What a study's page says in words: each figure with what it means, and commands that can be run."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from liqtiers.reports import tuning_words as words
from liqtiers.reports.parameter_charts import axes_of
from liqtiers.reports.tuning_record import StudyRecord, read_study
from liqtiers.reports.tuning_tables import parameter_table
from liqtiers.strategies.parameters import TierBreakoutParameters, from_mapping
from made_up_studies import SERIES

MakeStudy = Callable[..., Path]


@pytest.fixture
def record(made_study: MakeStudy) -> StudyRecord:
    """A study read anew, which the test may change."""
    return read_study(made_study())


def test_winning_command_gives_the_winners_parameters(record: StudyRecord) -> None:
    """Its options, read back, are the winner's parameters to the last bit, over the same bars."""
    told = shlex.split(words.winning_command(record.outcome))
    assert told[: 2 + len(SERIES)] == ["liqtiers", "backtest", *SERIES]
    options = told[2 + len(SERIES) :]
    given = {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in zip(options[::2], options[1::2], strict=True)
    }
    found = asdict(from_mapping(TierBreakoutParameters, given))
    assert found == {r["name"]: r["value"] for r in record.outcome["winner"]["parameters"]}


def test_costs_that_differ_are_in_the_command(record: StudyRecord) -> None:
    """A study with other costs is run again with them."""
    record.outcome["costs"][0]["value"] = 0.00041
    assert words.winning_command(record.outcome).endswith("--taker-fee 0.00041")


def test_a_command_that_cannot_do_the_same_says_so(record: StudyRecord) -> None:
    """Another map than the default, or a record without its bars, is told with the command."""
    plain = words.command_note(record.outcome)
    assert "may differ" not in plain
    record.outcome["winner"]["map"] = "churn=0.02"
    record.outcome["session"] = {}
    told = words.command_note(record.outcome)
    assert "churn=0.02; the command draws the default one" in told
    assert "does not say which bars" in told


def test_dashboard_opens_the_storage(record: StudyRecord) -> None:
    """The study's journal beside the page, or the database that was shared."""
    journal = record.folder / "journal.log"
    assert shlex.split(words.dashboard_command(record)) == ["optuna-dashboard", str(journal)]
    assert journal.is_file()
    record.outcome["session"]["storage"] = "postgresql+psycopg://me@host/x"
    assert words.dashboard_command(record).endswith(" postgresql+psycopg://me@host/x")


@pytest.mark.parametrize(
    ("height", "told"),
    [
        (0.05, "5% of the way from typical to best: a spike"),
        (0.5, "a slope, neither plateau nor spike"),
        (0.9, ": a plateau"),
        (None, "cannot be said"),
    ],
)
def test_plateau_in_words(record: StudyRecord, height: float | None, told: str) -> None:
    """Spike, slope, plateau or unknown, with the three scores that it rests on."""
    near = record.outcome["search"]["plateau"]
    near |= {"height": height, "best": 2.5, "typical": -0.25, "neighbours": 1.125}
    text = words.plateau_words(record)
    assert told in text
    if height is not None:
        assert "score 1.12 in the middle; the winner scores 2.50, a typical trial -0.25" in text


@pytest.mark.parametrize(
    ("value", "tried", "told"),
    [
        (0.97, 5000, "0.97 is the confidence, 0 to 1, that the winner's Sharpe ratio"),
        (0.97, 5000, "Try 5,000 worthless settings"),
        (0.6, 300, "It is not: luck alone may give such a score."),
        (0.6, 1, "Only one setting was tried"),
        (None, 300, "Not known"),
    ],
)
def test_deflated_ratio_in_words(
    record: StudyRecord, value: float | None, tried: int, told: str
) -> None:
    """A trader reads how many settings were tried, how sure it is, and what would be sure."""
    record.outcome["search"] |= {"deflated_sharpe_ratio": value, "evaluations_of_series": tried}
    assert told in words.deflated_words(record.outcome)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.52, "in 52% of the splits it fell below the median trial there, in 60.0% it lost money"),
        (0.52, "Choosing by the past told nothing"),
        (0.3, "helped, but often failed"),
        (0.05, "mostly held"),
        (None, "Not known"),
    ],
)
def test_overfitting_in_words(record: StudyRecord, value: float | None, told: str) -> None:
    """A trader reads what was split, how often the best of the past failed, and what a coin would do."""
    record.outcome["search"]["overfitting"] |= {"probability": value, "loss": 0.6}
    assert told in words.overfitting_words(record.outcome)


@pytest.mark.parametrize(
    ("promised", "given", "told"),
    [(2.0, -0.5, "it is -0.50, 2.50 lower"), (1.0, 1.5, "it is 1.50, 0.50 higher"), (None, 1.0, "not known")],
)  # fmt: skip
def test_gap_in_words(record: StudyRecord, promised: Any, given: float, told: str) -> None:
    """How far the holdout fell short of the folds."""
    record.outcome["gap"] |= {"tuning_sharpe": promised, "holdout_sharpe": given}
    assert told in words.gap_words(record.outcome)


def test_walk_forward_averages_by_hand(record: StudyRecord) -> None:
    """What was promised and given on average, over the folds where both are known."""
    record.outcome["walk_forward"] = [
        {"trial": 1, "promised": 2.0, "given": -1.0},
        {"trial": 1, "promised": 1.0, "given": 0.5},
        {"trial": 2, "promised": None, "given": 9.0},
    ]
    assert "promised a Sharpe ratio of 1.50 and gave -0.25" in words.walk_forward_words(
        record.outcome
    )
    record.outcome["walk_forward"] = []
    assert "not known" in words.walk_forward_words(record.outcome)


def test_a_choice_of_maps_is_a_parameter(record: StudyRecord) -> None:
    """The map that won stands among the best parameters, beside the first one, which is the default."""
    maps = ["churn=0.02", "churn=0.05"]
    dimension = {"name": "map", "low": 0.0, "high": 0.0, "log": False, "choices": maps}
    record.outcome["space"].append(dimension)
    record.outcome["winner"]["found"]["map"] = maps[1]
    record.outcome["identity"]["space"]["map"] = " | ".join(maps)
    record.trials["map"] = maps[0]
    table = parameter_table(record, axes_of(record))
    (row,) = [cells for cells in table["rows"] if cells[0] == "map"]
    assert row[1:4] == ["churn=0.05", "churn=0.02", "churn=0.02 | churn=0.05"]
