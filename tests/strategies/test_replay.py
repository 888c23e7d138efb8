"""The replay against backtrader, against tables written by hand, and against itself cut short."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import real_cases
import replay_cases as cases
import test_tier_breakout as tables
from candles import INSTRUMENT, features_of, panel_of
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtiers.datasets.brackets import Brackets
from liqtiers.datasets.errors import InputError
from liqtiers.strategies import (
    CostParameters,
    TierBreakoutParameters,
    bars_of,
    ladders_of,
    replay,
    replay_arrays,
    replay_setup,
    run_backtest,
    signals_of,
    trades_table,
)
from liqtiers.strategies._cost_formulas import REFUSED, bracket_table, own_liquidation_price
from liqtiers.strategies.parameters import ParameterSet
from liqtiers.strategies.rulebook import (
    HOLD,
    Account,
    decide,
    first_state,
    quiet_until,
    rules_of,
)
from liqtiers.strategies.signals import row_at

ALL_EXITS: Final = {"absorbed", "time", "stop", "target", "trail", "liquidated", "end"}
BY_HAND: Final = [
    test
    for name, test in vars(tables).items()
    if name.startswith("test_") and not inspect.signature(test).parameters
]


def drawn(of: type[ParameterSet]) -> st.SearchStrategy[Any]:
    """Draw parameters from where trades happen, each now and then from all of its range."""

    def one(f: Any) -> st.SearchStrategy[Any]:
        meta = f.metadata
        if meta["choices"] is not None:
            return st.sampled_from(meta["choices"])
        if f.name == "imbalance_window":
            return st.just(cases.WINDOW)
        kind = st.integers if isinstance(f.default, int) else st.floats
        usual, whole = cases.BUSY[f.name], (meta["low"], meta["high"])
        ranges = st.sampled_from([usual] * 30 + [whole])
        return ranges.flatmap(lambda bounds: kind(*bounds))

    return st.builds(of, **{f.name: one(f) for f in fields(of)})


def test_every_trade_is_backtraders() -> None:
    """In random markets, with random parameters and costs: trades, equity and refusals alike."""
    seen: Counter[str] = Counter()

    @settings(max_examples=40)
    @given(st.integers(0, 2**32 - 1), drawn(TierBreakoutParameters), drawn(CostParameters))
    def check(seed: int, parameters: TierBreakoutParameters, costs: CostParameters) -> None:
        rng = np.random.default_rng(seed)
        world = cases.world_of(rng, parameters=parameters, costs=costs, bars=200)
        found = cases.compare(world)
        assert found.differences == []
        seen["trades"] += found.trades

    check()
    assert seen["trades"] >= 20


def test_every_kind_of_exit_is_backtraders() -> None:
    """Sixty fixed worlds that hold all exits, both sides, both entries and trades of a single bar."""
    seen: Counter[Any] = Counter()
    for seed in range(60):
        world = cases.random_world(seed, bars=(150, 250))
        found = cases.compare(world)
        assert found.differences == [], seed
        if found.reference is None:
            seen["refused"] += 1
            continue
        trades = found.reference.trades.to_pydict()
        seen.update(trades["exit_reason"])
        seen.update((side, world.parameters.entry) for side in trades["direction"])
        seen["one bar"] += sum(bars == 1 for bars in trades["bars_held"])
        seen["funded"] += sum(funding != 0.0 for funding in trades["funding"])
    wanted = {"one bar", "funded", *((d, e) for d in (1, -1) for e in ("market", "stop"))}
    assert {kind: seen[kind] for kind in ALL_EXITS | wanted if seen[kind] < 2} == {}
    assert sum(seen[reason] for reason in ALL_EXITS) > 150


@pytest.mark.parametrize("mirrored", [False, True], ids=["shorts above", "longs below"])
@pytest.mark.parametrize("name", tables.SCENARIOS)
def test_candle_tables(name: str, mirrored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables that say by hand what backtrader must do, with the replay in its place."""
    monkeypatch.setattr(tables, "run_backtest", replay)
    tables.test_candle_tables(name, mirrored)


