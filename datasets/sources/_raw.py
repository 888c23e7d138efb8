"""Reading any source file into a raw table or a JSON value, safely and without judging it.

A zip may hold one file only and unpack to a bounded size; a name inside it that climbs out of its
folder is refused. Cells stay as they are: a text among numbers reaches the quarantine with its line
and does not stop the file.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ..errors import InputError

LARGEST_FILE: Final = 4 * 1024**3
"""Bytes; a file that unpacks to more is refused."""

_LARGEST_RATIO: Final = 200
"""A zip that says it unpacks to more times its size than this is taken for a bomb."""


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """A table as it stands in a file.

    Attributes
    ----------
    path : Path
    frame : DataFrame
        Cells as text (csv) or as typed (parquet); column names stripped.
    lines : ndarray of int64, shape (n,)
        Line of each row in the file, from 1; the header counts.
    broken : tuple of (int, str)
        Lines with another number of cells than the header, and their text.
    """

    path: Path
    frame: pd.DataFrame
    lines: np.ndarray[tuple[int], np.dtype[np.int64]]
    broken: tuple[tuple[int, str], ...] = ()

    @property
    def columns(self) -> frozenset[str]:
        """The names of the columns."""
        return frozenset(self.frame.columns)

    def where(self, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> RawTable:
        """Return the rows of a mask."""
        return RawTable(self.path, self.frame[mask], self.lines[mask], self.broken)


def read_raw(path: Path) -> RawTable | Any:
    """Return a file's table, or its value if it is JSON.

    Raises
    ------
    InputError
        If it cannot be read, is empty, too large, or no csv, parquet, JSON, zip or gz.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty")
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == b"PAR1":
            return _parquet(path)
        content = _content(path, magic)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return _parse(path, content)


def _content(path: Path, magic: bytes) -> bytes:
    if magic[:2] == b"PK":
        return _unzip(path)
    if magic[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as file:
                content = file.read(LARGEST_FILE + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{path}: the gz file is damaged or cut off; fetch it again"
            ) from error
    else:
        with path.open("rb") as raw:
            content = raw.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise InputError(f"{path}: is larger than {LARGEST_FILE >> 30} GiB; split it")
    return content


def _unzip(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            if len(members) != 1:
                raise InputError(f"{path}: a zip must hold one file, this one holds {len(members)}")
            member = members[0]
            inner = PurePosixPath(member.filename.replace("\\", "/"))
            if inner.is_absolute() or ".." in inner.parts:
                raise InputError(f"{path}: the file name inside climbs out of its folder; refused")
            packed = max(member.compress_size, 1)
            if (
                member.file_size > LARGEST_FILE
                or member.file_size > packed * _LARGEST_RATIO + 2**20
            ):
                raise InputError(
                    f"{path}: unpacks to {member.file_size} bytes; refused as a zip bomb"
                )
            with archive.open(member) as file:
                return file.read(member.file_size + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise InputError(f"{path}: the zip is damaged or cut off; fetch it again") from error


def _parquet(path: Path) -> RawTable:
    try:
        frame = pq.read_table(path, partitioning=None).to_pandas()
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the parquet file is damaged or cut off ({error})") from error
    if frame.index.name or not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    frame.columns = [str(name).strip() for name in frame.columns]
    return _checked(RawTable(path, frame, np.arange(1, len(frame) + 1, dtype=np.int64)))


def _checked(table: RawTable) -> RawTable:
    if table.frame.columns.has_duplicates:
        raise InputError(f"{table.path}: two columns have the same name")
    if len(table.frame) == 0 and not table.broken:
        raise InputError(f"{table.path}: holds no rows")
    return table


def _parse(path: Path, content: bytes) -> RawTable | Any:
    text = content.lstrip()[:1]
    if text in (b"{", b"["):
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: is not whole JSON ({error})") from error
    if not text or b"\x00" in content[:4096]:
        raise InputError(f"{path}: is neither csv, parquet, JSON, zip nor gz")
    return _csv(path, content)


def _csv(path: Path, content: bytes) -> RawTable:
    first = content.lstrip(b"\xef\xbb\xbf \r\n").split(b"\n", 1)[0].decode("utf-8", "replace")
    headed = not _looks_like_a_number(first.split(",")[0])
    broken: list[tuple[int, str]] = []

    def note(row: pa_csv.InvalidRow) -> str:
        broken.append((int(row.number or 0), str(row.text)[:200]))
        return "skip"

    names = None if headed else [f"column_{i}" for i in range(first.count(",") + 1)]
    try:
        header = first.rstrip("\r").split(",") if headed else names or []
        cleaned = [name.strip().strip('"') for name in header]
        table = pa_csv.read_csv(
            io.BytesIO(content),
            read_options=pa_csv.ReadOptions(
                use_threads=False, column_names=cleaned, skip_rows=1 if headed else 0
            ),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=note),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(cleaned, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise InputError(f"{path}: is not a readable csv ({str(error).splitlines()[0]})") from error
    skipped = {line for line, _ in broken}
    first_line = 2 if headed else 1
    total = table.num_rows + len(broken)
    lines = np.array(
        [line for line in range(first_line, first_line + total) if line not in skipped],
        dtype=np.int64,
    )
    if len(lines) != table.num_rows:
        lines = np.arange(first_line, first_line + table.num_rows, dtype=np.int64)
    return _checked(RawTable(path, table.to_pandas(), lines, tuple(broken)))


def _looks_like_a_number(cell: str) -> bool:
    stripped = cell.strip().strip('"')
    return bool(stripped) and (stripped[0].isdigit() or stripped[0] in "-+.")
