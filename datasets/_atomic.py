"""Replacing a parquet file so that nobody ever sees half of it.

The new file is written under a hidden name that no pattern of the lake matches, synced to the disk
and renamed. What a killed write leaves behind is ignored by readers and removed by the next writer.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

_TEMPORARY: Final = ".tmp"


def write_atomically(path: Path, table: pa.Table) -> None:
    """Write a parquet file so that a reader or a crash sees all of it or nothing."""
    _make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{os.getpid()}{_TEMPORARY}"
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents so that none of them is lost with the power."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(series: Path) -> None:
    """Remove what a killed write left; whoever holds the lake's lock knows that it is dead."""
    for leftover in series.glob(f"**/.*{_TEMPORARY}"):
        leftover.unlink(missing_ok=True)
