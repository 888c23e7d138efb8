"""Tables that nobody's name stands on: bars and funding by common column names, or columns as told.

Also Coinalyze (amounts in coins unless asked for in dollars) and Tardis (one liquidation a row).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import InputError
from ..naming import timeframe_us
from ..schemas import EVENTS, TABLES
from ..validation import LINE
from ._cells import TIMESTAMP, Cells, texts_of
from ._contracts import check_traded, contract_of
from ._layout import Layout, by_symbol, by_venue, hints_of, own_name, symbol_of, venue_of
from ._raw import RawTable
from .coinglass import _each, _settled_funding, _time_column
from .parsed import ImportOptions, Parsed
from .streams import forced_orders

_SHORT_NAMES: Final = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}


def _bars(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    long_names = "open" in raw.columns
    found = []
    for venue, symbol, part in _each(raw, options):
        invented = _invented(part)
        kept = part.where(~invented)
        cells = Cells(kept)
        ts, unit = cells.times(_time_column(kept), options.time_unit)
        timeframe = cells.timeframe_of_bars(ts, options.timeframe)
        columns: dict[str, Any] = {
            "ts": ts,
            "available_at": ts + timeframe_us(timeframe),
            **{
                name: cells.numbers(name if long_names else short)
                for name, short in _SHORT_NAMES.items()
                if name != "volume"
            },
        }
        notes = [f"{int(invented.sum())} bars marked gap_filled left out"] if invented.any() else []
        mark = options.table == "mark_bars" or "mark" in hints_of(part)
        if not mark:
            notes += _volumes(cells, columns, long_names=long_names)
            check_traded(raw.path, columns["high"], columns["low"], columns["volume"])
        found.append(
            Parsed(
                table="mark_bars" if mark else "bars",
                rows=cells.table(columns),
                venue=venue,
                symbol=symbol,
                timeframe=timeframe,
                recognised=f"{'mark price bars' if mark else 'bars'}, {timeframe}, {unit}",
                notes=tuple(notes),
            )
        )
    return found


def _invented(raw: RawTable) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if "gap_filled" not in raw.columns:
        return np.zeros(len(raw.frame), dtype=bool)
    return texts_of(raw, "gap_filled").str.lower().isin(["true", "1"]).to_numpy()


def _volumes(cells: Cells, columns: dict[str, Any], *, long_names: bool) -> list[str]:
    if "volume_usd" in cells.raw.columns:
        quote = cells.numbers("volume_usd")
        columns["quote_volume"] = quote
        with np.errstate(all="ignore"):
            mean = (columns["high"] + columns["low"] + columns["close"]) / 3.0
            columns["volume"] = quote / mean
        return ["volume in coins estimated from its value and the bar's mean price"]
    columns["volume"] = cells.numbers("volume" if long_names else "v")
    for name in ("quote_volume", "taker_buy_volume", "taker_buy_quote_volume"):
        columns[name] = cells.optional(name)
    return []


def _tardis(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    return [
        _tardis_of(part, options, venue, symbol)
        for venue, of_venue in by_venue(raw, options, "exchange")
        for symbol, part in by_symbol(of_venue, options)
    ]


def _tardis_of(raw: RawTable, options: ImportOptions, venue: str, symbol: str) -> Parsed:
    cells = Cells(raw)
    ts, _ = cells.times("timestamp", options.time_unit)
    known, _ = cells.times("local_timestamp", options.time_unit)
    contract = contract_of(raw.path, own_name(raw, "exchange"), own_name(raw, "symbol"), options)
    rows = forced_orders(
        cells,
        ts=ts,
        available_at=known,
        side="side",
        long="sell",
        price="price",
        amount="amount",
        contract=contract,
    )
    return Parsed(
        table="liquidations",
        rows=rows,
        venue=venue,
        symbol=symbol,
        timeframe=EVENTS,
        recognised="Tardis liquidations",
        notes=contract.notes,
    )


def parse_coinalyze(path: Path, value: Any, options: ImportOptions) -> list[Parsed] | None:
    """Return Coinalyze's liquidation history, ``[{"symbol": …, "history": [{"t", "l", "s"}]}]``.

    Raises
    ------
    InputError
        If the amounts' unit is not said to be dollars: by default they are coins, whose value is
        not in the file.
    """
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return None
    if not all(isinstance(v, dict) and isinstance(v.get("history"), list) for v in value):
        return None
    if options.unit != "usd":
        raise InputError(
            f"{path}: Coinalyze gives coins unless asked for convert_to_usd=true; ask for that and "
            "import with --unit usd"
        )
    found = []
    for entry in value:
        if not all(isinstance(bar, dict) for bar in entry["history"]):
            raise InputError(f"{path}: a Coinalyze history has the fields t, l and s")
        if not entry["history"] and len(value) > 1:
            continue  # nothing of this symbol was liquidated
        frame = pd.DataFrame(entry["history"])
        if not {"t", "l", "s"} <= set(frame.columns):
            raise InputError(f"{path}: a Coinalyze history has the fields t, l and s")
        raw = RawTable(path, frame, np.arange(1, len(frame) + 1, dtype=np.int64))
        cells = Cells(raw)
        ts, _ = cells.times("t", "s")
        # Bars without liquidations are left out, so the smallest step is the bar's length.
        timeframe = options.timeframe or cells.timeframe(ts, sparse=True)
        sides = [
            cells.table(
                {
                    "ts": ts,
                    "available_at": ts + timeframe_us(timeframe),
                    "side": np.full(len(ts), side, dtype=object),
                    "notional": cells.numbers(column),
                    "seq": np.zeros(len(ts), dtype=np.int64),
                }
            )
            for side, column in (("long", "l"), ("short", "s"))
        ]
        found.append(
            Parsed(
                table="liquidations",
                rows=pa.concat_tables(sides),
                venue=venue_of(raw, options, "coinalyze"),
                symbol=symbol_of(raw, options, str(entry.get("symbol"))),
                timeframe=timeframe,
                recognised=f"Coinalyze liquidations summed by {timeframe}",
            )
        )
    return found


def parse_named(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    """Return a table whose columns the user named.

    Raises
    ------
    InputError
        If the table or a column is unknown, or a required column is not named.
    """
    if options.table is None or options.table not in TABLES:
        raise InputError(f"--table must be one of {', '.join(TABLES)}")
    table = TABLES[options.table]
    derived = {"available_at", "seq"}
    names = {f.name: options.columns.get(f.name, f.name) for f in table.schema}
    unknown = sorted(set(options.columns) - set(names))
    if unknown:
        raise InputError(f"table {table.name} has no column {', '.join(unknown)}")
    wanted = set(table.required) - derived | set(options.columns)
    missing = sorted(name for name in wanted if names[name] not in raw.columns)
    if missing:
        raise InputError(
            f"{raw.path}: has no column {names[missing[0]]!r} for {missing[0]}; name it with --column "
            f"{missing[0]}=NAME; the file has {', '.join(sorted(raw.columns))[:200]}"
        )
    cells = Cells(raw)
    ts, unit = cells.times(names["ts"], options.time_unit)
    timeframe = options.timeframe
    if table.partitioned_by_timeframe and timeframe is None:
        timeframe = EVENTS if table.name == "liquidations" else cells.timeframe(ts)
    length = timeframe_us(timeframe) if timeframe not in (None, EVENTS) else 0
    columns: dict[str, Any] = {"ts": ts, "available_at": ts + length}
    for f in table.schema:
        if f.name in columns or names[f.name] not in raw.columns:
            continue
        if pa.types.is_string(f.type):
            columns[f.name] = cells.texts(names[f.name]).to_numpy(dtype=object)
        elif pa.types.is_integer(f.type):
            columns[f.name] = cells.counts(names[f.name])
        else:
            columns[f.name] = cells.numbers(names[f.name])
    if options.percent and "rate" in columns:
        columns["rate"] = columns["rate"] / 100.0
    if names["available_at"] in raw.columns:
        columns["available_at"] = cells.times(names["available_at"], options.time_unit)[0]
    if table.name == "liquidations" and "seq" not in columns:
        identity = pd.DataFrame({n: columns[n] for n in ("ts", "side", "price") if n in columns})
        columns["seq"] = (
            identity.groupby(list(identity.columns), dropna=False).cumcount().to_numpy()
        )
    return [
        Parsed(
            table=table.name,
            rows=cells.table(columns),
            venue=venue_of(raw, options),
            symbol=symbol_of(raw, options),
            timeframe=timeframe,
            recognised=f"{table.name} by named columns, {unit}",
        )
    ]


def broken_rows(parsed: Parsed, raw: RawTable) -> Parsed:
    """Return `parsed` with the lines that are no rows, to be quarantined."""
    if not raw.broken:
        return parsed
    lines, texts = zip(*raw.broken, strict=True)
    extra = pa.table(
        {
            "ts": pa.nulls(len(lines), TIMESTAMP),
            LINE: pa.array(lines, pa.int64()),
            "_problem": [f"{raw.fault}: {text[:60]!r}" for text in texts],
        }
    )
    rows = pa.concat_tables([parsed.rows, extra], promote_options="default")
    return dataclasses.replace(parsed, rows=rows)


_LONG: Final = frozenset({"open", "high", "low", "close"})

LAYOUTS: Final = (
    Layout(source="generic", name="bars", required=_LONG | {"volume"}, read=_bars),
    Layout(source="generic", name="bars", required=_LONG | {"volume_usd"}, read=_bars),
    Layout(source="generic", name="mark price bars", required=_LONG, hint="mark", read=_bars),
    Layout(
        source="generic", name="bars by venue", required=frozenset("ohlcv") | {"coin"}, read=_bars
    ),
    Layout(source="generic", name="funding", required=frozenset({"rate"}), read=_settled_funding),
    Layout(
        source="tardis",
        name="liquidations",
        required=frozenset(
            {"exchange", "symbol", "timestamp", "local_timestamp", "side", "price", "amount"}
        ),
        read=_tardis,
    ),
)
"""Shapes that are no one vendor's."""
