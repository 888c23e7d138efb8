"""Two small simulated markets: one in which liquidations move nothing, and one in which they move price."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.sources.simulator import (
    SYMBOL,
    VENUE,
    SimulatorParameters,
    simulate,
    worlds,
    write_to_lake,
)
from liqtiers.reports.evidence.market import EvidenceMarket

DAYS = 20


def market_of(parameters: SimulatorParameters) -> EvidenceMarket:
    """Simulate a market and rebuild its map from what the venue published."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_to_lake(simulate(parameters), lake)
        panel = load_panel(lake, venue=VENUE, symbol=SYMBOL, timeframe=parameters.bar)
    instrument = instrument_for(VENUE, SYMBOL)
    return EvidenceMarket(
        panel=panel, features=build_map(panel, instrument).features, instrument=instrument
    )


@pytest.fixture(scope="session")
def null_world() -> EvidenceMarket:
    """A market in which the map's assumptions hold and liquidations move nothing."""
    return market_of(replace(worlds()["matching"], days=DAYS, seed=11))


@pytest.fixture(scope="session")
def impact_world() -> EvidenceMarket:
    """A market in which liquidations move price strongly."""
    return market_of(replace(worlds()["impact"], days=DAYS, seed=12, impact=0.03))
