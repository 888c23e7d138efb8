"""What price did after it reached a level: activated, absorbed or rejected, how far and how fast.

`DEFINITIONS` in ``definitions`` says in words what each figure is. All moves are in volatility units of their
horizon, so that horizons, years and instruments compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from ...datasets.naming import HOUR_US
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D, Panel
from ._columns import field, table_of
from ._paths import ABSORBED, ACTIVATED, REJECTED, UNKNOWN, follow, log_prices
from .encounters import ABOVE, Encounters
from .market import EvidenceMarket, bars_in

OUTCOME_NAMES: Final = {
    ACTIVATED: "activated",
    ABSORBED: "absorbed",
    REJECTED: "rejected",
    UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What came after each encounter within a horizon; all of shape (m,), NaN where it has not ended.

    `DEFINITIONS` says in words what each is.

    Attributes
    ----------
    horizon_hours : float
    state : ndarray of int64
        A key of `OUTCOME_NAMES`.
    signed_move, absolute_move, progress, setback : ndarray of float64
        Volatility units of the horizon.
    hours_to_cross, speed, excess_move : ndarray of float64
        Hours, ratio, volatility units; NaN unless activated.
    predicted, printed : ndarray of float64
        Liquidations of the level's side within the horizon, quote, the bar of reaching included.
    open_interest_lost : ndarray of float64
        Share of the open interest before that was gone at the end; below 0 where it grew.
    """

    horizon_hours: float
    state: Int64Array1D
    signed_move: Float64Array1D
    absolute_move: Float64Array1D
    progress: Float64Array1D
    setback: Float64Array1D
    hours_to_cross: Float64Array1D
    speed: Float64Array1D
    excess_move: Float64Array1D
    predicted: Float64Array1D
    printed: Float64Array1D
    open_interest_lost: Float64Array1D

    def __len__(self) -> int:
        return len(self.state)

    def to_table(self) -> pa.Table:
        """Return a row for each encounter, with units and meanings."""
        columns = {
            "encounter": np.arange(len(self)),
            "horizon_hours": np.full(len(self), self.horizon_hours),
            "outcome": [OUTCOME_NAMES[state] for state in self.state.tolist()],
        }
        return table_of(
            OUTCOME_FIELDS,
            [
                columns[f.name] if f.name in columns else getattr(self, f.name)
                for f in OUTCOME_FIELDS
            ],
        )


_NUMBER: Final = pa.float64()
_UNITS: Final = "volatility units"
OUTCOME_FIELDS: Final = (
    field("encounter", pa.int64(), "count", "row of the encounter"),
    field("horizon_hours", _NUMBER, "hours", "after the bar that reached the level"),
    field("outcome", pa.string(), "name", "activated, absorbed, rejected or unknown"),
    field("signed_move", _NUMBER, _UNITS, "from the near edge to the end, in its direction"),
    field("absolute_move", _NUMBER, _UNITS, "size of the signed move"),
    field("progress", _NUMBER, _UNITS, "furthest beyond the near edge"),
    field("setback", _NUMBER, _UNITS, "furthest short of the near edge"),
    field("hours_to_cross", _NUMBER, "hours", "to the bar that touched the far edge"),
    field("speed", _NUMBER, "ratio", "width over the ordinary move in the time to cross"),
    field("excess_move", _NUMBER, _UNITS, "furthest beyond the far edge"),
    field("predicted", _NUMBER, "quote", "liquidations of its side that the map expected"),
    field("printed", _NUMBER, "quote", "liquidations of its side that were printed"),
    field("open_interest_lost", _NUMBER, "share", "of the open interest before that was gone"),
)


def start_price(panel: Panel, encounters: Encounters) -> Float64Array1D:
    """Return the price at which each level was reached: the edge, or the open beyond it, shape (m,)."""
    opened = panel.open[encounters.bar]
    jumped = encounters.side * (opened - encounters.near) > 0.0
    return np.where(jumped, opened, encounters.near)


def outcomes_of(market: EvidenceMarket, encounters: Encounters, hours: float) -> Outcomes:
    """Return what came after each encounter within so many hours.

    Parameters
    ----------
    market : EvidenceMarket
    encounters : Encounters
    hours : float

    Notes
    -----
    Look-ahead: outcomes look ahead, to the close `hours` after the bar of reaching and no further.
    """
    panel = market.panel
    bars = bars_in(panel, hours)
    path = path_after(panel, encounters, np.log(encounters.far), bars)
    signed, progress, setback, state, crossing, excess = path.T
    known = np.isfinite(signed)
    end = np.where(known, encounters.bar + bars, 0)
    predicted, printed = (
        _within(columns, encounters, end, known)
        for columns in (
            (
                market.features.predicted_short_liquidations,
                market.features.predicted_long_liquidations,
            ),
            (panel.short_liquidations, panel.long_liquidations),
        )
    )
    before = panel.oi_base[encounters.bar - 1]
    return Outcomes(
        horizon_hours=hours,
        state=state.astype(np.int64),
        signed_move=signed,
        absolute_move=np.abs(signed),
        progress=progress,
        setback=setback,
        hours_to_cross=crossing * (panel.bar_us / HOUR_US),
        speed=encounters.width / (encounters.volatility * np.sqrt(crossing + 1.0)),
        excess_move=excess,
        predicted=predicted,
        printed=printed,
        open_interest_lost=_share_lost(before, np.where(known, panel.oi_base[end], np.nan)),
    )


def _share_lost(before: Float64Array1D, after: Float64Array1D) -> Float64Array1D:
    # Of no open interest nothing can be lost.
    some = before > 0.0
    return np.where(some, 1.0 - after / np.where(some, before, 1.0), np.nan)


def path_after(
    panel: Panel, encounters: Encounters, log_far: Float64Array1D, bars: int
) -> Float64Array1D:
    """Return what `follow` finds after each encounter, with far edges of the caller."""
    return follow(
        log_prices(panel),
        encounters.bar,
        encounters.side,
        np.log(start_price(panel, encounters)),
        log_far,
        encounters.volatility * np.sqrt(bars),
        bars,
    )


def _within(
    columns: tuple[Float64Array1D, Float64Array1D],
    encounters: Encounters,
    end: Int64Array1D,
    known: BoolArray1D,
) -> Float64Array1D:
    """Return the sum over each horizon of shorts' (levels above) or longs' liquidations."""
    sums = []
    for column in columns:
        # What is unknown counts as nothing in the running sum and makes the difference unknown.
        total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(column))])
        unknown = np.concatenate([[0], np.cumsum(np.isnan(column))])
        holes = unknown[end + 1] - unknown[encounters.bar]
        total = total[end + 1] - total[encounters.bar]
        sums.append(np.where(known & (holes == 0), total, np.nan))
    return np.where(encounters.side == ABOVE, sums[0], sums[1])
