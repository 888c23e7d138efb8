"""Laws of liquidation prices: of the formulas, of the bracket walk, and of every venue's table.

The judge is the definition, written out here once more: a position is liquidated at the first price at
which its margin balance is no more than the maintenance margin of what it is worth there.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from typing import Final

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liqtiers.datasets.brackets import Brackets
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import GENERIC_BRACKETS, brackets_for
from liqtiers.datasets.liquidation_price import FORMULAS, Formula, liquidation_price

LINEAR: Final = ("linear", "linear with fee", "bybit linear until 2025-09")
TABLES: Final = [
    GENERIC_BRACKETS,
    *(
        brackets_for(venue, symbol, at=day)
        for venue, symbol, day in sorted(
            {
                (row["venue"], row["symbol"], row["in_force_by"])
                for row in csv.DictReader(
                    resources.files("liqtiers.datasets")
                    .joinpath("brackets.csv")
                    .read_text(encoding="utf-8")
                    .splitlines()
                )
            }
        )
    ),
]


@dataclass(frozen=True)
class Position:
    """A position, and what the definition says of it at a price."""

    table: Brackets
    formula: Formula
    entry: float
    leverage: float
    quantity: float
    direction: int
    fee: float

    @property
    def price(self) -> float:
        """The liquidation price under test."""
        return self.table.liquidation_price(
            self.entry,
            self.leverage,
            quantity=self.quantity,
            direction=self.direction,
            formula=self.formula,
            taker_fee=self.fee,
        )

    def excess(self, price: float) -> float:
        """Margin balance less maintenance margin at a mark price, in the currency of the margin."""
        inverse = "inverse" in self.formula
        entry_value = self.quantity * (1.0 if inverse else self.entry)
        value = self.quantity * (self.entry / price if inverse else price)
        profit = self.direction * (entry_value - value if inverse else value - entry_value)
        charged = entry_value if "until" in self.formula else value
        if inverse == (self.table.floor_unit == "base"):
            size, worth_of_one = charged, 1.0
        elif inverse:  # a table in dollars: the contracts are worth the same at any price
            size, worth_of_one = self.quantity * self.entry, 1.0 / self.entry
        else:
            size, worth_of_one = self.quantity, self.entry
        row = int(np.flatnonzero(self.table.floor_notional <= size)[-1])
        amount = self.table.maintenance_amount[row] * worth_of_one
        kept_back = self.fee * value if self.formula == "linear with fee" else 0.0
        maintenance = self.table.maintenance_rate[row] * charged - amount
        return float(entry_value / self.leverage + profit - maintenance - kept_back)


@st.composite
def tables(draw: st.DrawFn, *, unit: str, continuous: bool = True) -> Brackets:
    """Draw a table of up to eight brackets with rates that rise."""
    count = draw(st.integers(1, 8))
    steps = draw(st.lists(st.floats(1.2, 30.0), min_size=count - 1, max_size=count - 1))
    first = draw(st.floats(0.5, 1e5)) if unit == "quote" else draw(st.floats(0.01, 50.0))
    floors = np.concatenate(([0.0], first * np.cumprod([1.0, *steps[1:]])[: count - 1]))
    rises = draw(st.lists(st.floats(1.01, 2.5), min_size=count, max_size=count))
    rates = np.minimum(0.004 * np.cumprod(rises), 0.55)
    amounts = np.cumsum(floors * np.diff(rates, prepend=rates[0]))
    return Brackets(
        floor_notional=floors,
        maintenance_rate=rates,
        max_leverage=np.maximum(0.6 / rates, 1.0),
        maintenance_amount=amounts if continuous else np.zeros(count),
        source="drawn",
        floor_unit=unit,  # type: ignore[arg-type]  # parametrised text
    )


@st.composite
def positions(
    draw: st.DrawFn, *, formula: str, unit: str = "quote", continuous: bool = True
) -> Position:
    """Draw a position somewhere in a drawn table, at up to the leverage that its bracket allows."""
    table = draw(tables(unit=unit, continuous=continuous))
    entry = draw(st.floats(0.01, 1e6))
    reach = max(table.floor_notional[-1], 1.0) * 3.0
    size = reach * draw(st.floats(1e-6, 1.0))
    row = int(np.flatnonzero(table.floor_notional <= size)[-1])
    cap = float(table.max_leverage[row])
    return Position(
        table=table,
        formula=formula,  # type: ignore[arg-type]  # parametrised text
        entry=entry,
        # Exactly 1, or far enough above it for the difference to survive in floats.
        leverage=1.0 + draw(st.just(0.0) | st.floats(1e-3, 1.0)) * (cap - 1.0),
        quantity=size / entry if unit == "quote" else size,
        direction=draw(st.sampled_from([1, -1])),
        fee=draw(st.sampled_from([0.0, 0.0006])),
    )


@pytest.mark.parametrize(
    ("formula", "unit"),
    [
        ("linear", "quote"),
        ("linear with fee", "quote"),
        ("bybit linear until 2025-09", "quote"),
        ("linear", "base"),
        ("linear with fee", "base"),
        ("inverse", "base"),
        ("inverse", "quote"),
        ("bybit inverse until 2025-09", "base"),
    ],
)
@given(data=st.data())
def test_the_margin_left_at_the_price_is_the_maintenance_margin(
    formula: str, unit: str, data: st.DataObject
) -> None:
    """The defining equation, with the bracket looked up at the value there; and nothing before it."""
    position = data.draw(positions(formula=formula, unit=unit))
    price = position.price
    if np.isnan(price):
        # Nothing liquidates it: not even a price near 0, or one far away.
        end = position.entry * (1e-7 if position.direction > 0 else 1e7)
        assert position.excess(end) > -1e-6 * position.quantity * position.entry
        return
    worth = position.quantity * position.entry * (1.0 + price / position.entry)
    if "inverse" in formula:
        worth = position.quantity * (1.0 + position.entry / price)
    assert abs(position.excess(price)) <= 1e-9 * worth
    for share in (0.0, 0.3, 0.7, 0.95, 0.999):
        assert position.excess(position.entry + share * (price - position.entry)) > 0.0


@given(data=st.data())
def test_where_the_margin_jumps_a_position_dies_at_the_bound(data: st.DataObject) -> None:
    """A table without amounts: alive at every price before, and not beyond."""
    position = data.draw(positions(formula="linear", continuous=False))
    price = position.price
    if np.isnan(price):
        assert position.excess(position.entry * 1e-7) > -1e-6 * position.quantity * position.entry
        return
    away = price - position.entry
    worth = position.quantity * (position.entry + price)
    assert position.excess(price - 1e-9 * away) > -1e-9 * worth
    assert position.excess(price + 1e-9 * away) < 1e-7 * worth
    for share in (0.0, 0.3, 0.7, 0.95, 0.999):
        assert position.excess(position.entry + share * away) > 0.0


@pytest.mark.parametrize("formula", FORMULAS)
@given(
    entry=st.floats(0.01, 1e6),
    leverage=st.floats(1.2, 80.0),
    rate=st.floats(0.001, 0.01),
    nearer=st.floats(1.001, 1.1),
)
def test_more_leverage_brings_the_price_nearer(
    formula: Formula, entry: float, leverage: float, rate: float, nearer: float
) -> None:
    """A long's price is below entry and rises with leverage, a short's above and falls."""
    for direction in (1, -1):
        near, far = (
            float(
                liquidation_price(
                    entry,
                    level,
                    direction=direction,
                    maintenance_rate=rate,
                    taker_fee=0.0005,
                    formula=formula,
                )
            )
            for level in (leverage * nearer, leverage)
        )
        assert np.isnan(far) or direction * far < direction * near < direction * entry


@given(data=st.data())
def test_the_walk_keeps_that_order(data: st.DataObject) -> None:
    """So it is with brackets, for any quantity: they only ever bring the price nearer."""
    position = data.draw(positions(formula="linear"))
    lower = 1.0 + 0.9 * (position.leverage - 1.0)
    assume(lower < position.leverage)
    far = Position(**{**vars(position), "leverage": lower}).price
    if np.isnan(position.price):
        assert np.isnan(far)
        return
    assert position.direction * position.price < position.direction * position.entry
    assert np.isnan(far) or position.direction * far <= position.direction * position.price
    larger = Position(**{**vars(position), "quantity": position.quantity * 1.01})
    try:
        nearer = larger.price
    except InputError:  # too large for its leverage
        return
    slack = 1e-12 * position.entry
    assert position.direction * nearer >= position.direction * position.price - slack


@given(
    entry=st.floats(0.01, 1e6),
    leverage=st.floats(1.2, 80.0),
    rate=st.floats(0.001, 0.01),
    amount=st.floats(0.0, 0.0005),
)
def test_a_short_mirrors_a_long(entry: float, leverage: float, rate: float, amount: float) -> None:
    """Exact symmetries: Bybit's old distances are equal, and 1/price swaps the new pair of kinds."""
    terms = {"maintenance_rate": rate, "maintenance_amount_rate": amount}

    def price(direction: int, formula: Formula, at: float = entry) -> float:
        found = liquidation_price(at, leverage, direction=direction, formula=formula, **terms)
        return float(found)

    old_long, old_short = (price(side, "bybit linear until 2025-09") for side in (1, -1))
    assert old_short - entry == pytest.approx(entry - old_long, rel=1e-9, abs=1e-9 * entry)
    # An inverse long is, in coins, a linear short of the dollar priced in coins.
    for side in (1, -1):
        mirrored = price(-side, "linear", 1.0 / entry)
        inverse = price(side, "inverse")
        if np.isfinite(inverse):
            assert inverse == pytest.approx(1.0 / mirrored, rel=1e-9)
        else:
            assert np.isnan(mirrored)


