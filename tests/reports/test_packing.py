"""What the page carries of each bar, unpacked again by a plain reading of the format."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liqtiers.reports.packing import LAST, overview, packed_columns

STEP = 300_000.0


def unpack(entry: dict[str, Any]) -> NDArray[np.float64]:
    """The steps of a column: little-endian words in four planes, sign in the lowest bit."""
    planes = np.frombuffer(gzip.decompress(base64.b64decode(entry["packed"])), np.uint8)
    words = planes.reshape(4, -1).T.copy().view("<u4").ravel().astype(np.int64)
    return np.where(words == 0xFFFFFFFF, np.nan, (words >> 1) ^ -(words & 1))


def summed(entry: dict[str, Any]) -> NDArray[np.float64]:
    steps = unpack(entry)
    values = entry["start"] + np.cumsum(np.nan_to_num(steps)) * entry["unit"]
    return np.where(np.isnan(steps), np.nan, values)


def market(n: int, *, seed: int = 0, price: float = 60_000.0) -> dict[str, NDArray[np.float64]]:
    """Columns of a random walk; unknown open interest at first, an imbalance with holes."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    opened = np.concatenate([[price], close[:-1]])
    imbalance = np.exp(rng.normal(0.0, 2.0, n))
    imbalance[::7] = np.nan
    oi = rng.uniform(1e4, 2e4, n)
    oi[: n // 3] = np.nan
    return {
        "open": opened,
        "high": np.maximum(opened, close) * 1.001,
        "low": np.minimum(opened, close) * 0.999,
        "close": close,
        "imbalance": imbalance,
        "oi_base": oi,
        "funding_rate": np.full(n, np.nan),
        "equity": 1e5 + np.cumsum(rng.normal(0.0, 50.0, n)),
        "drawdown": -rng.uniform(0.0, 20.0, n),
        "hold": close,
        "held_share": np.cumprod(1.0 + rng.normal(0.0, 1e-5, n)),
    }


@given(st.integers(1, 60), st.integers(0, 1000), st.sampled_from([1e-5, 1.0, 60_000.0]))
def test_prices_come_back_within_a_millionth_of_the_highest(
    n: int, seed: int, price: float
) -> None:
    """Jump, body and wicks add up to the four prices, at any level of price."""
    columns = market(n, seed=seed, price=price)
    packed = packed_columns(columns, np.arange(n) * STEP, step=STEP)
    move = {name: unpack(packed[name]) for name in ("open", "high", "low", "close")}
    close = np.cumsum(move["open"] + move["close"])
    opened = close - move["close"]
    unit = packed["open"]["unit"]
    found = {
        "open": opened * unit,
        "close": close * unit,
        "high": (np.maximum(opened, close) + move["high"]) * unit,
        "low": (np.minimum(opened, close) - move["low"]) * unit,
    }
    for name, values in found.items():
        np.testing.assert_allclose(values, columns[name], atol=0.51 * unit, rtol=0)
    assert unit <= 1.0000001e-6 * columns["high"].max()


@pytest.mark.parametrize("name", ["oi_base", "equity", "drawdown", "held_share", "funding_rate"])
def test_other_columns_come_back_with_their_holes(name: str) -> None:
    """Values are kept to a hundred-thousandth of the largest; an unknown value stays unknown."""
    columns = market(500)
    entry = packed_columns(columns, np.arange(500) * STEP, step=STEP)[name]
    np.testing.assert_allclose(summed(entry), columns[name], atol=0.51 * entry["unit"])


def test_imbalance_is_kept_as_its_logarithm() -> None:
    """A ratio is kept to a tenth of a percent whether it is 100 or a hundredth."""
    columns = market(500)
    entry = packed_columns(columns, np.arange(500) * STEP, step=STEP)["imbalance"]
    np.testing.assert_allclose(np.exp(summed(entry)), columns["imbalance"], rtol=0.0006)


def test_times_keep_gaps() -> None:
    """A bar after a gap keeps its time."""
    when = 1.7e12 + STEP * np.array([0, 1, 2, 300, 301])
    packed = packed_columns(market(5), when, step=STEP)["t"]
    np.testing.assert_array_equal(packed["start"] + np.cumsum(unpack(packed)) * STEP, when)


@pytest.mark.parametrize("n", [1, 2, 699, 700, 701, 5000])
def test_overview_loses_no_extreme(n: int) -> None:
    """At most the wanted number of candles, with every high, low and deepest drawdown in them."""
    columns = market(n)
    shown = overview(columns, np.arange(n) * STEP, step=STEP, drawn=700)
    assert len(shown["t"]) <= 700
    assert shown["high"].max() == columns["high"].max()
    assert shown["low"].min() == columns["low"].min()
    assert shown["drawdown"].min() == columns["drawdown"].min()
    assert shown["open"][0] == columns["open"][0]
    for name in ("close", *LAST):
        np.testing.assert_equal(shown[name][-1], columns[name][-1])
    away = np.abs(np.log(columns["imbalance"]))
    if np.isfinite(away).any():
        assert np.nanmax(np.abs(np.log(shown["imbalance"]))) == np.nanmax(away)
    if np.isfinite(columns["funding_rate"]).any():
        wanted = np.nanmax(np.abs(columns["funding_rate"]))
        assert np.nanmax(np.abs(shown["funding_rate"])) == wanted
    assert (shown["mid"] + shown["width"] / 2 <= n * STEP).all()
