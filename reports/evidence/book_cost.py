"""What trades would have paid in the order books of their time, beside what they were charged.

A market or stop order walks the side of the book that it takes from; between two distances the value is
spread evenly, and the middle is taken for the price. A target is a limit order and walks nothing. A fill
larger than all that a snapshot shows pays the last distance for the rest, which is a lower bound, and is
counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from ...datasets.order_book import Book
from ...datasets.panel import Int64Array1D
from ...strategies.slippage import DepthSlippage

_LIMIT_EXIT: Final = "target"
_BPS: Final = 10_000.0


class BookCost(NamedTuple):
    """What the books say of trades.

    Attributes
    ----------
    trades : int
        Trades both of whose fills have a book.
    charged_bps, book_bps : float
        Slippage that these trades were charged, and that the books would have taken, over the value of
        both fills; NaN without a trade.
    beyond : int
        Fills larger than all that the snapshot shows.
    """

    trades: int
    charged_bps: float
    book_bps: float
    beyond: int


NO_BOOKS: Final = BookCost(0, float("nan"), float("nan"), 0)


def moments_of(trades: pa.Table) -> Int64Array1D:
    """Return the opens of the bars in which trades were entered and left, UTC microseconds."""
    return np.concatenate([_microseconds(trades, name) for name in ("entry_ts", "exit_ts")])


def book_cost(trades: pa.Table, books: Mapping[int, Book]) -> BookCost:
    """Return what order books say of trades.

    Parameters
    ----------
    trades : pyarrow.Table
        Of `strategies.trade_log.TRADES_SCHEMA`.
    books : mapping of int to Book
        By moment; see `moments_of`.

    Notes
    -----
    The book is the newest one before the bar in which the fill happened: an order that is triggered within
    the bar meets a later one.
    """
    size = trades["size"].to_numpy()
    buys = trades["direction"].to_numpy() > 0
    limit = np.array([reason == _LIMIT_EXIT for reason in trades["exit_reason"].to_pylist()], bool)
    paid = np.zeros(len(size))
    value = np.zeros(len(size))
    covered = np.ones(len(size), dtype=bool)
    beyond = 0
    for ts, price, from_asks, resting in (
        ("entry_ts", "entry_price", buys, np.zeros(len(size), dtype=bool)),
        ("exit_ts", "exit_price", ~buys, limit),
    ):
        notional = size * trades[price].to_numpy()
        value += notional
        for k, moment in enumerate(_microseconds(trades, ts).tolist()):
            book = books.get(moment)
            levels = () if book is None else book.asks if from_asks[k] else book.bids
            if not levels:
                covered[k] = False
            elif not resting[k]:
                paid[k] += notional[k] * _walked_bps(levels, float(notional[k])) / _BPS
                beyond += bool(notional[k] > levels[-1][1])
    if not covered.any():
        return NO_BOOKS._replace(beyond=beyond)
    total = float(value[covered].sum())
    charged = float(trades["slippage"].to_numpy()[covered].sum())
    return BookCost(
        trades=int(covered.sum()),
        charged_bps=charged / total * _BPS,
        book_bps=float(paid[covered].sum()) / total * _BPS,
        beyond=beyond,
    )


def _walked_bps(levels: tuple[tuple[float, float], ...], notional: float) -> float:
    steps = [(0.0, 0.0), *((distance * _BPS, value) for distance, value in levels)]
    # What a fixed book charges does not depend on the bar.
    return DepthSlippage(steps).bps(notional, quote_volume=0.0, high=0.0, low=0.0)


def _microseconds(trades: pa.Table, name: str) -> Int64Array1D:
    return np.asarray(trades[name].cast(pa.int64()).to_numpy())
