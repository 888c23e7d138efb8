"""The report's check of the map: its books, its predictions and its mix, as recorded and as drawn."""

from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from builders import random_panel
from liqtiers.datasets.calibration import CalibrationParameters
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import LiquidationMap, build_map
from liqtiers.datasets.panel import Panel
from liqtiers.reports.backtest_report import render_report
from liqtiers.reports.backtest_run import run_and_record
from liqtiers.reports.charts import build_charts
from liqtiers.reports.map_check import check_of
from liqtiers.reports.run_record import RunRecord, read_run
from liqtiers.strategies.parameters import CostParameters, TierBreakoutParameters
from made_up_runs import write_made_up_run

INSTRUMENT = instrument_for("generic", "COIN")
QUICK = CalibrationParameters(minimum_days=5.0, refit_days=5.0)


def market(*, days: int = 40, prints: bool = True, open_interest: bool = True) -> Panel:
    """A random market by the quarter hour, with thin prints of a map of its own."""
    panel = random_panel(96 * days, seed=4, timeframe="15m", open_interest=open_interest)
    if not prints:
        return panel
    features = build_map(panel, INSTRUMENT).features
    thin = np.random.default_rng(1).uniform(0.0, 0.2, len(panel))
    return replace(
        panel,
        short_liquidations=features.predicted_short_liquidations * thin,
        long_liquidations=features.predicted_long_liquidations * thin,
    )


def record_of(panel: Panel, built: LiquidationMap, workspace: Path) -> RunRecord:
    """The record of a real run over the map."""
    recorded = run_and_record(
        workspace,
        panel,
        built,
        instrument=INSTRUMENT,
        parameters=TierBreakoutParameters(),
        costs=CostParameters(),
        cash=100_000.0,
        command="liqtiers backtest",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return read_run(recorded.folder)


def test_a_fitted_map_is_checked_in_full(tmp_path: Path) -> None:
    """Skill by the day, books equal to the open interest, and the mix over time are on the page."""
    panel = market()
    built = build_map(panel, INSTRUMENT, calibration=QUICK)
    check = check_of(panel, built)
    assert check["period"] == "day"
    assert len(check["sentences"]) == 2
    assert float(check["largest_gap"]) < 1e-9
    assert built.calibration is not None
    assert len(check["calibration"]["mix"]) == len(built.calibration)
    record = record_of(panel, built, tmp_path)
    charts = build_charts(record)
    assert {"shorts", "longs", "mix", "books"} <= set(charts.figures)
    page = unescape(render_report(record))
    assert check["sentences"][0] in page
    assert "Reconciliation" in page
    source = charts.figures["shorts"].renderers[0].data_source.data
    by_day = np.add.reduceat(
        built.features.predicted_short_liquidations,
        np.flatnonzero(np.r_[True, np.diff(panel.ts // 86_400_000_000) > 0]),
    )
    assert source["predicted_quote"] == pytest.approx(by_day)


def test_what_is_unknown_is_said(tmp_path: Path) -> None:
    """No prints, no fit, no open interest: each is told, and no empty chart is drawn."""
    panel = market(prints=False, open_interest=False)
    record = record_of(panel, build_map(panel, INSTRUMENT), tmp_path)
    assert not {"shorts", "longs", "mix", "books"} & set(build_charts(record).figures)
    page = unescape(render_report(record))
    assert 'id="no-prints"' in page
    assert "Reconciliation" not in page


def test_a_short_run_is_compared_by_the_hour() -> None:
    """A few days are compared by the hour, and called too little."""
    panel = market(days=6)
    check = check_of(panel, build_map(panel, INSTRUMENT))
    assert check["period"] == "hour"
    assert check["sentences"][0].startswith("Too little data")
    assert check["calibration"] is None


def test_a_run_of_an_early_version_still_renders(tmp_path: Path) -> None:
    """Records without a check show the rest."""
    record = read_run(write_made_up_run(tmp_path))
    assert "check" not in record.about["map"]
    assert "shorts" not in build_charts(record).figures
    assert "<h1" in render_report(record)
