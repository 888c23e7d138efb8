"""What pages without a time axis that zooms share: plain figures, and spans with a margin."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from bokeh.models import Range1d
from bokeh.plotting import figure

from ..datasets.panel import Float64Array1D

_MARGIN: Final = 0.06


def plain_figure(
    *, name: str, height: int, x_range: Any, y_range: Any, x_label: str, y_label: str, **options: Any
) -> Any:  # fmt: skip
    """Return an empty figure that neither drags nor zooms, in the look of the other pages."""
    plot = figure(
        name=name,
        height=height,
        sizing_mode="stretch_width",
        x_range=x_range,
        y_range=y_range,
        tools=[],
        toolbar_location=None,
        min_border_right=14,
        output_backend="canvas",
        **options,
    )
    plot.xaxis.axis_label, plot.yaxis.axis_label = x_label, y_label
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    plot.axis.major_label_text_font_size = "12px"
    plot.xaxis.axis_label_standoff = 2
    plot.background_fill_color = plot.border_fill_color = plot.outline_line_color = None
    plot.grid.grid_line_alpha = 0.35
    return plot


def padded(values: Float64Array1D, **options: Any) -> Range1d:
    """Return the span of what is finite in some values, with a margin."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    margin = _MARGIN * (high - low) or max(0.05 * abs(high), 0.5)
    return Range1d(low - margin, high + margin, **options)
