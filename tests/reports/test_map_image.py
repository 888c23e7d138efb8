"""The map as a PNG: it opens, shows both sides, and its labels do not run into each other."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from liqtiers.reports.map_image import PNG_SIZE, bins_in_row, render_map_image, spread
from liqtiers.reports.map_page import HUES
from liqtiers.reports.map_picture import map_picture
from made_up_maps import LONGS, SHORTS, made_up_map, still_panel


def picture_of(price: float = 71_450.0, **options: object) -> Image.Image:
    panel = still_panel(price=price)
    built = made_up_map(panel, **options)  # type: ignore[arg-type]  # any of its options
    return Image.open(io.BytesIO(render_map_image(map_picture(built, panel)))).convert("RGB")


def pixels_near(image: Image.Image, hue: str) -> tuple[int, float]:
    """How many pixels have about the colour of a bar, and their mean height from the top."""
    wanted = 0.85 * np.array(ImageColor.getrgb(hue)) + 0.15 * 255.0
    near = np.abs(np.asarray(image, dtype=float) - wanted).max(axis=2) < 12
    rows = np.nonzero(near)[0]
    return len(rows), float(rows.mean()) if len(rows) else np.nan


def test_image_opens_has_its_size_and_shows_both_sides() -> None:
    """A PNG of the stated size on which shorts stand above longs."""
    image = picture_of(longs={0.93: 4e9, 0.85: 5e9})
    assert image.size == PNG_SIZE
    shorts, above = pixels_near(image, HUES["shorts"]["light"])
    longs, below = pixels_near(image, HUES["longs"]["light"])
    assert shorts > 5_000
    assert longs > 1_000
    assert above < below


@pytest.mark.parametrize("side", ["shorts", "longs"])
def test_one_sided_map_is_drawn(side: str) -> None:
    """A map with nothing on one side shows only the other."""
    sides = {"shorts": SHORTS, "longs": LONGS}
    other = "longs" if side == "shorts" else "shorts"
    image = picture_of(**{other: {}, side: sides[side]})
    assert pixels_near(image, HUES[side]["light"])[0] > 1_000
    assert pixels_near(image, HUES[other]["light"])[0] < 300  # edges of its key in the legend


@pytest.mark.parametrize("price", [1.234e-5, 8.2e9])
def test_prices_of_any_size_are_drawn(price: float) -> None:
    """Tiny and huge prices give a picture like any other."""
    assert pixels_near(picture_of(price=price), HUES["shorts"]["light"])[0] > 5_000


def test_names_are_drawn_as_they_are() -> None:
    """No name is taken for a formula or a format, and a letter without a glyph is no warning."""
    assert picture_of(model="$x^{$ \\frac{1}{0} 地图 \U0001f600 <b> %s {0}").size == PNG_SIZE


def test_bars_are_never_thinner_than_can_be_seen() -> None:
    """Bins are summed so that at most some two hundred bars stand above each other."""
    panel = still_panel()
    picture = map_picture(made_up_map(panel), panel)
    bins = bins_in_row(picture)
    assert bins == 1  # a map of wide bins, of which some 140 fit between its outermost levels


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12).map(sorted),
    st.floats(0.001, 0.08),
)
def test_labels_keep_their_order_and_distance(targets: list[float], gap: float) -> None:
    """Places are in order, at least the gap apart, inside the frame; free labels stay put."""
    places = spread(targets, gap=gap, low=0.0, high=1.0)
    assert len(places) == len(targets)
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(places))
    assert places[0] >= -1e-9
    assert places[-1] <= 1.0 + 1e-9
    apart = all(b - a >= gap + 1e-9 for a, b in pairwise(targets))
    if apart and targets[0] >= 0.0 and targets[-1] <= 1.0:
        assert places == pytest.approx(targets, abs=1e-9)


@given(st.lists(st.floats(0.3, 0.7), min_size=2, max_size=5).map(sorted), st.floats(0.01, 0.05))
def test_labels_move_as_little_as_they_can(targets: list[float], gap: float) -> None:
    """No other placing that keeps the gap has a smaller sum of squared moves (by a search)."""
    places = np.array(spread(targets, gap=gap, low=0.0, high=1.0))
    best = float(((places - targets) ** 2).sum())
    rng = np.random.default_rng(3)
    for _ in range(200):
        other = places + rng.normal(0.0, 0.02, len(places))
        if (np.diff(other) >= gap).all():
            assert float(((other - targets) ** 2).sum()) >= best - 1e-12
