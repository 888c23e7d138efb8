"""The canonical tables: columns, units, keys and checks.

Every source is parsed into one of these and nothing else is stored. Times are UTC microseconds,
money is in the quote currency, quantities in the base coin, rates are fractions. Each row has two
times: `ts`, when it happened (for bars: the open), and `available_at`, when it could be known;
every join downstream goes by the second.

Left out on purpose: parsing (``sources``) and storage (``lake``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

SCHEMA_VERSION: Final = 1
"""Version of all tables together, stated in each file. It grows when a stored column changes its name,
type, unit or meaning, or a table a column; ``repair.MIGRATIONS`` then says how older files become newer
ones. A new table is no new version."""

EVENTS: Final = "events"
"""The timeframe of a liquidation row that is one forced order, not the sum over a bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A rule that every row of a table must pass.

    Attributes
    ----------
    reason : str
        What is wrong with a row that fails, as shown in the quarantine.
    sql : str
        A DuckDB condition over the table's columns that is true for a **bad** row.
    """

    reason: str
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A canonical table.

    Attributes
    ----------
    name : str
        Folder of the table in the lake.
    schema : pyarrow.Schema
        Columns in order; each field's metadata has ``unit`` and ``description``.
    key : tuple of str
        Columns that identify a row; rows are stored sorted by it.
    partitioned_by_timeframe : bool
        Whether the lake keeps one series for each timeframe.
    checks : tuple of Check
        Rules beyond types and missing values.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    partitioned_by_timeframe: bool
    checks: tuple[Check, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that may not be null."""
        return tuple(field.name for field in self.schema if not field.nullable)


def _field(
    name: str, dtype: pa.DataType, unit: str, description: str, *, required: bool = False
) -> pa.Field:
    metadata = {"unit": unit, "description": description}
    return pa.field(name, dtype, nullable=not required, metadata=metadata)


def _price(name: str, description: str, *, required: bool = True) -> pa.Field:
    return _field(name, pa.float64(), "quote per base", description, required=required)


_TS: Final = _field("ts", TIMESTAMP, "UTC", "when it happened", required=True)
_OPEN_TS: Final = _field("ts", TIMESTAMP, "UTC", "open of the bar", required=True)
_AVAILABLE_AT: Final = _field(
    "available_at", TIMESTAMP, "UTC", "from when on the row could be known", required=True
)
_SIDE: Final = _field(
    "side", pa.string(), "long or short", "side of the position, not of the order", required=True
)

_NOT_AFTER: Final = Check(reason="available before it happened", sql="available_at < ts")
_WRONG_SIDE: Final = Check(
    reason="side is neither long nor short", sql="side NOT IN ('long', 'short')"
)
_OHLC: Final = (
    Check(reason="price is not positive", sql="least(open, high, low, close) <= 0"),
    Check(reason="low above high", sql="low > high"),
    Check(
        reason="open or close outside low to high",
        sql="open > high OR open < low OR close > high OR close < low",
    ),
)


def _table(
    name: str,
    fields: list[pa.Field],
    key: tuple[str, ...],
    checks: tuple[Check, ...],
    *,
    partitioned_by_timeframe: bool = False,
) -> Table:
    return Table(
        name=name,
        schema=pa.schema(fields),
        key=key,
        partitioned_by_timeframe=partitioned_by_timeframe,
        checks=(_NOT_AFTER, *checks),
    )


_BARS: Final = _table(
    "bars",
    [
        _OPEN_TS,
        _AVAILABLE_AT,
        _price("open", "first trade"),
        _price("high", "highest trade"),
        _price("low", "lowest trade"),
        _price("close", "last trade"),
        _field("volume", pa.float64(), "base", "traded quantity", required=True),
        _field("quote_volume", pa.float64(), "quote", "traded value"),
        _field("trades", pa.int64(), "count", "number of trades"),
        _field("taker_buy_volume", pa.float64(), "base", "quantity bought by takers"),
        _field("taker_buy_quote_volume", pa.float64(), "quote", "value bought by takers"),
    ],
    ("ts",),
    (
        *_OHLC,
        Check(
            reason="negative volume",
            sql="volume < 0 OR quote_volume < 0 OR trades < 0 OR taker_buy_volume < 0"
            " OR taker_buy_quote_volume < 0",
        ),
    ),
    partitioned_by_timeframe=True,
)

_MARK_BARS: Final = _table(
    "mark_bars",
    [
        _OPEN_TS,
        _AVAILABLE_AT,
        _price("open", "first mark price"),
        _price("high", "highest mark price"),
        _price("low", "lowest mark price"),
        _price("close", "last mark price"),
    ],
    ("ts",),
    _OHLC,
    partitioned_by_timeframe=True,
)

