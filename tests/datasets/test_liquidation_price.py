"""Liquidation prices against the venues' published examples."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import brackets_for, instrument_for
from liqtiers.datasets.liquidation_price import FORMULAS, liquidation_price

entries = st.floats(1.0, 1e6)
leverages = st.floats(1.5, 90.0)


@pytest.mark.parametrize(
    ("formula", "direction", "entry", "leverage", "rate", "expected"),
    [
        ("linear", 1, 20_000, 50, 0.005, 19_698.49),  # Bybit help, since 2025-09-02
        ("bybit linear until 2025-09", 1, 20_000, 50, 0.005, 19_700.0),  # the same page, before
        ("inverse", 1, 50_000, 20, 0.004, 47_809.52),  # Binance COIN-M
        ("inverse", -1, 50_000, 20, 0.004, 52_421.05),
        ("linear", 1, 50_000, 10, 0.0125, 45_569.62),  # Hyperliquid at a cap of 40
        ("linear", -1, 50_000, 10, 0.0125, 54_320.99),
    ],
)
def test_published_examples(
    formula: str, direction: int, entry: float, leverage: float, rate: float, expected: float
) -> None:
    """Each venue's own example comes out to the cent."""
    price = liquidation_price(
        entry,
        leverage,
        direction=direction,
        maintenance_rate=rate,
        formula=formula,  # type: ignore[arg-type]  # parametrised text
    )
    assert float(price) == pytest.approx(expected, abs=0.005)


def test_published_vectors(real_data: Path) -> None:
    """The collected vectors of several venues and packages come out to their own tolerance."""
    vectors = json.loads((real_data / "brackets/liquidation_price_vectors.json").read_text())
    assert len(vectors) == 25
    for vector in vectors:
        price = float(
            liquidation_price(
                vector["E"],
                vector["L"],
                direction=vector["side"],
                maintenance_rate=vector["m"],
                maintenance_amount_rate=vector["c"],
                taker_fee=vector["f"],
                formula="linear with fee" if vector["f"] else vector["kind"],
            )
        )
        if vector["expected"] is None:
            assert np.isnan(price)
        else:
            assert price == pytest.approx(vector["expected"], rel=max(vector["rel_tol"], 1e-12))


@given(entry=entries, leverage=leverages, formula=st.sampled_from(FORMULAS))
def test_a_long_is_liquidated_below_entry_and_a_short_above(
    entry: float, leverage: float, formula: str
) -> None:
    """The law of every formula; more leverage brings the price nearer to entry."""
    common = {"maintenance_rate": 0.005, "taker_fee": 0.0005, "formula": formula}
    for direction in (1, -1):
        near = liquidation_price(entry, leverage * 1.1, direction=direction, **common)  # type: ignore[arg-type]
        far = liquidation_price(entry, leverage, direction=direction, **common)  # type: ignore[arg-type]
        if np.isfinite(far):
            assert direction * far < direction * near < direction * entry


def test_an_impossible_leverage_is_refused() -> None:
    """A margin below the maintenance margin cannot be opened."""
    with pytest.raises(InputError, match="leverage above the bracket's cap"):
        liquidation_price(100.0, 300.0, direction=1, maintenance_rate=0.004)
    with pytest.raises(InputError, match="cap of 100"):
        instrument_for("x", "Y").brackets.liquidation_price(100.0, 125.0, quantity=1.0, direction=1)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_bracket_amounts_keep_the_margin_continuous(symbol: str) -> None:
    """amount[i] = amount[i-1] + floor[i] (rate[i] - rate[i-1]), the venues' own recursion."""
    table = brackets_for("binance", symbol)
    expected = np.cumsum(table.floor_notional * np.diff(table.maintenance_rate, prepend=0.004))
    assert table.maintenance_amount == pytest.approx(expected, rel=1e-9, abs=1.0)


def test_the_bracket_of_the_day_is_used() -> None:
    """Tables are facts with a date."""
    old = brackets_for("binance", "BTCUSDT", at="2023-01-01")
    new = brackets_for("binance", "BTCUSDT", at="2026-06-01")
    assert old.max_leverage[0] == 125
    assert new.max_leverage[0] == 150
    assert "2022-11-25" in old.source


def test_the_bracket_is_looked_up_at_the_liquidation_price() -> None:
    """Second bracket of October 2024, 1 BTC at 67,000 and 10x: 60,552.76 (m 0.5 %, amount 50)."""
    table = brackets_for("binance", "BTCUSDT", at="2024-10-15")
    price = table.liquidation_price(67_000.0, 10.0, quantity=1.0, direction=1)
    assert price == pytest.approx(60_552.76, abs=0.005)
