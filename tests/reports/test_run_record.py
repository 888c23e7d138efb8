"""A run on disk: whole or absent, read back as written, refused with one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.reports import run_record
from liqtiers.reports.record_files import record_id
from liqtiers.reports.run_record import find_run, read_run
from made_up_runs import CREATED_AT

MakeRun = Callable[..., Path]


def test_run_is_read_back_as_it_was_written(make_run: MakeRun) -> None:
    """Record, tables and snapshots come back; unknown figures are null in the JSON."""
    folder = make_run(trades=0)
    record = read_run(folder)
    assert record.about["id"] == folder.name
    assert record.about["created_at"] == "2026-01-02T03:04:05+00:00"
    assert record.about["summary"]["hit_rate"] is None
    assert record.trades.num_rows == 0
    assert record.bars.num_rows == record.equity.num_rows == 1500
    assert record.snapshots.short_notional.shape == (300, 300)
    assert "NaN" not in (folder / "run.json").read_text()


def test_nothing_but_the_run_is_left_in_the_folder(make_run: MakeRun) -> None:
    """A run is written aside and renamed; no part of it stays behind."""
    folder = make_run()
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_failed_write_leaves_no_run(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fails half way, no run exists and the error says which."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_record.np, "savez_compressed", fail)
    with pytest.raises(LakeError, match="cannot write the run .*No space left"):
        make_run()
    assert list((tmp_path / "runs").iterdir()) == []


def test_id_sorts_by_time_and_differs_by_content() -> None:
    """Runs of one second are told apart; the same run has the same name."""
    first, other = record_id(CREATED_AT, {"a": 1}), record_id(CREATED_AT, {"a": 2})
    assert first.startswith("20260102-030405-")
    assert first != other
    assert record_id(CREATED_AT, {"a": 1}) == first


@pytest.mark.parametrize(
    "name", ["run.json", "trades.parquet", "equity.parquet", "bars.parquet", "heatmap.npz"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_damaged_run_is_refused_by_name(make_run: MakeRun, name: str, damage: str) -> None:
    """A file that is missing, empty or cut off gives one line that names the run."""
    folder = make_run()
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(InputError, match=f"{folder.name}.* is not a whole run"):
        read_run(folder)


@pytest.mark.parametrize("text", ['{"schema": 99}', "[]", "{}"])
def test_run_of_another_version_says_so(make_run: MakeRun, text: str) -> None:
    """The schema is checked before anything else is read."""
    folder = make_run()
    (folder / "run.json").write_text(text)
    (folder / "trades.parquet").unlink()
    with pytest.raises(InputError, match="is of schema .*, this version reads 1"):
        read_run(folder)


def test_missing_column_is_named(make_run: MakeRun) -> None:
    """A table without a column that the report shows is refused with its name."""
    folder = make_run()
    path = folder / "trades.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["net_pnl"]), path)
    with pytest.raises(InputError, match="trades.parquet lacks the columns net_pnl"):
        read_run(folder)


def test_equity_of_other_bars_is_refused(make_run: MakeRun) -> None:
    """Equity and bars must have the same rows, else the chart would lie."""
    folder = make_run()
    path = folder / "equity.parquet"
    pq.write_table(pq.read_table(path).slice(0, 10), path)
    with pytest.raises(InputError, match="1500 bars and 10 rows of equity"):
        read_run(folder)


def test_bars_hold_the_window_that_was_traded(make_run: MakeRun) -> None:
    """The imbalance that is shown is the one of the primary window, finite or unknown."""
    bars = read_run(make_run()).bars
    values = bars["imbalance"].to_numpy()
    assert np.isfinite(values).mean() > 0.9
    assert bars["ts"].type == pa.timestamp("us", tz="UTC")


def test_run_is_found_by_id_path_and_latest(make_run: MakeRun) -> None:
    """A run may be named by its id, its folder, or as the newest; a stray folder is no run."""
    older = make_run(seed=1)
    workspace = older.parent.parent
    newer = older.with_name("20990101-000000-ffffff")
    newer.mkdir()
    (newer / "run.json").write_text(json.dumps({"schema": 1}))
    (older.parent / "zzz-notes").mkdir()
    assert find_run(workspace, "latest") == newer
    assert find_run(workspace, older.name) == older
    assert find_run(workspace, str(older)) == older


@pytest.mark.parametrize("name", ["latest", "20200101-000000-abcdef", "../../etc"])
def test_unknown_run_is_an_error_that_names_what_there_is(tmp_path: Path, name: str) -> None:
    """Where there is no such run, the message says which are the newest, or that there is none."""
    with pytest.raises(InputError, match="there is no run .*the newest are: none"):
        find_run(tmp_path, name)
