"""What becomes a claim on one market, and over which periods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqtiers.reports.evidence.market import EvidenceMarket
from liqtiers.reports.evidence.market_claims import rule_claim, where_claims
from liqtiers.reports.evidence.rules import RuleRuns
from made_up_evidence import BARE, BARS, FULL, market_input


@pytest.mark.parametrize(
    ("series", "hours"),
    [("own:BTCUSDT", 1), ("own:BTCUSDT:1h", 1), ("own:BTCUSDT:4h", 4), ("own:BTCUSDT:1d", 24)],
)
def test_where_is_judged_by_no_period_shorter_than_the_prints(series: str, hours: int) -> None:
    """A sum over four hours is known in one bar: the hours before it would seem without liquidations."""
    given = market_input(FULL)
    market = EvidenceMarket(
        panel=replace(given.panel, sources={"liquidations": (series,)}),
        features=given.liquidation_map.features,
        instrument=given.instrument,
    )
    short, long = where_claims(market, {}, rng=np.random.default_rng(1))
    periods = BARS // hours
    assert 0.9 * periods - 2 <= short.claim.effect.n <= periods
    assert long.claim.effect.n == short.claim.effect.n


def test_where_is_no_claim_without_prints() -> None:
    """A market in which nothing was printed makes no claim about where liquidations happen."""
    given = market_input(BARE)
    market = EvidenceMarket(
        panel=given.panel,
        features=given.liquidation_map.features,
        instrument=given.instrument,
    )
    assert where_claims(market, {}, rng=np.random.default_rng(1)) == []


@pytest.mark.parametrize(("mapped", "vetoed"), [(-1e-3, True), (1e-3, False)])
def test_a_rule_that_lost_less_than_its_twin_is_vetoed(mapped: float, vetoed: bool) -> None:
    """Losing less than a twin that trades more often is no skill of the map."""
    noise = np.random.default_rng(3).normal(0.0, 1e-3, 200)
    noise -= noise.mean()
    runs = RuleRuns(
        day=np.arange(200),
        mapped=mapped + noise,
        twin=np.full(200, -5e-3),
        mapped_trades=10,
        twin_trades=50,
    )
    scored = rule_claim(runs, rng=np.random.default_rng(1))
    assert bool(scored.claim.veto) == vetoed
    assert scored.claim.effect.value == pytest.approx(mapped + 5e-3)
