"""The headline: three skills kept apart, whatever the verdicts are."""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest

from liqtiers.reports.evidence.claims import CLAIM_KINDS, Claim
from liqtiers.reports.evidence.headline import Headline, headline_of
from liqtiers.reports.evidence.verdicts import (
    AGAINST,
    EVIDENCE,
    NO_EVIDENCE,
    TOO_LITTLE_DATA,
    Outcome,
    verdicts_of,
)
from made_up_claims import claim, effect

SUBJECT: Final = "BTCUSDT, 2023-01-01 to 2026-02-10"
ABOUT_PRICE: Final = [name for name in CLAIM_KINDS if name != "where"]
NOTHING_NEW: Final = "says nothing about where price goes that price itself had not said"


def claim_with(name: str, outcome: Outcome, hours: float = 1.0) -> Claim:
    """A claim with so clear a verdict that corrections do not change it."""
    matters = CLAIM_KINDS[name].matters
    value, error = {
        EVIDENCE: (2.0 * matters, 0.1 * matters),
        AGAINST: (-2.0 * matters, 0.1 * matters),
        NO_EVIDENCE: (0.0, 0.1 * matters),
        TOO_LITTLE_DATA: (0.0, 5.0 * matters),
    }[outcome]
    return claim(name, value, error, horizon_hours=hours)


def headline(*claims: Claim) -> Headline:
    return headline_of(verdicts_of(claims), SUBJECT)


def test_a_map_that_locates_liquidations_has_said_nothing_about_price() -> None:
    """The sentence that the project expects to write most often."""
    found = headline(
        claim("where", 0.33),
        claim("where", 0.4),
        *(claim_with(n, NO_EVIDENCE) for n in ABOUT_PRICE),
    )
    assert found.sentence == (
        "On BTCUSDT, 2023-01-01 to 2026-02-10, the map shows where liquidations happen (partial rank "
        "correlation 0.33 to 0.40), but the map says nothing about where price goes that price itself had "
        "not said."
    )
    assert not found.predicts_price


@pytest.mark.parametrize(
    ("where", "others"), list(product(Outcome, (NO_EVIDENCE, TOO_LITTLE_DATA, AGAINST)))
)
def test_the_map_is_never_called_predictive_because_of_where(
    where: Outcome, others: Outcome
) -> None:
    """Whatever is found on where: without evidence on price the headline claims none."""
    found = headline(claim_with("where", where), *(claim_with(n, others) for n in ABOUT_PRICE))
    assert found.where == where
    assert (found.way, found.far) == (others, others)
    assert not found.predicts_price
    assert "the map says which way" not in found.sentence
    assert "how far price goes" not in found.sentence


@pytest.mark.parametrize("name", ABOUT_PRICE)
def test_evidence_about_price_is_said_with_its_moment_and_horizon(name: str) -> None:
    """One claim with evidence: the headline says which, and whether it is the way or how far."""
    others = [claim_with(n, NO_EVIDENCE) for n in CLAIM_KINDS if n != name]
    found = headline(claim_with(name, EVIDENCE, 4.0), *others)
    assert found.predicts_price
    moment = f"{CLAIM_KINDS[name].moment} (4 hours)"
    if name == "far":
        assert f"says how far price goes {moment}" in found.sentence
        assert "but not which way" in found.sentence
        assert found.way == NO_EVIDENCE
    else:
        assert f"says which way price goes {moment}" in found.sentence
        assert found.far == NO_EVIDENCE
    assert "does not show where liquidations happen" in found.sentence
    assert "volume show, but the map says" in found.sentence
    assert NOTHING_NEW not in found.sentence


def test_horizons_are_gathered() -> None:
    """Several horizons of one claim stand together."""
    found = headline(*(claim_with("imbalance", EVIDENCE, hours) for hours in (1.0, 24.0)))
    assert "which way price goes by the imbalance (1 hour, 24 hours), beyond" in found.sentence


def test_the_opposite_is_said() -> None:
    """Price that went against the imbalance is neither predicted nor passed over."""
    against = headline(claim_with("imbalance", AGAINST), claim_with("flow", NO_EVIDENCE))
    assert "the opposite held by the imbalance (1 hour)" in against.sentence
    both = headline(claim_with("imbalance", AGAINST), claim_with("flow", EVIDENCE))
    assert "says which way price goes after it set off liquidations (1 hour)" in both.sentence
    assert "The opposite of what it promises held by the imbalance (1 hour)." in both.sentence


def test_too_little_data_is_said_and_counted() -> None:
    """All claims without data: that is the headline; some: they are counted."""
    short = [claim_with(n, TOO_LITTLE_DATA) for n in ("flow", "far", "rule")]
    nothing = headline(*short)
    assert "there is too little data to say whether the map says anything about" in nothing.sentence
    some = headline(*short, claim_with("imbalance", NO_EVIDENCE))
    assert "there is too little data to say whether" in some.sentence
    most = headline(*short, *[claim_with("imbalance", NO_EVIDENCE)] * 4)
    assert NOTHING_NEW in most.sentence
    assert "Too little data for 3 of 4 claims about price." in some.sentence


@pytest.mark.parametrize(("value", "small"), [(0.04, True), (0.06, False)])
def test_an_effect_too_small_to_matter_is_said_to_be(value: float, small: bool) -> None:
    """Significance is not size: of a flow below 0.05 the headline says that it would not matter."""
    (verdict,) = verdicts_of([claim("flow", value, error=0.001)])
    found = headline_of([verdict], "BTCUSDT")
    assert verdict.outcome == EVIDENCE
    assert ("less than would matter to a trader" in found.sentence) == small


def test_failed_sides_are_counted() -> None:
    """Where one side of the book was located and the other not, the headline says how many failed."""
    found = headline(claim_with("where", EVIDENCE), claim_with("where", NO_EVIDENCE))
    assert "(partial rank correlation 0.10; 1 of 2 such claims failed)" in found.sentence
    assert headline().sentence == f"On {SUBJECT}, nothing was looked at."


def test_maps_that_know_less_and_cannot_be_told_from_it_are_named() -> None:
    """A claim that is made is qualified by the weaker maps that do as well; others are not named."""
    matters = CLAIM_KINDS["flow"].matters
    rivals = {"recent extremes": effect(1.9 * matters), "volume only": effect(0.0)}
    found = headline(claim("flow", 2.0 * matters, 0.1 * matters, placebo=rivals))
    assert "Maps that know less (“recent extremes”) cannot be told from it there." in found.sentence
    assert "volume only" not in found.sentence
