"""DuckDB as the package uses it: in memory, times in UTC.

Opening a database takes 40 ms, a connection to an open one some microseconds, so a process keeps one
database. Connections share nothing that is registered in them.
"""

from __future__ import annotations

import functools
import os
from typing import Final

import duckdb

_FILE_CACHE: Final = "enable_external_file_cache"


def connect() -> duckdb.DuckDBPyConnection:
    """Return a connection whose times are UTC."""
    return _database(os.getpid()).cursor()


def open_database() -> duckdb.DuckDBPyConnection:
    """Return a database of its own, for what would be seen by all connections, like a file system."""
    database = duckdb.connect()
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    # Blocks of files are kept by the file's name; ours are descriptors, whose numbers come again.
    known = "SELECT count(*) FROM duckdb_settings() WHERE name = $name"
    if database.execute(known, {"name": _FILE_CACHE}).fetchall() != [(0,)]:
        database.execute(f"SET GLOBAL {_FILE_CACHE} = false")
    return database


@functools.cache
def _database(_process: int) -> duckdb.DuckDBPyConnection:
    """By process, since a fork must not use what its parent opened."""
    return open_database()
