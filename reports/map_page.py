"""The map picture as one HTML file that needs nothing but a browser.

The page carries the map bin by bin; ``map.js`` sums bins into bars that can be seen at the zoom that is
looked at, places the tiers' labels and answers to mouse, finger and keyboard. Every figure in the text
and the tables is written here.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from bokeh.embed import components
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    CustomJSTickFormatter,
    HoverTool,
    LinearAxis,
    PanTool,
    Range1d,
    ResetTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure
from markupsafe import Markup

from . import map_words as words
from ._page import bokeh_js, page_template, script_json, template_text, write_whole
from .formatting import is_known, money, share
from .map_comparison import MapComparison, comparison_rows, comparison_words
from .map_picture import MapPicture, Side, Tier
from .record_files import record_text

HUES: Final = {
    "shorts": {"light": "#345cd6", "dark": "#7f9fff"},
    "longs": {"light": "#b96a04", "dark": "#f0a63c"},
}
"""Of the bars, in step with the heatmap's hues; darker on paper, so that they stand out from it."""
SCHEMA_VERSION: Final = 1
"""Of the JSON that stands beside a map's page."""
_HEIGHT: Final = 720
_MARGIN: Final = 0.02
_CLOSER: Final = 0.9
_UNIT: Final = re.compile(r"(?<=\d) (?=[BMh]\b)")
_MONEY_TICKS: Final = """
    for (const [limit, unit] of [[1e12, " T"], [1e9, " B"], [1e6, " M"], [1e3, " k"]]) {
        if (Math.abs(tick) >= limit) return String(Number((tick / limit).toPrecision(4))) + unit;
    }
    return String(Number(tick.toPrecision(4)));
"""
_PRICE_TICKS: Final = """
    return tick.toLocaleString("en-US", {maximumFractionDigits: places});
"""
_TOOLTIP: Final = (
    ("price", "@range"),
    ("distance", "@distance"),
    ("notional", "@notional_text"),
    ("from price to here", "@cumulative_text"),
)


def write_map_page(
    picture: MapPicture,
    path: Path,
    *,
    command: str,
    fingerprint: str,
    created_at: datetime,
    comparison: MapComparison | None = None,
) -> None:
    """Write the page, and its figures as JSON beside it; the folder must exist.

    Parameters
    ----------
    picture : MapPicture
    path : Path
    command : str
        What the user typed, for the footer.
    fingerprint : str
        Of the panel that the map was built from.
    created_at : datetime
        The present moment.
    comparison : MapComparison, optional
        Of this map with another one.

    Raises
    ------
    LakeError
        If the file cannot be written.
    """
    page = render_map_page(picture, command=command, fingerprint=fingerprint, comparison=comparison)
    write_whole(path, page.encode("utf-8"))
    about = map_about(picture, command=command, fingerprint=fingerprint, created_at=created_at)
    write_whole(path.with_name(f"{path.name}.json"), record_text(about).encode("utf-8"))


def map_about(
    picture: MapPicture, *, command: str, fingerprint: str, created_at: datetime
) -> dict[str, Any]:
    """Return the page's figures as they stand beside it in JSON; see `write_map_page`."""
    return {
        "schema": SCHEMA_VERSION,
        "created_at": created_at.isoformat(),
        "command": command,
        "fingerprint": fingerprint,
        "title": words.title_words(picture),
        "sentence": words.imbalance_words(picture.headline, picture),
        "venue": picture.venue,
        "symbol": picture.symbol,
        "timeframe": picture.timeframe,
        "at_us": picture.at_us,
        "price": picture.price,
        "currency": picture.currency,
        "model": picture.model,
        "windows": [asdict(window) for window in picture.windows],
        "tiers": [asdict(tier) for tier in picture.tiers],
        "mix": [list(row) for row in picture.mix],
        "notes": [*picture.notes, *picture.data_notes],
    }


def render_map_page(
    picture: MapPicture,
    *,
    command: str,
    fingerprint: str,
    comparison: MapComparison | None = None,
) -> str:
    """Return the page as HTML; see `write_map_page`."""
    script, chart = components(map_figure(picture))
    return page_template("map.html.j2").render(
        title=words.title_words(picture),
        headline=_unbroken(words.imbalance_words(picture.headline, picture)),
        base_rate=words.base_rate_words(picture.headline, picture),
        caveat=words.CAVEAT,
        notes=picture.notes,
        data_notes=picture.data_notes,
        figures=_figures(picture),
        currency=picture.currency,
        hues=HUES,
        zooms=_zooms(picture),
        tiers=_tier_rows(picture),
        windows=_window_rows(picture),
        comparison=None if comparison is None else _comparison(comparison),
        origin=picture.mix_origin,
        mix=_mix_rows(picture),
        bin_width=words.distance_words(picture.bin_width),
        command=command,
        fingerprint=fingerprint,
        version=metadata.version("liqtiers"),
        css=Markup(template_text("page.css")),  # our own file
        map_js=Markup(template_text("map.js")),  # our own file
        bokeh_js=Markup(bokeh_js()),  # out of the installed wheel
        bokeh_script=Markup(script),  # bokeh escapes what it embeds
        chart=Markup(chart),  # as above
        map_json=Markup(script_json(_data(picture))),  # escaped by `script_json`
    )


