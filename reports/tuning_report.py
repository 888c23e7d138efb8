"""The morning report of a study: one HTML file that needs nothing but a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bokeh.embed import components
from markupsafe import Markup

from . import tuning_words as words
from ._page import bokeh_js, page_template, template_text, told_of_record, write_whole
from .parameter_charts import (
    MOST_LINES,
    MOST_POINTS,
    SCORE_COLOURS,
    Axis,
    axes_of,
    parallel_chart,
    parameter_charts,
)
from .run_record import REPORT_FILE
from .tuning_charts import (
    MOST_HISTORY,
    below_the_chart,
    equity_chart,
    history_chart,
    pareto_chart,
)
from .tuning_record import StudyRecord, read_study
from .tuning_tables import (
    fold_rows,
    holdout_rows,
    importance_rows,
    key_figures,
    parameter_table,
    setting_tables,
)


def write_tuning_report(folder: Path) -> Path:
    """Write a study's report into its folder and return the file; nothing is run again.

    Raises
    ------
    InputError
        If its holdout was not opened yet, or its record is not whole.
    LakeError
        If the file cannot be written.
    """
    path = folder / REPORT_FILE
    write_whole(path, render_tuning_report(read_study(folder)).encode("utf-8"))
    return path


def render_tuning_report(record: StudyRecord) -> str:
    """Return the report of a study as HTML.

    Raises
    ------
    InputError
        If the record lacks something that the page shows.
    """
    with told_of_record(record.folder, "study"):
        return _render(record)


def _render(record: StudyRecord) -> str:
    outcome, axes = record.outcome, axes_of(record)
    search = "pareto" if record.two_goals else "history"
    charts = {
        "equity": equity_chart(record),
        search: pareto_chart(record) if record.two_goals else history_chart(record),
        "parallel": parallel_chart(record, axes),
        **{f"parameter-{i}": c for i, c in enumerate(parameter_charts(record, axes))},
    }
    script, divs = components(charts)
    return page_template("tuning.html.j2").render(
        title=words.title_words(record),
        outcome=outcome,
        session=outcome["session"],
        record=record,
        words=words,
        figures=key_figures(record),
        parameters=parameter_table(record, axes),
        axes=list(enumerate(axes)),
        holdout=holdout_rows(outcome),
        folds=fold_rows(outcome),
        importance=importance_rows(axes),
        tables=setting_tables(record),
        search_chart=search,
        counts=_counts(record, axes),
        ramp=", ".join(SCORE_COLOURS),
        again=words.winning_command(outcome),
        dashboard=words.dashboard_command(record),
        css=Markup(template_text("page.css")),  # our own file
        page_js=Markup(template_text("tuning.js")),  # our own file
        bokeh_js=Markup(bokeh_js()),  # out of the installed wheel
        bokeh_script=Markup(script),  # bokeh escapes what it embeds
        charts={name: Markup(div) for name, div in divs.items()},  # as above
    )


def _counts(record: StudyRecord, axes: list[Axis]) -> dict[str, Any]:
    """Return how many trials each picture shows, of how many."""
    scored = record.scored
    able = int(scored["feasible"].sum())
    return {
        "scored": len(scored),
        "able": able,
        "points": min(able, MOST_POINTS),
        "lines": min(able, MOST_LINES),
        "history": min(len(scored), MOST_HISTORY),
        "below": below_the_chart(record),
        "axes": len(axes),
    }
