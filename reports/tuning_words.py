"""What the page of a study says in sentences, and its commands. Nothing here is drawn."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any, Final

from ..strategies.tuning.storage import JOURNAL_FILE
from .formatting import is_known, number, percent, share
from .tuning_record import StudyRecord

DEFAULT_MAP: Final = "default"
SPIKE: Final = 0.3
"""A plateau's height below this is a spike, as the verdict counts it."""
PLATEAU: Final = 0.7
"""A plateau's height above this is one."""
_COIN: Final = 0.5
COSTS: Final = (
    "Every trial, the defaults and the winner paid these, and funding as it was settled. Buy-and-hold is "
    "all the cash in the contract from the first open to the last close, without leverage: taker fee both "
    "ways, funding paid out of the position or added to it."
)


def winning_command(outcome: Mapping[str, Any]) -> str:
    """Return the command that runs the winner over the same bars with its report."""
    words = ["liqtiers", "backtest", *outcome["session"].get("series", ())]
    for row in [*outcome["winner"]["parameters"], *outcome["costs"]]:
        if row["value"] != row["default"]:
            words += [f"--{row['name'].replace('_', '-')}", _exact(row["value"])]
    return shlex.join(words)


def _exact(value: float | str) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def command_note(outcome: Mapping[str, Any]) -> str:
    """Return what the winner's command does, and where it cannot do the same as the tuner."""
    told = (
        "It runs the winner in backtrader over all bars, those before the holdout included, and writes a "
        "report of its own, where every trade can be looked at. The account then enters the holdout with "
        "what it won or lost before, here with the full starting equity: trades are the same but for "
        "their size and its slippage, and for one that may be open at the border. Those of this page's "
        "holdout are in holdout_trades.parquet beside it."
    )
    chosen = outcome["winner"]["map"]
    if not outcome["session"].get("series"):
        told += " The record does not say which bars the study read: add --venue, --symbol and the rest."
    if chosen != DEFAULT_MAP:
        told += (
            f" The winner's map is {chosen}; the command draws the default one, so that its trades "
            "may differ."
        )
    return told


def dashboard_command(record: StudyRecord) -> str:
    """Return the command that shows the study's trials in optuna-dashboard."""
    storage = record.outcome["session"].get("storage")
    return shlex.join(["optuna-dashboard", storage or str(record.folder / JOURNAL_FILE)])


def title_words(record: StudyRecord) -> str:
    """Return what the study is of."""
    outcome = record.outcome
    first = outcome["folds"]["stretches"][0]["start"]
    held = outcome["holdout"]
    return (
        f"Study {outcome['study']}: {outcome['identity']['panel']['series']}, tuned on "
        f"{first[:10]} to {outcome['folds']['stretches'][-1]['end'][:10]}, tested on "
        f"{held['start'][:10]} to {held['end'][:10]}"
    )


def plateau_words(record: StudyRecord) -> str:
    """Return whether the winner stands on a plateau or on a spike."""
    near = record.outcome["search"]["plateau"]
    if not is_known(near["height"]):
        return (
            "Whether the winner stands on a plateau cannot be said: that needs other completed trials "
            f"with other scores to compare it with (there {_are(near['count'])})."
        )
    told = record.score_text
    shape = (
        "a spike: what won does not hold a step aside, which is how luck looks"
        if near["height"] < SPIKE
        else "a plateau: what won does not hang on the exact numbers"
        if near["height"] > PLATEAU
        else "a slope, neither plateau nor spike"
    )
    return (
        f"The {near['count']} settings nearest to the winner score {told(near['neighbours'])} in the "
        f"middle; the winner scores {told(near['best'])}, a typical trial {told(near['typical'])}. They "
        f"stand {near['height']:.0%} of the way from typical to best: {shape}."
    )


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"


