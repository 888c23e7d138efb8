"""The charts of a study: equity on the holdout, the search's history, and return against drawdown.

Twenty thousand trials are too many to draw: they are thinned out evenly by rank, the best and those that
are pointed at all kept, and the page says how many are shown. Renderers are named by what they mean
(``winner``, ``line``, ``soft``), by which ``tuning.js`` gives them the reader's colours.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
import pandas as pd
from bokeh.models import (
    ColumnDataSource,
    DatetimeTickFormatter,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
    Span,
)

from ..datasets.panel import Float64Array1D
from .plain_charts import padded, plain_figure
from .tuning_record import StudyRecord

WINNER: Final = "#b4520a"
LINE: Final = "#2258b8"
SOFT: Final = "#7f8c9a"
MOST_HISTORY: Final = 3000
"""Points of the history and of return against drawdown."""
_BEST_KEPT: Final = 200
_LOW_SHARE: Final = 0.05
_DEPTH: Final = 4.0
"""A score axis reaches down to the worst but for this share, and not deeper below the median than so many
times the way up from there to the best: disasters must not flatten what is looked at."""


def equity_chart(record: StudyRecord) -> Any:
    """Return the holdout's equity of winner, defaults and buy-and-hold, percent since its start."""
    held = record.outcome["holdout"]
    when = _milliseconds([held["start"], *held["day_ends"]])
    curves = {
        key: 100.0 * (np.array([1.0, *held[key]["equity"]], dtype=np.float64) - 1.0)
        for key in ("winner", "defaults", "buy_and_hold")
    }
    source = ColumnDataSource({"t": when, **curves}, name="equity")
    plot = plain_figure(
        name="equity",
        height=360,
        x_range=padded(when, name="time"),
        y_range=padded(np.concatenate(list(curves.values()))),
        x_label="UTC",
        y_label="Return since the start (%)",
        x_axis_type="datetime",
    )
    plot.xaxis.formatter = DatetimeTickFormatter(
        hours="%d %b %H:%M", days="%d %b %Y", months="%b %Y", years="%Y"
    )
    plot.xaxis.ticker.desired_num_ticks = 6
    plot.add_layout(Span(location=0.0, dimension="width", line_color=SOFT, line_width=1))
    looks = (
        ("buy_and_hold", "soft", SOFT, "dotted", 2.0),
        ("defaults", "line", LINE, "dashed", 2.0),
        ("winner", "winner", WINNER, "solid", 2.6),
    )
    lines = [
        plot.line("t", key, source=source, color=hue, line_dash=dash, line_width=width, name=name)
        for key, name, hue, dash, width in looks
    ]
    rows = [
        ("end of day", "@t{%Y-%m-%d %H:%M} UTC"),
        ("winner", "@winner{+0.00}%"),
        ("defaults", "@defaults{+0.00}%"),
        ("buy-and-hold", "@buy_and_hold{+0.00}%"),
    ]
    plot.add_tools(
        HoverTool(renderers=[lines[-1]], tooltips=rows, formatters={"@t": "datetime"}, mode="vline")
    )
    return plot


def history_chart(record: StudyRecord) -> Any:
    """Return each trial's score by its number, and the best so far of those with enough trades."""
    scored = record.scored
    shown = thinned(scored, MOST_HISTORY, keep=[record.outcome["winner"]["number"]])
    numbers = scored["number"].to_numpy(dtype=np.float64)
    plot = plain_figure(
        name="history",
        height=300,
        x_range=padded(np.append(numbers, record.trials["number"].to_numpy())),
        y_range=score_range(record, scored),
        x_label="Trial",
        y_label=record.score_name,
    )
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    few = _marks(plot, record, shown[~shown["feasible"]], marker="x", alpha=0.8)
    done = _marks(plot, record, shown[shown["feasible"]], marker="circle", alpha=0.55)
    best = best_so_far(scored)
    plot.step(
        "number", "score", source=ColumnDataSource(best, name="best"), mode="after", color=LINE,
        line_width=2, name="line",
    )  # fmt: skip
    own = _winner(plot, record, "number", "score")
    plot.add_tools(
        HoverTool(renderers=[few, done, own], tooltips=[("trial", "@number{0,0}"), ("score", "@score{0.00}")])
    )  # fmt: skip
    return plot


