"""The map picture as a PNG, drawn by matplotlib from the same figures as the page.

matplotlib's objects are used without pyplot, so that no state is shared and no display is looked for.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from . import map_words as words
from ._page import write_whole
from .map_page import HUES, price_span
from .map_picture import MapPicture, Side

PNG_SIZE: Final = (1600, 1200)
"""Width and height, pixels."""

_DPI: Final = 100
_INK: Final = "#1d2530"
_SOFT: Final = "#4d5864"
_GRID: Final = "#d5dbe2"
_MOST_ROWS: Final = 180
"""More bars than this above each other would be thinner than five pixels."""
_LEAST_LOW: Final = 0.1
"""A picture that reaches down to nothing counts bins from this share of its top."""
_BARS: Final = 0.81
"""Share of the width for bars and lines; the rest is for the labels."""
_LABEL_GAP: Final = 0.024
"""Least distance between labels, share of the height."""
_LETTERS: Final = 1950
"""Letters in a line, times their size in points."""
_LINE_HEIGHT: Final = 0.00145
_PARAGRAPH: Final = 0.0006
"""Share of the height that a line, and the space after a paragraph, takes for each point of its size."""
_CHART: Final = (0.085, 0.06, 0.895)
"""Left, bottom and width of the chart; its top is where the words end."""
_SCALE_HEIGHT: Final = 0.075
"""Share of the height that the legend and the upper scale take."""


def write_map_image(picture: MapPicture, path: Path) -> None:
    """Write the picture as a PNG of `PNG_SIZE`; its folder must exist.

    Raises
    ------
    LakeError
        If the file cannot be written.
    """
    write_whole(path, render_map_image(picture))


def render_map_image(picture: MapPicture) -> bytes:
    """Return the picture as a PNG."""
    figure = Figure(figsize=(PNG_SIZE[0] / _DPI, PNG_SIZE[1] / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    top = _write_words(figure, picture)
    _write_legend(figure, top)
    left, bottom, width = _CHART
    axes = figure.add_axes((left, bottom, width, top - _SCALE_HEIGHT - bottom))
    _draw_sides(axes, picture)
    _dress(axes, picture)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A maker's name may hold letters that the font lacks; a box stands for each.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas.print_png(buffer)  # type: ignore[no-untyped-call]  # matplotlib's has no types
    return buffer.getvalue()


def spread(targets: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Return places for labels: in order, at least `gap` apart, as near to `targets` as that allows.

    Least squares by the pool-adjacent-violators algorithm, then moved into [low, high].

    Parameters
    ----------
    targets : sequence of float
        Increasing.
    gap, low, high : float

    Examples
    --------
    >>> spread([1.0, 1.2, 5.0], gap=1.0, low=0.0, high=5.5)
    [0.6, 1.6, 5.0]
    """
    pools: list[tuple[float, int]] = []
    for index, target in enumerate(targets):
        total, count = target - index * gap, 1
        while pools and pools[-1][0] * count >= total * pools[-1][1]:
            before, more = pools.pop()
            total, count = total + before, count + more
        pools.append((total, count))
    end = high - (len(targets) - 1) * gap
    starts = [max(min(total / count, end), low) for total, count in pools for _ in range(count)]
    return [start + index * gap for index, start in enumerate(starts)]


def bins_in_row(picture: MapPicture) -> int:
    """Return how many bins are summed into one bar of the image."""
    low, high = price_span(picture)
    bins = np.log(high / max(low, high * _LEAST_LOW)) / picture.bin_width
    return next((count for count in (1, 2, 5, 10, 20) if bins <= count * _MOST_ROWS), 50)


