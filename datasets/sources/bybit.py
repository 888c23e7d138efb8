"""Bybit's REST answers (v5) and its archive of trades.

Facts that matter: a list in an answer runs backwards; of inverse contracts (BTCUSD) sizes are dollars
and turnover is coins; the archive's trades are stamped in seconds with a fraction, their side is the
taker's. Open interest begins 2020-08-05, trades and klines 2020-03-25. The archive's folder
``kline_for_metatrader4`` is left out: its clock is UTC+3 and it ended in 2024-11.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ..errors import InputError
from ..naming import timeframe_us
from ._cells import Cells
from ._contracts import contract_of
from ._layout import Layout, symbol_of, venue_of
from ._raw import RawTable
from .parsed import ImportOptions, Parsed

VENUE: Final = "bybit"

OPEN_INTEREST_LAG_US: Final = 5 * 60 * 1_000_000
"""A value is out within the five minutes after its stamp; a later bound, to be safe."""

_MARK: Final = ("start_ms", "open", "high", "low", "close")
_KLINE: Final = (*_MARK, "size", "turnover")
_TRADES: Final = frozenset({"timestamp", "symbol", "side", "size", "price", "trdMatchID"})
_MINUTE_US: Final = 60_000_000


def answer_table(path: Path, value: Any) -> RawTable | None:
    """Return the list in a v5 answer ``{"retCode": 0, "result": {"list": […]}}`` as a table, if it is one."""
    result = value.get("result") if isinstance(value, dict) and "retCode" in value else None
    rows = result.get("list") if isinstance(result, dict) else None
    if not isinstance(rows, list) or not rows:
        return None
    names = {len(_MARK): _MARK, len(_KLINE): _KLINE}
    if all(isinstance(row, dict) for row in rows):
        frame = pd.DataFrame(rows)
    elif all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        if len(rows[0]) not in names:
            raise InputError(f"{path}: a kline of Bybit has 5 or 7 values, not {len(rows[0])}")
        frame = pd.DataFrame(rows, columns=list(names[len(rows[0])]))
    else:
        raise InputError(f"{path}: the list in Bybit's answer holds rows of different shapes")
    lines = np.arange(1, len(frame) + 1, dtype=np.int64)
    return RawTable(path, frame, lines)


def _klines(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    cells = Cells(raw)
    ts, _ = cells.times("start_ms", "ms")
    timeframe = cells.timeframe_of_bars(np.sort(ts), options.timeframe)
    symbol = symbol_of(raw, options)
    columns: dict[str, Any] = {
        "ts": ts,
        "available_at": ts + timeframe_us(timeframe),
        **{name: cells.numbers(name) for name in _MARK[1:]},
    }
    mark = "size" not in raw.columns
    notes: tuple[str, ...] = ()
    if not mark:
        contract = contract_of(raw.path, VENUE, symbol, options)
        size, turnover = cells.numbers("size"), cells.numbers("turnover")
        if contract.of == "quote":
            size, turnover = turnover, contract.worth(size)
        columns |= {"volume": size, "quote_volume": turnover}
        notes = contract.notes
    return [
        Parsed(
            table="mark_bars" if mark else "bars",
            rows=cells.table(columns),
            venue=venue_of(raw, options, VENUE),
            symbol=symbol,
            timeframe=timeframe,
            recognised=f"Bybit {'mark price klines' if mark else 'klines'}, {timeframe}",
            notes=notes,
        )
    ]


def _open_interest(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    cells = Cells(raw)
    ts, _ = cells.times("timestamp", "ms")
    symbol = symbol_of(raw, options)
    contract = contract_of(raw.path, VENUE, symbol, options)
    name = "oi_quote" if contract.of == "quote" else "oi_base"
    columns = {
        "ts": ts,
        "available_at": ts + OPEN_INTEREST_LAG_US,
        name: contract.worth(cells.numbers("openInterest")),
    }
    return [
        Parsed(
            table="open_interest",
            rows=cells.table(columns),
            venue=venue_of(raw, options, VENUE),
            symbol=symbol,
            recognised="Bybit open interest",
            notes=contract.notes,
        )
    ]


def _funding(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    cells = Cells(raw)
    ts, _ = cells.times("fundingRateTimestamp", "ms")
    columns = {"ts": ts, "available_at": ts, "rate": cells.numbers("fundingRate")}
    return [
        Parsed(
            table="funding",
            rows=cells.table(columns),
            venue=venue_of(raw, options, VENUE),
            symbol=symbol_of(raw, options),
            recognised="Bybit funding rates",
        )
    ]


def _trades(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    """Sum trades up to bars of one minute; a minute without a trade has none."""
    cells = Cells(raw)
    ts, _ = cells.times("timestamp", "s")
    symbol = symbol_of(raw, options)
    contract = contract_of(raw.path, VENUE, symbol, options)
    price = cells.numbers("price")
    quantity, value = contract.amounts(cells.numbers("size"), price)
    bought = cells.texts("side").str.lower().to_numpy() == "buy"
    good = cells.valid() & (price > 0.0) & (quantity > 0.0)
    trades = pd.DataFrame(
        {
            "minute": ts // _MINUTE_US * _MINUTE_US,
            "ts": ts,
            "price": price,
            "volume": quantity,
            "quote_volume": value,
            "taker_buy_volume": np.where(bought, quantity, 0.0),
            "taker_buy_quote_volume": np.where(bought, value, 0.0),
        }
    )[good]
    if trades.empty:
        raise InputError(f"{raw.path}: holds no trade with a time, price and size")
    # The archive's order within a moment is kept: some days it runs backwards.
    bars = trades.sort_values("ts", kind="stable").groupby("minute", sort=True)
    prices = bars["price"].agg(open="first", high="max", low="min", close="last", trades="size")
    sums = bars[list(trades.columns[3:])].sum()
    minutes = prices.index.to_numpy(dtype=np.int64)
    frame = pd.concat([prices, sums], axis=1).reset_index(drop=True)
    table = RawTable(raw.path, frame, np.arange(1, len(frame) + 1, dtype=np.int64))
    columns = {
        "ts": minutes,
        "available_at": minutes + _MINUTE_US,
        **{name: frame[name].to_numpy() for name in frame.columns},
    }
    left_out = int((~good).sum())
    notes = (f"{left_out:,} trades without a time, price or size left out",) if left_out else ()
    return [
        Parsed(
            table="bars",
            rows=Cells(table).table(columns),
            venue=venue_of(raw, options, VENUE),
            symbol=symbol,
            timeframe="1m",
            recognised=f"Bybit trades, {len(raw.frame):,} summed up to minutes",
            notes=notes + contract.notes,
        )
    ]


LAYOUTS: Final = (
    Layout(source="bybit", name="klines", required=frozenset(_MARK), read=_klines),
    Layout(
        source="bybit",
        name="open interest",
        required=frozenset({"openInterest", "timestamp"}),
        read=_open_interest,
    ),
    Layout(
        source="bybit",
        name="funding",
        required=frozenset({"fundingRate", "fundingRateTimestamp"}),
        read=_funding,
    ),
    Layout(source="bybit", name="trades", required=_TRADES, read=_trades),
)
"""The shapes of Bybit's answers and archive; its liquidation stream is with the other streams."""
