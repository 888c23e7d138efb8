"""Binance Vision archives and other exports of Binance's data.

Facts that matter: older archives have no header; spot archives are in microseconds since 2025; a kline's
``close_time`` is the last millisecond of the bar; metrics are snapshots that appear some minutes later;
the side of a forced order is the **order's** (SELL closes a long), and the stream behind it shows at
most one a second and symbol since 2021-04-27, so that counts and sums are lower bounds; book depth is no
book but what rests within 0.2 (lately) and 1 to 5 percent of the middle, summed up, some twice a minute
(Binance's answer in its public data repository, issue 447, 2026-05-12).
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Final

import numpy as np
import pandas as pd

from ..errors import InputError
from ..naming import timeframe_us
from ..panel import Float64Array1D
from ..schemas import EVENTS
from ._cells import Cells, as_texts
from ._contracts import Contract, check_amounts, check_traded, contract_of
from ._layout import Layout, by_symbol, own_name, symbol_of, venue_of
from ._raw import RawTable
from .parsed import ImportOptions, Parsed

VENUE: Final = "binance"
SPOT_VENUE: Final = "binance-spot"
"""Spot has the perpetual's symbols, so it is kept apart as a venue of its own."""

METRICS_LAG_US: Final = 5 * 60 * 1_000_000
"""A snapshot of open interest is on the wire within five minutes; a later bound, to be safe."""

KLINES: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
_FUNDING: Final = ("calc_time", "funding_interval_hours", "last_funding_rate")
_LIQUIDATIONS: Final = (
    "time",
    "side",
    "order_type",
    "time_in_force",
    "original_quantity",
    "price",
    "average_price",
    "order_status",
    "last_fill_quantity",
    "accumulated_fill_quantity",
)
_METRICS: Final = (
    "create_time",
    "symbol",
    "sum_open_interest",
    "sum_open_interest_value",
    "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio",
    "count_long_short_ratio",
    "sum_taker_long_short_vol_ratio",
)
_HEADERLESS: Final = {
    len(KLINES): KLINES,
    len(_FUNDING): _FUNDING,
    len(_LIQUIDATIONS): _LIQUIDATIONS,
    len(_LIQUIDATIONS) + 1: ("symbol", *_LIQUIDATIONS),
    len(_METRICS): _METRICS,
}
_ARCHIVE_NAME: Final = re.compile(
    r"(?P<symbol>[A-Z0-9_]+)-(?:(?P<kind>metrics|fundingRate|liquidationSnapshot|bookDepth)|"
    r"(?P<interval>[0-9]+[smhdw]))-\d{4}-\d{2}"
)


_DEPTH: Final = ("timestamp", "percentage", "depth", "notional")


def name_columns(raw: RawTable) -> RawTable:
    """Return a table without a header with the columns that its width stands for."""
    width, given = len(raw.frame.columns), tuple(raw.frame.columns)
    # Other programs write the same twelve columns and name the last five in their own ways.
    names: tuple[str, ...] = KLINES
    if width == len(KLINES) and given[:7] == KLINES[:7]:
        pass
    elif "column_0" in raw.columns and width in _HEADERLESS:
        names = _HEADERLESS[width]
    else:
        return raw
    return dataclasses.replace(raw, frame=raw.frame.set_axis(list(names), axis=1))


def _symbol(raw: RawTable, options: ImportOptions) -> str:
    match = _ARCHIVE_NAME.match(raw.path.name)
    return symbol_of(raw, options, match["symbol"] if match else None)


def _contract(raw: RawTable, options: ImportOptions, symbol: str) -> Contract:
    """Return the unit of amounts; a COIN-M symbol counts in contracts, by whatever name it is kept."""
    match = _ARCHIVE_NAME.match(raw.path.name)
    if "symbol" in raw.columns:
        symbol = own_name(raw, "symbol")
    elif match:
        symbol = match["symbol"]
    return contract_of(raw.path, VENUE, symbol, options)


