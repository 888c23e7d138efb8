"""The tables and figures of a study's page as rows of texts: the template only lays them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..strategies.tuning.verdict import ERROR_RATE
from .formatting import UNKNOWN, is_known, number, percent, share
from .parameter_charts import Axis
from .tuning_record import StudyRecord

_COLUMNS: Final = ("name", "value", "default", "searched", "unit", "meaning")
_SET_COLUMNS: Final = ("name", "value", "default", "unit", "meaning")


def key_figures(record: StudyRecord) -> list[dict[str, str]]:
    """Return the figures at the top of the page: key, name, value and what it means."""
    outcome = record.outcome
    held, search = outcome["holdout"], outcome["search"]
    winner, market = held["winner"], held["buy_and_hold"]
    beside = (
        f"defaults {percent(held['defaults']['return'])}, buy-and-hold {percent(market['return'])}"
    )
    tried = f"{search['evaluations_of_series']:,}"
    promised = number(outcome["gap"]["tuning_sharpe"])
    limit = 100.0 * ERROR_RATE / outcome["openings_of_series"]
    rows = [
        ("return", "Holdout result", percent(winner["return"]), f"after all costs; {beside}"),
        ("p_value", "By chance alone", _chance(winner["p_value"]),
         f"so good a holdout without any edge; below {limit:.3g}% counts"),
        ("sharpe", "Holdout Sharpe", number(winner["sharpe"]),
         f"yearly; {promised} in the folds that it was chosen by"),
        ("drawdown", "Deepest drawdown", _fall(winner["drawdown"]),
         f"on the holdout; {_fall(market['drawdown'])} for buy-and-hold"),
        ("trades", "Holdout trades", f"{winner['trades']:,}", f"in {held['days']:.0f} days"),
        ("deflated", "Deflated Sharpe", number(search["deflated_sharpe_ratio"]),
         f"confidence that it is not the luck of {tried} tries; 0.95 is sure"),
        ("overfitting", "Overfitting", _whole(search["overfitting"]["probability"]),
         "chance that the best of the past is below the median after; 50% is a coin toss"),
        ("plateau", "Plateau", _whole(search["plateau"]["height"]),
         "where near settings stand between typical and best; low is a spike"),
    ]  # fmt: skip
    names = ("key", "name", "value", "meaning")
    return [dict(zip(names, row, strict=True)) for row in rows]


def holdout_rows(outcome: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return what winner, defaults and buy-and-hold did: measure, then the three."""
    three = [outcome["holdout"][key] for key in ("winner", "defaults", "buy_and_hold")]
    return [
        ("return, after all costs", *(percent(f["return"]) for f in three)),
        ("Sharpe ratio, yearly", *(number(f["sharpe"]) for f in three)),
        ("deepest drawdown", *(_fall(f["drawdown"]) for f in three)),
        ("trades", *(f"{f['trades']:,}" for f in three)),
        ("as good by chance", *(_chance(f["p_value"]) for f in three)),
    ]


