"""The charts of a study of evidence, out of its record.

What is told apart by colour is told apart by mark as well. Renderers are named by what they mean
(``evidence``, ``soft``, …), by which ``evidence.js`` gives them the reader's colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Range1d,
    Span,
)

from .evidence_words import COVARIATES, places_of, round_money, short_hours, short_label, signed
from .formatting import UNKNOWN
from .plain_charts import padded, plain_figure

LINE: Final = "#2258b8"
SECOND: Final = "#b4520a"
SOFT: Final = "#7f8c9a"
AGAINST: Final = "#b3261e"
LOOKS: Final = {
    "evidence": ("diamond", LINE, "solid", 3.0),
    "against": ("inverted_triangle", AGAINST, "solid", 3.0),
    "none": ("circle", SOFT, "solid", 2.0),
    "little": ("square", SOFT, "dashed", 1.5),
    "line": ("circle", LINE, "solid", 2.0),
    "second": ("diamond", SECOND, "solid", 2.0),
}
"""Marker, colour, dash and width of an interval, by what it means."""
OUTCOME_LOOKS: Final = {
    "evidence": "evidence",
    "against": "against",
    "no evidence": "none",
    "too little data": "little",
}
PLACEBO_MARKERS: Final = {
    "mirrored": "triangle",
    "shifted": "x",
    "price alone": "diamond",
    "recent extremes": "square",
    "leverage shuffled": "cross",
    "volume only": "asterisk",
}
_FILLED: Final = ("evidence", "against", "line", "second")
_ROW: Final = 26
_FURTHEST: Final = (-6.0, 8.0)
_ROOM: Final = 0.3
"""The chart of all claims reaches no further, in effects that would matter: one large effect must not
flatten the others."""
_EQUAL: Final = (0.1, -0.1)


def number_of(value: float | None) -> float:
    """Return a figure of the record, NaN for an unknown one."""
    return float("nan") if value is None else float(value)


def claims_chart(name: str, claims: Sequence[Mapping[str, Any]]) -> tuple[Any, list[str]]:
    """Return all effects with their intervals and placebos, in effects that would matter.

    Returns
    -------
    figure
    list of str
        Labels of the claims that lie beyond the edge.
    """
    rows, beyond = [], []
    for place, claim in enumerate(claims):
        row = _interval_row(place, claim["effect"], 1.0 / claim["matters"])
        row |= {
            "label": short_label(claim),
            "look": OUTCOME_LOOKS[claim["outcome"]],
            "told": f"{_effect_text(claim)}: {claim['outcome']}",
        }
        if not _FURTHEST[0] <= row["value"] <= _FURTHEST[1] and np.isfinite(row["value"]):
            beyond.append(short_label(claim))
        rows.append(_clipped(row))
    plot = interval_chart(
        name,
        rows,
        labels=[row["label"] for row in rows],
        x_label="Effect (1 = the smallest that would matter)",
    )
    plot.add_layout(Span(location=1.0, dimension="height", line_color=SOFT, line_dash="dotted"))
    for kind, marker in PLACEBO_MARKERS.items():
        _add_placebos(plot, claims, kind, marker)
    return plot, beyond


def interval_chart(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    labels: Sequence[str],
    x_label: str,
    y_label: str = "",
) -> Any:
    """Return effects with intervals, one row beneath the other.

    Parameters
    ----------
    name : str
    rows : sequence of mapping
        ``place`` (row, from the top), ``value``, ``low``, ``high``, ``look`` (of `LOOKS`), ``told``.
    labels : sequence of str
        Of the rows, from the top.
    x_label, y_label : str
    """
    ends = np.array([[row["low"], row["value"], row["high"]] for row in rows], dtype=np.float64)
    shown = padded(np.append(ends.ravel(), 0.0))
    plot = plain_figure(
        name=name,
        height=_ROW * len(labels) + 64,
        x_range=shown,
        y_range=Range1d(len(labels) - 0.4, -0.6),
        x_label=x_label,
        y_label=y_label,
    )
    plot.yaxis.ticker = FixedTicker(ticks=list(range(len(labels))))
    plot.yaxis.major_label_overrides = dict(enumerate(labels))
    plot.xaxis.ticker.desired_num_ticks = 5
    plot.ygrid.grid_line_color = None
    plot.add_layout(Span(location=0.0, dimension="height", line_color=SOFT, line_width=1.5))
    marks = [_add_look(plot, look, [r for r in rows if r["look"] == look]) for look in LOOKS]
    found = [mark for mark in marks if mark is not None]
    plot.add_tools(HoverTool(renderers=found, tooltips=[("", "@label"), ("", "@told")]))
    return plot


def _add_look(plot: Any, look: str, rows: Sequence[Mapping[str, Any]]) -> Any | None:
    known = [row for row in rows if np.isfinite(row["value"])]
    if not known:
        return None
    marker, colour, dash, width = LOOKS[look]
    columns = ("place", "value", "low", "high", "label", "told")
    source = ColumnDataSource({c: [row[c] for row in known] for c in columns})
    plot.segment(
        "low", "place", "high", "place", source=source, line_color=colour, line_dash=dash,
        line_width=width, name=look,
    )  # fmt: skip
    fill = {"fill_color": colour} if look in _FILLED else {"fill_color": "white"}
    size = 13 if look in ("evidence", "against") else 9
    return plot.scatter(
        "value", "place", source=source, marker=marker, size=size, line_color=colour, line_width=2,
        name=look, **fill,
    )  # fmt: skip


def _add_placebos(plot: Any, claims: Sequence[Mapping[str, Any]], kind: str, marker: str) -> None:
    found = [
        (place + 0.3, _within_reach(number_of(c["placebo"][kind]["value"]) / c["matters"]))
        for place, c in enumerate(claims)
        if kind in c["placebo"]
    ]
    inside = [(p, v) for p, v in found if np.isfinite(v)]
    if inside:
        reached = [v for _, v in inside]
        plot.x_range.start = min(plot.x_range.start, min(reached) - _ROOM)
        plot.x_range.end = max(plot.x_range.end, max(reached) + _ROOM)
        places, values = zip(*inside, strict=True)
        source = ColumnDataSource({"place": list(places), "value": list(values)})
        plot.scatter(
            "value", "place", source=source, marker=marker, size=8, line_color=SOFT,
            fill_color="white", line_width=1.5, name="placebo",
        )  # fmt: skip


def _interval_row(place: float, effect: Mapping[str, Any], scale: float = 1.0) -> dict[str, Any]:
    ends = {n: scale * number_of(effect[n]) for n in ("value", "low", "high")}
    return {"place": place, "label": "", "told": "", **ends}


def _clipped(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, **{n: _within_reach(row[n]) for n in ("value", "low", "high")}}


def _within_reach(value: float) -> float:
    """Return a figure, or the edge of the picture for one beyond it."""
    return float(np.clip(value, *_FURTHEST))


def _effect_text(claim: Mapping[str, Any]) -> str:
    places, effect = places_of(claim["unit"]), claim["effect"]
    ends = f"{signed(effect['low'], places)} to {signed(effect['high'], places)}"
    return f"{signed(effect['value'], places)} ({ends}) {claim['unit']}"


def forest_chart(name: str, claims: Sequence[Mapping[str, Any]], forests: Mapping[str, Any]) -> Any:
    """Return one family of claims: each instrument's effect at each horizon, and the pooled one."""
    rows: list[dict[str, Any]] = []
    labels: list[str] = []
    for claim in claims:
        forest, places = forests[claim["key"]], places_of(claim["unit"])
        each = [*forest["each"].items(), ("pooled", forest["pooled"])]
        hours = claim["horizon_hours"]
        part = claim["key"].partition(" ")[2] if hours is None else short_hours(hours)
        for who, effect in each:
            row = _interval_row(len(labels), effect)
            label = f"{who}, {part}" if part else who
            ends = f"{signed(effect['low'], places)} to {signed(effect['high'], places)}"
            row |= {
                "label": label,
                "look": "second" if who == "pooled" else "line",
                "told": f"{signed(effect['value'], places)} ({ends}), n {effect['n']:,}",
            }
            labels.append(label)
            rows.append(row)
    unit = claims[0]["unit"]
    return interval_chart(name, rows, labels=labels, x_label=unit[:1].upper() + unit[1:])