def _draw_sides(axes: Any, picture: MapPicture) -> None:
    bins = bins_in_row(picture)
    lines = axes.twiny()
    widest, furthest = 0.0, 0.0
    for name, side in (("shorts", picture.shorts), ("longs", picture.longs)):
        if len(side.notional) == 0:
            continue
        hue, rows = HUES[name]["light"], side.rows(bins)
        axes.barh(
            np.minimum(rows.edges[:-1], rows.edges[1:]),
            rows.notional,
            height=np.abs(np.diff(rows.edges)),
            align="edge", color=hue, alpha=0.85, linewidth=0,
        )  # fmt: skip
        for colour, thickness in (("white", 5), (hue, 2)):
            lines.plot(_from_zero(side), side.edges, color=colour, linewidth=thickness)
        widest = max(widest, float(rows.notional.max()))
        furthest = max(furthest, float(side.notional.sum()))
    for tier in picture.tiers:
        hue = HUES[tier.side]["light"]
        axes.axhspan(tier.lower, tier.upper, xmax=_BARS, color=hue, alpha=0.16, linewidth=0)
        axes.hlines(
            [tier.lower, tier.upper], 0.0, _BARS, transform=axes.get_yaxis_transform(), color=hue,
            alpha=0.5, linewidth=1,
        )  # fmt: skip
    axes.axhline(picture.price, xmax=_BARS, color=_INK, linewidth=1.5)
    axes.set_xlim(0.0, widest * 1.04 / _BARS)
    lines.set_xlim(0.0, furthest * 1.04 / _BARS)
    width = words.distance_words(round(bins * picture.bin_width, 6))
    axes.set_xlabel(f"Bars: {picture.currency} per {width} of price", color=_SOFT)
    lines.set_xlabel(f"Lines: cumulative from price, {picture.currency}", color=_SOFT, labelpad=8)
    for drawn in (axes, lines):
        drawn.xaxis.set_major_formatter(FuncFormatter(_short_money))
        drawn.xaxis.set_major_locator(MaxNLocator(7))
        _paint(drawn)


def _from_zero(side: Side) -> np.ndarray:
    return np.concatenate([[0.0], side.cumulative])


def _dress(axes: Any, picture: MapPicture) -> None:
    low, high = price_span(picture)
    axes.set_ylim(low, high)
    axes.set_ylabel(f"Price ({picture.currency})", color=_SOFT)
    axes.yaxis.set_major_locator(MaxNLocator(14))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: _price_tick(tick, picture.places)))
    axes.grid(visible=True, color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    labelled = [((t.lower + t.upper) / 2.0, words.tier_label(t)) for t in picture.tiers]
    labelled.append((picture.price, f"price {words.price_words(picture.price, picture)}"))
    labelled.sort()
    heights = [(at - low) / (high - low) for at, _ in labelled]
    places = spread(heights, gap=_LABEL_GAP, low=0.012, high=0.988)
    for height, place, (_, text) in zip(heights, places, labelled, strict=True):
        axes.plot(
            [_BARS + 0.004, _BARS + 0.022], [height, place], transform=axes.transAxes, color=_SOFT,
            linewidth=0.8,
        )  # fmt: skip
        axes.text(
            _BARS + 0.027, place, text, transform=axes.transAxes, va="center", fontsize=11,
            color=_INK, parse_math=False,
        )  # fmt: skip


def _write_words(figure: Figure, picture: MapPicture) -> float:
    """Write what is said of the map and return where it ends."""
    window = picture.headline
    wanted = [
        (words.title_words(picture), 12, _SOFT, 1),
        (words.imbalance_words(window, picture), 20, _INK, 2),
        (words.base_rate_words(window, picture), 12, _INK, 1),
        (words.CAVEAT, 12, _SOFT, 2),
        (" ".join(words.remarks(picture)), 12, _SOFT, 3),
    ]
    top = 0.985
    for text, size, colour, most_lines in wanted:
        wrapped = textwrap.wrap(text, _LETTERS // size, max_lines=most_lines, placeholder=" …")
        figure.text(
            0.02, top, "\n".join(wrapped), fontsize=size, color=colour, va="top", linespacing=1.2,
            parse_math=False,
        )  # fmt: skip
        top -= size * (_LINE_HEIGHT * len(wrapped) + _PARAGRAPH)
    return top


def _write_legend(figure: Figure, top: float) -> None:
    handles: list[Artist] = [
        Patch(color=HUES["shorts"]["light"], label="shorts' liquidations above price"),
        Patch(color=HUES["longs"]["light"], label="longs' liquidations below price"),
        Line2D([], [], color=_SOFT, label="cumulative away from price (upper scale)"),
        Patch(color=_GRID, label="dense tiers: notional, and fuel in hours of median trading"),
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.013, top + 0.005), ncols=len(handles),
        frameon=False, fontsize=11, labelcolor=_SOFT, borderpad=0.2, columnspacing=1.6,
    )  # fmt: skip


def _paint(axes: Any) -> None:
    for spine in axes.spines.values():
        spine.set_color(_GRID)
    axes.tick_params(colors=_SOFT, labelsize=11)


def _short_money(value: float, _: object = None) -> str:
    for limit, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{unit}"
    return f"{value:.4g}"


def _price_tick(value: float, places: int) -> str:
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
