"""A lake in a bucket, on an S3 server on loopback: the same rows, and what a folder's lock is for."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import s3fs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from liqtiers.datasets import _bucket_store, repair
from liqtiers.datasets.catalog import CATALOG_NAME, refresh_catalog
from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.query import read
from liqtiers.datasets.schemas import TIMESTAMP
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

HOUR = 3_600_000_000
START = 1_704_067_200_000_000  # 2024-01-01
BTC = {"venue": "binance", "symbol": "BTCUSDT"}
HOURLY = {**BTC, "timeframe": "1h"}
KEY = "AKIAPLANTEDKEY"
SECRET = "planted/secret"  # planted, to be searched for
ADDRESS = "s3://markets/lake"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Return the address of an S3 server of this machine."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3fs.S3FileSystem]:
    """Return the server's files as they are there, with an empty bucket ``markets``."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir("markets")
    yield files
    files.rm("markets", recursive=True)


@pytest.fixture
def lake(bucket: s3fs.S3FileSystem, tmp_path: Path) -> Lake:
    return Lake(ADDRESS, scratch=tmp_path / "scratch")


def bars(opens: list[int], close: float = 105.0) -> pa.Table:
    count = len(opens)
    return pa.table(
        {
            "ts": pa.array(opens, TIMESTAMP),
            "available_at": pa.array([at + HOUR for at in opens], TIMESTAMP),
            "open": [100.0] * count,
            "high": [110.0] * count,
            "low": [90.0] * count,
            "close": [close] * count,
            "volume": [7.0] * count,
        }
    )


def hours(first: int, stop: int) -> list[int]:
    return [START + k * HOUR for k in range(first, stop)]


def closes(lake: Lake, **span: int) -> list[float]:
    found: list[float] = read(lake, "bars", **HOURLY, **span)["close"].to_pylist()  # type: ignore[arg-type]  # mixed keywords
    return found


def objects(files: s3fs.S3FileSystem) -> dict[str, str]:
    found = files.find("markets", detail=True)
    return {name: f"{state['ETag']} {state['LastModified']}" for name, state in found.items()}


def test_rows_come_back_from_a_bucket(lake: Lake) -> None:
    """Months become objects, and a span reads as it does from a folder."""
    report = lake.write("bars", bars(hours(0, 1_000)), **HOURLY)
    assert (report.inserted, report.quarantined) == (1_000, 0)
    assert read(lake, "bars", **HOURLY).num_rows == 1_000
    assert len(closes(lake, start_us=START + 740 * HOUR, end_us=START + 750 * HOUR)) == 10
    [series] = lake.series()
    assert (series.rows, series.first_us, series.last_us) == (1_000, START, START + 999 * HOUR)


def test_importing_twice_changes_no_object(lake: Lake, bucket: s3fs.S3FileSystem) -> None:
    """The same rows again send nothing, among them those that were set aside."""
    rows = pa.concat_tables([bars(hours(0, 50)), bars(hours(50, 52), close=-1.0)])
    assert lake.write("bars", rows, **HOURLY, source="f").quarantined == 2
    before = objects(bucket)
    assert len(before) == 2
    assert lake.write("bars", rows, **HOURLY, source="f").unchanged == 50
    assert objects(bucket) == before
    assert lake.quarantine()["rows"].to_pylist() == [2]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    writes=st.lists(
        st.tuples(st.integers(0, 1_500), st.integers(1, 200), st.floats(91, 109)),
        min_size=1,
        max_size=4,
    )
)
def test_a_bucket_is_a_folder_to_what_is_stored(
    bucket: s3fs.S3FileSystem, tmp_path_factory: pytest.TempPathFactory, writes: list[Any]
) -> None:
    """Any writes leave the same rows and tell the same counts in a bucket and in a folder."""
    if bucket.find("markets"):
        bucket.rm("markets/lake", recursive=True)
    there = Lake(ADDRESS)
    here = Lake(tmp_path_factory.mktemp("lake"))
    for first, count, close in writes:
        rows = bars(hours(first, first + count), close)
        assert there.write("bars", rows, **HOURLY) == here.write("bars", rows, **HOURLY)
    assert read(there, "bars", **HOURLY).equals(read(here, "bars", **HOURLY))
    assert there.series() == here.series()


