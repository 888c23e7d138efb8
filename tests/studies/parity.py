"""Parity of the compiled replay with backtrader over random worlds: every trade, fee and bar of equity.

Each case is a market, a map, parameters, costs and a contract of its own, drawn from a seed; see
``tests/strategies/replay_cases.py``. A mismatch is printed with its seed: ``--seed S --cases 1`` runs it
alone. With ``--real FOLDER`` the worlds are bitcoin's real bars of five minutes and of an hour instead, as
many of the last as ``--bars`` says, traded in three ways each. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "strategies")]

import real_cases  # noqa: E402  # it stands beside the tests
import replay_cases  # noqa: E402  # it stands beside the tests


def worlds_of(options: argparse.Namespace) -> Iterator[tuple[str, replay_cases.World]]:
    """Yield each world with what it is called."""
    if options.real is None:
        for seed in range(options.seed, options.seed + options.cases):
            yield f"seed {seed}", replay_cases.random_world(seed)
        return
    for timeframe in ("5m", "1h"):
        worlds = real_cases.real_worlds(options.real, timeframe, bars=options.bars)
        for way, world in enumerate(worlds, start=1):
            yield f"{timeframe}, way {way}", world


def main() -> None:
    """Compare the two engines case by case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000, help="how many worlds (2000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first; the next adds 1")
    parser.add_argument("--real", type=Path, help="folder of real market data, as in its README")
    parser.add_argument("--bars", type=int, default=26_000, help="of each real file (26000)")
    options = parser.parse_args()
    cases, mismatches, seen = 0, 0, Counter[str]()
    for name, world in worlds_of(options):
        cases += 1
        found = replay_cases.compare(world)
        if found.differences:
            mismatches += 1
            sys.stdout.write(f"{name}: {'; '.join(found.differences)}\n")
        if found.reference is None:
            seen["refused"] += 1
        else:
            seen.update(found.reference.trades["exit_reason"].to_pylist())
            seen["bars"] += found.reference.equity.num_rows
            seen["without a trade"] += found.trades == 0
    refused, bars, idle = (seen.pop(name, 0) for name in ("refused", "bars", "without a trade"))
    told = {
        "cases": cases,
        "trades": seen.total(),
        "mismatches": mismatches,
        "bars": bars,
        "cases_refused": refused,
        "cases_without_a_trade": idle,
        "exits": dict(seen.most_common()),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.exit(1 if mismatches else 0)


if __name__ == "__main__":
    main()
