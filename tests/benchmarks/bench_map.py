"""The compiled map kernel against a plain Python loop with whole-array numpy and against a compiled one
that decays every bin at every bar; its time a bar from 10^5 to 3 x 10^6 bars; its peak of memory over
six years of minutes (in a process of its own).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np

from liqtiers.datasets._map_kernel import KernelSettings, MarketArrays, accumulate, empty_output
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import (
    MapParameters,
    kernel_settings,
    leverage_offsets,
    market_arrays,
)
from liqtiers.datasets.panel import Panel

sys.path.insert(0, str(Path(__file__).parents[1]))
from builders import random_panel


def plain(market: MarketArrays, settings: KernelSettings, bars: int) -> np.ndarray:
    """Return the window sums of the first bars: sweep, close, open and measure over whole arrays."""
    prices, width, first = settings.grid.prices, settings.grid.width, settings.grid.first_bin
    held = np.zeros((2, settings.mix.shape[2], len(prices)))
    pool, level = np.zeros(2), np.nan
    measuring = settings.measuring
    out = np.zeros((2, bars, len(measuring.window_bins[0])))
    middle = np.arange(len(prices)) + first + 0.5
    for t in range(bars):
        close = market.close[t] * width
        gone = [
            middle * width <= market.sweep_high[t] * width,
            middle * width >= market.sweep_low[t] * width,
        ]
        change = 0.0 if np.isnan(level) else market.oi[t] - level
        churned = settings.churn[0] * market.volume[t]
        for side in range(2):
            swept = held[side][:, gone[side]].sum()
            held[side][:, gone[side]] = 0.0
            total = held[side].sum() + pool[side]
            leaving = min(max(max(-change, 0.0) + churned - swept, 0.0), total)
            kept = 1.0 - leaving / total if total > 0 else 1.0
            held[side] *= kept
            pool[side] *= kept
            before = market.oi[t] if np.isnan(level) else level
            entering = before + min(change, 0.0) - held[side].sum() - pool[side]
            entering += max(change, 0.0)
            low, high = market.low[t] * width, market.high[t] * width
            for point in range(settings.entry_points):
                entry = low + (high - low) * (point + 0.5) / settings.entry_points
                bins = (
                    np.floor((entry + settings.offsets[side] * width) / width).astype(int) - first
                )
                passed = gone[side][bins] & ((bins + first + 0.5) * width != close)
                fallback = (
                    np.floor((close + settings.offsets[side] * width) / width).astype(int) - first
                )
                amounts = entering / settings.entry_points * settings.mix[0, side]
                np.add.at(
                    held[side],
                    (np.arange(len(bins)), np.where(passed, fallback, bins)),
                    amounts,
                )
            pool[side] += entering * (1.0 - settings.mix[0, side].sum())
        level = market.oi[t]
        here = int(np.floor(close / width)) - first
        for side, step in ((0, 1), (1, -1)):
            value = held[side].sum(axis=0) * prices
            walk = value[here + 1 :] if step > 0 else value[:here][::-1]
            summed = np.cumsum(walk)
            out[side, t] = summed[np.minimum(measuring.window_bins[side], len(walk)) - 1]
            reach = walk[: measuring.reach_bins[side]]
            mean = summed[min(measuring.mean_bins[side], len(walk)) - 1] / measuring.mean_bins[side]
            np.flatnonzero(np.diff((reach >= settings.measuring.density_multiple * mean) * 1))
    return out


@numba.njit(cache=False, error_model="numpy")
def decaying(market: MarketArrays, settings: KernelSettings, bars: int, sums: np.ndarray) -> None:
    """Sweep, close, open and sum the windows, multiplying every bin at every bar."""
    first = settings.grid.first_bin
    prices = settings.grid.prices
    value = np.zeros((2, len(prices)))
    pool = np.zeros(2)
    level = np.nan
    points = settings.entry_points
    for t in range(bars):
        change = 0.0 if np.isnan(level) else market.oi[t] - level
        churned = settings.churn[0] * market.volume[t]
        close_bin = int(np.floor(market.close[t])) - first
        for side in range(2):
            swept = 0.0
            total = pool[side]
            low_end = int(np.ceil(market.sweep_low[t] - 0.5)) - first
            high_end = int(np.floor(market.sweep_high[t] - 0.5)) - first
            for b in range(len(prices)):
                if (side == 0 and b <= high_end) or (side == 1 and b >= low_end):
                    swept += value[side, b] / prices[b]
                    value[side, b] = 0.0
                else:
                    total += value[side, b] / prices[b]
            leaving = min(max(max(-change, 0.0) + churned - swept, 0.0), total)
            kept = 1.0 - leaving / total if total > 0.0 else 1.0
            for b in range(len(prices)):
                value[side, b] *= kept
            pool[side] *= kept
            before = market.oi[t] if np.isnan(level) else level
            entering = before + min(change, 0.0) - total * kept + max(change, 0.0)
            span = market.high[t] - market.low[t]
            for point in range(points):
                entry = market.low[t] + span * (point + 0.5) / points
                for c in range(settings.mix.shape[2]):
                    b = int(np.floor(entry + settings.offsets[side, c])) - first
                    if (side == 0 and b <= close_bin) or (side == 1 and b >= close_bin):
                        b = int(np.floor(market.close[t] + settings.offsets[side, c])) - first
                    value[side, b] += entering / points * settings.mix[0, side, c] * prices[b]
            pool[side] += entering * (1.0 - settings.mix[0, side].sum())
            for w in range(sums.shape[2]):
                reach = settings.measuring.window_bins[side][w]
                for b in range(1, reach + 1):
                    place = close_bin + b if side == 0 else close_bin - b
                    sums[side, t, w] += value[side, place]
        level = market.oi[t]


def minutes(bars: int) -> Panel:
    """Return a random market that moves in a minute as bitcoin does, 0.06 %."""
    panel = random_panel(bars, seed=1, timeframe="1m")
    first = panel.open[0]
    prices = ("open", "high", "low", "close")
    return replace(
        panel, **{name: first * (getattr(panel, name) / first) ** 0.2 for name in prices}
    )


class Kernel:
    """The kernel over the first bars of one random market by the minute."""

    def __init__(self, bars: int) -> None:
        parameters = MapParameters()
        instrument = instrument_for("generic", "COIN")
        panel = minutes(bars)
        self.market = market_arrays(panel, parameters.bin_width)
        self.settings = kernel_settings(panel, parameters, leverage_offsets(parameters, instrument))
        self.run(50)

    def run(self, bars: int) -> float:
        """Return the processor time a bar, seconds."""
        nothing = np.zeros(0, dtype=np.int64)
        began = time.process_time()
        output = empty_output(bars, self.settings, tiers_kept=4)
        market = MarketArrays(*(column[:bars] for column in self.market))
        accumulate(market, self.settings, nothing, nothing, output)
        return (time.process_time() - began) / bars


def peak_bytes(bars: int) -> int:
    """Return the peak of memory of a process that builds a whole map over that many minutes."""
    code = (
        "import resource, sys; sys.path[:0] = sys.argv[1:3];"
        "from bench_map import minutes;"
        "from liqtiers.datasets.instruments import instrument_for;"
        "from liqtiers.datasets.liquidation_map import build_map;"
        "build_map(minutes(int(sys.argv[3])), instrument_for('generic', 'COIN'));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(here), str(here.parent), str(bars)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout) * 1024


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
    market, settings = kernel.market, kernel.settings
    sums = np.zeros((2, options.decaying_bars, len(settings.measuring.window_bins[0])))
    decaying(market, settings, 50, sums)
    plain_ratios, decaying_ratios, speeds = [], [], []
    for _ in range(options.rounds):
        began = time.process_time()
        plain(market, settings, options.plain_bars)
        slow = (time.process_time() - began) / options.plain_bars
        began = time.process_time()
        decaying(market, settings, options.decaying_bars, sums)
        every_bin = (time.process_time() - began) / options.decaying_bars
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
