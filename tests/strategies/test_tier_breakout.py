"""The strategy on candle tables: one row a bar, one trade a table, each table also upside down.

The tier of shorts stands at 105 to 110 and is armed at once; bar 5 closes beyond its near edge with
thrust, so that the entry is bar 6's open.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from candles import INSTRUMENT, features_of, panel_of

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import GENERIC_BRACKETS
from liqtiers.strategies import (
    BacktestResult,
    CostParameters,
    TierBreakoutParameters,
    run_backtest,
)

Candle = tuple[float, float, float, float]

QUIET: Final[list[Candle]] = [(100.0, 101.0, 99.0, 100.0)] * 5
TRIGGER: Final[Candle] = (100.0, 106.0, 100.0, 106.0)
ENTRY: Final[Candle] = (106.0, 107.0, 105.5, 106.5)
# True ranges 2, 2, 2, 2, 6: Wilder's mean over 3 after bar 5 is (2 * 2 + 6) / 3.
STOP: Final = 105.0 - 10.0 / 3.0
# Short of the edge: true ranges 2, 2, 2, 2, 4, mean (2 * 2 + 4) / 3, thrust 4 / that = 1.5.
NEARLY: Final[Candle] = (100.0, 104.0, 100.0, 104.0)
REST_STOP: Final = 105.0 - 8.0 / 3.0
# Bar 6 adds a true range of 1.5: (2 * 10 / 3 + 1.5) / 3 after it.
TRAIL: Final = 106.5 - (20.0 / 3.0 + 1.5) / 3.0

FREE: Final = CostParameters(taker_fee=0.0, maker_fee=0.0, spread_bps=0.0, impact_coefficient=0.0)
PARAMETERS: Final = TierBreakoutParameters(
    atr_bars=3, thrust_bars=1, stop_atr=1.0, risk_fraction=0.01, max_leverage=3.0
)


def run(
    candles: list[Candle],
    *,
    mirrored: bool = False,
    costs: CostParameters = FREE,
    cash: float = 10_000.0,
    columns: dict[str, list[float]] | None = None,
    lot: float = 0.1,
    **parameters: object,
) -> BacktestResult:
    """Run over candles, or over their reflection at 100 with the tier of longs below."""
    tier, further = (105.0, 110.0), (112.0, 114.0)
    if mirrored:
        candles = [(200 - o, 200 - low, 200 - high, 200 - c) for o, high, low, c in candles]
        parameters = {"side": "longs", **parameters}
        features = features_of(
            len(candles), below=[(90.0, 95.0), (86.0, 88.0)], imbalance=1.0 / 5.0
        )
    else:
        features = features_of(len(candles), above=[tier, further])
    return run_backtest(
        panel_of(candles, **(columns or {})),
        features,
        instrument=replace(INSTRUMENT, lot=lot),
        parameters=replace(PARAMETERS, **parameters),
        costs=costs,
        cash=cash,
    )


def told(result: BacktestResult, *, mirrored: bool = False) -> list[tuple[Any, ...]]:
    """Return entry bar, entry price, exit bar, exit price and reason of each trade."""
    seen = []
    for trade in result.trades.to_pylist():
        prices = [trade["entry_price"], trade["exit_price"]]
        if mirrored:
            prices = [200.0 - price for price in prices]
        first, last = (int((trade[n].timestamp() // 3600) % 24) for n in ("entry_ts", "exit_ts"))
        seen.append((first, prices[0], last, prices[1], trade["exit_reason"]))
    return seen


MARKET: Final = [*QUIET, TRIGGER]
SCENARIOS: Final[dict[str, tuple[list[Candle], dict[str, Any], tuple[Any, ...]]]] = {
    "target": ([*MARKET, ENTRY, (106.5, 110.5, 106, 109)], {}, (6, 106.0, 7, 110.0, "target")),
    "gap over the target": (
        [*MARKET, ENTRY, (111, 112, 110.5, 111)],
        {},
        (6, 106.0, 7, 110.0, "target"),
    ),
    "opened beyond the target": (
        [*MARKET, (111, 112, 110.5, 111)],
        {},
        (6, 111.0, 6, 111.0, "target"),
    ),
    "next tier's near edge": (
        [*MARKET, ENTRY, (106.5, 112.5, 106, 109)],
        {"target": "next"},
        (6, 106.0, 7, 112.0, "target"),
    ),
    "stop in the entry bar": (
        [*MARKET, (106, 107, 101, 102)],
        {},
        (6, 106.0, 6, STOP, "stop"),
    ),
    "opened beyond the stop": (
        [*MARKET, (101, 102, 100, 101)],
        {},
        (6, 101.0, 6, 101.0, "stop"),
    ),
    "gap through the stop": (
        [*MARKET, ENTRY, (100, 101, 99, 100)],
        {},
        (6, 106.0, 7, 100.0, "stop"),
    ),
    "stop and target in one bar": (
        [*MARKET, ENTRY, (106.5, 111, 101, 106)],
        {},
        (6, 106.0, 7, STOP, "stop"),
    ),
    "absorbed": (
        [*MARKET, ENTRY, (106.5, 107, 106, 106.2), (106.3, 107, 106, 106)],
        {"patience": 2, "min_progress": 0.5},
        (6, 106.0, 8, 106.3, "absorbed"),
    ),
    "time": (
        [*MARKET, ENTRY, (106.5, 107, 106, 106.2), (106.3, 107, 106, 106)],
        {"max_hold": 2},
        (6, 106.0, 8, 106.3, "time"),
    ),
    "trail": (
        [*MARKET, ENTRY, (106.5, 107, 103, 104)],
        {"trail_atr": 1.0},
        (6, 106.0, 7, TRAIL, "trail"),
    ),
    "target while trailing": (
        [*MARKET, ENTRY, (106.5, 107, 106, 107), (111, 112, 110.5, 111)],
        {"trail_atr": 1.0},
        (6, 106.0, 8, 110.0, "target"),
    ),
    "trail of a position as large as can be": (
        [*MARKET, ENTRY, (106.5, 107, 103, 104)],
        {"trail_atr": 1.0, "risk_fraction": 1.0, "target": "next"},
        (6, 106.0, 7, TRAIL, "trail"),
    ),
    "end": ([*MARKET, ENTRY], {}, (6, 106.0, 6, 106.5, "end")),
    "resting entry": (
        [*QUIET, NEARLY, (104, 106, 103.5, 105.5), (105.5, 111, 105, 110)],
        {"entry": "stop"},
        (6, 105.0, 7, 110.0, "target"),
    ),
    "resting entry passed by the open": (
        [*QUIET, NEARLY, (105.5, 106, 105, 105.5), (105.5, 111, 105, 110)],
        {"entry": "stop"},
        (6, 105.5, 7, 110.0, "target"),
    ),
    "resting entry stopped in its bar": (
        [*QUIET, NEARLY, (104, 106, 102, 105)],
        {"entry": "stop"},
        (6, 105.0, 6, REST_STOP, "stop"),
    ),
    "resting entry and target in one bar": (
        [*QUIET, NEARLY, (104, 110.5, 103.5, 109)],
        {"entry": "stop"},
        (6, 105.0, 6, 110.0, "target"),
    ),
}


@pytest.mark.parametrize("mirrored", [False, True], ids=["shorts above", "longs below"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_candle_tables(name: str, mirrored: bool) -> None:
    """Each exit, gap and coincidence as written down by hand, and the same upside down."""
    candles, parameters, expected = SCENARIOS[name]
    result = run(candles, mirrored=mirrored, **parameters)
    (trade,) = told(result, mirrored=mirrored)
    assert trade == (expected[0], pytest.approx(expected[1]), expected[2],
                     pytest.approx(expected[3]), expected[4])  # fmt: skip
    assert result.trades["direction"].to_pylist() == [-1 if mirrored else 1]


def test_upside_down_the_money_is_the_same() -> None:
    """Without costs a reflected market earns what the market earns, bar by bar."""
    candles, parameters, _ = SCENARIOS["absorbed"]
    ours = run(candles, **parameters).equity["equity"].to_numpy()
    theirs = run(candles, mirrored=True, **parameters).equity["equity"].to_numpy()
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert ours[-1] > 10_000.0


def test_the_resting_entry_is_withdrawn_when_its_reason_is_gone() -> None:
    """Bar 6 neither reaches the edge nor keeps the thrust: bar 7 finds no order there."""
    candles = [*QUIET, NEARLY, (104, 104.5, 103, 104), (104, 107, 103.5, 104)]
    assert told(run(candles, entry="stop")) == []


def test_one_frozen_tier_is_traded_once() -> None:
    """Stopped in the entry bar and at the edge again: without a new arming no new trade."""
    stopped = [*MARKET, (106, 107, 101, 105.5), (105.5, 109, 105, 108), (108, 109, 107, 108)]
    assert len(told(run(stopped))) == 1


def test_a_tier_around_price_is_not_armed() -> None:
    """Only what lies beyond price can be broken into: the edge must be ahead of the close."""
    inside = [(106.0, 107.0, 105.0, 106.0)] * 5
    rising = [(106.0, 109.0, 106.0, 108.5), (108.5, 109, 108, 108.5), (108.5, 109, 108, 108.5)]
    features = features_of(8, above=[(105.0, 110.0)])
    result = run_backtest(
        panel_of([*inside, *rising]),
        features,
        instrument=INSTRUMENT,
        parameters=PARAMETERS,
        costs=FREE,
    )
    assert told(result) == []


def test_own_liquidation_by_hand() -> None:
    """20x from 106: liquidation at 106 (1 - 1/20) / (1 - 0.005) = 101.206, bankrupt at 100.7."""
    candles = [*MARKET, ENTRY, (106.5, 107, 101, 102)]
    result = run(candles, max_leverage=20.0, stop_atr=2.0)
    (trade,) = result.trades.to_pylist()
    assert told(result) == [(6, 106.0, 7, pytest.approx(100.7), "liquidated")]
    assert trade["own_liquidation_price"] == pytest.approx(106 * 0.95 / 0.995)
    margin = trade["size"] * 106 / 20
    assert trade["net_pnl"] == pytest.approx(-margin)
    assert result.equity["equity"][-1].as_py() == pytest.approx(10_000 - margin)


def test_own_liquidation_of_a_short_by_hand() -> None:
    """20x from 94: liquidation at 94 * 1.05 / 1.005 = 98.209, bankrupt at 98.7, in the entry bar."""
    candles = [*MARKET, (106, 107, 101, 102)]
    result = run(candles, mirrored=True, max_leverage=20.0, stop_atr=2.0)
    (trade,) = result.trades.to_pylist()
    assert (trade["exit_price"], trade["exit_reason"]) == (pytest.approx(98.7), "liquidated")


def test_size_is_the_risk_in_whole_lots() -> None:
    """1 % of 10,000 over 106 - 101.67 is 23.08: 23.0 in lots of 0.1, without a rounding tail."""
    (trade,) = run([*MARKET, ENTRY]).trades.to_pylist()
    assert trade["size"] == 23.0
    (trade,) = run([*MARKET, ENTRY], risk_fraction=0.00014).trades.to_pylist()
    assert trade["size"] == 0.3


def test_size_is_capped_by_leverage_and_the_exits_are_accepted() -> None:
    """98 % of 10,000 at 3x over 106 is 277.36; the bracket of so large an order stands."""
    result = run([*MARKET, ENTRY, (106.5, 110.5, 106, 109)], risk_fraction=1.0, target="tier")
    (trade,) = result.trades.to_pylist()
    assert (trade["size"], trade["exit_reason"]) == (pytest.approx(277.3), "target")


def test_less_than_a_lot_is_not_traded() -> None:
    """23.08 coins are no lot of 100."""
    assert told(run([*MARKET, ENTRY], lot=100.0)) == []


def test_an_open_that_eats_the_margin_refuses_the_entry() -> None:
    """At 1x and full size an open 3 % above the close is more than there is."""
    candles = [*MARKET, (109.2, 109.5, 101, 109), (109, 109.5, 101, 109)]
    result = run(candles, risk_fraction=1.0, max_leverage=1.0)
    assert told(result) == []
    assert set(result.equity["equity"].to_pylist()) == {10_000.0}


def test_funding_of_the_entry_bar_is_paid_by_hand() -> None:
    """0.1 % on 23 coins at the entry bar's close of 106.5, and nothing in the bar of the exit."""
    candles = [*MARKET, ENTRY, (106.5, 110.5, 106, 109)]
    settled = [0.0] * 6 + [0.001, 0.5]
    (trade,) = run(candles, columns={"funding_settled": settled}).trades.to_pylist()
    assert trade["funding"] == pytest.approx(-23.0 * 106.5 * 0.001)
    assert trade["net_pnl"] == pytest.approx(23.0 * 4.0 - 23.0 * 106.5 * 0.001)


