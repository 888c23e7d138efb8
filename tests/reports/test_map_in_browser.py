"""The map's page as a reader has it: in headless Chromium, without a network."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from liqtiers.reports.formatting import money
from liqtiers.reports.map_page import render_map_page
from liqtiers.reports.map_picture import MapPicture, Side, map_picture
from made_up_maps import PRICE, made_up_map, still_panel

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import Watched

Browse = Callable[..., "Watched"]

FRAMES = """() => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 20))))"""
NAMED = """(name) => [...Bokeh.documents[0]._all_models.values()].find((m) => m.name === name)"""
COLUMN = f"""([source, column]) => Array.from(({NAMED})(source).data[column])"""
RANGE = f"""(name) => {{ const range = ({NAMED})(name); return [range.start, range.end]; }}"""
BEYOND = f"""() => {{
    const text = ({NAMED})("label text").glyph;
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${{text.text_font_size.value ?? text.text_font_size}} helvetica`;
    const source = ({NAMED})("labels"), range = ({NAMED})("bar range");
    const scale = ({NAMED})("map").inner_width / range.end;
    return Math.max(...source.data.text.map((t, i) =>
        source.data.x[i] * scale + 4 + pen.measureText(t).width)) - range.end * scale;
}}"""
"""How many pixels the longest label ends beyond the chart."""
BIN = 0.001


@pytest.fixture
def show(tmp_path: Path, chromium_page: Browse) -> Callable[..., Watched]:
    """A function that opens a picture's page and returns it watched."""

    def open_page(picture: MapPicture, **options: object) -> Watched:
        path = tmp_path / "map.html"
        path.write_text(
            render_map_page(picture, command="liqtiers map", fingerprint="0" * 16), encoding="utf-8"
        )
        watched = chromium_page(reduced_motion="reduce", **options)
        watched.open(path)
        watched.page.evaluate(FRAMES)
        return watched

    return open_page


def example(price: float = PRICE, **options: object) -> MapPicture:
    panel = still_panel(price=price)
    return map_picture(made_up_map(panel, **options), panel, tick=0.1)  # type: ignore[arg-type]


def fine_example() -> MapPicture:
    """Return the example with bins of 0.1 %, 336 above and 510 below, each with its own amount."""
    rng = np.random.default_rng(11)
    sides = [
        Side(
            edges=PRICE * np.exp(sign * BIN * (np.arange(bins + 1) + 0.5)),
            notional=rng.lognormal(17.0, 1.0, bins),
        )
        for sign, bins in ((1, 336), (-1, 510))
    ]
    return replace(example(), shorts=sides[0], longs=sides[1], bin_width=BIN)


def colours(page: Page, selector: str) -> int:
    picture = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return len(picture.getcolors(maxcolors=picture.width * picture.height))


def column(page: Page, source: str, name: str) -> list[float]:
    return list(page.evaluate(COLUMN, [source, name]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_page_is_quiet_offline_and_fits(
    show: Callable[..., Watched], width: int, scheme: str
) -> None:
    """No error, no request, the chart drawn, nothing wider than the screen, the sentence there."""
    watched = show(fine_example(), width=width, scheme=scheme)
    page = watched.page
    assert watched.errors == []
    assert watched.requests == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    box = page.locator("#map").bounding_box()
    assert box is not None
    assert box["height"] > 500
    assert 0 <= box["x"] <= box["x"] + box["width"] <= width
    assert colours(page, "#map") > 100
    assert "700.00\u00a0M USDT of shorts above" in page.locator("#headline").inner_text()


@pytest.mark.parametrize(
    "options",
    [
        {"longs": {}, "price": 1.234e-5},
        {"shorts": {}, "price": 8.2e9},
        {
            "shorts": {1.01: 1e-3},
            "longs": {},
            "model": "</script><img onerror='window.struck = 1'>",
        },
    ],
    ids=["tiny, no longs", "huge, no shorts", "hostile, one level"],
)
def test_page_works_whatever_the_map_holds(
    show: Callable[..., Watched], options: dict[str, object]
) -> None:
    """Every button and key works on one-sided, tiny, huge and hostile maps."""
    watched = show(example(**options))  # type: ignore[arg-type]  # any of its options
    page = watched.page
    for button in page.locator(".bar button, #tiers button").all():
        button.click()
        page.evaluate(FRAMES)
    page.locator("#map").focus()
    for key in ("ArrowUp", "PageDown", "ArrowDown", "PageUp", "Home"):
        page.keyboard.press(key)
        page.evaluate(FRAMES)
    assert watched.errors == []
    assert page.evaluate("window.struck") is None
    assert page.locator("#readout").inner_text().startswith("price ")
    assert float(page.evaluate("document.body.dataset.drawn")) > 0


@pytest.mark.parametrize("width", [1440, 390])
def test_bars_are_the_bins_summed_from_price(show: Callable[..., Watched], width: int) -> None:
    """At each zoom the bars are whole bins, summed as the prepared picture sums them, thick enough to
    be pointed at, and end left of where the labels begin; each line ends with all of its side.
    """
    picture = fine_example()
    page = show(picture, width=width).page
    height = page.evaluate(f"() => ({NAMED})('map').inner_height")
    seen = set()
    for name in ("All", "±10%", "±5%"):
        page.get_by_role("button", name=name, exact=True).click()
        page.evaluate(FRAMES)
        bins = int(page.evaluate("document.body.dataset.bins"))
        seen.add(bins)
        low, high = page.evaluate(RANGE, "price range")
        assert bins * BIN * PRICE / (high - low) * height >= 3.0
        longest = 0.0
        for which, side in (("shorts", picture.shorts), ("longs", picture.longs)):
            rows = side.rows(bins)
            assert column(page, which, "notional") == pytest.approx(rows.notional.tolist())
            texts = [f"{money(value)} USDT" for value in rows.notional]
            assert column(page, which, "notional_text") == texts
            totals = [f"{money(value)} USDT" for value in rows.cumulative]
            assert column(page, which, "cumulative_text") == totals
            ends = np.sort([rows.edges[:-1], rows.edges[1:]], axis=0)
            inside = (ends[1] > low) & (ends[0] < high)
            longest = max(longest, float(rows.notional[inside].max()))
        labels = min(column(page, "labels", "x"))
        assert longest < labels < page.evaluate(RANGE, "bar range")[1]
    assert len(seen) == 3
    assert 1 in seen
    for which, side in (("shorts", picture.shorts), ("longs", picture.longs)):
        totals = column(page, f"along {which}", "cumulative")
        assert totals[0] == 0.0
        assert totals[-1] == pytest.approx(side.notional.sum())
        assert column(page, f"along {which}", "price") == pytest.approx(side.edges.tolist())


@pytest.mark.parametrize("width", [1440, 390])
def test_labels_do_not_run_into_each_other(show: Callable[..., Watched], width: int) -> None:
    """Tiers that lie close together keep labels a line apart, in their order, inside the frame, even
    where their figures are long.
    """
    picture = example()
    long = replace(picture.tiers[0], notional=888.88e9, fuel=1888.8)
    crowd = tuple(
        replace(long, name=f"S{k}", lower=PRICE * at, upper=PRICE * (at + 0.001))
        for k, at in ((4, 1.010), (3, 1.007), (2, 1.004), (1, 1.001))
    )
    page = show(replace(picture, tiers=crowd), width=width).page
    low, high = page.evaluate(RANGE, "price range")
    height = page.evaluate(f"() => ({NAMED})('map').inner_height")
    labels = column(page, "labels", "y")
    assert [text.split()[0] for text in column(page, "labels", "text")] == [
        "S4", "S3", "S2", "S1", "price",
    ]  # fmt: skip
    pixels = [(high - at) / (high - low) * height for at in labels]
    assert all(b - a > 14 for a, b in pairwise(pixels))
    assert pixels[0] > 0
    assert pixels[-1] < height
    assert page.evaluate(BEYOND) <= 0


def test_arrow_keys_read_out_bar_by_bar(show: Callable[..., Watched]) -> None:
    """From price upward each press is the next bar of shorts; downward leads to the longs."""
    picture = fine_example()
    page = show(picture).page
    page.get_by_role("button", name="±5%", exact=True).click()
    page.evaluate(FRAMES)
    bins = int(page.evaluate("document.body.dataset.bins"))
    page.locator("#map").focus()
    told = []
    for key in ("ArrowUp", "ArrowUp", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
        told.append(page.locator("#readout").inner_text())
    shorts, longs = picture.shorts.rows(bins), picture.longs.rows(bins)
    for text, side, rows, place in (
        (told[0], "shorts", shorts, 0),
        (told[1], "shorts", shorts, 1),
        (told[2], "shorts", shorts, 0),
        (told[3], "longs", longs, 0),
    ):
        assert f"{money(rows.notional[place])} USDT of {side}" in text
        assert text.endswith(f"from price to here {money(rows.cumulative[place])} USDT")
        ends = sorted(rows.edges[place : place + 2])
        assert text.startswith(f"{ends[0]:,.1f} to {ends[1]:,.1f}")
    page.keyboard.press("PageUp")
    assert f"{money(shorts.notional[9])} USDT" in page.locator("#readout").inner_text()


def pixel_of(page: Page, price: float) -> tuple[float, float]:
    x, y = page.evaluate(
        f"""(price) => {{
            const view = Bokeh.index.get_one(({NAMED})("map"));
            const area = view.canvas_view.el.getBoundingClientRect();
            return [area.x + view.frame.x_scale.compute(0) + 30, area.y + view.frame.y_scale.compute(price)];
        }}""",
        price,
    )
    return x, y


def test_pointing_at_a_price_tells_what_is_there(show: Callable[..., Watched]) -> None:
    """The tooltip and the line above the chart give price, notional and cumulative of that bar."""
    picture = fine_example()
    page = show(picture).page
    page.locator("#map").scroll_into_view_if_needed()
    bins = int(page.evaluate("document.body.dataset.bins"))
    rows = picture.shorts.rows(bins)
    middle = float(rows.edges[6:8].mean())
    x, y = pixel_of(page, middle)
    page.mouse.move(x, y - 1)
    page.mouse.move(x, y)
    tip = page.locator(".bk-Tooltip").filter(has_text="from price to here")
    tip.wait_for(timeout=5000)
    text = tip.evaluate("(element) => element.shadowRoot.textContent")
    for expected in (f"{money(rows.notional[6])} USDT", f"{money(rows.cumulative[6])} USDT"):
        assert expected in text
        assert expected in page.locator("#readout").inner_text()


def test_tap_tells_what_is_there_on_a_phone(show: Callable[..., Watched]) -> None:
    """A finger has no hover: a tap on a bar reads it out, and no tooltip hangs over the edge."""
    picture = fine_example()
    page = show(picture, width=390, has_touch=True, is_mobile=True).page
    page.locator("#map").scroll_into_view_if_needed()
    bins = int(page.evaluate("document.body.dataset.bins"))
    rows = picture.longs.rows(bins)
    middle = float(rows.edges[3:5].mean())
    page.touchscreen.tap(*pixel_of(page, middle))
    page.evaluate(FRAMES)
    assert f"{money(rows.notional[3])} USDT of longs" in page.locator("#readout").inner_text()
    assert page.locator(".bk-Tooltip").count() == 0


def test_tier_button_takes_the_chart_there(show: Callable[..., Watched]) -> None:
    """The button in a tier's row zooms to it, by keyboard too, and reads its middle out."""
    picture = example()
    page = show(picture).page
    whole = page.evaluate(RANGE, "price range")
    button = page.get_by_role("button", name="Show tier S2 in the chart")
    button.focus()
    page.keyboard.press("Enter")
    page.evaluate(FRAMES)
    low, high = page.evaluate(RANGE, "price range")
    tier = next(t for t in picture.tiers if t.name == "S2")
    assert low < tier.lower < tier.upper < high
    assert high - low < (whole[1] - whole[0]) / 3
    assert "500.00 M USDT of shorts" in page.locator("#readout").inner_text()


def test_wheel_scrolls_the_page_and_zooms_only_with_ctrl(show: Callable[..., Watched]) -> None:
    """A reader who scrolls past the chart does not change it, and no zoom leaves the map."""
    watched = show(fine_example())
    page = watched.page
    page.locator("#map").scroll_into_view_if_needed()
    whole = page.evaluate(RANGE, "price range")
    page.mouse.move(*pixel_of(page, PRICE))
    page.mouse.wheel(0, -120)
    assert page.evaluate(RANGE, "price range") == whole
    page.mouse.move(*pixel_of(page, PRICE))
    page.keyboard.down("Control")
    for _ in range(10):
        page.mouse.wheel(0, -900)
    page.evaluate(FRAMES)
    low, high = page.evaluate(RANGE, "price range")
    assert 19 * BIN * PRICE <= high - low < (whole[1] - whole[0]) / 2
    for _ in range(10):
        page.mouse.wheel(0, 900)
    page.keyboard.up("Control")
    page.evaluate(FRAMES)
    low, high = page.evaluate(RANGE, "price range")
    assert whole[0] - 1e-6 <= low < high <= whole[1] + 1e-6
    assert watched.errors == []


def test_chart_follows_the_readers_colours_and_prints_on_white(
    show: Callable[..., Watched],
) -> None:
    """Bars and axes change with the system's scheme without a reload; paper is always light."""
    page = show(example(), scheme="light").page
    hue = f"() => ({NAMED})('bars shorts').glyph.fill_color"

    def now() -> str:
        page.evaluate(FRAMES)
        return json.dumps(page.evaluate(hue))

    light = now()
    page.emulate_media(color_scheme="dark")
    dark = now()
    assert dark != light
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(color_scheme="dark", media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert now() == light


def test_without_script_every_figure_is_there(tmp_path: Path, chromium_page: Browse) -> None:
    """With JavaScript off, sentence, tiers and windows stand in the page."""
    path = tmp_path / "map.html"
    path.write_text(render_map_page(example(), command="", fingerprint=""), encoding="utf-8")
    page = chromium_page(java_script_enabled=False).page
    page.goto(path.resolve().as_uri())
    text = page.locator("main").inner_text()
    assert "The chart needs JavaScript" in text
    assert "14.20 B" in text
