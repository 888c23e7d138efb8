"""What trading costs, as formulas: written once, for the broker and for the compiled replay.

Plain functions are compiled by whoever needs them compiled; products and sums are the same to the last
bit either way. Those that call a logarithm or walk a table are compiled here, for both.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from ..datasets._compiled import compiled_in_place
from ..datasets.instruments import Brackets
from ..datasets.panel import Float64Array1D

_PARKINSON: Final = 1.0 / (2.0 * math.sqrt(math.log(2.0)))
_BPS: Final = 1e4
REFUSED: Final = -1.0
"""In place of a liquidation price: the venue does not grant the leverage to a position of this value."""


def margin_of_one(price: float, leverage: float) -> float:
    """Return the isolated margin of one coin, quote."""
    return price / leverage


def fee_of(size: float, price: float, rate: float) -> float:
    """Return the fee of a fill, quote."""
    return abs(size) * price * rate


def funding_of(size: float, price: float, rate: float) -> float:
    """Return the funding on a position (signed, base), quote; positive is received."""
    return -size * price * rate


def bankruptcy_price(entry: float, leverage: float, direction: int) -> float:
    """Return the price at which the isolated margin is lost."""
    return entry * (1.0 - direction / leverage)


def slipped_price(reference: float, size: float, bps: float) -> float:
    """Return a price after an adverse slippage; `size` is signed."""
    return reference * (1.0 + math.copysign(bps, size) / _BPS)


@compiled_in_place
def square_root_bps(
    notional: float,
    quote_volume: float,
    high: float,
    low: float,
    spread_bps: float,
    coefficient: float,
    max_bps: float,
) -> float:
    """Return half the spread plus the square-root impact, basis points; see `SquareRootSlippage`."""
    if spread_bps == 0.0 and coefficient == 0.0:
        return 0.0
    if not quote_volume > 0.0:
        return max_bps
    volatility = _PARKINSON * math.log(high / low)
    impact = coefficient * volatility * math.sqrt(notional / quote_volume)
    return min(0.5 * spread_bps + _BPS * impact, max_bps)


class BracketTable(NamedTuple):
    """The columns of `Brackets`; `by_value` says whether positions are measured in quote."""

    floor_notional: Float64Array1D
    maintenance_rate: Float64Array1D
    max_leverage: Float64Array1D
    maintenance_amount: Float64Array1D
    by_value: bool


def bracket_table(brackets: Brackets) -> BracketTable:
    """Return the table as compiled code takes it."""
    return BracketTable(
        floor_notional=np.array(brackets.floor_notional, dtype=np.float64),
        maintenance_rate=np.array(brackets.maintenance_rate, dtype=np.float64),
        max_leverage=np.array(brackets.max_leverage, dtype=np.float64),
        maintenance_amount=np.array(brackets.maintenance_amount, dtype=np.float64),
        by_value=brackets.floor_unit == "quote",
    )


@compiled_in_place
def own_liquidation_price(
    entry: float, leverage: float, quantity: float, side: int, table: BracketTable
) -> float:
    """Return what `Brackets.liquidation_price` returns for a linear contract, `REFUSED` where it raises.

    Parameters
    ----------
    entry, leverage : float
    quantity : float
        Base, positive.
    side : int
        1 for a long, -1 for a short.
    table : BracketTable
    """
    size = quantity * entry if table.by_value else quantity
    row = _opened_in(size, table)
    opened_in, margin = row, 1.0 / leverage
    amount = table.maintenance_amount[row] / size
    if not (
        0.0 < entry < np.inf
        and 0.0 < quantity < np.inf
        and 1.0 <= leverage <= table.max_leverage[row]
        and margin + amount > table.maintenance_rate[row]
    ):
        return REFUSED
    while True:
        amount = table.maintenance_amount[row] / size
        top = entry * (1.0 - side * (margin + amount))
        bottom = 1.0 - side * table.maintenance_rate[row]
        price = top / bottom if top > 0.0 and bottom > 0.0 else np.nan
        if not table.by_value:
            return price
        # A short is worth more at its liquidation price than at entry, a long less.
        there = 0.0 if np.isnan(price) else size * (price / entry)
        floor, ceiling = table.floor_notional[row], _ceiling(row, table)
        bound = floor if side < 0 else ceiling
        if row != opened_in and (there < bound if side < 0 else there > bound):
            there, price = bound, entry * (bound / size)
        if there < ceiling if side < 0 else there >= floor:
            return price
        row -= side


@compiled_in_place
def _opened_in(size: float, table: BracketTable) -> int:
    row = 0
    while row + 1 < len(table.floor_notional) and table.floor_notional[row + 1] <= size:
        row += 1
    return row


@compiled_in_place
def _ceiling(row: int, table: BracketTable) -> float:
    if row + 1 < len(table.floor_notional):
        return float(table.floor_notional[row + 1])
    return np.inf
