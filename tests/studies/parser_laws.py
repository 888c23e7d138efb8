"""What must hold of rows that the lake would store, written without a look at how the lake judges.

Nothing here calls `validation`, `schemas` or their SQL: lists of columns and keys, units and limits are
written out again, so that a mistake there is not repeated here. Prices must stand in the file as numbers,
and those of one bar in one record of it, with the bar's time.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PRICES: Final = ("open", "high", "low", "close")
POSITIVE: Final = {
    "bars": PRICES,
    "mark_bars": PRICES,
    "open_interest": ("oi_base", "oi_quote"),
    "funding": ("interval_hours",),
    "positioning": (),
    "liquidations": ("price", "average_price"),
    "liquidation_map": ("price_low", "price_high"),
    "depth": ("distance",),
}
NOT_NEGATIVE: Final = {
    "bars": (
        "volume",
        "quote_volume",
        "trades",
        "taker_buy_volume",
        "taker_buy_quote_volume",
    ),
    "positioning": ("long_short_accounts", "top_long_short_positions", "taker_buy_sell"),
    "liquidations": ("quantity", "notional"),
    "liquidation_map": ("notional",),
    "depth": ("quantity", "notional"),
}
NEVER_EMPTY: Final = {
    "bars": (*PRICES, "volume"),
    "mark_bars": PRICES,
    "funding": ("rate",),
    "liquidations": ("side", "notional", "seq"),
    "liquidation_map": ("side", "price_low", "price_high", "notional", "model"),
    "depth": ("side", "distance", "notional"),
}
ONE_GIVEN: Final = {
    "open_interest": ("oi_base", "oi_quote"),
    "positioning": ("long_short_accounts", "top_long_short_positions", "taker_buy_sell"),
}
KEYS: Final = {
    "liquidations": ("ts", "side", "price", "quantity", "seq"),
    "liquidation_map": ("ts", "side", "price_low", "model"),
    "depth": ("ts", "side", "distance"),
}
SIDES: Final = {
    "liquidations": {"long", "short"},
    "liquidation_map": {"long", "short"},
    "depth": {"bid", "ask"},
}
AS_IN_THE_FILE: Final = {
    "bars": PRICES,
    "mark_bars": PRICES,
    "liquidations": ("price",),
    "liquidation_map": ("price_low",),
}
"""Columns that no parser computes."""

YEAR_2009_US: Final = 1_230_768_000_000_000
YEAR_2100_US: Final = 4_102_444_800_000_000
MONDAY_US: Final = 4 * 86_400_000_000  # 1970-01-05
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LARGEST_RATE: Final = 0.1
SAME: Final = 1e-12
"""Relative; pandas reads the last of 17 digits otherwise than Python now and then."""

NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
LONE_DIGIT: Final = re.compile(r"(?<!\d)(\d)(?=[-/.: T]\d)")
LINE_END: Final = re.compile(r"\r\n|\n|\r")
TIME_UNITS: Final = (10**6, 10**3, 1, 10**-3)


def broken_laws(table: str, timeframe: str | None, good: pa.Table) -> list[str]:
    """Return what is wrong with rows that passed the checks; nothing as a rule."""
    numbers = {name: floats(good, name) for name in good.column_names if is_number(good, name)}
    found = [
        f"{name} is not finite"
        for name, values in numbers.items()
        if not np.isfinite(values[pc.is_valid(good[name]).to_numpy()]).all()
    ]
    found += [f"{n} is not positive" for n in POSITIVE[table] if (numbers[n] <= 0.0).any()]
    found += [f"{n} is negative" for n in NOT_NEGATIVE.get(table, ()) if (numbers[n] < 0.0).any()]
    found += [f"{n} is empty" for n in NEVER_EMPTY.get(table, ()) if good[n].null_count]
    if given := ONE_GIVEN.get(table):
        empty = np.all([np.isnan(numbers[name]) for name in given], axis=0)
        found += ["a row without a value"] * bool(empty.any())
    if "open" in numbers:
        prices = np.stack([numbers[name] for name in PRICES])
        low_high = (prices.max(axis=0) == numbers["high"]) & (prices.min(axis=0) == numbers["low"])
        found += ["low and high do not hold open and close"] * (not low_high.all())
    if "price_low" in numbers and (numbers["price_low"] > numbers["price_high"]).any():
        found.append("price_low above price_high")
    if "rate" in numbers and (np.abs(numbers["rate"]) > LARGEST_RATE).any():
        found.append("rate beyond 10 %")
    if "distance" in numbers and (numbers["distance"] >= 1.0).any():
        found.append("a distance of the whole price")
    if table in SIDES and not set(good["side"].to_pylist()) <= SIDES[table]:
        found.append("side of no meaning")
    return [*found, *wrong_times(timeframe, good), *wrong_order(table, good)]


def is_number(rows: pa.Table, name: str) -> bool:
    kind = rows.schema.field(name).type
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def floats(rows: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a column's numbers, NaN where there is none."""
    return rows[name].cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def microseconds(rows: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    return rows[name].cast(pa.int64()).to_numpy(zero_copy_only=False)


def wrong_times(timeframe: str | None, good: pa.Table) -> list[str]:
    if good["ts"].null_count or good["available_at"].null_count:
        return ["a row without a time"]
    ts, known = microseconds(good, "ts"), microseconds(good, "available_at")
    found = []
    if ((ts < YEAR_2009_US) | (ts >= YEAR_2100_US)).any():
        found.append("a time out of 2009 to 2100")
    if (known < ts).any():
        found.append("known before it happened")
    if timeframe not in (None, "events"):
        step = int(timeframe[:-1]) * SECONDS[timeframe[-1]] * 10**6
        origin = 0 if step % (7 * SECONDS["d"] * 10**6) else MONDAY_US
        found += ["a bar off its grid"] * bool(((ts - origin) % step).any())
        found += ["a bar known before its close"] * bool((known < ts + step).any())
    return found


def wrong_order(table: str, good: pa.Table) -> list[str]:
    columns = [good[name].to_pylist() for name in KEYS.get(table, ("ts",))]
    keys = [tuple((cell is None, cell) for cell in row) for row in zip(*columns, strict=True)]
    found = ["a key twice"] if len(set(keys)) < len(keys) else []
    # An empty cell stands last and is not compared with anything but another.
    ordered = [tuple((none, 0 if none else cell) for none, cell in key) for key in keys]
    unsorted = any(one > other for one, other in pairwise(ordered))
    return [*found, *["not in the order of keys"] * unsorted]


def invented(table: str, recognised: str, good: pa.Table, text: str) -> list[str]:
    """Return what good rows hold that the file's text does not."""
    records = list(records_of(text))
    known = np.unique([number for record in records for number in record_numbers(record)])
    found = [
        f"{name} is no number of the file"
        for name in AS_IN_THE_FILE.get(table, ())
        if not all_in(floats(good, name), known)
    ]
    # Of trades a bar's prices come from several records.
    if not found and "open" in good.column_names and "trades" not in recognised:
        found = scattered(good, records)
    return found


def misplaced(table: str, recognised: str, rows: pa.Table, text: str) -> list[str]:
    """Return what is wrong with the lines that a csv's rows are said to stand on."""
    names = [name for name in AS_IN_THE_FILE.get(table, ()) if name in rows.column_names]
    if text.lstrip()[:1] in ("{", "[") or "trades" in recognised or not names:
        return []
    lines = LINE_END.split(text)
    values = np.stack([floats(rows, name) for name in names], axis=1)
    for line, own in zip(rows["_line"].to_pylist(), values, strict=True):
        if not 1 <= line <= len(lines):
            return ["a row on a line that the file has not"]
        # A cell in quotes may go on over lines.
        own_lines = lines[line - 1 : line + 3 * ('"' in lines[line - 1])]
        known = np.unique(record_numbers(",".join(own_lines).split(",")))
        if not all_in(own[np.isfinite(own)], known):
            return ["a row on another line than it is said to be"]
    return []


def scattered(good: pa.Table, records: list[list[str]]) -> list[str]:
    """Return what is wrong with bars that are no one record's."""
    numbers = [np.unique(record_numbers(record)) for record in records]
    moments = [record_moments(record) for record in records]
    prices = np.stack([floats(good, name) for name in PRICES], axis=1)
    for ts, bar in zip(microseconds(good, "ts").tolist(), prices, strict=True):
        own = [place for place, known in enumerate(numbers) if all_in(bar, known)]
        if not own:
            return ["a bar's prices are of several records"]
        if not any(ts in moments[place] for place in own):
            return ["a bar's time and prices are of several records"]
    return []


def all_in(values: np.ndarray[Any, Any], known: np.ndarray[Any, Any]) -> bool:
    """Return whether each value is one of the known ones, which ascend."""
    values = values[~np.isnan(values)]
    if not len(known):
        return not len(values)
    place = np.searchsorted(known, values)
    near = np.stack([known[np.clip(place + by, 0, len(known) - 1)] for by in (-1, 0)])
    return bool(np.isclose(near, values, rtol=SAME, atol=0.0).any(axis=0).all())


def records_of(text: str) -> Iterator[list[str]]:
    """Return the cells of each line, or the values that stand together in JSON, as texts."""
    if text.lstrip()[:1] in ("{", "["):
        for part in [text, *text.splitlines()]:
            try:
                value = json.loads(part)
            except (ValueError, RecursionError):
                continue
            yield from json_records(value)
        return
    lines = LINE_END.split(text)
    yield from (line.split(",") for line in lines)
    if '"' in text:
        yield from csv.reader(lines)


def json_records(value: Any) -> Iterator[list[str]]:
    parts = (
        value if isinstance(value, list) else [*value.values()] if isinstance(value, dict) else []
    )
    plain = [part for part in parts if not isinstance(part, (list, dict, bool))]
    if plain:
        yield [str(part) for part in plain]
    for part in parts:
        yield from json_records(part)


def record_numbers(record: list[str]) -> list[float]:
    cells = (cell.strip().strip('"').strip() for cell in record)
    return [float(cell) for cell in cells if NUMBER.fullmatch(cell)]


def record_moments(record: list[str]) -> set[int]:
    """Return the moments that a record's cells can stand for, UTC microseconds."""
    found = {
        round(number * unit)
        for number in record_numbers(record)
        for unit in TIME_UNITS
        if abs(number) < 1e20
    }
    for cell in record:
        # Day, month and hour may be of one digit, where another number follows: then none is cut off.
        padded = LONE_DIGIT.sub(r"0\1", cell.strip().strip('"').strip())
        try:
            moment = datetime.fromisoformat(re.sub(r"^(\d{4})[/. ](\d\d)[/. ]", r"\1-\2-", padded))
        except ValueError:
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found.add((aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    return found
