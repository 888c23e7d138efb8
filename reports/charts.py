"""The charts of a backtest report: Bokeh figures with one time axis.

The page carries every bar once, packed; what is drawn is at most some hundred candles, summed up in the
browser for the stretch that is looked at (``page.js``). BokehJS comes out of the installed wheel, so
the page needs no network and the repository holds no library. Colours are set here for paper and
changed by the page for a dark screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    HoverTool,
    LinearColorMapper,
    NumeralTickFormatter,
    Range1d,
    Span,
)

from ..datasets.panel import Float64Array1D
from ..strategies.holding import held_share
from .formatting import price_places
from .heatmap import HeatmapImage, heatmap_image
from .map_check import check_figures
from .packing import PRICES, overview, packed_columns
from .performance_charts import random_entry_figure, rolling_figures
from .run_record import RunRecord
from .time_axis import Shared, milliseconds, time_figure

INK: Final = "#1d2530"
PAPER: Final = "#ffffff"
WON: Final = "#0b7a4b"
LOST: Final = "#c4262e"
TIER: Final = "#a3199b"
LINE: Final = "#2258b8"
NEUTRAL: Final = "#7f8c9a"
_DRAWN: Final = 700
_SHORTEST_BARS: Final = 5
_TIME_FORMAT: Final = "%Y-%m-%d %H:%M"
_TIER_BOX: Final = ("armed", "exit", "upper", "lower")
_POINT_AT_TIER: Final = """
// The marks share a source, whose `inspected` is that of the last one looked at: ask each for its own.
const manager = trades.selection_manager;
const at = [...new Set(cb_obj.renderers.flatMap(
    (mark) => [...manager.get_or_create_inspector(mark).indices]))];
pointed.data = Object.fromEntries(
    Object.keys(pointed.data).map((name) => [name, at.map((i) => trades.data[name][i])]));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """Figures by name, and what the page needs to redraw them.

    Attributes
    ----------
    figures : dict of str to figure
        ``price``, ``imbalance``, ``equity``, ``drawdown``, and ``funding``, ``open_interest`` where
        there is any; those of `check_figures`.
    data : dict
        Packed bars and the scale to unpack them with, for ``page.js``.
    heatmap : HeatmapImage or None
    """

    figures: dict[str, Any]
    data: dict[str, Any]
    heatmap: HeatmapImage | None


def build_charts(record: RunRecord) -> Charts:
    """Return the charts of a run."""
    when = milliseconds(record.bars["ts"].to_pandas())
    step = float(np.min(np.diff(when))) if len(when) > 1 else 60_000.0
    columns = _columns(record)
    source = ColumnDataSource(overview(columns, when, step=step, drawn=_DRAWN), name="bars")
    places = price_places(record.about["instrument"]["tick"], float(columns["high"].max()))
    shared = Shared(
        source=source,
        time=_time_range(float(when[0]), float(when[-1] + step), step),
        cursor=Span(dimension="height", line_color=NEUTRAL, line_alpha=0.6),
        price_format="0,0." + "0" * places if places else "0,0",
        axis_format=f"0,0.[{'0' * places}]" if places else "0,0",
    )
    heatmap = heatmap_image(record.snapshots)
    figures = {"price": _price(record, shared, heatmap, columns)}
    if np.isfinite(columns["imbalance"]).any():
        figures["imbalance"] = _imbalance(shared)
    figures["equity"] = _equity(shared)
    figures["drawdown"] = _line("drawdown", shared, height=150, label="Drawdown (%)", area=True)
    if np.isfinite(columns["funding_rate"]).any():
        figures["funding"] = _line(
            "funding_rate", shared, height=150, label="Funding (bp)", places="0.[00]"
        )
    if np.isfinite(columns["oi_base"]).any():
        figures["open_interest"] = _line(
            "oi_base", shared, height=150, label="OI (coins)", places="0.[00]a"
        )
    figures |= check_figures(record, shared) | rolling_figures(record, shared)
    found = record.about["summary"].get("random_entry")
    if found is not None:
        figures["random_entry"] = random_entry_figure(found)
    data = {
        "step": step,
        "cash": record.about["summary"]["cash"],
        "columns": packed_columns(columns, when, step=step),
    }
    return Charts(figures=figures, data=data, heatmap=heatmap)


def _time_range(start: float, end: float, step: float) -> Range1d:
    """Return the span of all charts, which neither drag nor wheel can leave or shrink to nothing."""
    shortest = min(_SHORTEST_BARS * step, end - start)
    return Range1d(start, end, bounds=(start, end), min_interval=shortest, name="time")


