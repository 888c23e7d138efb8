"""`liqtiers data describe`: what is stored, in which units, what was set aside."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from liqtiers.datasets.lake import Lake
from liqtiers.datasets.schemas import TIMESTAMP
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build

HOUR = 3_600_000_000
START = 1_704_067_200_000_000  # 2024-01-01


def fill(workspace: Path, *, rate: float = 0.0001, source: str = "f.csv") -> None:
    """Store three settlements of funding, of which the second has the given rate."""
    at = pa.array([START + i * 8 * HOUR for i in range(3)], TIMESTAMP)
    rows = pa.table({"ts": at, "available_at": at, "rate": [0.0001, rate, 0.0001]})
    Lake(workspace / "lake").write(
        "funding", rows, venue="binance", symbol="BTCUSDT", source=source
    )


def describe(*options: str) -> int:
    return run(build(), ["data", "describe", *options], program="liqtiers")


def cells(text: str) -> list[list[str]]:
    """Cells of the lines of all tables shown."""
    lines = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_series_shows_names_rows_and_span(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each stored series is one line: names, rows, first and last time."""
    fill(workspace)
    assert describe() == 0
    assert cells(capsys.readouterr().out) == [
        ["funding", "binance", "BTCUSDT", "", "3", "2024-01-01 00:00", "2024-01-01 16:00"]
    ]


def test_columns_show_unit_and_whole_type(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--columns` adds each column's unit, type and meaning, of the stored tables only."""
    fill(workspace)
    assert describe("--columns") == 0
    shown = cells(capsys.readouterr().out)
    assert [
        "funding",
        "rate",
        "fraction per interval",
        "double",
        "paid by longs to shorts",
    ] in shown
    assert ["funding", "ts", "UTC", "timestamp[us, tz=UTC]", "when it happened"] in shown
    assert {row[0] for row in shown} == {"funding"}


def test_rows_set_aside_are_counted_with_their_reason(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quarantined row shows with its source, whatever the file's name, and its reason."""
    fill(workspace, rate=0.5, source="odd [bold] name.csv")
    assert describe() == 0
    told = capsys.readouterr().out
    assert "Rows set aside: 1" in told
    row = next(row for row in cells(told) if "odd [bold] name.csv" in row)
    assert row[:3] == ["funding", "binance", "BTCUSDT"]
    assert "beyond 10 %" in row[5]
    assert row[6] == "1"


def test_empty_lake_says_how_to_fill_it(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty workspace is no mistake: one line says what to do, and nothing is created."""
    assert describe() == 0
    assert "liqtiers data import" in capsys.readouterr().out
    assert list(workspace.iterdir()) == []


def test_broken_file_is_named(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not parquet is a failure that names it."""
    fill(workspace)
    path = next((workspace / "lake").glob("**/month=*.parquet"))
    path.write_bytes(b"nothing")
    assert describe() == 1
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert str(path) in told
