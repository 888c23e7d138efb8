"""Reading a series: right rows, right order, no more files than needed."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtiers.datasets import _folder_store
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.query import partition_files, read
from liqtiers.datasets.schemas import TABLES, TIMESTAMP

HOUR = 3_600_000_000
DAY = 24 * HOUR
START = 1_704_067_200_000_000  # 2024-01-01
HOURLY = {"venue": "binance", "symbol": "BTCUSDT", "timeframe": "1h"}


def write_bars(lake: Lake, opens: list[int], *, symbol: str = "BTCUSDT") -> None:
    count = len(opens)
    prices = {name: [100.0] * count for name in ("open", "high", "low", "close")}
    rows = pa.table(
        {
            "ts": pa.array(opens, TIMESTAMP),
            "available_at": pa.array([at + HOUR for at in opens], TIMESTAMP),
            **prices,
            "volume": [float(i) for i in range(count)],
        }
    )
    lake.write("bars", rows, venue="binance", symbol=symbol, timeframe="1h")


def opens_of(table: pa.Table) -> list[int]:
    found: list[int] = table["ts"].cast(pa.int64()).to_pylist()
    return found


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A year of hourly bars, never changed by a test."""
    lake = Lake(tmp_path_factory.mktemp("year"))
    write_bars(lake, [START + i * HOUR for i in range(366 * 24)])
    return lake


def test_rows_come_in_order_of_time_over_all_months(year: Lake) -> None:
    """Files are read in any order, rows come back sorted (October is not after January)."""
    opens = opens_of(read(year, "bars", **HOURLY))
    assert opens == [START + i * HOUR for i in range(366 * 24)]


@settings(max_examples=25, deadline=None)
@given(first=st.integers(-50, 9000), length=st.integers(1, 2000))
def test_span_is_closed_at_the_start_and_open_at_the_end(
    year: Lake, first: int, length: int
) -> None:
    """[start, end): compared with a filter in plain Python."""
    start, end = START + first * HOUR, START + (first + length) * HOUR
    found = opens_of(read(year, "bars", **HOURLY, start_us=start, end_us=end))
    assert found == [at for at in (START + i * HOUR for i in range(366 * 24)) if start <= at < end]


@pytest.mark.parametrize("bound", ["start_us", "end_us"])
def test_one_bound_alone_is_enough(year: Lake, bound: str) -> None:
    """Either side may be left open."""
    found = opens_of(read(year, "bars", **HOURLY, **{bound: START + 5 * DAY}))
    assert len(found) == {"start_us": 361 * 24, "end_us": 5 * 24}[bound]


def test_months_outside_the_span_are_never_opened(tmp_path: Path) -> None:
    """Damaged files of other months do not disturb a query that has no need of them."""
    lake = Lake(tmp_path)
    write_bars(lake, [START, START + 31 * DAY, START + 60 * DAY])
    files = partition_files(lake, "bars", **HOURLY)
    (tmp_path / files[0]).write_bytes(b"damaged")
    (tmp_path / files[2]).write_bytes(b"damaged")
    span = {"start_us": START + 31 * DAY, "end_us": START + 60 * DAY}
    assert opens_of(read(lake, "bars", **HOURLY, **span)) == [START + 31 * DAY]


def test_only_the_columns_asked_for_come_back_in_that_order(year: Lake) -> None:
    """Columns are pruned and ordered as asked."""
    found = read(year, "bars", **HOURLY, columns=("volume", "ts"), end_us=START + HOUR)
    assert found.column_names == ["volume", "ts"]


def test_span_without_rows_is_an_empty_table(year: Lake) -> None:
    """Outside of what is stored: no rows, the right columns, no error."""
    found = read(year, "bars", **HOURLY, end_us=START, columns=("ts", "close"))
    assert found.num_rows == 0
    assert found.schema.equals(pa.schema([TABLES["bars"].schema.field(n) for n in ("ts", "close")]))


