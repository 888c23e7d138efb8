"""Control levels: crossings of prices at which no dense tier stood.

Levels are laid on grids of the log price whose offsets are drawn once, so that they know nothing of the
map or of later prices; those in or near a dense tier, as it stood at the close before, are left out.
They follow the same rule of freshness as tiers do, and are followed in the same way.
"""

from __future__ import annotations

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

    Notes
    -----
    Look-ahead: as for `encounters_of`. Their notional, fuel and age are NaN or 0, their far edge is the
    near one: a control has the width of the tier that it is compared with.
    """
    parts = [
        reached(market, standing_levels(market, spacing=spacing, offset=offset, margin=margin))
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


def standing_levels(
    market: EvidenceMarket, *, spacing: float, offset: float, margin: float
) -> dict[int, Standing]:
    """Return the level of a grid that stands next beyond each close, where no dense tier is."""
    steps = (np.log(market.panel.close) - offset) / spacing
    standing = {}
    for side, step in ((ABOVE, np.floor(steps) + 1.0), (BELOW, np.ceil(steps) - 1.0)):
        level = np.exp(offset + spacing * step)
        free = ~inside_tier(ladder_of(market, side), level, margin)
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
