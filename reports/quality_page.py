"""The page of `liqtiers data check`: findings by kind, and a calendar of what each series covers.

Drawn as plain SVG, a row a year and a rectangle a stretch of days alike: it needs no script and takes
its colours from the page. The same figures stand beside it as JSON.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from ..datasets._series_name import SeriesName
from ..datasets.lake import Series
from ..datasets.quality import CheckedSeries, Coverage, Finding
from ._page import page_template, template_text, write_whole
from .record_files import plain, record_text

SCHEMA_VERSION: Final = 1
_WHOLE: Final = 0.999
_MOST: Final = 0.9
_LISTED: Final = 12
"""Stretches of days named in words beneath a calendar; the JSON has all findings."""


def series_name(series: Series) -> str:
    """Return a series as users name it.

    Examples
    --------
    >>> names = {"table": "bars", "venue": "v", "symbol": "S", "timeframe": "1h"}
    >>> series_name(Series(**names, rows=1, first_us=0, last_us=0))
    'v:S:1h'
    """
    return str(SeriesName(series.venue, series.symbol, series.timeframe))


def sentence_of(checked: Sequence[CheckedSeries]) -> str:
    """Return what the check comes to, in one sentence."""
    found = [finding for each in checked for finding in each.findings]
    serious = sum(finding.severity == "serious" for finding in found)
    where = _counted(len(checked), "series", "series")
    minor = _counted(len(found) - serious, "minor finding", "minor findings")
    if serious:
        told = _counted(serious, "serious finding", "serious findings")
        return f"{told} in {where}: a backtest on them can be wrong without showing it; {minor} besides."
    if found:
        return f"Nothing serious in {where}; {minor}, which a backtest copes with as told below."
    return f"Nothing was found in {where}."


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def write_quality_page(
    checked: Sequence[CheckedSeries], path: Path, *, lake: str, command: str, created_at: datetime
) -> None:
    """Write the page, and its figures as JSON beside it; the folder must exist.

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    about = quality_about(checked, lake=lake, command=command, created_at=created_at)
    write_whole(path, render_quality(checked, about).encode("utf-8"))
    write_whole(path.with_name(f"{path.name}.json"), record_text(about).encode("utf-8"))


def quality_about(
    checked: Sequence[CheckedSeries], *, lake: str, command: str, created_at: datetime
) -> dict[str, Any]:
    """Return the page's figures as they stand beside it in JSON."""
    about = {
        "schema": SCHEMA_VERSION,
        "created_at": created_at.isoformat(),
        "command": command,
        "lake": lake,
        "sentence": sentence_of(checked),
        "series": [
            {
                **asdict(each.series),
                "days": len(each.coverage.share),
                "days_without_rows": int((each.coverage.share == 0.0).sum()),
                "findings": [asdict(finding) for finding in each.findings],
            }
            for each in checked
        ],
    }
    return dict(plain(about))


def render_quality(checked: Sequence[CheckedSeries], about: dict[str, Any]) -> str:
    """Return the page as HTML."""
    return page_template("quality.html.j2").render(
        about=about,
        figures=_figures(checked),
        kinds=_by_kind(checked),
        tables=_by_table(checked),
        version=metadata.version("liqtiers"),
        css=Markup(template_text("page.css")),  # our own file
    )


def _figures(checked: Sequence[CheckedSeries]) -> list[dict[str, str]]:
    found = [finding for each in checked for finding in each.findings]
    serious = sum(finding.severity == "serious" for finding in found)
    empty = sum(int((each.coverage.share == 0.0).sum()) for each in checked)
    rows = [
        ("Serious findings", f"{serious:,}", "a result can be wrong without showing it"),
        ("Minor findings", f"{len(found) - serious:,}", "handled, but to be known"),
        ("Rows checked", f"{sum(e.series.rows for e in checked):,}", f"in {len(checked):,} series"),
        ("Days without a row", f"{empty:,}", "between a series' first and last day, all added up"),
    ]
    return [dict(zip(("name", "value", "meaning"), row, strict=True)) for row in rows]


def _by_kind(checked: Sequence[CheckedSeries]) -> list[dict[str, Any]]:
    kinds: dict[str, list[tuple[Series, Finding]]] = {}
    for each in checked:
        for finding in each.findings:
            kinds.setdefault(finding.kind, []).append((each.series, finding))
    told = [
        {
            "kind": kind,
            "title": found[0][1].title,
            "consequence": found[0][1].consequence,
            "serious": any(finding.severity == "serious" for _, finding in found),
            "rows": [_row(series, finding) for series, finding in found],
        }
        for kind, found in kinds.items()
    ]
    return sorted(told, key=lambda kind: not kind["serious"])