_OPEN_INTEREST: Final = _table(
    "open_interest",
    [
        _TS,
        _AVAILABLE_AT,
        _field("oi_base", pa.float64(), "base", "open interest in coins"),
        _field("oi_quote", pa.float64(), "quote", "open interest at the price of its moment"),
    ],
    ("ts",),
    (
        Check(reason="neither oi_base nor oi_quote", sql="oi_base IS NULL AND oi_quote IS NULL"),
        Check(reason="open interest is not positive", sql="oi_base <= 0 OR oi_quote <= 0"),
    ),
)

_FUNDING: Final = _table(
    "funding",
    [
        _TS,
        _AVAILABLE_AT,
        _field(
            "rate", pa.float64(), "fraction per interval", "paid by longs to shorts", required=True
        ),
        _field("interval_hours", pa.float64(), "hours", "time between two settlements"),
    ],
    ("ts",),
    (
        Check(
            reason="funding rate beyond 10 % an interval (is it in percent?)", sql="abs(rate) > 0.1"
        ),
        Check(reason="funding interval is not positive", sql="interval_hours <= 0"),
    ),
)

_POSITIONING: Final = _table(
    "positioning",
    [
        _TS,
        _AVAILABLE_AT,
        _field("long_short_accounts", pa.float64(), "ratio", "long to short accounts, all traders"),
        _field(
            "top_long_short_positions",
            pa.float64(),
            "ratio",
            "long to short positions, top traders",
        ),
        _field("taker_buy_sell", pa.float64(), "ratio", "taker buy to taker sell volume"),
    ],
    ("ts",),
    (
        Check(
            reason="ratio is negative",
            sql="long_short_accounts < 0 OR top_long_short_positions < 0 OR taker_buy_sell < 0",
        ),
        Check(
            reason="no ratio given",
            sql="coalesce(long_short_accounts, top_long_short_positions, taker_buy_sell) IS NULL",
        ),
    ),
)

_LIQUIDATIONS: Final = _table(
    "liquidations",
    [
        _TS,
        _AVAILABLE_AT,
        _SIDE,
        _price(
            "price", "limit price of the forced order; null for the sum over a bar", required=False
        ),
        _price("average_price", "average fill of the forced order", required=False),
        _field(
            "quantity", pa.float64(), "base", "liquidated quantity; null where only value is known"
        ),
        _field("notional", pa.float64(), "quote", "liquidated value", required=True),
        _field("seq", pa.int64(), "count", "tells equal orders of one moment apart", required=True),
    ],
    ("ts", "side", "price", "quantity", "seq"),
    (
        _WRONG_SIDE,
        Check(reason="price is not positive", sql="price <= 0 OR average_price <= 0"),
        Check(reason="negative quantity or notional", sql="quantity < 0 OR notional < 0"),
    ),
    partitioned_by_timeframe=True,
)

_LIQUIDATION_MAP: Final = _table(
    "liquidation_map",
    [
        _TS,
        _AVAILABLE_AT,
        _SIDE,
        _price("price_low", "lower edge of the level"),
        _price("price_high", "upper edge of the level"),
        _field("notional", pa.float64(), "quote", "value that would be liquidated", required=True),
        _field("model", pa.string(), "name", "who made the map, and how", required=True),
    ],
    ("ts", "side", "price_low", "model"),
    (
        _WRONG_SIDE,
        Check(reason="price is not positive", sql="least(price_low, price_high) <= 0"),
        Check(reason="price_low above price_high", sql="price_low > price_high"),
        Check(reason="negative notional", sql="notional < 0"),
    ),
)

_DEPTH: Final = _table(
    "depth",
    [
        _TS,
        _AVAILABLE_AT,
        _field("side", pa.string(), "bid or ask", "side of the order book", required=True),
        _field("distance", pa.float64(), "fraction", "from the middle of the book", required=True),
        _field("quantity", pa.float64(), "base", "quantity resting up to that distance"),
        _field("notional", pa.float64(), "quote", "value resting up to it", required=True),
    ],
    ("ts", "side", "distance"),
    (
        Check(reason="side is neither bid nor ask", sql="side NOT IN ('bid', 'ask')"),
        Check(reason="distance is not between 0 and 1", sql="distance <= 0 OR distance >= 1"),
        Check(reason="negative quantity or notional", sql="quantity < 0 OR notional < 0"),
    ),
)

TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        table.name: table
        for table in (
            _BARS,
            _MARK_BARS,
            _OPEN_INTEREST,
            _FUNDING,
            _POSITIONING,
            _LIQUIDATIONS,
            _LIQUIDATION_MAP,
            _DEPTH,
        )
    }
)
"""Every table that the lake can hold, by name."""
