"""The whole study: every claim on every market, corrected together, and what stands behind the claims.

What is claimed is fixed before any data are seen; all of it is corrected together, over all markets. With
several markets the headline is that of the pooled claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from scipy.stats import t as student

from ...datasets.errors import InputError
from ...datasets.panel import Float64Array1D
from ...strategies.parameters import CostParameters, TierBreakoutParameters
from ...strategies.slippage import Slippage
from .capacity import CapacityRow, capacity
from .claims import MIRRORED, PRICE_ALONE, RECENT_EXTREMES, SHIFTED, Claim, claim_of, corrected
from .conventions import Conventions, compare_conventions
from .counterexamples import Counterexample, moves_against, rejected_tiers
from .flow import FlowEvidence, flow_evidence, way_correlations
from .headline import Headline, headline_of
from .imbalance import ImbalanceEvidence, imbalance_evidence
from .imbalance_statistics import horizons_of
from .inference import LEVEL, Effect, minimum_detectable_effect
from .level_study import LevelStudy, level_study
from .map_recipe import MapRecipe
from .market import HORIZON_HOURS, EvidenceMarket
from .market_claims import (
    Scored,
    flow_claims,
    imbalance_claims,
    mean_claim,
    rule_claim,
    rule_veto,
    tier_claims,
    where_claims,
    with_map,
)
from .other_tests import OtherTest, other_tests
from .placebo_maps import leverage_shuffled, mirrored, shifted, volume_only
from .pooled import Forest, Scores, forest
from .price_twin import price_only_twin
from .robustness import Robustness
from .rules import BothWays, RuleRuns, both_ways, run_rules
from .surrogates import DEFAULT_SURROGATES, null_markets
from .tier_study import TierStudy, tier_study
from .verdicts import Verdict, verdict_of, with_support

Scope = Literal["claims", "everything"]
SHIFT_DAYS: Final = 7
"""How much older the shifted placebo map is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudySettings:
    """How a study is made.

    Attributes
    ----------
    costs : CostParameters
    parameters : TierBreakoutParameters
        Of the rule that trades the map and its twin.
    surrogates : int
        Paths on which nothing can be predicted.
    scope : {"claims", "everything"}
        With ``claims`` only what the verdicts need.
    levels : tuple of float
        Prices named by the user, whose every approach is logged.
    slippage : Slippage or None
        Of trades at tiers, for example from a depth table; None for the square-root law of the costs.
    """

    costs: CostParameters = field(default_factory=CostParameters)
    parameters: TierBreakoutParameters = field(default_factory=TierBreakoutParameters)
    surrogates: int = DEFAULT_SURROGATES
    scope: Scope = "everything"
    levels: tuple[float, ...] = ()
    slippage: Slippage | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketStudy:
    """What was found on one market.

    Attributes
    ----------
    market : EvidenceMarket
    scored : tuple of Scored
        Its claims, not yet corrected.
    tiers : TierStudy
    placebo_tiers : dict of str to TierStudy
    imbalance : ImbalanceEvidence
    runs : RuleRuns
    flow : FlowEvidence or None
    ways : BothWays or None
    capacity : tuple of CapacityRow
    other_tests : tuple of OtherTest
    conventions : Conventions or None
        None, or empty, unless everything was asked for.
    against, rejected : tuple of Counterexample
        The largest moves against the imbalance within a day, and the fullest tiers that turned price back
        within the longest horizon.
    against_monthly, rejected_monthly : tuple of Counterexample
        The same, the worst of each calendar month.
    levels : LevelStudy or None
        None where no level was named.
    """

    market: EvidenceMarket
    scored: tuple[Scored, ...]
    tiers: TierStudy
    placebo_tiers: dict[str, TierStudy]
    imbalance: ImbalanceEvidence
    runs: RuleRuns
    flow: FlowEvidence | None
    ways: BothWays | None
    capacity: tuple[CapacityRow, ...]
    conventions: Conventions | None
    other_tests: tuple[OtherTest, ...] = ()
    against: tuple[Counterexample, ...] = ()
    rejected: tuple[Counterexample, ...] = ()
    against_monthly: tuple[Counterexample, ...] = ()
    rejected_monthly: tuple[Counterexample, ...] = ()
    levels: LevelStudy | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """The whole study.

    Attributes
    ----------
    markets : dict of str to MarketStudy
        By name.
    verdicts : dict of str to tuple of Verdict
        By market's name, each in the order of its claims.
    pooled : tuple of Verdict
        Over all markets; empty for one.
    forests : dict of str to Forest
        By `claim_key`; empty for one market.
    headline : Headline
    """

    markets: dict[str, MarketStudy]
    verdicts: dict[str, tuple[Verdict, ...]]
    pooled: tuple[Verdict, ...]
    forests: dict[str, Forest]
    headline: Headline


