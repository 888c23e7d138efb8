"""Replacing a parquet file so that nobody ever sees half of it.

The new file is written under a hidden name that no pattern of the lake matches, synced to the disk
and renamed. What a killed write leaves behind is ignored by readers and removed by the next writer.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_TEMPORARY: Final = ".tmp"


def write_atomically(path: Path, table: pa.Table) -> None:
    """Write a parquet file so that a reader or a crash sees all of it or nothing."""
    make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{os.getpid()}{_TEMPORARY}"
    try:
        with temporary.open("wb") as file:
            write_parquet(table, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_parquet(table: pa.Table, into: IO[bytes]) -> None:
    """Write rows as the lake keeps them: each page with a checksum, by which a flipped bit shows.

    The same rows give the same bytes, however they lie in memory.
    """
    pq.write_table(table.combine_chunks(), into, compression="zstd", write_page_checksum=True)


def read_parquet(source: Path | IO[bytes]) -> pa.Table:
    """Return a file's rows, each page held against its checksum and each column against its statistics.

    Raises
    ------
    OSError
        If it cannot be read.
    pyarrow.ArrowException
        If it is not what was written.

    Notes
    -----
    The statistics have no checksum, and queries leave out what lies beyond them.
    """
    try:
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            rows = file.read()
            _check_statistics(file.metadata, rows)
    except (OSError, TypeError, UnicodeError, OverflowError) as error:
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        # What pyarrow finds in the content is no fault of the disk.
        raise pa.ArrowInvalid(str(error)) from error
    return rows


def _check_statistics(metadata: pq.FileMetaData, rows: pa.Table) -> None:
    start = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        part = rows.slice(start, group.num_rows)
        start += group.num_rows
        for place in range(group.num_columns):
            stated, name = group.column(place).statistics, rows.column_names[place]
            if stated is None or not stated.has_min_max:
                continue
            column = part.column(place)
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.int64())  # as they are stored; any moment fits
            found = pc.min_max(column).as_py()
            ends = [value.encode() if isinstance(value, str) else value for value in found.values()]
            if ends != [stated.min_raw, stated.max_raw] or column.null_count != stated.null_count:
                raise pa.ArrowInvalid(f"the statistics of column {name} are not of its values")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents so that none of them is lost with the power."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(series: Path) -> int:
    """Remove what killed writes left and count it; whoever holds the lake's lock knows that they are dead."""
    found = series.glob(f"**/.*.parquet.[0-9]*{_TEMPORARY}")
    leftovers = [path for path in found if path.is_file()]
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)
