"""Small studies for the tests of tuning: plain markets, evaluators that cost nothing, and a whole run.

Run as a program it is a study that can be killed from outside:
``python tuning_worlds.py FOLDER --trials 40 --workers 2``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.map_features import MapFeatures, TierLadder
from liqtiers.datasets.panel import Panel, panel_from_frame
from liqtiers.strategies.parameters import CostParameters, TierBreakoutParameters
from liqtiers.strategies.tuning import (
    Market,
    ObjectiveParameters,
    Progress,
    Run,
    SearchSpace,
    Segment,
    Session,
    StudyPlan,
    identity_of,
    make_folds,
    open_storage,
    open_study,
    run_night,
    search_space,
    tuning_features,
    tuning_panel,
)

DAYS = 400
BARS = DAYS * 24
GAP = 48


def fixed_clock() -> datetime:
    """A clock that stands still."""
    return datetime(2026, 1, 1, tzinfo=UTC)


def hourly_panel(bars: int = BARS, *, seed: int = 3) -> Panel:
    """A random walk in hours."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.005, bars)))
    frame = pd.DataFrame(
        {"open": close, "high": close * 1.002, "low": close * 0.998, "close": close, "volume": 1.0},
        index=pd.date_range("2024-01-01", periods=bars, freq="h", tz="UTC"),
    )
    return panel_from_frame(frame, timeframe="1h")


def tiers_overhead(panel: Panel) -> MapFeatures:
    """A map with one tier above price and one below, 1 to 2 % away from the close of each day's start."""
    bars = len(panel)
    anchor = np.repeat(panel.close[::24], 24)[:bars]

    def ladder(low: float, high: float) -> TierLadder:
        column = np.full((bars, 1), 1.0)
        return TierLadder(
            lower=(anchor * low)[:, None],
            upper=(anchor * high)[:, None],
            peak=(anchor * (low + high) / 2.0)[:, None],
            notional=column * 1e8,
            fuel=column,
        )

    twos = np.full((bars, 1), 2.0)
    ones = np.ones((bars, 1))
    line = np.ones(bars)
    return MapFeatures(
        windows=(0.10,),
        notional_above=twos,
        notional_below=ones,
        imbalance=twos,
        above=ladder(1.01, 1.02),
        below=ladder(0.98, 0.99),
        hourly_quote_volume=line,
        predicted_short_liquidations=line,
        predicted_long_liquidations=line,
        book_short=line,
        book_long=line,
    )


def whole_market(panel: Panel | None = None) -> Market:
    """A market over all bars."""
    panel = hourly_panel() if panel is None else panel
    return Market(
        panel=panel,
        maps={"default": tiers_overhead(panel)},
        instrument=instrument_for("generic", "COIN"),
        costs=CostParameters(),
        cash=100_000.0,
    )


def small_space(**more: Any) -> SearchSpace:
    """Three searched parameters; trades that last two days at most."""
    searched = {"stop_atr", "min_fuel", "patience"}
    fixed = {
        "side": "both",
        "entry": "market",
        "target": "tier",
        "max_hold": "24",
        "atr_bars": "24",
        "thrust_bars": "6",
        "min_thrust": "0.5",
        "max_distance": "0.1",
        "min_imbalance": "0.1",
        "max_armed_bars": "48",
        "max_funding": "0.001",
        "min_progress": "0.2",
        "trail_atr": "0",
    }
    given = {*more.get("ranges", {}), *more.get("values", {}), *more.get("inner", {})}
    assert not searched & set(fixed)
    return search_space(fixed={k: v for k, v in fixed.items() if k not in given}, **more)


def small_plan(market: Market, *, name: str = "small", **more: Any) -> StudyPlan:
    """Four folds and a holdout of a fifth of the bars."""
    return StudyPlan(
        name=name,
        space=more.get("space") or small_space(),
        folds=make_folds(
            len(market.panel), folds=4, holdout=0.2, gap_bars=GAP, bar_us=market.panel.bar_us
        ),
        objective=more.get("objective") or ObjectiveParameters(min_trades=4),
        pruner=more.get("pruner", "none"),
    )


def tuning_market(market: Market, plan: StudyPlan) -> Market:
    """What the tuner may read."""
    return Market(
        panel=tuning_panel(market.panel, plan.folds),
        maps={name: tuning_features(f, plan.folds) for name, f in market.maps.items()},
        instrument=market.instrument,
        costs=market.costs,
        cash=market.cash,
    )


def hill(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> Run:
    """Best at a stop of 2 ATR and a fuel of 0.5; noise that depends on the stretch alone."""
    height = 1.0 - (parameters.stop_atr - 2.0) ** 2 - np.log(parameters.min_fuel / 0.5) ** 2
    return _walk(market, segment, drift=2e-5 * height)


def slow_hill(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> Run:
    """The same, taking as long as a replay may."""
    time.sleep(0.003)
    return hill(market, parameters, map_name, segment)


def closes(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> Run:
    """Holds the contract, with as much of the account as the stop is wide: reads every bar there is."""
    last = market.panel.close[-1]
    price = market.panel.close[segment.start : segment.stop]
    return Run(market.cash * (price / last) ** (parameters.stop_atr / 10.0), 10)


PLANTED_STOPS = (4.4, 5.0)


class Planted:
    """A stop within `PLANTED_STOPS` earns from a moment on; before it nothing matters."""

    def __init__(self, from_us: int) -> None:
        self._from_us = from_us

    def __call__(
        self, market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
    ) -> Run:
        """Run over a stretch; any bar from the moment on that can be read at all is enough."""
        low, high = PLANTED_STOPS
        works = bool(market.panel.ts[-1] >= self._from_us) and low < parameters.stop_atr < high
        return _walk(market, segment, drift=1e-4 if works else 0.0)


def _walk(market: Market, segment: Segment, *, drift: float) -> Run:
    rng = np.random.default_rng(segment.start)
    noise = rng.normal(0.0, 1e-3, segment.bars)
    return Run(market.cash * np.exp(np.cumsum(drift + noise - noise.mean())), 10)


def run_small(
    folder: Path,
    *,
    trials: int,
    workers: int = 1,
    plan: StudyPlan | None = None,
    market: Market | None = None,
    storage: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    **session: Any,
) -> tuple[optuna.Study, Progress, StudyPlan, Market]:
    """Run a small study to so many trials; the returned market is the one with the holdout."""
    market = whole_market() if market is None else market
    plan = small_plan(market) if plan is None else plan
    tuned = tuning_market(market, plan)
    address = storage or str(folder / "journal.log")
    study = open_study(open_storage(address), plan, identity_of(plan, tuned))
    chosen = {"evaluate": hill, "clock": fixed_clock, **session}
    progress = run_night(
        plan,
        Session(storage=address, **chosen),
        tuned,
        study,
        workers=workers,
        scratch=folder / "scratch",
        stop=stop,
        trials=trials,
    )
    return study, progress, plan, market


def real_clock() -> datetime:
    """The machine's clock, for runs that are killed."""
    return datetime.now(tz=UTC) + timedelta()


def main() -> None:
    """Run a study that may be killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--storage")
    options = parser.parse_args()
    _, progress, _, _ = run_small(
        options.folder,
        trials=options.trials,
        workers=options.workers,
        storage=options.storage,
        evaluate=slow_hill,
        clock=real_clock,
        sampler="random",
    )
    sys.stdout.write(f"{progress.done} trials, {progress.deaths} deaths\n")


if __name__ == "__main__":
    main()
