"""The lake's promises: idempotent, atomic, nothing dropped unseen."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.datasets.lake import Lake, Series, WriteReport
from liqtiers.datasets.query import read
from liqtiers.datasets.schemas import TABLES, TIMESTAMP

HOUR = 3_600_000_000
DAY = 24 * HOUR
START = 1_704_067_200_000_000  # 2024-01-01, a Monday
BTC = {"venue": "binance", "symbol": "BTCUSDT"}
HOURLY = {**BTC, "timeframe": "1h"}


def bars(opens: list[int], *, step: int = HOUR, **columns: list[object]) -> pa.Table:
    """Bars that open at the given moments; columns override the plain ones."""
    count = len(opens)
    plain: dict[str, object] = {
        "ts": pa.array(opens, TIMESTAMP),
        "available_at": pa.array([at + step for at in opens], TIMESTAMP),
        "open": [100.0] * count,
        "high": [110.0] * count,
        "low": [90.0] * count,
        "close": [float(105 + i % 5) for i in range(count)],
        "volume": [7.0] * count,
    }
    return pa.table({**plain, **columns})


def hours(count: int, *, start: int = START) -> list[int]:
    return [start + i * HOUR for i in range(count)]


def orders(*rows: tuple[int, str, float | None, float | None, int, float]) -> pa.Table:
    """Liquidations as (ts, side, price, quantity, seq, notional)."""
    ts, side, price, quantity, seq, notional = zip(*rows, strict=True)
    return pa.table(
        {
            "ts": pa.array(ts, TIMESTAMP),
            "available_at": pa.array(ts, TIMESTAMP),
            "side": side,
            "price": pa.array(price, pa.float64()),
            "quantity": pa.array(quantity, pa.float64()),
            "seq": seq,
            "notional": notional,
        }
    )


def files_of(lake: Lake) -> dict[str, tuple[bytes, int]]:
    """Every file but the lock, with its content and the time of its last change."""
    return {
        str(path.relative_to(lake.root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(lake.root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_rows_come_back_as_they_were_written(lake: Lake) -> None:
    """What is written is what is read, in the table's own schema."""
    rows = bars(hours(3), trades=[1, None, 3])
    lake.write("bars", rows, **HOURLY)
    found = read(lake, "bars", **HOURLY)
    assert found.schema.equals(TABLES["bars"].schema)
    assert found["close"].to_pylist() == [105.0, 106.0, 107.0]
    assert found["trades"].to_pylist() == [1, None, 3]


def test_each_month_is_one_sorted_zstd_file(lake: Lake) -> None:
    """The folders follow the design, months have two digits, rows are sorted by key."""
    opens = [START + 31 * DAY + HOUR, START, START + 31 * DAY]
    lake.write("bars", bars(opens), **HOURLY)
    series = lake.root / "bars/venue=binance/symbol=BTCUSDT/timeframe=1h"
    months = sorted(path.relative_to(series).as_posix() for path in series.rglob("*.parquet"))
    assert months == ["year=2024/month=01.parquet", "year=2024/month=02.parquet"]
    february = pq.ParquetFile(series / months[1])
    assert february.metadata.row_group(0).column(0).compression == "ZSTD"
    assert february.read()["ts"].cast(pa.int64()).to_pylist() == sorted(opens)[1:]


def test_units_are_kept_in_the_files(lake: Lake) -> None:
    """A column's unit and description travel with the data."""
    lake.write("bars", bars(hours(1)), **HOURLY)
    [path] = lake.root.rglob("month=*.parquet")
    assert pq.read_schema(path).field("volume").metadata[b"unit"] == b"base"


def test_same_import_twice_changes_no_file(lake: Lake) -> None:
    """Writing the same input twice leaves every file untouched, the quarantine too."""
    rows = bars(hours(800), high=[110.0] * 799 + [1.0])
    first = lake.write("bars", rows, **HOURLY, source="a.csv")
    before = files_of(lake)
    second = lake.write("bars", rows, **HOURLY, source="a.csv")
    assert (first.inserted, first.quarantined) == (799, 1)
    assert (second.inserted, second.updated, second.unchanged) == (0, 0, 799)
    assert second.quarantined == 1
    assert files_of(lake) == before


def test_newer_row_replaces_the_older_of_its_key(lake: Lake) -> None:
    """A row that was revised replaces its predecessor, others stay."""
    lake.write("bars", bars(hours(3)), **HOURLY)
    report = lake.write("bars", bars(hours(2, start=START + HOUR), close=[109.0, 107.0]), **HOURLY)
    assert (report.inserted, report.updated, report.unchanged) == (0, 1, 1)
    assert read(lake, "bars", **HOURLY)["close"].to_pylist() == [105.0, 109.0, 107.0]


