"""The liquidation map over time as one small picture behind the price."""

from __future__ import annotations

import base64
import io
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..datasets.map_features import MapSnapshots
from ..datasets.panel import Float64Array1D, Int64Array1D

SHORT_COLOUR: Final = (52, 92, 214)
LONG_COLOUR: Final = (224, 132, 16)
_ROWS: Final = 360
_BRIGHTEST: Final = 0.995
DYNAMIC_RANGE: Final = 60.0
"""Values this many times below the brightest are not drawn."""

_SHADES: Final = 100
_OPAQUE: Final = 0.92
_CURVE: Final = 1.7


class HeatmapImage(NamedTuple):
    """A picture and where it lies.

    Attributes
    ----------
    url : str
        PNG as a data address.
    left_us, right_us : int
        Span in time, UTC microseconds.
    bottom, top : float
        Span in price.
    full : float
        Value of the strongest colour, quote per 1 % of price.
    """

    url: str
    left_us: int
    right_us: int
    bottom: float
    top: float
    full: float


def heatmap_image(snapshots: MapSnapshots) -> HeatmapImage | None:
    """Return the snapshots as a picture, or None where there is nothing to see.

    The picture's rows are even in price, the map's bins in its logarithm; each row shows the density of
    the bin in which it lies. Shorts and longs have a hue each, the strength is logarithmic.
    """
    edges = snapshots.price_edges
    bottom, top = float(edges[0]), float(edges[-1])
    middle = np.linspace(bottom, top, 2 * _ROWS + 1)[1::2]
    row_bin = np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, len(edges) - 2)
    percent = 100.0 * np.diff(np.log(edges))
    sides = [
        (side / percent)[:, row_bin].T[::-1]
        for side in (snapshots.short_notional, snapshots.long_notional)
    ]
    positive = np.concatenate([side[side > 0.0].ravel() for side in sides])
    if len(positive) == 0 or len(snapshots.ts) < 2:  # one column has no width
        return None
    full = float(np.quantile(positive, _BRIGHTEST))
    columns, right = _even_columns(snapshots.ts)
    levels = _levels(sides[0][:, columns], sides[1][:, columns], full)
    url = "data:image/png;base64," + base64.b64encode(_png(levels)).decode()
    return HeatmapImage(url, int(snapshots.ts[0]), right, bottom, top, full)


def _even_columns(ts: Int64Array1D) -> tuple[Int64Array1D, int]:
    """Return the snapshot that stood at each of evenly spaced moments, and where the picture ends.

    Snapshots are spaced by bars; where bars are missing, the last one before stands.
    """
    step = (int(ts[-1]) - int(ts[0])) / (len(ts) - 1)
    moments = ts[0] + step * (np.arange(len(ts)) + 0.5)
    return np.searchsorted(ts, moments, side="right") - 1, int(ts[-1] + step)


def _levels(
    short: NDArray[np.floating], long: NDArray[np.floating], full: float
) -> NDArray[np.uint8]:
    """Return palette entries: the stronger side's, logarithmic, 0 for nothing."""
    weaker = full / DYNAMIC_RANGE
    strength = [
        np.clip(np.log(np.maximum(side, 1e-300) / weaker) / np.log(DYNAMIC_RANGE), 0.0, 1.0)
        for side in (short, long)
    ]
    entry = np.round(np.maximum(*strength) * (_SHADES - 1))
    levels: NDArray[np.uint8] = np.where(strength[1] > strength[0], entry + _SHADES, entry).astype(
        np.uint8
    )
    return levels


def shade_alpha(strength: float | Float64Array1D) -> Float64Array1D:
    """Return the opacity (0 to 1) of a strength (0 to 1): curved, so that dense bands stand out."""
    return np.asarray(_OPAQUE * np.power(strength, _CURVE))


def _png(levels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(levels).convert("L")
    image.putpalette([c for hue in (SHORT_COLOUR, LONG_COLOUR) for c in hue * _SHADES])
    alpha = np.tile(shade_alpha(np.linspace(0.0, 1.0, _SHADES)), 2)
    buffer = io.BytesIO()
    image.save(
        buffer, "PNG", optimize=True, transparency=np.round(255 * alpha).astype(np.uint8).tobytes()
    )
    return buffer.getvalue()
