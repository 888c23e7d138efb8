"""How quick is a backtest's page with so many bars: its size, its first picture, a zoom, and memory.

A run over a random walk is written as any run is, and its page opened in headless Chromium: the first
picture is when the overview of all bars has been drawn, ready when every bar can be looked at; a zoom is from
the click until the chart has been drawn anew. Memory is that of the process that writes the page.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from liqtiers.reports.backtest_report import write_report
from made_up_runs import write_made_up_run
from process_memory import peak_mb

TRADES = 400
ZOOMS = 12
_DRAWN = """(id) => new Promise((done) => {
    const begun = performance.now();
    document.getElementById(id).click();
    requestAnimationFrame(() => requestAnimationFrame(() =>
        setTimeout(() => done(performance.now() - begun), 0)));
})"""
_PICTURE = """() => new Promise((done) => {
    const wait = () => {
        const drawn = window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle;
        drawn ? requestAnimationFrame(() => done(performance.now())) : setTimeout(wait, 10);
    };
    wait();
})"""
"""Milliseconds from the start of the navigation until Bokeh has drawn the overview."""


def written(folder: str, bars: int, seed: int) -> dict[str, Any]:
    """Write a run and its page, in a process of its own; return where, how long, and the peak of memory."""
    run = write_made_up_run(Path(folder), bars=bars, trades=TRADES, seed=seed)
    before = peak_mb()
    begun = time.perf_counter()
    page = write_report(run)
    return {
        "page": str(page),
        "write_seconds": round(time.perf_counter() - begun, 2),
        "run_mb": round(before),
        "peak_mb": round(peak_mb()),
    }


def looked_at(page: Path, browser: Path) -> dict[str, Any]:
    """Open the page and zoom; milliseconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=str(browser), args=["--no-sandbox", "--disable-gpu"]
        )
        shown = started.new_page(viewport={"width": 1440, "height": 900})
        shown.goto(page.resolve().as_uri(), wait_until="commit")
        first = shown.evaluate(_PICTURE)
        shown.wait_for_selector("body[data-ready]", timeout=120_000)
        ready = shown.evaluate("performance.now()")
        zooms = [shown.evaluate(_DRAWN, "in") for _ in range(ZOOMS)]
        zooms += [shown.evaluate(_DRAWN, "out") for _ in range(ZOOMS)]
        heap = shown.evaluate("performance.memory.usedJSHeapSize")
        started.close()
    return {
        "first_picture_ms": round(first),
        "ready_ms": round(ready),
        "zoom_ms": round(statistics.median(zooms)),
        "slowest_zoom_ms": round(max(zooms)),
        "browser_mb": round(heap / 2**20),
    }


def browser_of(asked: Path | None) -> Path:
    """Return the browser to use: the one asked for, else the first that is installed."""
    if asked is not None:
        return asked
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return Path(found)
    raise SystemExit("no Chromium is installed: name one with --browser")


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="how often the page is opened")
    parser.add_argument("--browser", type=Path, help="a Chromium; else the one on the path")
    options = parser.parse_args()
    browser = browser_of(options.browser)
    with tempfile.TemporaryDirectory() as folder:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            made = pool.apply(written, (folder, options.bars, options.seed))
        page = Path(made.pop("page"))
        rounds = [looked_at(page, browser) for _ in range(options.rounds)]
        size = page.stat().st_size
    best = {name: min(found[name] for found in rounds) for name in rounds[0]}
    print(json.dumps({"bars": options.bars, "bytes": size, **made, **best}))


if __name__ == "__main__":
    main()
