"""The end of a study: the holdout is opened, once, and what it said is written down.

``studies/<name>/outcome.json`` (schema 1) holds everything that the morning report shows but the trials
themselves, which stay in the study's storage and are copied to ``trials.parquet`` beside it. Whoever
opens a holdout again after more trials has seen it before: that is refused, or recorded where the user
insists.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from ...datasets.errors import InputError, LakeError, LiqtiersError
from ...datasets.naming import DAY_US
from ..parameters import TierBreakoutParameters, parameter_rows
from .folds import tuning_features, tuning_panel
from .holdout import buy_and_hold, confirmed_run, figures_of, run_reference
from .honesty import deflated_sharpe_ratio, overfitting, plateau, walk_forward
from .market import Evaluate, Market, evaluate
from .objective import SHARPE, SegmentResult, day_ends, segment_result, sharpe_ratio, values_of
from .openings import check_unopened, note_opening, openings_of
from .samplers import violation
from .storage import quiet
from .study import Identity, StudyPlan, finished
from .trials import TrialTable, block_edges, evaluations_made, trial_table
from .verdict import tuning_verdict

SCHEMA_VERSION: Final = 1
OUTCOME_FILE: Final = "outcome.json"
TRIALS_FILE: Final = "trials.parquet"
TRADES_FILE: Final = "holdout_trades.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The best trial.

    Attributes
    ----------
    number : int
    value : float
        Its first value.
    found : dict
        What was suggested.
    parameters : TierBreakoutParameters
    map_name : str
    """

    number: int
    value: float
    found: dict[str, Any]
    parameters: TierBreakoutParameters
    map_name: str


def find_winner(plan: StudyPlan, trials: Sequence[FrozenTrial]) -> Winner | None:
    """Return the best completed trial with enough trades, or None if there is none.

    With two goals it is the one, among those that no other beats in both, with the highest return over
    its deepest drawdown. Of equal ones the first found wins.
    """
    able = [t for t in trials if t.state == TrialState.COMPLETE and violation(t) == 0.0]
    if not able:
        return None
    best = max(able, key=lambda t: (_worth(plan, t), -t.number))
    return Winner(
        number=best.number,
        value=float(best.values[0]),
        found=dict(best.params),
        parameters=plan.space.parameters(best.params),
        map_name=plan.space.map_name(best.params),
    )


def _worth(plan: StudyPlan, trial: FrozenTrial) -> float:
    if plan.objective.goal == SHARPE:
        return float(trial.values[0])
    growth, drawdown = trial.values
    return float(growth / max(drawdown, 1e-6)) if growth > 0.0 else float(growth)


def open_holdout(
    folder: Path,
    plan: StudyPlan,
    study: optuna.Study,
    market: Market,
    *,
    identity: Identity,
    opened_at: datetime,
    command: str,
    session: Mapping[str, Any] | None = None,
    reopen: bool = False,
    evaluate: Evaluate = evaluate,
) -> dict[str, Any]:
    """Run the winner over the holdout, write the outcome and return it.

    Parameters
    ----------
    folder : Path
        The study's; those of other studies lie beside it.
    plan : StudyPlan
    study : optuna.Study
    market : Market
        Over all bars, the holdout included.
    identity : Identity
    opened_at : datetime
        The present moment, UTC.
    command : str
        What the user typed, for the record.
    session : mapping, optional
        How the last session was run: ``seed``, ``sampler``, ``workers``, ``storage`` (an address without
        its password; None for the study's own journal) and ``series``, the options by which
        ``liqtiers backtest`` gets the same bars. For the record alone.
    reopen : bool
        Whether a holdout that was opened for another winner may be opened again.
    evaluate : callable
        The tuner's engine.

    Returns
    -------
    dict
        What outcome.json holds.

    Raises
    ------
    InputError
        If no trial has enough trades, or the holdout was opened for another winner.
    LiqtiersError
        If the two engines differ.
    LakeError
        If the opening or the outcome cannot be written.

    Notes
    -----
    Look-ahead: everything that chooses or judges the search is computed before the first bar of the
    holdout is run.
    """
    trials = finished(study)
    winner = find_winner(plan, trials)
    if winner is None:
        raise InputError(_nothing_won(plan, trials))
    before = read_outcome(folder)
    past = openings_of(study, before)
    check_unopened(past, plan.name, winner.number, reopen=reopen)
    if before is not None and before["winner"]["number"] == winner.number:
        return before
    tuning = Market(
        panel=tuning_panel(market.panel, plan.folds),
        maps={name: tuning_features(f, plan.folds) for name, f in market.maps.items()},
        instrument=market.instrument,
        costs=market.costs,
        cash=market.cash,
    )
    series = identity["panel"]["series"]
    others = _siblings(folder, series)
    tried = evaluations_made(trials) + sum(o["search"]["evaluations"] for o in others)
    search = _search(plan, study, tuning, winner, trials, tried=tried, evaluate=evaluate)
    opening = {"at": opened_at.isoformat(), "winner": winner.number, "trials": len(trials)}
    openings = note_opening(study, past, opening)
    count = len(openings) + sum(len(o["openings"]) for o in others)
    holdout, trades = _holdout(plan, market, winner, evaluate=evaluate)
    table = trial_table(trials)
    verdict = tuning_verdict(
        holdout["figures"],
        days=holdout["days"],
        openings=count,
        deflated=search["deflated_sharpe_ratio"],
        overfit=search["found_overfitting"],
        near=search["found_plateau"],
        trials=tried,
    )
    outcome: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "study": plan.name,
        "command": command,
        "session": dict(session or {}),
        "identity": identity,
        "openings": openings,
        "openings_of_series": count,
        "verdict": asdict(verdict),
        "winner": {
            "number": winner.number,
            "found": winner.found,
            "map": winner.map_name,
            "parameters": parameter_rows(winner.parameters),
        },
        "space": [asdict(d) for d in (*plan.space.outer, *plan.space.inner)],
        "costs": parameter_rows(market.costs),
        "objective": asdict(plan.objective),
        "folds": _folds_told(plan, market),
        "search": {k: v for k, v in search.items() if not k.startswith("found_")},
        "holdout": {k: v for k, v in holdout.items() if k != "figures"},
        "gap": {
            "tuning_score": search["score"],
            "tuning_sharpe": search["sharpe"],
            "holdout_sharpe": holdout["winner"]["sharpe"],
            "difference": search["sharpe"] - holdout["winner"]["sharpe"],
        },
        "walk_forward": [asdict(step) for step in walk_forward(table.eligible(), plan.folds)],
    }
    outcome = {name: _plain(value) for name, value in outcome.items()}
    _write_outcome(folder, outcome, trades, trials)
    return outcome


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """Return a study's outcome, or None if its holdout was never opened.

    Raises
    ------
    InputError
        If there is one, but not whole or of another version.
    """
    path = folder / OUTCOME_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA_VERSION:
            raise InputError(
                f"{path} is of schema {found['schema']}, this version reads {SCHEMA_VERSION}"
            )
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a whole outcome of a study: {error}") from error
    return dict(found)