@pytest.mark.parametrize("test", BY_HAND, ids=[test.__name__[5:] for test in BY_HAND])
def test_reckoned_by_hand(test: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The strategy's other tests by hand, with the replay in backtrader's place."""
    monkeypatch.setattr(tables, "run_backtest", replay)
    test()


@pytest.mark.parametrize("engine", [run_backtest, replay])
def test_the_position_of_the_last_bar_is_the_one_before_settling(engine: Any) -> None:
    """What the end closes on paper was held at the last close; its costs are in the equity."""
    candles, _, _ = tables.SCENARIOS["end"]
    costs = replace(tables.FREE, taker_fee=0.001)
    result = engine(
        panel_of(candles),
        features_of(len(candles), above=[(105.0, 110.0)]),
        instrument=INSTRUMENT,
        parameters=tables.PARAMETERS,
        costs=costs,
        cash=10_000.0,
    )
    assert result.equity["position"].to_pylist() == [0.0] * 6 + [23.0]
    fees = 23.0 * (106.0 + 106.5) * 0.001
    assert result.equity["equity"][6].as_py() == pytest.approx(10_000.0 + 23.0 * 0.5 - fees)


def test_a_target_taken_at_the_open_has_no_slippage() -> None:
    """A limit order that is filled at once pays the taker's fee, but never worse than its price."""
    candles, _, _ = tables.SCENARIOS["opened beyond the target"]
    costs = replace(tables.FREE, spread_bps=20.0)
    for engine in (run_backtest, replay):
        result = engine(
            panel_of(candles),
            features_of(len(candles), above=[(105.0, 110.0)]),
            instrument=INSTRUMENT,
            parameters=tables.PARAMETERS,
            costs=costs,
        )
        (trade,) = result.trades.to_pylist()
        assert (trade["entry_price"], trade["exit_price"]) == pytest.approx((111.111, 111.0))


@pytest.mark.parametrize("seed", range(4))
def test_the_future_changes_nothing(seed: int) -> None:
    """Cut anywhere: the curve before is the same to the bit, and so are the trades closed by then."""
    world = cases.random_world(seed, bars=(300, 300))
    given_ = {
        "instrument": world.instrument,
        "parameters": world.parameters,
        "costs": world.costs,
        "cash": world.cash,
    }
    whole = replay(world.panel, world.features, **given_)
    exits = whole.trades["exit_ts"].to_numpy()
    for cut in (1, 2, 57, 100, 101, 102, 103, 240):
        short = replay(world.panel.slice(0, cut), world.features.slice(0, cut), **given_)
        assert short.equity.slice(0, cut - 1).equals(whole.equity.slice(0, cut - 1))
        last = world.panel.ts[cut - 1].astype("datetime64[us]")
        closed = int(np.sum(exits < last))
        assert short.trades.slice(0, closed).equals(whole.trades.slice(0, closed))
        assert short.trades.num_rows - closed in (0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_a_stretch_is_run_as_a_view(seed: int) -> None:
    """`start` and `stop` give what arrays cut there give; a fold needs no copies."""
    world = cases.random_world(seed, bars=(300, 300))
    signals = signals_of(world.panel, world.features, world.parameters)
    bars = bars_of(world.panel)
    setup = replay_setup(
        world.parameters, world.costs, instrument=world.instrument, cash=world.cash
    )
    start, stop = 60, 250
    ours = replay_arrays(signals, bars, setup, start=start, stop=stop)
    cut = [type(a)(*(column[start:stop] for column in a)) for a in (signals, bars)]
    theirs = replay_arrays(*cut, setup)
    for name in ours._fields:
        expected = getattr(theirs, name)
        shift = start if name.endswith("_bar") else 0
        np.testing.assert_array_equal(getattr(ours, name), expected + shift)
    table = trades_table(ours, world.panel.ts)
    assert table.equals(trades_table(theirs, world.panel.ts[start:stop]))
    assert (len(ours.equity), ours.trades) == (stop - start, table.num_rows)


def test_ladders_made_once_serve_every_stretch() -> None:
    """Cut ladders with the cut panel are the signals of the cut map."""
    world = cases.random_world(5, bars=(200, 200))
    panel, features = world.panel.slice(30, 170), world.features.slice(30, 170)
    expected = signals_of(panel, features, world.parameters)
    ladders = ladders_of(world.features).slice(30, 170)
    for ours, theirs in zip(
        signals_of(panel, features, world.parameters, ladders), expected, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(8))
def test_quiet_bars_hold_and_change_nothing(seed: int) -> None:
    """Bars that the replay passes over are bars at which the rulebook keeps what it has."""
    world = cases.random_world(seed, bars=(200, 200))
    rules = rules_of(replace(world.parameters, min_fuel=0.5, min_imbalance=1.0))
    signals = signals_of(world.panel, world.features, world.parameters)
    nothing = Account(position=0.0, bars_held=0, filled=False)
    state, passed, bar = first_state(), 0, 0
    while bar < len(world.panel):
        until = quiet_until(state, signals, bar, len(world.panel), rules)
        assert bar <= until <= len(world.panel)
        for quiet in range(bar, until):
            after, decision = decide(state, row_at(signals, quiet), nothing, rules)
            assert decision.action == HOLD
            np.testing.assert_equal((after.above, after.below), (state.above, state.below))
        passed += until - bar
        if until < len(world.panel):
            state, _ = decide(state, row_at(signals, until), nothing, rules)
        bar = until + 1
    assert passed > 0


@st.composite
def bracket_tables(draw: st.DrawFn) -> Brackets:
    """Draw tables whose margin is continuous, and some whose is not."""
    rows = draw(st.integers(1, 5))
    steps = draw(st.lists(st.floats(1e3, 1e7), min_size=rows, max_size=rows))
    floor = np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    rate = np.sort(draw(st.lists(st.floats(0.001, 0.5), min_size=rows, max_size=rows)))
    amount = np.cumsum(floor * np.diff(rate, prepend=rate[0]))
    granted = draw(st.lists(st.floats(1.0, 125.0), min_size=rows, max_size=rows))
    continuous = draw(st.booleans())
    return Brackets(
        floor_notional=floor,
        maintenance_rate=rate,
        max_leverage=np.sort(granted)[::-1],
        maintenance_amount=amount if continuous else np.zeros(rows),
        source="drawn",
        floor_unit=draw(st.sampled_from(["quote", "base"])),
    )


@settings(max_examples=300)
@given(
    bracket_tables(),
    st.floats(0.01, 1e5),
    st.floats(1.0, 125.0),
    st.floats(1e-3, 1e6),
    st.sampled_from([1, -1]),
)
def test_the_liquidation_price_is_the_tables(
    brackets: Brackets, entry: float, leverage: float, quantity: float, side: int
) -> None:
    """The compiled walk through the brackets ends where `Brackets.liquidation_price` does."""
    found = own_liquidation_price(entry, leverage, quantity, side, bracket_table(brackets))
    try:
        expected = brackets.liquidation_price(entry, leverage, quantity=quantity, direction=side)
    except InputError:
        expected = REFUSED
    assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_a_position_beyond_its_bracket_stops_the_run() -> None:
    """With the broker's own words."""
    small = Brackets(
        floor_notional=np.array([0.0, 1_000.0]),
        maintenance_rate=np.array([0.005, 0.5]),
        max_leverage=np.array([125.0, 1.0]),
        maintenance_amount=np.array([0.0, 495.0]),
        source="small",
    )
    candles, _, _ = tables.SCENARIOS["target"]
    told = []
    for engine in (run_backtest, replay):
        with pytest.raises(InputError, match=r"leverage 3 is above the cap of 1") as caught:
            engine(
                panel_of(candles),
                features_of(len(candles), above=[(105.0, 110.0)]),
                instrument=replace(INSTRUMENT, brackets=small),
                parameters=tables.PARAMETERS,
            )
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_bars_that_are_not_there_are_refused() -> None:
    """Compiled code does not look where it reads."""
    panel, features = panel_of(tables.QUIET), features_of(5, above=[(105.0, 110.0)])
    parameters = tables.PARAMETERS
    signals, bars = signals_of(panel, features, parameters), bars_of(panel)
    setup = replay_setup(parameters, instrument=INSTRUMENT)
    for start, stop in ((-1, 5), (0, 6), (3, 3)):
        with pytest.raises(ValueError, match=f"bars {start} to {stop} of 5"):
            replay_arrays(signals, bars, setup, start=start, stop=stop)
    with pytest.raises(ValueError, match="4 rows of features for 5 bars"):
        replay(panel, features.slice(0, 4), instrument=INSTRUMENT)
    with pytest.raises(InputError, match="no bars"):
        replay(panel.slice(0, 0), features.slice(0, 0), instrument=INSTRUMENT)


@pytest.mark.parametrize(("timeframe", "bars"), [("5m", 3_000), ("1h", 3_000)])
def test_on_real_bars_every_trade_is_backtraders(
    real_data: Path, timeframe: str, bars: int
) -> None:
    """Bitcoin's last bars, their own map and brackets, three ways of trading."""
    found = [cases.compare(w) for w in real_cases.real_worlds(real_data, timeframe, bars=bars)]
    assert [comparison.differences for comparison in found] == [[], [], []]
    assert sum(comparison.trades for comparison in found) > 30
