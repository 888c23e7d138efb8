"""How a liquidation map is measured at a bar's close: sums within windows, and the nearest dense tiers.

One compiled function, `measure`, walks away from price over log-price bins. Most bins are thin and far
away, so that they are added and compared many at once, which the processor does in one step.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._compiled import compiled_in_place, compiled_sum
from .map_features import LOWER, NOTIONAL, PEAK, UPPER, Float64Array2D, MeasureSettings

_STRETCH: Final = 8
"""Bins that are compared with the threshold at once."""


@compiled_in_place
def measure(
    value: Float64Array2D,
    scale: Float64Array2D,
    row: int,
    price_bin: int,
    settings: MeasureSettings,
    sums: NDArray[np.float64],
    tiers: NDArray[np.float32],
    bar: int,
) -> None:
    """Fill one bar's window sums and tiers on both sides of price.

    Parameters
    ----------
    value : ndarray of float64, shape (2, B)
        Value by bin, quote, in units of `scale`; shorts first.
    scale : ndarray of float64, shape (R, 2)
        Factors from stored to true values, by side in their row.
    row : int
        Which row of `scale` holds.
    price_bin : int
        Bin of the close; it belongs to neither side.
    settings : MeasureSettings
    sums : ndarray of float64, shape (2, n, W), output
    tiers : ndarray of float32, shape (2, n, K, TIER_FIELDS), output; must come filled with NaN
    bar : int
        The row to fill.
    """
    within = 0.0
    for side in range(2):
        within += scale[row, side] * _sum_windows(
            value, side, scale[row, side], price_bin, settings, sums, bar
        )
    mean = within / (settings.mean_bins[0] + settings.mean_bins[1])
    if not mean > 0.0:
        return
    for side in range(2):
        threshold = settings.density_multiple * mean / scale[row, side]
        _find_tiers(value, side, scale[row, side], threshold, price_bin, settings, tiers, bar)


@compiled_sum
def _sum_between(value: Float64Array2D, side: int, first: int, last: int) -> float:
    """Return the sum of bins `first` to `last`, both included."""
    total = 0.0
    # Unsigned, since a loop that might count from the end cannot be done in parallel.
    for place in range(np.uint64(first), np.uint64(last + 1)):
        total += value[side, place]
    return total


@compiled_in_place
def _sum_steps(value: Float64Array2D, side: int, price_bin: int, first: int, last: int) -> float:
    """Return the sum from `first` to `last` steps away from the price, both included."""
    if last < first:
        return 0.0
    if side == 0:
        return _sum_between(value, side, price_bin + first, price_bin + last)
    return _sum_between(value, side, price_bin - last, price_bin - first)


@compiled_in_place
def _sum_windows(
    value: Float64Array2D,
    side: int,
    scale: float,
    price_bin: int,
    settings: MeasureSettings,
    sums: NDArray[np.float64],
    bar: int,
) -> float:
    """Fill the sums within the windows and return the stored sum over the bins of the mean."""
    room = value.shape[1] - 1 - price_bin if side == 0 else price_bin
    until = min(settings.mean_bins[side], room)
    total = 0.0
    within = -1.0
    done = 0
    for window in range(settings.window_bins.shape[1]):
        end = min(settings.window_bins[side, window], room)
        if within < 0.0 and until <= end:
            within = total + _sum_steps(value, side, price_bin, done + 1, until)
        total += _sum_steps(value, side, price_bin, done + 1, end)
        done = max(done, end)
        sums[side, bar, window] = total * scale
    if within < 0.0:
        within = total + _sum_steps(value, side, price_bin, done + 1, until)
    return within


@compiled_in_place
def _find_tiers(
    value: Float64Array2D,
    side: int,
    scale: float,
    threshold: float,
    price_bin: int,
    settings: MeasureSettings,
    tiers: NDArray[np.float32],
    bar: int,
) -> None:
    """Fill the nearest tiers: runs of bins of at least `threshold`, thin stretches bridged."""
    step = 1 if side == 0 else -1
    room = value.shape[1] - 1 - price_bin if side == 0 else price_bin
    stop = price_bin + step * min(settings.reach_bins[side], room)
    place = price_bin + step
    for found in range(tiers.shape[2]):
        first = _next_dense(value, side, place, stop, threshold)
        if (stop - first) * step < 0:
            return
        last, peak, place = _follow_tier(value, side, first, stop, threshold, settings.gap_bins)
        low, high = min(first, last), max(first, last)
        tiers[side, bar, found, LOWER] = settings.bin_prices[low] / settings.half_bin
        tiers[side, bar, found, UPPER] = settings.bin_prices[high] * settings.half_bin
        tiers[side, bar, found, PEAK] = settings.bin_prices[peak]
        tiers[side, bar, found, NOTIONAL] = _sum_between(value, side, low, high) * scale


@compiled_in_place
def _next_dense(value: Float64Array2D, side: int, place: int, stop: int, threshold: float) -> int:
    """Return the first dense bin from `place` on, or one beyond `stop`."""
    step = 1 if side == 0 else -1
    while (stop - place) * step >= _STRETCH - 1:
        lowest = place if side == 0 else place - _STRETCH + 1
        if _any_dense(value, side, lowest, threshold):
            break
        place += step * _STRETCH
    while (stop - place) * step >= 0 and value[side, place] < threshold:
        place += step
    return place


@compiled_in_place
def _any_dense(value: Float64Array2D, side: int, lowest: int, threshold: float) -> bool:
    first = np.uint64(lowest)
    dense = False
    for place in range(np.uint64(_STRETCH)):
        dense |= value[side, first + place] >= threshold
    return dense


@compiled_in_place
def _follow_tier(
    value: Float64Array2D, side: int, first: int, stop: int, threshold: float, gap_bins: int
) -> tuple[int, int, int]:
    """Return a tier's last dense bin, its densest one (the nearest of equals) and the bin behind it."""
    step = 1 if side == 0 else -1
    last = peak = place = first
    while (stop - place) * step >= 0 and (place - last) * step <= gap_bins + 1:
        here = value[side, place]
        if here >= threshold:
            last = place
            if here > value[side, peak]:
                peak = place
        place += step
    return last, peak, place
