"""The charts of a study's parameters: score against each value, and all of them at once.

In the picture of all parameters the axes lie, one beneath the other, so that their names can be read on a
phone: a trial is a line that runs down the page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import (
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    NumeralTickFormatter,
    Range1d,
)

from ..datasets.panel import Float64Array1D
from .formatting import UNKNOWN
from .plain_charts import plain_figure
from .tuning_charts import LINE, SOFT, WINNER, score_range, thinned
from .tuning_record import StudyRecord

MOST_POINTS: Final = 1500
"""Trials in the charts of single parameters."""
MOST_LINES: Final = 300
"""Trials in the picture of all parameters."""
SCORE_COLOURS: Final = (
    *("#d9dfe6", "#b9c8dd", "#98b0d6", "#7698cd", "#547fc3", "#3a68b5", "#22519e", "#0e3a80"),
)
"""From the worst shown to the best; the page has others for a dark screen."""
_SPREAD: Final = 0.44
_GOLDEN: Final = 0.618034
_LABEL: Final = 12
_MOST_LABELS: Final = 4
_LOG_RANGE: Final = 1.06
_INK: Final = 250.0
"""More points than twice as many are drawn fainter, so that a crowd still shows where it is densest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One searched parameter.

    Attributes
    ----------
    name, unit, meaning : str
    low, high : float
    log : bool
    choices : tuple
        Of texts or numbers; empty for a range.
    value : object
        The winner's.
    share : float or None
        Of what makes a trial good; None where it is not known.
    """

    name: str
    unit: str
    meaning: str
    low: float
    high: float
    log: bool
    choices: tuple[Any, ...]
    value: Any
    share: float | None

    def places(self, values: pd.Series[Any]) -> Float64Array1D:
        """Return where values lie between the ends of the axis, 0 to 1."""
        if self.choices:
            return (self.numbers(values) + 0.5) / len(self.choices)
        low, high, found = self.low, self.high, self.numbers(values)
        if self.log:
            low, high, found = np.log(low), np.log(high), np.log(found)
        return (found - low) / (high - low)

    def numbers(self, values: pd.Series[Any]) -> Float64Array1D:
        """Return values as numbers, a choice as its place in the list."""
        if not self.choices:
            return values.to_numpy(dtype=np.float64)
        place = {choice: float(i) for i, choice in enumerate(self.choices)}
        return np.array([place.get(v, np.nan) for v in values], dtype=np.float64)

    def told(self) -> str:
        """Return the winner's value as a text."""
        return _text(self.value)

    def labels(self) -> list[str]:
        """Return the choices as tick labels: numbers where they are long or many, which `key` tells."""
        texts = [str(choice) for choice in self.choices]
        if len(texts) > _MOST_LABELS or any(len(text) > _LABEL for text in texts):
            return [str(place + 1) for place in range(len(texts))]
        return texts

    def key(self) -> str:
        """Return what numbered tick labels stand for; empty where they speak for themselves."""
        texts = [str(choice) for choice in self.choices]
        if self.labels() == texts:
            return ""
        return ", ".join(f"{place + 1} = {text}" for place, text in enumerate(texts))


def axes_of(record: StudyRecord) -> list[Axis]:
    """Return the searched parameters, the most important first."""
    outcome = record.outcome
    told = {row["name"]: row for row in outcome["winner"]["parameters"]}
    shares = outcome["search"]["importance"]
    found = [
        Axis(
            name=d["name"],
            unit=told.get(d["name"], {}).get("unit", "choice"),
            meaning=told.get(d["name"], {}).get("meaning", "map among which was chosen"),
            low=d["low"],
            high=d["high"],
            log=d["log"],
            choices=tuple(d["choices"]),
            value=outcome["winner"]["found"].get(d["name"]),
            share=shares.get(d["name"]) if shares else None,
        )
        for d in outcome["space"]
        if d["name"] in record.trials
    ]
    return sorted(found, key=lambda axis: -(axis.share or 0.0))