def _nothing_won(plan: StudyPlan, trials: Sequence[FrozenTrial]) -> str:
    table = trial_table(trials)
    most = int(table.trades.max()) if len(table) else 0
    return (
        f"none of {len(trials):,} trials of {plan.name} made {plan.objective.min_trades} trades or more "
        f"in the folds (the most were {most}), so there is no winner to test: go on for longer, widen "
        "the space, or lower --min-trades"
    )


def _siblings(folder: Path, series: str) -> list[dict[str, Any]]:
    """Return the outcomes of other studies of the same series; what cannot be read is not counted."""
    found = []
    for path in sorted(folder.parent.glob(f"[!.]*/{OUTCOME_FILE}")):
        if path.parent == folder:
            continue
        try:
            outcome = read_outcome(path.parent)
        except InputError:
            continue
        if outcome is not None and outcome["identity"]["panel"]["series"] == series:
            found.append(outcome)
    return found


def _search(
    plan: StudyPlan,
    study: optuna.Study,
    tuning: Market,
    winner: Winner,
    trials: Sequence[FrozenTrial],
    *,
    tried: int,
    evaluate: Evaluate,
) -> dict[str, Any]:
    """Return what the search looks like, from the bars before the holdout alone."""
    table = trial_table(trials)
    row = int(np.flatnonzero(table.number == winner.number)[0])
    results = _folds_again(plan, tuning, winner, evaluate=evaluate)
    daily = np.concatenate([r.daily for r in results])
    days = np.diff(block_edges(len(daily)))
    ratio = sharpe_ratio(daily)
    # Of one completed trial among many it is not known how far trials lie apart.
    spread = float(np.std(_daily_ratios(table, days), ddof=1)) if len(table) > 1 else math.nan
    deflated = deflated_sharpe_ratio(
        ratio / math.sqrt(365),
        observations=len(daily),
        skewness=float(stats.skew(daily)),
        kurtosis=float(stats.kurtosis(daily, fisher=False)),
        trials=tried,
        spread=spread,
    )
    able = table.eligible()
    overfit = overfitting(able.block_sums, able.block_squares, days)
    near = plateau(plan.space, table, row)
    return {
        "trials": len(trials),
        "evaluations": evaluations_made(trials),
        "evaluations_of_series": tried,
        "completed": len(table),
        "pruned": sum(t.state == TrialState.PRUNED for t in trials),
        "failed": sum(t.state == TrialState.FAIL for t in trials),
        "too_few_trades": int((~table.feasible).sum()),
        "score": float(table.value[row, 0]),
        "values": table.value[row].tolist(),
        "sharpe": ratio,
        "folds": [
            {"sharpe": r.sharpe, "return": r.total, "drawdown": r.drawdown, "trades": r.trades}
            for r in results
        ],
        "deflated_sharpe_ratio": deflated,
        "overfitting": asdict(overfit),
        "plateau": asdict(near),
        "importance": _importance(plan, study),
        "found_overfitting": overfit,
        "found_plateau": near,
    }


