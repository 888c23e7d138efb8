"""What a run did: every trade with the tier that caused it, and the equity at every bar.

Both analyzers work with any strategy and broker; what they cannot know is NaN. With
`PerpetualBroker` the trades' net results sum to the change of equity, since both come from the same
ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import backtrader as bt
import numpy as np
import pyarrow as pa

from .broker import PerpetualBroker
from .lean import PassedBars
from .ledger import END, Fill, FundingPayment

_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
TIER_COLUMNS: Final = (
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
        *[(name, pa.float64()) for name in TIER_COLUMNS],
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
``bars_held`` counts both of these bars. ``gross_pnl`` is at prices before slippage, ``net_pnl = gross_pnl
- fees - slippage + funding``, quote. ``mae`` and ``mfe`` are the worst and best price while held, as
fractions of the entry price: the ranges of the bars held, of the bar in which it was left only its open
and the exit, since the rest of that bar may have come later. ``own_liquidation_price`` is that of the
largest position held."""


class _Bar(NamedTuple):
    days: float
    open: float
    high: float
    low: float
    equity: float


class _Trip(NamedTuple):
    """Fills from flat to flat, and the places of the first and the last of them on the ledger."""

    fills: list[Fill]
    first: int
    last: int


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

    def pass_over(self, passed: PassedBars) -> None:
        """Record bars that a lean run passed over."""
        self.equity.extend(passed.equity.tolist())
        self.position.extend([passed.position] * len(passed.equity))

    def stop(self) -> None:
        """Take the closing on paper of what was still open into the last equity; it was held till then."""
        if self.equity:
            self.equity[-1] = self.strategy.broker.getvalue()

    def get_analysis(self) -> dict[str, list[float]]:
        """Return the two lists."""
        return {"equity": self.equity, "position": self.position}


class TierTrades(bt.Analyzer):  # type: ignore[misc]  # backtrader has no stubs
    """Every closed trade of the first data as a row of `TRADES_SCHEMA`.

    A position that is still open when the run ends is no trade, unless something closes it: see
    `PerpetualBroker.settle`.
    """

    def start(self) -> None:
        """Begin with nothing."""
        self._fills: list[Fill] = []
        self._bars: dict[int, _Bar] = {}
        self._trades: pa.Table | None = None

    def next(self) -> None:
        """Note what a bar looked like, whether or not the strategy is ready for it."""
        data = self.datas[0]
        if len(data):
            equity = self.strategy.broker.getvalue()
            self._bars[len(data) - 1] = _Bar(
                data.datetime[0], data.open[0], data.high[0], data.low[0], equity
            )

    def pass_over(self, passed: PassedBars) -> None:
        """Note what will be asked of bars that a lean run passed over: all while held, else the last."""
        first = passed.start if passed.position else passed.stop - 1
        lines = self.datas[0].lines
        columns = [
            getattr(lines, name).array[first : passed.stop]
            for name in ("datetime", "open", "high", "low")
        ]
        equity = passed.equity[first - passed.start :].tolist()
        for bar, values in enumerate(zip(*columns, equity, strict=True), start=first):
            self._bars[bar] = _Bar(*values)

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
                    order_ref=order.ref,
                )
            )

    def stop(self) -> None:
        """Make the table while the strategy is still at hand; an optimisation takes it away."""
        self._trades = self._table()

    def get_analysis(self) -> pa.Table:
        """Return the trades."""
        return self._table() if self._trades is None else self._trades

    def _table(self) -> pa.Table:
        broker, data = self.strategy.broker, self.datas[0]
        fills: Sequence[Fill] = self._fills
        funding: Sequence[FundingPayment] = ()
        if isinstance(broker, PerpetualBroker):
            ledger = broker.ledger(data)
            fills, funding = ledger.fills, ledger.funding
        rows: list[dict[str, object]] = []
        for number, trip in enumerate(_round_trips(fills), start=1):
            before = self._bars.get(trip.fills[0].bar - 1)
            equity = broker.startingcash if before is None else before.equity
            money = _money(trip, funding)
            rows.append(
                {
                    "trade_id": number,
                    **_story(trip.fills, self._bars),
                    "own_liquidation_price": _own_liquidation(broker, data, trip.fills),
                    **money,
                    "return_on_equity": money["net_pnl"] / equity,
                }
            )
        return pa.Table.from_pylist(rows, schema=TRADES_SCHEMA)


