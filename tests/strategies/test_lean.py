"""The lean run against backtrader's own loop, to the last bit, and what makes it give way to that."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Final

import backtrader as bt
import numpy as np
import pyarrow as pa
import pytest
import replay_cases as cases
from candles import panel_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_replay import drawn

from liqtiers.datasets.errors import InputError
from liqtiers.strategies import (
    CostParameters,
    EquityCurve,
    LeanCerebro,
    PanelFeed,
    PerpetualBroker,
    PerpetualCommission,
    SquareRootSlippage,
    TierBreakout,
    TierBreakoutParameters,
    TierTrades,
    run_backtest,
)

KINDS: Final = (
    bt.Order.Market,
    bt.Order.Stop,
    bt.Order.Limit,
    bt.Order.StopLimit,
    bt.Order.StopTrail,
    bt.Order.Close,
)


class Diary:
    """What a strategy is told, and when; order numbers counted from the run's first."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.first = 0

    def note(self, strategy: bt.Strategy, *what: Any) -> None:
        data = strategy.data
        moment = (len(strategy), len(data), strategy.datetime[0], data.datetime[0])
        self.told.append((*moment, data.close[0], data.tick_high, *what))

    def order(self, strategy: bt.Strategy, order: bt.Order) -> None:
        self.first = self.first or order.ref
        done = (order.executed.size, order.executed.price, order.executed.comm)
        self.note(strategy, order.ref - self.first, order.getstatusname(), *done)

    def trade(self, strategy: bt.Strategy, trade: bt.Trade) -> None:
        bars = (trade.baropen, trade.barclose, trade.barlen)
        self.note(strategy, trade.status, trade.size, trade.pnl, trade.pnlcomm, *bars)


class Told(TierBreakout):
    """The breakout with a diary."""

    def start(self) -> None:
        self.diary = Diary()

    def notify_order(self, order: bt.Order) -> None:
        self.diary.order(self, order)
        super().notify_order(order)

    def notify_trade(self, trade: bt.Trade) -> None:
        self.diary.trade(self, trade)


class Scripted(bt.Strategy):  # type: ignore[misc]  # backtrader has no stubs
    """Sends random orders of every kind at random bars and is idle between."""

    params = (("seed", 0), ("often", 0.1))

    def __init__(self) -> None:
        self.diary = Diary()
        self.rng = np.random.default_rng(self.p.seed)
        self.bars = np.flatnonzero(self.rng.random(10_000) < self.p.often)

    def idle_until(self, stop: int) -> int:
        return int(min(self.bars[np.searchsorted(self.bars, len(self.data))], stop))

    def notify_order(self, order: bt.Order) -> None:
        self.diary.order(self, order)

    def notify_trade(self, trade: bt.Trade) -> None:
        self.diary.trade(self, trade)

    def next(self) -> None:
        if len(self.data) - 1 not in self.bars:
            return
        self.diary.note(self, self.broker.getcash(), self.broker.getvalue())
        acts = (self._order, self._bracket, self._pair, self._cancel, self.close, self._add_cash)
        acts[self.rng.choice(len(acts), p=(0.4, 0.25, 0.1, 0.1, 0.1, 0.05))]()

    def _near(self) -> float:
        reach = np.ptp(np.array(self.data.close.get(size=min(len(self.data), 20)))) + 1e-6
        return float(self.data.close[0] + self.rng.normal(0.0, 0.3) * reach)

    def _size(self) -> float:
        return float(self.broker.getvalue() / self.data.close[0] * self.rng.uniform(0.01, 0.4))

    def _order(self) -> None:
        kind = self.rng.choice(KINDS)
        lasts = self.rng.choice([0, 1])
        send = (self.buy, self.sell)[self.rng.choice(2)]
        send(
            size=self._size(),
            exectype=kind,
            price=self._near(),
            plimit=self._near() if kind == bt.Order.StopLimit else None,
            trailpercent=0.01 if kind == bt.Order.StopTrail else None,
            valid=self.data.datetime[0] + 0.1 if lasts else None,
        )

    def _bracket(self) -> None:
        close = self.data.close[0]
        far = sorted(abs(self._near() - close) for _ in range(2))
        kind = (bt.Order.Market, bt.Order.Stop, bt.Order.Limit)[self.rng.choice(3)]
        send, side = ((self.buy_bracket, 1), (self.sell_bracket, -1))[self.rng.choice(2)]
        send(
            size=self._size(),
            exectype=kind,
            price=close,
            stopprice=close - side * far[0],
            limitprice=close + side * far[1],
        )

    def _pair(self) -> None:
        size = self._size()
        first = self.sell(size=size, exectype=bt.Order.Stop, price=self._near())
        self.sell(size=size, exectype=bt.Order.Limit, price=self._near(), oco=first)

    def _cancel(self) -> None:
        waiting = self.broker.get_orders_open()
        if waiting:
            self.cancel(waiting[self.rng.choice(len(waiting))])

    def _add_cash(self) -> None:
        self.broker.add_cash(100.0)


