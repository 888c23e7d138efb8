"""Random entries against every placement counted out, and against paths whose answer is known."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from liqtiers.reports.random_entry import (
    placed,
    random_entry,
    random_entry_bars_words,
    random_entry_words,
)

COSTS = 7e-4


def bars_of(close: np.ndarray, settled: np.ndarray | None = None, *, unknown: int = 0) -> pa.Table:
    """Five-minute bars that open where the last one closed, the imbalance unknown at the first closes."""
    rate = np.zeros(len(close)) if settled is None else settled
    ts = np.datetime64("2021-01-01", "us") + np.arange(len(close)) * np.timedelta64(5, "m")
    return pa.table(
        {
            "ts": pa.array(ts).cast(pa.timestamp("us", tz="UTC")),
            "open": np.r_[close[0], close[:-1]],
            "close": close,
            "funding_settled": rate,
            "imbalance": np.where(np.arange(len(close)) < unknown, np.nan, 2.0),
            "hourly_quote_volume": np.ones(len(close)),
        }
    )


def trades_of(held: list[int], net: list[float], *, side: int = 1) -> pa.Table:
    """Trades of 100 quote each, with the same costs."""
    count = len(held)
    return pa.table(
        {
            "bars_held": held,
            "direction": [side] * count,
            "size": [1.0] * count,
            "entry_price": [100.0] * count,
            "fees": [100.0 * COSTS] * count,
            "slippage": [0.0] * count,
            "net_pnl": net,
        }
    )


@pytest.mark.parametrize("held", [(2,), (1, 3), (2, 1, 2)])
def test_every_placement_is_as_likely(held: tuple[int, ...]) -> None:
    """All placements that do not overlap, counted out, come up equally often."""
    free, draws = 3, 6000
    bars = free + sum(held)
    possible = {
        starts
        for starts in product(range(bars), repeat=len(held))
        if all(
            s + h <= t
            for (s, h), t in zip(zip(starts, held, strict=True), (*starts[1:], bars), strict=True)
        )
    }
    rng = np.random.default_rng(1)
    found = Counter(tuple(placed(np.array(held), free, rng).tolist()) for _ in range(draws))
    assert set(found) == possible
    low, high = binom.ppf([1e-4, 1 - 1e-4], draws, 1.0 / len(possible))
    assert all(low <= count <= high for count in found.values())


def test_nothing_enters_before_the_imbalance_is_known() -> None:
    """By hand: known at the close of bar 3, so a trade of two bars enters at 4, 5 or 6, as often each."""
    draws = 3000
    close = np.array([1.0, 900.0, 2.0, 100.0, 100.0, 101.0, 103.02, 106.1106])
    found = random_entry(trades_of([2], [0.0]), bars_of(close, unknown=3), draws=draws)
    assert found is not None
    assert (found["from_ts"], found["bars"], found["bars_before"]) == (
        "2021-01-01T00:20:00+00:00",
        4,
        4,
    )
    earned = np.array([0.01, 1.01 * 1.02 - 1.0, 1.02 * 1.03 - 1.0]) - COSTS
    assert found["random_low_bps"] == pytest.approx(1e4 * earned[0])
    assert found["random_high_bps"] == pytest.approx(1e4 * earned[2])
    counts = [count for count in found["counts"] if count]
    assert len(counts) == 3
    low, high = binom.ppf([1e-4, 1 - 1e-4], draws, 1 / 3)
    assert all(low <= count <= high for count in counts)


def test_nothing_enters_before_a_tiers_fuel_is_known() -> None:
    """Without an hourly volume no tier has a fuel, and the rule could not trade either."""
    bars = bars_of(100.0 + np.arange(50.0), unknown=3)
    hourly = pa.array(np.where(np.arange(50) < 20, np.nan, 1e6))
    place = bars.column_names.index("hourly_quote_volume")
    found = random_entry(
        trades_of([2], [0.0]), bars.set_column(place, "hourly_quote_volume", hourly), draws=50
    )
    assert found is not None
    assert (found["bars"], found["bars_before"]) == (29, 21)


def test_an_imbalance_without_longs_below_is_known() -> None:
    """Infinite is a value on which the rule trades; only NaN is none."""
    bars = bars_of(100.0 + np.arange(50.0))
    endless = bars.set_column(
        bars.column_names.index("imbalance"), "imbalance", pa.array(np.full(50, np.inf))
    )
    found = random_entry(trades_of([2], [0.0]), endless, draws=50)
    assert found is not None
    assert (found["bars"], found["bars_before"]) == (49, 1)


def test_a_steady_rise_is_earned_wherever_one_enters() -> None:
    """On a path that grows by g a bar a trade of h bars earns exactly (1 + g)^h - 1 less costs."""
    close = 100.0 * 1.001 ** np.arange(400)
    held = [1, 5, 9]
    bars = bars_of(close).slice(1)
    growth = np.mean([1.001**h - 1.0 for h in held])
    found = random_entry(trades_of(held, [1.0, 1.0, 1.0]), bars)
    assert found is not None
    assert found["random_mean_bps"] == pytest.approx(1e4 * (growth - COSTS))
    assert found["random_high_bps"] == pytest.approx(found["random_low_bps"])
    assert found["mean_bps"] == pytest.approx(100.0)
    assert (found["better"], found["p"]) == (0.0, 1 / 1001)
    short = random_entry(trades_of(held, [-9.0, -9.0, -9.0], side=-1), bars)
    assert short is not None
    assert short["random_mean_bps"] == pytest.approx(-1e4 * (growth + COSTS))
    assert short["p"] == 1.0


def test_funding_is_paid_at_the_closes_between() -> None:
    """On a flat path with a constant rate a trade of h bars pays h - 1 times it."""
    bars = bars_of(np.full(300, 50.0), np.full(300, 1e-4))
    found = random_entry(trades_of([4, 4], [0.0, 0.0]), bars)
    assert found is not None
    assert found["random_mean_bps"] == pytest.approx(-1e4 * (3e-4 + COSTS))


def test_entries_without_information_are_seldom_called_skill() -> None:
    """Trades placed at random themselves: p below 5 % in about 5 % of runs."""
    rng = np.random.default_rng(2)
    # A market that only rises where the imbalance is not known yet must not be held against them.
    known = np.arange(2500) >= 500
    close = 100.0 * np.exp(np.cumsum(np.where(known, rng.normal(0.0, 0.01, 2500), 0.01)))
    bars, held = bars_of(close, unknown=500), np.full(12, 10)
    opens = bars["open"].to_numpy()
    below = 0
    for _ in range(150):
        first = 501 + placed(held, 1999 - 120, rng)
        net = 100.0 * (close[first + 9] / opens[first] - 1.0 - COSTS)
        found = random_entry(trades_of(held.tolist(), net.tolist()), bars, draws=99)
        assert found is not None
        below += found["p"] <= 0.05
    assert binom.ppf(0.001, 150, 0.05) <= below <= binom.ppf(0.999, 150, 0.05)


def test_nothing_to_place_is_none() -> None:
    """No trade, no bar left over, or no imbalance that was ever known: nothing to compare with."""
    bars = bars_of(np.full(11, 5.0))
    assert random_entry(trades_of([], []), bars) is None
    assert random_entry(trades_of([6, 4], [0.0, 0.0]), bars) is None
    assert random_entry(trades_of([2], [0.0]), bars_of(np.full(11, 5.0), unknown=9)) is None
    assert random_entry(trades_of([2], [0.0]), bars_of(np.full(11, 5.0), unknown=11)) is None


@pytest.mark.parametrize(
    ("mean", "better", "p", "told"),
    [
        (5.0, 0.001, 0.002, "earned more than chance"),
        (-5.0, 0.01, 0.011, "better than chance, and a loss all the same"),
        (5.0, 0.4, 0.4, "being in the market at random did as well"),
        (-5.0, 0.99, 0.99, "cost more than chance would have"),
    ],
)
def test_the_sentence_says_what_it_means(mean: float, better: float, p: float, told: str) -> None:
    """A loss is never praised, and chance is called chance."""
    close = 100.0 * 1.001 ** np.arange(50)
    found = random_entry(trades_of([3], [1.0]), bars_of(close), draws=50)
    assert found is not None
    words = random_entry_words({**found, "mean_bps": mean, "better": better, "p": p})
    assert told in words


def test_the_page_says_over_which_bars_was_drawn() -> None:
    """From when on and how many were left out; a record of an early version is not told better than it is."""
    close = 100.0 * 1.001 ** np.arange(1500)
    found = random_entry(trades_of([3], [1.0]), bars_of(close, unknown=287), draws=50)
    whole = random_entry(trades_of([3], [1.0]), bars_of(close), draws=50)
    assert found is not None
    assert whole is not None
    assert random_entry_bars_words(found) == (
        "They are drawn over the 1,212 bars from 2021-01-02 00:00 UTC on, not over the 288 before: the "
        "map's imbalance or fuel was not known yet, and the rule could not trade."
    )
    assert random_entry_bars_words(whole) == "They are drawn over all 1,499 bars after the first."
    del found["from_ts"]  # type: ignore[misc]  # as of an early version
    assert "over all bars, those before the map was known included" in (
        random_entry_bars_words(found)
    )