def parameter_charts(record: StudyRecord, axes: list[Axis]) -> list[Any]:
    """Return a chart of score against value for each parameter, all over the same trials."""
    near = set(record.outcome["search"]["plateau"].get("nearest", ()))
    able = record.scored[record.scored["feasible"]]
    own = record.outcome["winner"]["number"]
    shown = thinned(able, MOST_POINTS, keep=[*near, own])
    nearest = record.scored[record.scored["number"].isin(near)]
    groups = (
        ("soft", SOFT, "circle", 4, float(np.clip(_INK / max(len(shown), 1), 0.2, 0.5)), shown),
        ("line", LINE, "circle", 8, 0.9, nearest),
        ("winner", WINNER, "diamond", 15, 1.0, record.winner.to_frame().T),
    )
    sources = [
        (*look, ColumnDataSource(_columns(record, axes, trials), name=f"trials {look[0]}"))
        for *look, trials in groups
    ]
    scores = score_range(record, record.scored)
    return [_one_parameter(record, axis, i, sources, scores) for i, axis in enumerate(axes)]


def _columns(record: StudyRecord, axes: list[Axis], trials: pd.DataFrame) -> dict[str, Any]:
    numbers = trials["number"].to_numpy(dtype=np.float64)
    scores = record.score_scale() * trials["score"].to_numpy(dtype=np.float64)
    columns: dict[str, Any] = {"number": numbers, "score": scores}
    for i, axis in enumerate(axes):
        # Names of columns are ours: those of parameters may be anything.
        columns[f"x{i}"] = axis.numbers(trials[axis.name])
        columns[f"text{i}"] = [_text(value) for value in trials[axis.name]]
        if axis.choices:
            # Aside by a share that looks random and is the same each time.
            columns[f"x{i}"] += _SPREAD * ((numbers * _GOLDEN) % 1.0 - 0.5)
    return columns


def _one_parameter(
    record: StudyRecord, axis: Axis, place: int, sources: list[Any], scores: Range1d
) -> Any:
    if axis.choices:
        x_range = Range1d(-0.6, len(axis.choices) - 0.4)
    elif axis.log:
        x_range = Range1d(axis.low / _LOG_RANGE, axis.high * _LOG_RANGE)
    else:
        margin = 0.03 * (axis.high - axis.low)
        x_range = Range1d(axis.low - margin, axis.high + margin)
    plot = plain_figure(
        name=f"parameter {place}",
        height=200,
        x_range=x_range,
        y_range=scores,
        x_label=literal(axis.unit + (", logarithmic" if axis.log else "")),
        y_label=record.score_name,
        x_axis_type="log" if axis.log else "linear",
    )
    if axis.choices:
        plot.xaxis.ticker = FixedTicker(ticks=list(range(len(axis.choices))))
        plot.xaxis.major_label_overrides = {
            float(i): literal(text) for i, text in enumerate(axis.labels())
        }
    else:
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0.[0000]")
        if axis.log:
            plot.xaxis.ticker = FixedTicker(ticks=log_ticks(axis.low, axis.high))
        else:
            plot.xaxis.ticker.desired_num_ticks = 4
    plot.yaxis.ticker.desired_num_ticks = 4
    drawn = [
        plot.scatter(
            f"x{place}", "score", source=source, marker=marker, size=size, alpha=alpha, color=hue,
            line_color=hue if name == "soft" else "white", name=name,
        )
        for name, hue, marker, size, alpha, source in sources
    ]  # fmt: skip
    rows = [("trial", "@number{0,0}"), ("value", f"@text{place}"), ("score", "@score{0.00}")]
    plot.add_tools(HoverTool(renderers=drawn, tooltips=rows))
    return plot


