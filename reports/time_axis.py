"""What all charts of a page have in common: one time axis, one cursor, the same tools and look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    CrosshairTool,
    DatetimeTickFormatter,
    PanTool,
    Range1d,
    ResetTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from ..datasets.panel import Float64Array1D


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all charts of a page have in common."""

    source: ColumnDataSource
    time: Range1d
    cursor: Span
    price_format: str
    axis_format: str


def time_figure(shared: Shared, *, height: int, label: str, name: str, **options: Any) -> Any:
    """Return an empty figure over the page's time axis; `label` names the other axis, with its unit."""
    # Without the key, a wheel that scrolls the page would zoom whatever it passes.
    wheel = WheelZoomTool(dimensions="width", modifiers={"ctrl": True})
    pan, box = PanTool(dimensions="width"), BoxZoomTool(dimensions="width")
    plot = figure(
        x_range=shared.time,
        height=height,
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        toolbar_location="above" if name == "price" else None,
        tools=[pan, box, wheel, ResetTool(), CrosshairTool(overlay=shared.cursor)],
        active_drag=pan,
        active_scroll=wheel,
        name=name,
        min_border_left=84,
        min_border_right=12,
        output_backend="canvas",
        **options,
    )
    plot.toolbar.logo = None
    plot.yaxis.axis_label = label
    plot.xaxis.axis_label = "UTC"
    plot.xaxis.axis_label_standoff = 0
    plot.xaxis.formatter = DatetimeTickFormatter(
        minutes="%d %b %H:%M", hourmin="%d %b %H:%M", hours="%d %b %H:%M", days="%d %b %Y",
        months="%b %Y", years="%Y",
    )  # fmt: skip
    plot.xaxis.ticker.desired_num_ticks = 6
    plot.background_fill_color = None
    plot.border_fill_color = None
    plot.outline_line_color = None
    plot.grid.grid_line_alpha = 0.35
    return plot


def milliseconds(moments: pd.Series[Any]) -> Float64Array1D:
    """Return moments in UTC milliseconds, as browsers count."""
    plain = moments.dt.tz_localize(None).to_numpy()
    counted: Float64Array1D = plain.astype("datetime64[ms]").astype(np.float64)
    return counted
