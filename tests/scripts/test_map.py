"""`liqtiers map`: a page, an image and a table of the same figures, at a past moment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import random_panel
from liqtiers.reports.map_image import PNG_SIZE
from liqtiers.scripts import map as map_script
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build
from source_files import BTC, HYPERLIQUID, OHLCV, load, put

NAMED = ("--venue", "binance", "--symbol", "BTCUSDT", "--timeframe", "1h")
BARS = 400


def draw(*words: str | Path) -> int:
    return run(build(), ["map", *NAMED, *map(str, words)], program="liqtiers")


@pytest.fixture
def market(workspace: Path) -> Path:
    """A workspace with some hundred hourly bars, and a vendor's map of their tenth day."""
    panel = random_panel(BARS, seed=7, timeframe="1h")
    moments = np.datetime_as_string(panel.ts.astype("datetime64[us]"), unit="s")
    columns = (panel.open, panel.high, panel.low, panel.close, panel.volume)
    rows = [
        ",".join([at, *(str(float(value)) for value in row)])
        for at, *row in zip(moments, *columns, strict=True)
    ]
    store(workspace, "BTCUSDT_1h.csv", OHLCV, *rows)
    price = float(panel.close[10 * 24 - 1])
    store(
        workspace,
        "levels.csv",
        HYPERLIQUID,
        *(
            f"2024-01-10T23:00:00+00:00,BTC,{price},{side},{price * at},{notional}"
            for side, at, notional in (
                ("short", 1.07, 2.6e9),
                ("long", 0.93, 1e9),
                ("short", 1.3, 14e9),
            )
        ),
    )
    return workspace


def store(workspace: Path, name: str, *lines: str) -> None:
    path = put(workspace / "files", name, *lines)
    words = ["data", "import", "auto", str(path)]
    if name.startswith("BTC"):
        words += ["--venue", "binance", "--symbol", "BTCUSDT"]
    assert run(build(), words, program="liqtiers") == 0


