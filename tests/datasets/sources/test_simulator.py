"""The simulator: laws that hold in every world, checked by brute force on its own record."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import GENERIC_BRACKETS
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_price import liquidation_price
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.schemas import TABLES
from liqtiers.datasets.sources.simulator import (
    CLOSED_AGAINST_FORCED,
    CLOSED_AT_WILL,
    LIQUIDATED,
    MARGIN_ADDED,
    NEVER,
    STILL_OPEN,
    SimulatedMarket,
    SimulatorParameters,
    TruePositions,
    parameter_rows,
    simulate,
    sum_liquidations,
    true_book,
    true_positions,
    worlds,
    write_to_lake,
)

SMALL: Final = SimulatorParameters(days=4, warm_up_days=2)
WORLDS: Final = worlds(SMALL)
PUBLISHED: Final = ("bars", "mark_bars", "open_interest", "funding", "liquidations")
PRICES: Final = ["open", "high", "low", "close"]
FIVE_MINUTES: Final = pd.Timedelta(minutes=5)
REAL_LONG_SHARE: Final = 0.0351
REAL_SHORT_SHARE: Final = 0.0189


@pytest.fixture(scope="module", params=WORLDS)
def market(request: pytest.FixtureRequest) -> SimulatedMarket:
    return simulate(WORLDS[request.param])


@pytest.fixture(scope="module")
def plain() -> SimulatedMarket:
    return simulate(SMALL)


def frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas()


def log_returns(market: SimulatedMarket) -> np.ndarray:
    return np.diff(np.log(market.bars["close"].to_numpy()))


def quantity_at_close(market: SimulatedMarket, chosen: np.ndarray) -> np.ndarray:
    """Sum the chosen lots bar by bar, from when each was opened and closed alone."""
    lots = market.positions.where(chosen)
    changes = np.zeros(len(market) + 1)
    np.add.at(changes, np.clip(lots.opened_bar, 0, len(market)), lots.quantity)
    np.add.at(changes, np.clip(lots.closed_bar, 0, len(market)), -lots.quantity)
    return np.cumsum(changes)[:-1]


def forced(market: SimulatedMarket) -> TruePositions:
    lots = market.positions
    return lots.where((lots.reason == LIQUIDATED) & (lots.closed_bar >= 0))


# --- laws that hold in every world


def test_longs_and_shorts_both_sum_to_the_open_interest(market: SimulatedMarket) -> None:
    """At every bar each side's positions sum to the open interest, at each venue and together."""
    lots = market.positions
    for venue in (0, 1):
        longs = quantity_at_close(market, (lots.direction == 1) & (lots.venue == venue))
        shorts = quantity_at_close(market, (lots.direction == -1) & (lots.venue == venue))
        np.testing.assert_allclose(longs, shorts, rtol=1e-9, atol=1e-6)
    both = quantity_at_close(market, lots.direction == 1)
    np.testing.assert_allclose(both, market.true_open_interest, rtol=1e-9)


def test_bars_are_consistent(market: SimulatedMarket) -> None:
    """High and low enclose open and close, a bar opens at the close before, volume is positive."""
    bars = frame(market.bars)
    assert (bars[PRICES].max(axis=1) == bars["high"]).all()
    assert (bars[PRICES].min(axis=1) == bars["low"]).all()
    np.testing.assert_array_equal(bars["open"][1:], bars["close"][:-1])
    assert (bars[["volume", "quote_volume", "trades"]] > 0).all(axis=None)
    average_price = bars["quote_volume"] / bars["volume"]
    assert (average_price.between(bars["low"] * (1 - 1e-12), bars["high"] * (1 + 1e-12))).all()
    assert (bars["taker_buy_volume"].between(0, bars["volume"])).all()
    assert (bars["taker_buy_quote_volume"].between(0, bars["quote_volume"])).all()


def test_tables_are_canonical(market: SimulatedMarket) -> None:
    """Every table has its canonical schema, and no row could be known before it happened."""
    for name in PUBLISHED:
        table = getattr(market, name)
        assert table.schema.equals(TABLES[name].schema)
        rows = frame(table)
        assert len(rows) > 0
        assert (rows["available_at"] >= rows["ts"]).all()
        assert not rows.duplicated(list(TABLES[name].key)).any()
        assert rows["ts"].is_monotonic_increasing


