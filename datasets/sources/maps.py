"""Liquidation maps that others made: CoinAnk, Coinglass, and real positions on Hyperliquid.

CoinAnk: parallel arrays over prices; below ``lastIndex`` longs, from it on shorts. Coinglass' heatmap
has no side: above the candle's close shorts, below longs. All figures are the maker's own intensities.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import InputError
from ..validation import LINE
from ._cells import TIMESTAMP, Cells, number_in_json
from ._layout import Layout, by_symbol, symbol_of, venue_of
from ._raw import RawTable
from .parsed import ImportOptions, Parsed

_DATE_IN_NAME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T_ -]?(\d{2})[-:]?(\d{2}))?")


def parse_map(path: Path, value: Any, options: ImportOptions) -> Parsed | None:
    """Return the map in a JSON value, or None if it is none that is known.

    Raises
    ------
    InputError
        If it is one, but its numbers do not fit together or its moment is unknown.
    """
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, dict):
        return None
    try:
        if {"prices", "lastIndex"} <= data.keys():
            return _coinank(path, data, options)
        if {"y_axis", "liquidation_leverage_data"} <= data.keys():
            return _coinglass_heatmap(path, data, options)
        if isinstance(data.get("data"), dict):
            return _coinglass_map(path, data["data"], options)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: the map's arrays do not fit together ({error})") from error
    return None


def _moment(path: Path, options: ImportOptions) -> int:
    text = options.at
    if text is None:
        match = _DATE_IN_NAME.search(path.name)
        if match is None:
            raise InputError(
                f"{path}: the snapshot does not say when it was taken; give --at, for example "
                "--at 2026-03-03T12:02"
            )
        text = match[1] + (f"T{match[2]}:{match[3]}" if match[2] else "")
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"--at {text!r} is not a moment: write for example 2026-03-03T12:02"
        ) from None
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _list(value: Any) -> list[Any]:
    """Return a list that is one: a text or an object would give its letters or names as values."""
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:40]!r} is not a list")
    return value


def _numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([number_in_json(value) for value in _list(values)], dtype=np.float64)


def _axis(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a map's prices, which must ascend."""
    prices = _numbers(values)
    if len(prices) < 2 or not np.isfinite(prices).all():
        raise ValueError("the prices are not two or more numbers")
    if not (prices[1:] > prices[:-1]).all():
        raise ValueError("the prices do not ascend")
    return prices


def _upper_edges(prices: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, Any]:
    """Return each price and a step; one beyond any float is infinite, which the quarantine catches."""
    with np.errstate(over="ignore"):
        return prices + float(np.median(np.diff(prices)))


def _level_table(
    moment_us: int,
    *,
    prices: np.ndarray[Any, Any],
    edges: np.ndarray[Any, Any],
    notional: np.ndarray[Any, Any],
    short: np.ndarray[Any, Any],
    model: str,
) -> pa.Table:
    keep = notional != 0.0  # what is below, or is none, goes to the quarantine
    count = int(keep.sum())
    moment = pa.array(np.full(count, moment_us, dtype=np.int64)).cast(TIMESTAMP)
    return pa.table(
        {
            "ts": moment,
            "available_at": moment,
            "side": np.where(short[keep], "short", "long").astype(object),
            "price_low": prices[keep],
            "price_high": edges[keep],
            "notional": notional[keep],
            "model": [model] * count,
            LINE: np.flatnonzero(keep) + 1,
        }
    )


def _coinank(path: Path, data: dict[str, Any], options: ImportOptions) -> Parsed:
    prices = _axis(data["prices"])
    columns = {
        name: _numbers(values)
        for name, values in data.items()
        if isinstance(values, list) and name != "prices"
    }
    if not columns or any(values.shape != prices.shape for values in columns.values()):
        raise ValueError("the arrays are not of one length")
    with np.errstate(over="ignore", invalid="ignore"):
        notional = np.sum(list(columns.values()), axis=0)
    by_leverage = all(re.fullmatch(r"x\d+", name) for name in columns)
    model = "coinank liqmap" if by_leverage else "coinank aggregated liqmap"
    own = data.get("symbol")
    symbol = symbol_of(_no_table(path), options, None if own is None else str(own))
    rows = _level_table(
        _moment(path, options),
        prices=prices,
        edges=_upper_edges(prices),
        notional=notional,
        short=np.arange(len(prices)) >= int(number_in_json(data["lastIndex"])),
        model=model,
    )
    what = "leverage classes" if by_leverage else "venues"
    return Parsed(
        table="liquidation_map",
        rows=rows,
        venue=venue_of(_no_table(path), options, "coinank"),
        symbol=symbol,
        recognised=f"CoinAnk liquidation map, {len(columns)} {what} summed",
    )


