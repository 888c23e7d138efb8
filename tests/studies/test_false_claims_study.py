"""The study of false claims in small: a few worlds of each kind; the script runs hundreds."""

from __future__ import annotations

from types import ModuleType

from scipy.stats import binom

STUDY = "false_claims"


def world(study: ModuleType, kind: str, seed: int, days: int) -> dict[str, object]:
    found: dict[str, object] = study.judged(
        study.Task(kind=kind, seed=seed, bar="5m", days=days, impact=0.04, surrogates=20)
    )
    return found


def test_what_moves_nothing_is_seldom_claimed(study: ModuleType) -> None:
    """Worlds in which the map's assumptions hold or do not: no more claims on price than 5 % allow."""
    kinds = ("late open interest", "autocorrelated")
    results = [world(study, kind, 51 + place, 60) for place, kind in enumerate(kinds)]
    told = study.summary(results)
    assert told["null_worlds"] == len(kinds)
    assert told["null_claims"] <= binom.ppf(0.99, len(kinds), 0.05)
    # The map does know where liquidations happen, and says so.
    assert told["where_found"] == len(kinds)


def test_what_moves_price_is_found(study: ModuleType) -> None:
    """Forced orders that move price: the study finds it, as an oracle does who knows them all."""
    told = study.summary([world(study, study.IMPACT, 61, 120)])
    assert (told["effect_worlds"], told["effect_found"], told["oracle_found"]) == (1, 1, 1)
