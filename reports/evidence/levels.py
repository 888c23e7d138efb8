"""Levels named by the user: each approach, what the map held there before, and what came of it.

An approach is an encounter like any other (see ``encounters``), so it is followed and matched with
controls in the same way. A level that lies in a dense tier is as deep as what is left of the tier
beyond it, any other half a percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from ...datasets.errors import InputError
from ...datasets.map_features import TierLadder
from ...datasets.panel import BoolArray1D, Float64Array1D
from ._columns import field
from .controls import joined
from .encounters import ABOVE, BELOW, Encounters, Standing, ladder_of, reached
from .market import EvidenceMarket

LEVEL_WIDTH: Final = 0.005
"""Depth of a level without a tier, log price."""
LEVEL_FRESH_UNITS: Final = 2.0
"""How far price has to leave a named level for the next approach: an ordinary move of four hours."""
NEARBY: Final = 0.01
"""What the map holds within this log distance counts as held at the level."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelApproaches:
    """Each time that price reached a named level; all of shape (m,), in order of time.

    Attributes
    ----------
    approaches : Encounters
        `near` is the level; peak, notional and fuel are those of the tier in which it lies.
    in_tier : ndarray of bool
        Whether it lay in a dense tier on its side at the close before.
    notional_nearby : ndarray of float64
        What dense tiers of its side held within 1 % of it at the close before, quote.
    notional_towards, notional_behind : ndarray of float64
        What the map held within the market's window on the level's side of price, and on the other, quote.
    """

    approaches: Encounters
    in_tier: BoolArray1D
    notional_nearby: Float64Array1D
    notional_towards: Float64Array1D
    notional_behind: Float64Array1D

    def __len__(self) -> int:
        return len(self.approaches)

    def to_table(self) -> pa.Table:
        """Return a row for each approach: that of the encounter, and what the map held."""
        table = self.approaches.to_table()
        for name, unit, description in _FIELDS:
            values = getattr(self, name)
            column = pa.array(values, from_pandas=True)
            table = table.append_column(field(name, column.type, unit, description), column)
        return table


_FIELDS: Final = (
    ("in_tier", "yes or no", "whether the level lay in a dense tier at the close before"),
    ("notional_nearby", "quote", "in dense tiers of its side within 1 % of the level"),
    ("notional_towards", "quote", "on the level's side of price, within the window"),
    ("notional_behind", "quote", "on the other side of price, within the window"),
)


def level_approaches(market: EvidenceMarket, levels: Sequence[float]) -> LevelApproaches:
    """Return each approach of price to the levels.

    Parameters
    ----------
    market : EvidenceMarket
    levels : sequence of float
        Prices, quote per base.

    Raises
    ------
    InputError
        If there is no level, or one is not a price.

    Notes
    -----
    Look-ahead: as for `encounters_of`.
    """
    if not levels or not all(np.isfinite(level) and level > 0.0 for level in levels):
        raise InputError(f"levels {list(levels)} must be one or more prices above 0")
    parts = [
        reached(
            market,
            {side: _standing(market, level, side) for side in (ABOVE, BELOW)},
            fresh_units=LEVEL_FRESH_UNITS,
        )
        for level in levels
    ]
    together = joined(parts)
    approaches = together.where(np.lexsort((together.near, together.bar)))
    before = approaches.bar - 1
    index = market.features.window_index(market.window)
    above = market.features.notional_above[before, index]
    below = market.features.notional_below[before, index]
    up = approaches.side == ABOVE
    return LevelApproaches(
        approaches=approaches,
        in_tier=approaches.rank >= 0,
        notional_nearby=_nearby(market, approaches),
        notional_towards=np.where(up, above, below),
        notional_behind=np.where(up, below, above),
    )


def _standing(market: EvidenceMarket, level: float, side: int) -> Standing:
    """Return the level where it lies beyond the close, with the tier in which it lies."""
    ladder = ladder_of(market, side)
    inside = (ladder.lower <= level) & (ladder.upper >= level)
    rank = np.where(inside.any(axis=1), inside.argmax(axis=1), -1)
    row = np.arange(len(rank))

    def held(column: np.ndarray, otherwise: float) -> Float64Array1D:
        return np.where(rank >= 0, column[row, rank].astype(np.float64), otherwise)

    beyond = side * (level - market.panel.close) > 0.0
    far = held(ladder.upper if side == ABOVE else ladder.lower, level * np.exp(side * LEVEL_WIDTH))
    return Standing(
        near=np.where(beyond, level, np.nan),
        far=far,
        peak=held(ladder.peak, level),
        notional=held(ladder.notional, np.nan),
        fuel=held(ladder.fuel, np.nan),
        rank=rank,
    )


def _nearby(market: EvidenceMarket, approaches: Encounters) -> Float64Array1D:
    above, below = (_held_within(ladder_of(market, side), approaches) for side in (ABOVE, BELOW))
    return np.where(approaches.side == ABOVE, above, below)


def _held_within(ladder: TierLadder, approaches: Encounters) -> Float64Array1D:
    """Return the tiers' notional within `NEARBY` of each level, spread evenly over each tier."""
    before = approaches.bar - 1
    lower, upper = (
        np.log(edge[before].astype(np.float64)) for edge in (ladder.lower, ladder.upper)
    )
    level = np.log(approaches.near)[:, np.newaxis]
    overlap = np.minimum(upper, level + NEARBY) - np.maximum(lower, level - NEARBY)
    share = np.clip(overlap, 0.0, None) / (upper - lower)
    return np.asarray(np.nansum(share * ladder.notional[before], axis=1), dtype=np.float64)
