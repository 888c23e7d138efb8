"""The page of a study as a trader has it: in headless Chromium, without a network, on desk and phone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import Watched

Browse = Callable[..., "Watched"]

HUE = """(name) => Bokeh.documents.flatMap((doc) => [...doc._all_models.values()])
    .find((model) => model.type === "GlyphRenderer" && model.name === name).glyph.line_color.value"""


def check_layout(page: Page, width: int) -> None:
    """Nothing is wider than the screen, and every chart has its room."""
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes: list[dict[str, Any]] = page.evaluate(
        "[...document.querySelectorAll('.chart')].map((c) => c.getBoundingClientRect().toJSON())"
    )
    for box in boxes:
        assert box["height"] > 100
        assert box["left"] >= 0
        assert box["right"] <= width


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_page_is_quiet_offline_and_fits(
    evidence_of_two: Path, chromium_page: Browse, width: int, scheme: str
) -> None:
    """No error, no request, nothing wider than the screen; headline, skills and claims are in the page."""
    watched = chromium_page(width=width, scheme=scheme)
    page = watched.open(evidence_of_two)
    assert watched.errors == []
    assert watched.requests == []
    check_layout(page, width)
    about = json.loads((evidence_of_two.parent / "evidence.json").read_text(encoding="utf-8"))
    headline = page.locator("#headline")
    assert headline.inner_text() == about["headline"]["sentence"]
    assert (headline.bounding_box() or {})["y"] < 200
    for skill in ("way", "far"):
        shown = page.locator(f"[data-skill={skill}] .outcome").inner_text()
        assert shown.endswith(about["headline"][skill])
    for claim in about["pooled"]:
        shown = page.locator(f"#claims [data-claim='{claim['key']}']").inner_text()
        assert float(shown.replace(",", "")) == pytest.approx(claim["effect"]["value"], abs=0.06)
    assert page.locator(".examples.against figure").count() > 0
    assert not re.search(
        r"\b(nan|undefined)\b|\bNone\b(?!:| of)", page.locator("main").inner_text()
    )


def test_charts_follow_the_readers_colours_and_paper_shows_what_is_folded(
    evidence_of_one: Path, chromium_page: Browse
) -> None:
    """Charts turn dark with the system; on paper they are as by day, and folded sentences are there."""
    page = chromium_page(scheme="light").open(evidence_of_one)
    day = page.evaluate(HUE, "line")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(50)
    assert page.evaluate(HUE, "line") != day
    folded = page.locator("details.all").first
    assert folded.get_attribute("open") is None
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(HUE, "line") == day
    assert folded.get_attribute("open") is not None
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert folded.get_attribute("open") is None


def test_tables_and_folded_parts_are_reached_by_keyboard(
    evidence_of_one: Path, chromium_page: Browse
) -> None:
    """A wide table takes focus to be scrolled, and a folded part opens with Enter."""
    page = chromium_page(width=390).open(evidence_of_one)
    table = page.locator(".scroll").first
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(200)
    assert table.evaluate("(part) => part.scrollLeft") > 0
    summary = page.locator("details.all summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.all").first.get_attribute("open") is not None