def deflated_words(outcome: Mapping[str, Any]) -> str:
    """Return what the deflated Sharpe ratio says, for a trader."""
    search = outcome["search"]
    value = search["deflated_sharpe_ratio"]
    if not is_known(value):
        return (
            "Not known: it needs returns that move, and more than one completed trial to see how far "
            "trials lie apart."
        )
    if search["evaluations_of_series"] < 2:
        return (
            f"Only one setting was tried, so that no luck of the search has to be taken off: {value:.2f} "
            "is the confidence, 0 to 1, that its true Sharpe ratio in the folds is above 0."
        )
    return (
        f"Try {search['evaluations_of_series']:,} worthless settings, and the best of them looks good by "
        f"luck. {value:.2f} is the confidence, 0 to 1, that the winner's Sharpe ratio in the folds is "
        f"more than that luck; 0.95 or more would be sure. {_sure(value)}"
    )


def _sure(value: float) -> str:
    if value >= 0.95:
        return "It is."
    return "It is not: luck alone may give such a score."


def overfitting_words(outcome: Mapping[str, Any]) -> str:
    """Return what the probability of backtest overfitting says, for a trader."""
    found = outcome["search"]["overfitting"]
    value = found["probability"]
    if not is_known(value):
        return "Not known: there must be two completed trials or more to choose among."
    judged = (
        "Choosing by the past told nothing about what came after."
        if value >= _COIN
        else "Choosing by the past helped, but often failed."
        if value >= 0.2
        else "Choosing by the past mostly held."
    )
    return (
        f"The days of the folds were split in halves in {found['splits']:,} ways, and the best of "
        f"{found['trials']:,} trials on one half was looked at on the other: in {value:.0%} of the "
        f"splits it fell below the median trial there, in {share(found['loss'])} it lost money. 50% is "
        f"a coin toss, near 0% is good. {judged}"
    )


def gap_words(outcome: Mapping[str, Any]) -> str:
    """Return how far the holdout fell short of what tuning promised."""
    gap = outcome["gap"]
    promised, given = gap["tuning_sharpe"], gap["holdout_sharpe"]
    if not (is_known(promised) and is_known(given)):
        return "The gap between tuning and holdout is not known."
    fell = promised - given
    moved = f"{number(abs(fell))} {'lower' if fell >= 0 else 'higher'}"
    return (
        f"In the folds the winner's yearly Sharpe ratio was {number(promised)}; on the holdout it is "
        f"{number(given)}, {moved}. A winner is picked for its luck as well as its merit, so that some "
        "fall is normal; a fall to 0 or below says that what was tuned to was noise."
    )


def walk_forward_words(outcome: Mapping[str, Any]) -> str:
    """Return what choosing by the past alone, fold after fold, promised and gave on average."""
    steps = [s for s in outcome["walk_forward"] if is_known(s["promised"]) and is_known(s["given"])]
    if not steps:
        return "What choosing by the past alone would have given is not known."
    promised, given = (math.fsum(s[k] for s in steps) / len(steps) for k in ("promised", "given"))
    return (
        "Walk-forward: at each fold the trial that was best on the stretches before it. On average it "
        f"promised a Sharpe ratio of {number(promised)} and gave {number(given)}. This is kinder than "
        "life: the trials themselves were suggested with all folds in view."
    )


def holdout_words(outcome: Mapping[str, Any]) -> str:
    """Return what to see in the picture of the holdout."""
    held = outcome["holdout"]
    winner, market = held["winner"]["return"], held["buy_and_hold"]["return"]
    beats = [
        name
        for name, key in (("the default parameters", "defaults"), ("buy-and-hold", "buy_and_hold"))
        if winner > held[key]["return"]
    ]
    judged = f"ahead of {' and of '.join(beats)}" if beats else "behind both"
    return (
        f"Did the winner beat doing nothing clever? It ended at {percent(winner)}, {judged} "
        f"(buy-and-hold {percent(market)}). Each point is the end of a UTC day, after all costs."
    )


def objective_words(record: StudyRecord) -> str:
    """Return what was searched for."""
    objective = record.outcome["objective"]
    if record.two_goals:
        return (
            "Two goals at once: return a year against the deepest drawdown in the folds. The winner is, "
            "of those that no other beats in both, the one with most return over its drawdown"
            f"{_least(objective)}."
        )
    return (
        f"The score is the mean of the folds' yearly Sharpe ratios less {objective['spread_penalty']:g} "
        f"times their standard deviation, after all costs{_least(objective)}."
    )


def _least(objective: Mapping[str, Any]) -> str:
    return f"; with fewer than {objective['min_trades']} trades in all folds together a trial cannot win"