def shares_chart(name: str, encounters: Mapping[str, Any]) -> Any:
    """Return the shares of outcomes, tiers above like levels, by horizon."""
    labels: list[str] = []
    columns: dict[str, list[float]] = {n: [] for n in ("activated", "absorbed", "rejected")}
    for at in encounters["horizons"]:
        for who, key in (("tiers", "tiers"), ("like levels", "like_levels")):
            labels.append(f"{who}, {short_hours(at['hours'])}")
            for outcome, values in columns.items():
                values.append(100.0 * number_of(at[key][outcome]))
    plot = plain_figure(
        name=name,
        height=_ROW * len(labels) + 64,
        x_range=Range1d(0.0, 100.0),
        y_range=Range1d(len(labels) - 0.4, -0.6),
        x_label="Share (%)",
        y_label="",
    )
    plot.yaxis.ticker = FixedTicker(ticks=list(range(len(labels))))
    plot.yaxis.major_label_overrides = dict(enumerate(labels))
    plot.ygrid.grid_line_color = None
    left = np.zeros(len(labels))
    bars = []
    for outcome, hatch in (
        ("activated", None),
        ("absorbed", "dot"),
        ("rejected", "right_diagonal_line"),
    ):
        shown = np.array(columns[outcome])
        source = ColumnDataSource(
            {
                "y": np.arange(len(labels)), "left": left, "right": left + shown,
                "label": labels, "told": [f"{outcome} {v:.1f} %" for v in shown],
            }
        )  # fmt: skip
        bars.append(
            plot.hbar(
                y="y", left="left", right="right", height=0.7, source=source, line_color="white",
                fill_color=LINE, hatch_pattern=hatch, hatch_color="white", hatch_alpha=0.9,
                hatch_scale=8, name=outcome,
            )
        )  # fmt: skip
        left = left + shown
    plot.add_tools(HoverTool(renderers=bars, tooltips=[("", "@label"), ("", "@told")]))
    return plot


