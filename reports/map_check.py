"""The map held against what happened: its books against open interest, its predictions against prints.

Computed once for the run's record and drawn from there. Predictions are out of sample: each is what the
book before the bar held where price then came to.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter
from bokeh.palettes import Viridis

from ..datasets.errors import InputError
from ..datasets.liquidation_map import LiquidationMap
from ..datasets.naming import DAY_US, HOUR_US
from ..datasets.panel import Panel
from .heatmap import LONG_COLOUR, SHORT_COLOUR
from .map_skill import map_skill
from .run_record import RunRecord
from .time_axis import Shared, milliseconds, time_figure

_DRAWS: Final = 100
_SEED: Final = 1
_LONG_SPAN_US: Final = 20 * DAY_US
_NEUTRAL: Final = "#7f8c9a"


def check_of(panel: Panel, liquidation_map: LiquidationMap) -> dict[str, Any]:
    """Return what a run's record says of how good its map is.

    Returns
    -------
    dict
        ``period`` (``day`` or ``hour``), ``sentences`` on skill, ``largest_gap`` between a book and the
        open interest as a share of it in words (None where neither is known), and ``calibration``.
    """
    period_us = _period_us(panel.ts)
    sentences: list[str] = []
    try:
        skill = map_skill(
            panel,
            liquidation_map.features,
            period_us=period_us,
            rng=np.random.default_rng(_SEED),
            draws=_DRAWS,
        )
    except InputError:
        pass  # nothing was printed: the page says so
    else:
        sentences = [skill.short.sentence, skill.long.sentence]
    return {
        "period": "day" if period_us == DAY_US else "hour",
        "sentences": sentences,
        "largest_gap": _largest_gap(panel, liquidation_map),
        "calibration": _calibration(liquidation_map),
    }


def _period_us(ts: Any) -> int:  # moments, or nothing
    return DAY_US if len(ts) and int(ts[-1]) - int(ts[0]) >= _LONG_SPAN_US else HOUR_US


def _largest_gap(panel: Panel, liquidation_map: LiquidationMap) -> str | None:
    """Return the largest difference between a book and the last observed open interest, relative."""
    features = liquidation_map.features
    at = np.flatnonzero(panel.oi_observed)
    if len(at) == 0 or not np.isfinite(features.book_short).any():
        return None
    last = panel.oi_base[at[np.searchsorted(at, np.arange(at[0], len(panel)), side="right") - 1]]
    gaps = [
        np.abs(book[at[0] :] / last - 1.0) for book in (features.book_short, features.book_long)
    ]
    return f"{float(np.nanmax(gaps)):.0e}"


def _calibration(liquidation_map: LiquidationMap) -> dict[str, Any] | None:
    fitted = liquidation_map.calibration
    if fitted is None or len(fitted) < 2:
        return None
    return {
        "target": fitted.target,
        "leverages": list(fitted.leverages),
        "fitted_us": fitted.fitted_us.tolist(),
        "mix": fitted.mix.mean(axis=1).round(5).tolist(),
        "churn": fitted.churn.tolist(),
    }


def check_figures(record: RunRecord, shared: Shared) -> dict[str, Any]:
    """Return the figures ``shorts``, ``longs``, ``mix`` and ``books``, those for which there is data."""
    check = record.about["map"].get("check")
    if check is None or "book_short" not in record.bars.column_names:
        return {}
    bars = record.bars.to_pandas().set_index("ts")
    length = "1D" if check["period"] == "day" else "1h"
    figures: dict[str, Any] = {}
    for name, side, colour in (("shorts", "short", SHORT_COLOUR), ("longs", "long", LONG_COLOUR)):
        both = bars[[f"predicted_{side}", f"printed_{side}"]].resample(length).sum(min_count=1)
        if np.isfinite(both[f"printed_{side}"]).any():
            figures[name] = _liquidations(both, shared, name=name, side=side, colour=colour)
    if check["calibration"]:
        figures["mix"] = _mix(check["calibration"], bars, shared)
    if check["largest_gap"] is not None:
        last = bars[["oi_base", "book_short", "book_long"]].resample(length).last()
        figures["books"] = _books(last, shared)
    return figures


def _milliseconds(index: pd.Index[Any]) -> Any:
    return milliseconds(pd.Series(index))


def _liquidations(
    table: pd.DataFrame, shared: Shared, *, name: str, side: str, colour: tuple[int, int, int]
) -> Any:
    """Draw predicted and printed over their own means, which makes incomplete prints comparable."""
    shown = table[np.isfinite(table[f"printed_{side}"])]
    scaled = (shown / shown.mean()).where(shown > 0.0)  # a logarithm has no place for none
    source = ColumnDataSource(
        {
            "t": _milliseconds(shown.index),
            "predicted": scaled[f"predicted_{side}"].to_numpy(),
            "printed": scaled[f"printed_{side}"].to_numpy(),
            "predicted_quote": shown[f"predicted_{side}"].to_numpy(),
            "printed_quote": shown[f"printed_{side}"].to_numpy(),
        }
    )
    label = f"{name.capitalize()} liquidated (x mean)"
    plot = time_figure(shared, height=200, label=label, name=name, y_axis_type="log")
    rgb = "#{:02x}{:02x}{:02x}".format(*colour)
    line = plot.line(
        "t", "predicted", source=source, color=rgb, line_width=1.8, legend_label="predicted"
    )
    plot.line("t", "printed", source=source, color=_NEUTRAL, line_width=1.5, legend_label="printed")
    _legend_above(plot)
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[000000]")
    rows = [
        ("at", "@t{%Y-%m-%d %H:%M} UTC"),
        ("predicted", "@predicted{0.0} x mean, @predicted_quote{0.00a}"),
        ("printed", "@printed{0.0} x mean, @printed_quote{0.00a}"),
    ]
    plot.add_tools(
        HoverTool(renderers=[line], tooltips=rows, formatters={"@t": "datetime"}, mode="vline")
    )
    return plot


def _mix(calibration: dict[str, Any], bars: pd.DataFrame, shared: Shared) -> Any:
    """Draw the shares as stacked steps: each row holds until the next."""
    first, last = _milliseconds(bars.index[[0, -1]])
    starts = np.maximum(np.array(calibration["fitted_us"]) / 1000.0, first)
    when = [*np.repeat(starts, 2)[1:].tolist(), last]
    names = [f"{leverage:g}x" for leverage in calibration["leverages"]]
    mix = np.repeat(np.array(calibration["mix"]), 2, axis=0)
    source = ColumnDataSource(
        {"t": when, **{name: 100.0 * mix[:, k] for k, name in enumerate(names)}}
    )
    plot = time_figure(shared, height=220, label="Share of openings (%)", name="mix")
    palette = Viridis[max(min(len(names), 11), 3)]
    colours = [palette[k % len(palette)] for k in range(len(names))]
    plot.varea_stack(names, x="t", source=source, color=colours, legend_label=names)
    plot.y_range.start = 0.0
    _legend_above(plot)
    return plot


def _books(table: pd.DataFrame, shared: Shared) -> Any:
    source = ColumnDataSource(
        {
            "t": _milliseconds(table.index),
            **{name: table[name].to_numpy() for name in table.columns},
        }
    )
    plot = time_figure(shared, height=180, label="Coins", name="books")
    wide = plot.line(
        "t",
        "oi_base",
        source=source,
        color=_NEUTRAL,
        line_width=5,
        line_alpha=0.5,
        legend_label="open interest",
    )
    for column, colour, dash, text in (
        ("book_short", SHORT_COLOUR, "solid", "shorts' book"),
        ("book_long", LONG_COLOUR, [4, 6], "longs' book"),
    ):
        rgb = "#{:02x}{:02x}{:02x}".format(*colour)
        plot.line(
            "t", column, source=source, color=rgb, line_width=1.6, line_dash=dash, legend_label=text
        )
    _legend_above(plot)
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[00]a")
    plot.yaxis.ticker.desired_num_ticks = 4
    rows = [
        ("at", "@t{%Y-%m-%d %H:%M} UTC"),
        ("open interest", "@oi_base{0,0.00}"),
        ("shorts' book", "@book_short{0,0.00}"),
        ("longs' book", "@book_long{0,0.00}"),
    ]
    plot.add_tools(
        HoverTool(renderers=[wide], tooltips=rows, formatters={"@t": "datetime"}, mode="vline")
    )
    return plot


def _legend_above(plot: Any) -> None:
    legend = plot.legend[0]
    plot.add_layout(legend, "above")
    legend.location = "left"
    legend.orientation = "horizontal"
    legend.ncols = 5  # a phone is no wider
    legend.margin = 0
    legend.spacing = 6
    legend.padding = 2
    legend.background_fill_alpha = 0.0
    legend.border_line_color = None
