"""A study as one dict: every figure that its page shows, in the units that stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from .capacity import break_even
from .conventions import Conventions
from .differences import MatchedDifferences
from .flow import FlowSkill
from .imbalance import Conditional, HorizonSkill, QuantileReturn
from .inference import Effect, clustered_mean
from .level_study import LevelStudy
from .matching import Matching
from .outcomes import OUTCOME_NAMES, Outcomes
from .rules import BothWays, RuleRuns
from .study import Evidence, MarketStudy, claim_key
from .verdicts import Verdict

_SHARES = ("activated", "rejected")


def evidence_about(evidence: Evidence, *, rng: np.random.Generator) -> dict[str, Any]:
    """Return what was found.

    Parameters
    ----------
    evidence : Evidence
    rng : numpy.random.Generator
        For the intervals of the shares of activated and rejected tiers, which describe and are not claimed.
    """
    headline = evidence.headline
    return {
        "headline": {
            "sentence": headline.sentence,
            "where": _outcome(headline.where),
            "way": _outcome(headline.way),
            "far": _outcome(headline.far),
            "predicts_price": headline.predicts_price,
        },
        "pooled": [claim_about(verdict) for verdict in evidence.pooled],
        "forests": {
            key: {
                "each": {name: effect_about(e, scale) for name, e in forest.each.items()},
                "pooled": effect_about(forest.pooled, scale),
                "spread": scale * forest.spread,
            }
            for key, forest, scale in _forests(evidence)
        },
        "markets": {
            name: _market(study, evidence.verdicts[name], rng)
            for name, study in evidence.markets.items()
        },
    }


def claim_about(verdict: Verdict) -> dict[str, Any]:
    """Return a claim and its verdict, figures in the claim's unit."""
    claim = verdict.claim
    kind = claim.kind
    parts = {
        "first_half": claim.robust.first_half,
        "second_half": claim.robust.second_half,
        "without_best": claim.robust.without_best,
    }
    return {
        "key": claim_key(claim),
        "name": claim.name,
        "horizon_hours": claim.horizon_hours,
        "skill": kind.skill,
        "statement": claim.statement,
        "unit": claim.unit,
        "matters": kind.scale * kind.matters,
        "effect": effect_about(claim.effect, kind.scale),
        "p_corrected": claim.p_corrected,
        "looks": claim.looks,
        "detectable": kind.scale * claim.detectable,
        "outcome": str(verdict.outcome),
        "sentence": verdict.sentence,
        "reasons": list(verdict.reasons),
        "reservations": list(verdict.reservations),
        "placebo": {name: effect_about(e, kind.scale) for name, e in claim.placebo.items()},
        "beyond": {name: effect_about(e, kind.scale) for name, e in claim.beyond.items()},
        "robust": {name: effect_about(e, kind.scale) for name, e in parts.items()},
    }


def effect_about(effect: Effect, scale: float = 1.0) -> dict[str, Any]:
    """Return an effect, its values times `scale`."""
    scaled = {name: scale * getattr(effect, name) for name in ("value", "low", "high", "mde")}
    return {**scaled, "p": effect.p, "n": effect.n, "clusters": effect.clusters}


def _outcome(outcome: object | None) -> str | None:
    return None if outcome is None else str(outcome)


def _forests(evidence: Evidence) -> list[tuple[str, Any, float]]:
    scales = {claim_key(v.claim): v.claim.kind.scale for v in evidence.pooled}
    return [(key, forest, scales[key]) for key, forest in evidence.forests.items()]


def _market(
    study: MarketStudy, verdicts: tuple[Verdict, ...], rng: np.random.Generator
) -> dict[str, Any]:
    imbalance = study.imbalance
    return {
        "window": study.market.window,
        "claims": [claim_about(verdict) for verdict in verdicts],
        "encounters": _encounters(study, rng),
        "imbalance": {
            "bars": imbalance.bars,
            "surrogates": imbalance.surrogates,
            "horizons": [_skill(skill) for skill in imbalance.horizons],
            "quantiles": [_quantile(row) for row in imbalance.quantiles],
            "other_tests": [test._asdict() for test in study.other_tests],
            "started": [_conditional(row) for row in imbalance.started],
            "regimes": [_conditional(row) for row in imbalance.regimes],
        },
        "flow": None
        if study.flow is None
        else {"swept": study.flow.swept, "horizons": [_flow(f) for f in study.flow.horizons]},
        "conventions": None if study.conventions is None else _conventions(study.conventions),
        "ways": None if study.ways is None else _ways(study.ways),
        "rule": _rule(study.runs),
        "capacity": {
            "rows": [{**asdict(row), "book": row.book._asdict()} for row in study.capacity],
            # Infinite where even the largest still gains, which JSON cannot hold.
            "break_even": break_even(study.capacity),
            "gains_at_all": bool(np.isinf(break_even(study.capacity))),
        },
        "levels": None if study.levels is None else _levels(study.levels, rng),
        "counterexamples": {"against": len(study.against), "rejected": len(study.rejected)},
    }


def _encounters(study: MarketStudy, rng: np.random.Generator) -> dict[str, Any]:
    tiers = study.tiers
    rows = [
        {
            **_came(came),
            **_matched(found, matching, rng),
            "balance": _balance(matching),
        }
        for came, found, matching in zip(
            tiers.outcomes, tiers.differences, tiers.matchings, strict=True
        )
    ]
    above = int((tiers.encounters.side > 0).sum())
    return {
        "count": len(tiers.encounters),
        "above": above,
        "below": len(tiers.encounters) - above,
        "controls": len(tiers.controls),
        "horizons": rows,
    }