def test_a_value_that_becomes_known_is_an_update(lake: Lake) -> None:
    """Null and a number are different values."""
    lake.write("bars", bars(hours(1)), **HOURLY)
    assert lake.write("bars", bars(hours(1), trades=[5]), **HOURLY).updated == 1
    assert read(lake, "bars", **HOURLY)["trades"].to_pylist() == [5]


def test_keys_with_unknown_parts_merge(lake: Lake) -> None:
    """Sums over a bar have no price: a null equals a null in the key."""
    where = {**BTC, "timeframe": "events"}
    rows = orders((START, "long", None, None, 0, 5.0), (START, "short", None, None, 0, 6.0))
    lake.write("liquidations", rows, **where)
    assert lake.write("liquidations", rows, **where).unchanged == 2
    revised = orders((START, "long", None, None, 0, 7.0))
    assert lake.write("liquidations", revised, **where).updated == 1
    assert read(lake, "liquidations", **where)["notional"].to_pylist() == [7.0, 6.0]


def test_orders_that_differ_only_in_seq_are_kept_apart(lake: Lake) -> None:
    """Equal orders of one moment are told apart by seq."""
    where = {**BTC, "timeframe": "events"}
    rows = orders((START, "long", 9.0, 1.0, 0, 9.0), (START, "long", 9.0, 1.0, 1, 9.0))
    assert lake.write("liquidations", rows, **where).inserted == 2


def test_exact_repetitions_are_counted_not_quarantined(lake: Lake) -> None:
    """Vendors repeat rows; an exact repetition is dropped and counted."""
    report = lake.write("bars", bars([START, START], close=[105.0, 105.0]), **HOURLY)
    assert (report.rows, report.inserted, report.repeated, report.quarantined) == (2, 1, 1, 0)


def test_times_beyond_the_calendar_are_set_aside_once(lake: Lake) -> None:
    """A time so far off that Python has no date for it is set aside as any bad row is, once."""
    rows = bars([2**60])
    for _ in range(2):
        report = lake.write("bars", rows, **HOURLY)
        assert report.reasons == {"time is not between 2009 and 2100": 1}
    assert lake.quarantined_rows("bars")["ts"].cast(pa.int64()).to_pylist() == [2**60]


def test_conflicting_duplicates_keep_the_last_line(lake: Lake) -> None:
    """Of rows with one key and other values the last stays, the others are set aside."""
    rows = bars([START] * 3, close=[101.0, 102.0, 103.0], _line=[12, 11, 10])
    report = lake.write("bars", rows, **HOURLY)
    assert report.reasons == {"duplicate with other values": 2}
    assert read(lake, "bars", **HOURLY)["close"].to_pylist() == [101.0]
    assert lake.quarantined_rows("bars")["line"].to_pylist() == [10, 11]


NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"low": [120.0]}, "low above high"),
        ({"low": [-1.0]}, "price is not positive"),
        ({"close": [111.0]}, "open or close outside low to high"),
        ({"open": [NAN]}, "open is missing"),
        ({"close": [None]}, "close is missing"),
        ({"high": [float("inf")]}, "high is infinite"),
        ({"volume": [-1.0]}, "negative volume"),
        ({"ts": pa.array([None], TIMESTAMP)}, "ts is missing"),
        ({"ts": pa.array([START + 1], TIMESTAMP)}, "not on the 1h grid"),
        ({"ts": pa.array([0], TIMESTAMP)}, "time is not between 2009 and 2100"),
        ({"available_at": pa.array([START], TIMESTAMP)}, "available before the bar closed"),
        ({"available_at": pa.array([START - 1], TIMESTAMP)}, "available before it happened"),
        ({"_problem": ["volume is 'abc'"]}, "volume is 'abc'"),
    ],
)
def test_bad_bars_are_quarantined(lake: Lake, changes: dict[str, object], reason: str) -> None:
    """Each fault has its own reason, and a bad row never enters the lake."""
    report = lake.write("bars", bars([START], **changes), **HOURLY)  # type: ignore[arg-type]
    assert report.reasons == {reason: 1}
    assert (report.inserted, lake.series()) == (0, [])


