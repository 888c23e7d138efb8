"""Liquidation prices by the venues' published formulas.

E entry price, L leverage, m maintenance rate, c maintenance amount per unit of entry value (the
bracket's amount over quantity times entry), f taker fee. `liquidation_price` is for isolated positions
whose margin is E/L a coin; `cross_liquidation_price` and `hyperliquid_liquidation_price` take the margin
itself. Which bracket is in force is the business of `Brackets`. The trigger is the mark price. Sources:
the venues' help pages as collected in the project's facts; the published examples are the test vectors.
"""

from __future__ import annotations

from typing import Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike

from .errors import InputError
from .panel import Float64Array1D

Formula = Literal[
    "linear",
    "inverse",
    "bybit linear until 2025-09",
    "bybit inverse until 2025-09",
    "linear with fee",
]
"""Which published formula applies.

``linear``: Binance USD-M, Bybit USDT since 2025-09-02, Hyperliquid. ``inverse``: Binance COIN-M, Bybit
inverse since then. The two ``until``: Bybit when it took the maintenance margin of the entry value.
``linear with fee``: OKX and Gate, where the closing fee is kept back.
"""

FORMULAS: Final = get_args(Formula)

_Number = TypeVar("_Number", float, Float64Array1D)


def liquidation_price(
    entry: ArrayLike,
    leverage: ArrayLike,
    *,
    direction: ArrayLike,
    maintenance_rate: ArrayLike,
    maintenance_amount_rate: ArrayLike = 0.0,
    taker_fee: ArrayLike = 0.0,
    formula: Formula = "linear",
) -> Float64Array1D:
    """Return the price at which an isolated position is liquidated, in a given bracket.

    Parameters
    ----------
    entry : array_like
        Entry price, quote per base, positive.
    leverage : array_like
        Position value over margin, at least 1.
    direction : array_like
        1 for a long, -1 for a short.
    maintenance_rate : array_like
        Maintenance margin rate of the bracket in force, fraction.
    maintenance_amount_rate : array_like
        Maintenance amount of that bracket divided by the entry value, fraction. Both in quote for a
        linear contract, both in base for an inverse one.
    taker_fee : array_like
        Fee for closing, fraction; used by ``"linear with fee"`` alone.
    formula : Formula
        Which published formula applies.

    Returns
    -------
    ndarray of float64
        Quote per base; broadcast shape of the inputs. NaN where no price liquidates the position: a
        long without leverage, or an inverse short with little of it.

    Raises
    ------
    InputError
        If the formula is unknown, an entry is not positive, or a leverage is so high that the margin
        does not cover the maintenance margin at entry.

    Examples
    --------
    >>> float(liquidation_price(50_000, 20, direction=1, maintenance_rate=0.004, formula="inverse").round(2))
    47809.52
    """
    entry_, leverage_, side, rate, amount, fee = (
        np.asarray(value, dtype=np.float64)
        for value in (
            entry,
            leverage,
            direction,
            maintenance_rate,
            maintenance_amount_rate,
            taker_fee,
        )
    )
    check_formula(formula)
    if not (np.all(entry_ > 0.0) and np.all(leverage_ >= 1.0)):
        raise InputError("an entry price must be positive and a leverage at least 1")
    margin = 1.0 / leverage_
    if np.any(margin + amount <= needed_at_entry(rate, fee, formula)):
        raise InputError(
            "leverage above the bracket's cap: the initial margin 1/leverage must exceed the "
            "maintenance margin"
        )
    return positive_ratio(*price_fraction(entry_, side, margin, rate, amount, fee, formula))


def cross_liquidation_price(
    entry: ArrayLike,
    *,
    quantity: ArrayLike,
    direction: ArrayLike,
    wallet: ArrayLike,
    maintenance_rate: ArrayLike,
    maintenance_amount: ArrayLike = 0.0,
    other_maintenance: ArrayLike = 0.0,
    other_profit: ArrayLike = 0.0,
) -> Float64Array1D:
    """Return the mark price at which a linear position is liquidated, given the money behind it.

    Binance's general formula. With the wallet of one position alone and nothing else open it is the
    isolated one; in cross margin it holds as long as the other positions stand where they do.

    Parameters
    ----------
    entry : array_like
        Entry price, quote per base.
    quantity : array_like
        Position size, base, positive.
    direction : array_like
        1 for a long, -1 for a short.
    wallet : array_like
        Balance behind the position, quote: the isolated margin, or the whole wallet in cross margin.
    maintenance_rate, maintenance_amount : array_like
        Of the bracket in force: fraction, and quote.
    other_maintenance : array_like
        Maintenance margin of all other positions at their mark prices, quote.
    other_profit : array_like
        Unrealised profit of all other positions at their mark prices, quote.

    Returns
    -------
    ndarray of float64
        Quote per base, broadcast shape. NaN where no positive price liquidates the position.

    Raises
    ------
    InputError
        If an entry price or a quantity is not positive.

    Examples
    --------
    A long of one coin at 100 with 10 behind it, 1 % maintenance margin:

    >>> float(cross_liquidation_price(
    ...     100.0, quantity=1.0, direction=1, wallet=10.0, maintenance_rate=0.01
    ... ).round(4))
    90.9091
    """
    entry_, size, side, balance, rate, amount, maintenance, profit = (
        np.asarray(value, dtype=np.float64)
        for value in (
            entry,
            quantity,
            direction,
            wallet,
            maintenance_rate,
            maintenance_amount,
            other_maintenance,
            other_profit,
        )
    )
    if not (np.all(entry_ > 0.0) and np.all(size > 0.0)):
        raise InputError("an entry price and a quantity must be positive")
    free = balance - maintenance + profit + amount
    return positive_ratio(entry_ - side * free / size, 1.0 - side * rate)


