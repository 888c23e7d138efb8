"""The order book at moments of the past: the newest one known, and none that came later."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liqtiers.datasets.lake import Lake
from liqtiers.datasets.order_book import PATIENCE_US, book_series
from liqtiers.datasets.schemas import TIMESTAMP

START = 1_704_067_200_000_000  # 2024-01-01
SECOND = 1_000_000
BTC = {"venue": "binance", "symbol": "BTCUSDT"}
Levels = list[tuple[str, float, float]]


def write_books(lake: Lake, books: dict[int, Levels]) -> None:
    """Write snapshots, by their time in seconds: side, distance, notional."""
    rows = [(START + at * SECOND, *level) for at, levels in books.items() for level in levels]
    ts, side, distance, notional = zip(*rows, strict=True)
    moments = pa.array(ts, TIMESTAMP)
    columns = {"side": side, "distance": distance, "notional": notional}
    lake.write("depth", pa.table({"ts": moments, "available_at": moments, **columns}), **BTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_the_newest_known_book_is_taken_whole(lake: Lake) -> None:
    """Both sides by distance; distances within which nothing more rests are left out."""
    later: Levels = [("bid", 0.01, 5.0), ("bid", 0.02, 5.0), ("bid", 0.05, 8.0), ("ask", 0.01, 7.0)]
    write_books(lake, {0: [("ask", 0.01, 1.0)], 30: later, 60: [("ask", 0.01, 9.0)]})
    series = book_series(lake, **BTC)
    assert series is not None
    moment = START + 59 * SECOND
    book = series.at([moment])[moment]
    assert book.ts_us == START + 30 * SECOND
    assert book.asks == ((0.01, 7.0),)
    assert book.bids == ((0.01, 5.0), (0.05, 8.0))


def test_an_old_book_is_none(lake: Lake) -> None:
    """A snapshot counts for five minutes, across midnight of a month too."""
    last = 31 * 86_400 - 10
    write_books(lake, {last: [("ask", 0.01, 1.0)]})
    series = book_series(lake, **BTC)
    assert series is not None
    taken = START + last * SECOND
    moments = [taken - 1, taken, taken + PATIENCE_US, taken + PATIENCE_US + 1]
    assert sorted(series.at(moments)) == moments[1:3]
    assert series.at([]) == {}


def test_without_snapshots_there_is_no_series(lake: Lake) -> None:
    """A lake that has no depth of an instrument says so."""
    write_books(lake, {0: [("ask", 0.01, 1.0)]})
    assert book_series(lake, "binance", "ETHUSDT") is None


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, 2_000), min_size=1, max_size=12, unique=True),
    moments=st.lists(st.integers(0, 2_500), min_size=1, max_size=6, unique=True),
    cut=st.integers(0, 2_500),
)
def test_the_future_changes_no_book(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], moments: list[int], cut: int
) -> None:
    """Cutting snapshots off changes nothing before the cut; each book is the newest of a plain search."""
    books: dict[int, Levels] = {at: [("ask", 0.01, float(at + 1))] for at in times}
    whole = Lake(tmp_path_factory.mktemp("whole"))
    write_books(whole, books)
    series = book_series(whole, **BTC)
    assert series is not None
    found = series.at([START + at * SECOND for at in moments])
    for at in moments:
        known = [t for t in times if t <= at and at - t <= 300]
        book = found.get(START + at * SECOND)
        assert (book and book.asks) == (((0.01, max(known) + 1.0),) if known else None)
    early = {at: levels for at, levels in books.items() if at <= cut}
    if early:
        part = Lake(tmp_path_factory.mktemp("part"))
        write_books(part, early)
        shorter = book_series(part, **BTC)
        assert shorter is not None
        before = [START + at * SECOND for at in moments if at <= cut]
        assert shorter.at(before) == {at: found[at] for at in before if at in found}