@pytest.mark.parametrize(
    ("table", "columns", "reason"),
    [
        ("funding", {"rate": [0.2]}, "funding rate beyond 10 % an interval (is it in percent?)"),
        ("funding", {"rate": [0.01], "interval_hours": [0.0]}, "funding interval is not positive"),
        ("open_interest", {"oi_base": [NAN]}, "neither oi_base nor oi_quote"),
        ("open_interest", {"oi_base": [0.0]}, "open interest is not positive"),
        ("positioning", {"taker_buy_sell": [-1.0]}, "ratio is negative"),
        ("positioning", {"taker_buy_sell": [None]}, "no ratio given"),
    ],
)
def test_bad_observations_are_quarantined(
    lake: Lake, table: str, columns: dict[str, list[float]], reason: str
) -> None:
    """The checks of the other tables are applied as well."""
    at = pa.array([START], TIMESTAMP)
    typed = {name: pa.array(values, pa.float64()) for name, values in columns.items()}
    report = lake.write(table, pa.table({"ts": at, "available_at": at, **typed}), **BTC)
    assert report.reasons == {reason: 1}


def test_wrong_side_is_quarantined(lake: Lake) -> None:
    """An order's side where the position's is wanted is caught."""
    report = lake.write(
        "liquidations", orders((START, "SELL", 9.0, 1.0, 0, 9.0)), **BTC, timeframe="events"
    )
    assert report.reasons == {"side is neither long nor short": 1}


def test_quarantine_tells_where_a_row_came_from(lake: Lake) -> None:
    """Set-aside rows keep their values, with reason, source and line."""
    rows = bars(hours(2), low=[90.0, 500.0], _line=pa.array([2, 3], pa.int64()))
    lake.write("bars", rows, **HOURLY, source="feb.csv")
    [row] = lake.quarantined_rows("bars").to_pylist()
    assert (row["low"], row["line"], row["source"]) == (500.0, 3, "feb.csv")
    assert lake.quarantine().to_pylist() == [
        {"table": "bars", **HOURLY, "source": "feb.csv", "reason": "low above high", "rows": 1}
    ]


def test_empty_lake_has_an_empty_quarantine(lake: Lake) -> None:
    """Nothing stored is no error."""
    assert lake.quarantine().num_rows == 0
    assert lake.quarantined_rows("bars").num_rows == 0
    assert lake.series() == []


def test_quarantine_grows_with_other_faults_only(lake: Lake) -> None:
    """Another source's fault is another entry."""
    rows = bars([START], low=[500.0])
    for source in ("a.csv", "b.csv", "a.csv"):
        lake.write("bars", rows, **HOURLY, source=source)
    assert sorted(lake.quarantine()["source"].to_pylist()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("symbol", ["../../x", "'; drop table--", "", "a/b", "x" * 65, ".."])
def test_unsafe_names_are_refused_before_anything_is_written(lake: Lake, symbol: str) -> None:
    """A name that could leave the lake or end a query never reaches either."""
    with pytest.raises(InputError, match="symbol .* is not a valid name"):
        lake.write("bars", bars(hours(1)), venue="binance", symbol=symbol, timeframe="1h")
    assert not lake.root.exists()


@pytest.mark.parametrize(
    ("table", "timeframe", "words"),
    [
        ("bars", None, "kept by timeframe"),
        ("bars", "events", "not a count and a unit"),
        ("bars", "1 hour", "not a count and a unit"),
        ("candles", "1h", "there is no table 'candles'"),
    ],
)
def test_wrong_table_or_timeframe_is_one_clear_line(
    lake: Lake, table: str, timeframe: str | None, words: str
) -> None:
    """The message names what was given."""
    with pytest.raises(InputError, match=words):
        lake.write(table, bars(hours(1)), **BTC, timeframe=timeframe)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (bars([START], colour=["red"]), "no column colour"),
        (bars([START]).drop_columns(["close"]), "lack the column close"),
        (bars([START], close=["a hundred"]), "column close .* cannot be made double"),
    ],
)
def test_wrong_columns_are_one_clear_line(lake: Lake, rows: pa.Table, words: str) -> None:
    """A table of another shape is the caller's mistake, told by column."""
    with pytest.raises(InputError, match=words):
        lake.write("bars", rows, **HOURLY)


def test_weekly_bars_open_on_monday(lake: Lake) -> None:
    """Exchanges open weeks on Mondays, 1970 began on a Thursday."""
    week = 7 * DAY
    report = lake.write("bars", bars([START, START + 3 * DAY], step=week), **BTC, timeframe="1w")
    assert (report.inserted, report.reasons) == (1, {"not on the 1w grid": 1})


