"""Each trade in words: the tier as it was frozen, what armed and triggered it, how it ended, what it cost.

What the rules saw at arming and trigger is worked out once, when a run is recorded, with the indicators
that the rules themselves use; the page reads it from the run's trades.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from ..datasets.panel import Float64Array1D, Int64Array1D, Panel
from ..strategies.indicators import average_true_range, thrust
from ..strategies.parameters import TierBreakoutParameters
from .formatting import UNKNOWN, is_known, moment, money, number, percent, signed

WHAT_THE_RULES_SAW: Final = (
    *("armed_close", "armed_distance", "trigger_close", "trigger_atr", "trigger_thrust"),
    "trigger_funding",
)
"""Columns that `with_what_the_rules_saw` adds: closes (quote), the near edge's distance from the close at
arming (fraction), average true range (quote), thrust (average true ranges, above 0 towards the tier), and
the funding rate (fraction)."""

_ENDS: Final = {
    "stop": "the stop was reached",
    "target": "the target was reached",
    "trail": "the trailing stop was reached",
    "absorbed": "absorbed: too little of the tier was crossed in time",
    "time": "the longest time to hold was over",
    "liquidated": "the position itself was liquidated",
    "end": "closed on paper, since the data end",
}


def with_what_the_rules_saw(
    trades: pa.Table, panel: Panel, parameters: TierBreakoutParameters
) -> pa.Table:
    """Return the trades with what the rules read at arming and trigger.

    Parameters
    ----------
    trades : pyarrow.Table
        Of `TRADES_SCHEMA`.
    panel : Panel
    parameters : TierBreakoutParameters

    Notes
    -----
    Look-ahead: a row's values are those of the closes of the bars named by ``armed_ts`` and ``trigger_ts``,
    NaN where a trade has none.
    """
    atr = average_true_range(panel.high, panel.low, panel.close, parameters.atr_bars)
    speed = thrust(panel.close, atr, parameters.thrust_bars)
    armed, triggered = (_rows_of(trades[name], panel) for name in ("armed_ts", "trigger_ts"))
    direction = trades["direction"].to_numpy()
    edge = np.where(direction > 0, *(_numbers(trades, f"tier_{n}") for n in ("lower", "upper")))
    armed_close = _at(panel.close, armed)
    columns = (
        armed_close,
        direction * (edge / armed_close - 1.0),
        _at(panel.close, triggered),
        _at(atr, triggered),
        direction * _at(speed, triggered),
        _at(panel.funding_rate, triggered),
    )
    for name, column in zip(WHAT_THE_RULES_SAW, columns, strict=True):
        trades = trades.append_column(name, pa.array(column))
    return trades


def trade_stories(
    trades: pa.Table, parameters: list[dict[str, Any]], *, places: int
) -> list[list[list[str]]]:
    """Return for each trade the lines that its card shows: what, and how it was.

    Parameters
    ----------
    trades : pyarrow.Table
        Those of a run; without `WHAT_THE_RULES_SAW` these are unknown.
    parameters : list of dict
        A run's, with ``name`` and ``value``.
    places : int
        Decimals of a price.
    """
    asked = {row["name"]: row["value"] for row in parameters}
    return [_story(row, asked, places) for row in trades.to_pylist()]


def _story(row: Mapping[str, Any], asked: Mapping[str, Any], places: int) -> list[list[str]]:
    side = "long" if row["direction"] > 0 else "short"
    price = {n: number(row.get(n), places) for n in row if n.endswith(("price", "close"))}
    tier = f"{number(row['tier_lower'], places)} to {number(row['tier_upper'], places)}"
    has_tier = is_known(row["tier_lower"])
    furthest = _limit("at most", asked.get("max_distance"), 100.0, "%")
    return [
        [
            f"Trade {row['trade_id']}, {side}",
            f"{signed(row['net_pnl'])} net, {percent(_net_return(row))} of its value at entry",
        ],
        [
            "Tier, as it was frozen",
            f"{tier}, worth {money(row['tier_notional'])}, fuel {number(row['tier_fuel'])} hours "
            f"({_limit('at least', asked.get('min_fuel'))})"
            if has_tier
            else "none: it was not entered for a tier",
        ],
        [
            "Armed by",
            f"the close of {moment(row['armed_ts'])} at {price.get('armed_close', UNKNOWN)}: near edge "
            f"{percent(row.get('armed_distance'))} away ({furthest}), "
            f"imbalance {number(row['imbalance'])} ({_limit('at least', asked.get('min_imbalance'))})",
        ],
        ["Triggered by", _trigger(row, asked, price)],
        [
            "Entered",
            f"{moment(row['entry_ts'])} at {price['entry_price']}, {number(row['size'], 3)} coins; stop "
            f"{price['stop_price']}, target {price['target_price']}, own liquidation at "
            f"{price.get('own_liquidation_price', UNKNOWN)}",
        ],
        [
            "Ended",
            f"{moment(row['exit_ts'])} at {price['exit_price']} after {row['bars_held']:,} bars: "
            f"{_ENDS.get(row['exit_reason'], row['exit_reason'] or UNKNOWN)}; at worst "
            f"{percent(row.get('mae'))}, at best {percent(row.get('mfe'))} from entry",
        ],
        [
            "Result, quote",
            f"gross {signed(row['gross_pnl'])}, fees {number(row['fees'])}, slippage "
            f"{number(row['slippage'])}, funding {signed(row['funding'])}: net {signed(row['net_pnl'])}",
        ],
    ]


def _trigger(row: Mapping[str, Any], asked: Mapping[str, Any], price: Mapping[str, str]) -> str:
    funding = row.get("trigger_funding")
    rate = number(1e4 * funding, 2) if funding is not None and is_known(funding) else UNKNOWN
    what = "a resting order at the edge, after" if asked.get("entry") == "stop" else "the close of"
    return (
        f"{what} {moment(row.get('trigger_ts'))} at {price.get('trigger_close', UNKNOWN)}: thrust "
        f"{number(row.get('trigger_thrust'))} average true ranges "
        f"({_limit('at least', asked.get('min_thrust'))}), funding {rate} bp "
        f"({_limit('at most', asked.get('max_funding'), 1e4, ' bp')})"
    )


def _limit(word: str, value: float | None, scale: float = 1.0, unit: str = "") -> str:
    return f"{word} {UNKNOWN if value is None else f'{scale * value:.6g}{unit}'} asked for"


def _net_return(row: Mapping[str, Any]) -> float:
    value = row["size"] * row["entry_price"]
    return float(row["net_pnl"] / value) if value else float("nan")


def _rows_of(moments: pa.ChunkedArray, panel: Panel) -> Int64Array1D:
    """Return the row of each moment among the bars, -1 where there is none."""
    known = pd.DatetimeIndex(moments.to_pandas()).tz_convert(None)
    wanted = np.where(known.isna(), np.iinfo(np.int64).min, known.as_unit("us").asi8)
    rows = np.clip(np.searchsorted(panel.ts, wanted), 0, max(len(panel) - 1, 0))
    return np.where(panel.ts[rows] == wanted, rows, -1)


def _at(values: Float64Array1D, rows: Int64Array1D) -> Float64Array1D:
    return np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)


def _numbers(trades: pa.Table, name: str) -> Float64Array1D:
    return np.asarray(trades[name].to_numpy(), dtype=np.float64)
