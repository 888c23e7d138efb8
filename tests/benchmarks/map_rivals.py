"""Two plain ways to make the liquidation map, for a market whose open interest is known at every bar.

Both do at every bar all that the kernel does: sweep, close, open, the sums within the windows and the
nearest tiers. They keep a bin's quantity as it is, so that closing touches every bin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liqtiers.datasets._compiled import compiled_in_place
from liqtiers.datasets._map_kernel import KernelSettings, MarketArrays

SIGNS = (1, -1)


class Rival(NamedTuple):
    """What a rival works on, shorts first, and what it fills.

    `held` has shape (2, B), base, `pool` (2,); `sums` and `tiers` are those of the kernel's output.
    """

    held: np.ndarray
    pool: np.ndarray
    sums: np.ndarray
    tiers: np.ndarray


def fresh(bars: int, tiers_kept: int, settings: KernelSettings) -> Rival:
    """Return an empty map with room for that many bars."""
    return Rival(
        np.zeros((2, len(settings.grid.prices))),
        np.zeros(2),
        np.zeros((2, bars, len(settings.measuring.window_bins[0]))),
        np.full((2, bars, tiers_kept, 4), np.nan, np.float32),
    )


def plain(market: MarketArrays, settings: KernelSettings, rival: Rival) -> None:
    """Make the map in a Python loop over bars, with numpy over whole arrays."""
    middle = np.arange(len(settings.grid.prices)) + settings.grid.first_bin + 0.5
    for t in range(rival.sums.shape[1]):
        level = market.oi[t - 1] if t else market.oi[t]
        change = market.oi[t] - level
        closed = max(-change, 0.0) + settings.churn[0] * market.volume[t]
        gone = (middle <= market.sweep_high[t], middle >= market.sweep_low[t])
        for side in range(2):
            held = rival.held[side]
            swept = held[gone[side]].sum()
            held[gone[side]] = 0.0
            total = held.sum() + rival.pool[side]
            if t:
                kept = 1.0 - min(max(closed - swept, 0.0) / total, 1.0)
                held *= kept
                rival.pool[side] *= kept
                entering = market.oi[t] - total * kept
            else:
                entering = market.oi[t] / settings.fallback_warm_up_bars
                rival.pool[side] = market.oi[t] - entering
            _open(market, settings, t, side, entering, rival)
        _measure(market, settings, t, rival)


def _open(
    market: MarketArrays, settings: KernelSettings, t: int, side: int, entering: float, rival: Rival
) -> None:
    """Put openings over the bar's range; what the close has passed is put where the close puts it."""
    offsets, mix, first = settings.offsets[side], settings.mix[0, side], settings.grid.first_bin
    share = (np.arange(settings.entry_points) + 0.5) / settings.entry_points
    entries = market.low[t] + (market.high[t] - market.low[t]) * share
    bins = np.floor(entries[:, np.newaxis] + offsets).astype(np.int64) - first
    at_close = np.floor(market.close[t] + offsets).astype(np.int64) - first
    beyond = (bins + first + 0.5 - market.close[t]) * SIGNS[side] > 0.0
    places = np.where(beyond, bins, at_close)
    amounts = np.broadcast_to(entering / settings.entry_points * mix, places.shape)
    np.add.at(rival.held[side], places, amounts)
    rival.pool[side] += entering * (1.0 - mix.sum())


def _measure(market: MarketArrays, settings: KernelSettings, t: int, rival: Rival) -> None:
    measuring = settings.measuring
    here = int(np.floor(market.close[t])) - settings.grid.first_bin
    value = rival.held * settings.grid.prices
    walks = (value[0, here + 1 :], value[1, :here][::-1])
    within = 0.0
    for side, walk in enumerate(walks):
        summed = np.cumsum(walk[: measuring.window_bins[side, -1]])
        rival.sums[side, t] = summed[measuring.window_bins[side] - 1]
        within += summed[measuring.mean_bins[side] - 1]
    threshold = measuring.density_multiple * within / sum(measuring.mean_bins)
    for side, walk in enumerate(walks):
        dense = np.flatnonzero(walk[: measuring.reach_bins[side]] >= threshold)
        if not len(dense):
            continue
        parts = np.flatnonzero(np.diff(dense) > measuring.gap_bins + 1) + 1
        runs = np.split(dense, parts)[: rival.tiers.shape[2]]
        for k, run in enumerate(runs):
            inside = walk[run[0] : run[-1] + 1]
            steps = np.array([run[0], run[-1], run[0] + np.argmax(inside)])
            near, far, peak = settings.grid.prices[here + SIGNS[side] * (steps + 1)]
            half = np.exp(0.5 * settings.grid.width)
            rival.tiers[side, t, k] = (
                min(near, far) / half,
                max(near, far) * half,
                peak,
                inside.sum(),
            )


