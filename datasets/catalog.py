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
from .ladder import LADDER, LADDER_FILE, LADDER_SCHEMA
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
                connection.execute(_ladder_sql(lake.root))
            temporary.replace(path)
    except (OSError, duckdb.Error) as error:
        raise LakeError(f"cannot write the catalog {path}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return path


def _view_sql(root: Path, table: Table) -> str:
    partitions = ["venue", "symbol", *(["timeframe"] if table.partitioned_by_timeframe else [])]
    return _view_of_files(root, table.name, table.schema, partitions, "month=*.parquet")


def _ladder_sql(root: Path) -> str:
    partitions = ["venue", "symbol", "timeframe", "map"]
    return _view_of_files(root, LADDER, LADDER_SCHEMA, partitions, LADDER_FILE)


def _view_of_files(
    root: Path, name: str, schema: pa.Schema, partitions: list[str], files: str
) -> str:
    folder = root.resolve() / name
    if not any(folder.glob(f"**/{files}")):
        empty = [f"NULL::VARCHAR AS {partition}" for partition in partitions]
        empty += [f"NULL::{_sql_type(field.type)} AS {field.name}" for field in schema]
        return f"CREATE VIEW {name} AS SELECT {', '.join(empty)} WHERE false"
    # A view's definition takes no parameters, so the path is quoted by hand.
    literal = re.sub(r"([*?\[])", r"[\1]", str(folder)).replace("'", "''")
    types = ", ".join(f"'{partition}': VARCHAR" for partition in partitions)
    columns = ", ".join([*partitions, *schema.names])
    return (
        f"CREATE VIEW {name} AS SELECT {columns} FROM read_parquet('{literal}/**/{files}', "
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
