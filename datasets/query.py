"""Reading a series back, through DuckDB, no more of it than is asked for.

The months outside the wanted span are never opened, columns not wanted are never decoded, and rows
always come in the order of the table's key: without an explicit order DuckDB returns them as the
files happen to be read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, cast

import duckdb
import numpy as np
import pyarrow as pa

from ._series_name import SeriesName
from .errors import InputError, LakeError
from .lake import Lake
from .schemas import TABLES
from .validation import connect

_DESCRIPTORS: Final = Path("/proc/self/fd")
_MOST_HELD: Final = 500
"""Files held open at once; systems allow a thousand or more."""
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
    found = queried(lake, statement, bounds)
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
        stored = [str(SeriesName(s.venue, s.symbol, s.timeframe)) for s in lake.series(table)]
        wanted = str(SeriesName(venue, symbol, timeframe))
        known = f"it has {', '.join(stored)}" if stored else "it has none: import some"
        raise InputError(f"the lake at {lake.root} has no {table} of {wanted}; {known}")
    return files


def files_between(files: Sequence[Path], start_us: int | None, end_us: int | None) -> list[Path]:
    """Return the monthly files that can hold rows of ``[start_us, end_us)``, by their names."""
    return [path for path in files if _overlaps(path, start_us, end_us)]


def queried(lake: Lake, statement: str, params: Mapping[str, object]) -> pa.Table:
    """Return the rows of a statement over files of the lake, all of them as they stood at one time.

    Parameters
    ----------
    lake : Lake
    statement : str
    params : mapping of str to object
        With ``files``, the paths that it reads.

    Raises
    ------
    LakeError
        If the query fails, for example on a damaged file, or the files do not stop changing.

    Notes
    -----
    DuckDB opens a file more than once: where a writer puts another in its place meanwhile, it fails, or reads
    the one by the other's index. So files are held open and read by their descriptors, which stay with what
    was opened. Where a system has none of these, a result counts only if no file was replaced from before
    the query until after it. Readers wait for no lock, and writers for no reader.
    """
    files = [Path(file) for file in cast("Sequence[str]", params["files"])]
    for attempt in range(_MOST_TRIES):
        before = _versions(files)
        failure: duckdb.Error | OSError | None = None
        names: dict[str, Path] = {}
        found = pa.table({})
        try:
            with _held(files) as held, connect() as connection:
                names = dict(zip(held, files, strict=True))
                given = {**params, "files": held}
                found = connection.sql(statement, params=given).to_arrow_table()
        except (duckdb.Error, OSError) as error:
            failure = error
        if failure is None and (_by_descriptor(files) or _versions(files) == before):
            return found
        if failure is not None and _versions(files) == before:
            cause = str(failure).splitlines()[0]
            for name, file in names.items():
                cause = cause.replace(f"{name}'", f"{file}'")
            raise LakeError(f"cannot read the lake at {lake.root}: {cause}") from failure
        time.sleep(_TRY_AGAIN_SECONDS * attempt)
    raise LakeError(
        f"the lake at {lake.root} is being written to without a pause: read it when the import is over"
    )


def _by_descriptor(files: Sequence[Path]) -> bool:
    return len(files) <= _MOST_HELD and _DESCRIPTORS.is_dir()


@contextmanager
def _held(files: Sequence[Path]) -> Iterator[list[str]]:
    """Give paths that stay with the files as they are now, where the system has such."""
    if not _by_descriptor(files):
        yield [str(file) for file in files]
        return
    with ExitStack() as opened:
        yield [
            str(_DESCRIPTORS / str(opened.enter_context(file.open("rb")).fileno()))
            for file in files
        ]


def _versions(files: Sequence[Path]) -> list[tuple[int, int, int] | None]:
    """Return what tells a file from another of the same name; None for one that is not there."""
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            state = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((state.st_ino, state.st_mtime_ns, state.st_size))
    return found


def _overlaps(path: Path, start_us: int | None, end_us: int | None) -> bool:
    year = path.parent.name.removeprefix("year=")
    month = np.datetime64(f"{year}-{path.stem.removeprefix('month=')}", "M")
    first = int(month.astype("datetime64[us]").astype(np.int64))
    next_first = int((month + np.timedelta64(1, "M")).astype("datetime64[us]").astype(np.int64))
    return (start_us is None or start_us < next_first) and (end_us is None or first < end_us)
