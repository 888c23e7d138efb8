"""The tables of a backtest report as rows of texts: the template only lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from .formatting import UNKNOWN, is_known, moment, money, number, percent, share, signed
from .performance_tables import ratio_rows
from .run_record import RunRecord

_GAPS_SHOWN: Final = 20
_SET_COLUMNS: Final = ("name", "value", "default", "unit", "meaning")


def key_figures(summary: dict[str, Any]) -> list[dict[str, str]]:
    """Return the figures at the top of the page: key, name, value and what it means."""
    low, high = (signed(summary[f"mean_net_pnl_{end}"]) for end in ("low", "high"))
    interval = (
        f"quote; 95% interval {low} to {high}" if low != UNKNOWN else "too few for an interval"
    )
    funding = f"{money(abs(summary['funding']))} funding {'received' if summary['funding'] > 0 else 'paid'}"
    fall = (
        f"from {summary['drawdown_from'][:10]} to {summary['drawdown_to'][:10]}"
        if summary["drawdown_from"]
        else "it never fell"
    )
    costs = summary["fees"] + summary["slippage"] - summary["funding"]
    split = f"{money(summary['fees'])} fees, {money(summary['slippage'])} slippage, {funding}"
    net, held = percent(summary["net_return"]), percent(summary["buy_and_hold_return"])
    inside = f"in the market {share(summary['exposure'])} of the time"
    rows = [
        ("net_return", "Net result", net, f"{signed(summary['net_pnl'])} after all costs"),
        ("buy_and_hold_return", "Buy-and-hold", held, "same bars, fees and funding included"),
        ("max_drawdown", "Deepest drawdown", percent(summary["max_drawdown"]), fall),
        ("sharpe", "Sharpe ratio", number(summary["sharpe"]), "of daily returns, 365 days a year"),
        ("trades", "Trades", f"{summary['trades']:,}", inside),
        ("hit_rate", "Won", share(summary["hit_rate"]), "of the trades, after costs"),
        ("mean_net_pnl", "Mean trade", signed(summary["mean_net_pnl"]), interval),
        ("costs", "Costs", money(costs), split),
    ]
    names = ("key", "name", "value", "meaning")
    return [dict(zip(names, row, strict=True)) for row in rows]


def more_figures(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that explain those at the top."""
    rows = [
        ("yearly growth", percent(summary["annual_return"]), "net, compounded over 365 days"),
        ("equity at the end", number(summary["final_equity"]), f"started with {number(summary['cash'])}"),
        ("gross result", number(summary["gross_pnl"]), "at prices before slippage, before fees and funding"),
        ("fees", number(summary["fees"]), "taker and maker"),
        ("slippage", number(summary["slippage"]), "half the spread, and the order's own impact"),
        ("funding", number(summary["funding"]), "received; below zero: paid"),
        ("mean net return", f"{number(summary['mean_return_bps'], 1)} bp", "of a trade's value at entry"),
        ("turnover", f"{number(summary['turnover'], 1)} x", "value bought and sold over the starting equity"),
        ("span", f"{number(summary['days'], 1)} days", "first to last bar"),
        *ratio_rows(summary.get("returns") or {}),
    ]  # fmt: skip
    return {"title": "More figures", "columns": ("figure", "value", "meaning"), "rows": rows}


def trade_rows(record: RunRecord, *, places: int) -> list[dict[str, Any]]:
    """Return the trades, prices with `places` decimals."""
    return [_trade(row, places) for row in record.trades.to_pylist()]


