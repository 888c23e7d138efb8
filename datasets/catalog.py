"""The catalog: a DuckDB file through which anyone can open the lake without us.

``lake/catalog.duckdb`` holds one view a table and a table of units. It is written beside the old
one and renamed, so that a reader who has it open is neither blocked nor disturbed. The views hold
the lake's absolute path: refresh the catalog after moving the folder.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa
from filelock import FileLock

from .errors import InputError, LakeError
from .lake import Lake
from .schemas import TABLES, Table

CATALOG_NAME = "catalog.duckdb"


def refresh_catalog(lake: Lake) -> Path:
    """Write the catalog anew and return its path.

    Raises
    ------
    InputError
        If the lake lies in a folder that readers would take for one of its partitions.
    LakeError
        If it cannot be written.
    """
    if re.search(r"(venue|symbol|timeframe)=", str(lake.root.resolve())):
        raise InputError(
            f"the lake's folder {lake.root.resolve()} looks like a partition to other tools: move "
            "it to a path without venue=, symbol= and timeframe="
        )
    path = lake.root / CATALOG_NAME
    temporary = lake.root / f".{CATALOG_NAME}.{os.getpid()}"
    try:
        lake.root.mkdir(parents=True, exist_ok=True)
        with FileLock(lake.root / ".lock"):
            for leftover in lake.root.glob(f".{CATALOG_NAME}.*"):
                leftover.unlink(missing_ok=True)
            with duckdb.connect(str(temporary)) as connection:
                connection.execute(_units_sql())
                for table in TABLES.values():
                    connection.execute(_view_sql(lake.root, table))
            temporary.replace(path)
    except (OSError, duckdb.Error) as error:
        raise LakeError(f"cannot write the catalog {path}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return path


def _view_sql(root: Path, table: Table) -> str:
    columns = ", ".join(table.schema.names)
    partitions = ["venue", "symbol", *(["timeframe"] if table.partitioned_by_timeframe else [])]
    names = f"{', '.join(partitions)}, {columns}"
    folder = root.resolve() / table.name
    if not any(folder.glob("**/month=*.parquet")):
        empty = [f"NULL::VARCHAR AS {name}" for name in partitions]
        empty += [f"NULL::{_sql_type(field.type)} AS {field.name}" for field in table.schema]
        return f"CREATE VIEW {table.name} AS SELECT {', '.join(empty)} WHERE false"
    # A view's definition takes no parameters, so the path is quoted by hand.
    literal = re.sub(r"([*?\[])", r"[\1]", str(folder)).replace("'", "''")
    pattern = f"{literal}/**/month=*.parquet"
    types = ", ".join(f"'{name}': VARCHAR" for name in partitions)
    return (
        f"CREATE VIEW {table.name} AS SELECT {names} FROM read_parquet('{pattern}', "
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
            table.name,
            field.name,
            field.metadata[b"unit"].decode(),
            field.metadata[b"description"].decode().replace("'", "''"),
        )
        for table in TABLES.values()
        for field in table.schema
    )
    return (
        "CREATE TABLE units AS SELECT * FROM (VALUES "
        f"{rows}) AS rows(table_name, column_name, unit, description)"
    )
