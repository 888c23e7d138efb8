"""A lake that was damaged: nothing is thrown away, nothing made up, and it reads again."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liqtiers.datasets import lake as lake_module
from liqtiers.datasets import repair
from liqtiers.datasets._atomic import read_parquet, write_parquet
from liqtiers.datasets._store import STAMP, schema_version
from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.datasets.lake import QUARANTINE, Lake, stamped
from liqtiers.datasets.query import read
from liqtiers.datasets.repair import DAMAGED, Repair, repair_lake
from liqtiers.datasets.schemas import SCHEMA_VERSION, TIMESTAMP
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build

HOUR = 3_600_000_000
START = 1_704_067_200_000_000  # 2024-01-01
BTC = {"venue": "binance", "symbol": "BTCUSDT"}
HOURLY = {**BTC, "timeframe": "1h"}
MONTH = 31 * 24


def bars(first: int, stop: int, close: float = 105.0) -> pa.Table:
    opens = [START + k * HOUR for k in range(first, stop)]
    return pa.table(
        {
            "ts": pa.array(opens, TIMESTAMP),
            "available_at": pa.array([at + HOUR for at in opens], TIMESTAMP),
            "open": [100.0] * len(opens),
            "high": [110.0] * len(opens),
            "low": [90.0] * len(opens),
            "close": [close] * len(opens),
            "volume": [float(k) for k in range(first, stop)],
        }
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake with two months of hourly bars."""
    lake = Lake(tmp_path / "lake")
    lake.write("bars", bars(0, MONTH + 100), **HOURLY)
    return lake


def months(lake: Lake) -> list[Path]:
    return sorted(lake.root.glob("bars/**/month=*.parquet"))


def everything(lake: Lake) -> dict[str, bytes]:
    paths = [p for p in lake.root.rglob("*") if p.is_file() and p.name != ".lock"]
    return {str(p.relative_to(lake.root)): p.read_bytes() for p in paths}


def mended(lake: Lake) -> list[Repair]:
    return list(repair_lake(lake))


def rewrite(path: Path, rows: pa.Table) -> None:
    """Put rows in place of a month's, stamped as ours are unless they are."""
    if STAMP not in (rows.schema.metadata or {}):
        rows = stamped(rows)
    with path.open("wb") as file:
        write_parquet(rows, file)


def test_a_whole_lake_is_left_as_it_is(lake: Lake) -> None:
    """Where nothing is wrong, no file is touched."""
    lake.write("bars", bars(0, 1, close=-1.0), **HOURLY, source="f")
    before = everything(lake)
    assert mended(lake) == []
    assert everything(lake) == before


def test_a_damaged_month_is_set_aside_and_comes_back(lake: Lake) -> None:
    """The rest reads again, the file is kept as it is, and an import brings its rows back."""
    whole = read(lake, "bars", **HOURLY)
    first, _ = months(lake)
    half = first.read_bytes()[:-500]
    first.write_bytes(half)
    with pytest.raises(LakeError, match="`liqtiers data repair` sets it aside"):
        lake.series()
    [found] = mended(lake)
    assert (found.kind, lake.root / found.name) == ("damaged", first)
    assert read(lake, "bars", **HOURLY).num_rows == 100
    [kept] = (lake.root / DAMAGED).rglob("month=01.parquet.*")
    assert kept.read_bytes() == half
    assert mended(lake) == []
    assert lake.write("bars", bars(0, MONTH), **HOURLY).inserted == MONTH
    assert read(lake, "bars", **HOURLY).equals(whole)


