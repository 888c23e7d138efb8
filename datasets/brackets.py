"""Maintenance-margin tables: what a venue asks of a position of a given size.

A position is rarely worth at its liquidation price what it was worth at entry, so the bracket in force
there need not be the one it was opened in. `Brackets.liquidation_price` follows the position from entry
through the brackets until its margin falls to what the bracket it is in asks for. Where the margin asked
for jumps between two brackets (a venue that charges the whole position at one rate), a position can be
liquidated at the very bound. The tables, with dates and sources, are in ``brackets.csv`` and come by way
of `brackets_for`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any, Final, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from .errors import InputError
from .liquidation_price import (
    Formula,
    check_formula,
    needed_at_entry,
    positive_ratio,
    price_fraction,
)
from .panel import Float64Array1D, Int64Array1D

FloorUnit = Literal["quote", "base"]

# How a position's size, as its table measures it, goes with the price; 0 where it does not. Bybit's
# old formulas asked for the maintenance margin of the entry value, whatever the price did.
_POWER: Final[dict[tuple[FloorUnit, Formula], int]] = {
    ("quote", "linear"): 1,
    ("quote", "linear with fee"): 1,
    ("base", "inverse"): -1,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Brackets:
    """A maintenance-margin table: row i holds from `floor_notional[i]` on.

    Attributes
    ----------
    floor_notional : ndarray of float64, shape (k,)
        Smallest size of a position in the bracket, in `floor_unit`, increasing from 0.
    maintenance_rate : ndarray of float64, shape (k,)
        Fraction of the value at the mark price, not decreasing.
    max_leverage : ndarray of float64, shape (k,)
    maintenance_amount : ndarray of float64, shape (k,)
        In `floor_unit`, subtracted so that the margin is continuous:
        ``amount[i] = amount[i-1] + floor[i] (rate[i] - rate[i-1])``. Zeros where a venue charges the
        whole position at its bracket's rate (OKX).
    source : str
        Whose table it is and from when.
    floor_unit : {"quote", "base"}
        Whether a position is measured by its value or by its quantity. OKX counts contracts, which
        are 0.01 BTC or 0.1 ETH each: a fixed quantity, kept here in coins, so that no price has to be
        assumed; `at_price` turns it into values where a caller has only those.
    """

    floor_notional: Float64Array1D
    maintenance_rate: Float64Array1D
    max_leverage: Float64Array1D
    maintenance_amount: Float64Array1D
    source: str
    floor_unit: FloorUnit = "quote"

    def row(self, notional: ArrayLike) -> Int64Array1D:
        """Return the row in force at a position value (quote).

        Raises
        ------
        InputError
            If the table measures positions in base, where a value says nothing without a price.
        """
        if self.floor_unit == "base":
            raise InputError(
                f"the brackets of {self.source} go by quantity: take at_price(price) of them first"
            )
        return self._row(np.asarray(notional, dtype=np.float64))

    def at_price(self, price: float) -> Brackets:
        """Return the same table by value (quote), as it stands while the price is `price`.

        Raises
        ------
        InputError
            If the price is not positive.
        """
        if not 0.0 < price < inf:
            raise InputError(f"price {price:g} must be a positive number")
        if self.floor_unit == "quote":
            return self
        return replace(
            self,
            floor_notional=self.floor_notional * price,
            maintenance_amount=self.maintenance_amount * price,
            source=f"{self.source}, at a price of {price:g}",
            floor_unit="quote",
        )

    @overload
    def liquidation_price(
        self,
        entry: float,
        leverage: float,
        *,
        quantity: float,
        direction: int,
        formula: Formula = ...,
        taker_fee: float = ...,
    ) -> float: ...

    @overload
    def liquidation_price(
        self,
        entry: ArrayLike,
        leverage: ArrayLike,
        *,
        quantity: ArrayLike,
        direction: ArrayLike,
        formula: Formula = ...,
        taker_fee: float = ...,
    ) -> Float64Array1D: ...

    def liquidation_price(
        self,
        entry: Any,
        leverage: Any,
        *,
        quantity: Any,
        direction: Any,
        formula: Formula = "linear",
        taker_fee: float = 0.0,
    ) -> float | Float64Array1D:
        """Return the liquidation price, with the bracket in force at the value it has there.

        Parameters
        ----------
        entry : float or array_like
            Entry price, quote per base, positive.
        leverage : float or array_like
            Position value over isolated margin, from 1 to the cap of the bracket at entry.
        quantity : float or array_like
            Position size, base, positive; of an inverse contract its value at entry over the entry
            price.
        direction : int or array_like
            1 for a long, -1 for a short.
        formula : Formula
            See `liquidation_price`.
        taker_fee : float
            Fee for closing, fraction; used by ``"linear with fee"`` alone.

        Returns
        -------
        float or ndarray of float64
            Quote per base: a float if all four are numbers, else an array of their broadcast shape.
            NaN where no price liquidates the position.

        Raises
        ------
        InputError
            If a leverage is above the cap of the bracket in which the position is opened, or its
            margin does not cover the maintenance margin there, or a number is out of its range; of
            arrays, the first such position is named by its index.

        Examples
        --------
        Worth 40 less than a million, where the next bracket begins: the short grows into it.

        >>> from .instruments import GENERIC_BRACKETS
        >>> GENERIC_BRACKETS.liquidation_price([100.0, 100.0], 10.0, quantity=9_999.6, direction=[1, -1])
        array([ 90.45226131, 109.4059604 ])
        """
        check_formula(formula)
        given = (entry, leverage, quantity, direction)
        if not all(isinstance(value, float | int) for value in given):
            arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in given))
            if arrays[0].ndim:
                return self._many(arrays, formula, taker_fee)
            entry, leverage, quantity, direction = (float(value) for value in given)
        return self._one(entry, leverage, quantity, direction, formula, taker_fee)

    def _row(self, size: Float64Array1D) -> Int64Array1D:
        found = np.searchsorted(self.floor_notional, size, side="right") - 1
        return np.maximum(found, 0)

    def _one(
        self,
        entry: float,
        leverage: float,
        quantity: float,
        side: float,
        formula: Formula,
        fee: float,
    ) -> float:
        # In plain floats, ten times as fast as arrays of one: a broker asks at every fill.
        size = quantity * entry if self.floor_unit == "quote" else quantity
        row = opened_in = max(bisect_right(self.floor_notional, size) - 1, 0)
        rate, amount = self._terms(row, size)
        if not (
            0.0 < entry < inf
            and 0.0 < quantity < inf
            and side in (1.0, -1.0)
            and 1.0 <= leverage <= self.max_leverage[row]
            and 1.0 / leverage + amount > needed_at_entry(rate, fee, formula)
        ):
            raise InputError(self._refusal(entry, leverage, quantity, side))
        power = _POWER.get((self.floor_unit, formula), 0)
        rising = side * power < 0.0
        while True:
            top, bottom = price_fraction(entry, side, 1.0 / leverage, rate, amount, fee, formula)
            price = top / bottom if top > 0.0 and bottom > 0.0 else nan
            if power == 0:
                return price
            there = 0.0 if price != price else size * (price / entry) ** power
            floor, ceiling = self._bounds(row)
            bound = floor if rising else ceiling
            if row != opened_in and (there < bound if rising else there > bound):
                there, price = bound, entry * (bound / size) ** power
            if there < ceiling if rising else there >= floor:
                return price
            row += 1 if rising else -1
            rate, amount = self._terms(row, size)

    def _many(
        self, arrays: Sequence[Float64Array1D], formula: Formula, fee: float
    ) -> Float64Array1D:
        entry, leverage, quantity, side = (array.ravel() for array in arrays)
        size = quantity * entry if self.floor_unit == "quote" else quantity
        row = self._row(size)
        self._check(arrays, size, row, formula, fee)
        power = _POWER.get((self.floor_unit, formula), 0)
        opened_in, rising = row.copy(), side * power < 0.0
        floors, ceilings = self.floor_notional, np.append(self.floor_notional[1:], inf)
        prices = np.full(size.shape, nan)
        left = np.arange(size.size)
        while left.size:
            at, up, was, value = row[left], rising[left], entry[left], size[left]
            amount = self.maintenance_amount[at] / value
            terms = (was, side[left], 1.0 / leverage[left], self.maintenance_rate[at], amount)
            price = positive_ratio(*price_fraction(*terms, np.full(at.shape, fee), formula))
            if power == 0:
                return price.reshape(arrays[0].shape)
            there = np.where(np.isnan(price), 0.0, value * (price / was) ** power)
            bound = np.where(up, floors[at], ceilings[at])
            beyond = (at != opened_in[left]) & np.where(up, there < bound, there > bound)
            there[beyond] = bound[beyond]
            price[beyond] = was[beyond] * (bound[beyond] / value[beyond]) ** power
            done = np.where(up, there < ceilings[at], there >= floors[at])
            prices[left[done]] = price[done]
            row[left] += np.where(up, 1, -1)
            left = left[~done]
        return prices.reshape(arrays[0].shape)

    def _terms(self, row: int, size: float) -> tuple[float, float]:
        rate, amount = float(self.maintenance_rate[row]), float(self.maintenance_amount[row])
        return rate, amount / size if size > 0.0 else nan

    def _bounds(self, row: int) -> tuple[float, float]:
        last = row + 1 == len(self.floor_notional)
        return float(self.floor_notional[row]), inf if last else float(self.floor_notional[row + 1])

    def _check(
        self,
        arrays: Sequence[Float64Array1D],
        size: Float64Array1D,
        row: Int64Array1D,
        formula: Formula,
        fee: float,
    ) -> None:
        entry, leverage, quantity, side = (array.ravel() for array in arrays)
        with np.errstate(divide="ignore", invalid="ignore"):
            margin = 1.0 / leverage + self.maintenance_amount[row] / size
        needed = needed_at_entry(self.maintenance_rate[row], np.full(row.shape, fee), formula)
        possible = (entry > 0.0) & (entry < inf) & (quantity > 0.0) & (quantity < inf)
        possible &= (np.abs(side) == 1.0) & (leverage >= 1.0) & (leverage <= self.max_leverage[row])
        possible &= margin > needed
        if possible.all():
            return
        first = int(np.argmin(possible))
        where = ", ".join(str(i) for i in np.unravel_index(first, arrays[0].shape))
        position = (float(array.flat[first]) for array in arrays)
        raise InputError(f"position {where}: {self._refusal(*position)}")

    def _refusal(self, entry: float, leverage: float, quantity: float, side: float) -> str:
        """Say what is wrong with a position that cannot be."""
        if not (0.0 < entry < inf and 0.0 < quantity < inf):
            return f"entry price {entry:g} and quantity {quantity:g} must be positive numbers"
        if side not in (1.0, -1.0):
            return f"direction {side:g} must be 1 for a long or -1 for a short"
        if not leverage >= 1.0:
            return f"leverage {leverage:g} must be at least 1"
        row = int(self._row(np.array(quantity * entry if self.floor_unit == "quote" else quantity)))
        position = (
            f"a position of {entry * quantity:,.0f} ({quantity:g} at {entry:g}; {self.source})"
        )
        if leverage > self.max_leverage[row]:
            return f"leverage {leverage:g} is above the cap of {self.max_leverage[row]:g} for {position}"
        return f"leverage {leverage:g} leaves less than the maintenance margin for {position}"
