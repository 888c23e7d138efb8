"""Runs side by side: settings, figures, accounts and trades, as their records hold them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.reports.comparison_page import COMPARISON_FILE, write_comparison
from liqtiers.reports.comparison_words import sentence_of
from liqtiers.reports.run_comparison import compare_runs, trades_that_differ
from liqtiers.reports.run_record import RunRecord, read_run

MakeRun = Callable[..., Path]
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def pair(make_run: MakeRun) -> list[RunRecord]:
    """Two runs of other markets."""
    return [read_run(make_run(seed=7)), read_run(make_run(seed=8, symbol="ETHUSDT", trades=3))]


def test_settings_are_parted_into_what_differs_and_what_does_not(pair: list[RunRecord]) -> None:
    """Symbol and data differ, parameters and costs do not; each stands once."""
    found = compare_runs(pair)
    differing = {(row["group"], row["name"]): row["values"] for row in found["differing"]}
    assert differing["data", "symbol"] == ["BTCUSDT", "ETHUSDT"]
    assert ("data", "fingerprint") in differing
    shared = {(row["group"], row["name"]): row["values"] for row in found["shared"]}
    assert shared["parameters", "max_hold"] == [200]
    assert not set(differing) & set(shared)


def test_figures_and_accounts_are_the_records(pair: list[RunRecord]) -> None:
    """Every figure is that of its run's summary, the last point of an account its net result."""
    found = compare_runs(pair)
    for row in found["figures"]:
        assert row["values"] == [r.about["summary"][row["name"]] for r in pair]
    for curve, record in zip(found["equity"]["curves"], pair, strict=True):
        known = [v for v in curve if v is not None]
        assert known[-1] == pytest.approx(1.0 + record.about["summary"]["net_return"])


def test_trades_are_matched_by_entry_and_side(pair: list[RunRecord]) -> None:
    """By hand: one left otherwise, one missing, one more; the rest the same."""
    record = pair[0]
    trades = record.trades.to_pylist()
    changed = [dict(row) for row in trades]
    changed[0]["exit_reason"] = "somewhere else"
    changed[1]["direction"] *= -1
    other = RunRecord(
        path=record.path,
        about=record.about,
        trades=type(record.trades).from_pylist(changed, schema=record.trades.schema),
        equity=record.equity,
        bars=record.bars,
        daily=record.daily,
        snapshots=record.snapshots,
    )
    found = trades_that_differ(record, other)
    assert (found.same, found.left_otherwise, found.only_first, found.only_other) == (3, 1, 1, 1)
    kinds = sorted(row["what"] for row in found.rows)
    assert kinds == ["left otherwise", "only in the first", "only in the other"]
    alone = next(row for row in found.rows if row["what"] == "only in the first")
    assert alone["first_net_pnl"] == trades[1]["net_pnl"]
    assert alone["other_exit_ts"] is None


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_runs_are_refused(pair: list[RunRecord], count: int) -> None:
    """One line says what is needed; a run beside itself is one run."""
    with pytest.raises(InputError, match="two runs or more, each once"):
        compare_runs(pair[:count])
    with pytest.raises(InputError, match="two runs or more, each once"):
        compare_runs([pair[0], pair[0]])


def test_the_json_beside_the_page_holds_its_figures(pair: list[RunRecord], tmp_path: Path) -> None:
    """Schema, sentence and figures; the page shows the same sentence."""
    page = write_comparison(tmp_path, pair, command="liqtiers report --compare", created_at=NOW)
    about = json.loads((page.parent / COMPARISON_FILE).read_text())
    assert about["schema"] == 1
    assert about["sentence"] == sentence_of(about)
    assert about["sentence"] in page.read_text()
    assert len(about["trades"]) == 1


def test_three_runs_and_one_without_a_trade(make_run: MakeRun, tmp_path: Path) -> None:
    """A run that never traded stands beside others; names that look like markup stay text."""
    hostile = "<script>window.struck = 1</script>"
    records = [
        read_run(make_run(seed=1, symbol=hostile)),
        read_run(make_run(seed=2, trades=0)),
        read_run(make_run(seed=3, trades=1, losses_only=True)),
    ]
    page = write_comparison(tmp_path, records, command="x", created_at=NOW).read_text()
    assert hostile not in page
    assert "only in run 3" in page
    assert pq.read_table(records[1].path / "trades.parquet").num_rows == 0