def test_a_marketable_target_pays_the_takers_fee_and_a_resting_one_the_makers() -> None:
    """Opened beyond it in the entry bar it takes; later it was in the book before the open."""
    costs = replace(FREE, taker_fee=0.001, maker_fee=0.0)
    at_once, _, _ = SCENARIOS["opened beyond the target"]
    (trade,) = run(at_once, costs=costs).trades.to_pylist()
    assert trade["fees"] == pytest.approx(2 * trade["size"] * 111.0 * 0.001)
    for name in ("gap over the target", "target while trailing"):
        candles, parameters, _ = SCENARIOS[name]
        (trade,) = run(candles, costs=costs, **parameters).trades.to_pylist()
        assert trade["fees"] == pytest.approx(trade["size"] * 106.0 * 0.001)


def test_the_trade_says_what_armed_and_triggered_it() -> None:
    """Armed in bar 0, since a tier needs no average true range; triggered by bar 5."""
    (trade,) = run([*MARKET, ENTRY]).trades.to_pylist()
    assert (trade["armed_ts"].hour, trade["trigger_ts"].hour) == (0, 5)
    assert (trade["tier_lower"], trade["tier_upper"], trade["tier_peak"]) == (105, 110, 107.5)
    assert (trade["tier_notional"], trade["tier_fuel"], trade["imbalance"]) == (1e6, 1.0, 5.0)
    assert (trade["stop_price"], trade["target_price"]) == (pytest.approx(STOP), 110.0)


