"""What came of each approach to the levels that the user named, next to like levels without a tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .differences import MatchedDifferences, matched_differences
from .encounters import Encounters
from .levels import LevelApproaches, level_approaches
from .market import EvidenceMarket
from .matching import match
from .outcomes import Outcomes, outcomes_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelStudy:
    """Every approach to the named levels; `outcomes` and `differences` are one a horizon.

    Attributes
    ----------
    levels : tuple of float
        Prices, quote per base.
    approaches : LevelApproaches
    outcomes : tuple of Outcomes
    differences : tuple of MatchedDifferences
        To the controls of the tiers.
    """

    levels: tuple[float, ...]
    approaches: LevelApproaches
    outcomes: tuple[Outcomes, ...]
    differences: tuple[MatchedDifferences, ...]


def level_study(
    market: EvidenceMarket,
    levels: Sequence[float],
    controls: Encounters,
    *,
    hours: Sequence[float],
) -> LevelStudy:
    """Follow every approach to the levels, and compare it with controls as a tier is.

    Parameters
    ----------
    market : EvidenceMarket
    levels : sequence of float
        Prices, quote per base.
    controls : Encounters
        Levels without a tier, see ``controls``.
    hours : sequence of float
        The horizons.

    Raises
    ------
    InputError
        If there is no level, or one is not a price.
    """
    found = level_approaches(market, levels)
    reached = found.approaches
    return LevelStudy(
        levels=tuple(levels),
        approaches=found,
        outcomes=tuple(outcomes_of(market, reached, h) for h in hours),
        differences=tuple(
            matched_differences(market, reached, controls, match(market, reached, controls, h))
            for h in hours
        ),
    )
