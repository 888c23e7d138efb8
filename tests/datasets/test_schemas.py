"""The canonical tables: every column has a unit, every check runs."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from liqtiers.datasets.schemas import TABLES, TIMESTAMP, Table

each_table = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)


@each_table
def test_every_column_has_a_unit_and_a_description(table: Table) -> None:
    """Nothing is stored of which the unit is not written down."""
    for field in table.schema:
        assert field.metadata[b"unit"]
        assert field.metadata[b"description"]


@each_table
def test_every_table_has_two_times_in_utc_microseconds(table: Table) -> None:
    """When it happened and when it could be known; both are required."""
    for name in ("ts", "available_at"):
        assert table.schema.field(name).type == TIMESTAMP
        assert name in table.required


@each_table
def test_the_key_is_made_of_columns_and_begins_with_the_time(table: Table) -> None:
    """Rows are sorted by key, so by time first."""
    assert table.key[0] == "ts"
    assert set(table.key) <= set(table.schema.names)


@each_table
def test_every_check_is_a_condition_over_the_columns(table: Table) -> None:
    """DuckDB knows every column and function that a check names."""
    nulls = table.schema.empty_table().cast(
        pa.schema([field.with_nullable(nullable=True) for field in table.schema])
    )
    with duckdb.connect() as connection:
        connection.register("rows_given", nulls)
        for check in table.checks:
            found = connection.execute(f"SELECT bool_or({check.sql}) FROM rows_given").fetchall()
            assert found == [(None,)], check.reason


@each_table
def test_reasons_can_stand_in_a_query(table: Table) -> None:
    """A reason becomes part of a statement, so it holds no quote; and reasons differ."""
    reasons = [check.reason for check in table.checks]
    assert not any("'" in reason for reason in reasons)
    assert len(set(reasons)) == len(reasons)


@each_table
def test_prices_and_money_have_the_design_s_units(table: Table) -> None:
    """Money in quote, quantity in base, prices in quote per base: in these words only."""
    known = {
        "UTC",
        "base",
        "bid or ask",
        "count",
        "fraction",
        "fraction per interval",
        "hours",
        "name",
        "long or short",
        "quote",
        "quote per base",
        "ratio",
    }
    units = {field.metadata[b"unit"].decode() for field in table.schema}
    assert {unit for unit in units if unit not in known} == set()


def test_the_tables_are_those_of_the_design() -> None:
    """Name and key of each table; beyond the design's, mark price bars and order book depth."""
    assert {table.name: table.key for table in TABLES.values()} == {
        "bars": ("ts",),
        "mark_bars": ("ts",),
        "open_interest": ("ts",),
        "funding": ("ts",),
        "positioning": ("ts",),
        "liquidations": ("ts", "side", "price", "quantity", "seq"),
        "liquidation_map": ("ts", "side", "price_low", "model"),
        "depth": ("ts", "side", "distance"),
    }


def test_which_tables_are_kept_by_timeframe() -> None:
    """Bars, and liquidations summed over bars."""
    assert [table.name for table in TABLES.values() if table.partitioned_by_timeframe] == [
        "bars",
        "mark_bars",
        "liquidations",
    ]
