"""What is read off a liquidation map at each bar, whoever made the map.

Our own kernel and imported snapshots are both measured by ``_map_measure``, so that a strategy cannot
tell them apart and a report can compare them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .panel import Float64Array1D, Int64Array1D

Float64Array2D = NDArray[np.float64]
Float32Array2D = NDArray[np.float32]

TIER_FIELDS: Final = 4
LOWER, UPPER, PEAK, NOTIONAL = range(TIER_FIELDS)


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
            lower=raw[:, :, LOWER],
            upper=raw[:, :, UPPER],
            peak=raw[:, :, PEAK],
            notional=raw[:, :, NOTIONAL],
            fuel=np.divide(
                raw[:, :, NOTIONAL], hourly_quote_volume[:, np.newaxis], dtype=np.float32
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
    half_bin : float
        Upper edge of a bin divided by its middle.
    """

    window_bins: NDArray[np.int64]
    mean_bins: tuple[int, int]
    reach_bins: tuple[int, int]
    gap_bins: int
    density_multiple: float
    bin_prices: Float64Array1D
    half_bin: float
