"""What must be known of a contract besides its market data: lot, tick, fees, maintenance margin.

Maintenance-margin tables are facts with a date: venues change them, so each table carries the day by
which it was in force (``brackets.csv``), and the one of the moment is used. Where no table is known,
a generic one stands in and `Brackets.source` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .errors import InputError
from .liquidation_price import Formula, liquidation_price
from .naming import check_name
from .panel import Float64Array1D, Int64Array1D

Kind = Literal["linear", "inverse"]

_DEFAULT_TAKER_FEE: Final = 0.0005
_DEFAULT_MAKER_FEE: Final = 0.0002
_LOTS: Final = {"BTCUSDT": (0.1, 0.001), "ETHUSDT": (0.01, 0.001)}
_GENERIC_LOT: Final = (0.01, 0.001)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Brackets:
    """A maintenance-margin table: row i holds from `floor_notional[i]` on.

    Attributes
    ----------
    floor_notional : ndarray of float64, shape (k,)
        Smallest position value of the bracket, quote, increasing from 0.
    maintenance_rate : ndarray of float64, shape (k,)
        Fraction of the value at the mark price.
    max_leverage : ndarray of float64, shape (k,)
    maintenance_amount : ndarray of float64, shape (k,)
        Quote, subtracted so that the margin is continuous:
        ``amount[i] = amount[i-1] + floor[i] (rate[i] - rate[i-1])``.
    source : str
        Whose table it is and from when.
    """

    floor_notional: Float64Array1D
    maintenance_rate: Float64Array1D
    max_leverage: Float64Array1D
    maintenance_amount: Float64Array1D
    source: str

    def row(self, notional: ArrayLike) -> Int64Array1D:
        """Return the row in force at a position value (quote)."""
        found = np.searchsorted(self.floor_notional, np.asarray(notional), side="right") - 1
        return np.maximum(found, 0)

    def liquidation_price(
        self,
        entry: float,
        leverage: float,
        *,
        quantity: float,
        direction: int,
        formula: Formula = "linear",
    ) -> float:
        """Return the liquidation price, with the bracket in force at the value it has there.

        Parameters
        ----------
        entry : float
            Entry price, quote per base.
        leverage : float
            Position value over isolated margin.
        quantity : float
            Position size, base, positive.
        direction : int
            1 for a long, -1 for a short.
        formula : Formula
            See `liquidation_price`.

        Raises
        ------
        InputError
            If the leverage is above the cap of the bracket in which the position is opened.
        """
        opened_in = int(self.row(entry * quantity))
        if leverage > self.max_leverage[opened_in]:
            raise InputError(
                f"leverage {leverage:g} is above the cap of {self.max_leverage[opened_in]:g} for a "
                f"position of {entry * quantity:,.0f} ({self.source})"
            )
        price = np.nan
        # A position of another value at its liquidation price than at entry can lie in a
        # neighbouring bracket; the first one that agrees with itself is the one in force.
        for row in range(max(opened_in - 1, 0), len(self.floor_notional)):
            price = float(
                liquidation_price(
                    entry,
                    leverage,
                    direction=direction,
                    maintenance_rate=self.maintenance_rate[row],
                    maintenance_amount_rate=self.maintenance_amount[row] / (entry * quantity),
                    formula=formula,
                )
            )
            if np.isnan(price) or int(self.row(price * quantity)) <= row:
                break
        return price


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instrument:
    """A perpetual contract.

    Attributes
    ----------
    venue, symbol : str
    kind : {"linear", "inverse"}
    tick : float
        Smallest price step, quote.
    lot : float
        Smallest quantity step, base.
    taker_fee, maker_fee : float
        Fractions of the traded value.
    brackets : Brackets
    """

    venue: str
    symbol: str
    kind: Kind
    tick: float
    lot: float
    taker_fee: float
    maker_fee: float
    brackets: Brackets


GENERIC_BRACKETS: Final = Brackets(
    floor_notional=np.array([0.0, 1e6, 1e7, 1e8]),
    maintenance_rate=np.array([0.005, 0.01, 0.025, 0.05]),
    max_leverage=np.array([100.0, 50.0, 20.0, 10.0]),
    maintenance_amount=np.array([0.0, 5_000.0, 155_000.0, 2_655_000.0]),
    source="generic table, not a venue's",
)
"""Stands in where no venue's table is known; of the size that large venues use for liquid coins."""


def instrument_for(venue: str, symbol: str, *, at: str | pd.Timestamp | None = None) -> Instrument:
    """Return what is known of a contract, with generic values where nothing is.

    Parameters
    ----------
    venue, symbol : str
    at : str or Timestamp, optional
        The moment whose maintenance-margin table is wanted; the newest known one by default.

    Raises
    ------
    InputError
        If a name is not valid.
    """
    check_name("venue", venue)
    check_name("symbol", symbol)
    tick, lot = _LOTS.get(symbol, _GENERIC_LOT)
    return Instrument(
        venue=venue,
        symbol=symbol,
        kind="linear",
        tick=tick,
        lot=lot,
        taker_fee=_DEFAULT_TAKER_FEE,
        maker_fee=_DEFAULT_MAKER_FEE,
        brackets=brackets_for(venue, symbol, at=at),
    )


def brackets_for(venue: str, symbol: str, *, at: str | pd.Timestamp | None = None) -> Brackets:
    """Return the maintenance-margin table in force at a moment (the first known one before that)."""
    table = _bracket_table()
    own = table[(table["venue"] == venue) & (table["symbol"] == symbol)]
    if own.empty:
        return GENERIC_BRACKETS
    dates = sorted(own["in_force_by"].unique())
    moment = "9999" if at is None else pd.Timestamp(at).strftime("%Y-%m-%d")
    date = max((d for d in dates if d <= moment), default=dates[0])
    rows = own[own["in_force_by"] == date]
    return Brackets(
        source=f"{venue} {symbol}, in force by {date}",
        **{
            name: rows[name].to_numpy(dtype=np.float64)
            for name in ("floor_notional", "maintenance_rate", "max_leverage", "maintenance_amount")
        },
    )


@cache
def _bracket_table() -> pd.DataFrame:
    with resources.files(__package__).joinpath("brackets.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype={"venue": str, "symbol": str, "in_force_by": str})