def _trade(row: dict[str, Any], places: int) -> dict[str, Any]:
    net = row["net_pnl"]
    milliseconds = {
        n: int(pd.Timestamp(row[n]).timestamp() * 1000) for n in ("entry_ts", "exit_ts")
    }
    tier = f"{number(row['tier_lower'], places)} to {number(row['tier_upper'], places)}"
    return {
        "trade_id": row["trade_id"],
        "side": "long" if row["direction"] > 0 else "short",
        "from_ms": milliseconds["entry_ts"],
        "to_ms": milliseconds["exit_ts"],
        "armed": moment(row["armed_ts"]),
        "entry": moment(row["entry_ts"]),
        "exit": moment(row["exit_ts"]),
        "entry_price": number(row["entry_price"], places),
        "exit_price": number(row["exit_price"], places),
        "stop": number(row["stop_price"], places),
        "target": number(row["target_price"], places),
        "size": number(row["size"], 3),
        "tier": tier if is_known(row["tier_lower"]) else UNKNOWN,
        "notional": money(row["tier_notional"]),
        "fuel": number(row["tier_fuel"]),
        "imbalance": number(row["imbalance"]),
        "exit_reason": row["exit_reason"] or UNKNOWN,
        "bars_held": f"{row['bars_held']:,}",
        "gross": number(row["gross_pnl"]),
        "fees": number(row["fees"]),
        "slippage": number(row["slippage"]),
        "funding": number(row["funding"]),
        "net": number(net),
        "net_pnl": net,
        "tone": "won" if net > 0 else "lost",
    }


def exit_rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the trades by how they ended."""
    return [
        {
            "exit_reason": row["exit_reason"] or UNKNOWN,
            "trades": f"{row['trades']:,}",
            "hit_rate": share(row["hit_rate"]),
            "mean": number(row["mean_net_pnl"]),
            **{name: number(row[name]) for name in ("gross_pnl", "fees", "slippage", "funding")},
            "sum": number(row["net_pnl"]),
        }
        for row in summary["by_exit"]
    ]


def setting_tables(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Return parameters, costs, the map's parameters and the data."""
    return [
        _table("Parameters", about["parameters"], _SET_COLUMNS),
        _table("Costs", about["costs"], _SET_COLUMNS),
        _table("Liquidation map", about["map"]["parameters"], ("name", "value", "unit", "meaning")),
        {"title": "Data", "columns": ("what", "value"), "rows": _data_rows(about)},
    ]


def _data_rows(about: dict[str, Any]) -> list[tuple[str, str]]:
    data = about["data"]
    rows = [
        ("span", f"{data['start']} to {data['end']}, {data['bars']:,} bars"),
        ("map", f"from {about['map']['model']}"),
        *[
            (name.replace("_", " "), ", ".join(series) or "none")
            for name, series in data["sources"].items()
        ],
        ("gaps", gaps_in_words(data["gaps"])),
        *[
            (f"gap {start}", f"to {end}, {_bars(missing)} missing")
            for start, end, missing in data["gaps"][:_GAPS_SHOWN]
        ],
        *[("note", note) for note in data["notes"]],
    ]
    hidden = len(data["gaps"]) - _GAPS_SHOWN
    return [*rows, ("gaps not listed", f"{hidden:,}")] if hidden > 0 else rows


def gaps_in_words(gaps: Sequence[Sequence[Any]]) -> str:
    """Return how many bars are missing, in words."""
    if not gaps:
        return "none: no bar is missing"
    stretches = "1 stretch" if len(gaps) == 1 else f"{len(gaps):,} stretches"
    return (
        f"{_bars(sum(missing for *_, missing in gaps))} missing in {stretches}; none is filled in"
    )


def _bars(count: int) -> str:
    return "1 bar" if count == 1 else f"{count:,} bars"


def _table(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> dict[str, Any]:
    shown = [name for name in columns if any(name in row for row in rows)]
    cells = [[cell_text(row.get(name)) for name in shown] for row in rows]
    changed = [row.get("default", row["value"]) != row["value"] for row in rows]
    return {"title": title, "columns": shown, "rows": cells, "changed": changed}


def cell_text(value: Any) -> str:  # any JSON value
    """Return a setting as a table shows it."""
    if isinstance(value, float):
        return f"{value:,.12g}"  # all digits that a user gave
    if isinstance(value, list):
        return ", ".join(cell_text(v) for v in value)
    return UNKNOWN if value is None else str(value)
