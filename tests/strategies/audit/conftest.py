"""One server of fresh processes for all audits, and what they are run over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from audit_cases import PLANTED, Audit, late_open_interest, opens

from builders import random_panel
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.panel import Panel
from liqtiers.strategies.audit import (
    AuditResult,
    AuditSettings,
    FreshProcesses,
    PanelMarket,
    Setup,
    audit,
    parse_target,
)


@pytest.fixture(scope="session")
def processes() -> Iterator[FreshProcesses]:
    with FreshProcesses(1) as running:
        yield running


@pytest.fixture(scope="session")
def panel() -> Panel:
    return random_panel(400, seed=5)


@pytest.fixture(scope="session")
def audited(processes: FreshProcesses, panel: Panel) -> Audit:
    """Audit something of a planted file, or of a module, at a few cuts."""

    def run(name: str, *, cuts: int = 4, **setup: Any) -> AuditResult:
        target = str(PLANTED / name) if ".py:" in name else name
        made = Setup(
            target=parse_target(target),
            market=setup.pop("market", PanelMarket(panel=panel)),
            instrument=instrument_for("binance", "BTCUSDT"),
            **setup,
        )
        return audit(made, AuditSettings(cuts=cuts, warm_ups=1), processes=processes)

    return run


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of bars, and of open interest that is published late."""
    made = Lake(tmp_path_factory.mktemp("lake"))
    panel = random_panel(600, seed=9)
    prices = {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")}
    times = {"ts": opens(panel), "available_at": opens(panel) + pd.Timedelta("5min")}
    rows = pa.Table.from_pandas(pd.DataFrame({**times, **prices}), preserve_index=False)
    for table, given, timeframe in (
        ("bars", rows, "5m"),
        ("open_interest", late_open_interest(panel), None),
    ):
        report = made.write(table, given, venue="own", symbol="COIN", timeframe=timeframe)
        assert report.inserted == len(panel)
    return made
