"""What the picture of a map states, against sums made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import random_panel
from liqtiers.datasets.calibration import Calibration
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.naming import HOUR_US
from liqtiers.reports.map_picture import HEADLINE_WINDOW, Side, base_rate, map_picture
from made_up_maps import LONGS, PRICE, SHORTS, WIDTH, made_up_map, still_panel, with_imbalance


def test_bars_add_up_to_what_was_put_in() -> None:
    """Every level is drawn on its own side, and the bars sum to the levels."""
    panel = still_panel()
    picture = map_picture(made_up_map(panel), panel)
    assert picture.shorts.notional.sum() == pytest.approx(sum(SHORTS.values()), rel=1e-6)
    assert picture.longs.notional.sum() == pytest.approx(sum(LONGS.values()), rel=1e-6)
    for side, levels in ((picture.shorts, SHORTS), (picture.longs, LONGS)):
        low, high = np.minimum(side.edges[:-1], side.edges[1:]), side.edges[:-1]
        high = np.maximum(side.edges[:-1], side.edges[1:])
        for at, notional in levels.items():
            (place,) = np.flatnonzero((low <= at * PRICE) & (at * PRICE < high))
            assert side.notional[place] == pytest.approx(notional, rel=1e-6)


def test_sides_walk_away_from_price_and_leave_its_bin_out() -> None:
    """Edges go up for shorts and down for longs; between them lies the one bin of the price."""
    panel = still_panel()
    picture = map_picture(made_up_map(panel), panel)
    assert (np.diff(picture.shorts.edges) > 0).all()
    assert (np.diff(picture.longs.edges) < 0).all()
    assert picture.longs.edges[0] <= PRICE < picture.shorts.edges[0]
    gap = np.log(picture.shorts.edges[0] / picture.longs.edges[0])
    assert gap == pytest.approx(WIDTH, rel=1e-6)


def test_windows_equal_the_levels_within_them() -> None:
    """The stated sums are those of the levels whose bin lies within the distance."""
    panel = still_panel()
    picture = map_picture(made_up_map(panel), panel)
    here = np.floor(np.log(PRICE) / WIDTH)
    for window in picture.windows:
        for levels, sign, stated in (
            (SHORTS, 1, window.above),
            (LONGS, -1, window.below),
        ):
            reach = int(abs(np.log1p(sign * window.distance)) / WIDTH)
            within = [
                notional
                for at, notional in levels.items()
                if 1 <= sign * (np.floor(np.log(at * PRICE) / WIDTH) - here) <= reach
            ]
            assert stated == pytest.approx(sum(within), rel=1e-6)
        assert window.imbalance == pytest.approx(window.above / window.below)


def test_bars_within_a_window_sum_to_its_figure_on_our_own_map() -> None:
    """What is drawn agrees with the features of a map built from open interest and one from volume."""
    for open_interest in (True, False):
        panel = random_panel(3000, seed=5, open_interest=open_interest)
        built = build_map(panel, instrument_for("binance", "BTCUSDT"), snapshots=1)
        picture = map_picture(built, panel)
        for window in picture.windows:
            up = int(np.log1p(window.distance) / picture.bin_width)
            down = int(-np.log1p(-window.distance) / picture.bin_width)
            assert picture.shorts.notional[:up].sum() == pytest.approx(window.above, rel=1e-5)
            assert picture.longs.notional[:down].sum() == pytest.approx(window.below, rel=1e-5)


def test_tiers_stand_from_the_top_and_hold_their_bars() -> None:
    """Dense tiers are named from price outward, listed from the top, and sum what lies between."""
    panel = still_panel()
    picture = map_picture(made_up_map(panel), panel)
    lowers = [tier.lower for tier in picture.tiers]
    assert lowers == sorted(lowers, reverse=True)
    names = [tier.name for tier in picture.tiers]
    assert names == ["S4", "S3", "S2", "S1", "L1", "L2", "L3"]
    for tier in picture.tiers:
        levels = SHORTS if tier.side == "shorts" else LONGS
        inside = [n for at, n in levels.items() if tier.lower <= at * PRICE < tier.upper]
        assert tier.notional == pytest.approx(sum(inside), rel=1e-6)
        assert tier.fuel == pytest.approx(tier.notional / 7e10, rel=1e-6)
        near = tier.lower if tier.side == "shorts" else tier.upper
        assert tier.distance == pytest.approx(near / PRICE - 1.0)


@given(
    st.lists(st.floats(0.0, 1e12), min_size=1, max_size=60),
    st.integers(1, 70),
    st.sampled_from([1.0, -1.0]),
)
def test_summed_rows_lose_nothing(values: list[float], bins: int, direction: float) -> None:
    """Rows of any number of bins keep the sum, the ends and, at each edge, the cumulative sum."""
    notional = np.array(values)
    side = Side(edges=np.exp(direction * 0.001 * np.arange(len(values) + 1)), notional=notional)
    rows = side.rows(bins)
    assert rows.notional.sum() == pytest.approx(notional.sum())
    assert len(rows.edges) == len(rows.notional) + 1
    assert (rows.edges[0], rows.edges[-1]) == (side.edges[0], side.edges[-1])
    places = np.searchsorted(direction * side.edges, direction * rows.edges[1:])
    assert rows.cumulative == pytest.approx(side.cumulative[places - 1])


ratios = st.one_of(st.floats(1e-6, 1e6), st.sampled_from([0.0, np.inf, np.nan, 1.0]))


@given(st.lists(ratios, min_size=1, max_size=40))
def test_base_rate_counts_earlier_bars_that_were_as_lopsided(history: list[float]) -> None:
    """Brute force: a bar counts if it is known and its ratio, or its inverse, is at least as large."""
    moments = np.arange(len(history), dtype=np.int64) * HOUR_US
    found = base_rate(np.array(history), moments)
    now = history[-1]
    known = [(m, r) for m, r in zip(moments[:-1], history[:-1], strict=True) if not np.isnan(r)]
    assert found.bars == len(known)
    if not known or np.isnan(now):
        assert np.isnan(found.either)
        return
    assert found.since_us == known[0][0]

    def lean(ratio: float) -> float:
        return abs(float(np.log(ratio))) if 0.0 < ratio < np.inf else np.inf

    as_far = [r for _, r in known if lean(r) >= lean(now)]
    same = [r for r in as_far if np.sign(r - 1.0) == np.sign(now - 1.0)]
    assert found.either == pytest.approx(len(as_far) / len(known))
    assert found.same == pytest.approx(len(same) / len(known))


def test_base_rate_leaves_out_the_time_before_open_interest() -> None:
    """A map from volume is another map: its bars are no past of one from open interest."""
    panel = replace(still_panel(), oi_observed=np.arange(60) >= 40)
    history = np.where(np.arange(60) < 40, 100.0, 2.0)
    for model, bars, either in (("open interest", 19, 1.0), ("volume", 59, 1.0)):
        built = with_imbalance(made_up_map(panel, model=model), history)
        rate = map_picture(built, panel).headline.base_rate
        assert (rate.bars, rate.either) == (bars, either)


def test_headline_is_the_window_nearest_to_ten_percent() -> None:
    """The first sentence speaks of 10 %, where the map was measured there."""
    panel = still_panel()
    assert map_picture(made_up_map(panel), panel).headline.distance == HEADLINE_WINDOW


@pytest.mark.parametrize(
    ("shorts", "longs", "imbalance"),
    [(SHORTS, {}, np.inf), ({}, LONGS, 0.0)],
    ids=["no longs", "no shorts"],
)
def test_one_sided_map_is_a_picture(
    shorts: dict[float, float], longs: dict[float, float], imbalance: float
) -> None:
    """A map with nothing on one side still shows the other."""
    panel = still_panel()
    picture = map_picture(made_up_map(panel, shorts=shorts, longs=longs), panel)
    assert picture.headline.imbalance == imbalance
    assert {tier.side for tier in picture.tiers} == {"shorts" if shorts else "longs"}
    empty = picture.longs if shorts else picture.shorts
    assert empty.notional.sum() == 0.0


def test_empty_map_is_refused_with_what_to_do() -> None:
    """A map in which nothing lies near price is an error that names the reach and the way out."""
    panel = still_panel()
    built = made_up_map(panel, shorts={1.9: 1e9}, longs={0.4: 1e9})
    with pytest.raises(InputError, match="nothing lies within 40% of price; choose a later moment"):
        map_picture(built, panel)


def test_map_that_is_unknown_by_then_is_refused() -> None:
    """Where the last snapshot is too old there is no picture, and the message says why."""
    panel = still_panel()
    built = made_up_map(panel)
    nothing = np.full_like(built.features.notional_above, np.nan)
    features = replace(built.features, notional_above=nothing, notional_below=nothing)
    with pytest.raises(InputError, match="last snapshot is too old"):
        map_picture(replace(built, features=features), panel)


@pytest.mark.parametrize(
    ("price", "tick", "places"),
    [(1.234e-5, 0.01, 10), (71_450.0, 0.1, 1), (71_450.0, None, 1), (8.2e9, 0.01, 2), (0.5, 1e-4, 4)],
)  # fmt: skip
def test_prices_are_written_with_the_decimals_they_need(
    price: float, tick: float | None, places: int
) -> None:
    """The tick decides, unless it is a stand-in larger than a price can be told apart by."""
    panel = still_panel(price=price)
    picture = map_picture(made_up_map(panel), panel, tick=tick)
    assert picture.places == places
    assert picture.price == price
    assert picture.shorts.notional.sum() == pytest.approx(sum(SHORTS.values()), rel=1e-6)


def test_open_interest_is_stated_only_where_it_is_the_maps_base() -> None:
    """The book of a map from open interest, in quote; not that of a vendor's map or one from volume."""
    panel = random_panel(600, seed=1)
    built = build_map(panel, instrument_for("binance", "BTCUSDT"))
    expected = panel.oi_base[-1] * panel.close[-1]
    assert map_picture(built, panel).book == pytest.approx(expected, rel=1e-9)
    bare = random_panel(600, seed=1, open_interest=False)
    built = build_map(bare, instrument_for("binance", "BTCUSDT"))
    picture = map_picture(built, bare)
    assert np.isnan(picture.book)
    assert picture.model == "volume"
    assert "built from volume" in " ".join(picture.notes)


