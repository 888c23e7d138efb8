"""The sentence in the morning: what counts as evidence, and what only as a reservation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liqtiers.strategies.tuning import Figures, TuningVerdict, tuning_verdict
from liqtiers.strategies.tuning.honesty import Overfitting, Plateau
from liqtiers.strategies.tuning.verdict import FEWEST_HOLDOUT_TRADES


def judged(
    *,
    p_value: float = 0.01,
    trades: int = 40,
    total: float = 0.05,
    openings: int = 1,
    deflated: float = 0.99,
    overfit: float = 0.1,
    height: float = 0.9,
) -> TuningVerdict:
    figures = Figures(
        total=total, sharpe=1.0, drawdown=0.1, trades=trades, p_value=p_value, equity=np.ones(2)
    )
    return tuning_verdict(
        figures,
        days=73.0,
        openings=openings,
        deflated=deflated,
        overfit=Overfitting(probability=overfit, loss=0.1, splits=70, trials=50),
        near=Plateau(best=2.0, typical=0.0, neighbours=1.8, distance=0.1, height=height, count=10),
        trials=5000,
    )


def test_a_good_holdout_is_evidence() -> None:
    """A result that chance gives one time in a hundred is evidence, said with its figures."""
    found = judged()
    assert found.outcome == "evidence"
    assert found.sentence == (
        "Evidence of an edge: on 73 days that tuning never saw the winner of 5,000 trials gained 5.0% "
        "after all costs in 40 trades; chance alone does as well 1.0% of the time."
    )
    assert found.reservations == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"p_value": 0.06},
        {"p_value": math.nan},
        {"p_value": 0.03, "openings": 2},
        {"trades": FEWEST_HOLDOUT_TRADES - 1},
        {"p_value": 0.9, "total": -0.05},
    ],
    ids=str,
)
def test_what_is_no_evidence(changed: dict[str, float]) -> None:
    """Chance, nothing to test, a second look, too few trades, a loss: none is evidence."""
    assert judged(**changed).outcome == "no evidence"  # type: ignore[arg-type]


def test_few_trades_are_told() -> None:
    """With too few trades the reader learns how many are needed."""
    assert (
        "in 1 trade, too few to say anything (at least 10 are needed)" in judged(trades=1).sentence
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"deflated": 0.6}, "deflated Sharpe ratio is 0.60"),
        ({"deflated": math.nan}, "cannot be said: the deflated Sharpe ratio is not known"),
        ({"overfit": math.nan}, "cannot be said: fewer than 2 trials were completed"),
        ({"overfit": 0.7}, "probability of overfitting is 70%"),
        ({"height": 0.1}, "The best settings are a spike"),
        ({"openings": 2}, "opened 2 times"),
    ],
    ids=str,
)
def test_a_doubtful_search_is_a_reservation(changed: dict[str, float], told: str) -> None:
    """What speaks against the search is said beside the evidence, and does not take it away."""
    found = judged(p_value=0.001, **changed)  # type: ignore[arg-type]
    assert found.outcome == "evidence"
    assert len(found.reservations) == 1
    assert told in found.reservations[0]
