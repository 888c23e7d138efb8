"""Parity of the compiled replay with backtrader over random worlds: every trade, fee and bar of equity.

Each case is a market, a map, parameters, costs and a contract of its own, drawn from a seed; see
``tests/strategies/replay_cases.py``. A mismatch is printed with its seed: ``--seed S --cases 1`` runs it
alone. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "strategies")]

import replay_cases  # noqa: E402  # it stands beside the tests


def main() -> None:
    """Compare the two engines case by case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2_000, help="how many worlds (2000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first; the next adds 1")
    options = parser.parse_args()
    mismatches, seen = 0, Counter[str]()
    for seed in range(options.seed, options.seed + options.cases):
        found = replay_cases.compare(replay_cases.random_world(seed))
        if found.differences:
            mismatches += 1
            sys.stdout.write(f"seed {seed}: {'; '.join(found.differences)}\n")
        if found.reference is None:
            seen["refused"] += 1
        else:
            seen.update(found.reference.trades["exit_reason"].to_pylist())
            seen["bars"] += found.reference.equity.num_rows
            seen["without a trade"] += found.trades == 0
    refused, bars, idle = (seen.pop(name, 0) for name in ("refused", "bars", "without a trade"))
    told = {
        "cases": options.cases,
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