def test_page_goes_into_the_workspace_and_its_path_is_last(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named by instrument and moment; the table and the sentence are on the terminal."""
    capsys.readouterr()
    assert draw("--at", "2024-01-12T06:00") == 0
    shown = capsys.readouterr().out
    (page,) = (market / "maps").glob("binance-BTCUSDT-1h-20240112T0600-*.html")
    assert shown.splitlines()[-1].split() == ["page:", str(page)]
    assert shown.startswith("binance BTCUSDT at 2024-01-12 06:00 UTC, price ")
    assert "map from volume" in shown
    assert "Dense tiers, from the top (USDT)" in shown
    assert "its level means nothing" in " ".join(shown.split())
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert page.name in (market / "index.html").read_text(encoding="utf-8")


def test_the_figures_stand_beside_the_page(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON with a schema: the sentence that the terminal said, windows and tiers."""
    capsys.readouterr()
    assert draw("--at", "2024-01-12T06:00") == 0
    shown = capsys.readouterr().out
    (file,) = (market / "maps").glob("*.html.json")
    about = json.loads(file.read_text(encoding="utf-8"))
    assert about["schema"] == 1
    assert about["sentence"] in " ".join(shown.split())
    assert about["at_us"] == 1705039200 * 1_000_000
    assert [window["distance"] for window in about["windows"]] == [0.05, 0.1, 0.25, 0.4]


def test_the_contract_is_that_of_a_run_over_the_same_bars(
    market: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Map and run take the margin tables of the first bar, and the map says which these are."""
    taken = []
    genuine = map_script.options.contract_of
    monkeypatch.setattr(
        map_script.options, "contract_of", lambda panel: taken.append(panel) or genuine(panel)
    )
    assert draw() == 0
    assert len(taken) == 1
    assert "Margin brackets as at the first bar, from" in capsys.readouterr().out


def test_page_terminal_and_image_state_the_same(
    market: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One sentence, word by word, on terminal and page; the image has its size."""
    html, png = tmp_path / "own.html", tmp_path / "own.png"
    capsys.readouterr()
    assert draw("--html", html, "--png", png, "--at", "2024-01-12") == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[-2:] == [f"image: {png}", f"page:  {html}"]
    assert not (market / "maps").exists()
    sentence = next(line for line in shown.splitlines() if line.startswith("Within 10%"))
    assert sentence in html.read_text(encoding="utf-8").replace("\u00a0", " ")
    with Image.open(png) as image:
        assert image.size == PNG_SIZE
        assert len(image.convert("RGB").getcolors(maxcolors=2**20) or []) > 50


def test_imported_map_takes_our_maps_place(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The vendor's levels are stated, under a name of their own, with whose they are."""
    capsys.readouterr()
    assert draw("--at", "2024-01-11", "--map", "hyperliquid:BTC") == 0
    shown = capsys.readouterr().out
    assert "2.60 B USDT of shorts above against 1.00 B of longs below, 2.6 to 1." in shown
    assert "imported from hyperliquid" in shown
    stem = "binance-BTCUSDT-1h-20240111T0000-map-hyperliquid-BTC-"
    assert Path(shown.split()[-1]).name.startswith(stem)


def test_two_maps_are_held_against_each_other(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The vendor's map beside ours: over the bars that both know, on terminal and page alike."""
    capsys.readouterr()
    assert draw("--at", "2024-01-11T06:00", "--compare", "hyperliquid:BTC") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Beside the map from hyperliquid top traders" in shown
    (file,) = (market / "maps").glob("binance-BTCUSDT-1h-20240111T0600-*.html")
    page = file.read_text(encoding="utf-8")
    sentence = "By price bin at this moment the two maps rank alike at "
    assert sentence in shown
    assert sentence in page
    # Levels known from 23:00 on, bars closing at 23:00 to 06:00.
    assert 'id="comparison"' in page
    assert "<td>8</td>" in page


def test_later_bars_change_nothing(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A map of the past is the same in a lake that has been cut off there."""
    capsys.readouterr()
    assert draw("--at", "2024-01-09") == 0
    first = capsys.readouterr().out
    lines = (market / "files" / "BTCUSDT_1h.csv").read_text().splitlines()
    short = market / "short"
    short.mkdir()
    load(short, put(short, "BTCUSDT_1h.csv", *lines[: 1 + 8 * 24]), BTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIQTIERS_HOME", str(short))
        assert draw("--at", "2024-01-09") == 0
    second = capsys.readouterr().out
    assert second.replace(str(short), str(market)) == first


def test_calibration_can_be_left_out(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --no-calibrate the prior holds, and the page says that it is one."""
    capsys.readouterr()
    told = {}
    for option in ("--calibrate", "--no-calibrate"):
        assert draw("--at", "2024-01-15", option) == 0
        told[option] = " ".join(capsys.readouterr().out.split())
    assert "too little lost open interest to fit them" in told["--calibrate"]
    assert "a prior, not fitted to this market" in told["--no-calibrate"]


def test_moment_after_the_last_bar_is_said(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A map that is older than what was asked for says by how many bars."""
    capsys.readouterr()
    assert draw("--at", "2024-02-01") == 0
    missing = 31 * 24 - BARS
    assert (
        f"note: The last bar closed {missing:,} bars before the moment" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--html", "nowhere/map.html"), "--html nowhere/map.html: there is no folder nowhere"),
        (("--png", "nowhere/map.png"), "--png nowhere/map.png: there is no folder nowhere"),
        (("--png", "."), "--png . is a folder: give a file in it"),
        (("--at", "soon"), "--at 'soon' is no date"),
        (("--at", "2020-01-01"), "no whole 1h bar of binance BTCUSDT lies in the span"),
        (("--map", "hyperliquid:BTC", "--at", "2024-01-09"), "choose other dates"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_exit_code_2(
    market: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """Each names the option or the data, and nothing is written."""
    capsys.readouterr()
    assert draw(*words) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert message in told.err
    assert told.out == ""
    assert not (market / "maps").exists()


def test_page_says_how_to_draw_it_again(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The footer holds the command and the data's fingerprint."""
    monkeypatch.setattr("sys.argv", ["liqtiers", "map", *NAMED])
    assert draw("--html", market / "map.html") == 0
    page = (market / "map.html").read_text(encoding="utf-8")
    assert "<code>liqtiers map --venue binance --symbol BTCUSDT --timeframe 1h</code>" in page
    assert re.search(r"Data fingerprint <code>[0-9a-f]{16}</code>", page)
