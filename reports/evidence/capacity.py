"""How large could it have been traded? The strategy at growing equity, with slippage that grows with size.

An edge that a book of ordinary depth eats is no edge. Slippage follows the square-root law, whose
coefficient is shown; what was lost to it, to fees and to funding stands beside what price gave. Where there
are order books of the time, what these would have taken stands beside what the law took.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow.compute as pc

from ...datasets.errors import InputError
from ...datasets.naming import DAY_US
from ...strategies.backtest import BacktestResult
from ...strategies.parameters import CostParameters, TierBreakoutParameters
from ...strategies.replay import replay
from .book_cost import NO_BOOKS, BookCost, book_cost, moments_of
from .market import EvidenceMarket

EQUITIES: Final = (10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0, 100_000_000.0)
"""Starting equities, quote."""
_DAYS_A_YEAR: Final = 365.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRow:
    """What the strategy did from one starting equity; shares of it a year.

    Attributes
    ----------
    equity : float
        At the start, quote.
    order : float
        Median value of an order, quote; NaN without a trade.
    trades : int
    gross, fees, slippage, funding, net : float
        ``net = gross - fees - slippage + funding``; a year without compounding.
    refused : str
        Why there is no result, else empty.
    book : BookCost
        What the order books of the time say.
    """

    equity: float
    order: float
    trades: int
    gross: float
    fees: float
    slippage: float
    funding: float
    net: float
    refused: str = ""
    book: BookCost = NO_BOOKS


def capacity(
    market: EvidenceMarket,
    *,
    parameters: TierBreakoutParameters | None = None,
    costs: CostParameters | None = None,
    equities: tuple[float, ...] = EQUITIES,
) -> tuple[CapacityRow, ...]:
    """Run the strategy from growing equities.

    Parameters
    ----------
    market : EvidenceMarket
    parameters : TierBreakoutParameters, optional
    costs : CostParameters, optional
        Their `impact_coefficient` is the square-root law's.
    equities : tuple of float
        Quote, increasing.

    Notes
    -----
    An equity whose positions the venue's brackets refuse at the leverage asked for has no result; the row
    says so.
    """
    years = (market.panel.close_ts[-1] - market.panel.ts[0]) / (DAY_US * _DAYS_A_YEAR)
    rows = []
    for equity in equities:
        try:
            run = replay(
                market.panel,
                market.features,
                instrument=market.instrument,
                parameters=parameters,
                costs=costs,
                cash=equity,
            )
        except InputError as error:
            rows.append(_refused(equity, str(error)))
            continue
        row = _row(run, equity, float(years))
        if market.books is not None:
            books = market.books.at(moments_of(run.trades).tolist())
            row = replace(row, book=book_cost(run.trades, books))
        rows.append(row)
    return tuple(rows)


def break_even(rows: tuple[CapacityRow, ...]) -> float:
    """Return the equity at which the net result falls to 0, quote.

    Between two rows it is taken on a line in the logarithm of the equity; infinite where the largest
    still gains, 0 where the smallest already loses.
    """
    known = [row for row in rows if not row.refused and row.trades]
    if not known or known[0].net <= 0.0:
        return 0.0
    for small, large in pairwise(known):
        if large.net <= 0.0:
            part = small.net / (small.net - large.net)
            step = np.log(large.equity / small.equity)
            return float(small.equity * np.exp(part * step))
    return float("inf")


def _row(run: BacktestResult, equity: float, years: float) -> CapacityRow:
    trades = run.trades
    count = trades.num_rows

    def a_year(name: str) -> float:
        return float(pc.sum(trades[name]).as_py() or 0.0) / (equity * years)

    values = trades["size"].to_numpy() * trades["entry_price"].to_numpy()
    return CapacityRow(
        equity=equity,
        order=float(np.median(values)) if count else float("nan"),
        trades=count,
        gross=a_year("gross_pnl"),
        fees=a_year("fees"),
        slippage=a_year("slippage"),
        funding=a_year("funding"),
        net=a_year("net_pnl"),
    )


def _refused(equity: float, why: str) -> CapacityRow:
    nan = float("nan")
    return CapacityRow(
        equity=equity,
        order=nan,
        trades=0,
        gross=nan,
        fees=nan,
        slippage=nan,
        funding=nan,
        net=nan,
        refused=why,
    )
