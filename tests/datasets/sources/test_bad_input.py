"""Damaged and hostile files: one clear line, or a counted quarantine with reason and line."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import QUARANTINE, Lake
from liqtiers.datasets.query import read
from liqtiers.datasets.sources import _raw
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import (
    BTC,
    HOUR_MS,
    KLINES,
    OHLCV,
    START_MS,
    STREAM,
    bar,
    kline,
    load,
    parse_one,
    put,
    store,
    zip_bytes,
    zipped,
)

NAME = "BTCUSDT-1h-2024-01.csv"


def refused(path: Path, message: str, options: ImportOptions = BTC) -> None:
    """Assert that a file is refused with one line that names it."""
    with pytest.raises(InputError, match=message) as caught:
        parse_file(path, options=options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "neither csv, parquet, JSON, zip nor gz"),
        (b"\x00\x01\x02", "neither csv, parquet, JSON, zip nor gz"),
        (b"PK\x03\x04 and then nothing", "zip is damaged or cut off"),
        (b"\x1f\x8b\x08", "gz file is damaged or cut off"),
        (b"PAR1 and then nothing PAR1", "parquet file is damaged or cut off"),
        (b'{"data": [', "not whole JSON"),
        (b"[" * 100_000, "not whole JSON"),
        (b'{"data": [{"x": 1}]}', "no known shape"),
        (b"[1, 2, 3]", "is JSON, but no response"),
        (b"null,b\n1,2\n", "no known shape"),
        (KLINES.encode(), "holds no rows"),
        (KLINES.encode() + b"\r\n\r\n", "holds no rows"),
        (KLINES.encode() + b"\n1,2\n", "no row has as many cells as the header; line 2 is '1,2'"),
        (b"open,open,x\n1,2,3\n", "two columns have the same name"),
        (b"a,b\n1,2\n1,\xff\n", "line 3 is not UTF-8 text"),
        (b"date,price\n2024-01-01,5\n", "date, price are of no known shape"),
    ],
)
def test_file_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is empty, cut off or of another shape is refused in one line."""
    refused(written(tmp_path, "x.csv", content), message)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """What is not there, or is a folder, is no file."""
    refused(tmp_path / "none.csv", "no such file")
    refused(tmp_path, "no such file")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_truncated_archives(tmp_path: Path, kept: float) -> None:
    """A zip, gz or parquet that was cut off is refused, wherever it was cut."""
    text = "\n".join([KLINES, *[kline(i) for i in range(200)]])
    table = io.BytesIO()
    pq.write_table(pa.table({"date": list(range(500)), "rate": [0.1] * 500}), table)
    for name, content in (
        ("a.zip", zip_bytes((NAME, text))),
        ("a.csv.gz", gzip.compress(text.encode())),
        ("a.parquet", table.getvalue()),
    ):
        path = written(tmp_path, name, content[: int(len(content) * kept)])
        refused(path, "damaged or cut off")


@pytest.mark.parametrize("inner", ["../x.csv", "/etc/x.csv", "a/../../x.csv", "..\\x.csv"])
def test_path_inside_a_zip_that_climbs_out(tmp_path: Path, inner: str) -> None:
    """A name inside a zip never leaves its folder."""
    refused(zipped(tmp_path, "x.zip", (inner, kline(0))), "climbs out")


@pytest.mark.parametrize("names", [(), ("a.csv", "b.csv"), ("folder/",)])
def test_zip_of_none_or_several_files(tmp_path: Path, names: tuple[str, ...]) -> None:
    """A zip must hold one file; the message says how many it holds."""
    count = sum(not name.endswith("/") for name in names)
    path = zipped(tmp_path, "x.zip", *[(name, "") for name in names])
    refused(path, f"must hold one file, this one holds {count}")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip or gz that unpacks to far more than its size is refused before it does."""
    zeros = "0" * 50_000_000
    refused(zipped(tmp_path, "x.zip", ("x.csv", zeros)), "zip bomb")
    refused(written(tmp_path, "x.gz", gzip.compress(zeros.encode())), "gz bomb")
    monkeypatch.setattr(_raw, "LARGEST_FILE", 1000)
    refused(put(tmp_path, "x.csv", OHLCV, *[bar(i) for i in range(24)] * 3), "split it")
    pq.write_table(pa.table({"rate": [0.1] * 10_000}), tmp_path / "x.parquet")
    refused(tmp_path / "x.parquet", "split it")


def test_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    """A bomb that states a small size is cut there and refused as damaged."""
    content = bytearray(zip_bytes(("x.csv", "0" * 3_000_000)))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(signature) + offset
        content[at : at + 4] = (100).to_bytes(4, "little")
    refused(written(tmp_path, "x.zip", bytes(content)), "damaged or cut off")


def test_encrypted_zip(tmp_path: Path) -> None:
    """An encrypted zip is said to be one, and not called damaged."""
    content = bytearray(zip_bytes((NAME, kline(0))))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    refused(written(tmp_path, "x.zip", bytes(content)), "encrypted")


def test_parquet_inside_a_zip(tmp_path: Path) -> None:
    """What is in a zip must be text."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("x.parquet", b"PAR1" + bytes(100) + b"PAR1")
    refused(tmp_path / "x.zip", "neither csv, parquet, JSON")


