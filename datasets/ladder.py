"""The ladder of tiers as a table: one row a tier and bar at which it changed, in the lake and in DuckDB.

A tier of rank r (0 is the nearest) on one side stands as its last row says, until its next row; a row
without prices says that there is none from then on. Edges are exact; a change of notional or fuel
alone makes a row only once it passes a tolerance, since every bar moves them a little.

The ladder at a moment, in DuckDB over ``catalog.duckdb``::

    SELECT side, rank, last(tier ORDER BY ts) AS tier
    FROM (SELECT *, {'lower': lower, 'upper': upper, 'notional': notional} AS tier
          FROM liquidation_ladder)
    WHERE symbol = 'BTCUSDT' AND map = '…' AND available_at <= TIMESTAMPTZ '2025-01-20 12:00+00'
    GROUP BY side, rank ORDER BY side, rank
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import numpy as np
import pyarrow as pa

from ._compiled import compiled
from ._store import Changed
from .errors import LakeError
from .lake import Lake
from .map_features import MapFeatures, TierLadder
from .naming import check_name
from .panel import Float64Array1D, Int64Array1D, Panel

LADDER: Final = "liquidation_ladder"
LADDER_FILE: Final = "ladder.parquet"
DEFAULT_TOLERANCE: Final = 0.01

_TIME: Final = pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "description": description})


LADDER_SCHEMA: Final = pa.schema(
    [
        _field("ts", _TIME, "UTC", "open of the bar at whose close the tier was so"),
        _field("available_at", _TIME, "UTC", "close of that bar"),
        _field(
            "side", pa.string(), "none", "positions that would be closed: short (above) or long"
        ),
        _field("rank", pa.int8(), "count", "0 is the tier nearest to price"),
        _field("lower", pa.float32(), "quote per base", "lower edge; null where there is no tier"),
        _field("upper", pa.float32(), "quote per base", "upper edge"),
        _field("peak", pa.float32(), "quote per base", "price of the densest bin"),
        _field("notional", pa.float32(), "quote", "value that would be liquidated"),
        _field("fuel", pa.float32(), "hours", "notional over the median hourly quote volume"),
    ]
)


def ladder_table(
    panel: Panel, features: MapFeatures, *, tolerance: float = DEFAULT_TOLERANCE
) -> pa.Table:
    """Return the tiers of both sides as rows where they changed.

    Parameters
    ----------
    panel : Panel
    features : MapFeatures
        Over the same bars.
    tolerance : float
        Share by which notional or fuel must have moved since the last row; 0 keeps every change.

    Returns
    -------
    pyarrow.Table
        Of `LADDER_SCHEMA`, sorted by ts, side and rank.
    """
    parts = []
    for side, ladder in (("long", features.below), ("short", features.above)):
        for rank in range(ladder.lower.shape[1]):
            lower, upper, peak, notional, fuel = (column[:, rank] for column in _columns(ladder))
            rows = _changes(lower, upper, peak, notional, fuel, tolerance)
            parts.append(_rows(panel, ladder, side, rank, rows))
    table = pa.concat_tables(parts)
    return table.sort_by([("ts", "ascending"), ("side", "ascending"), ("rank", "ascending")])


def _columns(ladder: TierLadder) -> tuple[np.ndarray, ...]:
    return ladder.lower, ladder.upper, ladder.peak, ladder.notional, ladder.fuel


@compiled
def _changes(
    lower: Float64Array1D,
    upper: Float64Array1D,
    peak: Float64Array1D,
    notional: Float64Array1D,
    fuel: Float64Array1D,
    tolerance: float,
) -> Int64Array1D:
    """Return the bars at which a tier is not as its last row says."""
    rows = np.empty(len(lower), np.int64)
    count = 0
    last = -1
    for bar in range(len(lower)):
        if np.isnan(lower[bar]):
            # There is nothing to end before the first tier.
            changed = last >= 0 and not np.isnan(lower[last])
        elif last < 0 or np.isnan(lower[last]):
            changed = True
        else:
            moved = abs(notional[bar] - notional[last]) > tolerance * notional[last]
            known = not np.isnan(fuel[bar])
            refuelled = known != (not np.isnan(fuel[last])) or (
                known and abs(fuel[bar] - fuel[last]) > tolerance * fuel[last]
            )
            edges = (
                lower[bar] != lower[last] or upper[bar] != upper[last] or peak[bar] != peak[last]
            )
            changed = edges or moved or refuelled
        if changed:
            rows[count] = bar
            count += 1
            last = bar
    return rows[:count]


def _rows(panel: Panel, ladder: TierLadder, side: str, rank: int, rows: Int64Array1D) -> pa.Table:
    count = len(rows)
    numbers = [
        pa.array(column[rows, rank].astype(np.float32), from_pandas=True)
        for column in _columns(ladder)
    ]
    return pa.Table.from_arrays(
        [
            pa.array(panel.ts[rows]).cast(_TIME),
            pa.array(panel.close_ts[rows]).cast(_TIME),
            pa.array([side] * count, pa.string()),
            pa.array(np.full(count, rank, dtype=np.int8)),
            *numbers,
        ],
        schema=LADDER_SCHEMA,
    )


def keep_ladder(
    lake: Lake,
    panel: Panel,
    features: MapFeatures,
    *,
    name: str,
    tolerance: float = DEFAULT_TOLERANCE,
) -> None:
    """Write a map's ladder into the lake, unless it is there.

    Parameters
    ----------
    lake : Lake
    panel : Panel
    features : MapFeatures
    name : str
        The map's fingerprint (`map_fingerprint`): the partition ``map=<name>``.
    tolerance : float
        See `ladder_table`.

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    check_name("map", name)
    series = f"venue={panel.venue}/symbol={panel.symbol}/timeframe={panel.timeframe}"
    file = f"{LADDER}/{series}/map={name}/{LADDER_FILE}"
    try:
        if lake.store.versions([file]) == [None]:
            with suppress(Changed):  # another process wrote the same
                lake.store.put(
                    file, ladder_table(panel, features, tolerance=tolerance), instead_of=None
                )
    except OSError as error:
        raise LakeError(f"cannot write the ladder {lake.store.shown(file)}: {error}") from error
