"""The catalog: other tools open the lake without us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.datasets.ladder import LADDER, LADDER_SCHEMA
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.query import read
from liqtiers.datasets.schemas import TABLES, TIMESTAMP

HOUR = 3_600_000_000
START = 1_704_067_200_000_000  # 2024-01-01


def write_bars(lake: Lake, *, symbol: str = "BTCUSDT", count: int = 800) -> None:
    opens = [START + i * HOUR for i in range(count)]
    rows = pa.table(
        {
            "ts": pa.array(opens, TIMESTAMP),
            "available_at": pa.array([at + HOUR for at in opens], TIMESTAMP),
            **{
                name: [100.0 + i for i in range(count)] for name in ("open", "high", "low", "close")
            },
            "volume": [1.0] * count,
        }
    )
    lake.write("bars", rows, venue="binance", symbol=symbol, timeframe="1h")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    write_bars(lake)
    return lake


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        found: list[tuple[object, ...]] = connection.execute(query).fetchall()
        return found


def test_every_table_is_a_view(lake: Lake) -> None:
    """The catalog shows all canonical tables, and the units."""
    names = {row[0] for row in ask(refresh_catalog(lake), "SHOW TABLES")}
    assert names == {*TABLES, LADDER, "units"}


@pytest.mark.parametrize("name", list(TABLES))
def test_tables_without_files_have_columns_and_no_rows(lake: Lake, name: str) -> None:
    """A query on what is not stored yet works and finds nothing."""
    path = refresh_catalog(Lake(lake.root / "nothing"))
    described = [(row[0], row[1]) for row in ask(path, f"DESCRIBE {name}")]
    assert [column for column, _ in described][-len(TABLES[name].schema) :] == TABLES[
        name
    ].schema.names
    assert ("ts", "TIMESTAMP WITH TIME ZONE") in described
    assert ask(path, f"SELECT count(*) FROM {name}") == [(0,)]


def test_a_view_has_the_same_types_empty_and_filled(lake: Lake) -> None:
    """A query written before the first import works after it."""
    filled = ask(refresh_catalog(lake), "DESCRIBE bars")
    empty = ask(refresh_catalog(Lake(lake.root / "nothing")), "DESCRIBE bars")
    assert [row[:2] for row in filled] == [row[:2] for row in empty]


def test_duckdb_sees_what_the_query_reads(lake: Lake) -> None:
    """The view and our own reading agree to the last row."""
    path = refresh_catalog(lake)
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = ", ".join(TABLES["bars"].schema.names)
        seen = connection.sql(f"SELECT {columns} FROM bars ORDER BY ts").to_arrow_table()
    own = read(lake, "bars", venue="binance", symbol="BTCUSDT", timeframe="1h")
    assert seen.cast(TABLES["bars"].schema).equals(own)


def test_pandas_reads_the_view(lake: Lake) -> None:
    """pandas users need no more than a connection."""
    path = refresh_catalog(lake)
    with duckdb.connect(str(path), read_only=True) as connection:
        # Not .df(): duckdb 2.0 calls what pandas 3.1 deprecates, and warnings are errors here.
        relation = connection.sql("SELECT * FROM bars WHERE symbol = 'BTCUSDT'")
        frame = relation.to_arrow_table().to_pandas()
    assert len(frame) == 800
    assert set(frame["timeframe"]) == {"1h"}


def test_polars_reads_the_view_and_the_files(lake: Lake) -> None:
    """polars users may take the view or the hive folders."""
    path = refresh_catalog(lake)
    with duckdb.connect(str(path), read_only=True) as connection:
        by_view = connection.sql("SELECT ts, close FROM bars ORDER BY ts").pl()
    by_files = (
        pl.scan_parquet(lake.root / "bars/**/month=*.parquet").select("ts", "close").sort("ts")
    ).collect()
    assert by_view["close"].to_list() == by_files["close"].to_list()


@pytest.mark.parametrize("symbol", ["0123", "1e5", "2024-01-01", "true", "1000SHIBUSDT"])
def test_names_stay_text(tmp_path: Path, symbol: str) -> None:
    """A symbol that looks like a number, a date or a truth value keeps every character."""
    lake = Lake(tmp_path)
    write_bars(lake, symbol=symbol, count=2)
    path = refresh_catalog(lake)
    assert ask(path, "SELECT DISTINCT symbol, venue, timeframe FROM bars") == [
        (symbol, "binance", "1h")
    ]


def test_units_come_with_the_data(lake: Lake) -> None:
    """Every column has its unit and description in the catalog."""
    path = refresh_catalog(lake)
    assert ask(
        path,
        "SELECT unit, description FROM units WHERE table_name = 'bars' AND column_name = 'volume'",
    ) == [("base", "traded quantity")]
    schemas = [*(table.schema for table in TABLES.values()), LADDER_SCHEMA]
    columns = sum(len(schema) for schema in schemas)
    assert ask(path, "SELECT count(*) FROM units WHERE unit <> ''") == [(columns,)]


def test_a_reader_is_never_blocked(lake: Lake) -> None:
    """A connection that is open while the catalog is refreshed goes on, and a new one sees more."""
    path = refresh_catalog(lake)
    reader = (
        "import sys, duckdb\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "count = 'SELECT count(*) FROM bars'\n"
        "print(connection.execute(count).fetchall()[0][0], flush=True)\n"
        "sys.stdin.readline()\n"
        "print(connection.execute(count).fetchall()[0][0], flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", reader, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "800\n"
        write_bars(lake, symbol="ETHUSDT", count=10)
        assert ask(refresh_catalog(lake), "SELECT count(*) FROM bars") == [(810,)]
        out, _ = process.communicate("go\n", timeout=60)
    assert (out, process.returncode) == ("810\n", 0)


def test_a_moved_lake_needs_a_refresh(lake: Lake, tmp_path: Path) -> None:
    """Views hold absolute paths; a refresh after moving puts them right."""
    refresh_catalog(lake)
    moved = Lake(lake.root.rename(tmp_path / "elsewhere"))
    assert ask(refresh_catalog(moved), "SELECT count(*) FROM bars") == [(800,)]


def test_a_relative_root_gives_absolute_views(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog may be opened from any folder."""
    monkeypatch.chdir(tmp_path)
    lake = Lake(Path("lake"))
    write_bars(lake, count=3)
    path = Path(refresh_catalog(lake)).resolve()
    monkeypatch.chdir(os.sep)
    assert ask(path, "SELECT count(*) FROM bars") == [(3,)]


