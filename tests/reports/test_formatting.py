"""How figures are written on a page."""

from __future__ import annotations

import pytest

from liqtiers.reports.formatting import money, number, percent, price_places, share, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.4e10, "14.00 B"), (-2.5e6, "-2.50 M"), (12_345.6, "12,346"), (99.994, "99.99"),
        (-0.001, "0.00"), (0.0, "0.00"), (None, "n/a"), (float("nan"), "n/a"), (float("inf"), "n/a"),
    ],
)  # fmt: skip
def test_money_is_short_and_never_minus_zero(value: float | None, text: str) -> None:
    """Billions and millions are abbreviated, cents shown below a hundred, unknown is said."""
    assert money(value) == text


def test_signs_and_shares() -> None:
    """A result carries its sign, a share does not, and both say when they are unknown."""
    assert (percent(0.0123), percent(-0.5), percent(None)) == ("+1.23%", "-50.00%", "n/a")
    assert (share(0.475), share(float("nan"))) == ("47.5%", "n/a")
    assert (signed(44.0), signed(-981.0), signed(0.0), signed(None)) == (
        "+44.00",
        "-981",
        "0.00",
        "n/a",
    )
    assert number(-0.0001, 3) == "0.000"


@pytest.mark.parametrize(
    ("tick", "highest", "places"),
    [(0.1, 60_000.0, 1), (0.01, 3.0, 2), (1.0, 60_000.0, 0), (1e-8, 2e-5, 8), (0.5, 9.0, 1),
     (None, 60_000.0, 1), (None, 2.5, 5), (None, 2e-5, 10), (0.0, 1e7, 0)],
)  # fmt: skip
def test_prices_show_the_tick_or_six_digits(
    tick: float | None, highest: float, places: int
) -> None:
    """A cheap coin's price is not rounded away, a dear one's has no false digits."""
    assert price_places(tick, highest) == places
