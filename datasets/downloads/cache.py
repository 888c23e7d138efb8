"""What was brought before, on disk: whole files, what a server said it does not have, what was imported.

``downloads/<source>/<piece's name>``. A file appears at once and whole. ``absent.txt`` lists pieces of
the past that the server does not have. Lines are appended, so that a killed run loses the last at most.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

from .._atomic import make_folder, sync_folder
from .._store import Footer
from ..errors import InputError
from ..lake import Lake, WriteReport

_ABSENT: Final = "absent.txt"
_IMPORTED: Final = "imported.jsonl"
_UNFINISHED: Final = "unfinished"
_OLD_S: Final = 86_400.0


class Cache:
    """The files of one source.

    Parameters
    ----------
    root : Path
        Its folder; it is made by the first file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._absent = set(_lines(root / _ABSENT))
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Remove what killed runs left; another run may be writing now, so only what is old."""
        for path in self.root.rglob(".*"):
            if path.is_file() and time.time() - path.stat().st_mtime > _OLD_S:
                path.unlink(missing_ok=True)

    def path(self, name: str, *, final: bool = True) -> Path:
        """Return where a piece is kept; one that is not final yet is kept apart.

        Raises
        ------
        InputError
            If the name climbs out of the folder.
        """
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            raise InputError(f"a source names a piece {name!r}, which climbs out of its folder")
        return self.root / parts if final else self.root / _UNFINISHED / parts

    def holds(self, name: str) -> bool:
        """Return whether a final piece is here."""
        return self.path(name).is_file()

    def is_absent(self, name: str) -> bool:
        """Return whether the server said for good that it does not have a piece."""
        return name in self._absent

    def note_absent(self, name: str) -> None:
        """Remember that the server does not have a piece."""
        with self._lock:
            self._absent.add(name)
            _append(self.root / _ABSENT, name)

    def forget_absent(self) -> None:
        """Let everything be asked for again."""
        self._absent.clear()
        (self.root / _ABSENT).unlink(missing_ok=True)

    @contextmanager
    def writing(self, name: str, *, final: bool) -> Iterator[Path]:
        """Give a path to write a piece to; it takes its place when nothing was raised."""
        path = self.path(name, final=final)
        make_folder(path.parent)
        temporary = path.parent / f".{os.getpid()}-{threading.get_ident()}-{path.name}"
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            error.filename = str(path)  # a full disk does not say which file did not fit
            raise
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
        if final:
            self.path(name, final=False).unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        """Remove a piece that turned out to be damaged."""
        self.path(name).unlink(missing_ok=True)


class Imports:
    """Which pieces are in a lake already.

    A record holds for as long as each month that its piece was written to has at least the rows that it had
    when it was last written to; a piece of a month that lost rows, or was set aside, is imported again.

    Parameters
    ----------
    root : Path
        The source's folder in the cache.
    lake : Lake
    """

    def __init__(self, root: Path, lake: Lake) -> None:
        self._path = root / _IMPORTED
        self._lake = lake.address
        records = [r for line in _lines(self._path) if (r := _record(line)) is not None]
        records = [r for r in records if r["lake"] == self._lake]
        left: dict[str, int] = {}
        for record in records:
            left.update(record["months"])
        stored: dict[str, Footer] = {}
        for series in {name.rsplit("/", 2)[0] for name in left}:
            stored |= lake.footers(lake.files(series))
        whole = {
            name for name, rows in left.items() if name in stored and stored[name].rows >= rows
        }
        self._done = {r["name"] for r in records if whole.issuperset(r["months"])}

    def holds(self, name: str) -> bool:
        """Return whether a piece's rows are in the lake."""
        return name in self._done

    def note(self, name: str, reports: list[WriteReport]) -> None:
        """Remember that a piece's rows are in the lake."""
        months = {month: rows for report in reports for month, rows in report.months.items()}
        self._done.add(name)
        _append(self._path, json.dumps({"name": name, "lake": self._lake, "months": months}))


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return (
        record if isinstance(record, dict) and record.keys() >= {"name", "lake", "months"} else None
    )


def _lines(path: Path) -> list[str]:
    """Return the whole lines of a file; a last one without an end was cut off."""
    if not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def _append(path: Path, line: str) -> None:
    make_folder(path.parent)
    with path.open("ab+") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        torn = file.read(1) not in (b"", b"\n")
        file.write((b"\n" if torn else b"") + line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
