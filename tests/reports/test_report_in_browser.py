"""The page as a reader has it: in headless Chromium, without a network."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from liqtiers.reports.backtest_report import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import Watched

MakeRun = Callable[..., Path]
Browse = Callable[..., "Watched"]

RANGE = """() => { const range = [...Bokeh.documents[0]._all_models.values()]
    .find((model) => model.name === "time"); return [range.start, range.end]; }"""
SOURCE = """() => { const source = [...Bokeh.documents[0]._all_models.values()]
    .find((model) => model.name === "bars");
    return Object.fromEntries(["t", "open", "high", "low", "close", "equity", "imbalance"]
        .map((name) => [name, Array.from(source.data[name])])); }"""
POINTED = """() => { const source = [...Bokeh.documents[0]._all_models.values()]
    .find((model) => model.name === "pointed tier");
    return { lower: Array.from(source.data.lower), upper: Array.from(source.data.upper) }; }"""
AXIS_COLOUR = """() => [...Bokeh.documents[0]._all_models.values()]
    .find((model) => model.type === "LinearAxis").axis_label_text_color"""
FRAMES = """() => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))))"""


def time_range(page: Page) -> list[float]:
    page.evaluate(FRAMES)
    return [float(v) for v in page.evaluate(RANGE)]


def place_of(page: Page, trade: dict[str, Any], what: str) -> tuple[float, float]:
    """Where on the screen a trade's entry or exit is marked."""
    x, y = page.evaluate(
        """([time, price]) => {
            const plot = [...Bokeh.documents[0]._all_models.values()].find((m) => m.name === "price");
            const view = Bokeh.index.get_one(plot);
            const area = view.canvas_view.el.getBoundingClientRect();
            return [area.x + view.frame.x_scale.compute(time), area.y + view.frame.y_scale.compute(price)];
        }""",
        [trade[f"{what}_ts"].timestamp() * 1000, trade[f"{what}_price"]],
    )
    return x, y


def colours(page: Page, selector: str) -> int:
    """How many colours a part of the page shows; a chart that was not drawn has a handful."""
    picture = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return len(picture.getcolors(maxcolors=picture.width * picture.height))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_page_is_quiet_offline_and_fits(
    make_run: MakeRun, chromium_page: Browse, width: int, scheme: str
) -> None:
    """No error, no request, every chart drawn, nothing wider than the screen, the figures there."""
    watched = chromium_page(width=width, scheme=scheme)
    page = watched.open(write_report(make_run(trades=12)))
    page.evaluate(FRAMES)
    assert watched.errors == []
    assert watched.requests == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator(".chart").count() == 7
    for chart in page.locator(".chart").all():
        box = chart.bounding_box()
        assert box is not None
        assert box["height"] > 100
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    assert page.locator("[data-figure=trades]").inner_text() == "12"
    assert colours(page, "#price") > 300
    assert colours(page, "#equity") > 10


@pytest.mark.parametrize(
    "options",
    [
        {"trades": 0, "funding": False, "open_interest": False},
        {"trades": 1, "imbalance": False, "heatmap": False},
        {"trades": 0, "bars": 1},
        {"dropped": slice(100, 900), "start_price": 0.00002, "tick": None},
        {
            "symbol": "<script>window.struck = 1</script>",
            "reason": "</script><img src=x onerror='window.struck = 1'>",
        },
    ],
    ids="-".join,
)  # fmt: skip
def test_page_works_whatever_is_missing(
    make_run: MakeRun, chromium_page: Browse, options: dict[str, object]
) -> None:
    """The page's script gets through, and its buttons work, without any one of its inputs."""
    watched = chromium_page()
    page = watched.open(write_report(make_run(**options)))
    for name in ("in", "out", "later", "earlier", "next", "all"):
        if page.locator(f"#{name}").count():
            page.locator(f"#{name}").click()
            page.evaluate(FRAMES)
    assert watched.errors == []
    assert page.evaluate("window.struck") is None


