"""What is read off a liquidation map at each bar, whoever made the map.

One compiled function, `measure`, walks away from price over log-price bins and returns the sums
within the windows and the ladder of dense tiers. Our own kernel and imported snapshots both go
through it, so that a strategy cannot tell them apart and a report can compare them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ._compiled import compiled_in_place, compiled_sum
from .errors import InputError
from .panel import Float64Array1D, Int64Array1D

Float64Array2D = NDArray[np.float64]
Float32Array2D = NDArray[np.float32]

TIER_FIELDS: Final = 4
_LOWER, _UPPER, _PEAK, _NOTIONAL = range(TIER_FIELDS)
_STRETCH_BITS: Final = 5
_STRETCH: Final = 1 << _STRETCH_BITS
"""Bins that are compared with the threshold at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TierLadder:
    """The dense tiers on one side of price; all shape (n, K), nearest first, NaN where there are fewer.

    Single precision (7 digits) is far finer than a bin, and years of minutes have to fit into memory.

    Attributes
    ----------
    lower, upper : ndarray of float32
        Edges of the tier, quote per base; `lower` is the smaller price on both sides.
    peak : ndarray of float32
        Price of its densest bin.
    notional : ndarray of float32
        Value that would be liquidated in it, quote.
    fuel : ndarray of float32
        `notional` in hours of trading: divided by the median hourly quote volume.
    """

    lower: Float32Array2D
    upper: Float32Array2D
    peak: Float32Array2D
    notional: Float32Array2D
    fuel: Float32Array2D

    def slice(self, start: int, stop: int) -> Self:
        """Return bars `start` to `stop` (exclusive) as views."""
        return replace(self, **{f.name: getattr(self, f.name)[start:stop] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapFeatures:
    """A liquidation map's features, each known at its bar's close.

    Attributes
    ----------
    windows : tuple of float
        Distances from the close, fractions, in increasing order.
    notional_above, notional_below : ndarray of float64, shape (n, len(windows))
        Shorts' liquidations above and longs' below the close, within each window, quote.
    imbalance : ndarray of float64, shape (n, len(windows))
        Above divided by below; infinite where below is 0, NaN where both are.
    above, below : TierLadder
        Dense tiers of shorts above price, of longs below it.
    hourly_quote_volume : ndarray of float64, shape (n,)
        Median hourly traded value of the past week, quote.
    predicted_short_liquidations, predicted_long_liquidations : ndarray of float64, shape (n,)
        Liquidations that the map expected within the bar, given its range, quote.
    book_short, book_long : ndarray of float64, shape (n,)
        Sum of each side's book, base; NaN for imported maps.
    """

    windows: tuple[float, ...]
    notional_above: Float64Array2D
    notional_below: Float64Array2D
    imbalance: Float64Array2D
    above: TierLadder
    below: TierLadder
    hourly_quote_volume: Float64Array1D
    predicted_short_liquidations: Float64Array1D
    predicted_long_liquidations: Float64Array1D
    book_short: Float64Array1D
    book_long: Float64Array1D

    def __len__(self) -> int:
        return len(self.hourly_quote_volume)

    def window_index(self, window: float) -> int:
        """Return the column of a window.

        Raises
        ------
        InputError
            If the map was not measured within that window.
        """
        for index, known in enumerate(self.windows):
            if abs(known - window) < 1e-9:
                return index
        known_windows = ", ".join(f"{known:g}" for known in self.windows)
        raise InputError(f"the map has no window {window:g}: use one of {known_windows}")

    def slice(self, start: int, stop: int) -> Self:
        """Return bars `start` to `stop` (exclusive) as views."""
        return replace(
            self,
            **{
                f.name: (
                    getattr(self, f.name).slice(start, stop)
                    if isinstance(getattr(self, f.name), TierLadder)
                    else getattr(self, f.name)[start:stop]
                )
                for f in fields(self)
                if f.name != "windows"
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapSnapshots:
    """The map itself at chosen moments, for pictures.

    Attributes
    ----------
    ts : ndarray of int64, shape (T,)
        Moment of each snapshot (close of its bar), UTC microseconds.
    price_edges : ndarray of float64, shape (P + 1,)
        Edges of the price bins, increasing.
    short_notional, long_notional : ndarray of float32, shape (T, P)
        Value that would be liquidated in each bin, quote.
    """

    ts: Int64Array1D
    price_edges: Float64Array1D
    short_notional: Float32Array2D
    long_notional: Float32Array2D


def features_from_arrays(
    windows: tuple[float, ...],
    sums: tuple[Float64Array2D, Float64Array2D],
    *,
    tiers: tuple[NDArray[np.float32], NDArray[np.float32]],
    hourly_quote_volume: Float64Array1D,
    predicted: tuple[Float64Array1D, Float64Array1D],
    book: tuple[Float64Array1D, Float64Array1D],
) -> MapFeatures:
    """Put a kernel's raw output, shorts first, into `MapFeatures`."""
    above, below = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        imbalance = above / below
    ladders = [
        TierLadder(
            lower=raw[:, :, _LOWER],
            upper=raw[:, :, _UPPER],
            peak=raw[:, :, _PEAK],
            notional=raw[:, :, _NOTIONAL],
            fuel=np.divide(
                raw[:, :, _NOTIONAL], hourly_quote_volume[:, np.newaxis], dtype=np.float32
            ),
        )
        for raw in tiers
    ]
    return MapFeatures(
        windows=windows,
        notional_above=above,
        notional_below=below,
        imbalance=imbalance,
        above=ladders[0],
        below=ladders[1],
        hourly_quote_volume=hourly_quote_volume,
        predicted_short_liquidations=predicted[0],
        predicted_long_liquidations=predicted[1],
        book_short=book[0],
        book_long=book[1],
    )


class MeasureSettings(NamedTuple):
    """How a map is measured; by side, shorts first, since bins are of the log price.

    Attributes
    ----------
    window_bins : ndarray of int64, shape (2, W)
        Number of bins within each window, increasing.
    mean_bins : tuple of int
        Bins over which the map's mean density is taken, on both sides of price together.
    reach_bins : tuple of int
        Bins within which tiers are looked for.
    gap_bins : int
        Thin bins that may lie inside a tier.
    density_multiple : float
        A bin is dense from this multiple of the mean on.
    bin_prices : ndarray of float64, shape (B,)
        Middle of each bin, quote per base.
    bin_width : float
        Width of a bin in log price.
    """

    window_bins: NDArray[np.int64]
    mean_bins: tuple[int, int]
    reach_bins: tuple[int, int]
    gap_bins: int
    density_multiple: float
    bin_prices: Float64Array1D
    bin_width: float


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
    marks: NDArray[np.uint8],
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
    marks : ndarray of uint8
        Working memory, of `working_marks`.
    """
    within = 0.0
    for side in range(2):
        within += scale[row, side] * _sum_windows(
            value, side, scale[row, side], price_bin, settings, sums, bar
        )
    mean = within / (settings.mean_bins[0] + settings.mean_bins[1])
    if mean <= 0.0:
        return
    for side in range(2):
        threshold = settings.density_multiple * mean / scale[row, side]
        _find_tiers(
            value, side, scale[row, side], threshold, price_bin, settings, marks, tiers, bar
        )


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
    marks: NDArray[np.uint8],
    tiers: NDArray[np.float32],
    bar: int,
) -> None:
    """Fill the nearest tiers: runs of bins of at least `threshold`, thin stretches bridged."""
    direction = 1 if side == 0 else -1
    room = value.shape[1] - 1 - price_bin if side == 0 else price_bin
    stop = min(settings.reach_bins[side], room)
    lowest = price_bin + 1 if side == 0 else price_bin - stop
    half = np.exp(0.5 * settings.bin_width)
    kept = tiers.shape[2]
    found = 0
    first = last = peak = -1
    peak_value = 0.0
    inside = 0.0
    pending = 0.0
    marked = -1
    step = 0
    while step < stop:
        place = step if side == 0 else stop - 1 - step
        if place >> _STRETCH_BITS != marked:
            marked = place >> _STRETCH_BITS
            _mark_dense(value, side, lowest, stop, threshold, marks, marked)
        # Whole stretches without a dense bin are left out.
        if first < 0 and marks[_STRETCH] == 0:
            step += (
                (place & (_STRETCH - 1)) + 1 if side == 1 else _STRETCH - (place & (_STRETCH - 1))
            )
            continue
        here = value[side, lowest + place]
        if marks[place & (_STRETCH - 1)]:
            if first < 0:
                first = peak = step
                peak_value = here
                inside = 0.0
                pending = 0.0
            inside += pending + here
            pending = 0.0
            last = step
            if here > peak_value:
                peak = step
                peak_value = here
        elif first >= 0:
            pending += here
        if first >= 0 and (step - last > settings.gap_bins or step == stop - 1):
            near = settings.bin_prices[price_bin + direction * (first + 1)]
            far = settings.bin_prices[price_bin + direction * (last + 1)]
            tiers[side, bar, found, _LOWER] = min(near, far) / half
            tiers[side, bar, found, _UPPER] = max(near, far) * half
            tiers[side, bar, found, _PEAK] = settings.bin_prices[price_bin + direction * (peak + 1)]
            tiers[side, bar, found, _NOTIONAL] = inside * scale
            found += 1
            first = -1
            if found == kept:
                return
        step += 1


@compiled_in_place
def _mark_dense(
    value: Float64Array2D,
    side: int,
    lowest: int,
    stop: int,
    threshold: float,
    marks: NDArray[np.uint8],
    stretch: int,
) -> None:
    """Mark the dense bins of a stretch, a byte each, and whether there is any behind them.

    The processor compares many at once, where a loop that looks at each would wait.
    """
    begin = stretch * _STRETCH
    count = min(_STRETCH, stop - begin)
    first = np.uint64(lowest + begin)
    for place in range(np.uint64(count)):
        marks[place] = value[side, first + place] >= threshold
    dense = 0
    for place in range(np.uint64(count)):
        dense |= marks[place]
    marks[_STRETCH] = dense


def working_marks() -> NDArray[np.uint8]:
    """Return the working memory that `measure` needs."""
    return np.zeros(_STRETCH + 1, np.uint8)
