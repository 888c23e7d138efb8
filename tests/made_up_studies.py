"""Studies made up for tests of what is reported: real folds and a real holdout, trials that cost nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from tuning_worlds import (
    fixed_clock,
    hill,
    hourly_panel,
    run_small,
    small_plan,
    small_space,
    tuning_market,
    whole_market,
)

from liqtiers.strategies.parameters import TierBreakoutParameters
from liqtiers.strategies.tuning import (
    Market,
    ObjectiveParameters,
    Run,
    Segment,
    identity_of,
    open_holdout,
)
from liqtiers.strategies.tuning.holdout import run_reference, segment_equity

SERIES = ["--venue", "own", "--symbol", "DATA", "--timeframe", "1h", "--no-calibrate"]
HOSTILE = "</script><img src=x onerror='window.struck = 1'><script>window.struck = 1</script>"


@cache
def half_a_year() -> Market:
    """A market of 180 days."""
    return whole_market(hourly_panel(180 * 24))


def hill_before_the_holdout(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> Run:
    """Trials are scored by the hill; the holdout is run in backtrader, which needs no compiling."""
    if len(market.panel) > segment.stop or market is not half_a_year():
        return hill(market, parameters, map_name, segment)
    found = run_reference(market, parameters, map_name, segment)
    return Run(segment_equity(found, segment), found.trades.num_rows)


def write_made_up_study(
    workspace: Path, *, name: str = "night", trials: int = 24, pruned: int = 0, goal: str = "sharpe"
) -> Path:
    """Write a study of so many completed trials and some that were stopped early; return its folder."""
    market, folder = half_a_year(), workspace / "studies" / name
    plan = small_plan(
        market,
        name=name,
        space=small_space(values={"target": ("tier", "next")}),
        objective=ObjectiveParameters(min_trades=4, goal=goal),
    )
    study, *_ = run_small(folder, trials=trials, plan=plan, market=market)
    for _ in range(pruned):
        study.add_trial(stopped_early(study.trials[0]))
    open_holdout(
        folder,
        plan,
        study,
        market,
        identity=identity_of(plan, tuning_market(market, plan)),
        opened_at=fixed_clock(),
        command=f"liqtiers tune {name} --trials {trials}",
        session={
            "seed": 7,
            "sampler": "tpe",
            "workers": 1,
            "storage": None,
            "series": SERIES,
        },
        evaluate=hill_before_the_holdout,
    )
    return folder


def stopped_early(trial: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
    """The same trial, given up after its first fold."""
    folds = {k: v[:1] for k, v in trial.user_attrs.items() if k.startswith("fold_")}
    return optuna.trial.create_trial(
        state=TrialState.PRUNED,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={**folds, "evaluations": 1},
        intermediate_values={0: -1.0},
    )


def change_outcome(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a study's record by hand."""
    path = folder / "outcome.json"
    outcome = json.loads(path.read_text())
    change(outcome)
    path.write_text(json.dumps(outcome))


def make_hostile(outcome: dict[str, Any]) -> None:
    """Put markup wherever a name of the user's or a vendor's may stand."""
    outcome["study"] = outcome["command"] = HOSTILE
    outcome["identity"]["panel"]["series"] = f"own {HOSTILE} 1h"
    outcome["identity"]["maps"] = {HOSTILE: "0" * 16}
    outcome["winner"]["map"] = HOSTILE
    outcome["verdict"]["reservations"] = [HOSTILE]
    for row in outcome["winner"]["parameters"]:
        row["meaning"], row["unit"] = HOSTILE, f"$$\\frac{{1}}{{2}}$$ {HOSTILE}"
    outcome["session"] |= {"series": ["--symbol", HOSTILE], "sampler": HOSTILE, "storage": HOSTILE}