@pytest.mark.parametrize("name", ["../../x", "'; drop table--", "", "a/b", "..", "x" * 65])
@pytest.mark.parametrize("kind", ["venue", "symbol"])
def test_hostile_names(tmp_path: Path, kind: str, name: str) -> None:
    """A venue or symbol that could climb out of the lake or end a query is refused, from anywhere."""
    bars = put(tmp_path, "x.csv", OHLCV, bar(0), bar(1))
    given = {"venue": "binance", "symbol": "BTCUSDT", kind: name}
    with pytest.raises(InputError, match=rf"{kind} .* is not a valid name|give --{kind}"):
        parse_file(bars, options=ImportOptions(**given))  # type: ignore[arg-type]
    if kind == "symbol":
        line = f'"{name}",BUY,LIMIT,1,1,1,F,1,{START_MS}'
        with pytest.raises(InputError, match="is not a valid name"):
            parse_file(put(tmp_path, "s.csv", STREAM, line), options=ImportOptions())
    assert not list(tmp_path.rglob("*.parquet"))


def test_each_bad_row_has_its_reason_and_line(tmp_path: Path) -> None:
    """Bad rows are set aside one by one with reason and line; the good ones are stored."""
    lines = [
        KLINES,
        kline(0),
        kline(1, close="many"),
        kline(2, low=120),
        kline(3, low=-1),
        kline(4, unit=1000),
        kline(5, late=60_000),
        kline(6, high="inf"),
        kline(7, volume=""),
        kline(8, volume=-1),
        kline(9).rsplit(",", 3)[0],
        "",
        kline(10, close="NaN"),
        "x" + kline(11),
        kline(12),
        kline(13, close="9" * 400),
    ]
    report = load(tmp_path, put(tmp_path, NAME, *lines), BTC)
    stored = pq.read_table(tmp_path / "lake" / QUARANTINE, partitioning=None)
    reasons = dict(zip(stored["line"].to_pylist(), stored["reason"].to_pylist(), strict=True))
    cut = kline(9).rsplit(",", 3)[0]
    assert reasons == {
        3: "close is not a number: 'many'",
        4: "low above high",
        5: "price is not positive",
        6: "open_time is in microseconds, the file is in milliseconds",
        7: "not on the 1h grid",
        8: "high is infinite",
        9: "volume is missing",
        10: "negative volume",
        11: f"another number of cells than the header: {cut[:60]!r}",
        13: "close is missing",
        14: "open_time is not a time, the file is in milliseconds",
        16: "close is infinite",
    }
    assert report.inserted == 2
    assert report.quarantined == 12


def test_duplicated_and_unsorted_rows(tmp_path: Path) -> None:
    """Order does not matter; exact repeats count as such; of two values the later line stands."""
    lines = [KLINES, kline(2), kline(0), kline(0), kline(1, close=95), kline(1, close=96)]
    report = load(tmp_path, put(tmp_path, NAME, *lines), BTC)
    assert (report.inserted, report.repeated, report.quarantined) == (3, 1, 1)
    assert report.reasons == {"duplicate with other values": 1}
    rows = read(Lake(tmp_path / "lake"), "bars", venue="binance", symbol="BTCUSDT", timeframe="1h")
    assert rows["close"].to_pylist() == [105.0, 96.0, 105.0]


@pytest.mark.parametrize("lead", ["\ufeff", "\n", "\ufeff\r\n\r\n"])
def test_marks_and_empty_lines_before_the_header(tmp_path: Path, lead: str) -> None:
    """A byte order mark or empty lines before the header change no row and no line number."""
    path = put(tmp_path, NAME, lead + KLINES, kline(0), kline(1, low=120))
    parsed = parse_one(path)
    assert parsed.rows["_line"].to_pylist() == [2 + lead.count("\n"), 3 + lead.count("\n")]
    assert parsed.rows["close"].to_pylist() == [105.0, 105.0]


@pytest.mark.parametrize(
    "cell", [[1], {"a": 1}, "\ud800", "\uff11\uff12x", 10**400, -(10**400), True]
)
def test_json_cells_of_any_kind(tmp_path: Path, cell: object) -> None:
    """Lists, objects, huge integers and broken Unicode in a response never end in a traceback."""
    rows = [{"time": START_MS + i * HOUR_MS, "long_usd": 1, "short_usd": 2} for i in range(3)]
    rows[1]["long_usd"] = cell  # type: ignore[assignment]
    path = put(tmp_path, "r.json", json.dumps({"data": rows}))
    try:
        report = load(tmp_path, path, BTC)
    except InputError as error:
        assert "not valid Unicode" in str(error)  # one of two right ends
    else:
        assert report.rows == 6
        assert report.quarantined <= 2


def test_words_for_the_clock_are_no_times(tmp_path: Path) -> None:
    """now and today are not read as the machine's time: an import is the same on every day."""
    path = put(tmp_path, "BTCUSDT.csv", OHLCV, bar(0), bar(1), "now,1,1,1,1,1", "today,1,1,1,1,1")
    report = load(tmp_path, path, BTC)
    assert report.reasons == {
        "timestamp is not a time: 'now'": 1,
        "timestamp is not a time: 'today'": 1,
    }


def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    """The same file again: the same bytes from a query, and no growth of the quarantine."""
    lines = [KLINES, *[kline(i) for i in range(30)], kline(31, low=200), kline(32, close="x")]
    path = put(tmp_path, NAME, *lines)
    lake = Lake(tmp_path / "lake")

    def once() -> tuple[bytes, dict[str, bytes]]:
        store(lake, parse_file(path, options=BTC), path.name)
        rows = read(lake, "bars", venue="binance", symbol="BTCUSDT", timeframe="1h")
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows.combine_chunks())
        files = {
            str(p.relative_to(lake.root)): p.read_bytes() for p in lake.root.rglob("*.parquet")
        }
        return sink.getvalue().to_pybytes(), files

    first = once()
    assert first == once()
    assert sum(QUARANTINE in name for name in first[1]) == 1
