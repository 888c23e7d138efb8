"""What a run did: every trade with the tier that caused it, and the equity at every bar.

Both analyzers work with any strategy and broker; what they cannot know is NaN. With
`PerpetualBroker` the trades' net results sum to the change of equity, since both come from the same
ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import backtrader as bt
import numpy as np
import pyarrow as pa

from .broker import Fill, FundingPayment, PerpetualBroker

_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
_TIER_COLUMNS: Final = (
    "tier_lower",
    "tier_upper",
    "tier_peak",
    "tier_notional",
    "tier_fuel",
    "imbalance",
)

TRADES_SCHEMA: Final = pa.schema(
    [
        ("trade_id", pa.int64()),
        ("direction", pa.int64()),
        ("armed_ts", _TIMESTAMP),
        ("trigger_ts", _TIMESTAMP),
        ("entry_ts", _TIMESTAMP),
        ("exit_ts", _TIMESTAMP),
        ("entry_price", pa.float64()),
        ("exit_price", pa.float64()),
        ("size", pa.float64()),
        ("stop_price", pa.float64()),
        ("target_price", pa.float64()),
        ("own_liquidation_price", pa.float64()),
        *[(name, pa.float64()) for name in _TIER_COLUMNS],
        ("exit_reason", pa.string()),
        ("bars_held", pa.int64()),
        ("gross_pnl", pa.float64()),
        ("fees", pa.float64()),
        ("slippage", pa.float64()),
        ("funding", pa.float64()),
        ("net_pnl", pa.float64()),
        ("return_on_equity", pa.float64()),
        ("mae", pa.float64()),
        ("mfe", pa.float64()),
    ]
)
"""One row a closed trade. Entry and exit times are the opens of the bars in which the fills happened;
``gross_pnl`` is at prices before slippage, ``net_pnl = gross_pnl - fees - slippage + funding``, quote;
``mae`` and ``mfe`` are the worst and best price while held, as fractions of the entry price."""


class EquityCurve(bt.Analyzer):  # type: ignore[misc]  # backtrader has no stubs
    """Equity (quote) and position (base) at each bar's close; ``get_analysis()`` has both as lists."""

    def start(self) -> None:
        """Begin with nothing."""
        self.equity: list[float] = []
        self.position: list[float] = []

    def prenext(self) -> None:
        """Record bars before the strategy's indicators are ready, too."""
        self.next()

    def next(self) -> None:
        """Record one bar."""
        self.equity.append(self.strategy.broker.getvalue())
        self.position.append(self.strategy.position.size)

    def stop(self) -> None:
        """Take the closing of what was still open at the end into the last bar."""
        if self.equity:
            self.equity[-1] = self.strategy.broker.getvalue()
            self.position[-1] = self.strategy.position.size

    def get_analysis(self) -> dict[str, list[float]]:
        """Return the two lists."""
        return {"equity": self.equity, "position": self.position}


class TierTrades(bt.Analyzer):  # type: ignore[misc]  # backtrader has no stubs
    """Every closed trade of the first data as a row of `TRADES_SCHEMA`."""

    def start(self) -> None:
        """Begin with nothing."""
        self._fills: list[Fill] = []

    def notify_order(self, order: bt.Order) -> None:
        """Note a fill of a broker that keeps no ledger."""
        if order.status == order.Completed and order.data is self.datas[0]:
            executed = order.executed
            self._fills.append(
                Fill(
                    bar=len(order.data) - 1,
                    size=executed.size,
                    price=executed.price,
                    reference_price=executed.price,
                    fee=executed.comm,
                    reason=order.info.get("reason", ""),
                    context=order.info.get("context", None),
                )
            )

    def get_analysis(self) -> pa.Table:
        """Return the trades."""
        broker, data = self.strategy.broker, self.datas[0]
        fills: Sequence[Fill] = self._fills
        funding: Sequence[FundingPayment] = ()
        if isinstance(broker, PerpetualBroker):
            ledger = broker.ledger(data)
            fills, funding = ledger.fills, ledger.funding
        equity = self._equity_before()
        rows = [
            _trade_row(number, group, funding, data, broker, equity)
            for number, group in enumerate(_round_trips(fills), start=1)
        ]
        return pa.Table.from_pylist(rows, schema=TRADES_SCHEMA)

    def _equity_before(self) -> list[float]:
        curves = [a for a in self.strategy.analyzers if isinstance(a, EquityCurve)]
        return curves[0].equity if curves else []


