"""The compiled map kernel against a plain Python loop with whole-array numpy, the same work each bar."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from liqtiers.datasets._map_kernel import KernelSettings, MarketArrays, accumulate, empty_output
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import (
    MapParameters,
    kernel_settings,
    leverage_offsets,
    market_arrays,
)

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


def main() -> None:
    """Print the ratio, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=300_000, help="bars of the compiled run")
    parser.add_argument("--plain-bars", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    instrument, parameters = instrument_for("generic", "COIN"), MapParameters()
    offsets = leverage_offsets(parameters, instrument)
    panel = random_panel(options.bars, seed=1, timeframe="1m")
    market = market_arrays(panel, parameters.bin_width)
    settings = kernel_settings(panel, parameters, offsets)
    nothing = np.zeros(0, dtype=np.int64)

    def compiled_run(bars: int) -> None:
        output = empty_output(bars, settings, tiers_kept=4, pictures=0)
        accumulate(MarketArrays(*(column[:bars] for column in market)), settings, nothing, nothing, output)

    compiled_run(50)
    ratios, speeds = [], []
    for _ in range(options.rounds):
        began = time.process_time()
        plain(market, settings, options.plain_bars)
        slow = (time.process_time() - began) / options.plain_bars
        began = time.process_time()
        compiled_run(options.bars)
        quick = (time.process_time() - began) / options.bars
        ratios.append(slow / quick)
        speeds.append(1.0 / quick)
    found = {
        "bars": options.bars,
        "ratio": round(statistics.median(ratios), 1),
        "bars_per_second": round(statistics.median(speeds)),
    }
    print(f"the kernel is {found['ratio']} times a plain loop, {found['bars_per_second']:,} bars/s")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