def interrupted(
    monkeypatch: pytest.MonkeyPatch, lake: Lake, other: Callable[[], object], *, times: int = 1
) -> list[int]:
    """Let something happen whenever the lake has read a month and not yet replaced it."""
    store, left = lake.store, [times]
    genuine = store.read

    def read_and_wait(name: str) -> Any:
        try:
            return genuine(name)
        finally:
            if left[0]:
                left[0] -= 1
                other()

    monkeypatch.setattr(store, "read", read_and_wait)
    return left


@pytest.mark.parametrize("begun", [False, True], ids=["a new month", "a month that was there"])
def test_the_later_of_two_writers_merges_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """A month that another writer replaced between reading and writing loses nothing."""
    if begun:
        lake.write("bars", bars(hours(0, 10)), **HOURLY)
    rival = Lake(ADDRESS)
    left = interrupted(
        monkeypatch, lake, lambda: rival.write("bars", bars(hours(20, 30), 95.0), **HOURLY)
    )
    report = lake.write("bars", bars(hours(25, 40)), **HOURLY)
    assert left == [0]
    assert (report.inserted, report.updated) == (10, 5)
    wanted = 10 * begun + 20
    assert len(closes(lake)) == wanted
    assert closes(lake).count(95.0) == 5


def test_a_month_that_never_stands_still_is_one_clear_line(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that always loses gives up after a while, and what is stored is the rival's."""
    monkeypatch.setattr("liqtiers.datasets.lake._MOST_TRIES", 3)
    rival, count = Lake(ADDRESS), iter(range(100))
    interrupted(
        monkeypatch,
        lake,
        lambda: rival.write("bars", bars([START], 91.0 + next(count)), **HOURLY),
        times=100,
    )
    with pytest.raises(LakeError, match=r"month=01\.parquet is being written to without a pause"):
        lake.write("bars", bars(hours(5, 6)), **HOURLY)
    assert closes(lake) == [93.0]


def test_a_month_that_is_replaced_while_it_is_read_is_read_whole(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that met two versions of a month is asked again."""
    lake.write("bars", bars(hours(0, 700), 95.0), **HOURLY)
    rival, place = Lake(ADDRESS), lake.store.place
    left = [1]

    def place_and_replace(name: str = "") -> str:
        found = place(name)
        if left[0]:
            left[0] -= 1
            rival.write("bars", bars(hours(0, 720), 96.0), **HOURLY)
        return found

    monkeypatch.setattr(lake.store, "place", place_and_replace)
    assert closes(lake) == [96.0] * 720
    assert left == [0]


def test_only_what_is_asked_for_is_fetched(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Months outside of the span are never asked for, and of a month not all columns."""
    for month in range(4):
        first = month * 31 * 24
        lake.write("bars", bars(hours(first, first + 600)), **HOURLY)
    files, fetched = lake.store._files, []  # type: ignore[attr-defined]  # what it asks the server
    genuine = files._call_s3

    async def noted(method: str, *arguments: Any, **given: Any) -> Any:
        fetched.append((method, given.get("Key", "")))
        return await genuine(method, *arguments, **given)

    monkeypatch.setattr(files, "_call_s3", noted)
    assert len(closes(lake, end_us=START + 10 * HOUR)) == 10
    asked = {key for method, key in fetched if method == "get_object"}
    assert {key.rsplit("/", 1)[1] for key in asked} == {"month=01.parquet"}


def test_the_catalog_is_there_for_other_tools(
    lake: Lake, bucket: s3fs.S3FileSystem, tmp_path: Path
) -> None:
    """The catalog is an object beside the tables, whose views read the bucket."""
    lake.write("bars", bars(hours(0, 800)), **HOURLY)
    assert refresh_catalog(lake) == f"{ADDRESS}/{CATALOG_NAME}"
    # To attach it where it is takes DuckDB's httpfs, which has to be downloaded.
    bucket.get_file(f"markets/lake/{CATALOG_NAME}", str(tmp_path / CATALOG_NAME))
    with duckdb.connect(str(tmp_path / CATALOG_NAME), read_only=True) as connection:
        connection.register_filesystem(bucket)
        found = connection.execute("SELECT symbol, timeframe, count(*) FROM bars GROUP BY ALL")
        assert found.fetchall() == [("BTCUSDT", "1h", 800)]


def test_damaged_object_is_named(lake: Lake, bucket: s3fs.S3FileSystem) -> None:
    """An object that is no parquet is one clear line, for a reader and for a writer."""
    lake.write("bars", bars(hours(0, 5)), **HOURLY)
    [name] = bucket.find("markets")
    bucket.pipe_file(name, b"damaged")
    words = r"s3://markets/lake/bars/.*month=01\.parquet is not readable parquet"
    for act in (lake.series, lambda: lake.write("bars", bars(hours(0, 2)), **HOURLY)):
        with pytest.raises(LakeError, match=words):
            act()


def test_repair_moves_no_file_that_another_writer_made(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month that was written to between its reading and its moving is looked at again."""
    lake.write("bars", bars(hours(0, 10)), **HOURLY)
    february = 31 * 24
    lake.write("bars", bars(hours(february, february + 5)), **HOURLY)
    [january, _] = lake.files("bars/venue=binance/symbol=BTCUSDT/timeframe=1h")
    strayed, version = lake.store.read(january.replace("month=01", "month=02"))
    lake.store.put(january, strayed, instead_of=lake.store.versions([january])[0])
    rival, left, place = Lake(ADDRESS), [1], repair._aside

    def aside_and_write(name: str) -> str:
        if left[0]:
            left[0] -= 1
            rival.write("bars", bars(hours(20, 30)), **HOURLY)
        return place(name)

    monkeypatch.setattr(repair, "_aside", aside_and_write)
    assert [found.kind for found in repair.repair_lake(lake)] == ["mended"]
    assert left == [0]
    assert len(closes(lake)) == 10 + 5
    assert version is not None


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("gs://markets/lake", "s3://bucket/lake"),
        ("s3://", "is no lake"),
        ("s3://key:secret@markets/lake", "must not hold a key"),
        ("s3://markets/*", "is no lake"),
        ("s3://markets//lake", "is no lake"),
        ("s3://markets/symbol=x", "is no lake"),
        ("s3:markets/lake", "is no lake"),
    ],
)
def test_wrong_addresses_are_refused(address: str, words: str) -> None:
    """What is neither a folder nor a bucket is one line that says what would be right."""
    with pytest.raises(InputError, match=words) as caught:
        Lake(address)
    assert "secret" not in str(caught.value).replace("AWS_SECRET_ACCESS_KEY", "")


def test_without_s3fs_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed the extra is told its name."""
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(InputError, match=r"pip install 'liqtiers\[s3\]'"):
        Lake(ADDRESS)


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_and_a_dead_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be reached is one line without a key, and is not tried for ever."""
    with pytest.raises(LakeError, match="cannot write the lake at s3://nowhere/lake"):
        Lake("s3://nowhere/lake").write("bars", bars(hours(0, 1)), **HOURLY)
    with pytest.raises(LakeError, match="the bucket nowhere is not there"):
        Lake("s3://nowhere/lake").series()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(_bucket_store, "_RETRIES", 1)
    with pytest.raises(LakeError, match="cannot reach the lake at s3://markets/lake") as caught:
        Lake(ADDRESS).series()
    assert KEY not in str(caught.value)


def test_commands_work_on_a_bucket(
    bucket: s3fs.S3FileSystem,
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Import, describe, check and map by LIQTIERS_LAKE; no key in anything that was written or said."""
    monkeypatch.setenv("LIQTIERS_LAKE", ADDRESS)
    opens = [START // 1_000 + k * 3_600_000 for k in range(400)]
    lines = [
        f"{at},{100 + k % 7},{110 + k % 7},{90},{104 + k % 5},50" for k, at in enumerate(opens)
    ]
    source = tmp_path / "bars.csv"
    source.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]))
    names = ["--venue", "binance", "--symbol", "BTCUSDT"]
    assert run(build(), ["data", "import", "auto", str(source), *names], program="liqtiers") == 0
    assert run(build(), ["data", "describe"], program="liqtiers") == 0
    assert run(build(), ["data", "check"], program="liqtiers") in (0, 3)
    wanted = ["map", *names, "--timeframe", "1h", "--at", "2024-01-10"]
    assert run(build(), wanted, program="liqtiers") == 0
    told = capsys.readouterr()
    assert ADDRESS in told.out
    assert {name.split("/")[2] for name in bucket.find("markets")} == {
        "bars",
        "catalog.duckdb",
        "liquidation_ladder",
    }
    panel = load_panel(Lake(ADDRESS), **HOURLY)
    assert len(panel) == 400
    assert list((workspace / "lake" / "map_cache").iterdir())
    written = [told.out.encode(), told.err.encode()]
    written += [p.read_bytes() for p in workspace.rglob("*") if p.is_file()]
    written += [bucket.cat_file(name) for name in bucket.find("markets")]
    for secret in (KEY, SECRET):
        assert os.environ["AWS_ACCESS_KEY_ID"] == KEY
        assert not [text for text in written if secret.encode() in text]
