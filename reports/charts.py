"""The charts of a backtest report: Bokeh figures with one time axis.

The page carries every bar once, packed; what is drawn is at most some two thousand candles, summed up
in the browser for the stretch that is looked at (``page.js``). BokehJS comes out of the installed
wheel, so the page needs no network and the repository holds no library.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    CrosshairTool,
    DatetimeTickFormatter,
    HoverTool,
    NumeralTickFormatter,
    PanTool,
    Range1d,
    ResetTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from ..datasets.panel import Float64Array1D
from .heatmap import HeatmapImage, heatmap_image
from .run_record import RunRecord

UP: Final = "#1a7f64"
DOWN: Final = "#c0392b"
ACCENT: Final = "#2f6fde"
NEUTRAL: Final = "#7f8c9a"
_DRAWN: Final = 1500
_CANDLE_SHARE: Final = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """Figures by name, and what the page needs to redraw them.

    Attributes
    ----------
    figures : dict of str to figure
        ``price``, ``imbalance``, ``equity``, ``drawdown``, and ``funding``, ``open_interest`` where
        there is any.
    data : dict
        Packed bars and the scale to unpack them with, for ``page.js``.
    heatmap : HeatmapImage or None
    """

    figures: dict[str, Any]
    data: dict[str, Any]
    heatmap: HeatmapImage | None


def build_charts(record: RunRecord) -> Charts:
    """Return the charts of a run."""
    bars = record.bars.to_pandas()
    when = _milliseconds(bars["ts"])
    step = float(np.median(np.diff(when))) if len(when) > 1 else 60_000.0
    shared = Range1d(float(when[0]), float(when[-1] + step), name="time")
    groups = _groups(len(bars))
    first = groups[0]
    heatmap = heatmap_image(record.snapshots)
    columns = {name: bars[name].to_numpy(dtype=np.float64) for name in _SERIES}
    columns["equity"] = record.equity["equity"].to_numpy()
    peaks = np.maximum.accumulate(
        np.concatenate([[record.about["summary"]["cash"]], columns["equity"]])
    )
    columns["drawdown"] = 100.0 * (columns["equity"] / peaks[1:] - 1.0)
    columns["funding_rate"] = 1e4 * columns["funding_rate"]
    source = ColumnDataSource(_overview(columns, when, groups, step), name="bars")
    figures = {"price": _price(record, source, shared, heatmap, bars)}
    if np.isfinite(columns["imbalance"]).any():
        figures["imbalance"] = _imbalance(source, shared)
    figures["equity"] = _line("equity", source, shared, height=190, label="Equity (quote)")
    figures["drawdown"] = _line(
        "drawdown", source, shared, height=130, label="Drawdown (%)", area=True, places="0.0"
    )
    if np.isfinite(columns["funding_rate"]).any():
        figures["funding"] = _line(
            "funding_rate", source, shared, height=120, label="Funding (bp)", places="0.0"
        )
    if np.isfinite(columns["oi_base"]).any():
        figures["open_interest"] = _line(
            "oi_base", source, shared, height=130, label="Open interest (coins)", places="0.0a"
        )
    data = {
        "step": step,
        "drawn": _DRAWN,
        "first": int(first),
        "columns": _packed(columns, when, step),
    }
    return Charts(figures=figures, data=data, heatmap=heatmap)


_SERIES: Final = ("open", "high", "low", "close", "imbalance", "funding_rate", "oi_base")


def _milliseconds(moments: pd.Series[Any]) -> Float64Array1D:
    milliseconds = moments.dt.tz_localize(None).to_numpy().astype("datetime64[ms]")
    return np.asarray(milliseconds.astype(np.float64))


def _groups(bars: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the first bar of each candle that is drawn when all of the data is seen."""
    factor = max(-(-bars // _DRAWN), 1)
    return np.arange(0, bars, factor, dtype=np.int64)


def _overview(
    columns: dict[str, Float64Array1D], when: Float64Array1D, groups: Any, step: float
) -> dict[str, Any]:
    last = np.append(groups[1:], len(when)) - 1
    out = {
        "t": when[groups],
        "mid": (when[groups] + when[last] + step) / 2.0,
        "width": (when[last] + step - when[groups]) * _CANDLE_SHARE,
        "open": columns["open"][groups],
        "high": np.maximum.reduceat(columns["high"], groups),
        "low": np.minimum.reduceat(columns["low"], groups),
        "close": columns["close"][last],
        "drawdown": np.minimum.reduceat(columns["drawdown"], groups),
    }
    for name in ("imbalance", "funding_rate", "oi_base", "equity"):
        out[name] = columns[name][last]
    out["colour"] = np.where(out["close"] >= out["open"], UP, DOWN).tolist()
    return out


def _packed(
    columns: dict[str, Float64Array1D], when: Float64Array1D, step: float
) -> dict[str, dict[str, Any]]:
    """Return each column as differences of whole numbers, compressed; NaN is the smallest number."""
    packed = {"t": _pack(when / step - when[0] / step, 1.0, np.round(when[0]))}
    for name, values in columns.items():
        finite = values[np.isfinite(values)]
        if name == "imbalance":
            with np.errstate(divide="ignore"):
                values = np.log(values)  # noqa: PLW2901  # even in the logarithm, as it is drawn
            finite = values[np.isfinite(values)]
        largest = float(np.max(np.abs(finite))) if len(finite) else 1.0
        packed[name] = _pack(values, max(largest, 1e-12) / 1e6, 0.0)
    return packed


_MISSING: Final = -(2**31)


def _pack(values: Float64Array1D, unit: float, start: float) -> dict[str, Any]:
    finite = np.isfinite(values)
    whole = np.where(finite, np.round(np.where(finite, values, 0.0) / unit), 0.0).astype(np.int64)
    carried = whole[np.maximum.accumulate(np.where(finite, np.arange(len(whole)), 0))]
    steps = np.diff(carried, prepend=0)
    steps[~finite] = _MISSING
    raw = gzip.compress(
        steps.astype("<i4").tobytes(), compresslevel=zlib.Z_BEST_COMPRESSION, mtime=0
    )
    return {"unit": unit, "start": start, "packed": base64.b64encode(raw).decode()}


def _figure(shared: Range1d, *, height: int, label: str, name: str, **options: Any) -> Any:
    wheel, pan = WheelZoomTool(dimensions="width"), PanTool(dimensions="width")
    plot = figure(
        x_range=shared,
        height=height,
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        toolbar_location="above" if name == "price" else None,
        tools=[pan, wheel, BoxZoomTool(dimensions="width"), ResetTool()],
        active_drag=pan,
        active_scroll=None,
        name=name,
        min_border_left=68,
        output_backend="canvas",
        **options,
    )
    plot.toolbar.logo = None
    plot.yaxis.axis_label = label
    plot.xaxis.formatter = DatetimeTickFormatter(
        minutes="%d %b %H:%M", hourmin="%d %b %H:%M", hours="%d %b %H:%M", days="%d %b %Y",
        months="%b %Y", years="%Y",
    )  # fmt: skip
    plot.xaxis.ticker.desired_num_ticks = 6
    plot.background_fill_color = None
    plot.border_fill_color = None
    plot.outline_line_color = None
    plot.grid.grid_line_alpha = 0.35
    if name == "price":
        plot.xaxis.axis_label = "Time (UTC)"
    plot.add_tools(CrosshairTool(dimensions="height", line_alpha=0.4))
    return plot


def _price(
    record: RunRecord,
    source: ColumnDataSource,
    shared: Range1d,
    heatmap: HeatmapImage | None,
    bars: pd.DataFrame,
) -> Any:
    low, high = float(bars["low"].min()), float(bars["high"].max())
    margin = 0.06 * (high - low) or 0.01 * high
    plot = _figure(
        shared,
        height=460,
        label="Price (quote per coin)",
        name="price",
        y_range=Range1d(low - margin, high + margin, name="price range"),
    )
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    if heatmap is not None:
        plot.image_url(
            url=[heatmap.url],
            x=heatmap.left_us / 1000.0,
            y=heatmap.top,
            w=(heatmap.right_us - heatmap.left_us) / 1000.0,
            h=heatmap.top - heatmap.bottom,
            anchor="top_left",
            level="image",
        )
    plot.segment("mid", "high", "mid", "low", source=source, color="colour")
    candles = plot.vbar("mid", "width", "open", "close", source=source, color="colour")
    plot.add_tools(
        HoverTool(
            renderers=[candles],
            tooltips=[
                ("time", "@t{%Y-%m-%d %H:%M} UTC"),
                ("open", "@open{0,0.00}"),
                ("high", "@high{0,0.00}"),
                ("low", "@low{0,0.00}"),
                ("close", "@close{0,0.00}"),
                ("imbalance", "@imbalance{0.00}"),
            ],
            formatters={"@t": "datetime"},
            mode="vline",
        )
    )
    if record.trades.num_rows:
        _add_trades(plot, record)
    return plot


def _add_trades(plot: Any, record: RunRecord) -> None:
    trades = record.trades.to_pandas()
    entry, exit_ = _milliseconds(trades["entry_ts"]), _milliseconds(trades["exit_ts"])
    armed = trades["armed_ts"].fillna(trades["entry_ts"])
    long = trades["direction"].to_numpy() > 0
    won = trades["net_pnl"].to_numpy() > 0
    source = ColumnDataSource(
        {
            "entry": entry,
            "exit": exit_,
            "armed": _milliseconds(armed),
            "entry_price": trades["entry_price"],
            "exit_price": trades["exit_price"],
            "lower": trades["tier_lower"],
            "upper": trades["tier_upper"],
            "number": trades["trade_id"],
            "side": np.where(long, "long", "short").tolist(),
            "marker": np.where(long, "triangle", "inverted_triangle").tolist(),
            "colour": np.where(won, UP, DOWN).tolist(),
            "reason": trades["exit_reason"],
            "net": trades["net_pnl"],
            "imbalance": trades["imbalance"],
            "fuel": trades["tier_fuel"],
        },
        name="trades",
    )
    plot.quad(
        "armed", "exit", "upper", "lower", source=source, fill_color=ACCENT, fill_alpha=0.18,
        line_color=ACCENT, line_alpha=0.8, hover_fill_alpha=0.45,
    )  # fmt: skip
    plot.segment(
        "entry", "entry_price", "exit", "exit_price", source=source, color="colour", line_width=2
    )
    markers = plot.scatter(
        "entry", "entry_price", source=source, marker="marker", size=12, fill_color=ACCENT,
        line_color="white",
    )  # fmt: skip
    exits = plot.scatter(
        "exit", "exit_price", source=source, marker="x", size=10, line_width=3, line_color="colour"
    )
    plot.add_tools(
        HoverTool(
            renderers=[markers, exits],
            tooltips=[
                ("trade", "@number, @side, left by @reason"),
                ("entry", "@entry{%Y-%m-%d %H:%M} at @entry_price{0,0.00}"),
                ("exit", "@exit{%Y-%m-%d %H:%M} at @exit_price{0,0.00}"),
                ("tier", "@lower{0,0.00} to @upper{0,0.00}, fuel @fuel{0.00} h"),
                ("imbalance", "@imbalance{0.00}"),
                ("net", "@net{+0,0.00}"),
            ],
            formatters={"@entry": "datetime", "@exit": "datetime"},
        )
    )


def _imbalance(source: ColumnDataSource, shared: Range1d) -> Any:
    values = np.asarray(source.data["imbalance"])
    finite = values[np.isfinite(values) & (values > 0)]
    plot = _figure(
        shared,
        height=150,
        label="Imbalance (ratio)",
        name="imbalance",
        y_axis_type="log",
        y_range=Range1d(
            float(finite.min() / 1.2) if len(finite) else 0.1,
            float(finite.max() * 1.2) if len(finite) else 10.0,
        ),
    )
    plot.line("mid", "imbalance", source=source, color=ACCENT)
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[00]")
    plot.add_layout(Span(location=1.0, dimension="width", line_color=NEUTRAL, line_dash="dashed"))
    return plot


def _line(
    column: str,
    source: ColumnDataSource,
    shared: Range1d,
    *,
    height: int,
    label: str,
    area: bool = False,
    places: str = "0,0",
) -> Any:
    plot = _figure(shared, height=height, label=label, name=column)
    colour = DOWN if area else ACCENT
    if area:
        plot.varea("mid", 0.0, column, source=source, fill_color=colour, fill_alpha=0.25)
    plot.line("mid", column, source=source, color=colour, line_width=1.5)
    plot.yaxis.formatter = NumeralTickFormatter(format=places)
    plot.yaxis.ticker.desired_num_ticks = 4
    return plot
