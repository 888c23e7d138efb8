"""The parsers of files that `fuzz_parsers` tries: every source, zip, gz and parquet files as such.

An input is bytes: the first chooses the case, which is a file's name and what the user says about it; the
second how the file is packed; the rest is its content. Zip, gz and parquet files are tried as they are;
for parquet columns the bytes choose types and cells.
"""

from __future__ import annotations

import functools
import gzip
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from parser_cases import CASES, HOURS, SECOND, Case
from parser_mutations import zipped

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources.parsed import ImportOptions, Parsed
from liqtiers.datasets.sources.registry import AUTO, SOURCES, parse_file
from source_files import (
    FUNDING,
    HOUR_MS,
    HYPERLIQUID,
    KLINES,
    METRICS,
    OHLCV,
    SNAPSHOT,
    START_MS,
    TARDIS,
    zip_bytes,
)

REFUSALS: Final = (InputError,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a parser made of an input, and the text that it had, where numbers can be looked up."""

    found: list[Parsed]
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """One thing to try.

    Attributes
    ----------
    read : callable
        Takes an empty folder and an input.
    seeds : tuple of bytes
    refusals : tuple of type
        The errors that it may raise; each of one line.
    head : int or None
        How many bytes stand before a content that is csv or JSON, maybe in a gz or zip; None where
        there is none.
    """

    read: Callable[[Path, bytes], Outcome]
    seeds: tuple[bytes, ...]
    refusals: tuple[type[Exception], ...] = REFUSALS
    head: int | None = 0


def packed(choice: int, content: bytes) -> bytes:
    """Return a content as it is, or half of the time in a gz or zip."""
    kind = choice % 4
    if kind == 2:
        return gzip.compress(content, 1)
    return zipped(content) if kind == 3 else content


def cases_of(source: str) -> tuple[Case, ...]:
    """Return the cases of a source; `auto` tells all of them apart."""
    if source == AUTO:
        return tuple(case for cases in CASES.values() for case in cases)
    return CASES[source]


def text_parser(source: str) -> Parser:
    """Return the parser of a source's csv and JSON, plain, in a gz or in a zip."""
    cases = cases_of(source)

    def read(folder: Path, given: bytes) -> Outcome:
        chosen, content = cases[given[:1][0] % len(cases)] if given else cases[0], given[2:]
        path = folder / chosen.name
        path.write_bytes(packed(given[1] if len(given) > 1 else 0, content))
        found = parse_file(path, source=source, options=chosen.options)
        return Outcome(found=found, text=content.decode("utf-8-sig", "replace"))

    seeds = tuple(bytes([place, place % 4]) + each.content for place, each in enumerate(cases))
    return Parser(read=read, seeds=seeds, head=2)


def container_parser(seeds: tuple[bytes, ...]) -> Parser:
    """Return the parser of whole zip, gz or parquet files, whose bytes are tried as they are."""
    said = ImportOptions(venue="binance", symbol="BTCUSDT")

    def read(folder: Path, given: bytes) -> Outcome:
        path = folder / "BTCUSDT-1h-2024-01.csv"
        path.write_bytes(given)
        return Outcome(found=parse_file(path, options=said))

    return Parser(read=read, seeds=seeds)


HEADERS: Final = (
    KLINES,
    METRICS,
    FUNDING,
    SNAPSHOT,
    TARDIS,
    HYPERLIQUID,
    OHLCV,
    "T,s,S,v,p",
    "date,open,high,low,close,volume,gap_filled",
    "date,rate",
    "time,long_usd,short_usd,long_usd_first_seen",
    "time,buy_usd,sell_usd",
    "t,oi,oi_usd",
    "timestamp,percentage,depth,notional",
    "timestamp,venue,coin,o,h,l,c,v",
    "timestamp,symbol,side,size,price,trdMatchID",
)
COLUMN_TYPES: Final = (
    pa.int64(),
    pa.float64(),
    pa.string(),
    pa.timestamp("us", tz="UTC"),
    pa.timestamp("ns"),
    pa.timestamp("ms", tz="Asia/Tokyo"),
    pa.timestamp("s"),
    pa.date32(),
    pa.date64(),
    pa.time64("us"),
    pa.duration("us"),
    pa.bool_(),
    pa.int8(),
    pa.uint64(),
    pa.float32(),
    pa.float16(),
    pa.decimal128(20, 4),
    pa.binary(),
    pa.large_string(),
    pa.list_(pa.int64()),
    pa.struct([("a", pa.int64())]),
    pa.dictionary(pa.int32(), pa.string()),
    pa.null(),
)
CELLS: Final = (
    START_MS,
    START_MS + HOUR_MS,
    START_MS * 1000,
    SECOND,
    100,
    110,
    90,
    105,
    0,
    -1,
    1,
    2**63 - 1,
    -(2**63),
    2**53,
    None,
)
TEXTS: Final = ("BUY", "sell", "BTC", "BTCUSDT", "2024-01-01", "nan", "long", "", "binance", "1.5")


def columns_parser() -> Parser:
    """Return the parser of parquet files of any column types under known names.

    The first byte chooses the header, the second the number of rows; then comes a byte for a column's
    type and one for each of its cells.
    """

    def read(folder: Path, given: bytes) -> Outcome:
        said = ImportOptions(venue="binance", symbol="BTCUSDT" if len(given) % 2 else None)
        following = itertools.chain(given, itertools.repeat(0))
        names = HEADERS[next(following) % len(HEADERS)].split(",")
        rows = 1 + next(following) % 4
        columns = [column(next(following), [next(following) for _ in range(rows)]) for _ in names]
        path = folder / "BTCUSDT-1h-2024-01.parquet"
        try:
            pq.write_table(pa.table(columns, names=names), path)
        except pa.ArrowException:
            # Moments in seconds are written as milliseconds, as which not all can be.
            return Outcome(found=[])
        return Outcome(found=parse_file(path, options=said))

    seeds = tuple(columns_seed(head) for head in range(len(HEADERS)))
    return Parser(read=read, seeds=seeds, head=None)


def columns_seed(head: int) -> bytes:
    """Return the bytes of two plausible rows under a header, the first cells of `CELLS` being hours."""
    words = {"side": (71, 70), "S": (71, 70), "coin": (72, 72), "exchange": (78, 78)}
    words |= {"symbol": (73, 73), "s": (73, 73), "venue": (78, 78)}
    prices = {"high": 5, "h": 5, "low": 6, "l": 6, "close": 7, "c": 7}
    content = [head, 1]
    for name in HEADERS[head].split(","):
        if name in words:
            content += [COLUMN_TYPES.index(pa.string()), *words[name]]
        elif "time" in name or name in ("ts", "T", "t", "date"):
            content += [COLUMN_TYPES.index(pa.int64()), 0, 1]
        else:
            content += [COLUMN_TYPES.index(pa.float64()), *[prices.get(name, 4)] * 2]
    return bytes(content)


def column(kind: int, cells: list[int]) -> pa.ChunkedArray:
    """Return a column of a type; cells that it cannot hold are null."""
    wanted = COLUMN_TYPES[kind % len(COLUMN_TYPES)]
    return pa.chunked_array([one_cell(cell, wanted) for cell in cells], wanted)


def one_cell(cell: int, wanted: pa.DataType) -> pa.Array:
    value: Any = CELLS[cell % len(CELLS)]
    if pa.types.is_floating(wanted) and cell >= 128:
        value = (float("nan"), float("inf"), -float("inf"), 0.5, 1e308)[cell % 5]
    if pa.types.is_string(wanted) or cell >= 200:
        value = TEXTS[cell % len(TEXTS)] if cell >= 64 else str(value)
    if pa.types.is_struct(wanted):
        value = {"a": value}
    elif pa.types.is_list(wanted):
        value = [value]
    try:
        nested = pa.types.is_nested(wanted)
        return pa.array([value], wanted) if nested else pa.array([value]).cast(wanted)
    except (pa.ArrowException, ValueError, OverflowError):
        return pa.nulls(1, wanted)


def parquet_seeds() -> tuple[bytes, ...]:
    """Return small parquet files of bars, of every way to write them."""
    rows = pa.table(
        {
            "date": pa.array([t * 1000 for t in HOURS], pa.timestamp("us", tz="UTC")),
            **{name: [100.0, 101.0, 102.0] for name in ("open", "high", "low", "close")},
            "volume": [1, 2, 3],
            "gap_filled": ["False", "True", "False"],
        }
    )
    ways: tuple[dict[str, Any], ...] = (
        {"compression": "none"},
        {"compression": "zstd", "use_dictionary": False},
        {"compression": "snappy", "data_page_version": "2.0"},
    )
    found = []
    for way in ways:
        sink = io.BytesIO()
        pq.write_table(rows, sink, **way)
        found.append(sink.getvalue())
    return tuple(found)


def file_parsers() -> dict[str, Callable[[], Parser]]:
    """Return what makes each parser of files, by name."""
    klines = CASES["binance"][0].content
    found: dict[str, Callable[[], Parser]] = {
        source: functools.partial(text_parser, source) for source in SOURCES
    }
    zips = (zipped(klines), zip_bytes(("oi.csv", "t,oi,oi_usd\n1704067200,1,2\n")))
    return found | {
        "zip": lambda: container_parser(zips),
        "gz": lambda: container_parser((gzip.compress(klines), gzip.compress(b"[1]"))),
        "parquet": lambda: container_parser(parquet_seeds()),
        "parquet-columns": columns_parser,
    }
