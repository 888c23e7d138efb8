"""The end of a study: one look at the holdout, by both engines, and what is written of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tuning_worlds import run_small, small_plan, tuning_market, whole_market

from liqtiers.datasets.errors import InputError, LiqtiersError
from liqtiers.strategies.backtest import run_backtest
from liqtiers.strategies.parameters import TierBreakoutParameters
from liqtiers.strategies.tuning import (
    Market,
    ObjectiveParameters,
    Run,
    Segment,
    StudyPlan,
    evaluate,
    finished,
    identity_of,
    open_holdout,
    read_outcome,
)
from liqtiers.strategies.tuning.holdout import buy_and_hold, p_value
from liqtiers.strategies.tuning.market import warm_up_bars
from liqtiers.strategies.tuning.outcome import _importance, trials_frame

OPENED = datetime(2026, 5, 1, 7, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def market() -> Market:
    return whole_market()


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, market: Market
) -> tuple[Path, optuna.Study, StudyPlan]:
    """A study of three trials by the real engine, its holdout still closed."""
    folder = tmp_path_factory.mktemp("home") / "studies" / "small"
    study, _, plan, _ = run_small(folder, trials=3, market=market, evaluate=evaluate)
    return folder, study, plan


def opened(
    folder: Path, study: optuna.Study, plan: StudyPlan, market: Market, **more: Any
) -> dict[str, Any]:
    given = {"opened_at": OPENED, "command": "liqtiers tune small", **more}
    identity = identity_of(plan, tuning_market(market, plan))
    return open_holdout(folder, plan, study, market, identity=identity, **given)


def test_outcome_says_what_the_reference_run_says(
    done: tuple[Path, optuna.Study, StudyPlan], market: Market
) -> None:
    """Return and trades of the winner are those of backtrader over the holdout and its warm-up; the
    record says when it was opened; the files beside it hold the trials and the trades.
    """
    folder, study, plan = done
    outcome = opened(folder, study, plan, market)
    able = [t for t in finished(study) if sum(t.user_attrs["fold_trades"]) >= 4]
    winner = max(able, key=lambda t: t.values[0])
    assert outcome["winner"]["number"] == winner.number
    parameters = plan.space.parameters(winner.params)
    first = plan.folds.holdout.start - warm_up_bars(parameters)
    reference = run_backtest(
        market.panel.slice(first, len(market.panel)),
        market.maps["default"].slice(first, len(market.panel)),
        instrument=market.instrument,
        parameters=parameters,
    )
    held = outcome["holdout"]["winner"]
    assert held["return"] == pytest.approx(reference.equity["equity"][-1].as_py() / 100_000.0 - 1.0)
    assert held["trades"] == reference.trades.num_rows > 0
    assert outcome["openings"] == [
        {"at": "2026-05-01T07:00:00+00:00", "winner": winner.number, "trials": 3}
    ]
    assert outcome == json.loads((folder / "outcome.json").read_text()) == read_outcome(folder)
    assert pq.read_table(folder / "holdout_trades.parquet").equals(reference.trades)
    trials = pq.read_table(folder / "trials.parquet")
    assert trials["number"].to_pylist() == [0, 1, 2]
    assert {"stop_atr", "fold_sharpe", "state"} <= set(trials.column_names)


def test_the_same_winner_is_not_run_again(
    done: tuple[Path, optuna.Study, StudyPlan], market: Market
) -> None:
    """Asked again with the same winner, the record is returned as it stands."""
    folder, study, plan = done
    before = opened(folder, study, plan, market)
    later = opened(folder, study, plan, market, opened_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert later == before


def better(study: optuna.Study) -> None:
    trial = finished(study)[0]
    study.add_trial(
        optuna.trial.create_trial(
            values=[max(t.values[0] for t in finished(study)) + 1.0],
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=trial.user_attrs,
            constraints=trial.constraints,
        )
    )


def test_another_winner_is_refused_or_recorded(tmp_path: Path, market: Market) -> None:
    """After more trials another winner's look is refused; insisted upon, both looks are on record, and
    the error rate is shared between them.
    """
    folder = tmp_path / "studies" / "small"
    study, _, plan, _ = run_small(folder, trials=2, market=market)
    first = opened(folder, study, plan, market, evaluate=agreeing)
    run_small(folder, trials=30, market=market)
    with pytest.raises(InputError, match=r"was opened on 2026-05-01T07.*tuning went on after"):
        opened(folder, study, plan, market, evaluate=agreeing)
    assert read_outcome(folder) == first
    again = opened(folder, study, plan, market, evaluate=agreeing, reopen=True)
    assert [look["winner"] for look in again["openings"]] == [
        first["winner"]["number"],
        again["winner"]["number"],
    ]
    assert again["openings_of_series"] == 2
    assert any("opened 2 times" in told for told in again["verdict"]["reservations"])


def test_another_folder_knows_of_the_opening(tmp_path: Path, market: Market) -> None:
    """A holdout that one machine opened is open for all that share the storage: another folder may look at
    the same winner, which is no further opening, and at no other one.
    """
    homes = [tmp_path / name / "studies" / "small" for name in ("one", "two")]
    study, _, plan, _ = run_small(tmp_path / "shared", trials=2, market=market)
    first = opened(homes[0], study, plan, market, evaluate=agreeing)
    later = datetime(2026, 5, 2, tzinfo=UTC)
    same = opened(homes[1], study, plan, market, evaluate=agreeing, opened_at=later)
    assert same["openings"] == first["openings"]
    assert same["verdict"] == first["verdict"]
    (homes[1] / "outcome.json").unlink()
    run_small(tmp_path / "shared", trials=30, market=market)
    with pytest.raises(InputError, match=r"small was opened on 2026-05-01T07.*tuning went on"):
        opened(homes[1], study, plan, market, evaluate=agreeing, opened_at=later)
    again = opened(homes[1], study, plan, market, evaluate=agreeing, opened_at=later, reopen=True)
    assert again["openings_of_series"] == 2
    (homes[0] / "outcome.json").unlink()
    assert opened(homes[0], study, plan, market, evaluate=agreeing)["openings"] == again["openings"]


def agreeing(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> Run:
    """The hill before the holdout, where it was tuned on, and the reference in it."""
    from tuning_worlds import hill

    whole = len(market.panel) == segment.stop
    return (evaluate if whole else hill)(market, parameters, map_name, segment)


def test_looks_and_trials_of_other_studies_of_the_series_count(
    tmp_path: Path, market: Market
) -> None:
    """A second study of the same series, under another name, is a second look with more trials."""
    for name, trials in (("one", 3), ("two", 4)):
        folder = tmp_path / "studies" / name
        plan = small_plan(market, name=name)
        study, *_ = run_small(folder, trials=trials, plan=plan, market=market)
        outcome = opened(folder, study, plan, market, evaluate=agreeing)
    assert outcome["openings_of_series"] == 2
    assert outcome["search"]["evaluations"] == 4
    assert outcome["search"]["evaluations_of_series"] == 7


def test_importance_of_two_goals_is_that_of_their_return(market: Market) -> None:
    """With two goals a parameter matters by how it sets the highest returns apart, as it does where that
    return is the only goal.
    """
    two = small_plan(market, objective=ObjectiveParameters(min_trades=4, goal="return-drawdown"))
    one = small_plan(market)
    rng = np.random.default_rng(5)
    studies = [optuna.create_study(directions=list(plan.directions)) for plan in (one, two)]
    names = one.space.all_distributions()
    for _ in range(60):
        found = {
            "stop_atr": rng.uniform(0.5, 6.0),
            "min_fuel": rng.uniform(0.01, 5.0),
            "patience": 36,
        }
        # High returns hang on the stop, low ones on the fuel.
        growth = max(found["stop_atr"] - 5.0, 0.0) - max(found["min_fuel"] - 4.0, 0.0)
        for study, values in zip(studies, ([growth], [growth, 0.1]), strict=True):
            study.add_trial(
                optuna.trial.create_trial(values=values, params=found, distributions=names)
            )
    shares = [_importance(p, s) for p, s in zip((one, two), studies, strict=True)]
    assert shares[0] == pytest.approx(shares[1])
    assert shares[1]["stop_atr"] > shares[1]["min_fuel"]


def test_a_trial_that_failed_first_hides_no_column() -> None:
    """The table of trials has every parameter, also those that its first row lacks."""
    stop = optuna.distributions.FloatDistribution(0.5, 6.0)
    trials = [
        optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL),
        optuna.trial.create_trial(
            value=1.0, params={"stop_atr": 2.5}, distributions={"stop_atr": stop}
        ),
    ]
    assert trials_frame(trials)["stop_atr"].to_pylist() == [None, 2.5]


def test_one_trial_among_many_has_no_deflated_ratio(tmp_path: Path, market: Market) -> None:
    """Where all but one were stopped early it is not known how far trials lie apart: nothing is claimed."""
    folder = tmp_path / "studies" / "small"
    study, _, plan, _ = run_small(folder, trials=1, market=market)
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED))
    outcome = opened(folder, study, plan, market, evaluate=agreeing)
    assert outcome["search"]["deflated_sharpe_ratio"] is None
    assert any("ratio is not known" in told for told in outcome["verdict"]["reservations"])
    assert "nan" not in json.dumps(outcome["verdict"])


def off_by_a_little(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> Run:
    run = agreeing(market, parameters, map_name, segment)
    return run if len(market.panel) > segment.stop else run._replace(equity=run.equity * (1 + 1e-7))


def one_trade_more(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> Run:
    run = agreeing(market, parameters, map_name, segment)
    return run if len(market.panel) > segment.stop else run._replace(trades=run.trades + 1)


@pytest.mark.parametrize("engine", [off_by_a_little, one_trade_more])
def test_engines_that_differ_give_no_result(tmp_path: Path, market: Market, engine: Any) -> None:
    """A ten-millionth of equity or one trade between replay and backtrader is an error."""
    folder = tmp_path / "studies" / "small"
    study, _, plan, _ = run_small(folder, trials=2, market=market)
    with pytest.raises(LiqtiersError, match="the replay and backtrader differ"):
        opened(folder, study, plan, market, evaluate=engine)
    assert read_outcome(folder) is None


def test_a_trial_that_does_not_repeat_gives_no_result(tmp_path: Path, market: Market) -> None:
    """A winner whose score is another one when it is run again was scored on something else."""
    folder = tmp_path / "studies" / "small"
    study, _, plan, _ = run_small(folder, trials=2, market=market)
    better(study)
    with pytest.raises(LiqtiersError, match=r"trial 2 scored .* when it was run again"):
        opened(folder, study, plan, market, evaluate=agreeing)


def test_no_winner_is_told(tmp_path: Path, market: Market) -> None:
    """Where no trial has enough trades the holdout stays closed, and the most that there were is told."""
    plan = small_plan(market, objective=ObjectiveParameters(min_trades=100))
    study, *_ = run_small(tmp_path / "small", trials=2, plan=plan, market=market)
    with pytest.raises(InputError, match=r"none of 2 trials .* \(the most were 40\)"):
        opened(tmp_path / "small", study, plan, market)
    assert read_outcome(tmp_path / "small") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 99}', "{}"])
def test_a_damaged_outcome_is_told(tmp_path: Path, text: str) -> None:
    """What is no outcome is refused by its path."""
    (tmp_path / "outcome.json").write_text(text)
    with pytest.raises(InputError, match=r"outcome\.json is "):
        read_outcome(tmp_path)


def test_buy_and_hold_by_hand(market: Market) -> None:
    """Bought at the first open, sold at the last close, a fee each, a thousandth sold for funding."""
    panel = market.panel
    paid = np.zeros(len(panel))
    paid[101] = 0.001
    world = replace(market, panel=replace(panel, funding_settled=paid))
    found = buy_and_hold(world, Segment(100, 148))
    first, last = panel.open[100], panel.close[147]
    wanted = last / first * (1.0 - 0.0005) ** 2 * (1.0 - 0.001) - 1.0
    assert found.total == pytest.approx(wanted)
    assert len(found.equity) == len(np.unique(panel.ts[100:148] // 86_400_000_000))


def test_p_value_takes_the_less_sure_test() -> None:
    """Two lucky trades of ten among many flat days do not make a sure thing; too few trades make none."""
    daily = np.zeros(100)
    daily[::10] = 0.01
    trades = pa.table({"return_on_equity": [0.05, 0.05, *[-0.005] * 8]})
    few = pa.table({"return_on_equity": [0.05, 0.05]})
    assert p_value(daily, trades) > 0.1
    assert p_value(daily, pa.table({"return_on_equity": [0.009, 0.011] * 5})) < 0.01
    assert np.isnan(p_value(daily, few))
