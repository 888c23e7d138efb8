"""Control levels: crossings of prices at which no dense tier stood.

Levels are laid on grids of the log price whose offsets are drawn once, so that they know nothing of the
map or of later prices; those in or near a dense tier, as it stood at the close before, are left out.
They follow the same rule of freshness as tiers do, and are followed in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Final

import numpy as np

from ...datasets.map_features import TierLadder
from ...datasets.panel import BoolArray1D, Float64Array1D
from .encounters import ABOVE, BELOW, Encounters, Standing, ladder_of, reached
from .market import EvidenceMarket

GRIDS: Final = 8
SPACING: Final = 0.02
"""Between the levels of one grid, log price: about the distance between dense tiers."""
MARGIN: Final = 0.002
"""How far outside a dense tier a control level has to lie, log price."""


def controls_of(
    market: EvidenceMarket,
    *,
    rng: np.random.Generator,
    grids: int = GRIDS,
    spacing: float = SPACING,
    margin: float = MARGIN,
    clear_of: EvidenceMarket | None = None,
) -> Encounters:
    """Return crossings of levels that carry no dense tier, in order of time.

    Parameters
    ----------
    market : EvidenceMarket
    rng : numpy.random.Generator
        Draws the grids' offsets.
    grids : int
        How many grids; each has its own record of what was reached anew.
    spacing, margin : float
        Log price.
    clear_of : EvidenceMarket, optional
        The same market with another map, of which a level may carry no dense tier either.

    Notes
    -----
    Look-ahead: as for `encounters_of`. Their notional, fuel and age are NaN or 0, their far edge is the
    near one: a control has the width of the tier that it is compared with.
    """
    maps = [market] if clear_of is None else [market, clear_of]
    parts = [
        reached(market, standing_levels(maps, spacing=spacing, offset=offset, margin=margin))
        for offset in rng.uniform(0.0, spacing, grids)
    ]
    order = np.argsort(np.concatenate([part.bar for part in parts]), kind="stable")
    return joined(parts).where(order)


def joined(parts: list[Encounters]) -> Encounters:
    """Return several lists of encounters as one, one after the other."""
    first = parts[0]
    names = [name for name in first.__dataclass_fields__ if name != "facts"]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    facts = type(first.facts)._make(
        np.concatenate(fact) for fact in zip(*(part.facts for part in parts), strict=True)
    )
    return Encounters(facts=facts, **columns)


def without_tiers_of(market: EvidenceMarket, other: EvidenceMarket) -> EvidenceMarket:
    """Return the market with those tiers alone that touch no dense tier of the same market's other map."""
    above, below = (
        _clear(ladder_of(market, side), ladder_of(other, side)) for side in (ABOVE, BELOW)
    )
    return replace(market, features=replace(market.features, above=above, below=below))


def _clear(ladder: TierLadder, other: TierLadder) -> TierLadder:
    """Return a ladder with NaN for the tiers that overlap one of another's, or come within a margin."""
    touches = np.zeros(ladder.lower.shape, np.bool_)
    for rank in range(other.lower.shape[1]):
        lower, upper = other.lower[:, rank, np.newaxis], other.upper[:, rank, np.newaxis]
        touches |= (ladder.upper >= lower * (1.0 - MARGIN)) & (
            ladder.lower <= upper * (1.0 + MARGIN)
        )
    columns = {f.name: getattr(ladder, f.name) for f in fields(ladder)}
    return replace(
        ladder, **{n: np.where(touches, np.float32(np.nan), c) for n, c in columns.items()}
    )


def standing_levels(
    maps: Sequence[EvidenceMarket], *, spacing: float, offset: float, margin: float
) -> dict[int, Standing]:
    """Return the level of a grid that stands next beyond each close, where no map has a dense tier."""
    steps = (np.log(maps[0].panel.close) - offset) / spacing
    standing = {}
    for side, step in ((ABOVE, np.floor(steps) + 1.0), (BELOW, np.ceil(steps) - 1.0)):
        level = np.exp(offset + spacing * step)
        taken = [inside_tier(ladder_of(market, side), level, margin) for market in maps]
        free = ~np.any(taken, axis=0)
        standing[side] = bare(np.where(free, level, np.nan))
    return standing


def bare(level: Float64Array1D) -> Standing:
    """Return levels that carry no tier and have no width."""
    unknown = np.full(len(level), np.nan)
    return Standing(level, level, level, unknown, unknown, np.full(len(level), -1))


def inside_tier(ladder: TierLadder, level: Float64Array1D, margin: float) -> BoolArray1D:
    """Return where a level lies in one of the tiers of its bar, or within a margin of it, shape (n,)."""
    inside = np.zeros(len(level), np.bool_)
    for rank in range(ladder.lower.shape[1]):
        lower = ladder.lower[:, rank] * (1.0 - margin)
        inside |= (level >= lower) & (level <= ladder.upper[:, rank] * (1.0 + margin))
    return inside
