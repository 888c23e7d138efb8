"""One strategy in several engines over the same bars: backtrader, our lean run, our replay, and others.

Measured is the CPU time of the run alone, in interleaved rounds; the ratios are medians. backtrader runs
by its defaults: its pandas feed, its observers, its loop, with the plugin's strategy, broker and
commission. vectorbt and backtesting.py know no liquidation map; they get the nearest strategy that they
can run: our entries, each with its stop and target, our exits by patience and time, and the taker's fee;
no slippage, funding or own liquidation. They are installed into an environment of their own under
build/, which is made at the first run; ``--others none`` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

import backtrader as bt
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from builders import random_panel
from liqtiers.datasets.instruments import Instrument, instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.map_features import MapFeatures
from liqtiers.datasets.panel import Panel
from liqtiers.strategies import (
    EXIT_REASONS,
    CostParameters,
    PerpetualBroker,
    PerpetualCommission,
    ReplayArrays,
    SquareRootSlippage,
    TierBreakout,
    TierBreakoutParameters,
    bars_of,
    replay,
    replay_arrays,
    replay_setup,
    run_backtest,
    signals_of,
)
from liqtiers.strategies.feed import EXTRA_LINES

PROJECT: Final = Path(__file__).resolve().parents[2]
ENVIRONMENT: Final = PROJECT / "build" / "bench-engines"
OTHERS: Final = {"vectorbt": "vectorbt>=1.0", "backtesting": "backtesting>=0.6"}
PARAMETERS: Final = TierBreakoutParameters()
COSTS: Final = CostParameters()
CASH: Final = 100_000.0
REPEATS: Final = 20
"""How often the replay runs in a round; once would be over before the clock has moved."""

Measure = Callable[[], tuple[float, int]]
"""Runs an engine and returns CPU seconds and the number of trades."""


class StockFeed(bt.feeds.PandasData):  # type: ignore[misc]  # backtrader has no stubs
    """backtrader's own pandas feed with the lines that the broker reads."""

    lines = EXTRA_LINES
    params = (
        *((name, name) for name in EXTRA_LINES),
        ("openinterest", "oi_base"),
        ("panel", None),
        ("features", None),
    )

    def __init__(self) -> None:
        super().__init__()
        self.panel, self.features = self.p.panel, self.p.features


class OnStockFeed(TierBreakout):
    """The strategy with the times of the pandas feed, which rounds them in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self._days = self.data.datetime.array.tolist()

    def stop(self) -> None:
        self.broker.settle(self.data)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a call and what it returned."""
    began = time.process_time()
    result = run()
    return time.process_time() - began, result


class Ours:
    """The engines that run the strategy itself."""

    def __init__(self, bars: int) -> None:
        self.panel: Panel = random_panel(bars, seed=1, timeframe="1m")
        self.instrument: Instrument = instrument_for("generic", "COIN")
        self.features: MapFeatures = build_map(self.panel, self.instrument).features
        self.setup = replay_setup(PARAMETERS, COSTS, instrument=self.instrument, cash=CASH)
        self.signals = signals_of(self.panel, self.features, PARAMETERS)
        self.bars = bars_of(self.panel)

    def default(self) -> tuple[float, int]:
        """backtrader as it comes."""
        frame = self.panel.to_frame().tz_localize(None)
        cerebro = bt.Cerebro()
        slippage = SquareRootSlippage(
            spread_bps=COSTS.spread_bps,
            coefficient=COSTS.impact_coefficient,
            max_bps=COSTS.max_slippage_bps,
        )
        cerebro.broker = PerpetualBroker(slippage, self.instrument.brackets, cash=CASH)
        cerebro.broker.addcommissioninfo(
            PerpetualCommission(
                taker=COSTS.taker_fee,
                maker=COSTS.maker_fee,
                position_leverage=PARAMETERS.max_leverage,
            )
        )
        cerebro.adddata(StockFeed(dataname=frame, panel=self.panel, features=self.features))
        cerebro.addstrategy(OnStockFeed, lot=self.instrument.lot, **asdict(PARAMETERS))
        seconds, (run,) = timed(cerebro.run)
        fills = run.broker.ledger(run.data).fills
        return seconds, sum(fill.reason == "entry" for fill in fills)

    def lean(self) -> tuple[float, int]:
        """The reference run, with its tables."""
        seconds, result = timed(lambda: run_backtest(self.panel, self.features, **self.given()))
        return seconds, result.trades.num_rows

    def whole_replay(self) -> tuple[float, int]:
        """The replay as a user calls it, indicators and tables included."""
        seconds, result = timed(lambda: replay(self.panel, self.features, **self.given()))
        return seconds, result.trades.num_rows

    def replay(self) -> tuple[float, int]:
        """The replay as tuning calls it."""
        seconds, done = timed(lambda: [self.arrays() for _ in range(REPEATS)][-1])
        return seconds / REPEATS, done.trades

    def arrays(self) -> ReplayArrays:
        """Return what the replay did."""
        return replay_arrays(self.signals, self.bars, self.setup)

    def given(self) -> dict[str, Any]:
        """Return what every run of ours is given."""
        return {
            "instrument": self.instrument,
            "parameters": PARAMETERS,
            "costs": COSTS,
            "cash": CASH,
        }

    def orders(self) -> dict[str, Any]:
        """Return bars, entries and exits by bar, for engines that cannot decide them."""
        done = self.arrays()
        columns = {n: getattr(self.panel, n) for n in ("open", "high", "low", "close")}
        size, stop, target = (np.full(len(self.panel), np.nan) for _ in range(3))
        size[done.entry_bar] = done.size
        stop[done.entry_bar] = done.stop_price
        target[done.entry_bar] = done.target_price
        decided = [EXIT_REASONS[code] in ("absorbed", "time") for code in done.exit_reason.tolist()]
        left = np.zeros(len(self.panel), dtype=bool)
        left[done.exit_bar[np.array(decided, dtype=bool)]] = True
        more = {"size": size, "stop": stop, "target": target, "left": left}
        return {**columns, **more, "ts": self.panel.ts, "fee": COSTS.taker_fee}