def _columns(record: RunRecord) -> dict[str, Float64Array1D]:
    """Return what is drawn of each bar; drawdown in percent, funding in basis points."""
    bars, about = record.bars, record.about
    names = (*PRICES, "imbalance", "funding_rate", "oi_base")
    columns = {name: bars[name].to_numpy().astype(np.float64) for name in names}
    cash = about["summary"]["cash"]
    equity = record.equity["equity"].to_numpy()
    peaks = np.maximum.accumulate(np.concatenate([[cash], equity]))[1:]
    taker_fee = next((c["value"] for c in about["costs"] if c["name"] == "taker_fee"), 0.0)
    held = held_share(bars["funding_settled"].to_numpy(), taker_fee=taker_fee)
    with np.errstate(invalid="ignore"):
        columns["imbalance"][~(np.isfinite(columns["imbalance"]) & (columns["imbalance"] > 0))] = (
            np.nan
        )
    columns["funding_rate"] *= 1e4
    return {
        **columns,
        "equity": equity,
        "drawdown": 100.0 * (equity / peaks - 1.0),
        "hold": cash * columns["close"] / columns["open"][0] * held,
        "held_share": held,
    }


def _price(
    record: RunRecord,
    shared: Shared,
    heatmap: HeatmapImage | None,
    columns: dict[str, Float64Array1D],
) -> Any:
    low, high = float(columns["low"].min()), float(columns["high"].max())
    margin = 0.06 * (high - low) or 0.01 * high
    plot = time_figure(
        shared,
        height=480,
        label="Price (quote per coin)",
        name="price",
        y_range=Range1d(low - margin, high + margin, name="price range"),
    )
    plot.yaxis.formatter = NumeralTickFormatter(format=shared.axis_format)
    if heatmap is not None:
        plot.image_url(
            url=[heatmap.url],
            x=heatmap.left_us / 1000.0,
            y=heatmap.top,
            w=(heatmap.right_us - heatmap.left_us) / 1000.0,
            h=heatmap.top - heatmap.bottom,
            anchor="top_left",
            level="image",
            name="heatmap",
        )
    candles = _candles(plot, shared)
    price = shared.price_format
    rows = [(name, f"@{name}{{{price}}}") for name in PRICES]
    if np.isfinite(columns["imbalance"]).any():
        rows.append(("imbalance", "@imbalance{0.00}"))
    plot.add_tools(_hover([candles], [("from", f"@t{{{_TIME_FORMAT}}} UTC"), *rows], "@t"))
    if record.trades.num_rows:
        _add_trades(plot, record, price)
    return plot


def _candles(plot: Any, shared: Shared) -> Any:
    """Draw candles in ink, hollow where price rose: they stand out from both hues of the map."""
    fill = LinearColorMapper(palette=[INK, PAPER], low=0.0, high=1.0, name="candles")
    plot.segment("mid", "high", "mid", "low", source=shared.source, line_color=INK, name="ink")
    return plot.vbar(
        "mid",
        "width",
        "open",
        "close",
        source=shared.source,
        fill_color={"field": "rose", "transform": fill},
        line_color=INK,
        name="ink",
    )


def _hover(renderers: Sequence[Any], rows: list[tuple[str, str]], *times: str) -> HoverTool:
    formatters = dict.fromkeys(times, "datetime")
    mode = "vline" if times == ("@t",) else "mouse"
    return HoverTool(renderers=list(renderers), tooltips=rows, formatters=formatters, mode=mode)


def _add_trades(plot: Any, record: RunRecord, price: str) -> None:
    source = ColumnDataSource(_trade_columns(record), name="trades")
    plot.quad(
        "armed", "exit", "upper", "lower", source=source, fill_color=TIER, fill_alpha=0.16,
        line_color=TIER, line_width=1.5,
    )  # fmt: skip
    # Filled by the page while the pointer is on a trade: among many tiers its own is told at a glance.
    pointed = ColumnDataSource({name: [] for name in _TIER_BOX}, name="pointed tier")
    plot.quad(
        *_TIER_BOX, source=pointed, fill_color=TIER, fill_alpha=0.3, line_color=TIER, line_width=3.5,
    )  # fmt: skip
    for level, colour in (("stop", LOST), ("target", WON)):
        plot.segment(
            "entry", level, "exit", level, source=source, line_color=colour, line_dash="dashed",
            line_width=1.5,
        )  # fmt: skip
    plot.segment(
        "entry",
        "entry_price",
        "exit",
        "exit_price",
        source=source,
        line_color="colour",
        line_width=2,
    )
    marked = [
        plot.scatter(
            at, f"{at}_price", source=source, marker=marker, size=11, fill_color="colour",
            line_color="white", name="mark",
        )
        for at, marker in (("exit", "exit_marker"), ("entry", "entry_marker"))
    ]  # fmt: skip
    rows = [
        ("trade", "@number, @side, left by @reason"),
        ("entry", f"@entry{{{_TIME_FORMAT}}} at @entry_price{{{price}}}"),
        ("exit", f"@exit{{{_TIME_FORMAT}}} at @exit_price{{{price}}}"),
        ("tier", f"@lower{{{price}}} to @upper{{{price}}}, fuel @fuel{{0.00}} h"),
        ("imbalance", "@imbalance{0.00}"),
        ("net", "@net{+0,0.00}"),
    ]
    hover = _hover(marked, rows, "@entry", "@exit")
    hover.callback = CustomJS(args={"trades": source, "pointed": pointed}, code=_POINT_AT_TIER)
    plot.add_tools(hover)


