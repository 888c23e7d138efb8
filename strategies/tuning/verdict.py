"""The sentence that a trader reads first in the morning.

Evidence is what the holdout says, and the holdout alone: a test that was named before it was opened, at
an error rate that is divided by how often it, or that of another study of the same series, was opened.
What the search itself looks like can only add a reservation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from .holdout import Figures
from .honesty import Overfitting, Plateau

ERROR_RATE: Final = 0.05
"""How often evidence is claimed where there is no edge, at most."""
FEWEST_HOLDOUT_TRADES: Final = 10
SURE: Final = 0.95
"""A deflated Sharpe ratio of this or more is not explained by the number of trials."""
_SPIKE: Final = 0.3
_COIN: Final = 0.5

EVIDENCE: Final = "evidence"
NO_EVIDENCE: Final = "no evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningVerdict:
    """What the night amounts to.

    Attributes
    ----------
    outcome : str
        ``"evidence"`` or ``"no evidence"``.
    sentence : str
    reservations : tuple of str
        What speaks against it, one sentence each.
    """

    outcome: str
    sentence: str
    reservations: tuple[str, ...]


def tuning_verdict(
    holdout: Figures,
    *,
    days: float,
    openings: int,
    deflated: float,
    overfit: Overfitting,
    near: Plateau,
    trials: int,
) -> TuningVerdict:
    """Return what a study amounts to.

    Parameters
    ----------
    holdout : Figures
        The winner's.
    days : float
        Length of the holdout.
    openings : int
        How often a holdout of this series was opened, this time included.
    deflated : float
        Deflated Sharpe ratio of the winner on the scored folds.
    overfit : Overfitting
    near : Plateau
    trials : int
        Sets of parameters that were tried.
    """
    limit = ERROR_RATE / openings
    did = (
        f"on {days:.0f} days that tuning never saw the winner of {trials:,} trials "
        f"{'gained' if holdout.total >= 0 else 'lost'} {abs(holdout.total):.1%} after all costs in "
        f"{holdout.trades} trade{'' if holdout.trades == 1 else 's'}"
    )
    tested = math.isfinite(holdout.p_value) and holdout.trades >= FEWEST_HOLDOUT_TRADES
    if not tested:
        why = f"too few to say anything (at least {FEWEST_HOLDOUT_TRADES} are needed)"
        return _no(f"{did}, {why}", holdout, openings, deflated, overfit, near)
    chance = f"chance alone does as well {_rate(holdout.p_value)} of the time"
    if not holdout.p_value < limit:
        return _no(f"{did}; {chance}", holdout, openings, deflated, overfit, near)
    return TuningVerdict(
        outcome=EVIDENCE,
        sentence=f"Evidence of an edge: {did}; {chance}.",
        reservations=_reservations(openings, deflated, overfit, near),
    )


def _no(
    why: str,
    holdout: Figures,
    openings: int,
    deflated: float,
    overfit: Overfitting,
    near: Plateau,
) -> TuningVerdict:
    told = (
        "No evidence of an edge" if holdout.total >= 0.0 or holdout.trades == 0 else "No edge found"
    )
    return TuningVerdict(
        outcome=NO_EVIDENCE,
        sentence=f"{told}: {why}.",
        reservations=_reservations(openings, deflated, overfit, near),
    )


def _reservations(
    openings: int, deflated: float, overfit: Overfitting, near: Plateau
) -> tuple[str, ...]:
    told = []
    if math.isnan(deflated):
        told.append(
            "Whether the tuning score is more than the luck of so many trials cannot be said: the "
            "deflated Sharpe ratio is not known."
        )
    elif deflated < SURE:
        told.append(
            "The tuning score is no better than the best of so many worthless trials may be: the "
            f"deflated Sharpe ratio is {deflated:.2f}, {SURE:g} would be sure."
        )
    if math.isnan(overfit.probability):
        told.append(
            "Whether choosing the best overfits cannot be said: fewer than 2 trials were completed."
        )
    elif overfit.probability >= _COIN:
        told.append(
            "Choosing the best on one half of the days did no better than picking at random on the "
            f"other half: the probability of overfitting is {overfit.probability:.0%}."
        )
    if near.height < _SPIKE:
        told.append(
            f"The best settings are a spike: they score {near.best:.2f}, their near neighbours "
            f"{near.neighbours:.2f}, and a typical trial {near.typical:.2f}."
        )
    if openings > 1:
        told.append(
            f"A holdout of this series was opened {openings} times, so that a single result must be "
            f"that much less likely by chance ({ERROR_RATE / openings:.2%})."
        )
    return tuple(told)


def _rate(p_value: float) -> str:
    return "less than 0.1 %" if p_value < 0.001 else f"{p_value:.1%}"
