"""The charts of a study of evidence over time and over size, out of its record; see ``evidence_charts``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from bokeh.models import (
    ColumnDataSource,
    DatetimeTickFormatter,
    FixedTicker,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
    Span,
)

from ..datasets.panel import Float64Array1D
from .evidence_charts import LINE, LOOKS, SECOND, SOFT, ratio_text
from .evidence_words import round_money
from .plain_charts import padded, plain_figure
from .time_axis import milliseconds

_DECADES: Final = 3.0
"""An imbalance is drawn up to 1,000 : 1."""


def time_chart(
    name: str,
    moments: pa.ChunkedArray,
    curves: Mapping[str, Float64Array1D],
    *,
    y_label: str,
    looks: Mapping[str, str],
    hover: str,
    at: float,
) -> Any:
    """Return curves over time.

    Parameters
    ----------
    name : str
    moments : pyarrow.ChunkedArray of timestamps
    curves : mapping of str to ndarray
        By their names in the hover.
    y_label : str
    looks : mapping of str to str
        ``line``, ``second`` or ``soft`` for each curve.
    hover : str
        How a value is written.
    at : float
        Where the line is drawn that means nothing happened.
    """
    when = milliseconds(moments.to_pandas())
    keys = {told: f"c{k}" for k, told in enumerate(curves)}
    source = ColumnDataSource({"t": when, **{keys[k]: v for k, v in curves.items()}})
    plot = plain_figure(
        name=name,
        height=300,
        x_range=padded(when),
        y_range=padded(np.append(np.concatenate(list(curves.values())), at)),
        x_label="UTC",
        y_label=y_label,
        x_axis_type="datetime",
    )
    plot.xaxis.formatter = DatetimeTickFormatter(days="%d %b %Y", months="%b %Y", years="%Y")
    plot.xaxis.ticker.desired_num_ticks = 6
    plot.add_layout(Span(location=at, dimension="width", line_color=SOFT, line_width=1))
    dashes = {"line": "solid", "second": "dashed", "soft": "solid"}
    colours = {"line": LINE, "second": SECOND, "soft": SOFT}
    lines = [
        plot.line(
            "t",
            keys[told],
            source=source,
            color=colours[looks[told]],
            name=looks[told],
            line_dash=dashes[looks[told]],
            line_width=0.6 if looks[told] == "soft" else 2.0,
        )
        for told in curves
    ]
    rows = [
        ("day", "@t{%Y-%m-%d}"),
        *[(told, f"@{keys[told]}{{{hover}}}") for told in curves],
    ]
    plot.add_tools(
        HoverTool(renderers=[lines[-1]], tooltips=rows, formatters={"@t": "datetime"}, mode="vline")
    )
    return plot


def conventions_chart(name: str, table: pa.Table) -> Any:
    """Return the range of the imbalance over all conventions, day by day."""
    columns = {k: table[k].to_numpy() / np.log(10.0) for k in ("lowest", "middle", "highest")}
    shown = {k: np.clip(v, -_DECADES, _DECADES) for k, v in columns.items()}
    plot = time_chart(
        name,
        table["ts"],
        {"least": shown["lowest"], "largest": shown["highest"], "median": shown["middle"]},
        y_label="Imbalance (shorts : longs)",
        looks={"least": "soft", "largest": "soft", "median": "line"},
        hover="+0.00",
        at=0.0,
    )
    source = plot.renderers[0].data_source
    plot.varea("t", "c0", "c1", source=source, fill_color=SOFT, fill_alpha=0.3)
    for key, told in (("least", "lowest"), ("largest", "highest"), ("median", "middle")):
        source.data[key] = [ratio_text(v) for v in table[told].to_numpy()]
    plot.select(HoverTool).tooltips = [
        ("day", "@t{%Y-%m-%d}"),
        *[(k, f"@{k}") for k in ("least", "median", "largest")],
    ]
    ticks = [float(t) for t in range(-int(_DECADES), int(_DECADES) + 1)]
    plot.yaxis.ticker = FixedTicker(ticks=ticks)
    plot.yaxis.major_label_overrides = {
        t: f"{10**t:g} : 1" if t >= 0.0 else f"1 : {10**-t:g}" for t in ticks
    }
    return plot


def capacity_chart(name: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return what the rule earned a year before and after costs, by its equity."""
    known = [row for row in rows if not row["refused"] and row["net"] is not None]
    equity = np.array([row["equity"] for row in known], dtype=np.float64)
    curves = {
        key: 100.0 * np.array([row[key] for row in known], dtype=np.float64)
        for key in ("gross", "net")
    }
    source = ColumnDataSource(
        {"equity": equity, "told": [round_money(e) for e in equity], **curves}
    )
    span = equity if len(equity) else np.array([1.0, 10.0])
    plot = plain_figure(
        name=name,
        height=260,
        x_range=Range1d(float(span.min()) / 1.6, float(span.max()) * 1.6),
        y_range=padded(np.append(np.concatenate(list(curves.values())), 0.0)),
        x_label="Starting equity (quote)",
        y_label="A year (% of equity)",
        x_axis_type="log",
    )
    plot.xaxis.ticker = FixedTicker(ticks=equity.tolist())
    plot.xaxis.major_label_overrides = {e: round_money(e) for e in equity.tolist()}
    plot.xgrid.grid_line_color = None
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    plot.add_layout(Span(location=0.0, dimension="width", line_color=SOFT, line_width=1))
    marks = []
    for key, look in (("gross", "second"), ("net", "line")):
        marker, colour, _, width = LOOKS[look]
        dash = "dashed" if look == "second" else "solid"
        plot.line(
            "equity", key, source=source, color=colour, line_width=width, line_dash=dash, name=look
        )
        marks.append(
            plot.scatter(
                "equity", key, source=source, marker=marker, size=9, color=colour, name=look
            )
        )
    rows_told = [("equity", "@told"), ("gross", "@gross{+0.0} %"), ("net", "@net{+0.0} %")]
    plot.add_tools(HoverTool(renderers=marks, tooltips=rows_told))
    return plot
