"""How close the map comes to true positions, in simulated markets whose every position is known.

In each world: the rank correlation of the map with the true levels, by price bin within 10 % of the price
and by side, averaged over moments, sides and seeds. The map starts from a wrong leverage mix and from a
churn that is ten times the truth, and is fitted to what the venue printed before. The last line is one
JSON object, by world:

- ``fitted``: the map as users get it, from the wrong start, in bins of 0.5 %; ``lowest``: at its worst
  moment and side; ``fitted_fine``: in the map's own bins of 0.1 %, of which each holds so few true
  positions that chance decides its rank among its likes.
- ``unfitted``: the wrong mix kept throughout; ``told`` and ``told_fine``: the true mix and churn given
  from the start, as far as a mix that does not change can be true.
- ``both_venues``: as ``fitted``, against the positions of the venue that is not shown too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from liqtiers.datasets.calibration import CalibrationParameters
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import MapParameters, build_map
from liqtiers.datasets.sources.simulator import SimulatorParameters, simulate, worlds
from simulated_truth import agreement, panel_of, wrong_start

BIN = 0.001
TOGETHER = 5


def told(parameters: SimulatorParameters, bin_width: float) -> MapParameters:
    """Return the map's parameters with the world's own mix and churn."""
    mix = tuple(parameters.isolated_share * share for share in parameters.mix)
    return MapParameters(
        leverages=parameters.leverages,
        mix=mix,
        churn=parameters.opening_share,
        losers_hazard=parameters.losers_hazard,
        bin_width=bin_width,
    )


def moments(bars: int, count: int) -> Iterator[int]:
    """Yield bars spread over the last fifth of a market, the last one among them.

    A position lives 15 days on average: before that, many stand that were opened before the first bar.
    """
    yield from np.linspace(bars * 4 // 5, bars - 1, count).astype(int).tolist()


def measured(parameters: SimulatorParameters, *, count: int) -> dict[str, list[float]]:
    """Return the agreement at each moment and side of one market, by what the map was told."""
    market = simulate(parameters)
    panel = panel_of(market)
    instrument = instrument_for("simulated", "COIN")
    starts = {
        "fitted": (wrong_start(BIN), CalibrationParameters()),
        "unfitted": (wrong_start(BIN), None),
        "told": (told(parameters, BIN), None),
    }
    found: dict[str, list[float]] = {}
    for bar in moments(len(market), count):
        for name, (start, calibration) in starts.items():
            built = build_map(
                panel.slice(0, bar + 1),
                instrument,
                parameters=start,
                calibration=calibration,
                snapshots=1,
            )
            kinds = {name: (TOGETHER, 0), f"{name}_fine": (1, 0)}
            if name == "fitted":
                kinds["both_venues"] = (TOGETHER, None)
            for kind, (together, venue) in kinds.items():
                pair = agreement(built, market, bar, bins_together=together, venue=venue)
                found.setdefault(kind, []).extend(pair)
    return found


def main() -> None:
    """Print each world's figures, the last line as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first market")
    parser.add_argument("--seeds", type=int, default=1, help="markets a world")
    parser.add_argument("--days", type=int, default=75, help="length of a market")
    parser.add_argument("--moments", type=int, default=2, help="at which a map is judged")
    parser.add_argument("--openings", type=int, default=32, help="positions a bar and side")
    parser.add_argument("--bar", default="5m")
    parser.add_argument("--worlds", nargs="*", choices=list(worlds()), help="all by default")
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    for name in options.worlds or worlds():
        found: dict[str, list[float]] = {}
        for seed in range(options.seed, options.seed + options.seeds):
            base = SimulatorParameters(
                seed=seed, days=options.days, openings_a_bar=options.openings, bar=options.bar
            )
            one = measured(worlds(base)[name], count=options.moments)
            for key, values in one.items():
                found.setdefault(key, []).extend(values)
        results[name] = {key: round(float(np.mean(values)), 3) for key, values in found.items()}
        results[name]["lowest"] = round(min(found["fitted"]), 3)
        print(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in results[name].items()), flush=True)
    print(json.dumps({"seed": options.seed, "seeds": options.seeds, "worlds": results}))


if __name__ == "__main__":
    main()