def _round_trips(fills: Sequence[Fill]) -> list[_Trip]:
    """Group fills from flat to flat; what is still open at the end is left out.

    A fill that turns the position around is split in two, its fee in proportion.
    """
    trips: list[_Trip] = []
    current: list[Fill] = []
    position, first = 0.0, 0
    for place, fill in enumerate(fills):
        for part in _split(fill, position):
            if not current:
                first = place
            current.append(part)
            position += part.size
            if abs(position) < 1e-9 * abs(part.size):
                trips.append(_Trip(current, first, place))
                current, position = [], 0.0
    return trips


def _split(fill: Fill, position: float) -> list[Fill]:
    turns = position * fill.size < 0 and abs(fill.size) > abs(position) * (1.0 + 1e-9)
    if not turns:
        return [fill]
    share = abs(position) / abs(fill.size)
    return [
        replace(fill, size=fill.size * part, fee=fill.fee * part) for part in (share, 1.0 - share)
    ]


def _money(trip: _Trip, funding: Sequence[FundingPayment]) -> dict[str, float]:
    gross = -sum(f.size * f.reference_price for f in trip.fills)
    slippage = sum(f.slippage for f in trip.fills)
    fees = sum(f.fee for f in trip.fills)
    paid = sum(p.amount for p in funding if trip.first < p.fills <= trip.last)
    return {
        "gross_pnl": gross,
        "fees": fees,
        "slippage": slippage,
        "funding": paid,
        "net_pnl": gross - slippage - fees + paid,
    }


def _story(fills: list[Fill], bars: Mapping[int, _Bar]) -> dict[str, object]:
    """Return what a trade was, why it was made, and how it went."""
    direction = 1 if fills[0].size > 0 else -1
    first, last = fills[0].bar, fills[-1].bar
    entry, size = _average(fills, direction)
    context = fills[0].context or {}
    worst, best = _extremes(fills, bars)[::direction]
    return {
        "direction": direction,
        "armed_ts": context.get("armed_ts"),
        "trigger_ts": context.get("trigger_ts"),
        "entry_ts": _microseconds(bars[first].days),
        "exit_ts": _microseconds(bars[last].days),
        "entry_price": entry,
        "exit_price": _average(fills, -direction)[0],
        "size": size,
        "stop_price": context.get("stop_price", np.nan),
        "target_price": context.get("target_price", np.nan),
        **{name: context.get(name, np.nan) for name in TIER_COLUMNS},
        "exit_reason": fills[-1].reason,
        "bars_held": last - first + 1,
        "mae": direction * (worst / entry - 1.0),
        "mfe": direction * (best / entry - 1.0),
    }


def _average(fills: list[Fill], sign: int) -> tuple[float, float]:
    """Return mean price and quantity of the fills in one direction."""
    chosen = [f for f in fills if f.size * sign > 0]
    size = sum(abs(f.size) for f in chosen)
    return sum(abs(f.size) * f.price for f in chosen) / size, size


def _extremes(fills: list[Fill], bars: Mapping[int, _Bar]) -> tuple[float, float]:
    """Return the lowest and the highest price while held; see `TRADES_SCHEMA`."""
    first, last = fills[0].bar, fills[-1].bar
    left_at_close = fills[-1].reason == END
    whole = [bars[bar] for bar in range(first, last + left_at_close)]
    prices = [f.reference_price for f in fills]
    if last > first:
        prices.append(bars[last].open)
    return min(prices + [bar.low for bar in whole]), max(prices + [bar.high for bar in whole])


def _own_liquidation(broker: Any, data: Any, fills: list[Fill]) -> float:
    if not isinstance(broker, PerpetualBroker) or broker.brackets is None:
        return float("nan")
    leverage = getattr(broker.getcommissioninfo(data).p, "position_leverage", None)
    if leverage is None:
        return float("nan")
    # What was added in all may be more than was ever held at once, and fall into a higher bracket.
    position = bt.Position()
    largest, entry = 0.0, float("nan")
    for fill in fills:
        position.update(fill.size, fill.price)
        if abs(position.size) > abs(largest):
            largest, entry = position.size, position.price
    price: float = broker.brackets.liquidation_price(
        entry, leverage, quantity=abs(largest), direction=1 if largest > 0 else -1
    )
    return price


def _microseconds(days: float) -> int:
    """Return backtrader's time as UTC microseconds; its float is exact to some ten of them."""
    return int(np.datetime64(bt.num2date(days), "us").astype(np.int64))