def calibrated(fitted_bars: list[int]) -> tuple[str, tuple[tuple[float, float, float], ...]]:
    """Origin and mix of a map whose fits were made at these bars."""
    panel = still_panel()
    rows = len(fitted_bars) + 1
    mix = np.arange(rows)[:, np.newaxis, np.newaxis] / 100.0 + np.array([[[0.1], [0.2]]])
    fit = Calibration(
        target="printed liquidations",
        leverages=(10.0,),
        fitted_us=np.array([panel.ts[0], *(panel.ts[bar] for bar in fitted_bars)]),
        mix=mix,
        churn=np.full(rows, 0.03),
        periods=np.arange(rows) * 1000,
    )
    built = replace(made_up_map(panel, model="open interest"), calibration=fit)
    picture = map_picture(built, panel)
    return picture.mix_origin, picture.mix


def test_fitted_mix_is_the_one_in_force_and_says_from_what() -> None:
    """The last fit that was made before the last bar counts, with its day and its sample."""
    origin, mix = calibrated([24, 48])
    assert (
        "fitted to printed liquidations up to 2026-03-03 and nothing later (2,000 periods)"
        in origin
    )
    assert mix == ((10.0, pytest.approx(0.12), pytest.approx(0.22)),)


def test_calibration_without_a_fit_is_still_a_prior() -> None:
    """Before the first refit the page does not claim a fit."""
    origin, mix = calibrated([])
    assert "still the prior: by then too little of printed liquidations" in origin
    assert mix == ((10.0, pytest.approx(0.1), pytest.approx(0.2)),)


def test_uncalibrated_and_imported_maps_say_so() -> None:
    """A prior is called one, and a vendor's mix is not ours to know."""
    panel = still_panel()
    own = map_picture(made_up_map(panel, model="volume"), panel)
    assert "is a prior" in own.mix_origin
    assert len(own.mix) > 3
    theirs = map_picture(made_up_map(panel), panel)
    assert theirs.imported
    assert "the maker's own" in theirs.mix_origin
    assert theirs.mix == ()


def test_names_hold_nothing_that_a_terminal_obeys() -> None:
    """Control characters and line breaks of a vendor's name do not reach terminal, page or image."""
    panel = still_panel()
    picture = map_picture(
        made_up_map(panel, model="a\x1b[2J\r\nb\u202e c"), panel, notes=("n\x07",)
    )
    assert picture.model == "a [2J b c"
    assert picture.notes[0] == "n"