def hyperliquid_liquidation_price(
    price: ArrayLike,
    *,
    quantity: ArrayLike,
    direction: ArrayLike,
    margin: ArrayLike,
    max_leverage: ArrayLike,
) -> Float64Array1D:
    """Return Hyperliquid's liquidation price; its maintenance rate is half the rate at top leverage.

    ``price - direction * available / quantity / (1 - rate * direction)`` with
    ``rate = 1 / (2 max_leverage)`` and ``available`` what `margin` exceeds the maintenance margin by.

    Parameters
    ----------
    price : array_like
        The price at which `margin` is measured, quote per base: the mark price, or the entry price for
        a position just opened.
    quantity : array_like
        Position size, base, positive.
    direction : array_like
        1 for a long, -1 for a short.
    margin : array_like
        At that price, quote: the isolated margin with its profit, or in cross margin the account value
        less the maintenance margin of the other positions.
    max_leverage : array_like
        The most that the venue grants at the position's size.

    Returns
    -------
    ndarray of float64
        Quote per base, broadcast shape. NaN where no positive price liquidates the position.

    Raises
    ------
    InputError
        If a price or a quantity is not positive, or a top leverage is below 1.

    Examples
    --------
    One coin bought at 50,000 with 10x, where 40x is the most:

    >>> float(hyperliquid_liquidation_price(
    ...     50_000, quantity=1.0, direction=1, margin=5_000, max_leverage=40
    ... ).round(2))
    45569.62
    """
    price_, size, side, margin_, top = (
        np.asarray(value, dtype=np.float64)
        for value in (price, quantity, direction, margin, max_leverage)
    )
    if not (np.all(price_ > 0.0) and np.all(size > 0.0) and np.all(top >= 1.0)):
        raise InputError(
            "a price and a quantity must be positive, and a venue's top leverage at least 1"
        )
    rate = 0.5 / top
    available = margin_ - rate * price_ * size
    found = price_ - side * available / size / (1.0 - rate * side)
    return np.where(found > 0.0, found, np.nan)


def check_formula(formula: str) -> None:
    """Refuse a formula that is not one of `FORMULAS`.

    Raises
    ------
    InputError
        If it is not.
    """
    if formula not in FORMULAS:
        raise InputError(f"formula {formula!r} is unknown: use one of {', '.join(FORMULAS)}")


def needed_at_entry(rate: _Number, fee: _Number, formula: Formula) -> _Number:
    """Return the rate that margin and amount must exceed for a position not to die at entry."""
    return rate + fee if formula == "linear with fee" else rate


def price_fraction(
    entry: _Number,
    side: _Number,
    margin: _Number,
    rate: _Number,
    amount: _Number,
    fee: _Number,
    formula: Formula,
) -> tuple[_Number, _Number | float]:
    """Return numerator and denominator of the liquidation price; there is none unless both are positive.

    `margin` is 1/L and `amount` is c; of arrays or of plain floats, which cost a tenth as much.
    """
    if formula == "linear":
        return entry * (1.0 - side * (margin + amount)), 1.0 - side * rate
    if formula == "linear with fee":
        return entry * (1.0 - side * (margin + amount)), 1.0 - side * (rate + fee)
    if formula == "bybit linear until 2025-09":
        return entry * (1.0 - side * (margin + amount - rate)), 1.0
    if formula == "inverse":
        return entry * (1.0 + side * rate), 1.0 + side * (margin + amount)
    return entry, 1.0 + side * (margin + amount - rate)


def positive_ratio(
    numerator: Float64Array1D, denominator: Float64Array1D | float
) -> Float64Array1D:
    """Return a / b where both are positive, else NaN."""
    below = np.asarray(denominator)
    out = np.full(np.broadcast_shapes(numerator.shape, below.shape), np.nan)
    np.divide(numerator, below, out=out, where=(numerator > 0.0) & (below > 0.0))
    return out
