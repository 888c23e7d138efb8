"""Verdicts on claims whose truth is made up, and on worlds in which it is simulated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.claims import CLAIM_KINDS, Claim, claim_of, corrected
from liqtiers.reports.evidence.inference import clustered_correlation, clustered_mean
from liqtiers.reports.evidence.robustness import correlation_robustness, mean_robustness
from liqtiers.reports.evidence.verdicts import (
    AGAINST,
    EVIDENCE,
    NO_EVIDENCE,
    TOO_LITTLE_DATA,
    Verdict,
    p_words,
    verdict_of,
    verdicts_of,
    with_support,
)
from made_up_claims import claim, effect, parts


def alone(one: Claim) -> Verdict:
    """The verdict on a claim that was the only one looked at."""
    (verdict,) = verdicts_of([one])
    return verdict


def test_evidence_comes_with_all_its_figures() -> None:
    """Effect, interval, both p-values, observations, days and power stand in one sentence."""
    verdict = verdicts_of([claim(value=0.034), *[claim(value=0.0)] * 9])[0]
    assert verdict.outcome == EVIDENCE
    assert verdict.sentence == (
        "Evidence that price goes on within 1 hour in the direction of the liquidations that it has just "
        "set off on the map: +0.034 partial rank correlation (95 % interval +0.014 to +0.054), p below "
        "0.001 alone and 0.007 corrected for 10 claims, 5,000 observations in 400 days; an effect of 0.036 "
        "would have been found in 4 of 5 such samples."
    )


def test_no_evidence_and_too_little_data_are_different_sentences() -> None:
    """The same missing effect: a sample that would have shown what matters, and one that could not."""
    none = alone(claim(effect=effect(0.004, 0.01)))
    short = alone(claim(effect=effect(0.004, 0.03)))
    assert none.outcome == NO_EVIDENCE
    assert none.sentence.startswith("No evidence that price goes on within 1 hour")
    assert "an effect of 0.028 would have been found in 4 of 5 such samples." in none.sentence
    assert short.outcome == TOO_LITTLE_DATA
    assert short.sentence.startswith("Too little data to say whether price goes on")
    assert "only an effect of 0.084 or more would have been found" in short.sentence
    assert "one of 0.050 would matter" in short.sentence


def test_correction_takes_part_in_power() -> None:
    """A sample that would do for one claim may be too small for thirty."""
    one = claim(effect=effect(0.004, 0.015))
    assert alone(one).outcome == NO_EVIDENCE
    assert verdicts_of([one] * 30)[0].outcome == TOO_LITTLE_DATA


@pytest.mark.parametrize(("n", "clusters"), [(29, 25), (4000, 19), (0, 0)])
def test_few_observations_or_days_give_no_verdict(n: int, clusters: int) -> None:
    """Below 30 observations or 20 days nothing is claimed, however small the p-value."""
    verdict = alone(claim(effect=effect(0.5, n=n, clusters=clusters)))
    assert verdict.outcome == TOO_LITTLE_DATA
    assert "a verdict needs 30 observations and 20 days" in verdict.sentence
    enough = alone(claim(effect=effect(0.5, n=30, clusters=20)))
    assert enough.outcome == EVIDENCE


def test_an_unknown_effect_gives_no_verdict() -> None:
    """Nothing was left to compare: that is said, and no number is made up."""
    rng = np.random.default_rng(1)
    nothing = clustered_mean(np.empty(0), np.empty(0, np.int64), rng=rng)
    verdict = alone(claim(effect=nothing))
    assert verdict.outcome == TOO_LITTLE_DATA
    assert "no effect can be computed, 0 observations in 0 days" in verdict.sentence
    assert "nan" not in verdict.sentence


def test_a_significant_effect_the_other_way_speaks_against() -> None:
    """Against is not "no evidence": the sentence says so."""
    verdict = alone(claim(value=-0.08, horizon_hours=24.0))
    assert verdict.outcome == AGAINST
    assert verdict.sentence.startswith(
        "The data speak against the claim that price goes on within 24"
    )
    assert "400 blocks of 2 days" in verdict.sentence


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("first", "second", "without_best", "reason"),
    [
        (-0.01, 0.17, 0.07, "it does not hold in the first half of the data"),
        (0.17, 0.0, 0.07, "it does not hold in the second half of the data"),
        (0.08, 0.08, -0.01, "it does not hold without its three best days"),
        (0.08, np.nan, 0.07, "it cannot be computed in the second half of the data"),
    ],
)
def test_what_turns_around_in_a_part_of_the_data_is_not_claimed(
    sign: float, first: float, second: float, without_best: float, reason: str
) -> None:
    """Neither for nor against: an effect that lives in one half, or in three days, is no evidence."""
    robust = parts(sign * first, sign * second, sign * without_best)
    verdict = alone(claim(value=sign * 0.08, robust=robust))
    assert verdict.outcome == NO_EVIDENCE
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(reason)
    assert f"the effect is significant, but {reason}" in verdict.sentence


@pytest.mark.parametrize("name", ["mirrored", "shifted"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_cannot_be_told_from_a_deciding_placebo_is_not_claimed(name: str, sign: float) -> None:
    """A mirrored or shifted map with as large an effect, or one not clearly smaller, forbids the claim."""
    for value, reason in (
        (0.081, f"it is as large on a placebo map ({name}"),
        (0.064, f"it is not clearly larger (p 0.13) than on a placebo map ({name}"),
        (0.05, ""),
        (-0.2, ""),
    ):
        verdict = alone(claim(value=sign * 0.08, placebo={name: effect(sign * value)}))
        made = EVIDENCE if sign > 0 else AGAINST
        assert verdict.outcome == (NO_EVIDENCE if reason else made)
        assert "; ".join(verdict.reasons).startswith(reason)
        assert len(verdict.reasons) == bool(reason)


def test_a_vetoed_claim_is_not_made_and_says_why() -> None:
    """A rule that lost is no evidence, however much more its twin lost; the other way nothing is lost."""
    vetoed = alone(replace(claim(), veto="the rule itself lost"))
    assert vetoed.outcome == NO_EVIDENCE
    assert "the rule itself lost" in vetoed.sentence
    assert alone(replace(claim(value=-0.08), veto="the rule itself lost")).outcome == AGAINST


def test_a_rule_alone_is_no_evidence() -> None:
    """Beating the twin counts only where tiers, flow or imbalance say which way price goes as well."""
    rule, flow, far = (alone(claim(name)) for name in ("rule", "flow", "far"))
    assert [v.outcome for v in with_support([rule, flow])] == [EVIDENCE, EVIDENCE]
    lonely, other = with_support([rule, far])
    assert (lonely.outcome, other.outcome) == (NO_EVIDENCE, EVIDENCE)
    assert "no other claim on the way of price stands beside it" in lonely.sentence


def test_an_unknown_placebo_is_a_reservation() -> None:
    """A deciding placebo that could not be computed is not passed over in silence."""
    unknown = replace(effect(0.0), value=float("nan"), p=float("nan"))
    verdict = alone(claim(placebo={"shifted": unknown}))
    assert verdict.outcome == EVIDENCE
    assert "it could not be compared with the shifted map" in verdict.reservations


def test_weaknesses_are_said_with_the_claim() -> None:
    """Halves that are not significant, and weaker maps that do as well, are reservations."""
    weak = claim(
        value=0.034,
        robust=parts(0.02, 0.05, 0.03),
        placebo={"volume only": effect(0.04), "leverage shuffled": effect(0.01)},
    )
    verdict = alone(weak)
    assert verdict.outcome == EVIDENCE
    assert verdict.reservations == (
        "not significant by itself in the first half of the data (p 0.15)",
        "it is as large on a placebo map (volume only: +0.040)",
    )
    assert "with reservations: not significant by itself in the first" in verdict.sentence


def test_figures_are_in_the_claims_unit() -> None:
    """Daily returns are said in basis points, with the digits that their uncertainty allows."""
    verdict = alone(claim("rule", 0.0012, 0.0002, horizon_hours=None))
    assert "+12.0 basis points a day (95 % interval +8.1 to +15.9)" in verdict.sentence
    assert "an effect of 5.6 would" in verdict.sentence


def test_raw_p_values_are_refused() -> None:
    """A verdict on a p-value that was not corrected would hide what else was looked at."""
    with pytest.raises(InputError, match="no corrected p-value"):
        verdict_of(claim())
    assert verdict_of(corrected([claim()])[0]).outcome == EVIDENCE


def test_p_values_in_words() -> None:
    """Small ones are bounded, and none is rounded to zero."""
    assert [p_words(p) for p in (0.0009, 0.0011, 0.049, 0.2, 1.0, np.nan)] == [
        "below 0.001",
        "0.001",
        "0.049",
        "0.20",
        "1.00",
        "unknown",
    ]


def claims_of_a_world(rng: np.random.Generator, tie: float) -> list[Claim]:
    """Four claims on 60 days of heavy-tailed, clustered data; the first has a true effect of `tie`."""
    day = np.repeat(np.arange(60), 12)
    found = []
    for k, name in enumerate(("flow", "imbalance", "way", "far")):
        x, y = (
            (rng.standard_t(4, 60)[day] + 2.0 * rng.standard_t(4, 720)) / np.sqrt(5)
            for _ in range(2)
        )
        y += (tie if k == 0 else 0.0) * x
        if k < 2:
            whole = clustered_correlation(x, y, [], day, rng=rng, draws=399)
            robust = correlation_robustness(x, y, [], day, rng=rng, draws=39)
        else:
            whole = clustered_mean(y, day, rng=rng, draws=399)
            robust = mean_robustness(y, day, rng=rng, draws=39)
        found.append(claim_of(name, 1.0, whole, robust))
    return found


def test_verdicts_seldom_claim_what_is_not_there() -> None:
    """Fifty worlds without any effect: any claim, for or against, in at most as many as 5 % allow."""
    rng = np.random.default_rng(2)
    worlds = [verdicts_of(claims_of_a_world(rng, 0.0)) for _ in range(50)]
    false = sum(any(v.outcome in (EVIDENCE, AGAINST) for v in verdicts) for verdicts in worlds)
    assert false <= binom.ppf(0.99, 50, 0.05)


def test_verdicts_find_what_is_there() -> None:
    """A true tie of 0.25 is found in nine of ten worlds, and nothing else is claimed beside it."""
    rng = np.random.default_rng(3)
    worlds = [verdicts_of(claims_of_a_world(rng, 0.25)) for _ in range(30)]
    assert sum(verdicts[0].outcome == EVIDENCE for verdicts in worlds) >= 27
    others = sum(any(v.outcome == EVIDENCE for v in verdicts[1:]) for verdicts in worlds)
    assert others <= binom.ppf(0.99, 30, 0.05)


def test_every_kind_of_claim_reads_as_a_sentence() -> None:
    """No outcome of any claim leaves a gap, a double word or an unfinished sentence."""
    for name in CLAIM_KINDS:
        for value, error in ((1.0, 0.01), (-1.0, 0.01), (0.0, 1e-5), (0.0, 10.0)):
            sentence = alone(claim(name, value, error)).sentence
            assert sentence.endswith(".")
            assert sentence.count(".  ") == 0
            assert "that that" not in sentence
            assert "{" not in sentence
    assert replace(claim(), looks=0).detectable == claim().effect.mde
