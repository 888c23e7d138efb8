"""Reading a series back, through DuckDB, no more of it than is asked for.

The months outside the wanted span are never opened, columns not wanted are never decoded, and rows
always come in the order of the table's key: without an explicit order DuckDB returns them as the
files happen to be read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

import duckdb
import numpy as np
import pyarrow as pa

from ._months import month_of
from ._series_name import SeriesName
from .errors import InputError, LakeError
from .lake import Lake, Series
from .schemas import TABLES

_MOST_TRIES: Final = 40
_TRY_AGAIN_SECONDS: Final = 0.005


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
    wanted = files_between(files, start_us, end_us)
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
    found = queried(lake, statement, bounds)
    return found.cast(pa.schema([schema.field(name) for name in names]))


def partition_files(
    lake: Lake, table: str, *, venue: str, symbol: str, timeframe: str | None
) -> list[str]:
    """Return the names of the monthly files of a series in order of time.

    Raises
    ------
    InputError
        If the series is not in the lake; the message says what is.
    """
    folder = lake.folder(table, venue=venue, symbol=symbol, timeframe=timeframe)
    files = list(lake.files(folder))
    if not files:
        stored = [str(SeriesName(s.venue, s.symbol, s.timeframe)) for s in lake.series(table)]
        wanted = str(SeriesName(venue, symbol, timeframe))
        known = f"it has {', '.join(stored)}" if stored else "it has none: import some"
        raise InputError(f"the lake at {lake.address} has no {table} of {wanted}; {known}")
    return files


def files_of(lake: Lake, series: Series) -> list[str]:
    """Return the names of a stored series' monthly files; see `partition_files`."""
    return partition_files(
        lake,
        series.table,
        venue=series.venue,
        symbol=series.symbol,
        timeframe=series.timeframe,
    )


def files_between(files: Iterable[str], start_us: int | None, end_us: int | None) -> list[str]:
    """Return the monthly files that can hold rows of ``[start_us, end_us)``, by their names."""
    return [name for name in files if _overlaps(name, start_us, end_us)]


def queried(lake: Lake, statement: str, params: Mapping[str, object]) -> pa.Table:
    """Return the rows of a statement over files of the lake, all of them as they stood at one time.

    Parameters
    ----------
    lake : Lake
    statement : str
    params : mapping of str to object
        With ``files``, the names of those that it reads, all of one series.

    Raises
    ------
    LakeError
        If the query fails, for example on a damaged file, a file is of another version of the schema, or
        the files do not stop changing.

    Notes
    -----
    DuckDB opens a file more than once: where a writer puts another in its place meanwhile, it fails, or reads
    the one by the other's index. Where the store cannot keep the files as they are, a result therefore counts
    only if none was replaced from before the query until after it. Readers wait for no lock, and writers for
    no reader.
    """
    files = cast("Sequence[str]", params["files"])
    for attempt in range(_MOST_TRIES):
        before = lake.store.versions(files)
        there = zip(files, before, strict=True)
        lake.footers({name: version for name, version in there if version is not None})
        failure: duckdb.Error | OSError | None = None
        names: dict[str, str] = {}
        found, fixed = pa.table({}), False
        try:
            with lake.store.reading(files) as (connection, places, fixed):
                names = dict(zip(places, files, strict=True))
                found = connection.sql(
                    statement, params={**params, "files": places}
                ).to_arrow_table()
        except (duckdb.Error, OSError) as error:
            failure = error
        if failure is None and (fixed or lake.store.versions(files) == before):
            return found
        if failure is not None and lake.store.versions(files) == before:
            cause = str(failure).splitlines()[0]
            for place, name in names.items():
                # A longer number begins with a shorter one.
                shown = lake.store.shown(name).replace("\\", r"\\")
                cause = re.sub(rf"{re.escape(place)}(?![0-9])", shown, cause)
            raise LakeError(
                f"cannot read the lake at {lake.address}: {cause}; `liqtiers data repair` looks at every file"
            ) from failure
        time.sleep(_TRY_AGAIN_SECONDS * attempt)
    raise LakeError(
        f"the lake at {lake.address} is being written to without a pause: read it when the import is over"
    )


def _overlaps(name: str, start_us: int | None, end_us: int | None) -> bool:
    month = np.datetime64(month_of(name), "M")
    first = int(month.astype("datetime64[us]").astype(np.int64))
    next_first = int((month + np.timedelta64(1, "M")).astype("datetime64[us]").astype(np.int64))
    return (start_us is None or start_us < next_first) and (end_us is None or first < end_us)