def test_times_are_utc_whatever_the_machine_says(
    year: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zone of the machine plays no part."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    found = read(year, "bars", **HOURLY, end_us=START + HOUR)
    assert found.schema.field("ts").type == TIMESTAMP
    assert opens_of(found) == [START]


@pytest.mark.parametrize("end", [START, START - 1])
def test_start_after_the_end_is_refused(year: Lake, end: int) -> None:
    """An empty or reversed span is a mistake."""
    with pytest.raises(InputError, match="the start is not before the end"):
        read(year, "bars", **HOURLY, start_us=START, end_us=end)


def test_unknown_series_names_what_there_is(year: Lake) -> None:
    """The message helps to find the right name."""
    with pytest.raises(
        InputError, match=r"no bars of bybit:BTCUSDT:1h; it has binance:BTCUSDT:1h$"
    ):
        read(year, "bars", venue="bybit", symbol="BTCUSDT", timeframe="1h")
    with pytest.raises(InputError, match="no funding of .*: import some"):
        read(year, "funding", venue="binance", symbol="BTCUSDT")


def test_unknown_column_and_table_are_named(year: Lake) -> None:
    """A misspelt name is shown."""
    with pytest.raises(InputError, match="no column closing"):
        read(year, "bars", **HOURLY, columns=("closing",))
    with pytest.raises(InputError, match="there is no table 'candles'"):
        read(year, "candles", **HOURLY)


@pytest.mark.parametrize("symbol", ["../../x", "'; drop table--", "*"])
def test_unsafe_names_are_refused(year: Lake, symbol: str) -> None:
    """Names are checked before a path or a query is made of them."""
    with pytest.raises(InputError, match="is not a valid name"):
        read(year, "bars", venue="binance", symbol=symbol, timeframe="1h")


@pytest.mark.parametrize("folder", ["it's", "a [b] *c", "venue=x", "with space"])
def test_any_folder_name_will_do(tmp_path: Path, folder: str) -> None:
    """Quotes, patterns and equals signs in the lake's own path are nothing special."""
    lake = Lake(tmp_path / folder)
    write_bars(lake, [START])
    assert read(lake, "bars", **HOURLY).num_rows == 1


@pytest.mark.parametrize("pause", [0.0, 0.3], ids=["by descriptors", "by versions"])
def test_a_file_that_is_replaced_meanwhile_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause: float
) -> None:
    """While a month is replaced again and again, each reading is one version of it and no error."""
    lake = Lake(tmp_path)
    write_bars(lake, [START + k * HOUR for k in range(100)])
    (file,) = tmp_path.glob("bars/**/*.parquet")
    versions = []
    for rows in (100, 40):
        table = pq.read_table(file, partitioning=None).slice(0, rows)
        # A version's closes are all its own number of rows.
        marked = pa.array([float(rows)] * rows)
        place = table.schema.get_field_index("close")
        other = tmp_path / f"version-{rows}"
        pq.write_table(table.set_column(place, table.schema.field(place), marked), other)
        versions.append(other)
    if pause:
        # A system without descriptors to read by; a reading needs a moment without a writer.
        monkeypatch.setattr(_folder_store, "_DESCRIPTORS", tmp_path / "none")
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            for version in versions:
                copy = tmp_path / "copy"
                shutil.copy(version, copy)
                copy.replace(file)
                time.sleep(pause)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for _ in range(10 if pause else 60):
            found = read(lake, "bars", venue="binance", symbol="BTCUSDT", timeframe="1h")
            assert found.num_rows in (100, 40)
            assert set(found["close"].to_pylist()) == {float(found.num_rows)}
    finally:
        stop.set()
        writer.join()


def test_symbols_do_not_mix(tmp_path: Path) -> None:
    """A symbol that begins like another is another."""
    lake = Lake(tmp_path)
    write_bars(lake, [START], symbol="BTC")
    write_bars(lake, [START, START + HOUR], symbol="BTCUSDT")
    assert read(lake, "bars", venue="binance", symbol="BTC", timeframe="1h").num_rows == 1
