"""A study's identity: what was begun otherwise is refused, and the difference is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from tuning_worlds import hourly_panel, small_plan, small_space, tuning_market, whole_market

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.strategies.parameters import CostParameters
from liqtiers.strategies.tuning import (
    Market,
    ObjectiveParameters,
    StudyPlan,
    check_name,
    finished,
    identity_of,
    make_folds,
    open_storage,
    open_study,
)
from liqtiers.strategies.tuning.storage import quiet
from liqtiers.strategies.tuning.study import IDENTITY, differences


@pytest.fixture(scope="module")
def market() -> Market:
    return whole_market()


@pytest.fixture(scope="module")
def plan(market: Market) -> StudyPlan:
    return small_plan(market)


def reopen(tmp_path: Path, plan: StudyPlan, tuned: Market) -> optuna.Study:
    return open_study(open_storage(str(tmp_path / "journal.log")), plan, identity_of(plan, tuned))


def test_the_same_study_opens_again(tmp_path: Path, market: Market, plan: StudyPlan) -> None:
    """The same name and the same identity are the same study, with its identity kept in it."""
    tuned = tuning_market(market, plan)
    first = reopen(tmp_path, plan, tuned)
    again = reopen(tmp_path, plan, tuned)
    assert first.user_attrs[IDENTITY] == again.user_attrs[IDENTITY] == identity_of(plan, tuned)
    assert again.user_attrs[IDENTITY]["panel"]["series"] == "own DATA 1h"


def test_other_bars_are_refused(tmp_path: Path, market: Market, plan: StudyPlan) -> None:
    """A panel that differs in one price is another one."""
    reopen(tmp_path, plan, tuning_market(market, plan))
    other = tuning_market(whole_market(hourly_panel(seed=4)), plan)
    with pytest.raises(InputError, match="panel: fingerprint was .*, now .*another name"):
        reopen(tmp_path, plan, other)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"space": small_space(ranges={"stop_atr": (1.0, 3.0)})},
            "space: stop_atr was 0.5 to 6, now 1 to 3",
        ),
        ({"objective": ObjectiveParameters(min_trades=9)}, "objective: min_trades was 4, now 9"),
        ({"pruner": "median"}, "objective: pruner was none, now median"),
    ],
)
def test_another_plan_is_refused(
    tmp_path: Path, market: Market, plan: StudyPlan, changed: dict[str, object], told: str
) -> None:
    """Another space, objective or pruner under the same name is refused, and named."""
    reopen(tmp_path, plan, tuning_market(market, plan))
    other = replace(plan, **changed)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=told):
        reopen(tmp_path, other, tuning_market(market, other))


def test_other_folds_costs_and_code_are_told(
    market: Market, plan: StudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part of the identity shows in the differences."""
    now = identity_of(plan, tuning_market(market, plan))
    folds = make_folds(
        len(market.panel),
        folds=4,
        holdout=0.2,
        gap_bars=48,
        bar_us=market.panel.bar_us,
        scheme="rolling",
    )
    told = differences(now, identity_of(replace(plan, folds=folds), tuning_market(market, plan)))
    assert told == ["folds: scheme was anchored, now rolling"]
    dear = replace(tuning_market(market, plan), costs=CostParameters(taker_fee=0.001))
    assert differences(now, identity_of(plan, dear)) == ["costs: taker_fee was 0.0005, now 0.001"]
    monkeypatch.setattr("liqtiers.strategies.tuning.study.code_fingerprint", lambda: "other")
    changed = identity_of(plan, tuning_market(market, plan))
    assert [d.partition(" was")[0] for d in differences(now, changed)] == ["code: sources"]


def test_a_strangers_study_is_refused(tmp_path: Path, market: Market, plan: StudyPlan) -> None:
    """A study with trials that is not ours is left alone."""
    with quiet():
        study = optuna.create_study(
            storage=open_storage(str(tmp_path / "journal.log")),
            study_name=plan.name,
            direction="maximize",
        )
    study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(InputError, match="is not one of liqtiers"):
        reopen(tmp_path, plan, tuning_market(market, plan))


def test_a_storage_that_does_not_answer_is_told(
    tmp_path: Path, market: Market, plan: StudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that went away in the night is one line that says that nothing is lost."""
    study = reopen(tmp_path, plan, tuning_market(market, plan))

    def gone(**_: object) -> list[optuna.trial.FrozenTrial]:
        raise optuna.exceptions.StorageInternalError("psycopg://me:secret@host")

    monkeypatch.setattr(study, "get_trials", gone)
    with pytest.raises(LakeError, match="cannot read the study 'small'.*is safe") as caught:
        finished(study)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden", "x" * 65, "a/b"])
def test_a_name_must_be_a_folders(name: str) -> None:
    """What could leave the studies' folder, or hide in it, is no name."""
    with pytest.raises(InputError, match="the study's name is"):
        check_name(name)
    check_name("btc-5m_2026.1")