def market_study(
    market: EvidenceMarket,
    recipe: MapRecipe | None,
    *,
    rng: np.random.Generator,
    settings: StudySettings | None = None,
    progress: Callable[[str], None] | None = None,
) -> MarketStudy:
    """Look at everything on one market.

    Parameters
    ----------
    market : EvidenceMarket
    recipe : MapRecipe or None
        How its map was made; None for an imported one.
    rng : numpy.random.Generator
    settings : StudySettings, optional
    progress : callable, optional
        Is told each step as it begins.

    Raises
    ------
    InputError
        If there are too few bars to say anything, see `imbalance_evidence`.
    """
    settings = settings or StudySettings()
    tell = progress or _silent
    tell("tiers that price reached, on the map and on placebo maps")
    hours = horizons_of(market.panel, HORIZON_HOURS)
    placebos = _placebos(market, recipe, settings.scope, rng)
    twin = price_only_twin(market)
    tiers = tier_study(market, hours, rng=rng)
    placebo_tiers = {name: tier_study(other, hours, rng=rng) for name, other in placebos.items()}
    on_price = with_map(market, twin)
    placebo_tiers[PRICE_ALONE] = tier_study(on_price, hours, rng=rng, clear_of=market)
    if settings.scope == "everything":
        placebo_tiers[RECENT_EXTREMES] = tier_study(on_price, hours, rng=rng)
    nulls = _told(
        null_markets(market, recipe, rng=rng, count=settings.surrogates), settings.surrogates, tell
    )
    flows: list[Float64Array1D] = []
    imbalance = imbalance_evidence(market, _flows_noted(nulls, hours, flows), rng=rng)
    tell("the rule on the map and on price alone")
    runs = run_rules(market, twin, parameters=settings.parameters, costs=settings.costs)
    # What a mirrored map predicts to be swept is the real map's with the sides swapped: no placebo.
    moved = {name: other for name, other in placebos.items() if name != MIRRORED}
    tell("claims, their halves and their placebos")
    scored = [
        *where_claims(market, moved, rng=rng),
        *tier_claims(tiers, placebo_tiers, rng=rng),
        *flow_claims(market, hours, moved, np.mean(flows, axis=0), rng=rng),
        *imbalance_claims(imbalance),
        rule_claim(runs, rng=rng),
    ]
    found = MarketStudy(
        market=market,
        scored=tuple(scored),
        tiers=tiers,
        placebo_tiers=placebo_tiers,
        imbalance=imbalance,
        runs=runs,
        flow=None,
        ways=None,
        capacity=(),
        conventions=None,
    )
    if settings.scope == "claims":
        return found
    tell("trading tiers both ways, capacity, conventions, counterexamples, levels")
    return replace(
        found,
        flow=flow_evidence(market, rng=rng),
        ways=both_ways(
            market,
            tiers.encounters,
            hours=hours,
            costs=settings.costs,
            rng=rng,
            slippage=settings.slippage,
        ),
        capacity=capacity(market, parameters=settings.parameters, costs=settings.costs),
        conventions=compare_conventions(market, recipe),
        other_tests=other_tests(market, rng=rng),
        against=moves_against(market, hours[-1]),
        rejected=rejected_tiers(market, tiers.encounters, tiers.outcomes[-1]),
        against_monthly=moves_against(market, hours[-1], count=1, period="month"),
        rejected_monthly=rejected_tiers(
            market, tiers.encounters, tiers.outcomes[-1], count=1, period="month"
        ),
        levels=level_study(market, settings.levels, tiers.controls, hours=hours)
        if settings.levels
        else None,
    )


def evidence_of(
    studies: Mapping[str, MarketStudy], *, subject: str, rng: np.random.Generator
) -> Evidence:
    """Correct all claims of all markets together, and say what they amount to.

    Parameters
    ----------
    studies : mapping of str to MarketStudy
        By name, at least one.
    subject : str
        What the headline speaks of.
    rng : numpy.random.Generator

    Raises
    ------
    InputError
        If there is no market.
    """
    if not studies:
        raise InputError("there is no market to study")
    together, forests = _pooled(studies, rng) if len(studies) > 1 else ([], {})
    claims = [s.claim for study in studies.values() for s in study.scored]
    judged = iter([verdict_of(claim) for claim in corrected([*claims, *together])])
    verdicts = {
        name: with_support([next(judged) for _ in study.scored]) for name, study in studies.items()
    }
    pooled = with_support(list(judged))
    return Evidence(
        markets=dict(studies),
        verdicts=verdicts,
        pooled=pooled,
        forests=forests,
        headline=headline_of(pooled or next(iter(verdicts.values())), subject),
    )


def claim_key(claim: Claim) -> str:
    """Return a short name of a claim, as ``way 4h`` or ``where short``."""
    words = [claim.name]
    if claim.horizon_hours is not None:
        words.append(f"{claim.horizon_hours:g}h")
    if claim.name == "where":
        words.append("short" if "short" in claim.statement else "long")
    return " ".join(words)


