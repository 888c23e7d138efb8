"""All tiers of a map that price reached, next to levels without one, at every horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .controls import controls_of, without_tiers_of
from .differences import MatchedDifferences, matched_differences
from .encounters import Encounters, encounters_of
from .market import EvidenceMarket
from .matching import Matching, match
from .outcomes import Outcomes, outcomes_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TierStudy:
    """What came of the tiers of one map; `matchings` and the like are one a horizon.

    Attributes
    ----------
    market : EvidenceMarket
    hours : tuple of float
        The horizons.
    encounters, controls : Encounters
    outcomes, control_outcomes : tuple of Outcomes
    matchings : tuple of Matching
    differences : tuple of MatchedDifferences
    """

    market: EvidenceMarket
    hours: tuple[float, ...]
    encounters: Encounters
    controls: Encounters
    outcomes: tuple[Outcomes, ...]
    control_outcomes: tuple[Outcomes, ...]
    matchings: tuple[Matching, ...]
    differences: tuple[MatchedDifferences, ...]


def tier_study(
    market: EvidenceMarket,
    hours: Sequence[float],
    *,
    rng: np.random.Generator,
    clear_of: EvidenceMarket | None = None,
) -> TierStudy:
    """Follow every tier that price reached, and its controls.

    Parameters
    ----------
    market : EvidenceMarket
    hours : sequence of float
        The horizons.
    rng : numpy.random.Generator
        Draws where the control levels lie.
    clear_of : EvidenceMarket, optional
        The same market with another map, whose dense tiers neither tiers nor controls may touch: what is
        left knows nothing of that map.
    """
    if clear_of is not None:
        market = without_tiers_of(market, clear_of)
    encounters = encounters_of(market)
    controls = controls_of(market, rng=rng, clear_of=clear_of)
    matchings = tuple(match(market, encounters, controls, h) for h in hours)
    return TierStudy(
        market=market,
        hours=tuple(hours),
        encounters=encounters,
        controls=controls,
        outcomes=tuple(outcomes_of(market, encounters, h) for h in hours),
        control_outcomes=tuple(outcomes_of(market, controls, h) for h in hours),
        matchings=matchings,
        differences=tuple(matched_differences(market, encounters, controls, m) for m in matchings),
    )
