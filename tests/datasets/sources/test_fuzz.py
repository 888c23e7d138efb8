"""Whatever the bytes: a file is imported, or refused with an InputError; nothing else is raised."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import (
    FUNDING,
    HYPERLIQUID,
    KLINES,
    METRICS,
    OHLCV,
    SNAPSHOT,
    START_MS,
    STREAM,
    TARDIS,
    kline,
    zip_bytes,
)

HEADERS = (
    KLINES,
    METRICS,
    FUNDING,
    SNAPSHOT,
    f"symbol,{SNAPSHOT}",
    STREAM,
    TARDIS,
    HYPERLIQUID,
    OHLCV,
    "t,oi,oi_usd",
    "timestamp,long_usd,short_usd",
    "long_usd,short_usd",
    "time,open,high,low,close",
    "ts_utc,symbol,oi_total_close",
    "timestamp,venue,coin,oi_usd",
    "timestamp,venue,coin,o,h,l,c,v",
    "date,rate",
    "symbol,ts_utc,lsr_global,lsr_top_positions",
    "time,buy_usd,sell_usd",
    "symbol,ts_utc,open,high,low,close,volume_usd",
    "date,open,high,low,close,volume,gap_filled",
    "T,s,S,v,p",
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID",
    "instId,side,sz,bkPx,ts",
    "open,open,high",
    "a,b",
)
CELLS = st.one_of(
    st.integers(START_MS - 10**7, START_MS + 10**7).map(str),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(
        [
            "",
            "NaN",
            "inf",
            "-inf",
            "1e999",
            "-1e308",
            "1e308",
            "9" * 400,
            "-" + "9" * 20,
            "0",
            "0.0",
            "1",
            "100",
            '""',
            '"',
            "BUY",
            "sell",
            "long",
            "BTC",
            "BTCUSDT",
            "true",
            "2024-01-01",
            "2024-01-01T00:00:00Z",
            "9999-12-31",
            "0001-01-01",
            "now",
            "\u202e",
            "\uff11",
            str(START_MS * 1000),
            str(START_MS // 1000),
            "1e17",
            "99999999999999999999",
            "0x10",
        ]
    ),
    st.text(max_size=8),
)
LENIENT = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lands(content: bytes, name: str = "oi_x.csv", **given: Any) -> None:
    """Import a file with these bytes; fail on anything but success or an InputError."""
    options = ImportOptions(**{"venue": "v", "symbol": None, "at": "2026-01-01", **given})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            for p in parse_file(path, options=options):
                report = Lake(Path(folder) / "lake").write(
                    p.table, p.rows, venue=p.venue, symbol=p.symbol, timeframe=p.timeframe
                )
                counted = report.inserted + report.repeated + report.quarantined
                assert counted == report.rows == p.rows.num_rows
        except InputError as error:
            assert str(error)  # the other right end


@LENIENT
@given(content=st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Any bytes at all, also behind the marks of zip, gz, parquet and JSON."""
    for mark in (b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"PAR1", b"{", b"[", b"\xef\xbb\xbf"):
        lands(mark + content)


@LENIENT
@given(text=st.text(max_size=200), name=st.sampled_from(["x.csv", "BTCUSDT-1h-2024-01.csv"]))
def test_any_text(text: str, name: str) -> None:
    """Any text that is UTF-8, of any alphabet."""
    lands(text.encode("utf-8", "replace"), name, symbol="BTCUSDT")


@settings(LENIENT, max_examples=150)
@given(
    header=st.sampled_from(HEADERS),
    rows=st.lists(st.lists(CELLS, min_size=12, max_size=12), min_size=1, max_size=6),
    symbol=st.sampled_from([None, "BTCUSDT"]),
    timeframe=st.sampled_from([None, "1h", "99999w"]),
    cut=st.integers(-1, 1),
)
@example(header=KLINES, rows=[["1e999"] * 12] * 2, symbol="BTCUSDT", timeframe=None, cut=0)
@example(header=TARDIS, rows=[["1e308"] * 12] * 2, symbol=None, timeframe=None, cut=0)
def test_any_cells_under_known_headers(
    header: str, rows: list[list[str]], symbol: str | None, timeframe: str | None, cut: int
) -> None:
    """Any cells under a known header: each row is stored, repeated or set aside, and counted."""
    width = max(header.count(",") + 1 + cut * (len(rows) % 2), 1)
    lines = [header, *[",".join(cells[:width]) for cells in rows]]
    content = "\n".join(lines).encode("utf-8", "replace")
    lands(content, symbol=symbol, timeframe=timeframe)
    lands("\n".join(lines[1:]).encode("utf-8", "replace"), symbol="BTCUSDT", timeframe=timeframe)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from(["1", "x", "", "BTC", "\ud800", START_MS, START_MS // 1000, 10**400]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "0", "t", "l", "s", "data"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "data",
        "prices",
        "lastIndex",
        "x25",
        "symbol",
        "y_axis",
        "liquidation_leverage_data",
        "price_candlesticks",
        "history",
        "time",
        "open",
        "high",
        "low",
        "close",
        "long_usd",
        "short_usd",
        "t",
        "l",
        "s",
        "coin",
        "ts",
        "price",
        "value_usd",
        "side",
    ]
)


