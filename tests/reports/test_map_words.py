"""The map in words: exact sentences, written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqtiers.reports import map_words as words
from liqtiers.reports.map_picture import BaseRate, MapPicture, Window, map_picture
from made_up_maps import made_up_map, still_panel

DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def picture() -> MapPicture:
    panel = still_panel()
    return map_picture(made_up_map(panel), panel, tick=0.1)


def window(above: float, below: float, **rate: float) -> Window:
    ratio = above / below if below else (np.inf if above else np.nan)
    given = {"bars": 2_000, "since_us": 0, "either": 0.312, "same": 0.24, **rate}
    return Window(
        distance=0.10,
        above=above,
        below=below,
        imbalance=ratio,
        base_rate=BaseRate(**given),  # type: ignore[arg-type]  # numbers
    )


@pytest.mark.parametrize(
    ("above", "below", "sentence"),
    [
        (2.3e9, 0.9e9, "2.30 B USDT of shorts above against 900.00 M of longs below, 2.6 to 1."),
        (0.9e9, 2.9e9, "900.00 M USDT of shorts above against 2.90 B of longs below, 1 to 3.2."),
        (14e9, 1e9, "14.00 B USDT of shorts above against 1.00 B of longs below, 14.0 to 1."),
        (5e8, 5.1e8, "500.00 M USDT of shorts above against 510.00 M of longs below, about even."),
        (1.06e8, 1e8, "106.00 M USDT of shorts above against 100.00 M of longs below, 1.1 to 1."),
        (1e9, 1e6, "1.00 B USDT of shorts above against 1.00 M of longs below, 1,000 to 1."),
        (2.3e9, 0.0, "2.30 B USDT of shorts above, none below."),
        (0.0, 4e6, "4.00 M USDT of longs below, none above."),
        (0.0, 0.0, "nothing on either side of price."),
    ],
)
def test_imbalance_is_a_plain_sentence(
    picture: MapPicture, above: float, below: float, sentence: str
) -> None:
    """Both sides, the ratio with the larger side first named, and empty sides called empty."""
    assert words.imbalance_words(window(above, below), picture) == f"Within 10%: {sentence}"


@pytest.mark.parametrize(
    ("rate", "sentence"),
    [
        (
            {},
            "This map was at least as lopsided at 31.2% of its 2,000 earlier bars since 2026-01-01 "
            "(61 days), and to the same side at 24.0%.",
        ),
        (
            {"either": 0.0, "same": 0.0},
            "This map was at least as lopsided at none of its 2,000 earlier bars since 2026-01-01 "
            "(61 days).",
        ),
        (
            {"bars": 99},
            "There are only 99 earlier bars: too few to say how common such an imbalance is in this map.",
        ),
        (
            {"bars": 0, "either": np.nan},
            "There are no earlier bars: too few to say how common such an imbalance is in this map.",
        ),
        ({"either": np.nan}, "There is no ratio to compare with this map's past."),
    ],
    ids=["usual", "never", "few", "none", "no ratio"],
)
def test_base_rate_is_a_plain_sentence(
    picture: MapPicture, rate: dict[str, float], sentence: str
) -> None:
    """How common it was, over how many bars and days; nothing is claimed from a handful."""
    first = int(np.datetime64("2026-01-01", "us").astype(np.int64))
    moved = replace(picture, at_us=first + 61 * DAY_US)
    assert words.base_rate_words(window(2.0, 1.0, since_us=first, **rate), moved) == sentence


def test_title_says_what_when_and_from_what(picture: MapPicture) -> None:
    """Instrument, moment in UTC, price with its tick's decimals, the map's origin, the bars."""
    assert words.title_words(picture) == (
        "vendor BTCUSDT at 2026-03-03 12:00 UTC, price 71,450.0, map imported from worked example, "
        "1h bars"
    )
    assert "map from volume" in words.title_words(replace(picture, model="volume", imported=False))


@pytest.mark.parametrize(
    ("fuel", "written"),
    [(12.345, "12.3 h"), (1.234, "1.23 h"), (0.004, "<0.01 h"), (0.0, "0.00 h"), (np.nan, "n/a")],
)  # fmt: skip
def test_fuel_is_hours(picture: MapPicture, fuel: float, written: str) -> None:
    """Fuel is written in hours, never as a zero that it is not, and n/a where volume is unknown."""
    tier = replace(picture.tiers[0], fuel=fuel, notional=2.61e9)
    assert words.tier_label(tier) == f"S4  2.61 B, fuel {written}"


def test_distances_are_written_short() -> None:
    """Whole percents have no decimals, others as many as they need."""
    written = [words.distance_words(distance) for distance in (0.1, 0.025, 0.4, 0.001)]
    assert written == ["10%", "2.5%", "40%", "0.1%"]


def test_origin_of_the_mix_is_said_once(picture: MapPicture) -> None:
    """A fit and a vendor's mix are told beside the notes; a prior is in the notes already."""
    assert words.remarks(picture) == (*picture.notes, picture.mix_origin)
    own = replace(picture, imported=False, mix_fitted=False)
    assert words.remarks(own) == picture.notes
    assert words.remarks(replace(own, mix_fitted=True)) == (*picture.notes, picture.mix_origin)