def pareto_chart(record: StudyRecord) -> Any:
    """Return each trial's return a year against its deepest drawdown, and the line that none beats."""
    scored = record.scored
    shown = thinned(scored, MOST_HISTORY, keep=[record.outcome["winner"]["number"]])
    y_range = score_range(record, scored)
    seen = scored[record.score_scale() * scored["score"] >= y_range.start]
    plot = plain_figure(
        name="pareto",
        height=420,
        x_range=padded(100.0 * seen["second"].to_numpy(dtype=np.float64)),
        y_range=y_range,
        x_label="Deepest drawdown in the folds (%)",
        y_label=record.score_name,
    )
    few = _marks(plot, record, shown[~shown["feasible"]], marker="x", alpha=0.8, x="second")
    done = _marks(plot, record, shown[shown["feasible"]], marker="circle", alpha=0.55, x="second")
    front = unbeaten(scored)
    source = ColumnDataSource(_drawn(record, front), name="front")
    plot.step("second", "score", source=source, mode="after", color=LINE, line_width=2, name="line")
    plot.scatter("second", "score", source=source, size=7, color=LINE, name="line")
    own = _winner(plot, record, "second", "score")
    rows = [
        ("trial", "@number{0,0}"),
        ("return a year", "@score{+0.00}%"),
        ("drawdown", "@second{0.00}%"),
    ]
    plot.add_tools(HoverTool(renderers=[few, done, own], tooltips=rows))
    return plot


def best_so_far(scored: pd.DataFrame) -> dict[str, list[float]]:
    """Return where the best score of those with enough trades rose, and where it stood at the end."""
    able = scored[scored["feasible"]]
    best = able["score"].cummax()
    rose = best.diff().fillna(1.0) > 0.0
    numbers, scores = able["number"][rose].tolist(), best[rose].tolist()
    if len(scored):
        numbers.append(int(scored["number"].iloc[-1]))
        scores.append(scores[-1] if scores else np.nan)
    return {"number": numbers, "score": scores}


def unbeaten(scored: pd.DataFrame) -> pd.DataFrame:
    """Return the trials with enough trades that no other beats in both goals, by falling drawdown."""
    able = scored[scored["feasible"]].sort_values(
        ["second", "score", "number"], ascending=[True, False, True]
    )
    before = able["score"].cummax().shift(fill_value=-np.inf)
    return able[able["score"] > before]


def thinned(scored: pd.DataFrame, most: int, *, keep: Collection[int]) -> pd.DataFrame:
    """Return at most `most` trials: those to keep, the best, and the rest evenly by rank.

    Parameters
    ----------
    scored : DataFrame
        See `StudyRecord.scored`.
    most : int
    keep : collection of int
        Numbers of trials.

    Returns
    -------
    DataFrame
        In the order of their numbers.
    """
    if len(scored) <= most:
        return scored
    wanted = np.isin(scored["number"].to_numpy(), list(keep))
    ranked = np.argsort(-scored["score"].to_numpy(dtype=np.float64), kind="stable")
    wanted[ranked[: min(_BEST_KEPT, most // 2)]] = True
    rest = ranked[~wanted[ranked]]
    room = max(most - int(wanted.sum()), 0)
    wanted[rest[np.linspace(0, len(rest) - 1, room).astype(np.int64)]] = True
    return scored[wanted]


def score_range(record: StudyRecord, scored: pd.DataFrame) -> Range1d:
    """Return the span of a score axis, the worst trials below it."""
    scores = record.score_scale() * scored["score"].to_numpy(dtype=np.float64)
    middle, best = float(np.median(scores)), float(scores.max())
    low = max(float(np.quantile(scores, _LOW_SHARE)), middle - _DEPTH * (best - middle))
    return padded(scores[scores >= low])


def below_the_chart(record: StudyRecord) -> int:
    """Return how many of the trials with a score lie below a score axis."""
    scored = record.scored
    low = score_range(record, scored).start
    return int((record.score_scale() * scored["score"] < low).sum())


def _drawn(record: StudyRecord, trials: pd.DataFrame) -> dict[str, Any]:
    scale = record.score_scale()
    return {
        "number": trials["number"].to_numpy(dtype=np.float64),
        "score": scale * trials["score"].to_numpy(dtype=np.float64),
        "second": 100.0 * trials["second"].to_numpy(dtype=np.float64),
    }


def _marks(
    plot: Any, record: StudyRecord, trials: pd.DataFrame, *, marker: str, alpha: float, x: str = "number"
) -> Any:  # fmt: skip
    source = ColumnDataSource(_drawn(record, trials))
    return plot.scatter(
        x,
        "score",
        source=source,
        marker=marker,
        size=5,
        line_width=1.5,
        color=SOFT,
        alpha=alpha,
        name="soft",
    )


def _winner(plot: Any, record: StudyRecord, x: str, y: str) -> Any:
    source = ColumnDataSource(_drawn(record, record.winner.to_frame().T), name="winner")
    return plot.scatter(
        x, y, source=source, marker="diamond", size=16, color=WINNER, line_color="white", name="winner"
    )  # fmt: skip


def _milliseconds(moments: list[str]) -> Float64Array1D:
    plain = pd.to_datetime(moments, utc=True).tz_localize(None).to_numpy()
    counted: Float64Array1D = plain.astype("datetime64[ms]").astype(np.float64)
    return counted
