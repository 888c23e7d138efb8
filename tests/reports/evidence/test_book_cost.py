"""What order books say of trades, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from liqtiers.datasets.lake import Lake
from liqtiers.datasets.order_book import Book, BookSeries
from liqtiers.datasets.schemas import TIMESTAMP
from liqtiers.reports.evidence.book_cost import book_cost
from liqtiers.reports.evidence.capacity import capacity
from liqtiers.reports.evidence.market import EvidenceMarket
from liqtiers.strategies.parameters import TierBreakoutParameters

ASKS = ((0.01, 1_000_000.0), (0.02, 2_000_000.0))
BIDS = ((0.01, 500_000.0), (0.02, 1_500_000.0))
TRADES = TierBreakoutParameters(min_imbalance=1.0, min_fuel=0.01, risk_fraction=0.001)


def trades(*rows: dict[str, object]) -> pa.Table:
    """Trades of 1,000 coins at 100 in and out, bought first, slippage 400, unless said otherwise."""
    plain = {
        "direction": 1,
        "entry_ts": 10,
        "exit_ts": 20,
        "entry_price": 100.0,
        "exit_price": 100.0,
        "size": 1_000.0,
        "exit_reason": "stop",
        "slippage": 400.0,
    }
    table = pa.Table.from_pylist([{**plain, **row} for row in rows])
    for name in ("entry_ts", "exit_ts"):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(TIMESTAMP))
    return table


BOOKS = {10: Book(9, ASKS, BIDS), 20: Book(19, ASKS, BIDS)}


def test_a_market_order_walks_the_side_that_it_takes() -> None:
    """100,000 into 1 M within 1 % costs 5 bp on average, into 0.5 M 10 bp; the law charged 20."""
    found = book_cost(trades({}), BOOKS)
    assert found.trades == 1
    assert found.book_bps == pytest.approx((5.0 + 10.0) / 2)
    assert found.charged_bps == pytest.approx(400.0 / 200_000.0 * 10_000.0)
    short = book_cost(trades({"direction": -1}), BOOKS)
    assert short.book_bps == pytest.approx(found.book_bps)


def test_the_published_measure_is_met() -> None:
    """983 k USD within 1 %: 100 k both ways cost 8.9 bp in a public study; evenly spread 10.2."""
    book = Book(9, ((0.01, 983_000.0),), ((0.01, 983_000.0),))
    found = book_cost(trades({}), {10: book, 20: book})
    assert 2 * found.book_bps == pytest.approx(100.0 / 983.0 * 100.0, rel=1e-9)


def test_a_target_rests_and_walks_nothing() -> None:
    """A limit order has no slippage in the book either."""
    found = book_cost(trades({"exit_reason": "target"}), BOOKS)
    assert found.book_bps == pytest.approx(5.0 / 2)


def test_more_than_the_book_shows_is_a_lower_bound_and_counted() -> None:
    """4 M against 2 M shown: the second half pays the last distance."""
    found = book_cost(trades({"size": 40_000.0, "exit_reason": "target"}), BOOKS)
    assert found.beyond == 1
    assert found.book_bps == pytest.approx((0.5 * 100.0 + 0.5 * 200.0) / 2)


def test_trades_without_both_books_are_left_out() -> None:
    """Only what can be compared is compared."""
    found = book_cost(trades({}, {"exit_ts": 99, "slippage": 1e9}), BOOKS)
    assert found.trades == 1
    assert found.charged_bps == pytest.approx(20.0)
    none = book_cost(trades({"entry_ts": 98}), BOOKS)
    assert none.trades == 0
    assert np.isnan(none.book_bps)


def test_capacity_asks_the_books_of_the_lake(impact_world: EvidenceMarket, tmp_path: Path) -> None:
    """With a book at every bar's open every trade has one, and a larger equity walks farther."""
    lake, panel = Lake(tmp_path), impact_world.panel
    moments = pa.array(np.repeat(panel.ts, 4), TIMESTAMP)
    count = len(panel)
    columns = {
        "side": ["ask", "ask", "bid", "bid"] * count,
        "distance": [0.01, 0.05] * (2 * count),
        "notional": [2e6, 1e7] * (2 * count),
    }
    rows = pa.table({"ts": moments, "available_at": moments, **columns})
    lake.write("depth", rows, venue="own", symbol="COIN")
    market = replace(impact_world, books=BookSeries(lake, "own", "COIN"))
    small, large = capacity(market, parameters=TRADES, equities=(1e5, 1e8))
    assert small.book.trades == small.trades > 0
    assert 0.0 < small.book.book_bps < large.book.book_bps
    assert small.book.charged_bps > 0.0
    bare = capacity(impact_world, parameters=TRADES, equities=(1e5,))[0]
    assert bare.book.trades == 0
    assert replace(small, book=bare.book) == bare
