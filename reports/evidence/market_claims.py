"""The claims that can be made for one market, each with its robustness and its placebos.

Everything that is looked at becomes a claim here, at all horizons, so that the correction counts it. Each
comes with the scores from which it was made, one an observation, for pooling over instruments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from ...datasets.calibration import PRINTED, longest_print_us
from ...datasets.map_features import MapFeatures
from ...datasets.naming import DAY_US, HOUR_US
from ...datasets.panel import Float64Array1D, Int64Array1D
from ..map_skill import HARD, period_table
from ..rank_statistics import TakenOut, rank_residuals
from .claims import Claim, claim_of
from .flow import way_scores
from .imbalance import ImbalanceEvidence
from .inference import (
    Effect,
    blocks_of,
    clustered_correlation,
    clustered_difference,
    clustered_mean,
)
from .market import HORIZON_HOURS, EvidenceMarket, day_of
from .matching import covariates_of
from .pooled import Scores
from .robustness import correlation_robustness, mean_robustness
from .rules import RuleRuns
from .tier_study import TierStudy

_FEWEST_PERIODS: Final = 30
_WHERE_PERIODS_US: Final = (HOUR_US, 4 * HOUR_US, DAY_US)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """A claim and its scores.

    Attributes
    ----------
    claim : Claim
    scores : Scores or None
        One number an observation whose mean is the effect, and its block of days; None where the effect is
        no mean (the imbalance, which is judged against surrogate paths).
    placebo : mapping of str to Scores
        Those from which its placebos were made.
    """

    claim: Claim
    scores: Scores | None
    placebo: Mapping[str, Scores] = field(default_factory=dict)


def mean_claim(
    name: str,
    hours: float | None,
    scores: Scores,
    placebo: Mapping[str, Scores] | None = None,
    *,
    rng: np.random.Generator,
) -> Scored:
    """Return the claim that some scores have a mean above 0.

    Parameters
    ----------
    name : str
        One of `CLAIM_KINDS`.
    hours : float or None
        The horizon.
    scores : Scores
        Clustered by blocks of days, see `blocks_of`.
    placebo : mapping of str to Scores, optional
        The same of placebo maps.
    rng : numpy.random.Generator
    """
    return Scored(
        claim=claim_of(
            name,
            hours,
            clustered_mean(*scores, rng=rng),
            mean_robustness(*scores, rng=rng),
            {kind: clustered_mean(*found, rng=rng) for kind, found in (placebo or {}).items()},
            _beyond(scores, placebo or {}, rng=rng),
        ),
        scores=scores,
        placebo=placebo or {},
    )


class Columns(NamedTuple):
    """Two columns that may be correlated, what is taken out of both and how, and each row's day; finite.

    Strong controls of many rows are taken out by curves, since ranks leave an artefact of them behind. A
    dozen controls of some hundred rows are taken out by ranks: curves would fit the noise, and among 174
    simulated worlds in which there was nothing to find they made one test in ten significant at 5 %.
    """

    first: Float64Array1D
    second: Float64Array1D
    controls: list[Float64Array1D]
    day: Int64Array1D
    taken_out: TakenOut


def correlation_claim(
    name: str,
    hours: float | None,
    columns: Columns,
    placebo: Mapping[str, Columns] | None = None,
    *,
    rng: np.random.Generator,
    side: str = "",
) -> Scored:
    """Return the claim that two columns are correlated in rank beyond some controls."""

    def effect(of: Columns) -> Effect:
        return clustered_correlation(
            of.first, of.second, of.controls, block(of), rng=rng, taken_out=of.taken_out
        )

    def block(of: Columns) -> Int64Array1D:
        return blocks_of(of.day, (hours or 0.0) / 24.0)

    robust = correlation_robustness(
        columns.first,
        columns.second,
        columns.controls,
        block(columns),
        rng=rng,
        taken_out=columns.taken_out,
    )
    others = {kind: effect(of) for kind, of in (placebo or {}).items()}
    scores = Scores(_products(columns), block(columns))
    placebos = {kind: Scores(_products(of), block(of)) for kind, of in (placebo or {}).items()}
    beyond = _beyond(scores, placebos, rng=rng)
    return Scored(
        claim=claim_of(name, hours, effect(columns), robust, others, beyond, side=side),
        scores=scores,
        placebo=placebos,
    )


def where_claims(
    market: EvidenceMarket, placebo: Mapping[str, EvidenceMarket], *, rng: np.random.Generator
) -> list[Scored]:
    """Return the claims that the map shows where liquidations happen; none without printed ones.

    By the shortest of an hour, four hours and a day that is no shorter than what the prints are sums over.
    """
    found = _where_table(market)
    if found is None:
        return []
    period_us, table = found
    others = {name: _known_periods(other, period_us) for name, other in placebo.items()}
    return [
        correlation_claim(
            "where",
            None,
            _where_columns(table, side),
            {name: _where_columns(of, side) for name, of in others.items()},
            rng=rng,
            side=side,
        )
        for side in ("short", "long")
    ]


def flow_claims(
    market: EvidenceMarket,
    hours: Sequence[float],
    placebo: Mapping[str, EvidenceMarket],
    expected: Float64Array1D,
    *,
    rng: np.random.Generator,
) -> list[Scored]:
    """Return the claims that price goes on after it set off liquidations, one a horizon.

    Parameters
    ----------
    market : EvidenceMarket
    hours : sequence of float
    placebo : mapping of str to EvidenceMarket
    expected : ndarray of float64, shape (len(hours),)
        The mean of `way_correlations` on surrogate paths: bars of such a shape are followed by such returns
        whatever the map says, and the claim is about the rest. Its own error, of some dozens of paths, adds
        less than 2 % to the interval and is left out.
    rng : numpy.random.Generator
    """
    found = []
    for h, usual in zip(hours, expected.tolist(), strict=True):
        scores = _flow_scores(market, h)
        others = {name: _flow_scores(other, h) for name, other in placebo.items()}
        beyond = Scores(scores.value - usual, scores.cluster)
        found.append(mean_claim("flow", h, beyond, others, rng=rng))
    return found


def tier_claims(
    tiers: TierStudy, placebo: Mapping[str, TierStudy], *, rng: np.random.Generator
) -> list[Scored]:
    """Return what is claimed of tiers that price reached: which way, how far, and by the imbalance.

    Parameters
    ----------
    tiers : TierStudy
    placebo : mapping of str to TierStudy
        The same of placebo maps, at the same horizons.
    rng : numpy.random.Generator
    """
    found = []
    for k, hours in enumerate(tiers.hours):
        for name, outcome in (("way", "signed_move"), ("far", "absolute_move")):
            others = {
                kind: Scores(*other.differences[k].scores(outcome))
                for kind, other in placebo.items()
            }
            scores = Scores(*tiers.differences[k].scores(outcome))
            scored = mean_claim(name, hours, scores, others, rng=rng)
            # Blocks that hold controls alone are witnesses of the controls, not tiers that were compared.
            effect = replace(scored.claim.effect, n=len(tiers.differences[k]))
            found.append(replace(scored, claim=replace(scored.claim, effect=effect)))
        columns = {kind: _break_columns(other, k) for kind, other in placebo.items()}
        found.append(correlation_claim("break", hours, _break_columns(tiers, k), columns, rng=rng))
    return found


def imbalance_claims(found: ImbalanceEvidence) -> list[Scored]:
    """Return the claims that price tends to the side on which the map holds more, one a horizon."""
    skills = {skill.hours: skill.partial for skill in found.horizons}
    hours = [h for h in HORIZON_HOURS if h in skills]
    return [
        Scored(claim=claim_of("imbalance", h, skills[h], robust), scores=None)
        for h, robust in zip(hours, found.robust, strict=True)
    ]


def rule_claim(runs: RuleRuns, *, rng: np.random.Generator) -> Scored:
    """Return the claim that the rule earns more a day on the map than on its twin.

    Not made where the rule itself lost: a twin that trades more often only pays more costs.
    """
    scored = mean_claim("rule", None, Scores(runs.mapped - runs.twin, runs.day), rng=rng)
    return replace(scored, claim=replace(scored.claim, veto=rule_veto(runs.mapped)))


def rule_veto(mapped: Float64Array1D) -> str:
    """Return why a rule with these daily returns is no evidence for its map; empty where it gained."""
    if mapped.mean() > 0.0:
        return ""
    return "the rule itself lost on the map after costs, if less than on price alone"


def with_map(market: EvidenceMarket, features: MapFeatures) -> EvidenceMarket:
    """Return the market with another map."""
    return EvidenceMarket(
        panel=market.panel,
        features=features,
        instrument=market.instrument,
        window=market.window,
    )


def _beyond(
    scores: Scores, placebo: Mapping[str, Scores], *, rng: np.random.Generator
) -> dict[str, Effect]:
    return {kind: clustered_difference(*scores, *other, rng=rng) for kind, other in placebo.items()}


def _break_columns(tiers: TierStudy, place: int) -> Columns:
    encounters = tiers.encounters
    columns = [
        encounters.imbalance_towards,
        tiers.outcomes[place].signed_move,
        *covariates_of(tiers.market, encounters),
    ]
    known = np.isfinite(np.stack(columns)).all(axis=0)
    first, second, *controls = (column[known] for column in columns)
    return Columns(first, second, controls, encounters.day[known], "ranks")


def _flow_scores(market: EvidenceMarket, hours: float) -> Scores:
    found = way_scores(market, hours)
    return Scores(found.value, blocks_of(day_of(market.panel)[found.rows], hours / 24.0))


def _where_table(market: EvidenceMarket) -> tuple[int, dict[str, Float64Array1D]] | None:
    # A sum over four hours counts in the bar in which it became known: no hour of it can be judged.
    coarsest = longest_print_us(market.panel)
    for period_us in _WHERE_PERIODS_US:
        if period_us % market.panel.bar_us or period_us < coarsest:
            continue
        table = _known_periods(market, period_us)
        if len(table["start_us"]) >= _FEWEST_PERIODS:
            return period_us, table
    return None


def _known_periods(market: EvidenceMarket, period_us: int) -> dict[str, Float64Array1D]:
    table = period_table(market.panel, market.features, period_us, against=PRINTED)
    known = np.isfinite(np.stack(list(table.values()))).all(axis=0)
    return {name: column[known] for name, column in table.items()}


def _where_columns(table: dict[str, Float64Array1D], side: str) -> Columns:
    return Columns(
        table[f"predicted_{side}"],
        table[f"happened_{side}"],
        [table[f"{side}: {name}"] for name in HARD],
        (table["start_us"] // DAY_US).astype(np.int64),
        "curves",
    )


def _products(columns: Columns) -> Float64Array1D:
    """Return products of residuals whose mean is the partial rank correlation, shape (n,)."""
    if not len(columns.first):
        return columns.first
    first, second = rank_residuals(
        (columns.first, columns.second), columns.controls, taken_out=columns.taken_out
    )
    size = float(np.sqrt((first @ first) * (second @ second)))
    return first * second * (len(first) / size) if size > 0.0 else np.zeros(len(first))