def test_each_printed_liquidation_is_a_true_one_within_its_bar(market: SimulatedMarket) -> None:
    """A print is a position liquidated at its own liquidation price, which its bar reached."""
    bars = frame(market.bars).set_index("ts")
    prints = frame(market.liquidations)
    opens = prints["ts"].dt.floor(FIVE_MINUTES)
    assert (prints["ts"] > opens).all()
    assert (prints["available_at"] == prints["ts"]).all()
    assert (prints["price"] <= bars["high"].reindex(opens).to_numpy()).all()
    assert (prints["price"] >= bars["low"].reindex(opens).to_numpy()).all()
    lots = forced(market)
    truth = {
        (bar, direction, price, quantity)
        for bar, direction, price, quantity in zip(
            lots.closed_bar, lots.direction, lots.liquidation_price, lots.quantity, strict=True
        )
    }
    number = ((opens - bars.index[0]) / FIVE_MINUTES).astype(int)
    direction = prints["side"].map({"long": 1, "short": -1})
    shown = zip(number, direction, prints["price"], prints["quantity"], strict=True)
    assert set(shown) <= truth
    np.testing.assert_allclose(prints["notional"], prints["price"] * prints["quantity"])


def test_no_position_outlives_its_liquidation_price(market: SimulatedMarket) -> None:
    """A position ends at the latest in the first whole bar that reaches its liquidation price."""
    high = market.bars["high"].to_numpy()
    low = market.bars["low"].to_numpy()
    lots = market.positions
    lots = lots.where(np.isfinite(lots.liquidation_price) & (lots.closed_bar > 0))
    lots = lots.where(np.arange(0, len(lots), 7))
    # A margin that was added moved the price only at the close of its bar.
    for side, first, last, level in zip(
        lots.direction, lots.opened_bar, lots.closed_bar, lots.liquidation_price, strict=True
    ):
        lived = slice(max(first + 1, 0), last)
        reached = high[lived] >= level if side == -1 else low[lived] <= level
        assert not reached.any()


def test_liquidation_prices_follow_the_venue_formula(market: SimulatedMarket) -> None:
    """Each position's liquidation price is that of the linear formula for its leverage."""
    lots = market.positions
    isolated = lots.where(np.isfinite(lots.liquidation_price))
    expected = liquidation_price(
        isolated.entry,
        isolated.leverage,
        direction=isolated.direction,
        maintenance_rate=market.parameters.maintenance_rate,
    )
    np.testing.assert_allclose(isolated.liquidation_price, expected, rtol=1e-12)
    assert set(isolated.leverage) >= set(market.parameters.leverages)


def test_reasons_agree_with_ends(market: SimulatedMarket) -> None:
    """A lot still open has no end, every other one has a bar, a moment in it and a reason."""
    lots = market.positions
    still = lots.closed_bar == NEVER
    np.testing.assert_array_equal(still, lots.reason == STILL_OPEN)
    np.testing.assert_array_equal(still, np.isnan(lots.closed_moment))
    assert (lots.closed_bar >= lots.opened_bar).all()
    assert (lots.quantity > 0).all()
    ended = {LIQUIDATED, CLOSED_AT_WILL, CLOSED_AGAINST_FORCED}
    assert ended <= {int(reason) for reason in lots.reason}


def test_the_lake_takes_everything(market: SimulatedMarket, tmp_path: Path) -> None:
    """A lake accepts every row, and the same market again changes nothing."""
    lake = Lake(tmp_path)
    first = write_to_lake(market, lake)
    again = write_to_lake(market, lake)
    assert [report.table for report in first] == list(PUBLISHED)
    for report, repeated in zip(first, again, strict=True):
        rows = getattr(market, report.table).num_rows
        assert (report.inserted, report.quarantined) == (rows, 0)
        assert (repeated.unchanged, repeated.inserted, repeated.updated) == (rows, 0, 0)


# --- determinism


def test_equal_seeds_give_equal_markets(plain: SimulatedMarket) -> None:
    """The same parameters give the same market to the last bit, another seed another one."""
    again = simulate(SMALL)
    other = simulate(replace(SMALL, seed=8))
    for name in PUBLISHED:
        assert getattr(again, name).equals(getattr(plain, name))
        assert not getattr(other, name).equals(getattr(plain, name))
    for field in fields(TruePositions):
        np.testing.assert_array_equal(
            getattr(again.positions, field.name), getattr(plain.positions, field.name)
        )