def _folds_again(
    plan: StudyPlan, tuning: Market, winner: Winner, *, evaluate: Evaluate
) -> list[SegmentResult]:
    results = []
    for segment in plan.folds.tests:
        run = evaluate(tuning, winner.parameters, winner.map_name, segment)
        ends = day_ends(tuning.panel.ts[segment.start : segment.stop])
        results.append(segment_result(run.equity, ends, cash=tuning.cash, trades=run.trades))
    value = values_of(results, plan.objective)[0]
    if not math.isclose(value, winner.value, rel_tol=1e-9, abs_tol=1e-12):
        raise LiqtiersError(
            f"trial {winner.number} scored {winner.value:.9g}, and {value:.9g} when it was run again with "
            "maps built over all bars: a map reads what was not known yet, or the data has changed. "
            "There is no result"
        )
    return results


def _daily_ratios(table: TrialTable, days: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    """Return each trial's Sharpe ratio of a day over all scored folds; 0 for one that never traded."""
    count = float(days.sum())
    mean = table.block_sums.sum(axis=1) / count
    variance = (table.block_squares.sum(axis=1) / count - mean * mean) * count / (count - 1.0)
    flat = variance <= 0.0
    return np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance)))


def _importance(plan: StudyPlan, study: optuna.Study) -> dict[str, float]:
    """Return the share of each parameter in what makes a trial good (PED-ANOVA); empty for too few."""
    whole = [t for t in finished(study) if t.state == TrialState.COMPLETE]
    if len(whole) < 20 or len({t.values[0] for t in whole}) < 2:
        return {}
    with quiet(), warnings.catch_warnings():
        # It warns that a target is taken for better the lower it is; of two goals the first, a return, is
        # better the higher it is.
        warnings.filterwarnings("ignore", message="PedAnova", category=UserWarning)
        found = optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
            target=(lambda t: -t.values[0]) if len(plan.directions) > 1 else None,
        )
    return {name: float(share) for name, share in found.items()}


def _holdout(
    plan: StudyPlan, market: Market, winner: Winner, *, evaluate: Evaluate
) -> tuple[dict[str, Any], pa.Table]:
    segment = plan.folds.holdout
    run = confirmed_run(market, winner.parameters, winner.map_name, segment, evaluate=evaluate)
    figures = figures_of(run, market.panel, segment)
    defaults = run_reference(market, plan.space.base, plan.space.maps[0], segment)
    days = (market.panel.close_ts[segment.stop - 1] - market.panel.ts[segment.start]) / DAY_US
    ends = day_ends(market.panel.ts[segment.start : segment.stop])
    return {
        "start": _moment(market.panel.ts[segment.start]),
        "end": _moment(market.panel.close_ts[segment.stop - 1]),
        "bars": segment.bars,
        "days": float(days),
        "day_ends": [_moment(t) for t in market.panel.close_ts[segment.start + ends]],
        "winner": figures.told(),
        "defaults": figures_of(defaults, market.panel, segment).told(),
        "buy_and_hold": buy_and_hold(market, segment).told(),
        "figures": figures,
    }, run.trades


def _folds_told(plan: StudyPlan, market: Market) -> dict[str, Any]:
    folds, panel = plan.folds, market.panel
    return {
        "scheme": folds.scheme,
        "gap_bars": folds.gap_bars,
        "stretches": [
            {"start": _moment(panel.ts[s.start]), "end": _moment(panel.close_ts[s.stop - 1])}
            for s in folds.segments
        ],
    }


def trials_frame(trials: Sequence[FrozenTrial]) -> pa.Table:
    """Return trials as a table: number, state, times, values, feasibility, folds, then parameters."""
    rows = [
        {
            "number": t.number,
            "state": t.state.name.lower(),
            "began_at": t.datetime_start,
            "ended_at": t.datetime_complete,
            "values": t.values,
            "feasible": t.state == TrialState.COMPLETE and violation(t) == 0.0,
            "fold_sharpe": t.user_attrs.get("fold_sharpe"),
            "fold_return": t.user_attrs.get("fold_return"),
            "fold_trades": t.user_attrs.get("fold_trades"),
            "worker": t.user_attrs.get("worker"),
            "reason": t.user_attrs.get("reason"),
            **t.params,
        }
        for t in trials
    ]
    # Not the names of the first alone: a trial that failed lacks the inner grid's.
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def _write_outcome(
    folder: Path, outcome: dict[str, Any], trades: pa.Table, trials: Sequence[FrozenTrial]
) -> None:
    path = folder / OUTCOME_FILE
    temporary = folder / f".{OUTCOME_FILE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(trades, folder / TRADES_FILE, compression="zstd")
        pq.write_table(trials_frame(trials), folder / TRIALS_FILE, compression="zstd")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(outcome, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise LakeError(f"cannot write the outcome {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _moment(ts_us: np.int64) -> str:
    return str(np.datetime_as_string(np.datetime64(int(ts_us), "us"), unit="m")) + "Z"


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: NaN and infinity become null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