def test_series_lists_what_is_stored(lake: Lake) -> None:
    """Rows, first and last moment of every series, without reading the data."""
    lake.write("bars", bars(hours(900)), **HOURLY)
    lake.write("bars", bars([START], step=DAY), **BTC, timeframe="1d")
    at = pa.array([START], TIMESTAMP)
    funding = pa.table({"ts": at, "available_at": at, "rate": [0.0001]})
    lake.write("funding", funding, venue="okx", symbol="ETH-USDT-SWAP")
    one_hour = Series(table="bars", **HOURLY, rows=900, first_us=START, last_us=START + 899 * HOUR)
    assert [(s.table, s.symbol, s.timeframe) for s in lake.series()] == [
        ("bars", "BTCUSDT", "1d"),
        ("bars", "BTCUSDT", "1h"),
        ("funding", "ETH-USDT-SWAP", None),
    ]
    assert one_hour in lake.series("bars", venue="binance", symbol="BTCUSDT")
    assert lake.series("bars", symbol="ETHUSDT") == []


def test_events_and_sums_are_kept_apart(lake: Lake) -> None:
    """Single forced orders and sums over a bar never mix."""
    lake.write("liquidations", orders((START, "long", 9.0, 1.0, 0, 9.0)), **BTC, timeframe="events")
    summed = orders((START, "long", None, None, 0, 9.0))
    closed = pa.array([START + HOUR], TIMESTAMP)
    summed = summed.set_column(1, "available_at", closed)
    lake.write("liquidations", summed, **HOURLY)
    assert [s.timeframe for s in lake.series("liquidations")] == ["1h", "events"]


def test_report_is_for_the_series_it_wrote(lake: Lake) -> None:
    """The report names the series and adds up."""
    report = lake.write("bars", bars(hours(2)), **HOURLY)
    assert report == WriteReport(
        table="bars",
        **HOURLY,
        rows=2,
        inserted=2,
        updated=0,
        unchanged=0,
        repeated=0,
        quarantined=0,
        months={f"{lake.folder('bars', **HOURLY)}/year=2024/month=01.parquet": 2},
    )


def test_empty_input_writes_nothing(lake: Lake) -> None:
    """No rows are no error and no file."""
    assert lake.write("bars", bars([START]).slice(0, 0), **HOURLY).rows == 0
    assert lake.series() == []