@pytest.mark.parametrize("folder", ["it's", "a [b] *c", "year=x"])
def test_any_folder_name_will_do(tmp_path: Path, folder: str) -> None:
    """Quotes, patterns and equals signs in the lake's own path are nothing special."""
    lake = Lake(tmp_path / folder)
    write_bars(lake, count=3)
    path = refresh_catalog(lake)
    assert ask(path, "SELECT venue, count(*) FROM bars GROUP BY venue") == [("binance", 3)]


def test_a_folder_that_looks_like_a_partition_is_refused(tmp_path: Path) -> None:
    """DuckDB would read the venue from the lake's own path, and be wrong without a word."""
    lake = Lake(tmp_path / "venue=x")
    write_bars(lake, count=3)
    with pytest.raises(InputError, match="looks like a partition"):
        refresh_catalog(lake)


def test_leftovers_do_not_show(lake: Lake) -> None:
    """Neither half a parquet file nor half a catalog of a killed run is seen; the latter goes."""
    [path] = lake.root.rglob("month=01.parquet")
    path.with_name(".month=02.parquet.7.tmp").write_bytes(b"half")
    stale = lake.root / ".catalog.duckdb.999"
    stale.write_bytes(b"half")
    assert ask(refresh_catalog(lake), "SELECT count(*) FROM bars") == [(800,)]
    assert not stale.exists()


def test_quarantine_is_not_in_the_views(lake: Lake) -> None:
    """What was set aside is no data."""
    at = pa.array([START], TIMESTAMP)
    funding = pa.table({"ts": at, "available_at": at, "rate": [5.0]})
    lake.write("funding", funding, venue="binance", symbol="BTCUSDT")
    assert ask(refresh_catalog(lake), "SELECT count(*) FROM funding") == [(0,)]


def test_a_catalog_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """One line with the path."""
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(LakeError, match=r"cannot write the catalog .*catalog\.duckdb"):
        refresh_catalog(Lake(tmp_path / "lake"))


def test_real_data_is_the_same_in_duckdb_pandas_and_polars(tmp_path: Path, real_data: Path) -> None:
    """Three tools and the source file agree on real bars, value for value."""
    source = pq.read_table(real_data / "bars" / "BTCUSDT_um_1m.parquet").to_pandas()
    opens = source["date"].astype("datetime64[us, UTC]")
    columns = ["open", "high", "low", "close", "volume"]
    rows = source[columns].assign(ts=opens, available_at=opens + (opens[1] - opens[0]))
    lake = Lake(tmp_path)
    lake.write(
        "bars",
        pa.Table.from_pandas(rows, preserve_index=False),
        venue="binance",
        symbol="BTCUSDT",
        timeframe="1m",
    )
    with duckdb.connect(str(refresh_catalog(lake)), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = f"SELECT ts, {', '.join(columns)} FROM bars ORDER BY ts"
        frame = connection.sql(relation).to_arrow_table().to_pandas()
        polars = connection.sql(relation).pl()
    assert (frame["ts"] == opens).all()
    for name in columns:
        expected = source[name].to_list()
        assert frame[name].to_list() == expected
        assert polars[name].to_list() == expected
