"""What must be known of a contract besides its market data: lot, tick, fees, formula, maintenance margin.

Formulas and maintenance-margin tables are facts with a date: venues change them, so each table carries
the day by which it was in force and its source (``brackets.csv``), and the one of the moment is used.
Where no table is known a generic one stands in and `Brackets.source` says so: today that is every
inverse contract, every venue but Binance, Bybit and OKX, and every coin but BTC, ETH and SOL (OKX: BTC
and ETH). Bybit's table is the one of 2024 and 2025; the one with 150x that it had by late 2026 is not
known in full and left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal, cast

import numpy as np
import pandas as pd

from .brackets import Brackets, FloorUnit
from .errors import InputError
from .liquidation_price import Formula
from .naming import check_name

__all__ = ["GENERIC_BRACKETS", "Brackets", "Instrument", "Kind", "brackets_for", "instrument_for"]

Kind = Literal["linear", "inverse"]

_DEFAULT_TAKER_FEE: Final = 0.0005
_DEFAULT_MAKER_FEE: Final = 0.0002
_LOTS: Final = {"BTCUSDT": (0.1, 0.001), "ETHUSDT": (0.01, 0.001)}
_GENERIC_LOT: Final = (0.01, 0.001)

# Names under which vendors keep these venues' contracts.
_SAME_VENUE: Final = {
    "binance-futures": "binance",
    "binance-delivery": "binance",
    "okex-swap": "okx",
    "gateio": "gate",
    "gate-io-futures": "gate",
}
# How each venue writes a contract that is margined in the coin itself.
_INVERSE: Final = {
    "binance": re.compile(r"[A-Z0-9]+USD_(PERP|\d{6})"),
    "bybit": re.compile(r"[A-Z0-9]+USD([FGHJKMNQUVXZ]\d{2})?"),
    "okx": re.compile(r"[A-Z0-9]+-USD-(SWAP|\d{6})"),
    "gate": re.compile(r"[A-Z0-9]+_USD(_\d{8})?"),
}
_KEEPS_BACK_THE_FEE: Final = frozenset({"okx", "gate"})
_BYBIT_TOOK_THE_MARK_VALUE: Final = "2025-09-02"
_NEWEST: Final = "9999-12-31"
# Stands for a formula that was not given, until __post_init__ puts the kind's own in its place.
_OF_THE_KIND: Final = cast("Formula", "of the kind")


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
    formula : Formula
        How the venue works out a liquidation price; by default the plain one of the kind.

    Raises
    ------
    InputError
        If the formula is not one for this kind of contract.
    """

    venue: str
    symbol: str
    kind: Kind
    tick: float
    lot: float
    taker_fee: float
    maker_fee: float
    brackets: Brackets
    formula: Formula = _OF_THE_KIND

    def __post_init__(self) -> None:
        """Fill in the formula, or check it."""
        if self.formula == _OF_THE_KIND:
            object.__setattr__(self, "formula", self.kind)
        elif ("inverse" in self.formula) != (self.kind == "inverse"):
            raise InputError(
                f"{self.venue} {self.symbol} is {self.kind}: formula {self.formula!r} does not fit it"
            )


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
        As the venue writes them; a contract margined in the coin is known by its symbol
        (``BTCUSD_PERP`` at Binance, ``BTCUSD`` at Bybit, ``BTC-USD-SWAP`` at OKX, ``BTC_USD`` at Gate).
    at : str or Timestamp, optional
        The moment (UTC) whose formula and maintenance-margin table are wanted; the newest known by
        default.

    Raises
    ------
    InputError
        If a name is not valid, or `at` is not a date.

    Notes
    -----
    The closing fee that OKX and Gate keep back too for contracts margined in the coin is left out.

    Look-ahead: with a date, nothing that a venue changed later is used; but a moment before the first
    known table gets that first one.

    Examples
    --------
    >>> instrument_for("bybit", "BTCUSDT", at="2025-09-01").formula
    'bybit linear until 2025-09'
    >>> instrument_for("binance", "BTCUSD_PERP").kind
    'inverse'
    """
    check_name("venue", venue)
    check_name("symbol", symbol)
    kind = _kind(venue, symbol)
    tick, lot = _LOTS.get(_contract(symbol), _GENERIC_LOT)
    return Instrument(
        venue=venue,
        symbol=symbol,
        kind=kind,
        tick=tick,
        lot=lot,
        taker_fee=_DEFAULT_TAKER_FEE,
        maker_fee=_DEFAULT_MAKER_FEE,
        brackets=brackets_for(venue, symbol, at=at),
        formula=_formula(venue, kind, _day(at)),
    )


def brackets_for(venue: str, symbol: str, *, at: str | pd.Timestamp | None = None) -> Brackets:
    """Return the maintenance-margin table in force at a moment (the first known one before that).

    Raises
    ------
    InputError
        If `at` is not a date.
    """
    table, day = _bracket_table(), _day(at)
    own = table[(table["venue"] == _plain(venue)) & (table["symbol"] == _contract(symbol))]
    if own.empty:
        return GENERIC_BRACKETS
    dates = sorted(own["in_force_by"].unique())
    date = max((d for d in dates if d <= day), default=dates[0])
    rows = own[own["in_force_by"] == date]
    return Brackets(
        source=f"{venue} {symbol}, in force by {date}",
        floor_unit=cast("FloorUnit", rows["floor_unit"].iloc[0]),
        **{
            name: rows[name].to_numpy(dtype=np.float64)
            for name in ("floor_notional", "maintenance_rate", "max_leverage", "maintenance_amount")
        },
    )


def _plain(venue: str) -> str:
    return _SAME_VENUE.get(venue, venue)


def _contract(symbol: str) -> str:
    """Write BTC-USDT-SWAP and BTC_USDT as BTCUSDT; a dated future stays another name."""
    return symbol.removesuffix("-SWAP").replace("-", "").replace("_", "")


def _kind(venue: str, symbol: str) -> Kind:
    pattern = _INVERSE.get(_plain(venue))
    return "inverse" if pattern is not None and pattern.fullmatch(symbol) else "linear"


def _formula(venue: str, kind: Kind, day: str) -> Formula:
    venue = _plain(venue)
    if venue == "bybit" and day < _BYBIT_TOOK_THE_MARK_VALUE:
        return "bybit linear until 2025-09" if kind == "linear" else "bybit inverse until 2025-09"
    return "linear with fee" if venue in _KEEPS_BACK_THE_FEE and kind == "linear" else kind


def _day(at: str | pd.Timestamp | None) -> str:
    if at is None:
        return _NEWEST
    try:
        return str(pd.to_datetime(at, utc=True).strftime("%Y-%m-%d"))
    except ValueError:
        raise InputError(f"at={at!r} is not a date: write for example 2025-09-02") from None


@cache
def _bracket_table() -> pd.DataFrame:
    text = {"venue": str, "symbol": str, "in_force_by": str, "floor_unit": str, "source": str}
    with resources.files(__package__).joinpath("brackets.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=text)