def _round_trips(fills: Sequence[Fill]) -> list[list[Fill]]:
    """Group fills from flat to flat; what is still open at the end is left out.

    A fill that turns the position around is split in two, its fee in proportion.
    """
    trips: list[list[Fill]] = []
    current: list[Fill] = []
    position = 0.0
    for fill in fills:
        for part in _split(fill, position):
            current.append(part)
            position += part.size
            if abs(position) < 1e-9 * abs(part.size):
                trips.append(current)
                current, position = [], 0.0
    return trips


def _split(fill: Fill, position: float) -> list[Fill]:
    turns = position * fill.size < 0 and abs(fill.size) > abs(position) * (1.0 + 1e-9)
    if not turns:
        return [fill]
    share = abs(position) / abs(fill.size)
    return [
        Fill(
            bar=fill.bar,
            size=fill.size * part,
            price=fill.price,
            reference_price=fill.reference_price,
            fee=fill.fee * part,
            reason=fill.reason,
            context=fill.context,
        )
        for part in (share, 1.0 - share)
    ]


def _trade_row(
    number: int,
    fills: list[Fill],
    funding: Sequence[FundingPayment],
    data: Any,
    broker: Any,
    equity: list[float],
) -> dict[str, object]:
    direction = 1 if fills[0].size > 0 else -1
    opened = [f for f in fills if f.size * direction > 0]
    closed = [f for f in fills if f.size * direction < 0]
    size = sum(abs(f.size) for f in opened)
    entry = sum(abs(f.size) * f.price for f in opened) / size
    first, last = fills[0].bar, fills[-1].bar
    gross = -sum(f.size * f.reference_price for f in fills)
    slippage = sum(f.size * (f.price - f.reference_price) for f in fills)
    fees = sum(f.fee for f in fills)
    paid = sum(p.amount for p in funding if first <= p.bar < last or (first == last == p.bar))
    net = gross - slippage - fees + paid
    before = equity[first - 1] if 0 < first <= len(equity) else broker.startingcash
    context = fills[0].context or {}
    moments = {"entry_ts": first, "exit_ts": last}
    excursion = _excursions(data, first, last, entry, direction)
    return {
        "trade_id": number,
        "direction": direction,
        "armed_ts": context.get("armed_ts"),
        "trigger_ts": context.get("trigger_ts"),
        **{name: _open_us(data, bar) for name, bar in moments.items()},
        "entry_price": entry,
        "exit_price": sum(abs(f.size) * f.price for f in closed) / size,
        "size": size,
        "stop_price": context.get("stop_price", np.nan),
        "target_price": context.get("target_price", np.nan),
        "own_liquidation_price": _own_liquidation(broker, data, entry, size * direction),
        **{name: context.get(name, np.nan) for name in _TIER_COLUMNS},
        "exit_reason": fills[-1].reason,
        "bars_held": last - first + 1,
        "gross_pnl": gross,
        "fees": fees,
        "slippage": slippage,
        "funding": paid,
        "net_pnl": net,
        "return_on_equity": net / before,
        "mae": excursion[0],
        "mfe": excursion[1],
    }


def _excursions(
    data: Any, first: int, last: int, entry: float, direction: int
) -> tuple[float, float]:
    high = max(data.high.array[first : last + 1])
    low = min(data.low.array[first : last + 1])
    worst, best = (low, high) if direction > 0 else (high, low)
    return direction * (worst / entry - 1.0), direction * (best / entry - 1.0)


def _own_liquidation(broker: Any, data: Any, entry: float, size: float) -> float:
    if not isinstance(broker, PerpetualBroker) or broker.brackets is None:
        return float("nan")
    leverage = getattr(broker.getcommissioninfo(data).p, "position_leverage", None)
    if leverage is None:
        return float("nan")
    direction = 1 if size > 0 else -1
    return broker.brackets.liquidation_price(
        entry, leverage, quantity=abs(size), direction=direction
    )


def _open_us(data: Any, bar: int) -> int:
    panel = getattr(data, "panel", None)
    if panel is not None:
        return int(panel.ts[bar])
    moment = bt.num2date(data.datetime.array[bar])
    return int(np.datetime64(moment, "us").astype(np.int64))
