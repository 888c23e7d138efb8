"""Charts of what a run's daily returns and random entries came to."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Label, NumeralTickFormatter, Span

from .plain_charts import padded, plain_figure
from .return_statistics import ROLLING_DAYS
from .run_record import RunRecord
from .time_axis import Shared, milliseconds, time_figure

_LINE: Final = "#2258b8"
_NEUTRAL: Final = "#7f8c9a"
_ROLLING: Final = {
    "rolling_sharpe": ("Sharpe ratio", 1.0),
    "rolling_volatility": ("Volatility (% a year)", 100.0),
}


def rolling_figures(record: RunRecord, shared: Shared) -> dict[str, Any]:
    """Return the rolling figures over the page's time axis; none where the run is shorter than a window."""
    daily = record.daily.to_pandas()
    # A day's figures are known at its end, where the next one begins.
    when = milliseconds(daily["day"]) + 86_400_000.0
    figures = {}
    for name, (label, scale) in _ROLLING.items():
        values = scale * daily[name].to_numpy(dtype=np.float64)
        if not np.isfinite(values).any():
            continue
        source = ColumnDataSource({"t": when, "value": values})
        plot = time_figure(shared, height=150, label=label, name=name)
        line = plot.line("t", "value", source=source, color=_LINE, line_width=1.8, name="line")
        plot.yaxis.formatter = NumeralTickFormatter(format="0.[0]")
        plot.yaxis.ticker.desired_num_ticks = 4
        rows = [("at", "@t{%Y-%m-%d} UTC"), (f"{ROLLING_DAYS} days", "@value{0.00}")]
        plot.add_tools(
            HoverTool(renderers=[line], tooltips=rows, formatters={"@t": "datetime"}, mode="vline")
        )
        figures[name] = plot
    return figures


def random_entry_figure(found: dict[str, Any]) -> Any:
    """Return the histogram of random entries with the run's own mean trade."""
    edges = np.array(found["edges"], dtype=np.float64)
    counts = np.array(found["counts"], dtype=np.float64)
    own = float(found["mean_bps"])
    plot = plain_figure(
        name="random_entry",
        height=220,
        x_range=padded(np.append(edges, own)),
        y_range=(0.0, 1.25 * float(counts.max())),
        x_label="Mean net trade (basis points of its value)",
        y_label="Draws",
    )
    plot.quad(
        left=edges[:-1], right=edges[1:], bottom=0.0, top=counts, fill_color=_NEUTRAL,
        fill_alpha=0.55, line_color=None,
    )  # fmt: skip
    plot.add_layout(Span(location=own, dimension="height", line_color=_LINE, line_width=3))
    middle = (edges[0] + edges[-1]) / 2.0
    plot.add_layout(
        Label(
            x=own, y=1.12 * float(counts.max()), text="this run", text_font_size="13px",
            x_offset=6 if own < middle else -6, text_align="left" if own < middle else "right",
            text_color=_LINE, name="run label",
        )
    )  # fmt: skip
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    plot.yaxis.ticker.desired_num_ticks = 4
    return plot