@settings(LENIENT, max_examples=150)
@given(data=st.dictionaries(FIELDS, JSON, max_size=9), shape=st.integers(0, 4))
def test_any_json_under_known_fields(data: dict[str, Any], shape: int) -> None:
    """Any JSON value under the fields of known maps and responses."""
    full = dict.fromkeys(("t", "l", "s", "time", "long_usd", "short_usd"), 1) | data
    value: Any = [
        {"data": data},
        {"data": [full, full]},
        {"data": {"data": data}},
        [{"symbol": data.get("symbol"), "history": [full, data]}],
        [{"symbol": "X", "history": [full, full]}, {"history": data.get("history", [])}],
    ][shape]
    content = json.dumps(value).encode()
    lands(content, "oi.json", unit="usd", columns={"price": "1"})
    lands(content, "oi.json", unit="usd", symbol="BTCUSDT")


@LENIENT
@given(
    numbers=st.lists(st.lists(st.floats() | st.integers(), max_size=4), min_size=3, max_size=3),
    index=st.floats() | st.integers() | st.text(max_size=3),
)
@example(numbers=[[2.0**63], [100_000_001], []], index=0)
def test_any_numbers_in_maps(numbers: list[list[float]], index: object) -> None:
    """Any numbers in the arrays of a map."""
    one, two, three = numbers
    coinank = {"prices": one, "x25": two, "x50": three, "lastIndex": index, "symbol": "X"}
    steps = {"prices": [1, 2, 3], "x25": (one + [0] * 3)[:3], "lastIndex": index, "symbol": index}
    heat = {
        "y_axis": [1, 2, 3],
        "liquidation_leverage_data": [(one + [0] * 3)[:3], [0, 1, index]],
        "price_candlesticks": [[START_MS // 1000, 1, 1, 1, 2], (two + [0] * 5)[:5]],
    }
    levels = {"data": {"1": [(three + [1] * 4)[:4]]}}
    for data in (coinank, steps, heat, levels):
        lands(json.dumps({"data": data}).encode(), symbol="BTC", columns={"price": "1"})
        lands(json.dumps({"data": data}).encode())


@settings(LENIENT, max_examples=8)
@given(
    cells=st.lists(JSON, min_size=7, max_size=7),
    data=st.dictionaries(FIELDS, JSON, max_size=3),
    width=st.integers(4, 7),
)
def test_any_answer_of_bybit_and_hyperliquid(
    cells: list[Any], data: dict[str, Any], width: int
) -> None:
    """Any values in a list of Bybit's API and in positions of Hyperliquid."""
    good = [str(START_MS), "100", "110", "90", "105", "1", "105"]
    one, two, three, four, *_ = cells
    lists: list[Any] = [
        [good[:width], cells[:width]],
        [{"openInterest": one, "timestamp": two}, {"openInterest": "1", "timestamp": START_MS}],
        [{"fundingRate": one, "fundingRateTimestamp": two} | data],
        [one, data],
    ]
    for each in lists:
        value = {"retCode": three, "result": {"list": each}}
        lands(json.dumps(value).encode(), "answer.json", symbol="BTCUSDT", venue="bybit")
    position = {"coin": "BTC", "szi": one, "liquidationPx": two} | data
    good_position = {"coin": "BTC", "szi": "1", "liquidationPx": "5"}
    for found in ([good_position, position], one, [three]):
        wrapped = [{"position": p} for p in found] if isinstance(found, list) else found
        state = {"time": four, "assetPositions": wrapped}
        good_state = {"time": START_MS, "assetPositions": wrapped}
        states = [[{"state": state}], [{"state": good_state}], [one]]
        for each in states:
            lands(json.dumps({"hyperliquid_states": each}).encode(), "s.json", symbol="BTC")


@LENIENT
@given(data=st.data())
def test_any_damage_to_an_archive(data: st.DataObject) -> None:
    """A zip or gz with any bytes changed or cut off."""
    text = "\n".join([KLINES, *[kline(i) for i in range(5)]])
    for content in (zip_bytes(("BTCUSDT-1h-2024-01.csv", text)), gzip.compress(text.encode())):
        damaged = bytearray(content)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at] = data.draw(st.integers(0, 255))
        lands(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]), symbol="BTCUSDT")
        lands(bytes(damaged), symbol="BTCUSDT")
