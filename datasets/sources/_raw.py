"""Reading any source file into a raw table or a JSON value, safely and without judging it.

A zip may hold one file only and unpack to a bounded size; a name inside it that climbs out of its
folder is refused. Cells stay as they are: a text among numbers reaches the quarantine with its line
and does not stop the file.
"""

from __future__ import annotations

import dataclasses
import errno
import gzip
import io
import json
import lzma
import re
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
"""A zip or gz that unpacks to more times its size than this is taken for a bomb."""

_BLOCK: Final = 2**20

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_QUOTE_BEGINS: Final = re.compile(rb'(?:^|,)"')
_QUOTE_ENDS: Final = re.compile(rb'(?:[^"]|"")*"(?!")')
_NUMBER: Final = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")


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
    notes : tuple of str
        What was left out on the way to the table.
    fault : str
        What is wrong with the broken lines.
    """

    path: Path
    frame: pd.DataFrame
    lines: np.ndarray[tuple[int], np.dtype[np.int64]]
    broken: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()
    fault: str = "another number of cells than the header"

    @property
    def columns(self) -> frozenset[str]:
        """The names of the columns."""
        return frozenset(self.frame.columns)

    def where(self, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> RawTable:
        """Return the rows of a mask."""
        return dataclasses.replace(self, frame=self.frame[mask], lines=self.lines[mask])


@dataclass(frozen=True, slots=True, eq=False)
class JsonLines:
    """JSON values of a file that holds one on each line, as recorders of streams write it.

    Attributes
    ----------
    messages : tuple of (int, JSON value)
        Line, from 1, and what stands on it.
    broken : tuple of (int, str)
        Lines that are not whole JSON, such as the last one of a recorder that was killed.
    """

    messages: tuple[tuple[int, Any], ...]
    broken: tuple[tuple[int, str], ...] = ()


def read_raw(path: Path) -> RawTable | JsonLines | Any:
    """Return a file's table, or its value or values if it is JSON.

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
            largest = min(path.stat().st_size * _LARGEST_RATIO + 2**20, LARGEST_FILE)
            with gzip.open(path) as file:
                content = file.read(largest + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{path}: the gz file is damaged or cut off; fetch it again"
            ) from error
        if len(content) > largest:
            raise InputError(f"{path}: unpacks to over {largest} bytes; refused as a gz bomb")
    else:
        with path.open("rb") as raw:
            content = raw.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise InputError(f"{path}: is larger than {LARGEST_FILE >> 30} GiB; split it")
    return content


