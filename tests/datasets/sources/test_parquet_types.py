"""Parquet columns of any type under known names: read, set aside, or refused in one line."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from source_files import BTC, START_MS, load, micro, parse_one, put, values

START = START_MS * 1000
DAY = 86_400_000_000


def funding(folder: Path, dates: pa.Array, rates: pa.Array) -> Path:
    path = folder / "funding.parquet"
    pq.write_table(pa.table({"date": dates, "rate": rates}), path)
    return path


@pytest.mark.parametrize(
    "dates",
    [
        pa.array([START, START + DAY], pa.timestamp("us")),
        pa.array([START, START + DAY], pa.timestamp("us", "Asia/Tokyo")),
        pa.array([START * 1000, (START + DAY) * 1000], pa.timestamp("ns", "UTC")),
        pa.array([START_MS, START_MS + DAY // 1000], pa.timestamp("ms")),
        pa.array([START_MS, START_MS + DAY // 1000]),
        pa.array([float(START), float(START + DAY)]),
        pa.array([dt.date(2024, 1, 1), dt.date(2024, 1, 2)]),
        pa.array(["2024-01-01", "2024-01-02T00:00Z"]),
        pa.array(["2024-01-01", "2024-01-02"]).dictionary_encode(),
    ],
    ids=lambda dates: str(dates.type),
)
def test_times_of_any_type(tmp_path: Path, dates: pa.Array) -> None:
    """A moment is the same whatever type a file keeps it in; without a zone it is UTC."""
    parsed = parse_one(funding(tmp_path, dates, pa.array([0.1, 0.2])), BTC)
    assert micro(parsed.rows, "ts") == [START, START + DAY]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (pa.array([decimal.Decimal("0.01"), None]), [0.01, None]),
        (pa.array(["0.01", None]), [0.01, None]),
        (pa.array([0.5, 0.25], pa.float16()), [0.5, 0.25]),
        (pa.array([1, 2**63], pa.uint64()), [1.0, 2.0**63]),
        (pa.array(["0.5", "0.5"]).dictionary_encode(), [0.5, 0.5]),
        (pa.array([[1], None]), [None, None]),
        (pa.array([{"a": 1}, None]), [None, None]),
        (pa.array([b"x", b"\xff"]), [None, None]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_numbers_of_any_type(tmp_path: Path, rates: pa.Array, expected: list[float | None]) -> None:
    """Numbers are read from any type that holds them; what is none is set aside, with its reason."""
    path = funding(tmp_path, pa.array([START, START + DAY], pa.timestamp("us")), rates)
    parsed = parse_one(path, BTC)
    assert values(parsed.rows, "rate") == expected
    good = sum(rate is not None and rate <= 0.1 for rate in expected)
    report = load(tmp_path, path, BTC)
    assert (report.inserted, report.quarantined) == (good, 2 - good)


def test_times_beyond_the_calendar_are_set_aside(tmp_path: Path) -> None:
    """A time that microseconds cannot hold does not wrap round into a valid one."""
    seconds = [START // 10**6, START // 10**6 + 86_400, 2**62, -(2**62)]
    path = put(tmp_path, "f.csv", "date,rate", *[f"{second},0.01" for second in seconds], "x,0.01")
    report = load(tmp_path, path, BTC)
    assert (report.inserted, report.quarantined) == (2, 3)
    # 2**61 milliseconds are a whole number of turns of 64 bits in microseconds.
    wide = pa.array([START_MS, START_MS + 2**61, -(2**62)], pa.timestamp("ms"))
    report = load(tmp_path, funding(tmp_path, wide, pa.array([0.01] * 3)), BTC)
    assert (report.unchanged, report.quarantined) == (1, 2)