def test_costs_of_a_stopped_trade_by_hand() -> None:
    """Half a spread of 20 bp and 0.1 % fee on both sides of the trade that is stopped at once."""
    costs = replace(FREE, taker_fee=0.001, spread_bps=20.0)
    candles, _, _ = SCENARIOS["stop in the entry bar"]
    (trade,) = run(candles, costs=costs).trades.to_pylist()
    bought, sold = 106.0 * 1.001, STOP * 0.999
    size = trade["size"]
    assert (trade["entry_price"], trade["exit_price"]) == pytest.approx((bought, sold))
    assert trade["gross_pnl"] == pytest.approx(size * (STOP - 106.0))
    assert trade["slippage"] == pytest.approx(size * 0.001 * (106.0 + STOP))
    assert trade["fees"] == pytest.approx(size * 0.001 * (bought + sold))


def test_an_inverse_contract_is_refused() -> None:
    """The broker's money is linear; a coin-margined contract must not run through it."""
    with pytest.raises(InputError, match="linear"):
        run_backtest(
            panel_of(QUIET),
            features_of(5),
            instrument=replace(INSTRUMENT, kind="inverse"),
        )


def test_a_leverage_that_the_venue_never_grants_is_refused_at_once() -> None:
    """Before the run and not at its first fill."""
    with pytest.raises(InputError, match="max_leverage is 120.*100"):
        run_backtest(
            panel_of(QUIET),
            features_of(5),
            instrument=replace(INSTRUMENT, brackets=GENERIC_BRACKETS),
            parameters=replace(PARAMETERS, max_leverage=120.0),
        )


def test_equity_has_a_row_for_each_bar() -> None:
    """Bars before the indicators are ready, too."""
    result = run([*MARKET, ENTRY])
    assert result.equity.num_rows == 7
    assert np.array_equal(result.equity["position"].to_numpy()[:6], np.zeros(6))