@pytest.mark.parametrize("formula", FORMULAS)
@given(data=st.data(), scale=st.floats(0.001, 1000.0))
def test_only_the_value_of_a_position_counts(
    formula: Formula, data: st.DataObject, scale: float
) -> None:
    """The same value at another price, as after a split, is liquidated at the same distance."""
    position = data.draw(positions(formula=formula, unit="quote"))
    price = position.price
    scaled = {"entry": position.entry * scale, "quantity": position.quantity / scale}
    row = position.table.row(position.entry * position.quantity)
    assume(row == position.table.row(scaled["entry"] * scaled["quantity"]))  # not on a bound
    again = Position(**{**vars(position), **scaled}).price
    if np.isnan(price) or np.isnan(again):
        assert np.isnan(price)
        assert np.isnan(again)
    else:
        assert again == pytest.approx(price * scale, rel=1e-7)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("unit", ["quote", "base"])
@settings(max_examples=50)
@given(data=st.data())
def test_arrays_give_what_numbers_give(formula: Formula, unit: str, data: st.DataObject) -> None:
    """Each of many positions is priced as it would be alone, in any shape."""
    drawn = data.draw(positions(formula=formula, unit=unit, continuous=data.draw(st.booleans())))
    table, alone, kept = drawn.table, [], []
    for scale, direction in ((1.0, 1), (0.01, -1), (50.0, 1), (3.0, -1)):
        quantity = drawn.quantity * scale
        position = Position(
            table, formula, drawn.entry, drawn.leverage, quantity, direction, drawn.fee
        )
        try:
            alone.append(position.price)
        except InputError:  # too large for its leverage
            continue
        kept.append(position)
    found = table.liquidation_price(
        [[p.entry] for p in kept],
        [[p.leverage] for p in kept],
        quantity=[[p.quantity] for p in kept],
        direction=np.array([[p.direction] for p in kept]),
        formula=formula,
        taker_fee=drawn.fee,
    )
    assert found.shape == (len(kept), 1)
    np.testing.assert_allclose(found[:, 0], alone, rtol=1e-12)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_tables_rise_and_their_amounts_keep_the_margin_continuous(table: Brackets) -> None:
    """Floors and rates rise, caps fall and leave room above maintenance; amounts by recursion.

    OKX has no amounts: it charges the whole position at the rate of its bracket.
    """
    assert table.floor_notional[0] == 0.0
    assert (np.diff(table.floor_notional) > 0).all()
    assert (np.diff(table.maintenance_rate) > 0).all()
    assert (np.diff(table.max_leverage) < 0).all()
    assert table.max_leverage[-1] >= 1.0
    assert (1.0 / table.max_leverage > table.maintenance_rate).all()
    amount = 0.0
    for row in range(1, len(table.floor_notional)):
        step = table.maintenance_rate[row] - table.maintenance_rate[row - 1]
        amount += table.floor_notional[row] * step
        expected = 0.0 if table.floor_unit == "base" else amount
        assert table.maintenance_amount[row] == pytest.approx(expected, rel=1e-9, abs=1.0)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
@pytest.mark.parametrize("formula", LINEAR)
def test_every_table_prices_every_position_that_it_allows(
    table: Brackets, formula: Formula
) -> None:
    """At the cap of each bracket, both ways, the price lies beyond entry and the margin covers it."""
    sizes = np.append(table.floor_notional, table.floor_notional[-1] * 1.5) + 1.0
    caps = np.append(table.max_leverage, table.max_leverage[-1])
    entry = 2_000.0
    quantity = sizes / entry if table.floor_unit == "quote" else sizes
    for direction in (1, -1):
        prices = table.liquidation_price(
            entry, caps, quantity=quantity, direction=direction, formula=formula, taker_fee=0.0
        )
        alive = np.isfinite(prices)
        assert (direction * prices[alive] < direction * entry).all()
        assert (alive | (caps <= 1.0)).all()
        for leverage, size, price in zip(caps, quantity, prices, strict=True):
            if not np.isfinite(price):
                continue
            position = Position(table, formula, entry, leverage, size, direction, 0.0)
            inside = position.excess(entry + 0.999999 * (price - entry))
            assert inside > -1e-6 * size * entry
            assert position.excess(price + 1e-6 * (price - entry)) < 1e-6 * size * entry
