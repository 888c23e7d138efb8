"""The backtest report: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from bokeh.embed import components
from markupsafe import Markup

from ._page import (
    bokeh_js,
    page_template,
    script_json,
    template_text,
    told_of_record,
    write_whole,
)
from .charts import Charts, build_charts
from .formatting import money, price_places
from .heatmap import DYNAMIC_RANGE, LONG_COLOUR, SHORT_COLOUR, shade_alpha
from .level_log import level_log_hours, level_log_rows
from .packing import packed
from .page_tables import (
    exit_rows,
    gaps_in_words,
    key_figures,
    more_figures,
    setting_tables,
    trade_rows,
)
from .performance_tables import drawdown_rows, group_rows, month_rows
from .random_entry import random_entry_bars_words, random_entry_words
from .run_record import REPORT_FILE, RunRecord, read_run, run_title
from .trade_story import trade_stories

_CHARTS: Final = (
    *("price", "imbalance", "equity", "drawdown", "funding", "open_interest"),
    *("books", "shorts", "longs", "mix", "rolling_sharpe", "rolling_volatility", "random_entry"),
)
_STRENGTHS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


def write_report(run: Path) -> Path:
    """Write a run's report into its folder and return the file.

    Raises
    ------
    InputError
        If the folder is no whole run.
    LakeError
        If the file cannot be written.
    """
    path = run / REPORT_FILE
    write_whole(path, render_report(read_run(run)).encode("utf-8"))
    return path


def render_report(record: RunRecord) -> str:
    """Return the report of a run as HTML.

    Raises
    ------
    InputError
        If the record lacks something that the page shows.
    """
    with told_of_record(record.path, "run"):
        return _render(record)


def _render(record: RunRecord) -> str:
    about = record.about
    charts = build_charts(record)
    script, divs = components(charts.figures)
    instrument = about["instrument"]
    highest = float(np.max(record.bars["high"].to_numpy()))
    places = price_places(instrument["tick"], highest)
    summary, log = about["summary"], about.get("levels")
    return page_template("backtest.html.j2").render(
        about=about,
        title=run_title(about),
        css=Markup(template_text("page.css")),  # our own file
        page_js=Markup(template_text("page.js")),  # our own file
        chart_css=Markup(template_text("chart.css")),  # our own file
        chart_js=Markup(template_text("backtest_chart.js")),  # our own file
        bokeh_js=Markup(bokeh_js()),  # out of the installed wheel
        bokeh_script=Markup(script),  # bokeh escapes what it embeds
        charts={name: Markup(divs.get(name, "")) for name in _CHARTS},  # as above
        bars_json=Markup(script_json(charts.data)),  # escaped by `script_json`
        legend=_legend(charts),
        check=about["map"].get("check"),  # runs of an early version have none
        window=f"{about['window']:.0%}",
        prominent=[*about["map"]["notes"], *_missing(record)],
        basis=_basis(about),
        figures=key_figures(summary),
        trades=trade_rows(record, places=places),
        stories=_stories(record, places),
        by_exit=exit_rows(summary),
        by_group=group_rows(
            summary.get("by_group", [])
        ),  # of runs of an early version there are none
        chance=_chance(summary),
        levels=level_log_rows(log, places=places) if log else [],
        levels_named=bool(log),
        level_hours=level_log_hours(log) if log else [],
        months=month_rows(summary.get("months", [])),
        drawdowns=drawdown_rows(summary.get("drawdowns", [])),
        more=more_figures(summary),
        tables=setting_tables(about),
        versions=", ".join(f"{name} {version}" for name, version in about["versions"].items()),
    )


def _chance(summary: dict[str, Any]) -> str:
    """Return how the run stands among random entries, and over which bars; empty where nothing was drawn."""
    found = summary.get("random_entry")
    return f"{random_entry_words(found)} {random_entry_bars_words(found)}" if found else ""


def _legend(charts: Charts) -> dict[str, Any] | None:
    """Return the two colour scales of the heatmap, or None where nothing was drawn."""
    if charts.heatmap is None:
        return None
    scales = [
        {
            "name": name,
            "css": ", ".join(f"rgb({r} {g} {b} / {shade_alpha(s):.2f})" for s in _STRENGTHS),
        }
        for name, (r, g, b) in (
            ("shorts' liquidations", SHORT_COLOUR),
            ("longs' liquidations", LONG_COLOUR),
        )
    ]
    full = charts.heatmap.full
    return {"scales": scales, "low": money(full / DYNAMIC_RANGE), "high": money(full)}


def _missing(record: RunRecord) -> list[str]:
    found = []
    if not np.isfinite(record.bars["funding_rate"].to_numpy()).any():
        found.append("No funding rates: the result leaves out what funding would have cost.")
    gaps = record.about["data"]["gaps"]
    if gaps:
        found.append(f"Missing data: {gaps_in_words(gaps)}.")
    return found


def _stories(record: RunRecord, places: int) -> str:
    told = trade_stories(record.trades, record.about["parameters"], places=places)
    return packed(json.dumps(told, ensure_ascii=False).encode("utf-8"))


def _basis(about: dict[str, Any]) -> str:
    """Return what was charged and what the result is measured against, in words."""
    costs = [
        f"{row['name'].removesuffix('_bps').replace('_', ' ')} {_rate(row)}"
        for row in about["costs"]
    ]
    charged = ", ".join(costs) or "no fee"
    return (
        f"Charged: {charged}, and funding as it was settled. Buy-and-hold: all the cash in the "
        "contract from the first open to the last close, without leverage, taker fee both ways, funding "
        "paid out of the position or added to it."
    )


def _rate(row: dict[str, Any]) -> str:
    value = row["value"]
    unit = {"fraction": "%", "ratio": ""}.get(row["unit"], f" {row['unit']}")
    return f"{100 * value if unit == '%' else value:g}{unit}"