def check_packed(path: Path) -> None:
    """Refuse a zip or gz file that is damaged, a bomb, or no single file; read in pieces, kept nowhere.

    Raises
    ------
    InputError
        If it is.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"PK":
        _unzip(path, keep=False)
    elif magic[:2] == b"\x1f\x8b":
        largest = min(path.stat().st_size * _LARGEST_RATIO + 2**20, LARGEST_FILE)
        try:
            with gzip.open(path) as file:
                while block := file.read(_BLOCK):
                    largest -= len(block)
                    if largest < 0:
                        raise InputError(f"{path}: unpacks to far too much; refused as a gz bomb")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{path}: the gz file is damaged or cut off; fetch it again"
            ) from error
    else:
        raise InputError(f"{path}: is neither zip nor gz")


def _unzip(path: Path, *, keep: bool = True) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_member(path, archive)
            with archive.open(member) as file:
                if keep:
                    return file.read(member.file_size + 1)
                while file.read(_BLOCK):  # the checksum inside is compared at the end
                    pass
                return b""
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        ValueError,
        IndexError,  # a name of no letters inside, on Python 3.11
    ) as error:
        raise InputError(f"{path}: the zip is damaged or cut off; fetch it again") from error
    except OSError as error:
        # A place inside that lies before the file's begin; what else the system refuses is no damage.
        if error.errno != errno.EINVAL:
            raise
        raise InputError(f"{path}: the zip is damaged or cut off; fetch it again") from error


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if not info.is_dir()]
    if len(members) != 1:
        raise InputError(f"{path}: a zip must hold one file, this one holds {len(members)}")
    member = members[0]
    inner = PurePosixPath(member.filename.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts:
        raise InputError(f"{path}: the file name inside climbs out of its folder; refused")
    if member.flag_bits & 1:
        raise InputError(f"{path}: the zip is encrypted; unpack it first")
    packed = max(member.compress_size, 1)
    if member.file_size > LARGEST_FILE or member.file_size > packed * _LARGEST_RATIO + 2**20:
        raise InputError(f"{path}: unpacks to {member.file_size} bytes; refused as a zip bomb")
    return member


def _parquet(path: Path) -> RawTable:
    try:
        size = pq.read_metadata(path)
        if size.num_rows * size.num_columns * 8 > LARGEST_FILE:
            raise InputError(f"{path}: unpacks to over {LARGEST_FILE >> 30} GiB; split it")
        # What pandas wrote beside the columns is not trusted: an index is a column like any other.
        table = pq.read_table(path, partitioning=None)
        table.validate(full=True)  # texts, whose bytes no reader looks at until they are used
        frame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the parquet file is damaged or cut off ({_first_line(error)})"
        ) from error
    frame.columns = [str(name).strip() for name in frame.columns]
    return _checked(RawTable(path, frame, np.arange(1, len(frame) + 1, dtype=np.int64)))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


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
            if (lines := _json_lines(content)) is not None:
                return lines
            raise InputError(f"{path}: is not whole JSON ({error})") from error
    if not text or b"\x00" in content[:4096]:
        raise InputError(f"{path}: is neither csv, parquet, JSON, zip nor gz")
    return _csv(path, content)


def _json_lines(content: bytes) -> JsonLines | None:
    """Return the values of a file whose first line is whole JSON by itself, else None."""
    values: list[tuple[int, Any]] = []
    broken: list[tuple[int, str]] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values.append((number, json.loads(line)))
        except (ValueError, RecursionError):
            if not values:
                return None
            broken.append((number, line.decode("utf-8", "replace")[:200]))
    return JsonLines(tuple(values), tuple(broken))


def _csv(path: Path, content: bytes) -> RawTable:
    _check_text(path, content)
    body = content.lstrip(b"\xef\xbb\xbf \r\n")
    before = len(_LINE_END.findall(content[: len(content) - len(body)]))
    first = body.split(b"\n", 1)[0].decode("utf-8")
    headed = not _is_row(first.rstrip("\r").split(","))
    if headed and not body[len(first.encode()) :].strip() and b"\r" not in body.strip():
        raise InputError(f"{path}: holds no rows")
    broken: list[tuple[int, str]] = []

    def note(row: pa_csv.InvalidRow) -> str:
        broken.append((int(row.number or 0), str(row.text)[:200]))
        return "skip"

    names = None if headed else [f"column_{i}" for i in range(first.count(",") + 1)]
    try:
        header = first.rstrip("\r").split(",") if headed else names or []
        cleaned = [name.strip().strip('"') for name in header]
        table = pa_csv.read_csv(
            io.BytesIO(body),
            read_options=pa_csv.ReadOptions(
                use_threads=False, column_names=cleaned, skip_rows=1 if headed else 0
            ),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=note),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(cleaned, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise InputError(f"{path}: is not a readable csv ({_first_line(error)})") from error
    numbers = _line_numbers(body, table.num_rows + len(broken) + headed) + before
    bad = np.array([number for number, _ in broken], dtype=np.int64) - 1
    good = np.delete(numbers, [*([0] if headed else []), *bad])
    texts = [text for _, text in broken]
    return _checked(
        RawTable(
            path,
            table.to_pandas(),
            good,
            tuple(zip(numbers[bad].tolist(), texts, strict=True)),
        )
    )


def _check_text(path: Path, content: bytes) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not UTF-8 text; convert the file") from None


def _line_numbers(body: bytes, rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the line of each row, from 1.

    The reader leaves out empty lines and does not count them, ends a line at a lone carriage return too,
    and lets a cell in quotes go on over several.
    """
    lone = body.count(b"\r") - body.count(b"\r\n")
    if lone or body.count(b"\n") + (not body.endswith(b"\n")) != rows:
        lines = _LINE_END.split(body)
        found = [number for number, line in enumerate(lines, start=1) if line]
        if len(found) != rows:
            found = _begins(lines)
        if len(found) == rows:
            return np.array(found, dtype=np.int64)
    return np.arange(1, rows + 1, dtype=np.int64)


def _begins(lines: list[bytes]) -> list[int]:
    """Return the lines on which rows begin where cells in quotes go on over several."""
    found, inside = [], False
    for number, line in enumerate(lines, start=1):
        if line and not inside:
            found.append(number)
        inside = _ends_inside(line, inside=inside)
    return found


def _ends_inside(line: bytes, *, inside: bool) -> bool:
    """Return whether a line ends within a cell in quotes; a quote amid a cell is a letter like any other."""
    place: int = 0
    while True:
        if inside:
            closed = _QUOTE_ENDS.match(line, place)
            if closed is None:
                return True
            place = closed.end()
        opened = _QUOTE_BEGINS.search(line, place)
        if opened is None:
            return False
        place, inside = opened.end(), True


def _is_row(cells: list[str]) -> bool:
    """Return whether a first line is a row already: it begins with a number or time, or holds one."""
    first, *others = (cell.strip().strip('"') for cell in cells)
    begins = bool(first) and (first[0].isdigit() or first[0] in "-+.")
    return begins or any(_NUMBER.fullmatch(cell) for cell in others)
