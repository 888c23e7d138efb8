"""What one unit of an amount is worth: a coin, a part of a coin, or so many dollars.

Many venues count in contracts. Taken for coins, a COIN-M amount of Binance times its price is wrong by
a factor of hundreds, so that a venue whose unit is not known here is refused until the user says it.
Where one contract is a fixed sum of dollars, coins are that sum over the price.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from ..errors import InputError
from ..panel import Float64Array1D
from ._cells import product
from ._names import quote_of
from .parsed import ImportOptions

_COIN_MARGINED: Final = re.compile(r"([A-Z0-9]+)USD_(PERP|\d{6})")
_BYBIT_INVERSE: Final = re.compile(r"[A-Z0-9]+USD([FGHJKMNQUVXZ]\d{2})?")
_BTC_CONTRACT_USD: Final = 100.0
_COIN_CONTRACT_USD: Final = 10.0  # of every coin but BTC, as a rule
_LARGEST_ERROR: Final = 2.0
_IN_COINS: Final = frozenset(
    {"binance", "binance-futures", "bybit", "hyperliquid", "dydx", "dydx-v4", "lighter", "aster"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The worth of one unit.

    Attributes
    ----------
    of : {"coins", "quote"}
        Whether a unit is a fixed number of coins or a fixed value.
    size : float
        How many coins, or how much of the quote currency.
    """

    of: Literal["coins", "quote"]
    size: float

    def amounts(
        self, units: Float64Array1D, price: Float64Array1D
    ) -> tuple[Float64Array1D, Float64Array1D]:
        """Return quantity in coins and value in the quote currency."""
        if self.of == "coins":
            quantity = self.worth(units)
            return quantity, product(quantity, price)
        value = self.worth(units)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return value / price, value

    def worth(self, units: Float64Array1D) -> Float64Array1D:
        """Return how many coins, or how much of the quote currency, so many units are."""
        return product(units, self.size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user about a conversion; nothing where there was none."""
        if self == COINS:
            return ()
        unit = "coins" if self.of == "coins" else "USD"
        return (
            f"amounts are contracts of {self.size:g} {unit} each (--contract-value if it is another)",
        )


COINS: Final = Contract(of="coins", size=1.0)


def contract_of(path: Path, venue: str, symbol: str, options: ImportOptions) -> Contract:
    """Return the unit in which a venue counts an instrument.

    Parameters
    ----------
    path : Path
        For the message.
    venue, symbol : str
        As the file names them.
    options : ImportOptions
        `unit` and `contract_value` outrank what is known here.

    Raises
    ------
    InputError
        If the unit is not known, or the contract's value is no positive number.
    """
    value = options.contract_value
    if value is not None and not (np.isfinite(value) and value > 0.0):
        raise InputError(f"--contract-value {value:g} is not a positive number")
    if options.unit is not None:
        return COINS if options.unit == "coins" else Contract(of="quote", size=1.0)
    if match := _COIN_MARGINED.fullmatch(symbol):
        usual = _BTC_CONTRACT_USD if match[1] == "BTC" else _COIN_CONTRACT_USD
        return Contract(of="quote", size=value or usual)
    if venue == "bybit" and _BYBIT_INVERSE.fullmatch(symbol):
        return Contract(of="quote", size=value or 1.0)
    quote = quote_of(symbol)
    if value is not None and quote:
        return Contract(of="quote" if quote == "USD" else "coins", size=value)
    if venue in _IN_COINS and value is None:
        return COINS
    raise InputError(
        f"{path}: amounts of {venue[:40]} {symbol[:40]} can be contracts; give --contract-value (what "
        "one is worth: coins, or dollars for a symbol quoted in USD), or --unit coins or usd"
    )


def check_amounts(
    path: Path, price: Float64Array1D, quantity: Float64Array1D, value: Float64Array1D
) -> None:
    """Refuse bars whose value is not near quantity times price: their amounts are contracts.

    Raises
    ------
    InputError
        If the typical bar's value is more than twice or less than half of that.
    """
    with np.errstate(all="ignore"):
        ratio = value / (quantity * price)
    known = ratio[np.isfinite(ratio) & (ratio > 0.0)]
    if known.size == 0 or 1.0 / _LARGEST_ERROR <= np.median(known) <= _LARGEST_ERROR:
        return
    raise InputError(
        f"{path}: a bar's value is {np.median(known):.3g} times its volume times its price, so that "
        "its volume is in contracts; name the symbol in full, for example BTCUSD_PERP, or give "
        "--contract-value"
    )


def check_traded(
    path: Path, high: Float64Array1D, low: Float64Array1D, volume: Float64Array1D
) -> None:
    """Refuse bars that move although nothing was traded in any: they are mark or index prices.

    Raises
    ------
    InputError
        If so.
    """
    if (volume == 0.0).all() and (high > low).any():
        raise InputError(
            f"{path}: prices move but no bar has volume, so these are no trades; give "
            "--table mark_bars if they are mark prices"
        )