class Others:
    """A process in another environment that runs the other engines when it is told to."""

    def __init__(self, python: Path, orders: dict[str, Any]) -> None:
        with tempfile.NamedTemporaryFile(suffix=".npz", delete=False) as file:
            np.savez(file, **orders)
        self.file = Path(file.name)
        self.process = subprocess.Popen(
            [python, str(Path(__file__).parent / "other_engines.py"), str(self.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
        self.file.unlink()

    def measure(self, name: str) -> tuple[float, int]:
        """Run one engine there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name} failed; its message is above")
        told = json.loads(answer)
        return told["seconds"], told["trades"]


def environment() -> Path | None:
    """Return the interpreter of an environment with the other engines, made if need be and possible."""
    python = ENVIRONMENT / "bin" / "python"
    complete = ENVIRONMENT / "complete"
    if not complete.exists():
        print(f"installing {', '.join(OTHERS)} into {ENVIRONMENT.relative_to(PROJECT)}", flush=True)
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        made = subprocess.run([*install, *OTHERS.values()], check=False, capture_output=True)
        if made.returncode:
            print(f"pip could not install them, they are left out:\n{made.stderr.decode()[-500:]}")
            return None
        complete.touch()
    return python


def interleaved(engines: dict[str, Measure], rounds: int) -> dict[str, tuple[list[float], int]]:
    """Return CPU seconds of each round and the number of trades, by engine."""
    found: dict[str, tuple[list[float], int]] = {name: ([], 0) for name in engines}
    for _ in range(rounds):
        for name, measure in engines.items():
            seconds, trades = measure()
            found[name] = ([*found[name][0], seconds], trades)
    return found


def show(found: dict[str, tuple[list[float], int]], bars: int) -> dict[str, Any]:
    """Print a line an engine and return what the last line says."""
    told: dict[str, Any] = {}
    default = found["default"][0]
    print(f"{'engine':14}{'CPU s':>10}{'bars/s':>14}{'x default':>11}{'trades':>8}")
    for name, (seconds, trades) in found.items():
        ratio = statistics.median(d / s for d, s in zip(default, seconds, strict=True))
        middle = statistics.median(seconds)
        print(f"{name:14}{middle:10.4g}{bars / middle:14,.0f}{ratio:11,.1f}{trades:8}")
        told[name] = {"seconds": round(middle, 5), "ratio": round(ratio, 1), "trades": trades}
    return told


def main() -> None:
    """Print what was measured, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=525_600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--others", nargs="*", choices=[*OTHERS, "none"], default=[*OTHERS])
    options = parser.parse_args()
    names = [name for name in options.others if name != "none"]
    python = environment() if names else None
    ours = Ours(options.bars)
    engines: dict[str, Measure] = {
        "default": ours.default,
        "lean": ours.lean,
        "replay": ours.replay,
        "whole replay": ours.whole_replay,
    }
    # Compiled and warm before anything is measured.
    for engine in (ours.lean, ours.replay, ours.whole_replay):
        engine()
    if python is not None:
        with Others(python, ours.orders()) as others:
            engines |= {name: lambda name=name: others.measure(name) for name in names}  # type: ignore[misc]
            for name in names:
                others.measure(name)
            found = interleaved(engines, options.rounds)
    else:
        found = interleaved(engines, options.rounds)
    told = show(found, options.bars)
    if "vectorbt" in found:
        pairs = zip(found["vectorbt"][0], found["replay"][0], strict=True)
        told["replay_over_vectorbt"] = round(statistics.median(v / r for v, r in pairs), 1)
        print(f"the replay is {told['replay_over_vectorbt']} times vectorbt")
    print(json.dumps({"bars": options.bars, **told}))


if __name__ == "__main__":
    main()