def _klines(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    path = str(raw.path)
    if "premiumIndex" in path:
        raise InputError(f"{path}: premium index klines are not prices; import fundingRate instead")
    if "indexPrice" in path:
        raise InputError(f"{path}: index prices trigger nothing; import markPriceKlines instead")
    cells = Cells(raw)
    ts, unit = cells.times("open_time", options.time_unit)
    match = _ARCHIVE_NAME.match(raw.path.name)
    timeframe = cells.timeframe_of_bars(
        ts, options.timeframe or (match["interval"] if match else None)
    )
    mark = "markPrice" in path or options.table == "mark_bars"
    symbol = _symbol(raw, options)
    spot = "spot" in raw.path.parts
    notes: tuple[str, ...] = ()
    columns: dict[str, Any] = {
        "ts": ts,
        "available_at": ts + timeframe_us(timeframe),
        **{name: cells.numbers(name) for name in ("open", "high", "low", "close")},
    }
    if not mark:
        contract = _contract(raw, options, symbol)
        columns |= _volumes(cells, contract) | {"trades": cells.counts("count")}
        check_traded(raw.path, columns["high"], columns["low"], columns["volume"])
        check_amounts(raw.path, columns["close"], columns["volume"], columns["quote_volume"])
        notes = contract.notes
        if unit == "microseconds" and not spot and options.venue is None:
            notes += (f"only spot archives are in microseconds: is it --venue {SPOT_VENUE}?",)
    kind = "mark price klines" if mark else "spot klines" if spot else "klines"
    return [
        Parsed(
            table="mark_bars" if mark else "bars",
            rows=cells.table(columns),
            venue=venue_of(raw, options, SPOT_VENUE if spot else VENUE),
            symbol=symbol,
            timeframe=timeframe,
            recognised=f"Binance {kind}, {timeframe}, {unit}",
            notes=notes,
        )
    ]


def _volumes(cells: Cells, contract: Contract) -> dict[str, Float64Array1D]:
    names = (("volume", "quote_volume"), ("taker_buy_volume", "taker_buy_quote_volume"))
    columns = {name: cells.numbers(name) for pair in names for name in pair}
    if contract.of == "quote":  # COIN-M: contracts, and what they are worth in coins
        for base, quote in names:
            columns[base], columns[quote] = columns[quote], contract.worth(columns[base])
    return columns


def _metrics(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    return [p for own, part in by_symbol(raw, options) for p in _metrics_of(part, options, own)]


def _metrics_of(raw: RawTable, options: ImportOptions, symbol: str) -> list[Parsed]:
    cells = Cells(raw)
    ts, _ = cells.times("create_time", options.time_unit)
    moments = {"ts": ts, "available_at": ts + METRICS_LAG_US}
    common = {"venue": venue_of(raw, options, VENUE), "symbol": symbol}
    contract = _contract(raw, options, symbol)
    base, quote = cells.numbers("sum_open_interest"), cells.numbers("sum_open_interest_value")
    if contract.of == "quote":  # COIN-M: contracts, and what they are worth in coins
        base, quote = quote, contract.worth(base)
    open_interest = cells.table({**moments, "oi_base": base, "oi_quote": quote})
    ratios = {
        "long_short_accounts": cells.numbers("count_long_short_ratio"),
        "top_long_short_positions": cells.numbers("sum_toptrader_long_short_ratio"),
        "taker_buy_sell": cells.numbers("sum_taker_long_short_vol_ratio"),
    }
    some = np.any([np.isfinite(values) for values in ratios.values()], axis=0)
    positioning = cells.table({**moments, **ratios}).filter(some)
    empty = int((~some).sum())
    notes = (f"{empty} rows have no ratios",) if empty else ()
    return [
        Parsed(
            table="open_interest",
            rows=open_interest,
            recognised="Binance metrics",
            notes=contract.notes,
            venue=common["venue"],
            symbol=common["symbol"],
        ),
        Parsed(
            table="positioning",
            rows=positioning,
            recognised="Binance metrics",
            notes=notes,
            venue=common["venue"],
            symbol=common["symbol"],
        ),
    ]


def _funding(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    cells = Cells(raw)
    ts, unit = cells.times("calc_time", options.time_unit)
    # Settlements are stamped some milliseconds late; they happen on the second.
    settled = (ts + 500_000) // 1_000_000 * 1_000_000
    columns = {
        "ts": settled,
        "available_at": settled,
        "rate": cells.numbers("last_funding_rate"),
        "interval_hours": cells.numbers("funding_interval_hours"),
    }
    return [
        Parsed(
            table="funding",
            rows=cells.table(columns),
            venue=venue_of(raw, options, VENUE),
            symbol=_symbol(raw, options),
            recognised=f"Binance funding rates, {unit}",
        )
    ]


def _liquidations(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    parts = by_symbol(raw, options) if "symbol" in raw.columns else [(_symbol(raw, options), raw)]
    return [
        _forced_orders(
            part,
            options,
            time="time",
            quantity="accumulated_fill_quantity",
            average="average_price",
            symbol=symbol,
        )
        for symbol, part in parts
    ]


def _stream(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    return [
        _forced_orders(
            part,
            options,
            time="trade_time_ms",
            quantity="accum_qty",
            average="avg_price",
            symbol=symbol,
        )
        for symbol, part in by_symbol(raw, options)
    ]


def _messages(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    names = {
        "s": "symbol",
        "S": "side",
        "p": "price",
        "ap": "avg_price",
        "z": "accum_qty",
        "T": "trade_time_ms",
    }
    return _stream(dataclasses.replace(raw, frame=raw.frame.rename(columns=names)), options)


def _forced_orders(
    raw: RawTable,
    options: ImportOptions,
    *,
    time: str,
    quantity: str,
    average: str,
    symbol: str,
) -> Parsed:
    cells = Cells(raw)
    ts, unit = cells.times(time, options.time_unit)
    orders = cells.texts("side").str.upper()
    for row in np.flatnonzero(~orders.isin(["BUY", "SELL"]).to_numpy()):
        cells.note(int(row), f"side {orders.iloc[row]!r} is neither BUY nor SELL")
    contract = _contract(raw, options, symbol)
    price = cells.numbers(average)
    filled, notional = contract.amounts(cells.numbers(quantity), price)
    columns = {
        "ts": ts,
        "available_at": ts,
        "side": np.where(orders == "SELL", "long", "short").astype(object),
        "price": cells.numbers("price"),
        "average_price": price,
        "quantity": filled,
        "notional": notional,
    }
    identity = pd.DataFrame({name: columns[name] for name in ("ts", "side", "price", "quantity")})
    # Archives repeat rows exactly; a repeat is the same order, so it keeps the same key.
    whole = pd.concat([identity, raw.frame.reset_index(drop=True).apply(as_texts)], axis=1)
    first = ~whole.duplicated()
    columns["seq"] = (
        (identity[first].groupby(list(identity.columns), dropna=False).cumcount())
        .reindex(identity.index, fill_value=0)
        .to_numpy(dtype=np.int64)
    )
    repeats = int((~first).sum())
    rows = cells.table(columns).filter(first.to_numpy())
    return Parsed(
        table="liquidations",
        rows=rows,
        venue=venue_of(raw, options, VENUE),
        symbol=symbol,
        timeframe=EVENTS,
        recognised=f"Binance forced orders, {unit}",
        notes=((f"{repeats} rows repeat another exactly",) if repeats else ()) + contract.notes,
    )


def _open_interest_export(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    cells = Cells(raw)
    ts, unit = cells.times("t", options.time_unit)
    columns = {
        "ts": ts,
        "available_at": ts + METRICS_LAG_US,
        "oi_base": cells.numbers("oi"),
        "oi_quote": cells.numbers("oi_usd"),
    }
    return [
        Parsed(
            table="open_interest",
            rows=cells.table(columns),
            venue=venue_of(raw, options, VENUE),
            symbol=symbol_of(raw, options),
            recognised=f"Binance open interest snapshots, {unit}",
        )
    ]


def _depth(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    symbol = _symbol(raw, options)
    contract = _contract(raw, options, symbol)
    if contract.of == "quote":
        raise InputError(
            f"{raw.path}: Binance does not say in which unit the depth of COIN-M books is; only USD-M "
            "files can be imported"
        )
    cells = Cells(raw)
    ts, _ = cells.times("timestamp", options.time_unit)
    percentage = cells.numbers("percentage")
    columns = {
        "ts": ts,
        "available_at": ts,
        "side": np.where(percentage < 0.0, "bid", "ask").astype(object),
        # As text it is a round number of hundredths of a percent.
        "distance": np.round(np.abs(percentage) / 100.0, 8),
        "quantity": cells.numbers("depth"),
        "notional": cells.numbers("notional"),
    }
    return [
        Parsed(
            table="depth",
            rows=cells.table(columns),
            venue=venue_of(raw, options, VENUE),
            symbol=symbol,
            recognised="Binance order book depth by distance from the middle",
            notes=contract.notes,
        )
    ]


LAYOUTS: Final = (
    Layout(source="binance", name="klines", required=frozenset(KLINES[:11]), read=_klines),
    Layout(source="binance", name="metrics", required=frozenset(_METRICS), read=_metrics),
    Layout(source="binance", name="funding", required=frozenset(_FUNDING), read=_funding),
    Layout(
        source="binance",
        name="liquidation snapshots",
        required=frozenset(_LIQUIDATIONS),
        read=_liquidations,
    ),
    Layout(source="binance", name="book depth", required=frozenset(_DEPTH), read=_depth),
    Layout(
        source="binance",
        name="forced order stream",
        required=frozenset({"symbol", "side", "price", "avg_price", "accum_qty", "trade_time_ms"}),
        read=_stream,
    ),
    Layout(
        source="binance",
        name="forced order messages",
        required=frozenset({"s", "S", "p", "ap", "z", "T"}),
        read=_messages,
    ),
    Layout(
        source="binance",
        name="open interest",
        required=frozenset({"t", "oi", "oi_usd"}),
        read=_open_interest_export,
    ),
)
"""The shapes of Binance's files."""
