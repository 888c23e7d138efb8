"""The backtest report: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.resources import INLINE
from markupsafe import Markup

from ..datasets.errors import LakeError
from .charts import build_charts
from .heatmap import LONG_COLOUR, SHORT_COLOUR
from .run_record import REPORT_FILE, RunRecord, read_run

_UNKNOWN: Final = "n/a"
_MILLION, _BILLION = 1e6, 1e9


def write_report(run: Path) -> Path:
    """Write a run's report into its folder and return the file.

    Raises
    ------
    InputError
        If the folder is no whole run.
    LakeError
        If the file cannot be written.
    """
    text = render_report(read_run(run))
    path = run / REPORT_FILE
    temporary = run / f".{REPORT_FILE}.{os.getpid()}"
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise LakeError(f"cannot write the report {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def render_report(record: RunRecord) -> str:
    """Return the report of a run as HTML."""
    about = record.about
    charts = build_charts(record)
    script, divs = components(charts.figures)
    instrument = about["instrument"]
    title = (
        f"{instrument['venue']} {instrument['symbol']}, {instrument['timeframe']} bars, "
        f"{about['data']['start'][:10]} to {about['data']['end'][:10]}"
    )
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
    )
    return environment.get_template("backtest.html.j2").render(
        about=about,
        title=title,
        css=Markup(_template("page.css")),  # our own file
        page_js=Markup(_template("page.js")),  # our own file
        bokeh_js=Markup(INLINE.render_js()),  # out of the installed wheel
        bokeh_script=Markup(script),  # bokeh escapes what it embeds
        charts={name: Markup(divs.get(name, "")) for name in _CHARTS},  # as above
        bars_json=Markup(_script_json(charts.data)),  # escaped by `_script_json`
        heatmap=charts.heatmap is not None,
        heatmap_full=money(charts.heatmap.full) if charts.heatmap else _UNKNOWN,
        short_colour=str(SHORT_COLOUR),
        long_colour=str(LONG_COLOUR),
        window=f"{about['window']:.0%}",
        prominent=[*about["map"]["notes"], *_missing(record)],
        figures=key_figures(about["summary"]),
        trades=[_trade(row) for row in record.trades.to_pylist()],
        by_exit=[_exit(row) for row in about["summary"]["by_exit"]],
        tables=_tables(about),
        versions=", ".join(f"{name} {version}" for name, version in about["versions"].items()),
    )


_CHARTS: Final = ("price", "imbalance", "equity", "drawdown", "funding", "open_interest")


def _template(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _script_json(value: object) -> str:
    return json.dumps(value).replace("<", "\\u003c")


def _missing(record: RunRecord) -> list[str]:
    found = []
    if not np.isfinite(record.bars["funding_rate"].to_numpy()).any():
        found.append("No funding rates: the result leaves out what funding would have cost.")
    return found


def key_figures(summary: dict[str, Any]) -> list[dict[str, str]]:
    """Return the figures at the top of the page: key, name, value and what it means."""
    interval = (
        f"95 %: {money(summary['mean_net_pnl_low'])} to {money(summary['mean_net_pnl_high'])}"
    )
    costs = f"{money(summary['fees'])} fees, {money(summary['slippage'])} slippage"
    fall = (
        f"from {summary['drawdown_from'][:10]} to {summary['drawdown_to'][:10]}"
        if summary["drawdown_from"]
        else "never below the start"
    )
    paid = summary["fees"] + summary["slippage"] - summary["funding"]
    values = {
        "net_return": ("Net result", percent(summary["net_return"])),
        "buy_and_hold_return": ("Buy-and-hold", percent(summary["buy_and_hold_return"])),
        "trades": ("Trades", f"{summary['trades']:,}"),
        "hit_rate": ("Won", share(summary["hit_rate"])),
        "mean_net_pnl": ("Mean trade", money(summary["mean_net_pnl"])),
        "max_drawdown": ("Deepest drawdown", percent(summary["max_drawdown"])),
        "sharpe": ("Sharpe ratio", number(summary["sharpe"])),
        "costs": ("Costs", money(paid)),
    }
    meanings = {
        "net_return": f"{money(summary['net_pnl'])} after all costs",
        "buy_and_hold_return": "same bars, fees and funding paid",
        "trades": f"in the market {share(summary['exposure'])} of the time",
        "hit_rate": "of the trades, after costs",
        "mean_net_pnl": interval,
        "max_drawdown": fall,
        "sharpe": "of daily returns, 365 days a year",
        "costs": f"{costs}, {money(-summary['funding'])} funding",
    }
    return [
        {"key": key, "name": name, "value": value, "meaning": meanings[key]}
        for key, (name, value) in values.items()
    ]


def _known(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


def percent(value: float | None) -> str:
    """Return a signed percentage."""
    return f"{value:+.2%}" if value is not None and _known(value) else _UNKNOWN


def share(value: float | None) -> str:
    """Return a percentage without sign."""
    return f"{value:.1%}" if value is not None and _known(value) else _UNKNOWN


def number(value: float | None, places: int = 2) -> str:
    """Return a number with thousands separated."""
    return f"{value:,.{places}f}" if value is not None and _known(value) else _UNKNOWN


def money(value: float | None) -> str:
    """Return an amount of quote currency, short."""
    if value is None or not _known(value):
        return _UNKNOWN
    for limit, unit in ((_BILLION, " B"), (_MILLION, " M")):
        if abs(value) >= limit:
            return f"{value / limit:,.2f}{unit}"
    if value == 0.0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"  # cents below


def _moment(value: Any) -> str:  # datetime or None
    return f"{value:%Y-%m-%d %H:%M}" if value is not None else _UNKNOWN


def _trade(row: dict[str, Any]) -> dict[str, Any]:
    net = row["net_pnl"]
    milliseconds = {
        n: int(pd.Timestamp(row[n]).timestamp() * 1000) for n in ("entry_ts", "exit_ts")
    }
    tier = f"{number(row['tier_lower'])} to {number(row['tier_upper'])}"
    return {
        "trade_id": row["trade_id"],
        "side": "long" if row["direction"] > 0 else "short",
        "from_ms": milliseconds["entry_ts"],
        "to_ms": milliseconds["exit_ts"],
        "armed": _moment(row["armed_ts"]),
        "entry": _moment(row["entry_ts"]),
        "exit": _moment(row["exit_ts"]),
        "entry_price": number(row["entry_price"]),
        "exit_price": number(row["exit_price"]),
        "size": number(row["size"], 3),
        "tier": tier if _known(row["tier_lower"]) else _UNKNOWN,
        "notional": money(row["tier_notional"]),
        "fuel": number(row["tier_fuel"]),
        "imbalance": number(row["imbalance"]),
        "exit_reason": row["exit_reason"] or _UNKNOWN,
        "bars_held": row["bars_held"],
        "gross": number(row["gross_pnl"]),
        "fees": number(row["fees"]),
        "slippage": number(row["slippage"]),
        "funding": number(row["funding"]),
        "net": number(net),
        "tone": "won" if net > 0 else "lost",
    }


def _exit(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "exit_reason": row["exit_reason"] or _UNKNOWN,
        "trades": row["trades"],
        "hit_rate": share(row["hit_rate"]),
        "mean": money(row["mean_net_pnl"]),
        "sum": money(row["net_pnl"]),
    }


def _tables(about: dict[str, Any]) -> list[dict[str, Any]]:
    tables = [
        _table("Parameters", about["parameters"], ("name", "value", "default", "unit", "meaning")),
        _table("Costs", about["costs"], ("name", "value", "default", "unit", "meaning")),
        _table("Liquidation map", about["map"]["parameters"], ("name", "value", "unit", "meaning")),
    ]
    data = about["data"]
    rows = [("map", about["map"]["model"]), ("bars", f"{data['bars']:,}")]
    rows += [
        (name, ", ".join(series) or "none")
        for name, series in data["sources"].items()
        if name != "bars"
    ]
    rows += [("series of bars", ", ".join(data["sources"]["bars"]))]
    rows += [("note", note) for note in data["notes"]]
    shown = [
        f"{start} to {end}: {missing} bars missing" for start, end, missing in data["gaps"][:20]
    ]
    rows += [("gap", text) for text in shown]
    return [*tables, {"title": "Data", "columns": ("what", "value"), "rows": rows}]


def _table(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> dict[str, Any]:
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    return {"title": title, "columns": columns, "rows": cells}


def _cell(value: Any) -> str:  # any JSON value
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(_cell(v) for v in value)
    return _UNKNOWN if value is None else str(value)