def _silent(step: str) -> None:
    """Tell nobody."""


def _told(
    nulls: Iterator[EvidenceMarket], count: int, tell: Callable[[str], None]
) -> Iterator[EvidenceMarket]:
    for number, null in enumerate(nulls, start=1):
        tell(f"surrogate path {number} of {count}")
        yield null


def _flows_noted(
    nulls: Iterable[EvidenceMarket], hours: Sequence[float], flows: list[Float64Array1D]
) -> Iterator[EvidenceMarket]:
    """Yield the markets and note the flow's correlations on each: a map is rebuilt once for all uses."""
    for null in nulls:
        flows.append(way_correlations(null, hours))
        yield null


def _placebos(
    market: EvidenceMarket, recipe: MapRecipe | None, scope: Scope, rng: np.random.Generator
) -> dict[str, EvidenceMarket]:
    maps = {MIRRORED: mirrored(market), SHIFTED: shifted(market, SHIFT_DAYS)}
    if scope == "everything" and recipe is not None:
        maps["leverage shuffled"] = leverage_shuffled(market, recipe, rng=rng)
        maps["volume only"] = volume_only(market, recipe)
    return {name: with_map(market, features) for name, features in maps.items()}


def _pooled(
    studies: Mapping[str, MarketStudy], rng: np.random.Generator
) -> tuple[list[Claim], dict[str, Forest]]:
    found: dict[str, dict[str, Scored]] = {}
    for name, study in studies.items():
        for scored in study.scored:
            found.setdefault(claim_key(scored.claim), {})[name] = scored
    claims, forests = [], {}
    for key, of in found.items():
        if len(of) < 2:
            continue
        first = next(iter(of.values())).claim
        scores = {name: s.scores for name, s in of.items() if s.scores is not None}
        if len(scores) == len(of):
            pooled, shown = _pooled_mean(first, scores, _pooled_placebos(list(of.values())), rng)
        else:
            paths = min(studies[name].imbalance.surrogates for name in of)
            each = {name: s.claim for name, s in of.items()}
            pooled, shown = _pooled_as_one(first, each, degrees=paths - 1)
        if first.name == "rule":
            mapped = np.concatenate([studies[name].runs.mapped for name in of])
            pooled = replace(pooled, veto=rule_veto(mapped))
        claims.append(pooled)
        forests[key] = shown
    return claims, forests


def _pooled_mean(
    first: Claim,
    scores: Mapping[str, Scores],
    placebo: Mapping[str, Scores],
    rng: np.random.Generator,
) -> tuple[Claim, Forest]:
    shown = forest(scores, rng=rng)
    together = _together(list(scores.values()))
    pooled = mean_claim(first.name, first.horizon_hours, together, placebo, rng=rng).claim
    return replace(pooled, statement=first.statement), shown


def _pooled_placebos(of: Sequence[Scored]) -> dict[str, Scores]:
    """Return the scores of the placebo maps that all markets have: an imported map has fewer."""
    return {
        kind: _together([scored.placebo[kind] for scored in of])
        for kind in of[0].placebo
        if all(kind in scored.placebo for scored in of)
    }


def _together(scores: Sequence[Scores]) -> Scores:
    return Scores(
        np.concatenate([s.value for s in scores]), np.concatenate([s.cluster for s in scores])
    )


def _pooled_as_one(
    first: Claim, claims: Mapping[str, Claim], *, degrees: int
) -> tuple[Claim, Forest]:
    """Return the mean of the markets' effects, as uncertain as if all of them moved as one.

    `degrees` are those of the markets' intervals: surrogate paths less one, of the market with fewest.
    """

    def mean(effects: Sequence[Effect]) -> Effect:
        known = [e for e in effects if e.known] or list(effects)
        error = float(np.mean([(e.high - e.low) / 2.0 for e in known]))
        error /= float(student.ppf(1.0 - LEVEL / 2.0, degrees))
        value = float(np.mean([e.value for e in known]))
        reach = error * float(student.ppf(1.0 - LEVEL / 2.0, degrees))
        return Effect(
            value=value,
            low=value - reach,
            high=value + reach,
            p=float(2.0 * student.sf(abs(value) / error, degrees)) if error > 0.0 else float("nan"),
            n=sum(e.n for e in known),
            clusters=max(e.clusters for e in known),
            mde=minimum_detectable_effect(error, degrees=degrees),
        )

    each = {name: claim.effect for name, claim in claims.items()}
    parts = [claim.robust for claim in claims.values()]
    robust = Robustness(
        first_half=mean([p.first_half for p in parts]),
        second_half=mean([p.second_half for p in parts]),
        without_best=mean([p.without_best for p in parts]),
    )
    pooled = mean(list(each.values()))
    spread = float(np.std([e.value for e in each.values()], ddof=1))
    claim = claim_of(first.name, first.horizon_hours, pooled, robust)
    return claim, Forest(each, pooled, spread)
