"""The reference run as a whole: money adds up, options matter, and the future is not seen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from candles import INSTRUMENT, features_of, panel_of

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.map_features import MapFeatures
from liqtiers.datasets.panel import Panel
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


@cache
def market(seed: int) -> tuple[Panel, MapFeatures]:
    """Return a random market and its map."""
    panel = random_panel(2500, seed=seed)
    return panel, build_map(panel, CONTRACT).features


def busy(seed: int, **changes: Any) -> BacktestResult:
    """Return a run with many trades."""
    costs = changes.pop("costs", None)
    panel, features = market(seed)
    parameters = replace(BUSY, **changes)
    return run_backtest(panel, features, instrument=CONTRACT, parameters=parameters, costs=costs)


def test_one_trade_by_hand() -> None:
    """Armed in bar 4, triggered by bar 5's close, in at 106, out at the tier's far edge."""
    rows = [(100, 101, 99, 100)] * 5 + [(100, 106, 100, 106), (106, 107, 105.5, 106.5)]
    rows += [(106.5, 110.5, 106, 109), (109, 110, 108, 109)]
    panel = panel_of([tuple(map(float, r)) for r in rows])  # type: ignore[misc]  # four numbers each
    features = features_of(len(rows), above=[(105.0, 110.0)])
    parameters = TierBreakoutParameters(
        atr_bars=3, thrust_bars=1, stop_atr=1.0, risk_fraction=0.01, max_leverage=3.0
    )
    costs = CostParameters(taker_fee=0.001, maker_fee=0.0, spread_bps=0.0, impact_coefficient=0.0)
    result = run_backtest(
        panel, features, instrument=INSTRUMENT, parameters=parameters, costs=costs, cash=10_000.0
    )
    (trade,) = result.trades.to_pylist()
    # True ranges 2, 2, 2, 2 and 6: Wilder's mean over 3 is 2 and then (2 * 2 + 6) / 3.
    stop = 105.0 - 10.0 / 3.0
    size = np.floor(10_000 * 0.01 / (106.0 - stop) / 0.1 + 1e-9) * 0.1
    assert trade["entry_price"] == 106.0
    assert trade["exit_price"] == 110.0
    assert trade["exit_reason"] == "target"
    assert trade["stop_price"] == pytest.approx(stop)
    assert trade["size"] == pytest.approx(size)
    assert trade["gross_pnl"] == pytest.approx(4.0 * size)
    assert trade["fees"] == pytest.approx(0.106 * size)
    assert trade["entry_ts"].hour == 6
    assert trade["trigger_ts"].hour == 5
    assert (trade["tier_lower"], trade["tier_upper"]) == (105.0, 110.0)
    assert result.equity["equity"][-1].as_py() == pytest.approx(10_000 + 3.894 * size)


@pytest.mark.parametrize("seed", range(3))
def test_trades_sum_to_the_change_of_equity(seed: int) -> None:
    """Net is gross less fees and slippage plus funding, and nothing is lost between."""
    result = busy(seed)
    trades = result.trades.to_pandas()
    assert len(trades) > 10
    net = trades.gross_pnl - trades.fees - trades.slippage + trades.funding
    assert trades.net_pnl.to_numpy() == pytest.approx(net.to_numpy(), abs=1e-9)
    change = result.equity["equity"][-1].as_py() - result.cash
    assert trades.net_pnl.sum() == pytest.approx(change, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("cut", [900, 1100, 1733, 2400])
def test_the_future_changes_nothing(cut: int) -> None:
    """Cutting the market off: trades closed before and equity before are the same to the bit."""
    panel, features = market(1)
    whole = busy(1)
    short = run_backtest(
        panel.slice(0, cut), features.slice(0, cut), instrument=CONTRACT, parameters=BUSY
    )
    settled = short.trades.filter(pa.compute.not_equal(short.trades["exit_reason"], "end"))
    before = whole.trades.slice(0, settled.num_rows)
    assert before.to_pylist() == settled.to_pylist()
    last = cut - 1
    ours = whole.equity["equity"].to_numpy()[:last]
    assert np.array_equal(ours, short.equity["equity"].to_numpy()[:last])
    assert settled.num_rows > 2


def test_costs_only_take() -> None:
    """Each cost alone lowers the result of the same trades."""
    none = CostParameters(taker_fee=0.0, maker_fee=0.0, spread_bps=0.0, impact_coefficient=0.0)
    free = busy(2, costs=none).equity["equity"][-1].as_py()
    for change in (
        {"taker_fee": 0.001},
        {"maker_fee": 0.001},
        {"spread_bps": 5.0},
        {"impact_coefficient": 2.0},
    ):
        assert busy(2, costs=replace(none, **change)).equity["equity"][-1].as_py() < free
    wide = CostParameters(spread_bps=900.0, max_slippage_bps=300.0)
    assert busy(2, costs=wide).trades != busy(2, costs=replace(wide, max_slippage_bps=1.0)).trades


OTHER = {
    "side": "shorts",
    "entry": "stop",
    "max_distance": 0.012,
    "min_fuel": 0.6,
    "min_imbalance": 1.3,
    "imbalance_window": 0.25,
    "max_armed_bars": 3,
    "thrust_bars": 1,
    "min_thrust": 3.0,
    "atr_bars": 10,
    "max_funding": 0.00005,
    "stop_atr": 4.0,
    "target": "next",
    "patience": 2,
    "min_progress": 0.9,
    "max_hold": 4,
    "trail_atr": 1.0,
    "risk_fraction": 0.002,
    "max_leverage": 1.0,
}


@pytest.mark.parametrize("name", OTHER)
def test_each_parameter_changes_the_trades(name: str) -> None:
    """No option is dead."""
    assert busy(0, **{name: OTHER[name]}).trades != busy(0).trades


def test_the_test_above_covers_all_parameters() -> None:
    """A new parameter needs a line there."""
    assert set(OTHER) == set(TierBreakoutParameters.__dataclass_fields__)


def test_larger_prices_scale_nothing_but_prices() -> None:
    """The same market at sixteen times the price, and lots that much smaller, gives the same money."""
    panel, features = market(0)
    scaled = {n: getattr(panel, n) * 16.0 for n in ("open", "high", "low", "close")}
    dear = replace(panel, **scaled, volume=panel.volume / 16.0, oi_base=panel.oi_base / 16.0)
    ladders = {
        side: replace(
            getattr(features, side),
            **{e: getattr(getattr(features, side), e) * 16.0 for e in ("lower", "upper", "peak")},
        )
        for side in ("above", "below")
    }
    ours = run_backtest(panel, features, instrument=CONTRACT, parameters=BUSY)
    theirs = run_backtest(
        dear,
        replace(features, **ladders),
        instrument=replace(CONTRACT, lot=CONTRACT.lot / 16.0),
        parameters=BUSY,
    )
    assert theirs.trades["net_pnl"].to_numpy() == pytest.approx(
        ours.trades["net_pnl"].to_numpy(), rel=1e-6
    )


def test_nothing_to_run_over_is_said() -> None:
    """No bars, no cash, or a window that the map lacks."""
    panel, features = market(0)
    with pytest.raises(InputError, match="no bars"):
        run_backtest(panel.slice(0, 0), features.slice(0, 0), instrument=CONTRACT)
    with pytest.raises(InputError, match="cash is 0"):
        run_backtest(panel, features, instrument=CONTRACT, cash=0.0)
    with pytest.raises(InputError, match="no window"):
        busy(0, imbalance_window=0.33)
