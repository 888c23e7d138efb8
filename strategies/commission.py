"""Commission of a linear perpetual future with isolated margin."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from ._cost_formulas import fee_of, margin_of_one


class PerpetualCommission(bt.CommInfoBase):  # type: ignore[misc]  # backtrader has no stubs
    """Fees and margin of a linear perpetual.

    Usable with backtrader's own broker too: every fill then pays the taker fee, and the broker must
    be given ``shortcash=False``, since only then does it ask for the value of a position and not of a
    quantity at the last close; with the default a margin that depends on the price makes equity
    drift.

    Params
    ------
    taker, maker : float
        Fees, fractions of the traded value.
    position_leverage : float
        Position value over its isolated margin.
    """

    params = (
        ("taker", 0.0005),
        ("maker", 0.0002),
        ("position_leverage", 1.0),
        ("stocklike", False),
        ("commtype", bt.CommInfoBase.COMM_PERC),
        ("percabs", True),
    )

    def __init__(self, **_: Any) -> None:  # backtrader has taken the params out already
        super().__init__()
        self.fee_rate: float = self.p.taker

    def get_margin(self, price: float) -> float:
        """Return the margin of one coin opened at a price, quote."""
        return float(margin_of_one(price, self.p.position_leverage))

    def getvalue(self, position: bt.Position, price: float) -> float:
        """Return the margin that a position holds: it was set aside at its entry price."""
        return float(abs(position.size) * self.get_margin(position.price))

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return fee_of(size, price, self.fee_rate)
