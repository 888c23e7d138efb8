"""What is claimed of several markets together must clear the same bars as what is claimed of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqtiers.reports.evidence.claims import DECIDING_PLACEBOS, claim_of
from liqtiers.reports.evidence.inference import surrogate_effect
from liqtiers.reports.evidence.market_claims import Scored, mean_claim, rule_claim
from liqtiers.reports.evidence.pooled import Scores
from liqtiers.reports.evidence.robustness import Robustness
from liqtiers.reports.evidence.rules import RuleRuns
from liqtiers.reports.evidence.study import Evidence, MarketStudy, evidence_of
from liqtiers.reports.evidence.verdicts import NO_EVIDENCE
from made_up_evidence import FULL, SURROGATES, market_study_of

DAYS = 200


def judged(*markets: MarketStudy) -> Evidence:
    return evidence_of(
        {str(place): market for place, market in enumerate(markets)},
        subject="two markets",
        rng=np.random.default_rng(9),
    )


def with_rule(mapped: float, seed: int) -> MarketStudy:
    """A market on which the rule earns so much a day, and 40 basis points more than its twin."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, 1e-3, DAYS)
    runs = RuleRuns(
        day=np.arange(DAYS),
        mapped=mapped + noise - noise.mean(),
        twin=np.full(DAYS, mapped - 4e-3),
        mapped_trades=10,
        twin_trades=50,
    )
    return replace(market_study_of(FULL), scored=(rule_claim(runs, rng=rng),), runs=runs)


@pytest.mark.parametrize(
    ("mapped", "why"),
    [
        (-1e-3, "the rule itself lost"),
        (1e-3, "no other claim on the way of price stands beside it"),
    ],
)
def test_a_rule_that_lost_on_all_markets_is_vetoed_on_all_together(mapped: float, why: str) -> None:
    """Two markets on which no claim may be made do not make one together, and each says why."""
    found = judged(with_rule(mapped, 1), with_rule(mapped, 2))
    verdicts = [*(found.verdicts[name][0] for name in found.verdicts), found.pooled[0]]
    assert {v.outcome for v in verdicts} == {NO_EVIDENCE}
    assert all(why in v.sentence for v in verdicts)
    assert not found.headline.predicts_price


@pytest.mark.parametrize("kind", DECIDING_PLACEBOS)
def test_a_placebo_that_does_as_well_forbids_the_pooled_claim(kind: str) -> None:
    """What is found on a map that knows nothing was not found by the map, on two markets as on one."""
    rng = np.random.default_rng(3)
    cluster = np.arange(DAYS)

    def market() -> MarketStudy:
        own, other = rng.normal(0.3, 0.5, DAYS), rng.normal(0.6, 0.5, DAYS)
        placebo = {kind: Scores(other, cluster)}
        scored = mean_claim("far", 1.0, Scores(own, cluster), placebo, rng=rng)
        return replace(market_study_of(FULL), scored=(scored,))

    found = judged(market(), market())
    assert found.pooled[0].outcome == NO_EVIDENCE
    assert kind in found.pooled[0].sentence
    assert not found.headline.predicts_price


def test_the_same_market_twice_is_no_surer_than_once() -> None:
    """However many surrogate paths its interval came from: few have fat tails, and keep them."""
    null = np.random.default_rng(4).normal(0.0, 0.05, SURROGATES)
    effect = surrogate_effect(0.2, null, n=1000, clusters=60)
    robust = Robustness(first_half=effect, second_half=effect, without_best=effect)
    scored = Scored(claim=claim_of("imbalance", 1.0, effect, robust), scores=None)
    study = replace(market_study_of(FULL), scored=(scored,))
    assert study.imbalance.surrogates == SURROGATES
    found = judged(study, study)
    assert found.pooled[0].claim.effect.p == pytest.approx(effect.p)
