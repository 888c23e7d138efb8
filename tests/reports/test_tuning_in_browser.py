"""The morning report as a trader has it: in headless Chromium, without a network, on desk and phone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from liqtiers.reports.tuning_report import write_tuning_report
from made_up_studies import change_outcome, make_hostile

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import Watched

MakeStudy = Callable[..., Path]
Browse = Callable[..., "Watched"]

HUE = """(name) => Bokeh.documents.flatMap((doc) => [...doc._all_models.values()])
    .find((model) => model.type === "GlyphRenderer" && model.name === name).glyph.line_color.value"""
LABEL = """() => [...Bokeh.documents[0]._all_models.values()]
    .find((model) => /Axis$/.test(model.type)).axis_label_text_color"""
FRAMES = """() => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))))"""


def colours(page: Page, selector: str) -> int:
    """How many colours a part of the page shows; a chart that was not drawn has a handful."""
    picture = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return len(picture.getcolors(maxcolors=picture.width * picture.height))


def check_layout(page: Page, width: int) -> None:
    """Nothing is wider than the screen, and every chart has its room."""
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for chart in page.locator(".chart").all():
        box = chart.bounding_box()
        assert box is not None
        assert box["height"] > 100
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_page_is_quiet_offline_and_fits(
    night_page: Path, chromium_page: Browse, width: int, scheme: str
) -> None:
    """No error, no request, every chart drawn, nothing wider than the screen, the figures there."""
    watched = chromium_page(width=width, scheme=scheme)
    page = watched.open(night_page)
    page.evaluate(FRAMES)
    assert watched.errors == []
    assert watched.requests == []
    check_layout(page, width)
    assert page.locator(".chart").count() == 3 + 4
    for name in ("equity", "parameter-0", "parallel", "history"):
        assert colours(page, f"#{name}") > 20
    outcome = json.loads((night_page.parent / "outcome.json").read_text())
    assert page.locator("#verdict").inner_text() == outcome["verdict"]["sentence"]
    held = outcome["holdout"]["winner"]
    assert page.locator("[data-figure=return]").inner_text() == f"{held['return']:+.2%}"
    assert page.locator("[data-figure=trades]").inner_text() == str(held["trades"])
    verdict, figures = page.locator("#verdict").bounding_box(), page.locator("dl").bounding_box()
    assert verdict is not None
    assert figures is not None
    assert verdict["y"] + verdict["height"] < figures["y"] < 900


def test_page_says_what_is_missing(make_study: MakeStudy, chromium_page: Browse) -> None:
    """All but one trial stopped early: plateau, importance and both statistics are told to be unknown,
    and markup in any name stays text.
    """
    folder = make_study(trials=1, pruned=3)
    change_outcome(folder, make_hostile)
    watched = chromium_page(width=390)
    page = watched.open(write_tuning_report(folder))
    page.evaluate(FRAMES)
    assert watched.errors == []
    assert watched.requests == []
    assert page.evaluate("window.struck") is None
    check_layout(page, 390)
    assert "nothing to compare" in page.locator("#one-trial").inner_text()
    assert "there is 1 completed" in page.locator("#no-importance").inner_text()
    assert "cannot be said" in page.locator("#plateau").inner_text()
    assert "Not known" in page.locator("#deflated").inner_text()
    assert "Not known" in page.locator("#overfitting").inner_text()
    for key in ("deflated", "overfitting", "plateau"):
        assert page.locator(f"[data-figure={key}]").inner_text() == "n/a"
    assert not re.search(r"\bnan\b", page.locator("main").inner_text(), flags=re.IGNORECASE)


def test_two_goals_show_return_against_drawdown(
    made_study: MakeStudy, chromium_page: Browse
) -> None:
    """With two goals the line that none beats stands where else the history does, returns in percent."""
    watched = chromium_page()
    page = watched.open(write_tuning_report(made_study(goal="return-drawdown")))
    page.evaluate(FRAMES)
    assert watched.errors == []
    assert page.locator("#history").count() == 0
    assert colours(page, "#pareto") > 20
    assert "Two goals at once" in page.locator("#objective").inner_text()
    assert "%" in page.locator("#plateau").inner_text()


def test_command_is_copied_by_keyboard(night_page: Path, chromium_page: Browse) -> None:
    """The button takes focus, answers to Enter, and the whole command is in the clipboard."""
    watched = chromium_page(permissions=["clipboard-read", "clipboard-write"])
    page = watched.open(night_page)
    button = page.locator("button[data-copy=again]")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "document.querySelector('button[data-copy=again]').textContent === 'Copied'"
    )
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#again").text_content()
    assert copied.startswith("liqtiers backtest --venue own")


def test_charts_follow_the_readers_colours_and_print_on_white(
    night_page: Path, chromium_page: Browse
) -> None:
    """When the system turns dark so do the charts, without a reload; on paper they are as by day."""
    page = chromium_page(scheme="light").open(night_page)
    day = [page.evaluate(HUE, "winner"), page.evaluate(LABEL)]
    page.emulate_media(color_scheme="dark")
    page.evaluate(FRAMES)
    dark = [page.evaluate(HUE, "winner"), page.evaluate(LABEL)]
    assert all(a != b for a, b in zip(day, dark, strict=True))
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert [page.evaluate(HUE, "winner"), page.evaluate(LABEL)] == day