def _row(series: Series, finding: Finding) -> dict[str, str]:
    return {
        "severity": finding.severity,
        "series": f"{series.table.replace('_', ' ')} {series_name(series)}",
        "count": f"{finding.count:,}",
        "of": f"{finding.of:,} {finding.unit}",
        "first": _day(finding.first_us),
        "last": _day(finding.last_us),
        "example": finding.example,
    }


def _day(us: int) -> str:
    return str(np.datetime_as_string(np.datetime64(us, "us"), unit="D"))


def _by_table(checked: Sequence[CheckedSeries]) -> list[dict[str, Any]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for each in checked:
        tables.setdefault(each.series.table, []).append(_calendar(each))
    return [{"name": name.replace("_", " "), "series": found} for name, found in tables.items()]


def _calendar(each: CheckedSeries) -> dict[str, Any]:
    series, grades = each.series, _grades(each.coverage)
    return {
        "name": series_name(series),
        "rows": f"{series.rows:,}",
        "first": _day(series.first_us),
        "last": _day(series.last_us),
        "years": _years(each.coverage, grades),
        "words": _words(each.coverage, grades, any_row=series.table == "liquidations"),
    }


_GRADES: Final = ("none", "part", "most", "whole")


def _grades(coverage: Coverage) -> np.ndarray[Any, np.dtype[np.int64]]:
    share = coverage.share
    return (share > 0.0).astype(np.int64) + (share >= _MOST) + (share >= _WHOLE)


def _years(coverage: Coverage, grades: np.ndarray[Any, np.dtype[np.int64]]) -> list[dict[str, Any]]:
    days = (coverage.first_day + np.arange(len(grades))).astype("datetime64[D]")
    year_of = days.astype("datetime64[Y]")
    out = []
    for year in np.unique(year_of):
        of_year = np.flatnonzero(year_of == year)
        place = (days[of_year] - year.astype("datetime64[D]")).astype(np.int64)
        rectangles = [
            {
                "x": int(place[start]),
                "width": stop - start,
                "grade": _GRADES[int(grades[of_year[start]])],
                "title": _stretch_words(days[of_year[start]], days[of_year[stop - 1]])
                + f": {_grade_words(coverage.share[of_year[start:stop]])}",
            }
            for start, stop in _alike(grades[of_year])
        ]
        whole = int((grades[of_year] == len(_GRADES) - 1).sum())
        out.append(
            {"year": str(year), "rectangles": rectangles, "whole": whole, "days": len(of_year)}
        )
    return out


def _alike(grades: np.ndarray[Any, np.dtype[np.int64]]) -> list[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(grades)) + 1).tolist(), len(grades)]
    return list(itertools.pairwise(edges))


def _stretch_words(first: np.datetime64, last: np.datetime64) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _grade_words(share: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    low, high = float(share.min()), float(share.max())
    if high == 0.0:
        return "no row"
    if low >= _WHOLE:
        return "whole"
    # Rounded down: a day that lacks a row is not shown as 100 %.
    below, above = int(100.0 * low), int(100.0 * high)
    return f"{below} %" if below == above else f"{below} to {above} %"


def _words(
    coverage: Coverage, grades: np.ndarray[Any, np.dtype[np.int64]], *, any_row: bool
) -> str:
    """Return in words what the calendar shows, for those who cannot see it."""
    days = (coverage.first_day + np.arange(len(grades))).astype("datetime64[D]")
    missing = [(a, b) for a, b in _alike(grades) if grades[a] < len(_GRADES) - 1]
    whole = int((grades == len(_GRADES) - 1).sum())
    told = f"{whole:,} of {_counted(len(grades), 'day', 'days')} {'have rows' if any_row else 'are whole'}"
    if not missing:
        return f"{told}."
    parts = [
        f"{_stretch_words(days[a], days[b - 1])} ({_grade_words(coverage.share[a:b])})"
        for a, b in missing[:_LISTED]
    ]
    more = f", and {len(missing) - _LISTED:,} more stretches" if len(missing) > _LISTED else ""
    return f"{told}; not {', '.join(parts)}{more}."
