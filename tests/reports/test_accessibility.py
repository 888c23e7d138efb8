"""Every page held against axe-core's rules in headless Chromium, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from liqtiers.datasets.lake import Series
from liqtiers.datasets.quality import CheckedSeries, Coverage
from liqtiers.datasets.quality.finding import Hit
from liqtiers.datasets.quality.kinds import judged
from liqtiers.reports.backtest_report import write_report
from liqtiers.reports.comparison_page import write_comparison
from liqtiers.reports.quality_page import write_quality_page
from liqtiers.reports.run_record import read_run
from liqtiers.reports.workspace_index import write_index

if TYPE_CHECKING:
    from conftest import Watched

MakeRun = Callable[..., Path]
Browse = Callable[..., "Watched"]
SERIOUS = ("serious", "critical")
LEAST_TARGET = 24.0
"""Sides of what can be hit, pixels (WCAG 2.2, 2.5.8)."""
ON_TOP = """link => {
  const box = link.getBoundingClientRect();
  return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) === link;
}"""


@pytest.fixture
def pages(
    make_run: MakeRun, night_page: Path, evidence_of_two: Path, map_page: Path, tmp_path: Path
) -> dict[str, Path]:
    """One of each page."""
    runs = [make_run(seed=seed, trades=12) for seed in (1, 2)]
    reports = [write_report(run) for run in runs]
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    compared = write_comparison(
        tmp_path, [read_run(run) for run in runs], command="x", created_at=moment
    )
    return {
        "backtest": reports[0],
        "tuning": night_page,
        "evidence": evidence_of_two,
        "map": map_page,
        "comparison": compared,
        "index": write_index(tmp_path),
        "data check": _data_check(tmp_path, moment),
    }


def _data_check(folder: Path, moment: datetime) -> Path:
    series = Series(
        table="bars", venue="v", symbol="S", timeframe="1h", rows=9, first_us=0, last_us=1
    )
    gap = judged(
        Hit(kind="missing bars", count=2, first_us=0, last_us=1, example="2 hours", worst=1e12),
        9,
        observed=9,
    )
    share = np.array([1.0, 0.95, 0.3, 0.0, 1.0])
    checked = CheckedSeries(
        series=series, findings=(gap,), coverage=Coverage(first_day=19_722, share=share)
    )
    path = folder / "check.html"
    write_quality_page([checked], path, lake=str(folder), command="x", created_at=moment)
    return path


def test_no_page_has_a_serious_fault(pages: dict[str, Path], chromium_page: Browse) -> None:
    """Names, roles, contrasts, focus: nothing that axe calls serious or critical; no error, no request."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    faults = []
    for name, path in pages.items():
        watched = chromium_page(scheme="light")
        page = watched.open(path)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            faults += [
                f"{name}, {scheme}: {rule['id']}, {node['html'][:120]}"
                for rule in axe.run(page).response["violations"]
                if rule["impact"] in SERIOUS
                for node in rule["nodes"]
            ]
        assert watched.errors == []
        assert watched.requests == []
    assert faults == []


@pytest.mark.parametrize("width", [1440, 390])
def test_the_first_stop_of_every_page_leads_to_its_answer(
    pages: dict[str, Path], chromium_page: Browse, width: int
) -> None:
    """By keyboard: out of sight, then seen whole on the first Tab; Enter puts the focus on the answer."""
    for name, path in pages.items():
        page = chromium_page(width=width).open(path)
        link = page.locator("a.skip")
        assert link.bounding_box()["width"] <= 1.0, name  # type: ignore[index]  # it is there
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the answer", name
        box = link.bounding_box()
        assert box is not None
        assert box["x"] >= 0.0, name
        assert box["y"] >= 0.0, name
        assert box["x"] + box["width"] <= width, name
        assert min(box["width"], box["height"]) >= LEAST_TARGET, name
        assert link.evaluate(ON_TOP), name
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement === document.querySelector('main h1')"), name
