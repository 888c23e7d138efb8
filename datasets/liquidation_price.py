"""Liquidation prices of isolated positions, by the venues' published formulas.

E entry price, L leverage, m maintenance rate, c maintenance amount per unit of entry notional
(the bracket's amount over quantity times entry), f taker fee. Cross margin has no price of its own
for a position and is left out. Sources: the venues' help pages as collected in the project's facts;
the published examples are the test vectors.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

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

``linear``: Binance USD-M, Bybit USDT since 2025-09-02. ``inverse``: Binance COIN-M, Bybit inverse since
then. ``linear with fee``: OKX and Gate, where the closing fee is kept back.
"""

FORMULAS: Final = get_args(Formula)


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
    """Return the price at which an isolated position is liquidated.

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
        Maintenance amount of that bracket divided by the entry notional, fraction.
    taker_fee : array_like
        Fee for closing, fraction; used by ``"linear with fee"`` alone.
    formula : Formula
        Which published formula applies.

    Returns
    -------
    ndarray of float64
        Broadcast shape of the inputs. NaN where no price liquidates the position: a long without
        leverage, or an inverse short with little of it.

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
    if formula not in FORMULAS:
        raise InputError(f"formula {formula!r} is unknown: use one of {', '.join(FORMULAS)}")
    if np.any(entry_ <= 0) or np.any(leverage_ < 1):
        raise InputError("an entry price must be positive and a leverage at least 1")
    margin = 1.0 / leverage_
    if np.any(margin + amount <= rate):
        raise InputError(
            "leverage above the bracket's cap: the initial margin 1/leverage must exceed the "
            "maintenance margin"
        )
    return np.asarray(_price(entry_, side, margin, rate, amount, fee, formula))


def _price(
    entry: Float64Array1D,
    side: Float64Array1D,
    margin: Float64Array1D,
    rate: Float64Array1D,
    amount: Float64Array1D,
    fee: Float64Array1D,
    formula: Formula,
) -> Float64Array1D:
    if formula == "linear":
        price = entry * (1.0 - side * (margin + amount)) / (1.0 - side * rate)
    elif formula == "linear with fee":
        price = entry * (1.0 - side * margin) / (1.0 - side * (rate + fee))
    elif formula == "bybit linear until 2025-09":
        price = entry * (1.0 - side * (margin - rate))
    elif formula == "inverse":
        price = _over(entry * (1.0 + side * rate), 1.0 + side * (margin + amount))
    else:
        price = _over(entry, 1.0 + side * (margin - rate))
    return np.where(price > 0.0, price, np.nan)


def _over(numerator: Float64Array1D, denominator: Float64Array1D) -> Float64Array1D:
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0.0)
    return out
