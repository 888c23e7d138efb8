"""Liquidation prices against the venues' published examples."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import brackets_for, instrument_for
from liqtiers.datasets.liquidation_price import (
    FORMULAS,
    cross_liquidation_price,
    hyperliquid_liquidation_price,
    liquidation_price,
)

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


def test_binance_published_example_of_a_wallet_with_two_longs() -> None:
    """Two longs on one wallet: isolated 18,778.73 and 1,114.78, in cross margin 26,316.89 and 1,153.26.

    In cross margin each is priced with the other at its mark: BTC at 31,967.27, ETH at 1,335.18.
    """
    wallet = 1_535_443.01
    quantity, entry = np.array([109.488, 3_683.979]), np.array([32_481.98, 1_456.84])
    rate, amount = np.array([0.025, 0.1]), np.array([16_300.0, 135_365.0])
    terms = {
        "quantity": quantity,
        "direction": 1,
        "wallet": wallet,
        "maintenance_rate": rate,
        "maintenance_amount": amount,
    }
    alone = cross_liquidation_price(entry, **terms)
    assert alone == pytest.approx([18_778.73, 1_114.78], abs=0.005)
    mark = np.array([31_967.27, 1_335.18])
    together = cross_liquidation_price(
        entry,
        **terms,
        other_maintenance=(quantity * mark * rate - amount)[::-1],
        other_profit=(quantity * (mark - entry))[::-1],
    )
    assert together == pytest.approx([26_316.89, 1_153.26], abs=0.005)


@given(
    entry=entries,
    leverage=leverages,
    quantity=st.floats(1e-3, 1e3),
    direction=st.sampled_from([1, -1]),
    amount_rate=st.floats(0.0, 0.003),
)
def test_a_wallet_of_the_initial_margin_is_the_isolated_case(
    entry: float, leverage: float, quantity: float, direction: int, amount_rate: float
) -> None:
    """Binance's general formula and its isolated one are the same."""
    value = entry * quantity
    general = cross_liquidation_price(
        entry,
        quantity=quantity,
        direction=direction,
        wallet=value / leverage,
        maintenance_rate=0.005,
        maintenance_amount=amount_rate * value,
    )
    isolated = liquidation_price(
        entry,
        leverage,
        direction=direction,
        maintenance_rate=0.005,
        maintenance_amount_rate=amount_rate,
    )
    assert float(general) == pytest.approx(float(isolated), rel=1e-9)


def test_a_wallet_that_covers_all_is_never_liquidated() -> None:
    """A long with its whole value behind it has no liquidation price."""
    price = cross_liquidation_price(
        100.0, quantity=1.0, direction=1, wallet=[50.0, 100.0, 150.0], maintenance_rate=0.01
    )
    assert price == pytest.approx([50.0 / 0.99, np.nan, np.nan], nan_ok=True)
    with pytest.raises(InputError, match="an entry price and a quantity must be positive"):
        cross_liquidation_price(100.0, quantity=0.0, direction=1, wallet=1.0, maintenance_rate=0.01)


def test_hyperliquid_published_example() -> None:
    """50,000 at 10x with a cap of 40x: 45,569.62 for a long, 54,320.99 for a short."""
    price = hyperliquid_liquidation_price(
        50_000, quantity=2.0, direction=[1, -1], margin=10_000.0, max_leverage=40
    )
    assert price == pytest.approx([45_569.62, 54_320.99], abs=0.005)
    with pytest.raises(InputError, match="top leverage at least 1"):
        hyperliquid_liquidation_price(1.0, quantity=1.0, direction=1, margin=1.0, max_leverage=0.5)


@given(mark=st.floats(46_000.0, 60_000.0))
def test_hyperliquid_gives_the_same_price_wherever_it_is_measured(mark: float) -> None:
    """The mark price moves the margin, not the price at which it is gone."""
    price = hyperliquid_liquidation_price(
        mark, quantity=1.0, direction=1, margin=5_000.0 + mark - 50_000.0, max_leverage=40
    )
    assert float(price) == pytest.approx(45_569.6202531646, rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "direction", "expected"),
    [
        # Deduction 4,300 on 55 coins at 60,000 and 20x, 0.67 %: 78.1818 a coin.
        ("bybit linear until 2025-09", 1, 60_000 * (1 - 0.05 + 0.0067) - 4_300 / 55),
        ("bybit linear until 2025-09", -1, 60_000 * (1 + 0.05 - 0.0067) + 4_300 / 55),
    ],
)
def test_bybit_deduction_moves_the_old_price_away(
    formula: str, direction: int, expected: float
) -> None:
    """FACTS: E (1 - 1/L + m) - deduction / Q for a long, mirrored for a short."""
    table = brackets_for("bybit", "BTCUSDT", at="2025-01-15")
    price = table.liquidation_price(
        60_000.0,
        20.0,
        quantity=55.0,
        direction=direction,
        formula=formula,  # type: ignore[arg-type]  # parametrised text
    )
    assert price == pytest.approx(expected)