@pytest.mark.parametrize("name", WORLDS)
def test_fewer_days_are_a_prefix(name: str) -> None:
    """A shorter market is the beginning of a longer one with the same seed, the truth included."""
    longer = simulate(WORLDS[name])
    shorter = simulate(replace(WORLDS[name], days=2))
    end = frame(shorter.bars)["available_at"].max()
    for table in ("bars", "mark_bars"):
        assert getattr(longer, table).slice(0, len(shorter)).equals(getattr(shorter, table))
    for table in ("open_interest", "funding", "liquidations"):
        rows = frame(getattr(longer, table))
        before = getattr(longer, table).filter(pa.array(rows["ts"] <= end))
        assert before.equals(getattr(shorter, table))
    for bar in (0, 300, len(shorter) - 1):
        by_trader = [
            pd.Series(lots.quantity).groupby(lots.trader).sum()
            for lots in (true_positions(longer, bar), true_positions(shorter, bar))
        ]
        pd.testing.assert_series_equal(*by_trader, rtol=1e-12)
        books = true_book(longer, bar), true_book(shorter, bar)
        np.testing.assert_array_equal(books[0].prices, books[1].prices)
        np.testing.assert_allclose(books[0].short, books[1].short, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(books[0].long, books[1].long, rtol=1e-9, atol=1e-9)


# --- impact


def test_without_impact_liquidations_leave_the_price_alone() -> None:
    """With impact off the price path is the same whether positions are liquidated or not."""
    on, off = simulate(SMALL), simulate(replace(SMALL, liquidations=False))
    assert on.mark_bars.equals(off.mark_bars)
    assert on.liquidations.num_rows > 1_000
    assert off.liquidations.num_rows == 0
    assert not (off.positions.reason == LIQUIDATED).any()


def test_impact_moves_the_price_only_through_liquidations() -> None:
    """With impact on the path differs, unless nothing is liquidated."""
    impact = WORLDS["impact"]
    assert not simulate(impact).mark_bars.equals(simulate(SMALL).mark_bars)
    quiet = simulate(replace(impact, liquidations=False))
    assert quiet.mark_bars.equals(simulate(SMALL).mark_bars)


@pytest.fixture(scope="session")
def long_markets() -> dict[str, list[SimulatedMarket]]:
    return {
        name: [simulate(replace(WORLDS[name], seed=seed, days=80)) for seed in range(5)]
        for name in ("impact", "matching")
    }


def _return_after_sweeps(market: SimulatedMarket, side: str) -> np.ndarray:
    """Log returns of the hour after the one percent of bars that liquidated most of a side."""
    sums = frame(sum_liquidations(market.liquidations, "5m"))
    bars = frame(market.bars)
    swept = sums[sums["side"] == side].set_index("ts")["notional"].reindex(bars["ts"])
    swept = swept.fillna(0.0).to_numpy()
    close = np.log(bars["close"].to_numpy())
    large = np.flatnonzero(swept[:-12] > np.quantile(swept, 0.99))
    return close[large + 12] - close[large]


@pytest.mark.parametrize(("side", "sign"), [("short", 1.0), ("long", -1.0)])
def test_sweeps_drive_the_price_on_with_impact_only(
    long_markets: dict[str, list[SimulatedMarket]], side: str, sign: float
) -> None:
    """Price rises after large sweeps of shorts and falls after those of longs, by impact alone.

    Events within an hour overlap, so a sixth of them is counted as independent.
    """
    t = {}
    for name, markets in long_markets.items():
        after = sign * np.concatenate([_return_after_sweeps(m, side) for m in markets])
        t[name] = after.mean() / after.std() * np.sqrt(len(after) / 6)
    assert t["impact"] > 3.0
    assert abs(t["matching"]) < 3.0


def test_a_forced_order_moves_the_price_by_its_share_of_the_volume() -> None:
    """All impact at once, the path still: the price ends where the orders' sum puts it."""
    parameters = replace(
        SMALL, warm_up_days=0, days=2, impact=0.01, impact_at_once=1.0, seed=3, start_price=6e6
    )
    pushed, still = simulate(parameters), simulate(replace(parameters, impact=0.0))
    lots = forced(pushed)
    value = lots.quantity * lots.liquidation_price
    hourly = parameters.daily_quote_volume / 24
    push = np.zeros(len(pushed))
    np.add.at(push, lots.closed_bar, np.where(lots.direction == -1, 1.0, -1.0) * value / hourly)
    difference = np.log(pushed.bars["close"].to_numpy() / still.bars["close"].to_numpy())
    np.testing.assert_allclose(difference, 0.01 * np.cumsum(push), atol=1e-6)


# --- likeness to a market


def test_a_plausible_share_of_positions_is_liquidated() -> None:
    """The share of open interest liquidated a day is within a factor of three of the known one."""
    market = simulate(SimulatorParameters(days=60))
    lots = forced(market)
    for direction, known in ((1, REAL_LONG_SHARE), (-1, REAL_SHORT_SHARE)):
        share = lots.quantity[lots.direction == direction].sum() / 60
        share /= market.true_open_interest.mean()
        assert known / 3 < share < known * 3


def test_returns_have_the_wanted_distribution() -> None:
    """Volatility, kurtosis and autocorrelation of returns are those asked for."""
    market = simulate(SimulatorParameters(days=60))
    returns = pd.Series(log_returns(market))
    assert returns.std() * np.sqrt(365 * 288) == pytest.approx(0.50, rel=0.03)
    assert abs(returns.mean()) < 4 * returns.std() / np.sqrt(len(returns))
    assert abs(returns.kurt()) < 0.2
    assert abs(returns.autocorr(1)) < 0.03
    assert abs(returns.abs().autocorr(1)) < 0.03


def test_clusters_and_autocorrelation_are_there_when_asked_for() -> None:
    """Clustered volatility is persistent and fat-tailed; autocorrelated returns are that."""
    presets = worlds(SimulatorParameters(days=60))
    clustered = pd.Series(log_returns(simulate(presets["volatility clusters"])))
    assert clustered.abs().autocorr(12) > 0.1
    assert clustered.kurt() > 2
    correlated = pd.Series(log_returns(simulate(presets["autocorrelated"])))
    assert correlated.autocorr(1) == pytest.approx(0.15, abs=0.03)
    assert correlated.std() * np.sqrt(365 * 288) == pytest.approx(0.50, rel=0.03)


def test_volume_follows_moves_and_the_hour(plain: SimulatedMarket) -> None:
    """Volume rises with the size of the move and is larger at 15:00 than at 03:00 UTC."""
    bars = frame(plain.bars)
    move = (np.log(bars["close"]) - np.log(bars["open"])).abs()
    assert move.corr(bars["quote_volume"], method="spearman") > 0.3
    by_hour = bars["quote_volume"].groupby(bars["ts"].dt.hour).mean()
    assert by_hour[15] > 1.5 * by_hour[3]
    taker_share = bars["taker_buy_volume"] / bars["volume"]
    assert taker_share.corr(bars["close"] - bars["open"]) > 0.3


def test_positions_close_at_the_stated_rate() -> None:
    """Without leverage the first book decays at the hazard, losers at theirs."""
    calm = SimulatorParameters(
        days=10, warm_up_days=0, isolated_share=0.0, volatility=1e-4, seed=5, losers_hazard=3.0
    )
    lots = simulate(calm).positions
    first = lots.where(lots.opened_bar < 0)
    winning = np.where(first.direction == 1, first.entry < 60_000, first.entry > 60_000)
    clear = np.abs(first.entry / 60_000 - 1) > 0.001
    for chosen, rate in ((winning & clear, 0.00276), (~winning & clear, 3 * 0.00276)):
        closed = (first.closed_bar[chosen] != NEVER).mean()
        assert closed == pytest.approx(1 - np.exp(-rate * 240), abs=0.025)


def test_the_generic_maintenance_rate_is_used() -> None:
    """The default maintenance rate is the one that an unknown venue's positions are given."""
    assert SMALL.maintenance_rate == GENERIC_BRACKETS.maintenance_rate[0]


# --- options


CHANGES: Final[dict[str, Any]] = {
    "seed": 8,
    "days": 3,
    "warm_up_days": 1,
    "start": date(2023, 5, 1),
    "bar": "15m",
    "sub_steps": 12,
    "start_price": 30_000.0,
    "price_decimals": 0,
    "volatility": 0.8,
    "drift": 1.0,
    "volatility_clustering": 0.5,
    "autocorrelation": 0.1,
    "daily_quote_volume": 1e9,
    "volume_noise": 0.1,
    "volume_from_move": 0.1,
    "volume_season": 0.1,
    "average_trade": 1_000.0,
    "open_interest_at_start": 1e9,
    "opening_share": 0.05,
    "openings_a_bar": 4,
    "opening_size_spread": 0.2,
    "leverages": (3.0, 5.0, 10.0, 20.0, 25.0, 50.0, 75.0, 90.0),
    "mix": (0.125,) * 8,
    "isolated_share": 0.4,
    "long_tilt": 0.0,
    "trend_following": 0.3,
    "leverage_drift": 0.5,
    "maintenance_rate": 0.004,
    "closing_hazard": 0.01,
    "losers_hazard": 0.67,
    "review_hours": 4.0,
    "top_up_share": 0.5,
    "counterparty_opens": 0.9,
    "liquidations": False,
    "impact": 0.01,
    "open_interest_every_bars": 12,
    "open_interest_noise": 0.01,
    "open_interest_delay_bars": 3,
    "prints": "one a second",
    "print_coverage": 0.5,
    "venue_share": 0.5,
    "funding_base": 0.0,
    "funding_from_trend": 0.0,
}
DEPENDENT: Final[dict[str, tuple[dict[str, Any], Any]]] = {
    "volatility_half_life_hours": ({"volatility_clustering": 0.5}, 48.0),
    "leverage_drift_days": ({"leverage_drift": 0.5}, 20.0),
    "top_up_distance": ({"top_up_share": 0.5}, 0.2),
    "impact_at_once": ({"impact": 0.01}, 1.0),
    "impact_half_life_bars": ({"impact": 0.01}, 1.0),
}


def _published(parameters: SimulatorParameters) -> list[pa.Table]:
    market = simulate(parameters)
    return [getattr(market, name) for name in PUBLISHED]


@pytest.mark.parametrize("name", [f.name for f in fields(SimulatorParameters)])
def test_every_option_changes_what_is_published(name: str) -> None:
    """No parameter is dead: another value gives another market."""
    given, value = DEPENDENT[name] if name in DEPENDENT else ({}, CHANGES[name])
    base = replace(SMALL, days=2, warm_up_days=3, **given)
    before, after = _published(base), _published(replace(base, **{name: value}))
    assert any(not a.equals(b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("days", 0),
        ("sub_steps", 0),
        ("bar", "7m"),
        ("volatility", 0.0),
        ("volatility", float("nan")),
        ("warm_up_days", -1),
        ("isolated_share", 1.1),
        ("venue_share", 0.0),
        ("autocorrelation", 1.0),
        ("prints", "some"),
        ("mix", (1.0,)),
        ("mix", (0.2,) * 8),
        ("leverages", (1.0, 5.0, 10.0, 20.0, 25.0, 50.0, 75.0, 100.0)),
        ("maintenance_rate", 0.02),
    ],
)
def test_a_wrong_parameter_is_named(name: str, value: object) -> None:
    """A value that makes no sense is an input error that names the parameter."""
    wrong = "leverages" if name == "maintenance_rate" else name
    with pytest.raises(InputError, match=f"simulator parameter {wrong}"):
        replace(SMALL, **{name: value})  # type: ignore[arg-type]  # wrong on purpose


def test_every_parameter_is_documented() -> None:
    """The parameter table gives value, unit and meaning of each field."""
    rows = parameter_rows(SMALL)
    assert [row["name"] for row in rows] == [f.name for f in fields(SimulatorParameters)]
    assert all(row["unit"] and row["meaning"] for row in rows)


def test_worlds_are_named_and_share_their_base() -> None:
    """The presets are those that the design names, and each has the base's seed and length."""
    assert set(WORLDS) == {
        "matching",
        "impact",
        "drifting leverage",
        "topped up",
        "losers close early",
        "noisy open interest",
        "late open interest",
        "thinned prints",
        "two venues",
        "volatility clusters",
        "autocorrelated",
    }
    assert WORLDS["matching"] == SMALL
    assert {(world.seed, world.days) for world in WORLDS.values()} == {(SMALL.seed, SMALL.days)}


# --- what the venue publishes


def test_open_interest_is_seldom_noisy_and_late_as_asked(plain: SimulatedMarket) -> None:
    """Observations fall on every nth close, are as noisy as asked and come after the delay."""
    market = simulate(
        replace(
            SMALL,
            open_interest_every_bars=4,
            open_interest_noise=0.01,
            open_interest_delay_bars=6,
        )
    )
    exact = frame(plain.open_interest)
    rows = frame(market.open_interest)
    np.testing.assert_allclose(exact["oi_base"], plain.true_open_interest)
    np.testing.assert_array_equal(exact["ts"], frame(plain.bars)["available_at"])
    np.testing.assert_array_equal(rows["ts"], exact["ts"][3::4])
    assert set(rows["available_at"] - rows["ts"]) == {pd.Timedelta("30m")}
    error = np.log(rows["oi_base"].to_numpy() / exact["oi_base"][3::4].to_numpy())
    assert error.std() == pytest.approx(0.01, rel=0.15)


def test_thinned_prints_are_a_part_of_all(plain: SimulatedMarket) -> None:
    """One a second shows each second's last order; coverage shows about its share."""
    every = frame(plain.liquidations)
    thinned = frame(simulate(replace(SMALL, prints="one a second")).liquidations)
    seconds = every["ts"].dt.floor("s")
    last = every[~seconds.duplicated(keep="last")].reset_index(drop=True)
    pd.testing.assert_frame_equal(thinned.drop(columns="seq"), last.drop(columns="seq"))
    assert len(thinned) < len(every)
    covered = simulate(replace(SMALL, print_coverage=0.5)).liquidations
    assert covered.num_rows == pytest.approx(0.5 * len(every), rel=0.1)


def test_the_second_venue_is_not_shown() -> None:
    """The venue shown has its share of open interest, volume and prints; the price is one."""
    market = simulate(WORLDS["two venues"])
    whole = simulate(SMALL)
    seen = frame(market.open_interest)["oi_base"].to_numpy()
    assert (seen / market.true_open_interest).mean() == pytest.approx(0.35, abs=0.05)
    at_first = true_positions(market, -1, venue=0)
    both = true_positions(market, -1)
    assert len(at_first) + len(true_positions(market, -1, venue=1)) == len(both)
    assert at_first.quantity[at_first.direction == 1].sum() == pytest.approx(seen[-1])
    assert market.liquidations.num_rows < 0.6 * len(forced(market))
    volumes = [frame(m.bars)["volume"].sum() for m in (market, whole)]
    assert volumes[0] / volumes[1] == pytest.approx(0.35, abs=0.01)
    assert market.mark_bars.equals(whole.mark_bars)


def test_funding_settles_every_eight_hours(plain: SimulatedMarket) -> None:
    """Rates settle at 00, 08 and 16 UTC, at the base rate without a trend, higher after rises."""
    flat = frame(simulate(replace(SMALL, funding_from_trend=0.0)).funding)
    assert set(flat["rate"]) == {0.0001}
    assert set(flat["interval_hours"]) == {8.0}
    assert set(flat["ts"].dt.hour) == {0, 8, 16}
    assert len(flat) == 3 * SMALL.days
    rising = frame(simulate(replace(SMALL, drift=20.0)).funding)
    assert rising["rate"].mean() > frame(plain.funding)["rate"].mean() + 0.0001


def test_liquidations_are_summed_by_bar() -> None:
    """Hourly sums hold each side's notional, zeros where none was, known at the hour's close."""
    market = simulate(SMALL)
    three = market.liquidations.slice(0, 3)
    minutes = pd.to_timedelta([10, 20, 125], unit="min")
    ts = pa.array(pd.Timestamp("2024-01-01", tz="UTC") + minutes)
    three = three.set_column(0, "ts", ts.cast(pa.timestamp("us", tz="UTC")))
    three = three.set_column(2, "side", pa.array(["long", "long", "short"]))
    sums = frame(sum_liquidations(three, "1h"))
    notional = three["notional"].to_pylist()
    assert sums["side"].tolist() == ["long", "short"] * 3
    assert sums["notional"].tolist() == pytest.approx(
        [notional[0] + notional[1], 0.0, 0.0, 0.0, 0.0, notional[2]]
    )
    assert sums["ts"].dt.hour.tolist() == [0, 0, 1, 1, 2, 2]
    assert set(sums["available_at"] - sums["ts"]) == {pd.Timedelta("1h")}
    assert sum_liquidations(three.slice(0, 0), "1h").num_rows == 0


def test_a_panel_can_be_read_back(plain: SimulatedMarket, tmp_path: Path) -> None:
    """The panel has the open interest of each close and all printed liquidations."""
    lake = Lake(tmp_path)
    write_to_lake(plain, lake, venue="elsewhere", symbol="ABC")
    panel = load_panel(lake, venue="elsewhere", symbol="ABC", timeframe="5m")
    np.testing.assert_array_equal(panel.oi_base, plain.true_open_interest)
    lots = forced(plain)
    for name, direction in (("long_liquidations", 1), ("short_liquidations", -1)):
        side = lots.where(lots.direction == direction)
        sums = np.zeros(len(plain))
        np.add.at(sums, side.closed_bar, side.quantity * side.liquidation_price)
        known = np.isfinite(getattr(panel, name))
        assert known.mean() > 0.9
        np.testing.assert_allclose(getattr(panel, name)[known], sums[known])


# --- the truth


def test_the_true_book_bins_the_true_positions(plain: SimulatedMarket) -> None:
    """Each position lies in the bin of its liquidation price; those without one lie nowhere."""
    book = true_book(plain, 500, bin_width=0.002)
    lots = true_positions(plain, 500)
    np.testing.assert_allclose(np.diff(np.log(book.prices)), 0.002)
    expected = {-1: np.zeros(len(book.prices)), 1: np.zeros(len(book.prices))}
    for side, price, quantity in zip(
        lots.direction, lots.liquidation_price, lots.quantity, strict=True
    ):
        if np.isfinite(price):
            expected[int(side)][np.abs(np.log(book.prices / price)).argmin()] += quantity
    np.testing.assert_allclose(book.short, expected[-1], atol=1e-9)
    np.testing.assert_allclose(book.long, expected[1], atol=1e-9)
    close = plain.bars["close"][500].as_py()
    assert book.short[book.prices < close * 0.99].sum() == 0.0
    assert book.long[book.prices > close * 1.01].sum() == 0.0


def test_bars_count_from_the_end_as_in_a_list(plain: SimulatedMarket) -> None:
    """A negative bar counts from the end; one that does not exist is an input error."""
    last = true_positions(plain, -1)
    assert len(last) == len(true_positions(plain, len(plain) - 1)) > 0
    for bar in (len(plain), -len(plain) - 1):
        with pytest.raises(InputError, match=f"bar {bar} does not exist"):
            true_positions(plain, bar)


def test_added_margin_halves_the_leverage() -> None:
    """Who adds margin has the same position at half the leverage, further from liquidation."""
    lots = simulate(WORLDS["topped up"]).positions
    table = pd.DataFrame({f.name: getattr(lots, f.name) for f in fields(lots)})
    added = table[table["reason"] == MARGIN_ADDED]
    assert len(added) > 100
    keys = {"left_on": ["trader", "opened_bar"], "right_on": ["trader", "closed_bar"]}
    after = table.merge(added, suffixes=("", "_x"), **keys)
    assert len(after) >= len(added)
    np.testing.assert_array_equal(after["leverage"], after["leverage_x"] / 2)
    np.testing.assert_array_equal(after["entry"], after["entry_x"])
    move = (after["liquidation_price"] - after["liquidation_price_x"]) * after["direction"]
    assert (move[move.notna()] < 0).all()


def test_traders_follow_the_trend_when_asked_to() -> None:
    """In a rising market trend followers put more leverage on longs than on shorts."""
    rising = replace(SMALL, drift=20.0, long_tilt=0.0)
    share = {}
    for follow in (0.0, 0.5):
        lots = simulate(replace(rising, trend_following=follow)).positions
        lots = lots.where(lots.opened_bar >= 0)
        isolated = lots.leverage > 0
        share[follow] = isolated[lots.direction == 1].mean() - isolated[lots.direction == -1].mean()
    assert abs(share[0.0]) < 0.05
    assert share[0.5] > 0.15


def test_a_drifting_mix_swings_around_its_average() -> None:
    """The weights of high leverages rise and fall, and sum to 1 on each day."""
    drifting = replace(WORLDS["drifting leverage"], days=45, warm_up_days=0)
    mix = drifting.mix_by_day()
    np.testing.assert_allclose(mix.sum(axis=1), 1.0)
    high = mix[:, 4:].sum(axis=1)
    assert high[11] > 1.5 * high[0] > 2.0 * high[34]
    np.testing.assert_allclose(mix[0], drifting.mix)