def map_figure(picture: MapPicture) -> Any:
    """Return the chart without its bars, which ``map.js`` draws for the zoom that is looked at."""
    low, high = price_span(picture)
    narrowest = 20.0 * picture.bin_width * picture.price
    y_range = Range1d(
        low, high, bounds=(low, high), min_interval=min(narrowest, high - low), name="price range"
    )
    pan, wheel = (
        PanTool(dimensions="height"),
        WheelZoomTool(dimensions="height", modifiers={"ctrl": True}),
    )  # without the key, a wheel that scrolls the page would zoom
    plot = figure(
        x_range=Range1d(0.0, 1.0, name="bar range"),
        y_range=y_range,
        height=_HEIGHT,
        sizing_mode="stretch_width",
        tools=[pan, wheel, ResetTool()],
        active_drag=pan,
        active_scroll=wheel,
        toolbar_location=None,
        name="map",
        min_border_left=84,
        min_border_right=12,
    )
    _add_axes(plot, picture)
    for tier in picture.tiers:
        plot.add_layout(_band(tier))
    bars = [_add_side(plot, picture, side) for side in ("shorts", "longs")]
    plot.add_layout(
        Span(location=picture.price, dimension="width", line_dash="dotted", name="cursor", visible=False)
    )  # fmt: skip
    _add_labels(plot, picture)
    plot.add_tools(HoverTool(renderers=bars, tooltips=list(_TOOLTIP), mode="hline"))
    return plot


def price_span(picture: MapPicture) -> tuple[float, float]:
    """Return the lowest and highest price that the picture shows: where the map holds anything."""
    ends = [picture.price]
    for side in (picture.longs, picture.shorts):
        held = np.flatnonzero(side.notional)
        ends += [float(side.edges[held[-1] + 1])] if len(held) else []
    margin = max(_MARGIN * (max(ends) - min(ends)), 10.0 * picture.bin_width * picture.price)
    return max(min(ends) - margin, 0.0), max(ends) + margin


def _add_axes(plot: Any, picture: MapPicture) -> None:
    plot.yaxis.axis_label = f"Price ({picture.currency})"
    plot.yaxis.formatter = CustomJSTickFormatter(args={"places": picture.places}, code=_PRICE_TICKS)
    plot.yaxis.ticker.desired_num_ticks = 12
    below = plot.below[0]
    below.update(axis_label=f"Bars: {picture.currency}", name="bar axis")
    plot.extra_x_ranges = {"cumulative": Range1d(0.0, 1.0, name="cumulative range")}
    above = LinearAxis(
        x_range_name="cumulative",
        axis_label=f"Lines: cumulative from price, {picture.currency}",
        name="cumulative axis",
    )
    plot.add_layout(above, "above")
    for axis in (below, above):
        axis.formatter = CustomJSTickFormatter(code=_MONEY_TICKS)
        axis.ticker.desired_num_ticks = 6
    plot.background_fill_color = None
    plot.border_fill_color = None
    plot.outline_line_color = None
    plot.grid.grid_line_alpha = 0.35


def _add_side(plot: Any, picture: MapPicture, side: str) -> Any:
    columns = ("bottom", "top", "notional", "range", "distance", "notional_text", "cumulative_text")
    source = ColumnDataSource({name: [] for name in columns}, name=side)
    colour = HUES[side]["light"]
    bars = plot.quad(
        left=0.0, right="notional", bottom="bottom", top="top", source=source, fill_color=colour,
        line_color=None, fill_alpha=0.85, hover_fill_color=colour, hover_fill_alpha=1.0,
        hover_line_color=None, name=f"bars {side}",
    )  # fmt: skip
    bins = picture.shorts if side == "shorts" else picture.longs
    start = np.zeros(min(len(bins.edges), 1))
    line = ColumnDataSource(
        {"cumulative": np.append(start, bins.cumulative), "price": bins.edges}, name=f"along {side}"
    )
    for name, width in (("casing", 5), (f"line {side}", 2)):
        plot.line(
            "cumulative", "price", source=line, x_range_name="cumulative", line_width=width,
            line_color=colour, name=name,
        )  # fmt: skip
    return bars


def _band(tier: Tier) -> BoxAnnotation:
    """Return a tier's band; its edges show it where it is thinner than a pixel."""
    colour = HUES[tier.side]["light"]
    return BoxAnnotation(
        left=0.0,
        bottom=tier.lower,
        top=tier.upper,
        fill_color=colour,
        fill_alpha=0.16,
        line_color=colour,
        line_alpha=0.5,
        level="underlay",
        name=f"tier {tier.side}",
    )