def prepared(kind: type[bt.Cerebro], world: cases.World, **options: Any) -> bt.Cerebro:
    """Return a Cerebro with the plugin's parts, no strategy."""
    costs = world.costs
    slippage = SquareRootSlippage(
        spread_bps=costs.spread_bps,
        coefficient=costs.impact_coefficient,
        max_bps=costs.max_slippage_bps,
    )
    cerebro = kind(stdstats=False, **options)
    cerebro.broker = PerpetualBroker(slippage, world.instrument.brackets, cash=world.cash)
    cerebro.broker.addcommissioninfo(
        PerpetualCommission(
            taker=costs.taker_fee,
            maker=costs.maker_fee,
            position_leverage=world.parameters.max_leverage,
        )
    )
    cerebro.adddata(PanelFeed.from_panel(world.panel, world.features))
    cerebro.addanalyzer(EquityCurve, _name="equity")
    cerebro.addanalyzer(TierTrades, _name="trades")
    return cerebro


def outcome(cerebro: bt.Cerebro) -> dict[str, Any]:
    """Run and return everything that can be seen of a run, floats as bytes."""
    try:
        (run,) = cerebro.run()
    except InputError as error:
        return {"error": str(error)}
    broker, data = cerebro.broker, cerebro.datas[0]
    ledger = broker.ledger(data)
    first = run.diary.first
    curve = run.analyzers.equity.get_analysis()
    position = broker.getposition(data)
    return {
        "equity": np.array(curve["equity"]).tobytes(),
        "position": np.array(curve["position"], dtype=float).tobytes(),
        "trades": columns_of(run.analyzers.trades.get_analysis()),
        "fills": [repr(replace(f, order_ref=f.order_ref - first)) for f in ledger.fills],
        "funding": [repr(f) for f in ledger.funding],
        "told": [repr(line) for line in run.diary.told],
        "moments": run.lines.datetime.array.tobytes(),
        "money": repr((broker.getcash(), broker.getvalue(), broker.fundvalue)),
        "held": repr((position.size, position.price, position.adjbase)),
        "lengths": (len(run), len(data), run._minperstatus, data.tick_close),
        "waiting": [(o.ref - first, o.getstatusname()) for o in broker.pending],
    }


def columns_of(table: pa.Table) -> dict[str, Any]:
    """Return a table's columns, floats as bytes."""
    return {
        name: column.to_numpy().tobytes()
        if pa.types.is_floating(column.type)
        else column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def both(world: cases.World, add: Callable[[bt.Cerebro], Any]) -> tuple[dict[str, Any], int]:
    """Compare a lean run with a stock one; return what was done and how many bars were stepped on."""
    stepped = [0]

    class Counting(LeanCerebro):
        def _brokernotify(self) -> None:
            stepped[0] += 1
            super()._brokernotify()

    runs = []
    for kind in (bt.Cerebro, Counting):
        cerebro = prepared(kind, world)
        add(cerebro)
        runs.append(outcome(cerebro))
    stock, lean = runs
    for name in stock:
        assert lean[name] == stock[name], name
    return stock, stepped[0]


def breakout(world: cases.World) -> Callable[[bt.Cerebro], Any]:
    """Return what adds the breakout strategy."""
    given_ = {"lot": world.instrument.lot, **asdict(world.parameters)}
    return lambda cerebro: cerebro.addstrategy(Told, **given_)


def test_the_breakout_is_the_stock_run_to_the_last_bit() -> None:
    """Trades, fills, fees, funding, notifications, equity: with random markets, parameters, costs."""
    seen = {"trades": 0, "bars": 0, "stepped": 0}

    @settings(max_examples=25)
    @given(st.integers(0, 2**32 - 1), drawn(TierBreakoutParameters), drawn(CostParameters))
    def check(seed: int, parameters: TierBreakoutParameters, costs: CostParameters) -> None:
        rng = np.random.default_rng(seed)
        world = cases.world_of(rng, parameters=parameters, costs=costs, bars=200)
        done, stepped = both(world, breakout(world))
        if "error" not in done:
            seen["trades"] += len(done["trades"]["size"]) // 8
            seen["bars"] += len(world.panel)
            seen["stepped"] += stepped

    check()
    assert seen["trades"] >= 5  # which worlds are drawn depends on what is imported
    assert seen["stepped"] < 0.8 * seen["bars"]


def test_every_kind_of_exit_is_the_stock_runs() -> None:
    """Fixed worlds in which positions end in every way, funding is paid and bars are passed over."""
    exits: set[str] = set()
    funded = passed = 0
    for seed in range(25):
        world = cases.random_world(seed, bars=(150, 250))
        done, stepped = both(world, breakout(world))
        if "error" in done:
            continue
        exits.update(done["trades"]["exit_reason"])
        funded += len(done["funding"])
        passed += len(world.panel) - stepped
    assert exits >= {"absorbed", "time", "stop", "target", "trail", "liquidated"}
    assert funded > 50
    assert passed > 1_500


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.1, 0.5]))
def test_any_orders_are_the_stock_runs(seed: int, often: float) -> None:
    """A strategy that says when it is idle may send orders of every kind, brackets and pairs."""
    world = cases.random_world(seed, bars=(150, 250))
    both(world, lambda cerebro: cerebro.addstrategy(Scripted, seed=seed, often=often))