def _trade_columns(record: RunRecord) -> dict[str, Any]:
    trades = record.trades.to_pandas()
    long = trades["direction"].to_numpy() > 0
    won = trades["net_pnl"].to_numpy() > 0
    moments = {"entry": trades["entry_ts"], "exit": trades["exit_ts"]}
    moments["armed"] = trades["armed_ts"].fillna(trades["entry_ts"])
    plain = {
        "number": "trade_id", "entry_price": "entry_price", "exit_price": "exit_price",
        "lower": "tier_lower", "upper": "tier_upper", "stop": "stop_price", "target": "target_price",
        "net": "net_pnl", "imbalance": "imbalance", "fuel": "tier_fuel",
    }  # fmt: skip
    return {
        **{name: milliseconds(when) for name, when in moments.items()},
        **{name: trades[column].to_numpy() for name, column in plain.items()},
        "reason": trades["exit_reason"].fillna("").tolist(),
        "side": np.where(long, "long", "short").tolist(),
        "entry_marker": np.where(long, "triangle", "inverted_triangle").tolist(),
        "exit_marker": np.where(won, "circle", "square_x").tolist(),
        "colour": np.where(won, WON, LOST).tolist(),
    }


def _imbalance(shared: Shared) -> Any:
    values = np.asarray(shared.source.data["imbalance"])
    finite = values[np.isfinite(values)]
    low, high = (finite.min() / 1.2, finite.max() * 1.2) if len(finite) else (0.1, 10.0)
    plot = time_figure(
        shared,
        height=180,
        label="Imbalance (ratio)",
        name="imbalance",
        y_axis_type="log",
        y_range=Range1d(min(float(low), 0.8), max(float(high), 1.25), name="imbalance range"),
    )
    plot.add_layout(
        Span(
            location=1.0, dimension="width", line_color=NEUTRAL, line_dash="dashed", line_width=1.5
        )
    )
    line = plot.line("mid", "imbalance", source=shared.source, color=LINE, name="line")
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[00]")
    plot.add_tools(_line_hover(line, "imbalance", "0.00"))
    return plot


def _equity(shared: Shared) -> Any:
    plot = _line(
        "equity", shared, height=240, label="Equity (quote)", legend="strategy, after costs"
    )
    plot.line(
        "mid",
        "hold",
        source=shared.source,
        color=NEUTRAL,
        line_width=1.5,
        line_dash="dashed",
        legend_label="buy-and-hold (click to hide)",
    )
    plot.y_range.only_visible = True
    plot.add_layout(plot.legend[0], "above")
    plot.legend.location = "left"
    plot.legend.margin = 0
    plot.legend.spacing = 0
    plot.legend.click_policy = "hide"
    plot.legend.background_fill_alpha = 0.0
    plot.legend.border_line_color = None
    plot.legend.padding = 2
    return plot


def _line(
    column: str,
    shared: Shared,
    *,
    height: int,
    label: str,
    area: bool = False,
    places: str = "0,0.[00]",
    legend: str | None = None,
) -> Any:
    plot = time_figure(shared, height=height, label=label, name=column)
    if area:
        plot.varea("mid", 0.0, column, source=shared.source, fill_color=LOST, fill_alpha=0.25)
    named = {"legend_label": legend} if legend else {}
    colour, name = (LOST, "loss") if area else (LINE, "line")
    line = plot.line(
        "mid", column, source=shared.source, color=colour, line_width=1.8, name=name, **named
    )
    plot.yaxis.formatter = NumeralTickFormatter(format=places)
    plot.yaxis.ticker.desired_num_ticks = 4
    plot.add_tools(_line_hover(line, column, places))
    return plot


def _line_hover(line: Any, column: str, places: str) -> HoverTool:
    rows = [
        ("at", f"@t{{{_TIME_FORMAT}}} UTC"),
        (column.replace("_", " "), f"@{column}{{{places}}}"),
    ]
    return _hover([line], rows, "@t")
