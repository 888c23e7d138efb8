"""Sorting rows into good ones and ones for the quarantine, with a reason each.

Nothing is repaired: a row that fails a check is set aside whole. The checks run as one DuckDB query
over the table's rows, in the order in which they are declared; the first that fails is the reason.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ._duckdb import connect
from .errors import InputError
from .naming import DAY_US, timeframe_us
from .schemas import EVENTS, Table

LINE: Final = "_line"
PROBLEM: Final = "_problem"
REASON: Final = "reason"

_EARLIEST: Final = "TIMESTAMPTZ '2009-01-01 00:00:00+00'"
_LATEST: Final = "TIMESTAMPTZ '2100-01-01 00:00:00+00'"
_CONFLICT: Final = "duplicate with other values"
_TOO_EARLY: Final = "available before the bar closed"


class Sorted(NamedTuple):
    """Rows by what becomes of them.

    Attributes
    ----------
    good : pyarrow.Table
        In the table's schema, unique by key, sorted by it.
    bad : pyarrow.Table
        The same columns and `_line` and `reason`.
    repeated : int
        Rows that repeat another one exactly and were left out.
    """

    good: pa.Table
    bad: pa.Table
    repeated: int


def grid_origin_us(step_us: int) -> int:
    """Return a moment at which a bar of this length opens, UTC microseconds since 1970.

    Bars open at whole multiples of their length since 1970, but weeks open on a Monday, and 1970
    began on a Thursday.
    """
    return 4 * DAY_US if step_us % (7 * DAY_US) == 0 else 0


def sort_rows(table: Table, rows: pa.Table, *, timeframe: str | None = None) -> Sorted:
    """Sort rows of a canonical table into good and bad ones.

    Parameters
    ----------
    table : Table
    rows : pyarrow.Table
        The table's columns, in any order; nullable ones may be missing. Optional extra columns:
        `_line` (int64), the line in the source, and `_problem` (string), a reason found while
        parsing.
    timeframe : str, optional
        Length of a bar, for tables that have one; bars must open on its grid.

    Raises
    ------
    InputError
        If a required column is missing, an unknown one is present, or one has a type that cannot be
        made the table's.
    """
    whole = complete(table, rows)
    with connect() as connection:
        connection.register("incoming", whole)
        judged = connection.sql(_judging_sql(table, timeframe)).to_arrow_table()
        if not _is_sorted(table, judged):
            connection.register("judged", judged)
            judged = connection.sql(_sorting_sql(table)).to_arrow_table()
    reason = judged[REASON].combine_chunks()
    repeated = pc.equal(reason, "")
    bad = judged.filter(
        pc.and_kleene(pc.is_valid(reason), pc.invert(pc.fill_null(repeated, fill_value=False)))
    )
    good = judged.filter(pc.is_null(reason)).select(table.schema.names)
    return Sorted(
        good=good.cast(table.schema).combine_chunks(),
        bad=bad.select([*table.schema.names, LINE, REASON]).combine_chunks(),
        repeated=int(pc.sum(repeated).as_py() or 0),
    )


def _is_sorted(table: Table, judged: pa.Table) -> bool:
    """Return whether good rows are alone, one after the other: then there is nothing to sort or to count."""
    if table.key != ("ts",) or judged[REASON].null_count < judged.num_rows:
        return False
    ts = judged["ts"].cast(pa.int64()).to_numpy()
    return bool((ts[1:] > ts[:-1]).all())


def complete(table: Table, rows: pa.Table) -> pa.Table:
    """Return rows with all of a table's columns in its types, NaN as null, and `_line` and `_problem`.

    Raises
    ------
    InputError
        As `sort_rows`.
    """
    unknown = sorted(set(rows.column_names) - set(table.schema.names) - {LINE, PROBLEM})
    if unknown:
        raise InputError(f"table {table.name} has no column {', '.join(unknown)}")
    missing = sorted(set(table.required) - set(rows.column_names))
    if missing:
        raise InputError(f"rows for table {table.name} lack the column {', '.join(missing)}")
    columns = {}
    for field in table.schema:
        if field.name not in rows.column_names:
            columns[field.name] = pa.nulls(rows.num_rows, field.type)
            continue
        column = _cast(rows[field.name], field, table.name)
        if pa.types.is_floating(field.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, field.type), column)
        columns[field.name] = column
    columns[LINE] = (
        rows[LINE]
        if LINE in rows.column_names
        else pa.array(range(1, rows.num_rows + 1), pa.int64())
    )
    columns[PROBLEM] = (
        rows[PROBLEM].cast(pa.string())
        if PROBLEM in rows.column_names
        else pa.nulls(rows.num_rows, pa.string())
    )
    return pa.table(columns)


def _cast(column: pa.ChunkedArray, field: pa.Field, table: str) -> pa.ChunkedArray:
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise InputError(
            f"column {field.name} of table {table} is {column.type} and cannot be made "
            f"{field.type}: {str(error).splitlines()[0]}"
        ) from error


def _judging_sql(table: Table, timeframe: str | None) -> str:
    """Build the query; every name and condition in it comes from the schema, none from data."""
    rules = [f"WHEN {PROBLEM} IS NOT NULL THEN {PROBLEM}"]
    rules += [f"WHEN {name} IS NULL THEN '{name} is missing'" for name in table.required]
    rules += [
        f"WHEN isinf({field.name}) THEN '{field.name} is infinite'"
        for field in table.schema
        if pa.types.is_floating(field.type)
    ]
    rules.append(
        f"WHEN ts < {_EARLIEST} OR ts >= {_LATEST} THEN 'time is not between 2009 and 2100'"
    )
    rules += [f"WHEN {check.sql} THEN '{check.reason}'" for check in table.checks]
    if table.partitioned_by_timeframe and timeframe is not None and timeframe != EVENTS:
        step = timeframe_us(timeframe)
        origin = grid_origin_us(step)
        rules.append(
            f"WHEN (epoch_us(ts) - {origin}) % {step} <> 0 THEN 'not on the {timeframe} grid'"
        )
        rules.append(f"WHEN epoch_us(available_at) < epoch_us(ts) + {step} THEN '{_TOO_EARLY}'")
    columns = ", ".join(table.schema.names)
    return f"SELECT {columns}, {LINE}, CASE {' '.join(rules)} END AS {REASON} FROM incoming"


def _sorting_sql(table: Table) -> str:
    """Build the query that sorts judged rows and tells the last of a key from those that it replaces."""
    columns = values = ", ".join(table.schema.names)
    key = ", ".join(table.key)
    return f"""
        WITH ranked AS (
            SELECT *, row_number() OVER later AS place,
                   last_value(row({values})) OVER whole AS winner
            FROM judged WHERE {REASON} IS NULL
            WINDOW later AS (PARTITION BY {key} ORDER BY {LINE} DESC),
                   whole AS (PARTITION BY {key} ORDER BY {LINE}
                             ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
        )
        SELECT {columns}, {LINE}, {REASON} FROM judged WHERE {REASON} IS NOT NULL
        UNION ALL
        SELECT {columns}, {LINE},
               CASE WHEN place = 1 THEN NULL
                    WHEN row({values}) IS NOT DISTINCT FROM winner THEN ''
                    ELSE '{_CONFLICT}' END
        FROM ranked
        ORDER BY {key}, {LINE}
    """
