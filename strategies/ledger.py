"""Everything that changed the cash of one feed, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

Liquidity = Literal["taker", "maker"]

ENTRY: Final = "entry"
LIQUIDATED: Final = "liquidated"
END: Final = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution.

    Attributes
    ----------
    bar : int
        Index of the bar in the feed.
    size : float
        Base, signed.
    price, reference_price : float
        What was paid, and what it would have been without slippage, quote per base.
    fee : float
        Quote.
    reason : str
        Why the order was sent: ``entry``, ``stop``, ``target``, ``absorbed``, ``time``, ``trail``,
        ``liquidated``, ``end``, or empty for an order that says nothing.
    context : object
        What the order carried under ``context``.
    order_ref : int
        backtrader's number of the order.
    liquidity : {"taker", "maker"}
        Which fee was charged.
    """

    bar: int
    size: float
    price: float
    reference_price: float
    fee: float
    reason: str
    context: Any = None
    order_ref: int = 0
    liquidity: Liquidity = "taker"

    @property
    def slippage(self) -> float:
        """Cost of the slippage, quote; positive against the order."""
        return self.size * (self.price - self.reference_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPayment:
    """Funding on the position held at a bar's close.

    Attributes
    ----------
    bar : int
    amount : float
        Quote; positive is received.
    fills : int
        Number of fills on the ledger before it, which says whose position it was.
    """

    bar: int
    amount: float
    fills: int


@dataclass(slots=True)
class Ledger:
    """Fills and funding payments of one feed, each in order."""

    fills: list[Fill] = field(default_factory=list)
    funding: list[FundingPayment] = field(default_factory=list)
