"""The page of a comparison of runs, with its figures as JSON beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from bokeh.embed import components
from bokeh.models import ColumnDataSource, DatetimeTickFormatter, NumeralTickFormatter
from markupsafe import Markup

from ._page import bokeh_js, page_template, template_text, told_of_record, write_whole
from .comparison_words import sentence_of
from .formatting import UNKNOWN, number, percent, share, signed
from .page_tables import cell_text
from .plain_charts import padded, plain_figure
from .record_files import plain, record_id, record_text, whole_folder
from .run_comparison import compare_runs
from .run_record import RunRecord

SCHEMA_VERSION: Final = 1
COMPARISONS: Final = "comparisons"
COMPARISON_FILE: Final = "comparison.json"
PAGE_FILE: Final = "report.html"
MOST_TRADES: Final = 300
"""Rows of trades that differ on the page; the JSON has all."""

# Okabe and Ito's colours, told apart with any colour vision; the dash tells the second eight.
_COLOURS: Final = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f", "#7f8c9a"),
)
_FIGURES: Final = {
    "net_return": ("net result", percent),
    "buy_and_hold_return": ("buy-and-hold", percent),
    "annual_return": ("yearly growth", percent),
    "max_drawdown": ("deepest drawdown", percent),
    "sharpe": ("Sharpe ratio", number),
    "trades": ("trades", lambda v: number(v, 0)),
    "hit_rate": ("won", share),
    "mean_net_pnl": ("mean trade (quote)", signed),
    "exposure": ("time in the market", share),
    "turnover": ("turnover (times the cash)", number),
    "fees": ("fees (quote)", number),
    "slippage": ("slippage (quote)", number),
    "funding": ("funding (quote; below 0: paid)", number),
}


def write_comparison(
    workspace: Path, records: Sequence[RunRecord], *, command: str, created_at: datetime
) -> Path:
    """Write ``comparisons/<id>/`` with the page and comparison.json, and return the page.

    Raises
    ------
    InputError
        See `compare_runs`; or if a record lacks something.
    LakeError
        If it cannot be written.
    """
    with told_of_record(records[0].path if records else workspace, "run"):
        found = plain(compare_runs(records))
    name = record_id(created_at, found)
    about = {
        "schema": SCHEMA_VERSION,
        "id": name,
        "created_at": created_at.isoformat(),
        "command": command,
        "sentence": sentence_of(found),
        **found,
    }
    folder = workspace / COMPARISONS / name
    with whole_folder(folder, what="the comparison") as hidden:
        (hidden / COMPARISON_FILE).write_text(record_text(about), encoding="utf-8")
        write_whole(hidden / PAGE_FILE, render_comparison(about).encode("utf-8"))
    return folder / PAGE_FILE


def render_comparison(about: dict[str, Any]) -> str:
    """Return the page as HTML."""
    script, div = components(_equity(about["equity"]))
    return page_template("comparison.html.j2").render(
        about=about,
        colours=[_COLOURS[k % len(_COLOURS)] for k in range(len(about["runs"]))],
        dashed=[k >= len(_COLOURS) for k in range(len(about["runs"]))],
        figures=[_figure_row(row) for row in about["figures"]],
        differing=[_setting(row) for row in about["differing"]],
        shared=[_setting(row) for row in about["shared"]],
        trades=[_trades(found) for found in about["trades"]],
        css=Markup(template_text("page.css")),  # our own file
        page_js=Markup(template_text("plain.js")),  # our own file
        bokeh_js=Markup(bokeh_js()),  # out of the installed wheel
        bokeh_script=Markup(script),  # bokeh escapes what it embeds
        chart=Markup(div),  # as above
    )


def _equity(equity: dict[str, Any]) -> Any:
    when = np.array(equity["days"], dtype="datetime64[ms]").astype(np.float64) + 86_400_000.0
    curves = [
        100.0 * (np.array([np.nan if v is None else v for v in c], dtype=np.float64) - 1.0)
        for c in equity["curves"]
    ]
    plot = plain_figure(
        name="equity",
        height=360,
        x_range=padded(when),
        y_range=padded(np.concatenate(curves)),
        x_label="UTC",
        y_label="Return since the start (%)",
        x_axis_type="datetime",
    )
    plot.xaxis.formatter = DatetimeTickFormatter(days="%d %b %Y", months="%b %Y", years="%Y")
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    for k, curve in enumerate(curves):
        source = ColumnDataSource({"t": when, "value": curve})
        plot.line(
            "t", "value", source=source, color=_COLOURS[k % len(_COLOURS)], line_width=2,
            line_dash="dashed" if k >= len(_COLOURS) else "solid", name=f"run {k + 1}",
        )  # fmt: skip
    return plot


def _figure_row(row: dict[str, Any]) -> dict[str, Any]:
    label, show = _FIGURES[row["name"]]
    return {"key": row["name"], "label": label, "values": [show(value) for value in row["values"]]}


def _setting(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "values": [cell_text(value) for value in row["values"]]}


def _trades(found: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {
            **row,
            "entry": row["entry_ts"][:16].replace("T", " "),
            **{
                which: f"{(row[f'{which}_exit_ts'] or '')[:16].replace('T', ' ')}, "
                f"{row[f'{which}_exit_reason'] or UNKNOWN}, {signed(row[f'{which}_net_pnl'])}"
                if row[f"{which}_exit_ts"]
                else ""
                for which in ("first", "other")
            },
        }
        for row in found["rows"][:MOST_TRADES]
    ]
    return {**found, "rows": rows, "hidden": max(len(found["rows"]) - MOST_TRADES, 0)}
