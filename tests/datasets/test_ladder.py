"""The ladder as a table: it says exactly what the features say, in the lake and in DuckDB."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import random_panel
from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.ladder import LADDER_SCHEMA, keep_ladder, ladder_table
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.map_features import MapFeatures, TierLadder
from liqtiers.datasets.panel import Panel

INSTRUMENT = instrument_for("generic", "COIN")
NAMES = ("lower", "upper", "peak", "notional", "fuel")


def as_of(table: pa.Table, panel: Panel, side: str, rank: int) -> np.ndarray:
    """Rebuild one tier's columns bar by bar from the rows, in plain Python; shape (n, 5)."""
    rows = [r for r in table.to_pylist() if (r["side"], r["rank"]) == (side, rank)]
    out = np.full((len(panel), 5), np.nan, np.float32)
    standing, position = [np.nan] * 5, 0
    for bar, close in enumerate(panel.close_ts):
        while position < len(rows) and rows[position]["available_at"].timestamp() * 1e6 <= close:
            standing = [np.nan if rows[position][n] is None else rows[position][n] for n in NAMES]
            position += 1
        out[bar] = standing
    return out


def columns(ladder: TierLadder, rank: int) -> np.ndarray:
    found = np.stack([getattr(ladder, name)[:, rank] for name in NAMES], axis=1)
    return np.where(np.isnan(found[:, :1]), np.float32(np.nan), found)


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), tolerance=st.sampled_from([0.0, 0.05]))
def test_the_table_rebuilds_the_ladder(seed: int, tolerance: float) -> None:
    """Without a tolerance exactly; with one, edges exactly and notional and fuel within it."""
    panel = random_panel(150, seed=seed)
    features = build_map(panel, INSTRUMENT).features
    table = ladder_table(panel, features, tolerance=tolerance)
    assert table.schema.equals(LADDER_SCHEMA, check_metadata=True)
    for side, ladder in (("short", features.above), ("long", features.below)):
        for rank in range(ladder.lower.shape[1]):
            rebuilt, true = as_of(table, panel, side, rank), columns(ladder, rank)
            assert np.array_equal(rebuilt[:, :3], true[:, :3], equal_nan=True)
            assert rebuilt == pytest.approx(true, rel=max(tolerance * 1.06, 0.0), nan_ok=True)


def test_rows_only_where_something_changed() -> None:
    """A ladder that stands still makes one row a tier; one that vanishes ends with nulls."""
    panel = random_panel(6, seed=1)
    still = {
        name: np.full((6, 1), value, np.float32)
        for name, value in zip(NAMES, (90, 91, 90.5, 5, 1), strict=True)
    }
    gone = {name: values.copy() for name, values in still.items()}
    for values in gone.values():
        values[4:] = np.nan
    features = build_map(panel, INSTRUMENT).features
    from dataclasses import replace

    made: MapFeatures = replace(features, above=TierLadder(**still), below=TierLadder(**gone))
    rows = ladder_table(panel, made).to_pylist()
    assert [(r["side"], r["lower"]) for r in rows] == [
        ("long", 90.0),
        ("short", 90.0),
        ("long", None),
    ]
    assert rows[2]["ts"].timestamp() * 1e6 == panel.ts[4]


def test_the_future_changes_no_row() -> None:
    """Truncation: the rows up to the cut are those of the whole history."""
    panel = random_panel(300, seed=3)
    full = ladder_table(panel, build_map(panel, INSTRUMENT).features)
    cut = panel.slice(0, 180)
    short = ladder_table(cut, build_map(cut, INSTRUMENT).features)
    until = pa.scalar(int(cut.ts[-1]), pa.timestamp("us", tz="UTC"))
    assert full.filter(pa.compute.less_equal(full["ts"], until)).equals(short)


def test_duckdb_reads_the_ladder_at_a_moment(tmp_path: Path) -> None:
    """The documented query over the catalog gives the features' ladder."""
    lake = Lake(tmp_path / "lake")
    panel = random_panel(200, seed=2)
    features = build_map(panel, INSTRUMENT).features
    keep_ladder(lake, panel, features, name="abc", tolerance=0.0)
    [file] = lake.root.glob("liquidation_ladder/**/map=abc/*.parquet")
    written = file.stat().st_mtime_ns
    keep_ladder(lake, panel, features, name="abc")
    assert file.stat().st_mtime_ns == written
    refresh_catalog(lake)
    bar = 150
    with duckdb.connect(str(lake.root / "catalog.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            "SELECT side, rank, last(tier ORDER BY ts) AS tier FROM (SELECT *, "
            "{'lower': lower, 'upper': upper, 'notional': notional} AS tier FROM liquidation_ladder) "
            "WHERE symbol = ? AND map = 'abc' AND available_at <= make_timestamptz(?) "
            "GROUP BY side, rank ORDER BY side, rank",
            [panel.symbol, int(panel.close_ts[bar])],
        ).fetchall()
        units = connection.execute(
            "SELECT unit FROM units WHERE table_name = 'liquidation_ladder' AND column_name = 'fuel'"
        ).fetchall()
    assert units == [("hours",)]
    assert len(found) > 2
    for side, rank, tier in found:
        ladder = features.above if side == "short" else features.below
        for name, value in tier.items():
            true = float(getattr(ladder, name)[bar, rank])
            assert (value is None and np.isnan(true)) or value == true


def test_an_empty_lake_has_the_view_too(tmp_path: Path) -> None:
    """Queries work before there is a ladder."""
    lake = Lake(tmp_path / "lake")
    refresh_catalog(lake)
    with duckdb.connect(str(lake.root / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM liquidation_ladder").fetchall() == [(0,)]


def test_a_name_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    """The map's name becomes a path."""
    panel = random_panel(20, seed=2)
    features = build_map(panel, INSTRUMENT).features
    with pytest.raises(InputError, match="map"):
        keep_ladder(Lake(tmp_path), panel, features, name="../out")