def fold_rows(outcome: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return fold by fold what the winner did, and what choosing by the past promised and gave."""
    stretches = outcome["folds"]["stretches"][1:]
    steps: Sequence[Mapping[str, Any]] = outcome["walk_forward"] or [{}] * len(stretches)
    return [
        {
            "fold": str(i + 1),
            "start": stretch["start"][:10],
            "end": stretch["end"][:10],
            "return": percent(fold["return"]),
            "tone": _tone(fold["return"] or 0.0),
            "sharpe": number(fold["sharpe"]),
            "drawdown": _fall(fold["drawdown"]),
            "trades": f"{fold['trades']:,}",
            "chosen": str(step.get("trial", UNKNOWN)),
            "promised": number(step.get("promised")),
            "given": number(step.get("given")),
        }
        for i, (stretch, fold, step) in enumerate(
            zip(stretches, outcome["search"]["folds"], steps, strict=True)
        )
    ]


def importance_rows(axes: Sequence[Axis]) -> list[dict[str, str]]:
    """Return each parameter's share of what makes a trial good; nothing where it is not known."""
    known = [(axis, axis.share) for axis in axes if axis.share is not None]
    longest = max((part for _, part in known), default=0.0) or 1.0
    return [
        {"name": axis.name, "share": share(part), "width": f"{100.0 * part / longest:.1f}%"}
        for axis, part in known
    ]


def setting_tables(record: StudyRecord) -> list[dict[str, Any]]:
    """Return costs, objective, and what the study is of."""
    outcome = record.outcome
    searched = {d["name"] for d in outcome["space"]}
    fixed = [row for row in outcome["winner"]["parameters"] if row["name"] not in searched]
    return [
        _table("Costs", outcome["costs"], _SET_COLUMNS),
        _table("Parameters that were not searched", fixed, _SET_COLUMNS),
        {"title": "Data, folds and search", "columns": ("what", "value"), "rows": _study_rows(outcome)},
    ]  # fmt: skip


def parameter_table(record: StudyRecord, axes: Sequence[Axis]) -> dict[str, Any]:
    """Return the winner's values of what was searched, the most important first."""
    outcome = record.outcome
    told = {row["name"]: row for row in outcome["winner"]["parameters"]}
    space = outcome["identity"]["space"]
    rows = [
        {
            "name": axis.name,
            "value": axis.value,
            "default": told.get(axis.name, {}).get(
                "default", axis.choices[0] if axis.choices else UNKNOWN
            ),
            "searched": space.get(axis.name, UNKNOWN),
            "unit": axis.unit,
            "meaning": axis.meaning,
        }
        for axis in axes
    ]
    return {**_table("Best parameters", rows, _COLUMNS), "changed": [False] * len(rows)}


def _study_rows(outcome: Mapping[str, Any]) -> list[tuple[str, str]]:
    identity, search, folds = outcome["identity"], outcome["search"], outcome["folds"]
    held, session = outcome["holdout"], outcome["session"]
    first = folds["stretches"][0]
    return [
        ("bars to tune on", f"{identity['panel']['series']}: {identity['panel']['bars']}"),
        ("holdout", f"{held['start']} to {held['end']}, {held['bars']:,} bars"),
        ("maps", ", ".join(identity["maps"])),
        ("folds", f"{identity['folds']['scored']} each, {folds['scheme']}"),
        ("first stretch", f"{first['start']} to {first['end']}, only learnt from"),
        ("gap between them", identity["folds"]["gap"]),
        ("trials", f"{search['trials']:,}"),
        ("completed", f"{search['completed']:,}, {search['too_few_trades']:,} with too few trades"),
        ("stopped early", f"{search['pruned']:,}"),
        ("failed", f"{search['failed']:,}"),
        ("settings tried", f"{search['evaluations']:,}"),
        ("in all studies of the series", f"{search['evaluations_of_series']:,} settings tried"),
        ("sampler", str(session.get("sampler", "not recorded"))),
        ("pruner", identity["objective"]["pruner"]),
        ("starting equity", f"{identity['costs']['cash']} quote, in each fold and on the holdout"),
        ("margin brackets", identity["costs"]["brackets"]),
        *[("holdout opened", _opening(opening)) for opening in outcome["openings"]],
        ("openings for this series", f"{outcome['openings_of_series']}"),
    ]


def _opening(opening: Mapping[str, Any]) -> str:
    moment = opening["at"][:16].replace("T", " ")
    return f"{moment} UTC, for trial {opening['winner']} of {opening['trials']:,}"


def _table(
    title: str, rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "title": title,
        "columns": columns,
        "rows": [[_cell(row[name]) for name in columns] for row in rows],
        "changed": [row["value"] != row["default"] for row in rows],
    }


def _cell(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, int | float) else str(value)


def _chance(p_value: float | None) -> str:
    if p_value is None or not is_known(p_value):
        return UNKNOWN
    return "under 0.1%" if p_value < 0.001 else share(p_value)


def _whole(value: float | None) -> str:
    return f"{value:.0%}" if value is not None and is_known(value) else UNKNOWN


def _fall(depth: float | None) -> str:
    return f"{0.0 - depth:.2%}" if depth is not None and is_known(depth) else UNKNOWN


def _tone(result: float) -> str:
    return "won" if result > 0.0 else "lost" if result < 0.0 else ""
