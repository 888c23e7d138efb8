"""Liquidations as venues stream them, recorded as JSON, JSON lines or csv: Bybit, OKX, Binance.

The side differs: Bybit's is the **position's** (Buy: a long was liquidated), OKX' and Binance's the
**order's** (sell closes a long). OKX counts in contracts, whose worth is not in the message. Messages
of other kinds in a recording (answers to a subscription, pings) are left out and counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from ..panel import Int64Array1D
from ..schemas import EVENTS
from ._cells import Cells
from ._contracts import Contract, contract_of
from ._layout import Layout, by_symbol, own_name, venue_of
from ._raw import JsonLines, RawTable
from .parsed import ImportOptions, Parsed

Event = dict[str, Any]

_BYBIT: Final = frozenset({"T", "s", "S", "v", "p"})
_OKX: Final = frozenset({"instId", "side", "sz", "bkPx", "ts"})
_BINANCE: Final = frozenset({"T", "s", "S", "p", "ap", "z"})
# A message can wrap one or several others; deeper nesting is no stream that is known.
_DEEPEST: Final = 6


def message_table(path: Path, value: Any) -> RawTable | None:
    """Return the liquidations in recorded messages as a table, or None if there are none.

    Parameters
    ----------
    path : Path
    value : JsonLines or any JSON value
        One message, a list of them, or one on each line.
    """
    broken: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()
    if isinstance(value, JsonLines):
        messages, broken = value.messages, value.broken
    else:
        messages = tuple(enumerate(value if isinstance(value, list) else [value], start=1))
    found = [(line, event) for line, message in messages for event in _events(message, 0)]
    if found:
        silent = len(messages) - len({line for line, _ in found})
        notes = (f"{silent:,} messages hold no liquidation",) if silent else ()
    elif isinstance(value, JsonLines) and all(isinstance(row, dict) for _, row in messages):
        found = list(messages)  # a plain table, one row a line
    else:
        return None
    lines, events = zip(*found, strict=True)
    frame = pd.DataFrame(list(events))
    frame.columns = [str(name) for name in frame.columns]
    return RawTable(
        path, frame, np.array(lines, dtype=np.int64), broken, notes, fault="not whole JSON"
    )


def _events(message: Any, depth: int) -> Iterator[Event]:
    if depth > _DEEPEST:
        return
    if isinstance(message, list):
        for part in message:
            yield from _events(part, depth + 1)
        return
    if not isinstance(message, dict):
        return
    if isinstance(message.get("details"), list):
        head = {"instId": message.get("instId")}
        whole = ({**head, **detail} for detail in message["details"] if isinstance(detail, dict))
        yield from (event for event in whole if event.keys() >= _OKX)
    elif any(shape <= message.keys() for shape in (_BYBIT, _OKX, _BINANCE)):
        yield message
    else:
        for name in ("data", "o"):
            yield from _events(message.get(name), depth + 1)


def forced_orders(
    cells: Cells,
    *,
    ts: Int64Array1D,
    available_at: Int64Array1D,
    side: str,
    long: str,
    price: str,
    amount: str,
    contract: Contract,
) -> pa.Table:
    """Return single liquidations as a canonical table, equal ones of one moment numbered by `seq`.

    Parameters
    ----------
    cells : Cells
    ts, available_at : ndarray of int64, shape (n,)
        UTC microseconds.
    side, price, amount : str
        The file's names of the columns.
    long : {"buy", "sell"}
        The word in `side` that stands for a liquidated long; the other one stands for a short.
    contract : Contract
        What one unit of `amount` is worth.
    """
    words = cells.texts(side).str.lower()
    for row in np.flatnonzero(~words.isin(["buy", "sell"]).to_numpy()):
        cells.note(int(row), f"side {words.iloc[row][:40]!r} is neither buy nor sell")
    paid = cells.numbers(price)
    quantity, notional = contract.amounts(cells.numbers(amount), paid)
    columns: dict[str, Any] = {
        "ts": ts,
        "available_at": np.maximum(available_at, ts),
        "side": np.where(words == long, "long", "short").astype(object),
        "price": paid,
        "quantity": quantity,
        "notional": notional,
    }
    identity = pd.DataFrame({name: columns[name] for name in ("ts", "side", "price", "quantity")})
    columns["seq"] = identity.groupby(list(identity.columns), dropna=False).cumcount().to_numpy()
    return cells.table(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """A stream's names for what a liquidation has; `long` is the word for a liquidated long."""

    venue: str
    symbol: str
    time: str
    side: str
    long: str
    price: str
    amount: str


_BYBIT_NAMES: Final = _Shape(
    venue="bybit", symbol="s", time="T", side="S", long="buy", price="p", amount="v"
)
_OKX_NAMES: Final = _Shape(
    venue="okx", symbol="instId", time="ts", side="side", long="sell", price="bkPx", amount="sz"
)


def _bybit(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    return _read(raw, options, _BYBIT_NAMES)


def _okx(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    return _read(raw, options, _OKX_NAMES)


def _read(raw: RawTable, options: ImportOptions, names: _Shape) -> list[Parsed]:
    named = dataclasses.replace(raw, frame=raw.frame.rename(columns={names.symbol: "symbol"}))
    found = []
    for symbol, part in by_symbol(named, options):
        cells = Cells(part)
        ts, unit = cells.times(names.time, options.time_unit)
        contract = contract_of(raw.path, names.venue, own_name(part, "symbol"), options)
        rows = forced_orders(
            cells,
            ts=ts,
            available_at=ts,
            side=names.side,
            long=names.long,
            price=names.price,
            amount=names.amount,
            contract=contract,
        )
        found.append(
            Parsed(
                table="liquidations",
                rows=rows,
                venue=venue_of(part, options, names.venue),
                symbol=symbol,
                timeframe=EVENTS,
                recognised=f"{names.venue} liquidation stream, {unit}; prices are bankruptcy prices",
                notes=contract.notes,
            )
        )
    return found


LAYOUTS: Final = (
    Layout(source="bybit", name="liquidation stream", required=_BYBIT, read=_bybit),
    Layout(source="okx", name="liquidation stream", required=_OKX, read=_okx),
)
"""The shapes of recorded streams; Binance's own is with its other files."""
