"""Where a lake keeps its files, by names relative to it: what a folder and a bucket have in common.

A name is ``bars/venue=…/symbol=…/year=2024/month=01.parquet``. A file appears whole or not at all, and one
that is read stays what it was for as long as it is being read. What rows mean is not known here.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import InputError, LakeError

Version: TypeAlias = Hashable
"""Tells a file from another that had, or will have, its name."""

BUCKET_SCHEME: Final = "s3://"
STAMP: Final = b"liqtiers.schema"
"""Key of a parquet file's metadata that holds the version of the schema by which it was written."""
FIRST_SCHEMA: Final = 1
"""Version of the files that have no stamp."""


class Changed(Exception):  # noqa: N818  # it is a state of the file that the caller deals with
    """Another writer replaced a file since it was read."""


class Footer(NamedTuple):
    """What a parquet file says of itself; times in UTC microseconds.

    Attributes
    ----------
    rows : int
    first_us, last_us : int
        First and last `ts`.
    known_us : int
        Last `available_at`.
    schema : int
        Version of the schema by which it was written.
    """

    rows: int
    first_us: int
    last_us: int
    known_us: int
    schema: int


class Reading(NamedTuple):
    """A connection, where it finds the files that were asked for, and whether they stay as they are."""

    connection: duckdb.DuckDBPyConnection
    places: list[str]
    fixed: bool