def test_a_second_damaged_file_of_a_name_does_not_replace_the_first(lake: Lake) -> None:
    """What was set aside before stays beside what is set aside now."""
    for text in (b"one", b"another"):
        lake.write("bars", bars(0, MONTH), **HOURLY)
        months(lake)[0].write_bytes(text)
        assert [found.kind for found in mended(lake)] == ["damaged"]
    kept = {p.read_bytes() for p in (lake.root / DAMAGED).rglob("month=01.parquet.*")}
    assert kept == {b"one", b"another"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_seen_or_means_nothing(lake: Lake, where: float, bit: int) -> None:
    """A month of which any single bit was flipped is found, or else reads as before, in part too."""
    path = months(lake)[0]
    whole, known, content = read(lake, "bars", **HOURLY), lake.series(), path.read_bytes()
    span = {"start_us": START + 100 * HOUR, "end_us": START + 200 * HOUR}
    part = read(lake, "bars", **HOURLY, **span)
    changed = bytearray(content)
    changed[int(where * len(content))] ^= 1 << bit
    path.write_bytes(bytes(changed))
    try:
        if not list(repair_lake(lake, dry_run=True)):
            assert Lake(lake.root).series() == known
            assert read(lake, "bars", **HOURLY).equals(whole)
            assert read(lake, "bars", **HOURLY, **span).equals(part)
    except LakeError as error:
        assert "newer liqtiers" in str(error)  # the version itself was hit
    finally:
        path.write_bytes(content)


def test_rows_are_sorted_home_or_aside_or_once(lake: Lake) -> None:
    """Doubled, shuffled, strayed and impossible rows of a month: each where it belongs, none lost."""
    whole = read(lake, "bars", **HOURLY)
    first, second = months(lake)
    january, february = read_parquet(first), read_parquet(second)
    order = list(range(january.num_rows))
    random.Random(3).shuffle(order)
    bad = january.slice(5, 1)
    bad = bad.set_column(
        bad.schema.get_field_index("low"), bad.schema.field("low"), pa.array([999.0])
    )
    strayed = february.slice(50, 10)
    rewrite(first, pa.concat_tables([bad, january.take(order), january.slice(7, 3), strayed]))
    rewrite(second, pa.concat_tables([february.slice(0, 50), february.slice(60)]))
    told = " | ".join(found.words for found in mended(lake))
    assert "3 rows were there twice" in told
    assert "1 rows set aside: low above high" in told
    assert "10 rows were in a month that is not their own: moved" in told
    assert read(lake, "bars", **HOURLY).equals(whole)
    assert read_parquet(first).equals(january)
    assert lake.quarantined_rows("bars")["low"].to_pylist() == [999.0]
    assert mended(lake) == []


def test_a_stale_copy_replaces_nothing(lake: Lake) -> None:
    """A strayed row whose key has other values at home is set aside, and what is at home stays."""
    whole = read(lake, "bars", **HOURLY)
    first, second = months(lake)
    stale = read_parquet(first)
    place = stale.schema.get_field_index("volume")
    other = pa.array([1e6] * stale.num_rows)
    stale = stale.set_column(place, stale.schema.field(place), other)
    rewrite(second, pa.concat_tables([stale, read_parquet(second)]))
    [found] = mended(lake)
    assert (
        "744 rows set aside: in a month not its own, where its key has other values" in found.words
    )
    assert read(lake, "bars", **HOURLY).equals(whole)
    assert lake.quarantined_rows("bars")["volume"].to_pylist() == [1e6] * MONTH
    assert mended(lake) == []


@pytest.mark.parametrize(
    "name",
    [
        "year=2024/month=01 (1).parquet",
        "year=2024/month=13.parquet",
        "year=24/month=01.parquet",
        "../timeframe=hourly/year=2024/month=01.parquet",
        "year=2024/backup/month=01.parquet",
    ],
)
def test_a_file_of_another_name_is_no_part_of_the_lake(lake: Lake, name: str) -> None:
    """It is told and left alone by repair, and not read."""
    whole, stored = read(lake, "bars", **HOURLY), lake.series()
    first = months(lake)[0]
    stranger = first.parents[1] / name
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.write_bytes(first.read_bytes())
    [found] = mended(lake)
    assert found.kind == "foreign"
    assert read(lake, "bars", **HOURLY).equals(whole)
    assert lake.series() == stored
    with duckdb.connect(refresh_catalog(lake), read_only=True) as connection:
        seen = connection.execute("SELECT count(*) FROM bars").fetchall()
    # DuckDB's own patterns cannot tell a timeframe, nor the 13th month.
    assert (seen == [(whole.num_rows,)]) is not ("month=13" in name or "hourly" in name)


def test_columns_of_other_types_are_brought_back(lake: Lake) -> None:
    """Another program's whole numbers, nanoseconds, order of columns: the table's again, rows unchanged."""
    whole, before = read(lake, "bars", **HOURLY), everything(lake)
    first, second = months(lake)
    rows = read_parquet(first)
    odd = rows.drop_columns(["trades"]).set_column(
        0, "ts", rows["ts"].cast(pa.timestamp("ns", tz="UTC"))
    )
    rewrite(first, odd.select(odd.column_names[::-1]))
    lacking = read_parquet(second)
    place = lacking.schema.get_field_index("close")
    gone = pa.array([float("nan"), *lacking["close"].to_pylist()[1:]])
    rewrite(second, lacking.set_column(place, lacking.schema.field(place), gone))
    told = [found.words for found in mended(lake)]
    assert told == [
        "its columns were not in the table's order, types and number",
        "1 rows set aside: close is missing",
    ]
    assert (
        everything(lake)[str(first.relative_to(lake.root))]
        == before[str(first.relative_to(lake.root))]
    )
    assert read(lake, "bars", **HOURLY).equals(
        whole.filter(pc.not_equal(whole["ts"], lacking["ts"][0]))
    )
    assert mended(lake) == []


def test_a_month_without_rows_is_set_aside(lake: Lake) -> None:
    """It would make a series begin in 1970."""
    first = months(lake)[0]
    rewrite(first, read_parquet(first).slice(0, 0))
    assert lake.series()[0].rows == 100
    [found] = mended(lake)
    assert "holds no row" in found.words
    assert len(months(lake)) == 1


def test_what_is_not_ours_is_left_alone(lake: Lake) -> None:
    """Hidden files of the user's, in the lake's folder, are no leftovers."""
    (lake.root / ".notes.tmp").write_text("mine")
    (lake.root / "scratch").mkdir()
    (lake.root / "scratch" / ".draft.parquet.1.tmp").write_text("mine")
    assert mended(lake) == []
    assert len(list(lake.root.rglob(".*.tmp"))) == 2


def test_there_must_be_a_lake(tmp_path: Path) -> None:
    """A mistyped name is no whole lake, and no folder is made for it."""
    with pytest.raises(InputError, match="there is no lake"):
        list(repair_lake(Lake(tmp_path / "typo")))
    assert not (tmp_path / "typo").exists()


def test_a_month_of_strangers_leaves_no_empty_file(lake: Lake) -> None:
    """A file all of whose rows belong to other months is gone from the lake, and kept aside."""
    whole = read(lake, "bars", **HOURLY)
    first, _ = months(lake)
    stranger = first.with_name("month=07.parquet")
    rewrite(stranger, read_parquet(first))
    [found] = mended(lake)
    assert "moved" in found.words
    assert not stranger.exists()
    assert read(lake, "bars", **HOURLY).equals(whole)
    assert len(lake.series()) == 1


def test_other_schemas_and_strange_files(lake: Lake) -> None:
    """A parquet file of other columns is set aside; one that is no month is named and left alone."""
    rewrite(months(lake)[0], pa.table({"a": [1]}))
    stranger = lake.root / "bars" / "mine.parquet"
    rewrite(stranger, pa.table({"a": [1]}))
    found = {repair.kind: repair.name for repair in mended(lake)}
    assert found["foreign"] == "bars/mine.parquet"
    assert found["damaged"].endswith("month=01.parquet")
    assert stranger.exists()
    assert read(lake, "bars", **HOURLY).num_rows == 100


def test_damaged_quarantine_and_leftovers(lake: Lake) -> None:
    """What was set aside is read, too; unfinished files of killed writers go."""
    lake.write("bars", bars(0, 1, close=-1.0), **HOURLY, source="f")
    [aside] = (lake.root / QUARANTINE).rglob("*.parquet")
    aside.write_bytes(b"damaged")
    (months(lake)[0].parent / ".month=02.parquet.999.tmp").write_bytes(b"half")
    assert sorted(found.kind for found in mended(lake)) == ["aside", "leftovers"]
    assert lake.quarantine().num_rows == 0
    assert not list(lake.root.rglob("*.tmp"))


def test_a_spoilt_footer_is_made_anew(lake: Lake) -> None:
    """A footer has no checksum; the rows, which have, say what must stand in it."""
    path, before = months(lake)[0], everything(lake)
    content = path.read_bytes()
    metadata = pq.read_metadata(path).metadata[b"ARROW:schema"]
    units = base64.b64decode(metadata).replace(b"quote per base", b"quote per bose")
    assert content.count(metadata) == 1
    path.write_bytes(content.replace(metadata, base64.b64encode(units)))
    assert path.read_bytes() != content
    [found] = mended(lake)
    assert "made anew from the rows" in found.words
    assert everything(lake) == before


def test_a_lake_without_checksums_is_given_them(lake: Lake) -> None:
    """Files of the first liqtiers are read as they are, and rewritten once, by `data repair`."""
    whole = read(lake, "bars", **HOURLY)
    for path in months(lake):
        pq.write_table(read_parquet(path).replace_schema_metadata(None), path, compression="zstd")
    assert read(Lake(lake.root), "bars", **HOURLY).equals(whole)
    assert {found.words for found in mended(lake)} == {
        "given checksums, which it was written without"
    }
    assert mended(lake) == []
    assert read(lake, "bars", **HOURLY).equals(whole)


def test_a_dry_run_changes_nothing(lake: Lake) -> None:
    """It says what would be done."""
    first, second = months(lake)
    first.write_bytes(b"damaged")
    rewrite(second, read_parquet(second).take([3, 2, 1]))
    before = everything(lake)
    assert [found.kind for found in repair_lake(lake, dry_run=True)] == ["damaged", "mended"]
    assert everything(lake) == before


@pytest.fixture
def third_schema(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Return the lake as it is to a liqtiers two versions on: closes doubled, then 1 added."""

    def moved(factor: float, summand: float, rows: pa.Table) -> pa.Table:
        place = rows.schema.get_field_index("close")
        values = [value * factor + summand for value in rows["close"].to_pylist()]
        return rows.set_column(place, rows.schema.field(place), pa.array(values))

    def double(table: str, rows: pa.Table) -> pa.Table:
        return moved(0.5, 40.0, rows) if table == "bars" else rows

    def add(table: str, rows: pa.Table) -> pa.Table:
        return moved(1.0, 1.0, rows) if table == "bars" else rows

    monkeypatch.setattr(repair, "MIGRATIONS", {SCHEMA_VERSION: double, SCHEMA_VERSION + 1: add})
    for module in (repair, lake_module):
        monkeypatch.setattr(module, "SCHEMA_VERSION", SCHEMA_VERSION + 2)
    return lake


def test_an_older_lake_is_refused_then_brought_up_to_date(third_schema: Lake) -> None:
    """Neither read nor written before `data repair`; each migration is applied once and in order."""
    lake = third_schema
    words = r"is of schema 1, which is older than 3: `liqtiers data repair` brings it up to date"
    for act in (
        lake.series,
        lambda: read(lake, "bars", **HOURLY),
        lambda: lake.write("bars", bars(0, 5), **HOURLY),
    ):
        with pytest.raises(LakeError, match=words):
            act()
    assert [found.kind for found in mended(lake)] == ["migrated", "migrated"]
    assert set(read(lake, "bars", **HOURLY)["close"].to_pylist()) == {105.0 * 0.5 + 40.0 + 1.0}
    assert {schema_version(pq.read_schema(p).metadata) for p in months(lake)} == {3}
    assert mended(lake) == []


def test_a_killed_migration_is_gone_on_with(
    third_schema: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was brought up to date before the kill is not brought so again."""
    lake, genuine = third_schema, third_schema.store.put

    def killed(name: str, rows: pa.Table, *, instead_of: object) -> None:
        if name.endswith("month=02.parquet"):
            raise KeyboardInterrupt
        genuine(name, rows, instead_of=instead_of)

    with monkeypatch.context() as patch:
        patch.setattr(lake.store, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            mended(lake)
    assert [found.name[-16:] for found in mended(lake)] == ["month=02.parquet"]
    assert set(read(lake, "bars", **HOURLY)["close"].to_pylist()) == {93.5}


def test_a_file_of_a_newer_liqtiers_is_refused(lake: Lake) -> None:
    """Nobody reads, writes or repairs what a newer version wrote."""
    [path, _] = months(lake)
    rows = read_parquet(path)
    rewrite(path, rows.replace_schema_metadata({STAMP: str(SCHEMA_VERSION + 1).encode()}))
    before = everything(lake)
    words = r"month=01\.parquet was written by a newer liqtiers \(schema 2, this one knows 1\)"
    for act in (lake.series, lambda: mended(lake), lambda: lake.write("bars", rows, **HOURLY)):
        with pytest.raises(LakeError, match=words):
            act()
    assert everything(lake) == before


def test_the_command_says_what_it_did(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 where rows are missing now, 0 where nothing is wrong any more."""
    lake = Lake(workspace / "lake")
    lake.write("bars", bars(0, MONTH + 100), **HOURLY)
    months(lake)[0].write_bytes(b"damaged")
    assert run(build(), ["data", "check"], program="liqtiers") == 1
    assert "`liqtiers data repair` sets it aside" in capsys.readouterr().err
    assert run(build(), ["data", "repair", "--dry-run"], program="liqtiers") == 3
    assert "1 files would be set aside" in capsys.readouterr().out
    assert run(build(), ["data", "repair"], program="liqtiers") == 3
    told = capsys.readouterr().out
    assert f"damaged: {months(lake)[0].with_name('month=01.parquet')}" in told
    assert "is missing from the lake: import it again" in told
    assert run(build(), ["data", "repair"], program="liqtiers") == 0
    assert "is whole" in capsys.readouterr().out
