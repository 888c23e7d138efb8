"""The compiled map kernel against a plain Python loop with whole-array numpy and against a compiled one
that decays every bin at every bar; its time a bar from 10^5 to 3 x 10^6 bars; its peak of memory over
six years of minutes (in a process of its own).

All three do the same work, sweep to tiers (``map_rivals``), and must agree before their times count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from liqtiers.datasets._map_kernel import KernelOutput, MarketArrays, accumulate, empty_output
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import (
    MapParameters,
    kernel_settings,
    leverage_offsets,
    market_arrays,
)
from liqtiers.datasets.panel import Panel

sys.path.insert(0, str(Path(__file__).parents[1]))
from map_rivals import Rival, decaying, fresh, plain

from builders import random_panel

_TIERS_KEPT: Final = 4


def minutes(bars: int) -> Panel:
    """Return a random market that moves in a minute as bitcoin does, 0.06 %."""
    panel = random_panel(bars, seed=1, timeframe="1m")
    first, oi = panel.open[0], panel.oi_base[0]
    prices = ("open", "high", "low", "close")
    moved = {name: first * (getattr(panel, name) / first) ** 0.2 for name in prices}
    # In years of minutes a walk in contracts, not in percent, would end below none.
    return replace(panel, **moved, oi_base=oi * np.exp(0.2 * (panel.oi_base / oi - 1.0)))


class Kernel:
    """The kernel over the first bars of one random market by the minute."""

    def __init__(self, bars: int) -> None:
        parameters = MapParameters()
        instrument = instrument_for("generic", "COIN")
        panel = minutes(bars)
        self.market = market_arrays(panel, parameters.bin_width)
        self.settings = kernel_settings(panel, parameters, leverage_offsets(parameters, instrument))
        self.run(50)
        self.race(decaying, 50)

    def make(self, bars: int) -> KernelOutput:
        """Return the map of the first bars, measured."""
        nothing = np.zeros(0, dtype=np.int64)
        output = empty_output(bars, self.settings, tiers_kept=_TIERS_KEPT)
        accumulate(self._first(bars), self.settings, nothing, nothing, output)
        return output

    def run(self, bars: int) -> float:
        """Return the processor time a bar, seconds."""
        began = time.process_time()
        self.make(bars)
        return (time.process_time() - began) / bars

    def race(self, rival: Callable[..., None], bars: int) -> float:
        """Return the processor time a bar of another way to make the same map, seconds."""
        made = fresh(bars, _TIERS_KEPT, self.settings)
        market = self._first(bars)
        began = time.process_time()
        rival(market, self.settings, made)
        seconds = (time.process_time() - began) / bars
        self._check(made)
        return seconds

    def _first(self, bars: int) -> MarketArrays:
        return MarketArrays(*(column[:bars] for column in self.market))

    def _check(self, made: Rival) -> None:
        """Fail if a rival has made another map."""
        ours = self.make(made.sums.shape[1])
        np.testing.assert_allclose(made.sums, ours.sums, rtol=1e-9)
        np.testing.assert_allclose(made.tiers, ours.tiers, rtol=1e-6)


def peak_bytes(bars: int) -> int:
    """Return the peak of memory of a process that builds a whole map over that many minutes."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3];"
        "from bench_map import minutes;"
        "from liqtiers.datasets.instruments import instrument_for;"
        "from liqtiers.datasets.liquidation_map import build_map;"
        "build_map(minutes(int(sys.argv[3])), instrument_for('generic', 'COIN'));"
        "from process_memory import peak_mb;"
        "print(round(peak_mb() * 1024 * 1024))"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(here), str(here.parent), str(bars)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


def main() -> None:
    """Print the ratios, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=300_000, help="bars of the compiled run")
    parser.add_argument("--plain-bars", type=int, default=1_500)
    parser.add_argument("--decaying-bars", type=int, default=20_000)
    parser.add_argument("--long-bars", type=int, default=3_000_000, help="for the time a bar")
    parser.add_argument("--memory-bars", type=int, default=3_155_760, help="six years of minutes")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    kernel = Kernel(options.bars)
    plain_ratios, decaying_ratios, speeds = [], [], []
    for _ in range(options.rounds):
        slow = kernel.race(plain, options.plain_bars)
        every_bin = kernel.race(decaying, options.decaying_bars)
        quick = kernel.run(options.bars)
        plain_ratios.append(slow / quick)
        decaying_ratios.append(every_bin / quick)
        speeds.append(1.0 / quick)
    longer = Kernel(options.long_bars)
    flat = [longer.run(options.long_bars) / longer.run(100_000) for _ in range(options.rounds)]
    del longer
    found = {
        "bars": options.bars,
        "ratio": round(statistics.median(plain_ratios), 1),
        "ratio_decaying": round(statistics.median(decaying_ratios), 1),
        "bars_per_second": round(statistics.median(speeds)),
        "time_a_bar_long_over_short": round(statistics.median(flat), 2),
        "peak_gb": round(peak_bytes(options.memory_bars) / 1e9, 2),
    }
    print(
        f"the kernel is {found['ratio']} times a plain loop, {found['ratio_decaying']} times one that "
        f"decays every bin, {found['bars_per_second']:,} bars/s; "
        f"{options.long_bars:,} bars cost {found['time_a_bar_long_over_short']} times as much a bar as "
        f"100,000; {options.memory_bars:,} bars take {found['peak_gb']} GB"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
