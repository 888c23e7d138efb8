"""The log of a run's named levels: the approaches of the evidence, in the record and on the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.panel import Panel, panel_from_frame
from liqtiers.reports.backtest_report import write_report
from liqtiers.reports.evidence.levels import level_approaches
from liqtiers.reports.evidence.market import EvidenceMarket
from liqtiers.reports.level_log import level_log, level_log_hours, level_log_rows
from made_up_runs import random_walk

WINDOW = 0.10


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Fourteen days of a random walk."""
    return panel_from_frame(
        random_walk(4032, seed=6), venue="binance", symbol="BTCUSDT", timeframe="5m"
    )


def log_of(panel: Panel, levels: tuple[float, ...]) -> dict[str, Any] | None:
    instrument = instrument_for("binance", "BTCUSDT")
    return level_log(panel, build_map(panel, instrument), instrument, levels, window=WINDOW)


def test_the_log_is_the_evidences(panel: Panel) -> None:
    """Every approach once, at the close before, with what the map held on both sides."""
    levels = tuple(np.quantile(panel.close, [0.4, 0.6]).tolist())
    log = log_of(panel, levels)
    assert log is not None
    instrument = instrument_for("binance", "BTCUSDT")
    market = EvidenceMarket(
        panel=panel,
        features=build_map(panel, instrument).features,
        instrument=instrument,
        window=WINDOW,
    )
    found = level_approaches(market, levels)
    assert len(log["rows"]) == len(found) > 3
    assert [row["known_us"] for row in log["rows"]] == found.approaches.known_us.tolist()
    assert [row["towards"] for row in log["rows"]] == found.notional_towards.tolist()
    assert {row["outcomes"][0][0] for row in log["rows"]} <= {
        "activated",
        "absorbed",
        "rejected",
        "unknown",
    }


def test_what_stood_there_does_not_know_the_future(panel: Panel) -> None:
    """With the future cut off the approaches before are the same, but for outcomes not yet known."""
    levels = (float(np.median(panel.close)),)
    whole, part = log_of(panel, levels), log_of(panel.slice(0, 2500), levels)
    assert whole is not None
    assert part is not None
    assert 0 < len(part["rows"]) < len(whole["rows"])
    for ours, theirs in zip(part["rows"], whole["rows"], strict=False):
        for name in ("known_us", "level", "side", "in_tier", "towards", "behind"):
            assert ours[name] == theirs[name]


def test_no_level_is_no_log_and_a_wrong_one_is_refused(panel: Panel) -> None:
    """Nothing was named: nothing is recorded."""
    assert log_of(panel, ()) is None
    with pytest.raises(InputError, match="prices above 0"):
        log_of(panel, (-1.0,))


def test_the_page_shows_what_the_record_holds(panel: Panel, make_run: Callable[..., Path]) -> None:
    """A row an approach; levels that price never met are said; without levels nothing is shown."""
    folder = make_run()
    about = json.loads((folder / "run.json").read_text())
    assert 'id="levels"' not in write_report(folder).read_text()
    log = log_of(panel, (float(np.median(panel.close)),))
    assert log is not None
    rows = level_log_rows(log, places=1)
    about["levels"] = json.loads(json.dumps(log).replace("NaN", "null"))
    (folder / "run.json").write_text(json.dumps(about))
    page = write_report(folder).read_text()
    assert page.count("data-at=") == len(log["rows"])
    assert all(row["when"] in page and row["outcomes"][0] in page for row in rows)
    assert all(f"after {hours}" in page for hours in level_log_hours(log))
    about["levels"] |= {"rows": []}
    (folder / "run.json").write_text(json.dumps(about))
    assert "Price approached none of them" in write_report(folder).read_text()