def test_failed_rename_leaves_the_old_month(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails half-way changes nothing and leaves no debris."""
    lake.write("bars", bars(hours(3)), **HOURLY)
    before = files_of(lake)

    def refuse(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(LakeError, match="No space left"):
        lake.write("bars", bars(hours(5)), **HOURLY)
    assert files_of(lake) == before


def test_leftovers_of_a_killed_write_are_ignored_then_removed(lake: Lake) -> None:
    """Half a hidden file never shows in a query; the next writer of the series cleans up."""
    lake.write("bars", bars(hours(3)), **HOURLY)
    [path] = lake.root.rglob("month=*.parquet")
    leftover = path.with_name(".month=02.parquet.999.tmp")
    leftover.write_bytes(b"PAR1 half a file")
    assert read(lake, "bars", **HOURLY).num_rows == 3
    assert lake.series()[0].rows == 3
    lake.write("bars", bars(hours(3)), **HOURLY)
    assert not leftover.exists()


KILLED_IMPORT = textwrap.dedent(
    """
    import os, signal, sys
    import pyarrow.parquet as pq
    from pathlib import Path
    from liqtiers.datasets.lake import Lake

    root, rows, calls = Path(sys.argv[1]), pq.read_table(sys.argv[2]), int(sys.argv[3])
    real, count = os.fsync, 0

    def fsync(descriptor):
        global count
        count += 1
        if count == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    os.fsync = fsync
    Lake(root).write("bars", rows, venue="binance", symbol="BTCUSDT", timeframe="1h")
    """
)


@pytest.mark.parametrize(("calls", "replaced"), [(1, set()), (2, {1}), (3, {1}), (4, {1, 2})])
def test_killed_import_leaves_a_readable_lake(
    lake: Lake, tmp_path: Path, calls: int, replaced: set[int]
) -> None:
    """SIGKILL at any moment: every month is the old one or the new one, and a rerun completes."""
    opens = hours(60 * 24)
    lake.write("bars", bars(opens[:900]), **HOURLY)
    pq.write_table(bars(opens, close=[99.0] * len(opens)), tmp_path / "new.parquet")
    arguments = [str(lake.root), str(tmp_path / "new.parquet"), str(calls)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IMPORT, *arguments], cwd=tmp_path, check=False
    )
    assert killed.returncode == -signal.SIGKILL

    found = read(lake, "bars", **HOURLY)
    month = pc.month(found["ts"]).to_numpy()
    new = found["close"].to_numpy() == 99.0
    assert set(month[new]) == replaced
    assert all(new[month == which].all() for which in replaced)
    assert found.num_rows == (len(opens) if 2 in replaced else 900)
    lake.write("bars", pq.read_table(tmp_path / "new.parquet"), **HOURLY)
    assert set(read(lake, "bars", **HOURLY)["close"].to_pylist()) == {99.0}
    assert not list(lake.root.rglob("*.tmp"))


def test_two_writers_of_one_month_lose_nothing(lake: Lake) -> None:
    """The lock makes merges follow each other."""
    opens = hours(40)
    parts = [opens[i::4] for i in range(4)]
    threads = [
        threading.Thread(target=lake.write, args=("bars", bars(part)), kwargs=HOURLY)
        for part in parts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(lake, "bars", **HOURLY)["ts"].cast(pa.int64()).to_pylist() == opens


def test_damaged_file_is_named(lake: Lake) -> None:
    """A file that is not parquet gives one line with its name, not a traceback."""
    lake.write("bars", bars(hours(3)), **HOURLY)
    [path] = lake.root.rglob("month=*.parquet")
    path.write_bytes(b"no parquet at all")
    for action in (
        lake.series,
        lambda: lake.write("bars", bars(hours(4)), **HOURLY),
        lambda: read(lake, "bars", **HOURLY),
    ):
        with pytest.raises(LakeError, match=r"month=01\.parquet"):
            action()


def test_unwritable_lake_is_told(tmp_path: Path) -> None:
    """A lake that cannot be made is the lake's error, exit code 1."""
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(LakeError, match="cannot write the lake"):
        Lake(tmp_path / "lake").write("bars", bars(hours(1)), **HOURLY)


@settings(max_examples=15, deadline=None)
@given(
    order=st.permutations(range(12)),
    cuts=st.lists(st.integers(0, 12), max_size=3).map(sorted),
)
def test_any_order_of_imports_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: list[int]
) -> None:
    """Rows of different keys: the lake does not remember in which order they came."""
    root = tmp_path_factory.mktemp("lake")
    opens = np.array(hours(12))
    close = 91.0 + np.arange(12)
    shuffled = bars(opens[order].tolist(), close=close[order].tolist())
    whole, pieces = Lake(root / "whole"), Lake(root / "pieces")
    whole.write("bars", bars(opens.tolist(), close=close.tolist()), **HOURLY)
    for first, last in zip([0, *cuts], [*cuts, 12], strict=True):
        pieces.write("bars", shuffled.slice(first, last - first), **HOURLY)
    assert {k: v[0] for k, v in files_of(pieces).items()} == {
        k: v[0] for k, v in files_of(whole).items()
    }


@settings(max_examples=15, deadline=None)
@given(
    writes=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.integers(91, 109)), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_merging_is_a_dictionary_update(
    tmp_path_factory: pytest.TempPathFactory, writes: list[list[tuple[int, int]]]
) -> None:
    """Later rows win over earlier ones, within an input and between inputs."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    expected: dict[int, float] = {}
    for write in writes:
        opens = [START + hour * HOUR for hour, _ in write]
        closes = [float(close) for _, close in write]
        report = lake.write("bars", bars(opens, close=closes), **HOURLY)
        expected |= dict(zip(opens, closes, strict=True))
        counted = report.inserted + report.updated + report.unchanged
        assert counted + report.repeated + report.quarantined == report.rows
    found = read(lake, "bars", **HOURLY)
    stored = zip(found["ts"].cast(pa.int64()).to_pylist(), found["close"].to_pylist(), strict=True)
    assert dict(stored) == expected


def test_real_bars_are_idempotent(tmp_path: Path, real_data: Path) -> None:
    """A month of real one-minute bars goes in whole, and a second time changes nothing."""
    table = pq.read_table(real_data / "bars" / "BTCUSDT_um_1m.parquet")
    opens = table["date"].cast(TIMESTAMP)
    minute = pa.scalar(60_000_000, pa.duration("us"))
    rows = pa.table(
        {
            "ts": opens,
            "available_at": pc.add(opens, minute),
            **{name: table[name] for name in ("open", "high", "low", "close", "volume")},
        }
    )
    lake = Lake(tmp_path)
    report = lake.write("bars", rows, **BTC, timeframe="1m")
    before = files_of(lake)
    assert (report.inserted, report.quarantined) == (table.num_rows, 0)
    assert lake.write("bars", rows, **BTC, timeframe="1m").unchanged == table.num_rows
    assert files_of(lake) == before
