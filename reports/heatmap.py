"""The liquidation map over time as one small picture behind the price."""

from __future__ import annotations

import base64
import io
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..datasets.map_features import MapSnapshots

SHORT_COLOUR: Final = (52, 92, 214)
LONG_COLOUR: Final = (224, 132, 16)
_ROWS: Final = 360
_BRIGHTEST: Final = 0.995
_DYNAMIC_RANGE: Final = 60.0
"""Values this many times below the brightest are not drawn."""


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
    pixels = _pixels(sides[0], sides[1], full)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").quantize(128, method=Image.Quantize.FASTOCTREE).save(
        buffer, "PNG", optimize=True
    )
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    step = int(snapshots.ts[1] - snapshots.ts[0])
    return HeatmapImage(url, int(snapshots.ts[0]), int(snapshots.ts[-1]) + step, bottom, top, full)


def _pixels(
    short: NDArray[np.floating], long: NDArray[np.floating], full: float
) -> NDArray[np.uint8]:
    weaker = full / _DYNAMIC_RANGE
    strength = [
        np.clip(np.log(np.maximum(side, 1e-300) / weaker) / np.log(_DYNAMIC_RANGE), 0.0, 1.0)
        for side in (short, long)
    ]
    is_short = strength[0] >= strength[1]
    colour = np.where(is_short[..., np.newaxis], SHORT_COLOUR, LONG_COLOUR)
    alpha = 210.0 * np.maximum(strength[0], strength[1])
    return np.concatenate([colour, alpha[..., np.newaxis]], axis=2).astype(np.uint8)
