"""The map's picture: where each value lies, how strong it is, and nothing known too early."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from liqtiers.datasets.map_features import MapSnapshots
from liqtiers.reports.heatmap import (
    DYNAMIC_RANGE,
    LONG_COLOUR,
    SHORT_COLOUR,
    HeatmapImage,
    heatmap_image,
    shade_alpha,
)

HOUR = 3_600_000_000
EDGES = np.linspace(90.0, 110.0, 5)


def snapshots(ts: list[int], short: list[list[float]], long: list[list[float]]) -> MapSnapshots:
    return MapSnapshots(
        ts=np.array(ts, dtype=np.int64),
        price_edges=EDGES,
        short_notional=np.array(short, dtype=np.float32),
        long_notional=np.array(long, dtype=np.float32),
    )


def pixels(image: HeatmapImage) -> NDArray[np.uint8]:
    """The picture as red, green, blue, opacity."""
    data = base64.b64decode(image.url.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_values_lie_at_their_price_and_time_in_their_sides_colour() -> None:
    """Shorts in the top bin at first, longs in the bottom bin later: two corners, two hues."""
    shots = snapshots([HOUR, 2 * HOUR], [[0, 0, 0, 5e6], [0] * 4], [[0] * 4, [5e6, 0, 0, 0]])
    image = heatmap_image(shots)
    assert image is not None
    drawn = pixels(image)
    quarter = drawn.shape[0] // 4
    assert (drawn[: quarter - 1, 0, :3] == SHORT_COLOUR).all()
    assert (drawn[-quarter + 1 :, 1, :3] == LONG_COLOUR).all()
    assert (drawn[quarter + 1 :, 0, 3] == 0).all()
    assert (drawn[: -quarter - 1, 1, 3] == 0).all()
    assert (image.left_us, image.right_us) == (HOUR, 3 * HOUR)
    assert (image.bottom, image.top) == (90.0, 110.0)


def test_strength_is_logarithmic_per_percent_of_price() -> None:
    """The strongest value is opaque, its root of the range half way, its range's end not drawn."""
    widths = 100.0 * np.diff(np.log(EDGES))
    values = 1e6 * np.array([1.0, DYNAMIC_RANGE**-0.5, DYNAMIC_RANGE**-1.0, 0.0]) * widths
    shots = snapshots([HOUR, 2 * HOUR], [list(values)] * 2, [[0] * 4] * 2)
    image = heatmap_image(shots)
    assert image is not None
    assert image.full == pytest.approx(1e6, rel=1e-3)
    column = pixels(image)[::-1, 0, 3].reshape(4, -1)[:, 20]
    expected = 255 * shade_alpha(np.array([1.0, 0.5, 0.0, 0.0]))
    np.testing.assert_allclose(column, expected, atol=3)


def test_a_hole_in_the_bars_shows_what_stood_before() -> None:
    """Where snapshots are not even in time, each moment shows the last one known, never a later one."""
    moments = [HOUR, 2 * HOUR, 3 * HOUR, 9 * HOUR]
    short = [[1e6, 0, 0, 0], [0, 1e6, 0, 0], [0, 0, 1e6, 0], [0, 0, 0, 1e6]]
    image = heatmap_image(snapshots(moments, short, [[0] * 4] * 4))
    assert image is not None
    drawn = pixels(image)[::-1, :, 3]
    step = (image.right_us - image.left_us) / drawn.shape[1]
    for column in range(drawn.shape[1]):
        moment = image.left_us + step * (column + 0.5)
        stood = np.searchsorted(moments, moment, side="right") - 1
        assert drawn[:, column].reshape(4, -1).max(axis=1).argmax() == stood


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_empty_map_has_no_picture(value: float) -> None:
    """Nothing to see is None, for the page to say so."""
    nothing = [[value] * 4] * 2
    assert heatmap_image(snapshots([HOUR, 2 * HOUR], nothing, nothing)) is None


def test_one_snapshot_has_no_picture() -> None:
    """A single moment has no width in time."""
    assert heatmap_image(snapshots([HOUR], [[1e6] * 4], [[0] * 4])) is None
