"""Claims in words, corrected together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.claims import CLAIM_KINDS, claim_of, corrected, hours_words
from made_up_claims import claim, effect, parts


def test_all_that_was_looked_at_is_corrected_together() -> None:
    """Holm by hand over claims and horizons; one that could not be tested is not counted."""
    raw = [0.01, 0.04, 0.03, np.nan, 0.005]
    claims = [
        replace(claim(horizon_hours=hours), effect=replace(effect(0.05), p=p))
        for hours, p in zip((1.0, 4.0, 24.0, 1.0, 4.0), raw, strict=True)
    ]
    judged = corrected(claims)
    assert [c.horizon_hours for c in judged] == [1.0, 4.0, 24.0, 1.0, 4.0]
    assert [c.p_corrected for c in judged] == pytest.approx(
        [0.03, 0.06, 0.06, np.nan, 0.02], nan_ok=True
    )
    assert {c.looks for c in judged} == {4}


def test_correction_costs_power() -> None:
    """Ten claims are each tested at 0.5 %: 2.807 + 0.842 standard errors instead of 1.960 + 0.842."""
    alone = claim(effect=effect(0.0, 0.01))
    (one,) = corrected([alone])
    ten = corrected([alone] * 10)[0]
    assert one.detectable == pytest.approx(alone.effect.mde)
    assert ten.detectable == pytest.approx(alone.effect.mde * (2.807034 + 0.841621) / 2.801585)


def test_statements_name_horizon_and_side() -> None:
    """The clause completes "evidence that …" and leaves no gap where there is no horizon or side."""
    assert (
        "runs on in the tier's direction within 4 hours, more"
        in claim("way", horizon_hours=4).statement
    )
    short = claim_of("where", 1, effect(0.3), parts(0.3, 0.3, 0.3), side="short")
    assert "shows where short liquidations happen" in short.statement
    assert "shows where liquidations happen" in claim("where").statement
    assert "within" not in claim("rule", horizon_hours=None).statement
    for name in CLAIM_KINDS:
        assert "{" not in claim(name).statement
        assert "  " not in claim(name, horizon_hours=None).statement


def test_only_where_is_not_about_price() -> None:
    """Way, far, flow, imbalance, break and rule are about price; where is not."""
    assert {name for name, kind in CLAIM_KINDS.items() if kind.skill == "where"} == {"where"}
    assert {name for name, kind in CLAIM_KINDS.items() if kind.skill == "far"} == {"far"}
    assert len(CLAIM_KINDS) == 7


def test_unknown_claims_are_refused() -> None:
    """The message names those that exist."""
    with pytest.raises(InputError, match="no claim is called 'wave': it is one of where, way"):
        claim("wave")
    with pytest.raises(InputError, match="no claim is called 'wave'"):
        replace(claim(), name="wave")


def test_horizons_in_words() -> None:
    """Minutes below an hour, one hour, and hours."""
    assert [hours_words(h) for h in (0.25, 1, 4.0, 24)] == [
        "15 minutes",
        "1 hour",
        "4 hours",
        "24 hours",
    ]