def log_ticks(low: float, high: float) -> list[float]:
    """Return ticks of a logarithmic axis: powers of ten, else 1, 2 and 5 times these, else its ends.

    Examples
    --------
    >>> log_ticks(4, 288), log_ticks(12, 288), log_ticks(12, 24)
    ([10.0, 100.0], [20.0, 50.0, 100.0, 200.0], [12, 24])
    """
    powers = [10.0**k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    for steps in ((1.0,), (1.0, 2.0, 5.0)):
        ticks = [step * power for power in powers for step in steps if low <= step * power <= high]
        if len(ticks) > 1:
            return ticks
    return [low, high]


def parallel_chart(record: StudyRecord, axes: list[Axis]) -> Any:
    """Return all parameters at once: one row each, the score on top, a line for each trial."""
    own = record.outcome["winner"]["number"]
    able = record.scored[record.scored["feasible"]]
    shown = thinned(able, MOST_LINES, keep=[own]).sort_values("score", kind="stable")
    scores = able["score"].to_numpy(dtype=np.float64)
    high = float(scores.max())
    low = max(float(scores.min()), score_range(record, able).start / record.score_scale())
    top = len(axes)
    plot = plain_figure(
        name="parallel",
        height=70 + 40 * (top + 1),
        x_range=Range1d(-0.02, 1.02),
        y_range=Range1d(-0.45, top + 0.35),
        x_label="Place in the searched range (%)",
        y_label="",
    )
    plot.xaxis.formatter = NumeralTickFormatter(format="0%")
    plot.yaxis.ticker = FixedTicker(ticks=list(range(top + 1)))
    plot.yaxis.axis_label = None
    names = {
        float(top): "score",
        **{float(top - 1 - i): literal(a.name) for i, a in enumerate(axes)},
    }
    plot.yaxis.major_label_overrides = names
    plot.xgrid.visible = False
    mapper = LinearColorMapper(palette=list(SCORE_COLOURS), low=0.0, high=1.0, name="score colours")
    paths = _paths(shown, axes, low=low, high=high)
    ranks = np.linspace(0.0, 1.0, len(shown)) if len(shown) > 1 else np.ones(len(shown))
    lines = plot.multi_line(
        "xs", "ys", source=ColumnDataSource({**paths, "rank": ranks}, name="paths"),
        line_color={"field": "rank", "transform": mapper}, line_alpha=0.55, line_width=1.1,
    )  # fmt: skip
    best = _paths(record.winner.to_frame().T, axes, low=low, high=high)
    winner = plot.multi_line(
        "xs", "ys", source=ColumnDataSource(best), line_color=WINNER, line_width=3, name="winner"
    )
    least = record.score_text(low) if low <= scores.min() else f"{record.score_text(low)} or less"
    _ends(plot, axes, scores=(least, record.score_text(high)))
    rows = [("trial", "@number{0,0}"), ("score", "@score")]
    plot.add_tools(HoverTool(renderers=[lines, winner], tooltips=rows, line_policy="interp"))
    return plot


def _paths(trials: pd.DataFrame, axes: list[Axis], *, low: float, high: float) -> dict[str, Any]:
    scores = trials["score"].to_numpy(dtype=np.float64)
    rows = [axis.places(trials[axis.name]) for axis in axes]
    rows.insert(0, (scores - low) / (high - low) if high > low else np.full(len(scores), 0.5))
    xs = np.clip(np.column_stack(rows), 0.0, 1.0) if len(trials) else np.empty((0, len(rows)))
    ys = np.arange(len(rows), dtype=np.float64)[::-1]
    return {
        "xs": [row.tolist() for row in xs],
        "ys": [ys.tolist()] * len(xs),
        "number": trials["number"].to_numpy(dtype=np.float64),
        "score": [f"{score:.3g}" for score in scores],
    }


def _ends(plot: Any, axes: list[Axis], *, scores: tuple[str, str]) -> None:
    """Write what the ends of each row stand for, beneath them."""
    texts = [scores]
    for axis in axes:
        first, last = (axis.choices[0], axis.choices[-1]) if axis.choices else (axis.low, axis.high)
        texts.append((_short(first), _short(last)))
    ys = np.arange(len(texts), dtype=np.float64)[::-1]
    for side, (x, align) in enumerate(((0.0, "left"), (1.0, "right"))):
        source = ColumnDataSource(
            {"x": [x] * len(texts), "y": ys, "text": [pair[side] for pair in texts]}
        )
        plot.text(
            "x", "y", "text", source=source, text_align=align, text_baseline="top", y_offset=3,
            text_font_size="11px", text_color="#3a4552", background_fill_color="white",
            background_fill_alpha=0.75, padding=1, name="words",
        )  # fmt: skip


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 2 * _LABEL else f"{text[: 2 * _LABEL]}…"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or not np.isfinite(value):
        return UNKNOWN
    return f"{value:,.6g}"


def literal(text: str) -> str:
    """Return a text that bokeh does not take for a formula, which would ask for a library to set it."""
    return text.replace("$$", "$ $").replace(r"\(", "(").replace(r"\[", "[")