def test_random_orders_are_filled_and_bars_passed_over() -> None:
    """What the test above compares is not empty."""
    fills = funding = passed = 0
    for seed in range(5):
        world = cases.random_world(seed, bars=(250, 250))
        done, stepped = both(
            world, lambda cerebro, s=seed: cerebro.addstrategy(Scripted, seed=s, often=0.1)
        )
        fills += len(done["fills"])
        funding += len(done["funding"])
        passed += len(world.panel) - stepped
    assert fills > 20
    assert funding > 10
    assert passed > 200


class TwoAtOneOpen(Scripted):
    """Waits to buy lower, and is long with a stop above that: a gap passes both."""

    def idle_until(self, stop: int) -> int:
        return stop

    def next(self) -> None:
        if len(self.data) == 1:
            self.buy(size=1.0, exectype=bt.Order.Limit, price=90.0)
            self.buy_bracket(size=1.0, exectype=bt.Order.Market, stopprice=92.0, limitprice=120.0)


def test_orders_passed_at_one_open_keep_their_turn() -> None:
    """Quiet bars put a bracket's stop before the limit order that was sent earlier, passed over or not."""
    candles = [(100.0, 101.0, 99.0, 100.0)] * 8 + [(85.0, 86.0, 84.0, 85.0)] * 2
    world = replace(
        a_world(),
        panel=panel_of(candles),
        features=None,  # type: ignore[arg-type]  # the feed alone does without
        parameters=TierBreakoutParameters(max_leverage=1.0),
        cash=10_000.0,
    )
    done, stepped = both(world, lambda cerebro: cerebro.addstrategy(TwoAtOneOpen))
    assert stepped < len(candles)
    sizes = [fill.split("size=")[1].split(",")[0] for fill in done["fills"]]
    assert sizes == ["1.0", "-1.0", "1.0"]


def a_world() -> cases.World:
    """Return a world with trades in which all defaults of a lean run hold."""
    return cases.random_world(3, bars=(250, 250))


class Restless(Told):
    def next(self) -> None:
        super().next()


class Averaged(Told):
    def __init__(self) -> None:
        super().__init__()
        self.mean = bt.indicators.SMA(self.data, period=5)


class Accountant(Told):
    def notify_cashvalue(self, cash: float, value: float) -> None:
        self.value = value


class Curious(EquityCurve):
    def next(self) -> None:
        super().next()


class Timed(Told):
    def start(self) -> None:
        super().start()
        self.add_timer(when=bt.timer.SESSION_START)


class Busy(PerpetualBroker):
    def next(self) -> None:
        super().next()


def _silent_writer(cerebro: bt.Cerebro) -> None:
    cerebro.addwriter(bt.WriterFile, out=io.StringIO())


def _broker_option(**options: Any) -> Callable[[bt.Cerebro], None]:
    def change(cerebro: bt.Cerebro) -> None:
        for name, value in options.items():
            setattr(cerebro.broker.p, name, value)

    return change


def _busy_broker(cerebro: bt.Cerebro) -> None:
    cerebro.broker = Busy(cash=1_000.0)


