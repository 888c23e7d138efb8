"""The reference run over a simulated market, from the lake to the trades."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow.compute as pc
import pytest

from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.map_features import MapFeatures
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.sources.simulator import SimulatorParameters, simulate, write_to_lake
from liqtiers.strategies import (
    BacktestResult,
    CostParameters,
    TierBreakoutParameters,
    run_backtest,
)

CONTRACT = instrument_for("binance", "BTCUSDT")
BUSY = TierBreakoutParameters(
    side="both", min_imbalance=0.5, min_fuel=0.01, min_thrust=0.3, patience=8, max_hold=30
)
FREE = CostParameters(taker_fee=0.0, maker_fee=0.0, spread_bps=0.0, impact_coefficient=0.0)
VARIANTS: Final = {
    "market": BUSY,
    "stop": replace(BUSY, entry="stop"),
    "trail": replace(BUSY, trail_atr=1.5),
}


class Market(NamedTuple):
    """A panel and the map's features over it."""

    panel: Panel
    features: MapFeatures


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    folder: Path = tmp_path_factory.mktemp("lake")
    lake = Lake(folder)
    write_to_lake(simulate(SimulatorParameters(days=6, warm_up_days=5)), lake)
    panel = load_panel(lake, venue="simulated", symbol="SIMUSDT", timeframe="5m")
    return Market(panel, build_map(panel, CONTRACT).features)


def run(
    market: Market, parameters: TierBreakoutParameters = BUSY, costs: CostParameters | None = None
) -> BacktestResult:
    return run_backtest(*market, instrument=CONTRACT, parameters=parameters, costs=costs)


def unsettled(result: BacktestResult) -> list[dict[str, object]]:
    """Return the trades that were not closed by the end of the data."""
    trades = result.trades.filter(pc.not_equal(result.trades["exit_reason"], "end"))
    return list(trades.to_pylist())


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("rebuilt", [False, True], ids=["features cut", "map built anew"])
def test_the_future_of_the_market_changes_nothing(market: Market, name: str, rebuilt: bool) -> None:
    """At random cuts the trades and equity before are the same to the bit, and the map's too."""
    whole = run(market, VARIANTS[name])
    rng = np.random.default_rng(11)
    seen = 0
    for cut in rng.integers(400, len(market.panel) - 1, 3):
        panel = market.panel.slice(0, int(cut))
        features = build_map(panel, CONTRACT).features if rebuilt else market.features.slice(0, cut)
        short = run(Market(panel, features), VARIANTS[name])
        # The last bar holds the closing on paper of what was still open there.
        ours, theirs = (r.equity.slice(0, int(cut) - 1) for r in (whole, short))
        assert ours.equals(theirs)
        closed = unsettled(short)
        assert whole.trades.to_pylist()[: len(closed)] == closed
        seen += len(closed)
    assert seen > 5


@pytest.mark.parametrize("name", VARIANTS)
def test_a_simulated_market_pays_what_its_trades_earned(market: Market, name: str) -> None:
    """Net results sum to the change of equity, with every cost on."""
    result = run(market, VARIANTS[name])
    change = result.equity["equity"][-1].as_py() - result.cash
    assert pc.sum(result.trades["net_pnl"]).as_py() == pytest.approx(change, rel=1e-9, abs=1e-6)
    assert result.trades.num_rows > 5


def test_no_costs_are_never_worse_than_costs(market: Market) -> None:
    """Trade by trade: the same entry and the same exit earn a smaller share of equity with costs."""

    def shares(result: BacktestResult) -> dict[tuple[object, object], float]:
        return {
            (t["entry_ts"], t["exit_ts"]): t["net_pnl"] / (t["size"] * t["entry_price"])
            for t in result.trades.to_pylist()
        }

    free, costly = shares(run(market, costs=FREE)), shares(run(market))
    both = free.keys() & costly.keys()
    assert len(both) > 5
    # Funding is no cost that can be switched off: it is in both.
    assert all(free[trade] > costly[trade] for trade in both)
    assert run(market, costs=FREE).equity["equity"][-1].as_py() > (
        run(market).equity["equity"][-1].as_py()
    )
