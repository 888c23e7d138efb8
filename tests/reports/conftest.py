"""Made-up runs, and a headless browser that watches what a page does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from liqtiers.reports.map_page import render_map_page
from liqtiers.reports.map_picture import map_picture
from liqtiers.reports.tuning_report import write_tuning_report
from made_up_evidence import BARE, FULL, write_made_up_evidence
from made_up_maps import made_up_map, still_panel
from made_up_runs import write_made_up_run
from made_up_studies import write_made_up_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a made-up run into the test's own folder and returns where it is."""

    def make(**options: object) -> Path:
        return write_made_up_run(tmp_path, **options)  # type: ignore[arg-type]  # any of its options

    return make


@pytest.fixture(scope="session")
def evidence_of_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study of one market that lacks nothing; not to be changed."""
    return write_made_up_evidence(tmp_path_factory.mktemp("evidence"), FULL).page


@pytest.fixture(scope="session")
def evidence_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study of two markets, of which one lacks much; not to be changed."""
    return write_made_up_evidence(tmp_path_factory.mktemp("evidence"), FULL, BARE).page


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that returns the folder of a made-up study, written once; not to be changed."""
    known: dict[tuple[tuple[str, object], ...], Path] = {}

    def make(**options: object) -> Path:
        key = tuple(sorted(options.items()))
        if key not in known:
            home = tmp_path_factory.mktemp("home")
            known[key] = write_made_up_study(home, **options)  # type: ignore[arg-type]  # any of its options
        return known[key]

    return make


@pytest.fixture(scope="session")
def night_page(made_study: Callable[..., Path]) -> Path:
    """The page of an ordinary study, beside its record; not to be changed."""
    return write_tuning_report(made_study())


@pytest.fixture(scope="session")
def map_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a made-up map at one moment; not to be changed."""
    panel = still_panel()
    path = tmp_path_factory.mktemp("map") / "map.html"
    page = render_map_page(
        map_picture(made_up_map(panel), panel, tick=0.1), command="x", fingerprint="0" * 16
    )
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture
def make_study(made_study: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """A function that returns a copy of a made-up study that the test may change."""

    def make(**options: object) -> Path:
        return shutil.copytree(made_study(**options), tmp_path / "studies" / "night")

    return make


@dataclass
class Watched:
    """A page in headless Chromium, with what it asked for and complained about.

    Attributes
    ----------
    page : playwright.sync_api.Page
    requests : list of str
        Addresses that it asked for, the file itself left out.
    errors : list of str
        Console errors, warnings and uncaught exceptions.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: Path) -> Page:
        """Show a report and wait until all of it can be used."""
        address = path.resolve().as_uri()
        self.page.on("request", lambda r: self._note_request(r.url, address))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note_message)
        self.page.goto(address)
        self.page.wait_for_selector("body[data-ready]", timeout=30_000)
        return self.page

    def _note_request(self, url: str, own: str) -> None:
        if url != own and not url.startswith(("data:", "blob:")):
            self.requests.append(url)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=str(chromium),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture
def chromium_page(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """A function that gives a watched page of a size and colour scheme."""
    contexts = []

    def make(*, width: int = 1440, scheme: str = "light", **options: object) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, **options
        )
        contexts.append(context)
        return Watched(context.new_page())

    yield make
    for context in contexts:
        context.close()
