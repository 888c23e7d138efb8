"""The page of a data check: its calendar, its findings, and the sentence at its top."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from liqtiers.datasets.lake import Series
from liqtiers.datasets.quality import CheckedSeries, Coverage, Finding, Severity
from liqtiers.reports.quality_page import render_quality, sentence_of, write_quality_page

DAY_US = 86_400_000_000
NEW_YEAR_EVE = 19_722  # 2023-12-31, days since 1970


def finding(severity: Severity = "minor", **changes: object) -> Finding:
    values = {
        "kind": "missing bars",
        "severity": severity,
        "title": "bars are missing",
        "count": 3,
        "of": 100,
        "unit": "bars",
        "first_us": NEW_YEAR_EVE * DAY_US,
        "last_us": (NEW_YEAR_EVE + 2) * DAY_US,
        "example": "3 hours from 2023-12-31 04:00 <b>",
        "consequence": "No bar is invented.",
    }
    return Finding(**values | changes)  # type: ignore[arg-type]


def checked(share: list[float], *findings: Finding, table: str = "bars") -> CheckedSeries:
    series = Series(
        table=table, venue="binance", symbol="BTCUSDT", timeframe="1h", rows=1234,
        first_us=NEW_YEAR_EVE * DAY_US, last_us=(NEW_YEAR_EVE + len(share)) * DAY_US - 1,
    )  # fmt: skip
    coverage = Coverage(first_day=NEW_YEAR_EVE, share=np.array(share))
    return CheckedSeries(series=series, findings=findings, coverage=coverage)


def page_of(*each: CheckedSeries, path: Path) -> str:
    created = datetime(2026, 1, 2, tzinfo=UTC)
    write_quality_page(each, path, lake="lake", command="liqtiers data check", created_at=created)
    return path.read_text()


@pytest.mark.parametrize(
    ("findings", "begins"),
    [
        ((), "Nothing was found in 1 series."),
        ((finding(),), "Nothing serious in 1 series; 1 minor finding, which"),
        ((finding("serious"), finding()), "1 serious finding in 1 series: a backtest on them can be wrong"),
    ],
    ids=["clean", "minor", "serious"],
)  # fmt: skip
def test_the_sentence_says_what_it_comes_to(findings: tuple[Finding, ...], begins: str) -> None:
    """The worst of what was found comes first."""
    assert sentence_of([checked([1.0], *findings)]).startswith(begins)


def test_the_calendar_has_a_row_a_year_and_a_rectangle_a_stretch(tmp_path: Path) -> None:
    """Days alike are one rectangle with its dates and shares; a year begins a new row."""
    page = page_of(checked([1.0, 1.0, 0.95, 0.3, 0.0, 0.0, 1.0]), path=tmp_path / "p.html")
    rectangles = re.findall(
        r'<rect class="grade-(\w+)" x="(\d+)" y="0" width="(\d+)" height="10"><title>([^<]*)', page
    )
    assert rectangles == [
        ("whole", "364", "1", "2023-12-31: whole"),
        ("whole", "0", "1", "2024-01-01: whole"),
        ("most", "1", "1", "2024-01-02: 95 %"),
        ("part", "2", "1", "2024-01-03: 30 %"),
        ("none", "3", "2", "2024-01-04 to 2024-01-05: no row"),
        ("whole", "5", "1", "2024-01-06: whole"),
    ]
    assert "3 of 7 days are whole; not 2024-01-02 (95 %)" in page


def test_a_day_that_lacks_a_row_is_not_shown_as_whole(tmp_path: Path) -> None:
    """287 of 288 bars are 99 %, not 100."""
    page = page_of(checked([287 / 288]), path=tmp_path / "p.html")
    assert "2023-12-31: 99 %" in page


def test_findings_are_grouped_by_kind_the_serious_first(tmp_path: Path) -> None:
    """Each kind is told once with what a backtest does, and lists its series; texts are escaped."""
    spike = finding(
        "serious", kind="price spike", title="the close leaps", consequence="It is taken."
    )
    each = checked([1.0], finding(), spike), checked([1.0], finding(), table="mark_bars")
    page = page_of(*each, path=tmp_path / "p.html")
    assert re.findall(r'data-kind="([^"]+)"', page) == ["price spike", "missing bars"]
    assert page.count("No bar is invented.") == 1
    assert page.count("3 hours from 2023-12-31 04:00 &lt;b&gt;") == 3
    assert "mark bars binance:BTCUSDT:1h" in page


def test_the_figures_stand_beside_the_page(tmp_path: Path) -> None:
    """The JSON has every series with its findings and its days without a row."""
    page_of(checked([1.0, 0.0], finding()), path=tmp_path / "p.html")
    about = json.loads((tmp_path / "p.html.json").read_text())
    (series,) = about["series"]
    assert (series["days"], series["days_without_rows"]) == (2, 1)
    assert series["findings"][0]["count"] == 3
    assert render_quality([checked([1.0, 0.0], finding())], about)
