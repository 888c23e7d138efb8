"""What the slippage models promise for any order, and the cap."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError
from liqtiers.strategies import DepthSlippage, SquareRootSlippage

BAR: dict[str, Any] = {"quote_volume": 1e6, "high": 101.0, "low": 100.0}


def test_the_square_root_law_by_hand() -> None:
    """A tenth of a bar's volume that doubles from low to high: the constants written out."""
    slippage = SquareRootSlippage(spread_bps=3.0, coefficient=0.5, max_bps=1e4)
    parkinson = 0.41627730557884884  # ln 2 / (2 sqrt(ln 2)) is half the root of ln 2
    expected = 1.5 + 1e4 * 0.5 * parkinson * 0.31622776601683794
    bps = slippage.bps(100.0, quote_volume=1_000.0, high=2.0, low=1.0)
    assert bps == pytest.approx(expected, rel=1e-12)


def test_a_bar_that_does_not_move_costs_half_the_spread() -> None:
    """No range, no impact."""
    slippage = SquareRootSlippage(spread_bps=3.0)
    assert slippage.bps(1e9, quote_volume=1.0, high=100.0, low=100.0) == 1.5


def test_the_cap_holds_for_spread_and_impact_together() -> None:
    """An order far beyond what was traded pays the cap and no more."""
    slippage = SquareRootSlippage(spread_bps=10.0, max_bps=50.0)
    assert slippage.bps(1e12, **BAR) == 50.0
    assert SquareRootSlippage(spread_bps=200.0, max_bps=50.0).bps(0.0, **BAR) == 50.0


@pytest.mark.parametrize("given_", [{"spread_bps": 1.0}, {"coefficient": 1.0}])
def test_either_part_alone_is_charged(given_: dict[str, float]) -> None:
    """Only both at 0 are free, a bar without volume included."""
    none = {"spread_bps": 0.0, "coefficient": 0.0}
    assert SquareRootSlippage(**{**none, **given_}).bps(1e5, **BAR) > 0.0
    assert SquareRootSlippage(**none).bps(1e5, **BAR) == 0.0
    assert SquareRootSlippage(**none).bps(1e5, **{**BAR, "quote_volume": 0.0}) == 0.0


@given(
    notional=st.floats(1.0, 1e8), factor=st.floats(1.0, 100.0), coefficient=st.floats(0.01, 10.0)
)
def test_impact_grows_with_the_root_of_the_order(
    notional: float, factor: float, coefficient: float
) -> None:
    """A larger order, a quieter market or a wider bar never costs less."""
    slippage = SquareRootSlippage(spread_bps=0.0, coefficient=coefficient, max_bps=math.inf)
    once = slippage.bps(notional, **BAR)
    assert slippage.bps(notional * factor, **BAR) == pytest.approx(once * math.sqrt(factor))
    fuller = {**BAR, "quote_volume": 1e6 * factor}
    assert slippage.bps(notional, **fuller) == pytest.approx(once / math.sqrt(factor))
    assert slippage.bps(notional, **{**BAR, "high": 101.0 * factor}) >= once


@given(
    steps=st.lists(st.tuples(st.floats(0.1, 10.0), st.floats(10.0, 1e5)), min_size=1, max_size=5),
    share=st.floats(0.01, 3.0),
)
def test_walking_the_book_equals_walking_it_in_small_steps(
    steps: list[tuple[float, float]], share: float
) -> None:
    """The closed form is the mean of the distance over 2,000 equal slices of the order."""
    levels, distance, depth = [], 0.0, 0.0
    for wider, deeper in steps:
        distance, depth = distance + wider, depth + deeper
        levels.append((distance, depth))
    notional = share * depth

    def distance_at(filled: float) -> float:
        # Up to the first level all lies at its distance.
        before, below = levels[0][0], 0.0
        for reach, total in levels:
            if filled <= total:
                return before + (reach - before) * (filled - below) / (total - below)
            before, below = reach, total
        return before

    slices = 2_000
    mean = sum(distance_at((i + 0.5) / slices * notional) for i in range(slices)) / slices
    assert DepthSlippage(levels).bps(notional, **BAR) == pytest.approx(mean, rel=2e-3)


def test_an_order_of_nothing_walks_nowhere() -> None:
    """0 of 0 is no division by zero."""
    assert DepthSlippage([(2.0, 100.0)]).bps(0.0, **BAR) == 0.0


@pytest.mark.parametrize("levels", [[], [(2.0, 5.0), (1.0, 6.0)], [(1.0, 6.0), (2.0, 5.0)]])
def test_a_depth_table_must_increase(levels: list[tuple[float, float]]) -> None:
    """In distance and in notional, and there must be one."""
    with pytest.raises(InputError, match="increasing"):
        DepthSlippage(levels)