def test_zoom_shows_single_bars_as_they_were_recorded(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """Zoomed in, each candle is one bar of bars.parquet; zoomed out again, all of the span is there."""
    folder = make_run(bars=20_000)
    page = chromium_page().open(write_report(folder))
    whole = time_range(page)
    far = page.evaluate(SOURCE)
    assert len(far["t"]) < 1000
    for _ in range(6):
        page.locator("#in").click()
        page.evaluate(FRAMES)
    near = time_range(page)
    assert near[1] - near[0] == pytest.approx((whole[1] - whole[0]) / 64)
    shown = page.evaluate(SOURCE)
    bars = pq.read_table(folder / "bars.parquet").to_pandas()
    bars.index = bars["ts"].astype("int64") // 1000
    at = [int(t) for t in shown["t"]]
    assert len(at) == pytest.approx(20_000 / 64, abs=3)
    for name in ("open", "high", "low", "close"):
        unit = bars["high"].max() / 1e6
        assert shown[name] == pytest.approx(bars.loc[at, name].tolist(), abs=unit)
    assert shown["imbalance"] == pytest.approx(
        bars.loc[at, "imbalance"].tolist(), rel=1e-3, nan_ok=True
    )
    page.locator("#all").click()
    assert time_range(page) == pytest.approx(whole)
    assert page.evaluate(SOURCE)["high"] == pytest.approx(far["high"])


def test_click_on_a_trade_takes_the_chart_there(make_run: MakeRun, chromium_page: Browse) -> None:
    """The range closes around the trade, its row is marked, and the chart comes into view."""
    folder = make_run(bars=20_000, trades=8)
    page = chromium_page().open(write_report(folder))
    trade = pq.read_table(folder / "trades.parquet").to_pylist()[5]
    page.locator("#trades tbody tr").nth(5).locator("td").nth(2).click()
    start, end = time_range(page)
    entry, exit_ = (trade[name].timestamp() * 1000 for name in ("entry_ts", "exit_ts"))
    assert start < entry < exit_ < end
    assert end - start < 20 * (exit_ - entry) + 24 * 3_600_000
    assert page.locator("tr.chosen").get_attribute("data-trade") == "6"
    page.wait_for_function(
        "document.getElementById('price').getBoundingClientRect().top < innerHeight / 2"
    )
    page.locator("#next").click()
    assert page.locator("tr.chosen").get_attribute("data-trade") == "7"
    page.locator("#previous").click()
    assert page.locator("tr.chosen").get_attribute("data-trade") == "6"


def test_a_chosen_trade_is_told_and_agrees_with_the_record(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """Tier, arming, trigger, end and costs of the trade that was clicked; gone again with All."""
    folder = make_run(bars=6000, trades=8, reason="<b>stop</b>")
    watched = chromium_page()
    page = watched.open(write_report(folder))
    assert page.locator("#story").is_hidden()
    page.locator("#trades button.show").nth(3).click()
    row = pq.read_table(folder / "trades.parquet").to_pylist()[3]
    told = page.locator("#story").inner_text()
    side = "long" if row["direction"] > 0 else "short"
    for words in (
        f"Trade 4, {side}",
        f"{row['tier_lower']:,.1f} to {row['tier_upper']:,.1f}",
        f"thrust {row['trigger_thrust']:,.2f} average true ranges",
        f"fees {row['fees']:,.2f}, slippage {row['slippage']:,.2f}",
        "<b>stop</b>",
    ):
        assert words in told
    page.locator("#all").click()
    assert page.locator("#story").is_hidden()
    assert watched.errors == []


def test_many_trades_are_listed_in_part_in_order_and_by_reason(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """Two hundred at first, more when asked, the best first if so chosen, one reason alone if so chosen."""
    folder = make_run(bars=60_000, trades=450)
    page = chromium_page().open(write_report(folder))
    rows = page.locator("#trades tbody tr")
    assert rows.count() == 200
    assert page.locator("#listed").inner_text() == "200 of 450 trades shown"
    page.locator("#more").click()
    assert rows.count() == 400
    net = pq.read_table(folder / "trades.parquet").to_pandas().sort_values("net_pnl")
    page.locator("#order").select_option("1")
    assert rows.first.get_attribute("data-trade") == str(net["trade_id"].iloc[-1])
    page.locator("#order").select_option("-1")
    assert rows.first.get_attribute("data-trade") == str(net["trade_id"].iloc[0])
    page.locator("#side").select_option("short")
    assert page.locator("#trades tbody tr:not([data-side=short])").count() == 0
    page.locator("#side").select_option("")
    page.locator("#reason").select_option("target")
    assert page.locator("#trades tbody tr:not([data-reason=target])").count() == 0
    rows.nth(2).locator("button").click()
    page.locator("#next").click()
    chosen = page.locator("tr.chosen")
    assert chosen.get_attribute("data-trade") == rows.nth(3).get_attribute("data-trade")


def test_trade_can_be_chosen_by_keyboard(make_run: MakeRun, chromium_page: Browse) -> None:
    """The button in a trade's row takes focus and answers to Enter."""
    page = chromium_page().open(write_report(make_run(bars=5000)))
    whole = time_range(page)
    button = page.locator("#trades button.show").nth(1)
    assert button.get_attribute("aria-label") == "Show trade 2 in the chart"
    button.focus()
    page.keyboard.press("Enter")
    start, end = time_range(page)
    assert end - start < (whole[1] - whole[0]) / 3


def test_price_axis_keeps_the_chosen_trades_levels_in_view(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """Tier, stop and target of the trade that is looked at lie inside the chart."""
    folder = make_run(bars=5000)
    page = chromium_page().open(write_report(folder))
    trade = pq.read_table(folder / "trades.parquet").to_pylist()[2]
    page.locator("#trades button.show").nth(2).click()
    page.evaluate(FRAMES)
    low, high = page.evaluate(RANGE.replace('"time"', '"price range"'))
    for name in ("tier_lower", "tier_upper", "stop_price", "target_price", "entry_price"):
        assert low < trade[name] < high


def test_charts_follow_the_readers_colours(make_run: MakeRun, chromium_page: Browse) -> None:
    """When the system turns dark, the charts do so without a reload."""
    page = chromium_page(scheme="light").open(write_report(make_run()))
    light = page.evaluate(AXIS_COLOUR)
    page.emulate_media(color_scheme="dark")
    page.evaluate(FRAMES)
    assert page.evaluate(AXIS_COLOUR) != light
    page.emulate_media(color_scheme="light")
    page.evaluate(FRAMES)
    assert page.evaluate(AXIS_COLOUR) == light


def test_wheel_scrolls_the_page_and_zooms_only_with_ctrl(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """A reader who scrolls past a chart does not change it by accident."""
    page = chromium_page().open(write_report(make_run(bars=5000)))
    whole = time_range(page)
    page.locator("#price").scroll_into_view_if_needed()
    box = page.locator("#price").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -120)
    assert time_range(page) == whole
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    start, end = time_range(page)
    assert end - start < whole[1] - whole[0]


def test_trades_table_scrolls_in_its_own_box_on_a_phone(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """On a phone the table is wider than its box, the box no wider than the page."""
    page = chromium_page(width=390, has_touch=True, is_mobile=True).open(write_report(make_run()))
    inner, outer = page.evaluate(
        """() => { const box = document.querySelector("#trades").parentElement;
            return [box.scrollWidth, box.clientWidth]; }"""
    )
    assert outer < 390 < inner
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_hover_on_an_entry_tells_of_the_trade_as_text(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """The marker's tooltip names trade, tier and result; a reason that looks like markup stays text."""
    folder = make_run(bars=5000, reason="<i>stop</i>")
    page = chromium_page().open(write_report(folder))
    page.locator("#trades button.show").nth(1).click()
    page.wait_for_timeout(1200)
    page.evaluate(FRAMES)
    trade = pq.read_table(folder / "trades.parquet").to_pylist()[1]
    x, y = place_of(page, trade, "entry")
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    tip = page.locator(".bk-Tooltip").filter(has_text="left by")
    tip.wait_for(timeout=5000)
    text = tip.evaluate("(element) => element.shadowRoot.textContent")
    assert f"2, {'long' if trade['direction'] > 0 else 'short'}, left by <i>stop</i>" in text
    assert f"{trade['tier_lower']:,.1f} to {trade['tier_upper']:,.1f}" in text


def test_drag_and_wheel_cannot_leave_the_bars(make_run: MakeRun, chromium_page: Browse) -> None:
    """A drag past the end and a wheel past the last bar leave candles on the screen."""
    watched = chromium_page()
    page = watched.open(write_report(make_run(bars=2000)))
    begin, end = time_range(page)
    for _ in range(4):
        page.locator("#in").click()
        page.evaluate(FRAMES)
    page.locator("#price").scroll_into_view_if_needed()
    box = page.locator("#price").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.keyboard.down("Control")
    for _ in range(60):
        page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    left, right = time_range(page)
    assert right - left >= 5 * 300_000 - 1
    assert len(page.evaluate(SOURCE)["t"]) >= 5
    page.locator("#all").click()
    page.locator("#in").click()
    for _ in range(6):
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] - 500, middle[1], steps=3)
        page.mouse.up()
    left, right = time_range(page)
    assert begin <= left < right <= end + 1
    assert watched.errors == []


def test_a_dark_page_prints_on_white(make_run: MakeRun, chromium_page: Browse) -> None:
    """Ink on the charts is dark on paper, whatever the screen shows, and turns back afterwards."""
    page = chromium_page(scheme="dark").open(write_report(make_run()))
    dark = page.evaluate(AXIS_COLOUR)
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(AXIS_COLOUR) == "#3a4552"
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(AXIS_COLOUR) == dark


def test_settings_are_read_on_a_phone_without_scrolling_sideways(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """Each parameter's meaning stands under its name, inside the screen, with the default named."""
    page = chromium_page(width=390).open(write_report(make_run()))
    tables = page.locator("table.stacked")
    assert tables.count() == 4
    for table in tables.all():
        inner, outer = table.evaluate(
            "(t) => [t.parentElement.scrollWidth, t.parentElement.clientWidth]"
        )
        assert inner <= outer
    row = page.locator("tr.changed")
    name, meaning = row.locator("td").first.bounding_box(), row.locator("td.wide").bounding_box()
    assert name is not None
    assert meaning is not None
    assert meaning["y"] >= name["y"] + name["height"]
    shown = row.locator("td[data-prefix]").evaluate(
        "(cell) => getComputedStyle(cell, '::before').content"
    )
    assert shown == '"default "'


def test_trades_fit_a_desktop_without_scrolling_sideways(
    make_run: MakeRun, chromium_page: Browse
) -> None:
    """At 1440 px all columns of the trades are in view."""
    page = chromium_page().open(write_report(make_run(trades=40, bars=6000)))
    inner, outer = page.locator("#trades").evaluate(
        "(t) => [t.parentElement.scrollWidth, t.parentElement.clientWidth]"
    )
    assert inner <= outer


@pytest.mark.parametrize("what", ["entry", "exit"])
def test_the_tier_of_the_trade_under_the_pointer_stands_out(
    make_run: MakeRun, chromium_page: Browse, what: str
) -> None:
    """Over either marker its own trade's tier, as logged, is drawn stronger, and no more once it is left."""
    folder = make_run(bars=5000)
    page = chromium_page().open(write_report(folder))
    page.locator("#trades button.show").nth(1).click()
    page.wait_for_timeout(900)
    page.evaluate(FRAMES)
    trade = pq.read_table(folder / "trades.parquet").to_pylist()[1]
    x, y = place_of(page, trade, what)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.evaluate(FRAMES)
    assert page.evaluate(POINTED) == {
        "lower": [trade["tier_lower"]],
        "upper": [trade["tier_upper"]],
    }
    page.mouse.move(x, y + 120)
    page.evaluate(FRAMES)
    assert page.evaluate(POINTED) == {"lower": [], "upper": []}


def test_keys_move_the_focused_chart(make_run: MakeRun, chromium_page: Browse) -> None:
    """Plus, minus, arrows, Home and Page Down do what the buttons do; with Ctrl they are the browser's."""
    page = chromium_page().open(write_report(make_run(bars=5000)))
    whole = time_range(page)
    page.locator("#price").focus()
    page.keyboard.press("Control+ArrowRight")
    assert time_range(page) == whole
    page.keyboard.press("+")
    near = time_range(page)
    assert near[1] - near[0] == pytest.approx((whole[1] - whole[0]) / 2)
    page.keyboard.press("ArrowRight")
    assert time_range(page)[0] > near[0]
    page.keyboard.press("PageDown")
    assert page.locator("tr.chosen").get_attribute("data-trade") == "1"
    page.keyboard.press("Home")
    assert time_range(page) == pytest.approx(whole)


def test_the_map_can_be_hidden_and_shown(make_run: MakeRun, chromium_page: Browse) -> None:
    """Without the map behind them the candles stand on few colours, and it comes back."""
    page = chromium_page().open(write_report(make_run()))
    page.evaluate(FRAMES)
    with_map = colours(page, "#price")
    page.locator("#show-map").uncheck()
    page.evaluate(FRAMES)
    assert colours(page, "#price") < with_map / 2
    page.locator("#show-map").check()
    page.evaluate(FRAMES)
    assert colours(page, "#price") > 300
