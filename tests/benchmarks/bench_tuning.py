"""Tuning: trials a second with one and two workers, what is not evaluation, and what grows with trials.

On one year of 1-minute bars, the full search space and six folds. Further: the cost of suggesting and
storing a trial in a study of 5,000 against one of 100, and a journal file against SQLite under two workers
whose evaluation costs next to nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "strategies"))
import tuning_worlds as worlds

from builders import random_panel
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.strategies.parameters import CostParameters
from liqtiers.strategies.tuning import (
    Market,
    ObjectiveParameters,
    Progress,
    Session,
    StudyPlan,
    evaluate,
    identity_of,
    make_folds,
    open_storage,
    open_study,
    run_night,
    search_space,
)
from liqtiers.strategies.tuning.storage import quiet


def year_of_minutes(bars: int) -> tuple[StudyPlan, Market]:
    """Return a plan over the full space and the bars that it is tuned on."""
    panel = random_panel(bars, seed=1, timeframe="1m")
    instrument = instrument_for("generic", "COIN")
    space = search_space()
    folds = make_folds(
        bars, folds=6, holdout=0.2, gap_bars=space.longest_trade_bars(), bar_us=panel.bar_us
    )
    market = Market(
        panel=panel,
        maps={"default": build_map(panel, instrument).features},
        instrument=instrument,
        costs=CostParameters(),
        cash=100_000.0,
    )
    plan = StudyPlan(
        name="bench", space=space, folds=folds, objective=ObjectiveParameters(), pruner="none"
    )
    return plan, worlds.tuning_market(market, plan)


def trials_a_second(
    plan: StudyPlan, market: Market, *, workers: int, seconds: float, sampler: str
) -> tuple[float, Progress]:
    """Return trials a second once all workers are at work, and what was spent on what."""
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "journal.log")
        study = open_study(open_storage(address), plan, identity_of(plan, market))
        moments: list[tuple[float, int]] = []

        def watched(progress: Progress) -> None:
            # Workers take seconds to start; they are all there after some trials each.
            if progress.this_session >= 5 * workers:
                moments.append((time.monotonic(), progress.this_session))

        def over() -> bool:
            return bool(moments) and time.monotonic() - moments[0][0] > seconds

        progress = run_night(
            plan,
            Session(storage=address, sampler=sampler, evaluate=evaluate, clock=worlds.fixed_clock),
            market,
            study,
            workers=workers,
            scratch=Path(folder) / "scratch",
            stop=over,
            show=watched,
        )
        (began, first), (ended, last) = moments[0], moments[-1]
        return (last - first) / (ended - began), progress


def overhead(sizes: tuple[int, int], *, more: int, sampler: str, rounds: int) -> list[float]:
    """Return the CPU milliseconds of suggesting and storing a trial in studies of two sizes."""
    market = worlds.whole_market()
    plan = worlds.small_plan(market, space=search_space(fixed={"max_hold": "24"}))
    given = {"market": market, "plan": plan, "evaluate": worlds.hill, "seed": 1}
    spent: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as root:
        for size in sizes:
            prefill(Path(root) / str(size), size, plan.name, given)
        for done in range(rounds):
            for size, kept in zip(sizes, spent, strict=True):
                marks: list[float] = []

                def marked(marks: list[float] = marks) -> bool:
                    marks.append(time.process_time())
                    return False

                _, progress, _, _ = worlds.run_small(
                    Path(root) / str(size),
                    trials=size + more * (done + 1),
                    sampler=sampler,
                    stop=marked,
                    **given,
                )
                evaluated = progress.seconds["evaluate"] / more
                # The first one of a session reads all trials.
                kept.append(1e3 * ((marks[-1] - marks[1]) / (len(marks) - 2) - evaluated))
    return [statistics.median(kept) for kept in spent]


def prefill(folder: Path, size: int, name: str, given: dict[str, Any]) -> None:
    """Write a study of so many trials."""
    worlds.run_small(folder, trials=50, sampler="random", **given)
    with quiet():
        study = optuna.load_study(
            study_name=name, storage=open_storage(str(folder / "journal.log"))
        )
    some = study.get_trials(deepcopy=False)
    for place in range(50, size):
        study.add_trial(some[place % len(some)])


def stored_a_second(address: str, folder: Path, *, trials: int) -> float:
    """Return trials a second of two workers that do little but store."""
    market = worlds.whole_market()
    plan = worlds.small_plan(market)
    tuned = worlds.tuning_market(market, plan)
    study = open_study(open_storage(address), plan, identity_of(plan, tuned))
    moments: list[tuple[float, int]] = []
    run_night(
        plan,
        Session(storage=address, sampler="random", evaluate=worlds.hill, clock=worlds.fixed_clock),
        tuned,
        study,
        workers=2,
        scratch=folder / "scratch",
        stop=lambda: False,
        trials=trials,
        show=lambda p: moments.append((time.monotonic(), p.this_session)),
    )
    both = [m for m in moments if m[1] >= trials // 10]
    return (both[-1][1] - both[0][1]) / (both[-1][0] - both[0][0])


def main() -> None:
    """Print what was measured, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=525_600)
    parser.add_argument("--seconds", type=float, default=10.0, help="a run with so many workers")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=5000, help="of the large study")
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--parts", nargs="+", default=["workers", "flat", "storage"])
    options = parser.parse_args()
    found: dict[str, float] = {}
    if "workers" in options.parts:
        plan, market = year_of_minutes(options.bars)
        rates: dict[int, list[float]] = {1: [], 2: []}
        shares = []
        for _ in range(options.rounds):
            for workers, kept in rates.items():
                rate, progress = trials_a_second(
                    plan, market, workers=workers, seconds=options.seconds, sampler=options.sampler
                )
                kept.append(rate)
                if workers == 1:
                    spent = progress.seconds
                    shares.append(1.0 - spent["evaluate"] / sum(spent.values()))
        ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
        found |= {
            "trials_a_second": round(statistics.median(rates[1]), 1),
            "two_workers": round(statistics.median(ratios), 2),
            "not_evaluation": round(statistics.median(shares), 3),
        }
        print(
            f"{found['trials_a_second']} trials/s with one worker, {found['two_workers']} times that "
            f"with two; {found['not_evaluation']:.0%} of a trial is not evaluation"
        )
    if "flat" in options.parts:
        small, large = overhead(
            (100, options.trials), more=200, sampler=options.sampler, rounds=options.rounds
        )
        found |= {"overhead_ms": round(small, 2), "overhead_growth": round(large / small, 2)}
        print(
            f"suggesting and storing takes {found['overhead_ms']} ms at 100 trials and "
            f"{found['overhead_growth']} times that at {options.trials:,}"
        )
    if "storage" in options.parts:
        rates_by: dict[str, list[float]] = {"journal": [], "sqlite": []}
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder)
                for name, address in (
                    ("journal", str(path / "journal.log")),
                    ("sqlite", f"sqlite:///{path / 'study.db'}"),
                ):
                    rates_by[name].append(stored_a_second(address, path, trials=300))
        journal, sqlite = (statistics.median(rates_by[name]) for name in ("journal", "sqlite"))
        found["journal_over_sqlite"] = round(journal / sqlite, 1)
        print(
            f"two workers store {journal:.0f} trials/s in a journal, "
            f"{found['journal_over_sqlite']} times what SQLite takes"
        )
    print(json.dumps({"bars": options.bars, "sampler": options.sampler, **found}))


if __name__ == "__main__":
    main()