def balance_chart(name: str, balance: Sequence[Mapping[str, Any]]) -> Any:
    """Return the standardised differences before and after matching."""
    rows = []
    for place, row in enumerate(balance):
        for key, look in (("before", "none"), ("after", "line")):
            value = number_of(row[key])
            rows.append(
                {
                    "place": place, "value": value, "low": value, "high": value, "look": look,
                    "label": COVARIATES[row["covariate"]], "told": f"{key} {value:+.2f}",
                }
            )  # fmt: skip
    plot = interval_chart(
        name,
        rows,
        labels=[COVARIATES[row["covariate"]] for row in balance],
        x_label="Difference (standard deviations)",
    )
    for edge in _EQUAL:
        plot.add_layout(
            Span(location=edge, dimension="height", line_color=SOFT, line_dash="dotted")
        )
    return plot


def information_chart(name: str, horizons: Sequence[Mapping[str, Any]]) -> Any:
    """Return the information coefficients by horizon: raw, on surrogate paths, and beyond both."""
    rows = []
    labels = [short_hours(row["hours"]) for row in horizons]
    for place, row in enumerate(horizons):
        partial = row["partial"]
        ends = f"{signed(partial['low'], 3)} to {signed(partial['high'], 3)}"
        rows.append(
            {
                **_interval_row(place, partial), "look": "line", "label": labels[place],
                "told": f"beyond price and surrogates {signed(partial['value'], 3)} ({ends})",
            }
        )  # fmt: skip
        for key, look, shift, told in (
            ("information", "second", 0.28, "raw"),
            ("surrogates", "none", 0.28, "mean of surrogate paths"),
        ):
            value = number_of(row[key])
            rows.append(
                {
                    "place": place + shift, "value": value, "low": value, "high": value,
                    "look": look, "label": labels[place], "told": f"{told} {value:+.3f}",
                }
            )  # fmt: skip
    return interval_chart(
        name, rows, labels=labels, x_label="Rank correlation with the forward return"
    )


def quantile_chart(name: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the mean return after each fifth of the imbalance, one horizon."""
    told = [
        {
            **_interval_row(row["quantile"] - 1, row["mean_bps"]),
            "look": "line",
            "label": f"fifth {row['quantile']}: {ratio_text(row['lowest'])} to {ratio_text(row['highest'])}",
            "told": f"{signed(row['mean_bps']['value'], 1)} bp, n {row['mean_bps']['n']:,}",
        }
        for row in rows
    ]
    names = ("1: most below", "2", "3", "4", "5: most above")
    return interval_chart(name, told, labels=names, x_label="Mean return (bp)")


def ratio_text(log_ratio: float | None) -> str:
    """Return an imbalance as a ratio, shorts to longs."""
    ratio = np.exp(number_of(log_ratio))
    if not np.isfinite(ratio):
        return UNKNOWN
    return f"{ratio:.2g} : 1" if ratio >= 1.0 else f"1 : {1.0 / ratio:.2g}"


def ways_chart(name: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return what breakout and fade of every tier gave net of costs, by size, one horizon."""
    sizes = sorted({row["notional"] for row in rows})
    told = []
    for row in rows:
        net, breakout = row["net_bps"], row["way"] == "breakout"
        ends = f"{signed(net['low'], 1)} to {signed(net['high'], 1)}"
        told.append(
            {
                **_interval_row(sizes.index(row["notional"]) + (-0.17 if breakout else 0.17), net),
                "look": "line" if breakout else "second",
                "label": f"{row['way']}, {round_money(row['notional'])}",
                "told": f"{signed(net['value'], 1)} bp ({ends})",
            }
        )
    return interval_chart(
        name, told, labels=[round_money(size) for size in sizes], x_label="Net result of a trade (bp)",
        y_label="Order (quote)",
    )  # fmt: skip