def _coinglass_heatmap(path: Path, data: dict[str, Any], options: ImportOptions) -> Parsed:
    edges = _axis(data["y_axis"])
    candles = [_list(candle) for candle in data["price_candlesticks"]]
    seconds = _numbers([candle[0] for candle in candles])
    if not ((seconds > 1e8) & (seconds < 1e11)).all():
        raise ValueError("a candle's time is not in seconds")
    times = seconds.astype(np.int64) * 1_000_000
    closes = _numbers([candle[4] for candle in candles])
    cells = np.stack([_numbers(_list(row)[:3]) for row in data["liquidation_leverage_data"]])
    if not np.isfinite(cells[:, :2]).all():
        raise ValueError("an index is not a number")
    # Before the cast, which a number that no integer holds would not survive.
    if (cells[:, :2] >= (len(times), len(edges))).any() or cells[:, :2].min() < 0:
        raise ValueError("an index points outside the axes")
    column, row = cells[:, 0].astype(np.int64), cells[:, 1].astype(np.int64)
    length = int(np.median(np.diff(times))) if len(times) > 1 else 0
    # A column is drawn over its candle and known when that has closed.
    moment = pa.array(times[column] + length).cast(TIMESTAMP)
    rows = pa.table(
        {
            "ts": moment,
            "available_at": moment,
            "side": np.where(edges[row] > closes[column], "short", "long").astype(object),
            "price_low": edges[row],
            "price_high": _upper_edges(edges)[row],
            "notional": cells[:, 2],
            "model": ["coinglass heatmap"] * len(cells),
        }
    )
    note = "drawn with what was known when it was fetched: past columns are not point in time"
    return Parsed(
        table="liquidation_map",
        rows=rows,
        venue=venue_of(_no_table(path), options, "coinglass"),
        symbol=symbol_of(_no_table(path), options),
        recognised="Coinglass liquidation heatmap",
        notes=(note,),
    )


def _coinglass_map(path: Path, levels: dict[str, Any], options: ImportOptions) -> Parsed:
    entries = [_list(entry) for value in levels.values() for entry in _list(value)]
    prices = _numbers([entry[0] for entry in entries])
    notional = _numbers([entry[1] for entry in entries])
    if not entries:
        raise ValueError("there are no levels")
    try:
        price = float(options.columns["price"])
    except (KeyError, ValueError):
        raise InputError(
            f"{path}: a Coinglass map has no sides; give the price of its moment: --column price=71450"
        ) from None
    rows = _level_table(
        _moment(path, options),
        prices=prices,
        edges=prices,
        notional=notional,
        short=prices > price,
        model="coinglass map",
    )
    rows = rows.group_by(
        ["ts", "available_at", "side", "price_low", "price_high", "model"]
    ).aggregate([("notional", "sum"), (LINE, "min")])
    rows = rows.rename_columns(
        [name.removesuffix("_sum").removesuffix("_min") for name in rows.column_names]
    )
    return Parsed(
        table="liquidation_map",
        rows=rows,
        venue=venue_of(_no_table(path), options, "coinglass"),
        symbol=symbol_of(_no_table(path), options),
        recognised="Coinglass liquidation map",
    )


def _no_table(path: Path) -> RawTable:
    return RawTable(path, pd.DataFrame(), np.zeros(0, dtype=np.int64))


def _hyperliquid(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    found = []
    for coin, part in by_symbol(raw, options):
        cells = Cells(part)
        ts, _ = cells.times("ts", options.time_unit)
        price = cells.numbers("price")
        rows = cells.table(
            {
                "ts": ts,
                "available_at": ts,
                "side": cells.texts("side").str.lower().to_numpy(dtype=object),
                "price_low": price,
                "price_high": price,
                "notional": cells.numbers("value_usd"),
                "model": np.full(len(ts), "hyperliquid top traders", dtype=object),
            }
        )
        found.append(
            Parsed(
                table="liquidation_map",
                rows=rows,
                venue=venue_of(part, options, "hyperliquid"),
                symbol=coin,
                recognised="Hyperliquid top traders' liquidation prices",
            )
        )
    return found


LAYOUTS: Final = (
    Layout(
        source="hyperliquid",
        name="top traders",
        required=frozenset({"ts", "coin", "side", "price", "value_usd"}),
        read=_hyperliquid,
    ),
)
"""The shapes of maps that come as tables."""