def _came(came: Outcomes) -> dict[str, Any]:
    """Return the counts of the outcomes, and the middle of their figures."""
    return {
        "hours": came.horizon_hours,
        "outcomes": {name: int((came.state == s).sum()) for s, name in OUTCOME_NAMES.items()},
        "signed_move": _mean(came.signed_move),
        "absolute_move": _mean(came.absolute_move),
        "hours_to_cross": _median(came.hours_to_cross),
        "speed": _median(came.speed),
        "excess_move": _median(came.excess_move),
        "predicted": _median(came.predicted),
        "printed": _median(came.printed),
        "open_interest_lost": _mean(came.open_interest_lost),
    }


def _matched(
    found: MatchedDifferences, matching: Matching | None, rng: np.random.Generator
) -> dict[str, Any]:
    """Return shares of outcomes and mean moves, next to those of the matched levels."""
    own = {name: _mean(found.own[name]) for name in found.own}
    others = {name: _mean(found.controls_mean(name)) for name in found.own}
    for side in (own, others):
        side["absorbed"] = 1.0 - sum(side[name] for name in _SHARES)
    return {
        "matched": len(found),
        "unmatched": None if matching is None else matching.unmatched,
        "unknown": None if matching is None else matching.unknown,
        "tiers": own,
        "like_levels": others,
        "differences": {
            name: effect_about(clustered_mean(*found.scores(name), rng=rng)) for name in found.own
        },
    }


def _balance(matching: Matching) -> list[dict[str, Any]]:
    return [
        {"covariate": name, "before": float(before), "after": float(after)}
        for name, before, after in zip(
            matching.before._fields, matching.before, matching.after, strict=True
        )
    ]


def _skill(skill: HorizonSkill) -> dict[str, Any]:
    return {
        "hours": skill.hours,
        "information": skill.information,
        "surrogates": skill.information - skill.raw.value,
        "raw": effect_about(skill.raw),
        "partial": effect_about(skill.partial),
        "hit_rate": skill.hit_rate,
        "base_rate": skill.base_rate,
        "hits": effect_about(skill.hits),
        "spread_bps": effect_about(skill.spread, 1e4),
    }


def _quantile(row: QuantileReturn) -> dict[str, Any]:
    return {
        "hours": row.hours,
        "quantile": row.quantile,
        "lowest": row.lowest,
        "highest": row.highest,
        "mean_bps": effect_about(row.mean, 1e4),
    }


def _conditional(row: Conditional) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "label": row.label,
        "hours": row.hours,
        "partial": effect_about(row.partial),
    }


def _flow(skill: FlowSkill) -> dict[str, Any]:
    named = {
        name: getattr(skill, name)
        for name in ("way", "given_all", "far", "prints", "beyond_prints")
    }
    effects = {name: None if e is None else effect_about(e) for name, e in named.items()}
    return {"hours": skill.hours, **effects}


def _conventions(found: Conventions) -> dict[str, Any]:
    low, high = found.information_range
    return {
        "hours": found.hours,
        "flips": found.flips,
        "information_low": low,
        "information_high": high,
        "rows": [
            {
                "name": row.name,
                "window": row.window,
                "information": row.information,
                "middle": _median(row.log_ratio),
                "middle_share": _median(row.share),
                "above": _mean((row.log_ratio > 0.0)[np.isfinite(row.log_ratio)]),
            }
            for row in found.rows
        ],
    }


def _ways(ways: BothWays) -> dict[str, Any]:
    ability = ways.ability
    return {
        "rows": [
            {
                "hours": row.hours,
                "notional": row.notional,
                "way": row.way,
                "gross_bps": effect_about(row.gross, 1e4),
                "net_bps": effect_about(row.net, 1e4),
                "slippage_bps": 1e4 * row.slippage,
                "fee_bps": 1e4 * row.fee,
            }
            for row in ways.rows
        ],
        "tested": list(ways.tested),
        "tested_notional": ways.notional,
        "ability": None
        if ability is None
        else {
            "best": ways.tested[ability.best],
            "statistic": ability.statistic,
            "p": ability.consistent,
            "p_lower": ability.lower,
            "p_upper": ability.upper,
            "superior": [ways.tested[k] for k in ability.superior().tolist()],
        },
    }


def _rule(runs: RuleRuns) -> dict[str, Any]:
    return {
        "days": len(runs.day),
        "mapped_trades": runs.mapped_trades,
        "twin_trades": runs.twin_trades,
        "mapped": float(np.prod(1.0 + runs.mapped) - 1.0),
        "twin": float(np.prod(1.0 + runs.twin) - 1.0),
    }


def _levels(levels: LevelStudy, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "named": list(levels.levels),
        "approaches": len(levels.approaches),
        "horizons": [
            {**_came(came), **_matched(found, None, rng)}
            for came, found in zip(levels.outcomes, levels.differences, strict=True)
        ],
    }


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def claims_of(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the claims that the headline is about: the pooled ones, or those of the only market."""
    first = next(iter(about["markets"].values()))
    found: list[dict[str, Any]] = about["pooled"] or first["claims"]
    return found
