"""What a market or stop order pays beyond the price it was triggered at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..datasets.errors import InputError
from ._cost_formulas import square_root_bps


class Slippage(Protocol):
    """Anything that prices the slippage of one fill."""

    def bps(self, notional: float, *, quote_volume: float, high: float, low: float) -> float:
        """Return the slippage in basis points, adverse.

        Parameters
        ----------
        notional : float
            Value of the order, quote.
        quote_volume : float
            Traded value of the bar in which it fills, quote.
        high, low : float
            Range of that bar, quote per base.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareRootSlippage:
    """Half the spread and the square-root impact law.

    ``impact = coefficient * volatility * sqrt(notional / volume)`` with the volatility and the volume
    of the same stretch of time, here the bar's: its Parkinson volatility ``ln(high / low) / (2 sqrt(ln
    2))``. It needs no timeframe of its own and charges most where breakouts happen.

    Attributes
    ----------
    spread_bps : float
        Full spread.
    coefficient : float
        Near 1 in the literature.
    max_bps : float
        Cap; also charged where the bar has no volume.

    References
    ----------
    B. Tóth et al., "Anomalous price impact and the critical nature of liquidity in financial
    markets", Physical Review X 1, 021006 (2011), doi:10.1103/PhysRevX.1.021006.
    M. Parkinson, "The extreme value method for estimating the variance of the rate of return",
    Journal of Business 53 (1980), doi:10.1086/296071.
    """

    spread_bps: float = 1.0
    coefficient: float = 1.0
    max_bps: float = 200.0

    def bps(self, notional: float, *, quote_volume: float, high: float, low: float) -> float:
        """Return the slippage in basis points; see `Slippage.bps`."""
        return square_root_bps(
            float(notional),
            float(quote_volume),
            float(high),
            float(low),
            float(self.spread_bps),
            float(self.coefficient),
            float(self.max_bps),
        )


@dataclass(frozen=True, slots=True)
class DepthSlippage:
    """The average price of walking a fixed order book.

    Attributes
    ----------
    levels : sequence of (float, float)
        Distance from the middle in basis points and the notional (quote) resting up to there, both
        increasing. Between two levels the notional is spread evenly.

    Raises
    ------
    InputError
        If there are no levels or they do not increase.
    """

    levels: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        steps = list(zip(self.levels, self.levels[1:], strict=False))
        if not self.levels or any(b[0] <= a[0] or b[1] <= a[1] for a, b in steps):
            raise InputError("a depth table needs levels of increasing distance and notional")

    def bps(self, notional: float, *, quote_volume: float, high: float, low: float) -> float:
        """Return the mean distance at which the book fills the order, the last level's beyond it."""
        paid = 0.0
        filled = 0.0
        near = self.levels[0][0]
        for distance, depth in self.levels:
            take = min(depth, notional) - filled
            if take > 0.0:
                reach = near + (distance - near) * take / (depth - filled)
                paid += take * (near + reach) / 2.0
                filled += take
            near = distance
        return (paid + (notional - filled) * near) / notional if notional > 0.0 else 0.0
