"""`liqtiers evidence`: from the lake to the page, and what it says to a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.scripts._options import level_prices
from liqtiers.scripts._terminal import run
from liqtiers.scripts.evidence import by_symbol, depth_table
from liqtiers.scripts.main import build
from source_files import OHLCV, put

NAMED = ("--venue", "binance", "--symbol", "BTCUSDT", "--timeframe", "1h")


def evidence(*words: str) -> int:
    return run(build(), ["evidence", *NAMED, *words], program="liqtiers")


def store_bars(workspace: Path, count: int) -> None:
    """Import hourly bars of a random walk as binance BTCUSDT."""
    panel = random_panel(count, seed=7, timeframe="1h")
    moments = np.datetime_as_string(panel.ts.astype("datetime64[us]"), unit="s")
    columns = (panel.open, panel.high, panel.low, panel.close, panel.volume)
    rows = [
        ",".join([at, *(str(float(value)) for value in row)])
        for at, *row in zip(moments, *columns, strict=True)
    ]
    path = put(workspace / "files", "BTCUSDT_1h.csv", OHLCV, *rows)
    words = ["data", "import", "auto", str(path), "--venue", "binance", "--symbol", "BTCUSDT"]
    assert run(build(), words, program="liqtiers") == 0


def test_study_is_written_told_and_drawn_again(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Headline, a line a family and two paths; steps go to the other stream; `report` draws it again."""
    store_bars(workspace, 900)
    (workspace / "depth.csv").write_text("distance_bps,notional\n1,100000\n10,5000000\n")
    capsys.readouterr()
    words = ("--surrogates", "10", "--seed", "4", "--levels", "50000,51000")
    assert evidence(*words, "--depth", str(workspace / "depth.csv"), "--taker-fee", "0.001") == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith("On BTCUSDT, 2024-01-01 to 2024-02-07, ")
    assert lines[1].lstrip().startswith("Which way price goes from a dense tier: 1 h ")
    figures, page = (Path(line.split(maxsplit=1)[1]) for line in lines[-2:])
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    about = json.loads(figures.read_text(encoding="utf-8"))
    assert about["headline"]["sentence"] == lines[0]
    assert (about["seed"], about["surrogates"]) == (4, 10)
    assert about["depth"] == [[1.0, 1e5], [10.0, 5e6]]
    assert {row["name"]: row["value"] for row in about["costs"]}["taker_fee"] == 0.001
    assert about["markets"]["BTCUSDT"]["levels"]["named"] == [50000.0, 51000.0]
    assert "surrogate path 1 of 10" in told.err
    page.write_text("damaged")
    assert run(build(), ["report", about["id"]], program="liqtiers") == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert "damaged" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--levels", "85000,high"), "--levels '85000,high' must be prices"),
        (("--levels", "0"), "prices must be above 0"),
        (("--depth", "none.csv"), "--depth none.csv cannot be read"),
        (("--map", "a:B", "--map", "c:D"), "several maps, a:B, c:D"),
        (("--funding", "ETHUSDT=binance:ETHUSDT"), "'ETHUSDT' is not among the symbols BTCUSDT"),
        (("--symbol", "BTCUSDT"), "give each symbol once"),
        (("--surrogates", "3"), "'--surrogates': Input should be greater than or equal to 10"),
        ((), "at least 100 are needed: take a longer period"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    workspace: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    """What was wrong, and what would be right, in one line; nothing is written."""
    store_bars(workspace, 120)
    capsys.readouterr()
    assert evidence(*words) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("liqtiers: ")
    assert told in last
    assert not (workspace / "evidence").exists()


def test_series_belong_to_all_symbols_or_to_the_one_named() -> None:
    """`ETH=` gives a series to one symbol, without a name it is every symbol's, in the order given."""
    found = by_symbol(["x:Y", "ETH=binance:ETH", "BTC=all:BTC:1d"], ["BTC", "ETH"], "--funding")
    assert found == {"BTC": ("x:Y", "all:BTC:1d"), "ETH": ("x:Y", "binance:ETH")}


def test_levels_are_read_once_each() -> None:
    """Prices are separated by commas; a level given twice counts once."""
    assert level_prices("85000, 90000,85000") == (85_000.0, 90_000.0)
    assert level_prices(None) == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("price,size\n1,2\n", "columns distance_bps,notional"),
        ("distance_bps,notional\n1,much\n", "columns distance_bps,notional"),
        ("distance_bps,notional\n5,10\n1,20\n", "increasing distance"),
        ("distance_bps,notional\n", "needs levels"),
    ],
)
def test_depth_tables_that_are_none_are_refused(tmp_path: Path, text: str, told: str) -> None:
    """A file without the columns, with words for numbers, or that does not increase, by its name."""
    path = tmp_path / "depth.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        depth_table(path)
    assert str(path) in str(caught.value)