@dataclass(eq=False)
class Store(ABC):
    """The files of a lake.

    Attributes
    ----------
    address : str
        Where it is, as the user gave it.
    """

    address: str

    def __post_init__(self) -> None:
        self._footers: dict[tuple[str, Version], Footer] = {}

    @abstractmethod
    def files(self, pattern: str) -> dict[str, Version]:
        """Return the names that fit a pattern of the kind of `Path.glob`, sorted, and their versions."""

    @abstractmethod
    def versions(self, names: Sequence[str]) -> list[Version | None]:
        """Return the versions of files of one series; None for one that is not there."""

    @abstractmethod
    def read(self, name: str) -> tuple[pa.Table, Version]:
        """Return a parquet file's rows, and the version that they are of.

        Raises
        ------
        OSError, pyarrow.ArrowException
            If there is no such file (`FileNotFoundError`), or it cannot be read.
        """

    @abstractmethod
    def content(self, name: str) -> tuple[bytes, Version]:
        """Return a file's bytes, and the version that they are of.

        Raises
        ------
        OSError
            If there is no such file (`FileNotFoundError`), or it cannot be read.
        """

    @abstractmethod
    def writing(self, *folders: str) -> AbstractContextManager[int]:
        """Hold off other writers where that can be done, and remove what killed ones left in folders.

        Gives the number of files that were left.
        """

    @abstractmethod
    def put(self, name: str, rows: pa.Table, *, instead_of: Version | None) -> None:
        """Write a parquet file so that a reader or a crash sees all of it or nothing.

        Parameters
        ----------
        name : str
        rows : pyarrow.Table
        instead_of : Version or None
            What it replaces; None where there was no such file.

        Raises
        ------
        Changed
            If another writer came before. Not where writers hold each other off.
        OSError
        """

    @abstractmethod
    def making(self, name: str) -> AbstractContextManager[Path]:
        """Give a path on this machine to make a file at, which then takes its place; inside `writing`."""

    @abstractmethod
    def move(self, name: str, to: str, *, version: Version) -> None:
        """Give a file a name that is free.

        Raises
        ------
        Changed
            If it is not of this version any more; see `put`.
        """

    @abstractmethod
    def copy(self, name: str, target: Path) -> None:
        """Copy a file into a folder of this machine, by a link where that is possible."""

    @abstractmethod
    def database(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Give a database of its own that can read the store's places."""

    @abstractmethod
    def reading(self, names: Sequence[str]) -> AbstractContextManager[Reading]:
        """Give a connection that can read the files."""

    @abstractmethod
    def place(self, name: str = "") -> str:
        """Return where DuckDB finds a file or folder, for good; quoted for no pattern."""

    @abstractmethod
    def _metadata(self, names: Mapping[str, Version]) -> dict[str, pq.FileMetaData]:
        """Return the footers of files, read anew."""

    def footers(self, names: Mapping[str, Version]) -> dict[str, Footer]:
        """Return what files say of themselves; each version of one is asked once.

        Raises
        ------
        LakeError
            If one is not readable parquet.
        """
        new = {name: it for name, it in names.items() if (name, it) not in self._footers}
        for name, metadata in self._metadata(new).items():
            try:
                self._footers[name, names[name]] = footer_of(metadata, self.shown(name))
            except (pa.ArrowException, TypeError, UnicodeError, OverflowError) as error:
                raise self.unreadable(name, error) from error
        return {name: self._footers[name, version] for name, version in names.items()}

    def shown(self, name: str) -> str:
        """Return a file's place for a message."""
        return f"{self.address.rstrip('/')}/{name}"

    def unreadable(self, name: str, error: Exception) -> LakeError:
        """Return the error to raise for a file that is no parquet."""
        return LakeError(
            f"{self.shown(name)} is not readable parquet: {str(error).splitlines()[0]}; "
            "`liqtiers data repair` sets it aside"
        )


def footer_of(metadata: pq.FileMetaData, shown: str) -> Footer:
    """Return what a footer says.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
    shown : str
        The file, for the message.

    Raises
    ------
    LakeError
        If it is of no table of ours.
    """
    names = metadata.schema.names
    if not {"ts", "available_at"} <= set(names):
        raise LakeError(
            f"{shown} is no table of a lake: it lacks ts or available_at; move it elsewhere"
        )
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    ts, known = (
        [s for group in groups if (s := group.column(names.index(name)).statistics)]
        for name in ("ts", "available_at")
    )
    return Footer(
        rows=metadata.num_rows,
        first_us=min((_microseconds(s.min) for s in ts), default=0),
        last_us=max((_microseconds(s.max) for s in ts), default=0),
        known_us=max((_microseconds(s.max) for s in known), default=0),
        schema=schema_version(metadata.metadata),
    )


def schema_version(metadata: Mapping[bytes, bytes] | None) -> int:
    """Return the version of the schema that a parquet file's metadata states."""
    stated = (metadata or {}).get(STAMP, b"")
    return max(int(stated), FIRST_SCHEMA) if stated.isdigit() else FIRST_SCHEMA


def check_address(address: str) -> None:
    """Refuse what is neither a folder nor the address of a bucket.

    Raises
    ------
    InputError
        If it has another scheme, no bucket, a key in it, or names that readers would take for partitions.
    """
    if re.match(r"s3:(?!//)", address):
        raise InputError(f"{address!r} is no lake: write for example {BUCKET_SCHEME}bucket/lake")
    scheme = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", address)
    if scheme is None:
        return
    if scheme[0] != BUCKET_SCHEME:
        raise InputError(
            f"a lake is a folder or an address like {BUCKET_SCHEME}bucket/lake, "
            f"and {scheme[0]} is neither"
        )
    bucket = address.removeprefix(BUCKET_SCHEME).partition("/")[0]
    if "@" in bucket or ":" in bucket:
        raise InputError(
            "the lake's address must not hold a key: leave it out and set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or a profile"
        )
    inside = address.removeprefix(BUCKET_SCHEME)
    if re.search(r"[*?\[\]]|//|(^|/)(venue|symbol|timeframe|year|month)=", inside) or not bucket:
        raise InputError(f"{address!r} is no lake: write for example {BUCKET_SCHEME}bucket/lake")


def _microseconds(moment: object) -> int:
    return int(pa.scalar(moment, pa.timestamp("us", tz="UTC")).value)
