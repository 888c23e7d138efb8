"""Replacing a parquet file so that nobody ever sees half of it.

The new file is written under a hidden name that no pattern of the lake matches, synced to the disk
and renamed. What a killed write leaves behind is ignored by readers and removed by the next writer.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Final

import pyarrow as pa
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
    """Write rows as the lake keeps them: each page with a checksum, by which a flipped bit shows."""
    pq.write_table(table, into, compression="zstd", write_page_checksum=True)


def read_parquet(source: Path | IO[bytes]) -> pa.Table:
    """Return a file's rows, each page held against its checksum.

    Raises
    ------
    OSError
        If it cannot be read.
    pyarrow.ArrowException
        If it is not what was written.
    """
    try:
        # Not partitioned by the names of folders, though they look so.
        return pq.read_table(source, partitioning=None, page_checksum_verification=True)
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise
        # What pyarrow finds in the content is no fault of the disk.
        raise pa.ArrowInvalid(str(error)) from error


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
    leftovers = list(series.glob(f"**/.*{_TEMPORARY}"))
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)
