"""Reading a series back, through DuckDB, no more of it than is asked for.

The months outside the wanted span are never opened, columns not wanted are never decoded, and rows
always come in the order of the table's key: without an explicit order DuckDB returns them as the
files happen to be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from .errors import InputError, LakeError
from .lake import Lake
from .schemas import TABLES
from .validation import connect


def read(
    lake: Lake,
    table: str,
    *,
    venue: str,
    symbol: str,
    timeframe: str | None = None,
    start_us: int | None = None,
    end_us: int | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of a series whose `ts` lies in ``[start_us, end_us)``, sorted by key.

    Parameters
    ----------
    lake : Lake
    table, venue, symbol : str
    timeframe : str, optional
        For tables that are kept by timeframe.
    start_us, end_us : int, optional
        Bounds in UTC microseconds; open by default.
    columns : sequence of str, optional
        Columns wanted, all by default.

    Raises
    ------
    InputError
        If the series is not in the lake, a column is unknown, or the start is not before the end.
    """
    if start_us is not None and end_us is not None and start_us >= end_us:
        raise InputError("the start is not before the end: choose an earlier start or a later end")
    files = partition_files(lake, table, venue=venue, symbol=symbol, timeframe=timeframe)
    schema = TABLES[table].schema
    names = list(columns) if columns is not None else schema.names
    unknown = [name for name in names if name not in schema.names]
    if unknown:
        raise InputError(f"table {table} has no column {', '.join(unknown)}")
    wanted = [str(path) for path in files_between(files, start_us, end_us)]
    if not wanted:
        return schema.empty_table().select(names)
    # Only names from the schema are put into the text; what the user gave is bound.
    statement = (
        f"SELECT {', '.join(names)} FROM read_parquet($files, hive_partitioning = false) "
        "WHERE ts >= make_timestamptz($start_us::BIGINT) "
        "AND ts < make_timestamptz($end_us::BIGINT) "
        f"ORDER BY {', '.join(TABLES[table].key)}"
    )
    bounds = {
        "files": wanted,
        "start_us": start_us if start_us is not None else 0,
        "end_us": end_us if end_us is not None else np.iinfo(np.int64).max // 4,
    }
    with reading(lake) as connection:
        found = connection.sql(statement, params=bounds).to_arrow_table()
    return found.cast(pa.schema([schema.field(name) for name in names]))


def partition_files(
    lake: Lake, table: str, *, venue: str, symbol: str, timeframe: str | None
) -> list[Path]:
    """Return the monthly files of a series in order of time.

    Raises
    ------
    InputError
        If the series is not in the lake; the message says what is.
    """
    folder = lake.folder(table, venue=venue, symbol=symbol, timeframe=timeframe)
    files = sorted(folder.glob("year=*/month=*.parquet"))
    if not files:
        stored = [
            ":".join(filter(None, (s.venue, s.symbol, s.timeframe))) for s in lake.series(table)
        ]
        wanted = ":".join(filter(None, (venue, symbol, timeframe)))
        known = f"it has {', '.join(stored)}" if stored else "it has none: import some"
        raise InputError(f"the lake at {lake.root} has no {table} of {wanted}; {known}")
    return files


def files_between(files: Sequence[Path], start_us: int | None, end_us: int | None) -> list[Path]:
    """Return the monthly files that can hold rows of ``[start_us, end_us)``, by their names."""
    return [path for path in files if _overlaps(path, start_us, end_us)]


@contextmanager
def reading(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection whose failures are told as the lake's.

    Raises
    ------
    LakeError
        If a query fails, for example on a damaged file.
    """
    try:
        with connect() as connection:
            yield connection
    except duckdb.Error as error:
        cause = str(error).splitlines()[0]
        raise LakeError(f"cannot read the lake at {lake.root}: {cause}") from error


def _overlaps(path: Path, start_us: int | None, end_us: int | None) -> bool:
    year = path.parent.name.removeprefix("year=")
    month = np.datetime64(f"{year}-{path.stem.removeprefix('month=')}", "M")
    first = int(month.astype("datetime64[us]").astype(np.int64))
    next_first = int((month + np.timedelta64(1, "M")).astype("datetime64[us]").astype(np.int64))
    return (start_us is None or start_us < next_first) and (end_us is None or first < end_us)