@compiled_in_place
def decaying(market: MarketArrays, settings: KernelSettings, rival: Rival) -> None:
    """Make the map in a compiled loop that multiplies and reads every bin at every bar."""
    for t in range(rival.sums.shape[1]):
        level = market.oi[max(t - 1, 0)]
        change = market.oi[t] - level
        closed = max(-change, 0.0) + settings.churn[0] * market.volume[t]
        for side in range(2):
            swept, total = _sweep(market, settings, t, side, rival)
            if t > 0:
                kept = 1.0 - min(max(closed - swept, 0.0) / total, 1.0)
                for place in range(rival.held.shape[1]):
                    rival.held[side, place] *= kept
                rival.pool[side] *= kept
                entering = market.oi[t] - total * kept
            else:
                entering = market.oi[t] / settings.fallback_warm_up_bars
                rival.pool[side] = market.oi[t] - entering
            _open_each(market, settings, t, side, entering, rival)
        here = int(np.floor(market.close[t])) - settings.grid.first_bin
        within = 0.0
        for side in range(2):
            within += _sum_outward(settings, t, side, here, rival)
        bins = settings.measuring.mean_bins[0] + settings.measuring.mean_bins[1]
        threshold = settings.measuring.density_multiple * within / bins
        for side in range(2):
            _find_outward(settings, t, side, here, threshold, rival)


@compiled_in_place
def _sweep(
    market: MarketArrays, settings: KernelSettings, t: int, side: int, rival: Rival
) -> tuple[float, float]:
    """Empty the bins that price has reached; return what they held and what the side holds now."""
    low = int(np.ceil(market.sweep_low[t] - 0.5)) - settings.grid.first_bin
    high = int(np.floor(market.sweep_high[t] - 0.5)) - settings.grid.first_bin
    swept = 0.0
    total = rival.pool[side]
    for place in range(rival.held.shape[1]):
        if (side == 0 and place <= high) or (side == 1 and place >= low):
            swept += rival.held[side, place]
            rival.held[side, place] = 0.0
        else:
            total += rival.held[side, place]
    return swept, total


@compiled_in_place
def _open_each(
    market: MarketArrays, settings: KernelSettings, t: int, side: int, entering: float, rival: Rival
) -> None:
    first, points = settings.grid.first_bin, settings.entry_points
    sign = 1 - 2 * side
    placed = 0.0
    for c in range(settings.mix.shape[2]):
        offset, share = settings.offsets[side, c], settings.mix[0, side, c]
        placed += share
        for point in range(points):
            entry = market.low[t] + (market.high[t] - market.low[t]) * (point + 0.5) / points
            position = int(np.floor(entry + offset))
            if (position + 0.5 - market.close[t]) * sign <= 0.0:
                position = int(np.floor(market.close[t] + offset))
            rival.held[side, position - first] += entering / points * share
    rival.pool[side] += entering * (1.0 - placed)


@compiled_in_place
def _sum_outward(settings: KernelSettings, t: int, side: int, here: int, rival: Rival) -> float:
    """Fill the windows' sums; return that within the distance over which the mean is taken."""
    measuring = settings.measuring
    within = total = 0.0
    window = 0
    for step in range(1, measuring.window_bins[side, -1] + 1):
        place = here + step if side == 0 else here - step
        total += rival.held[side, place] * settings.grid.prices[place]
        if step == measuring.mean_bins[side]:
            within = total
        if step == measuring.window_bins[side, window]:
            rival.sums[side, t, window] = total
            window += 1
    return within


@compiled_in_place
def _find_outward(
    settings: KernelSettings, t: int, side: int, here: int, threshold: float, rival: Rival
) -> None:
    """Fill the nearest tiers, bin by bin away from price."""
    measuring, prices = settings.measuring, settings.grid.prices
    sign = 1 - 2 * side
    reach = measuring.reach_bins[side]
    first = last = peak = found = 0
    inside = pending = highest = 0.0
    for step in range(1, reach + 1):
        value = rival.held[side, here + sign * step] * prices[here + sign * step]
        if value >= threshold:
            if first == 0:
                first = step
                inside = pending = highest = 0.0
            last = step
            inside += pending + value
            pending = 0.0
            if value > highest:
                peak, highest = step, value
        elif first > 0:
            pending += value
        if first > 0 and (step - last > measuring.gap_bins or step == reach):
            near, far = prices[here + sign * first], prices[here + sign * last]
            rival.tiers[side, t, found, 0] = min(near, far) / measuring.half_bin
            rival.tiers[side, t, found, 1] = max(near, far) * measuring.half_bin
            rival.tiers[side, t, found, 2] = prices[here + sign * peak]
            rival.tiers[side, t, found, 3] = inside
            found += 1
            first = 0
            if found == rival.tiers.shape[2]:
                return
