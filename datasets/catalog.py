"""The catalog: a DuckDB file through which anyone can open the lake without us.

``lake/catalog.duckdb`` holds one view a table and a table of units. It is written beside the old
one and renamed, so that a reader who has it open is neither blocked nor disturbed. The views hold
the lake's absolute path: refresh the catalog after moving the folder. Those of a lake in a bucket hold its
address, which DuckDB reads with its httpfs extension.
"""

from __future__ import annotations

import re
from typing import Final

import duckdb
import pyarrow as pa

from .errors import InputError, LakeError
from .ladder import LADDER, LADDER_FILE, LADDER_SCHEMA
from .lake import Lake
from .schemas import TABLES, Table

CATALOG_NAME = "catalog.duckdb"
_MONTHS: Final = "year=[12][0-9][0-9][0-9]/month=[01][0-9].parquet"


def refresh_catalog(lake: Lake) -> str:
    """Write the catalog anew and return where it is.

    Raises
    ------
    InputError
        If the lake lies in a folder that readers would take for one of its partitions.
    LakeError
        If it cannot be written.
    """
    if re.search(r"(venue|symbol|timeframe)=", lake.store.place()):
        raise InputError(
            f"the lake's folder {lake.store.place()} looks like a partition to other tools: move "
            "it to a path without venue=, symbol= and timeframe="
        )
    shown = lake.store.shown(CATALOG_NAME)
    try:
        with (
            lake.store.writing(),
            lake.store.database() as connection,
            lake.store.making(CATALOG_NAME) as made,
        ):
            literal = str(made).replace("'", "''")
            connection.execute(f"ATTACH '{literal}' AS catalog")
            connection.execute("USE catalog")
            connection.execute(_units_sql())
            for table in TABLES.values():
                connection.execute(_view_sql(lake, table))
            connection.execute(_ladder_sql(lake))
            connection.execute("USE memory")
            connection.execute("DETACH catalog")
    except (OSError, duckdb.Error) as error:
        raise LakeError(f"cannot write the catalog {shown}: {error}") from error
    return shown


def _view_sql(lake: Lake, table: Table) -> str:
    partitions = ["venue", "symbol", *(["timeframe"] if table.partitioned_by_timeframe else [])]
    stored = bool(lake.files("/".join([table.name, *("*" for _ in partitions)])))
    return _view_of_files(lake, table.name, table.schema, partitions, _MONTHS, stored=stored)


def _ladder_sql(lake: Lake) -> str:
    partitions = ["venue", "symbol", "timeframe", "map"]
    stored = bool(lake.store.files(f"{LADDER}/*/*/*/*/{LADDER_FILE}"))
    return _view_of_files(lake, LADDER, LADDER_SCHEMA, partitions, LADDER_FILE, stored=stored)


def _view_of_files(
    lake: Lake, name: str, schema: pa.Schema, partitions: list[str], files: str, *, stored: bool
) -> str:
    if not stored:
        empty = [f"NULL::VARCHAR AS {partition}" for partition in partitions]
        empty += [f"NULL::{_sql_type(field.type)} AS {field.name}" for field in schema]
        return f"CREATE VIEW {name} AS SELECT {', '.join(empty)} WHERE false"
    # By their exact depth, since copies in other folders are no part of the lake. A view's definition takes
    # no parameters, so the path is quoted by hand.
    literal = lake.store.place(name).replace("'", "''")
    depth = "/".join(f"{partition}=*" for partition in partitions)
    types = ", ".join(f"'{partition}': VARCHAR" for partition in partitions)
    columns = ", ".join([*partitions, *schema.names])
    return (
        f"CREATE VIEW {name} AS SELECT {columns} FROM read_parquet('{literal}/{depth}/{files}', "
        f"hive_partitioning = true, hive_types = {{{types}}})"
    )


def _sql_type(dtype: pa.DataType) -> str:
    if pa.types.is_timestamp(dtype):
        return "TIMESTAMPTZ"
    if pa.types.is_floating(dtype):
        return "DOUBLE"
    return "BIGINT" if pa.types.is_integer(dtype) else "VARCHAR"


def _units_sql() -> str:
    """Return the statement for the table of units; all of its text is ours."""
    rows = ", ".join(
        "('{}', '{}', '{}', '{}')".format(
            name,
            field.name,
            field.metadata[b"unit"].decode(),
            field.metadata[b"description"].decode().replace("'", "''"),
        )
        for name, schema in [
            *((t.name, t.schema) for t in TABLES.values()),
            (LADDER, LADDER_SCHEMA),
        ]
        for field in schema
    )
    return (
        "CREATE TABLE units AS SELECT * FROM (VALUES "
        f"{rows}) AS rows(table_name, column_name, unit, description)"
    )
