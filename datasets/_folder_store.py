"""A lake's files in a folder of this machine: a lock holds writers off, readers wait for nobody."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from ._atomic import (
    make_folder,
    read_parquet,
    remove_leftovers,
    sync_folder,
    write_atomically,
)
from ._duckdb import connect, open_database
from ._store import Reading, Store, Version

_DESCRIPTORS: Final = Path("/proc/self/fd")
_MOST_HELD: Final = 500
"""Files held open at once; systems allow a thousand or more."""


@dataclass(eq=False)
class FolderStore(Store):
    """The files of a lake in a folder.

    Attributes
    ----------
    root : Path
    """

    root: Path

    def files(self, pattern: str) -> dict[str, Version]:
        """Return the names that fit a pattern, and their versions."""
        names = [p.relative_to(self.root).as_posix() for p in sorted(self.root.glob(pattern))]
        found = zip(names, self.versions(names), strict=True)
        # One that was removed since it was seen is not there.
        return {name: version for name, version in found if version is not None}

    def versions(self, names: Sequence[str]) -> list[Version | None]:
        """Return what tells files from others of the same name."""
        return [self._version(name) for name in names]

    def _version(self, name: str) -> Version | None:
        try:
            state = (self.root / name).stat()
        except OSError:
            return None
        if not stat.S_ISREG(state.st_mode):
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size

    def read(self, name: str) -> tuple[pa.Table, Version]:
        """Return a file's rows; the version says nothing, since writers hold each other off."""
        return read_parquet(self.root / name), ()

    def content(self, name: str) -> tuple[bytes, Version]:
        """Return a file's bytes; of the version, see `read`."""
        return (self.root / name).read_bytes(), ()

    @contextmanager
    def writing(self, *folders: str) -> Iterator[int]:
        """Hold the lake's lock, and remove what killed writers left in folders."""
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / ".lock"):
            yield sum(remove_leftovers(self.root / folder) for folder in folders)

    def put(self, name: str, rows: pa.Table, *, instead_of: Version | None) -> None:  # noqa: ARG002
        """Write a file beside the one of its name and rename it."""
        write_atomically(self.root / name, rows)

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Give a hidden path beside the file's, which is renamed."""
        for leftover in self.root.glob(f".{name}.[0-9]*"):
            if leftover.is_file():
                leftover.unlink(missing_ok=True)
        made = self.root / f".{name}.{os.getpid()}"
        try:
            yield made
            made.replace(self.root / name)
        finally:
            with suppress(OSError):
                made.unlink()

    def move(self, name: str, to: str, *, version: Version) -> None:  # noqa: ARG002
        """Rename a file; of the version, see `read`."""
        make_folder((self.root / to).parent)
        (self.root / name).replace(self.root / to)
        sync_folder((self.root / to).parent)
        sync_folder((self.root / name).parent)

    def copy(self, name: str, target: Path) -> None:
        """Link a file into another folder, or copy it to another file system."""
        try:
            target.hardlink_to((self.root / name).resolve())
        except OSError:
            shutil.copyfile(self.root / name, target)

    @contextmanager
    def database(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a database of its own."""
        with open_database() as database:
            yield database

    @contextmanager
    def reading(self, names: Sequence[str]) -> Iterator[Reading]:
        """Give descriptors of the files, which stay with what was opened, where a system has such."""
        with connect() as connection, ExitStack() as opened:
            fixed = len(names) <= _MOST_HELD and _DESCRIPTORS.is_dir()
            if fixed:
                files = [opened.enter_context((self.root / name).open("rb")) for name in names]
                places = [str(_DESCRIPTORS / str(file.fileno())) for file in files]
            else:
                places = [str(self.root / name) for name in names]
            yield Reading(connection, places, fixed)

    def place(self, name: str = "") -> str:
        """Return the absolute path, its characters that are patterns quoted."""
        return re.sub(r"([*?\[])", r"[\1]", str(self.root.resolve() / name))

    def _metadata(self, names: Mapping[str, Version]) -> dict[str, pq.FileMetaData]:
        found: dict[str, pq.FileMetaData] = {}
        for name in names:
            try:
                found[name] = pq.read_metadata(self.root / name)
            except (pa.ArrowException, OSError) as error:
                raise self.unreadable(name, error) from error
        return found