def _add_labels(plot: Any, picture: MapPicture) -> None:
    line = ColumnDataSource({"from_x": [], "to_x": []}, name="price line")
    plot.segment(
        "from_x", picture.price, "to_x", picture.price, source=line, line_width=2, name="price"
    )
    source = ColumnDataSource(
        {"x": [], "y": [], "text": [], "from_x": [], "from_y": []}, name="labels"
    )
    plot.segment(
        "from_x", "from_y", "x", "y", source=source, line_width=1, line_alpha=0.7, name="leaders"
    )
    plot.text(
        "x", "y", "text", source=source, text_font_size="12px", text_baseline="middle", x_offset=4,
        name="label text",
    )  # fmt: skip


def _data(picture: MapPicture) -> dict[str, Any]:
    """Return what ``map.js`` draws from."""
    return {
        "price": picture.price,
        "places": picture.places,
        "currency": picture.currency,
        "bin_width": picture.bin_width,
        "hues": HUES,
        "price_label": words.price_words(picture.price, picture),
        "shorts": _bins(picture.shorts),
        "longs": _bins(picture.longs),
        "tiers": [
            {
                "name": t.name, "lower": t.lower, "upper": t.upper, "label": words.tier_label(t),
                "short_label": words.short_tier_label(t),
            }
            for t in picture.tiers
        ],
    }  # fmt: skip


def _bins(side: Side) -> dict[str, list[float]]:
    return {"edges": side.edges.tolist(), "notional": side.notional.tolist()}


def _unbroken(text: str) -> str:
    """Return text in which no line ends between a number and its unit."""
    return _UNIT.sub("\u00a0", text)


def _figures(picture: MapPicture) -> list[dict[str, str]]:
    """Return the figures at the top of the page: key, name, value and what it means."""
    window = picture.headline
    within = f"within {words.distance_words(window.distance)}"
    rows: list[tuple[str, str, str, str]] = [
        ("imbalance", "Imbalance", words.ratio_words(window.imbalance), f"shorts to longs, {within}"),
        _nearest(picture, "shorts"),
        _nearest(picture, "longs"),
        ("book", "Open interest", _book(picture), "that each side of the map sums to"),
    ]  # fmt: skip
    names = ("key", "name", "value", "meaning")
    return [dict(zip(names, [_unbroken(cell) for cell in row], strict=True)) for row in rows]


def _nearest(picture: MapPicture, side: str) -> tuple[str, str, str, str]:
    name = f"Nearest tier of {side}"
    tier = next((t for t in picture.tiers if t.name in ("S1", "L1") and t.side == side), None)
    if tier is None:
        return (f"nearest_{side}", name, "none", "no stretch is dense enough")
    meaning = f"{money(tier.notional)} {picture.currency}, fuel {words.fuel_words(tier)}"
    return (f"nearest_{side}", name, words.signed_distance_words(tier.distance), meaning)


def _book(picture: MapPicture) -> str:
    return f"{money(picture.book)} {picture.currency}" if is_known(picture.book) else "not known"


def _zooms(picture: MapPicture) -> list[dict[str, str]]:
    """Return the windows that are a closer look than the whole picture."""
    low, high = price_span(picture)
    return [
        {"distance": repr(w.distance), "name": f"±{words.distance_words(w.distance)}"}
        for w in reversed(picture.windows)
        if 2.0 * w.distance * picture.price < _CLOSER * (high - low)
    ]


def _tier_rows(picture: MapPicture) -> list[dict[str, str]]:
    return [
        {
            "name": t.name,
            "side": t.side,
            "lower": words.price_words(t.lower, picture),
            "upper": words.price_words(t.upper, picture),
            "peak": words.price_words(t.peak, picture),
            "notional": money(t.notional),
            "fuel": words.fuel_words(t),
            "distance": words.signed_distance_words(t.distance),
        }
        for t in picture.tiers
    ]


def _window_rows(picture: MapPicture) -> list[dict[str, str]]:
    return [
        {
            "distance": words.distance_words(w.distance),
            "above": money(w.above),
            "below": money(w.below),
            "imbalance": words.ratio_words(w.imbalance),
            "either": share(w.base_rate.either),
            "same": share(w.base_rate.same),
            "bars": f"{w.base_rate.bars:,}",
        }
        for w in picture.windows
    ]


def _comparison(comparison: MapComparison) -> dict[str, Any]:
    return {
        "model": comparison.models[1],
        "rows": comparison_rows(comparison),
        "sentences": comparison_words(comparison),
    }


def _mix_rows(picture: MapPicture) -> list[tuple[str, str, str]]:
    rows = [(f"{x:g}x", share(short), share(long)) for x, short, long in picture.mix]
    short, long = (share(1.0 - sum(row[side] for row in picture.mix)) for side in (1, 2))
    return [*rows, ("none of its own (cross margin, hedges)", short, long)] if rows else []