SEES_EVERY_BAR: Final[dict[str, tuple[type[bt.Strategy], Callable[[bt.Cerebro], Any]]]] = {
    "an observer": (Told, lambda c: c.addobserver(bt.observers.Value)),
    "a writer": (Told, _silent_writer),
    "a timer": (Timed, lambda c: None),
    "an indicator": (Averaged, lambda c: None),
    "an indicator of the Cerebro": (Told, lambda c: c.addindicator(bt.indicators.SMA, period=5)),
    "its own next": (Restless, lambda c: None),
    "told of cash": (Accountant, lambda c: None),
    "an analyzer": (Told, lambda c: c.addanalyzer(bt.analyzers.DrawDown)),
    "an analyzer's own next": (Told, lambda c: c.addanalyzer(Curious)),
    "two strategies": (Told, lambda c: c.addstrategy(bt.Strategy)),
    "two feeds": (Told, lambda c: c.adddata(PanelFeed.from_panel(a_world().panel))),
    "a filter": (Told, lambda c: c.datas[0].addfilter(lambda data: False)),
    "a broker's own next": (Told, _busy_broker),
    "cheat on close": (Told, _broker_option(coc=True)),
    "a filler": (Told, _broker_option(filler=bt.broker.fillers.FixedSize(size=1))),
    "cheat on open": (Told, lambda c: setattr(c.p, "cheat_on_open", True)),
}


@pytest.mark.parametrize("name", ["nothing", *SEES_EVERY_BAR])
def test_what_sees_every_bar_is_run_as_backtrader_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever would miss a bar puts the stock loop in place; nothing does so where nothing would."""
    strategy, add = SEES_EVERY_BAR.get(name, (Told, lambda c: None))
    world = a_world()
    cerebro = prepared(LeanCerebro, world)
    cerebro.addstrategy(strategy, lot=world.instrument.lot, **asdict(world.parameters))
    add(cerebro)
    stock = []
    loop = bt.Cerebro._runonce

    def noted(self: bt.Cerebro, runstrats: list[bt.Strategy]) -> None:
        stock.append(self)
        loop(self, runstrats)

    monkeypatch.setattr(bt.Cerebro, "_runonce", noted)
    run = cerebro.run()[0]
    assert bool(stock) == (name != "nothing")
    assert len(run) == len(world.panel)


@pytest.mark.parametrize("options", [{"runonce": False}, {"preload": False}, {"exactbars": 1}])
def test_other_loops_are_left_alone(options: dict[str, Any]) -> None:
    """Asked to go bar by bar, a lean Cerebro does, with the same outcome."""
    world = a_world()
    equity = []
    for given_ in ({}, options):
        cerebro = prepared(LeanCerebro, world, **given_)
        breakout(world)(cerebro)
        (run,) = cerebro.run()
        equity.append(run.analyzers.equity.get_analysis())
    assert equity[0] == equity[1]
    assert len(set(equity[0]["equity"])) > 20


class Interest(PerpetualCommission):
    def get_credit_interest(self, data: Any, pos: bt.Position, dt: Any) -> float:
        return 0.25


@pytest.mark.parametrize(
    "commission", [Interest(), PerpetualCommission(interest=0.5, interest_long=True)]
)
def test_interest_is_taken_at_every_bar(commission: bt.CommInfoBase) -> None:
    """A commission that charges what is held is asked at each bar while something is held."""
    world = a_world()

    def add(cerebro: bt.Cerebro) -> None:
        breakout(world)(cerebro)
        cerebro.broker.addcommissioninfo(commission)

    done, stepped = both(world, add)
    plain, quicker = both(world, breakout(world))
    assert done["equity"] != plain["equity"]
    assert quicker < stepped < len(world.panel)


def test_a_run_can_be_stopped() -> None:
    """`runstop` ends a lean run after the bar in which it is called, as it ends a stock one."""

    class Stopping(Scripted):
        def notify_order(self, order: bt.Order) -> None:
            super().notify_order(order)
            if order.status == order.Completed:
                self.cerebro.runstop()

    world = a_world()
    done, _ = both(world, lambda c: c.addstrategy(Stopping, seed=1, often=0.3))
    assert 1 < done["lengths"][0] < len(world.panel)


def test_parameters_can_be_searched() -> None:
    """`optstrategy` runs lean, each set of parameters as if alone."""
    world = a_world()
    holds = (5, 50)
    common = asdict(world.parameters) | {"lot": world.instrument.lot}

    def curves(kind: type[bt.Cerebro]) -> list[list[float]]:
        cerebro = prepared(kind, world, maxcpus=1)
        cerebro.optstrategy(Told, **{**common, "max_hold": holds})
        return [run.analyzers.equity.get_analysis()["equity"] for (run,) in cerebro.run()]

    lean = curves(LeanCerebro)
    assert lean == curves(bt.Cerebro)
    assert lean[0] != lean[1]


def test_the_reference_run_is_lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run_backtest` never comes to the stock loop."""

    def refused(*_: Any) -> None:
        raise AssertionError("the stock loop")

    monkeypatch.setattr(bt.Cerebro, "_runonce", refused)
    world = a_world()
    result = run_backtest(
        world.panel,
        world.features,
        instrument=world.instrument,
        parameters=world.parameters,
        costs=world.costs,
        cash=world.cash,
    )
    assert result.trades.num_rows > 2
