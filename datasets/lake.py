"""The lake: canonical tables as hive-partitioned parquet, written so that nothing is lost.

``<table>/venue=V/symbol=S/[timeframe=T/]year=YYYY/month=MM.parquet``, sorted by key. A write
merges with what is there by key (the newer row wins) and replaces each month at once, so that a
reader sees the old month or the new one and never half of one. Writing the same rows twice changes
nothing. The files are in a folder or in an S3 bucket (``_store``). Reading lives in ``query``, the catalog
for other tools in ``catalog``, what sets a damaged lake right in ``repair``.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

import pyarrow as pa

from ._bucket_store import BucketStore
from ._folder_store import FolderStore
from ._months import Merged, is_month, keys_of, merged, months_of
from ._store import (
    BUCKET_SCHEME,
    STAMP,
    Changed,
    Footer,
    Store,
    Version,
    check_address,
    schema_version,
)
from .errors import InputError, LakeError
from .naming import check_name, timeframe_us
from .schemas import EVENTS, SCHEMA_VERSION, TABLES, Table
from .validation import LINE, REASON, sort_rows

QUARANTINE: Final = "_quarantine"
_MOST_TRIES: Final = 50
"""Times that a month is merged again, since another writer was quicker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReport:
    """What became of the rows of one write.

    Attributes
    ----------
    table, venue, symbol : str
    timeframe : str or None
    rows : int
        Rows given.
    months : dict of str to int
        Rows that each monthly file has now that was written to or looked at.
    inserted, updated, unchanged : int
        Rows that were new, replaced another of their key, or were there already.
    repeated : int
        Rows that repeated another one of the same input exactly.
    quarantined : int
        Rows set aside.
    reasons : dict of str to int
        Why they were set aside.
    """

    table: str
    venue: str
    symbol: str
    timeframe: str | None
    rows: int
    inserted: int
    updated: int
    unchanged: int
    repeated: int
    quarantined: int
    reasons: dict[str, int] = field(default_factory=dict)
    months: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One stored series: what it is of, how many rows, first and last `ts` (UTC microseconds)."""

    table: str
    venue: str
    symbol: str
    timeframe: str | None
    rows: int
    first_us: int
    last_us: int


class Lake:
    """Canonical tables in a folder or a bucket.

    Parameters
    ----------
    address : Path or str
        The lake's folder, which is made by the first write, or ``s3://bucket/prefix``.
    scratch : Path, optional
        Folder of this machine for what is derived from the lake and can be made again; by default
        the lake's own folder, or a temporary one for a lake in a bucket.

    Attributes
    ----------
    address : str
    scratch : Path
    store : Store
        Its files, for what reads or writes them beside this class.

    Raises
    ------
    InputError
        If the address is neither, or s3fs is not installed for one that is a bucket's.
    """

    def __init__(self, address: Path | str, *, scratch: Path | None = None) -> None:
        self.address = str(address)
        check_address(self.address)
        self.store: Store
        if self.address.startswith(BUCKET_SCHEME):
            self.store = BucketStore(self.address)
            name = hashlib.sha256(self.address.encode()).hexdigest()[:16]
            self.scratch = scratch or Path(tempfile.gettempdir()) / f"liqtiers-{name}"
        else:
            self.store = FolderStore(self.address, Path(address))
            self.scratch = scratch or Path(address)

    @property
    def root(self) -> Path:
        """Return the lake's folder.

        Raises
        ------
        LakeError
            If it is in a bucket.
        """
        if isinstance(self.store, FolderStore):
            return self.store.root
        raise LakeError(f"the lake at {self.address} is in a bucket and has no folder")

    def write(
        self,
        table: str,
        rows: pa.Table,
        *,
        venue: str,
        symbol: str,
        timeframe: str | None = None,
        source: str = "",
    ) -> WriteReport:
        """Merge rows into a series.

        Parameters
        ----------
        table : str
            A name in `schemas.TABLES`.
        rows : pyarrow.Table
            See `validation.sort_rows`.
        venue, symbol : str
        timeframe : str, optional
            Length of a bar; required by tables that are kept by timeframe, where ``"events"``
            stands for single liquidations.
        source : str
            Where the rows came from, for the quarantine.

        Raises
        ------
        InputError
            If a name is not valid, a column is unknown or missing, or the timeframe is missing.
        LakeError
            If the lake cannot be written, or holds files of another version of the schema.
        """
        schema = _table_of(table)
        folder = self.folder(table, venue=venue, symbol=symbol, timeframe=timeframe)
        parts = sort_rows(schema, rows, timeframe=timeframe)
        counts = {"inserted": 0, "updated": 0, "unchanged": 0}
        months: dict[str, int] = {}
        try:
            with self.store.writing(folder, f"{QUARANTINE}/{folder}"):
                for name, month in months_of(folder, parts.good):
                    became = self.merge(schema, name, month)
                    months[name] = became.stored
                    counts["inserted"] += became.inserted
                    counts["unchanged"] += became.unchanged
                    counts["updated"] += month.num_rows - became.inserted - became.unchanged
                self.set_aside(parts.bad, folder, source)
        except OSError as error:
            raise LakeError(f"cannot write the lake at {self.address}: {error}") from error
        return WriteReport(
            table=table,
            venue=venue,
            symbol=symbol,
            timeframe=timeframe,
            rows=rows.num_rows,
            repeated=parts.repeated,
            quarantined=parts.bad.num_rows,
            reasons=_count_reasons(parts.bad),
            months=months,
            **counts,
        )

    def folder(self, table: str, *, venue: str, symbol: str, timeframe: str | None) -> str:
        """Return where in the lake a series is kept, whether it exists or not."""
        schema = _table_of(table)
        name = f"{table}/venue={check_name('venue', venue)}/symbol={check_name('symbol', symbol)}"
        if not schema.partitioned_by_timeframe:
            return name
        if timeframe is None:
            raise InputError(f"table {table} is kept by timeframe: give one, for example 1h")
        if not (table == "liquidations" and timeframe == EVENTS):
            timeframe_us(timeframe)
        return f"{name}/timeframe={timeframe}"

    def series(
        self, table: str | None = None, *, venue: str | None = None, symbol: str | None = None
    ) -> list[Series]:
        """Return what is stored, in order of table, venue, symbol and timeframe.

        Only the files' footers are read.

        Parameters
        ----------
        table, venue, symbol : str, optional
            What to look at; everything by default.

        Raises
        ------
        LakeError
            If a stored file is not readable parquet, or of another version of the schema.
        """
        names = [table] if table is not None else list(TABLES)
        tables = [_table_of(name) for name in names]
        pattern = f"venue={check_name('venue', venue) if venue is not None else '*'}"
        pattern += f"/symbol={check_name('symbol', symbol) if symbol is not None else '*'}"
        return [found for each in tables for found in self._series_of(each, pattern)]

    def quarantine(self) -> pa.Table:
        """Return how many rows were set aside, and why.

        Returns
        -------
        pyarrow.Table
            Columns table, venue, symbol, timeframe, source, reason, rows.
        """
        wanted = ("table", "venue", "symbol", "timeframe", "source", REASON)
        found: list[dict[str, object]] = []
        for name, rows in self._set_aside_rows():
            head = {"table": name.split("/")[1], **keys_of(name)}
            for entry in (
                rows.group_by(["source", REASON]).aggregate([([], "count_all")]).to_pylist()
            ):
                row = {**head, **entry}
                found.append({**{k: row.get(k) for k in wanted}, "rows": row["count_all"]})
        types = [(name, pa.string()) for name in wanted]
        return pa.Table.from_pylist(found, schema=pa.schema([*types, ("rows", pa.int64())]))

    def quarantined_rows(self, table: str) -> pa.Table:
        """Return a table's rows that were set aside.

        Returns
        -------
        pyarrow.Table
            The table's columns, then `line`, `reason` and `source`.
        """
        schema = _table_of(table).schema.remove_metadata()
        for name, dtype in (("line", pa.int64()), (REASON, pa.string()), ("source", pa.string())):
            schema = schema.append(pa.field(name, dtype))
        parts = [rows.select(schema.names) for _, rows in self._set_aside_rows(table)]
        nullable = pa.schema([f.with_nullable(nullable=True) for f in schema])
        return pa.concat_tables([nullable.empty_table(), *(p.cast(nullable) for p in parts)])

    def set_aside(self, bad: pa.Table, series: str, source: str) -> None:
        """Add rows to the quarantine; inside `store.writing`.

        Parameters
        ----------
        bad : pyarrow.Table
            See `validation.Sorted`.
        series : str
            See `folder`.
        source : str
        """
        if bad.num_rows == 0:
            return
        bad = bad.rename_columns([*bad.column_names[:-2], "line", REASON])
        bad = bad.append_column("source", pa.array([source] * bad.num_rows, pa.string()))
        bad = bad.replace_schema_metadata(None)
        # Named by content: the same import again finds its own quarantine and adds nothing.
        digest = hashlib.sha256(source.encode() + _content(bad)).hexdigest()[:24]
        name = f"{QUARANTINE}/{series}/{digest}.parquet"
        if self.store.versions([name]) == [None]:
            with suppress(Changed):  # another writer had the same rows
                self.store.put(name, bad, instead_of=None)

    def files(self, series: str) -> dict[str, Version]:
        """Return the monthly files of a series in order of time, and their versions.

        Parameters
        ----------
        series : str
            See `folder`; names in it may be ``*``.
        """
        found = self.store.files(f"{series}/year=*/month=*.parquet")
        return {name: version for name, version in found.items() if is_month(name)}

    def footers(self, files: Mapping[str, Version]) -> dict[str, Footer]:
        """Return what monthly files say of themselves.

        Raises
        ------
        LakeError
            If one is not readable parquet, or of another version of the schema.
        """
        footers = self.store.footers(files)
        for name, footer in footers.items():
            check_schema(footer.schema, self.store.shown(name))
        return footers

    def verify(self, name: str) -> None:
        """Hold a file against its checksums.

        Raises
        ------
        LakeError
            If it is not what was written.
        """
        try:
            self.store.read(name)
        except (pa.ArrowException, OSError) as error:
            raise self.store.unreadable(name, error) from error

    def _set_aside_rows(self, table: str = "*") -> Iterator[tuple[str, pa.Table]]:
        for name in self.store.files(f"{QUARANTINE}/{table}/**/*.parquet"):
            try:
                yield name, self.store.read(name)[0]
            except pa.ArrowException as error:
                raise self.store.unreadable(name, error) from error

    def _series_of(self, table: Table, pattern: str) -> Iterator[Series]:
        depth = f"{pattern}/timeframe=*" if table.partitioned_by_timeframe else pattern
        files = self.files(f"{table.name}/{depth}")
        footers = self.footers(files)
        for folder, names in groupby(files, key=lambda name: name.rsplit("/", 2)[0]):
            spans = [found for name in names if (found := footers[name]).rows]
            if not spans:
                continue
            keys = keys_of(folder)
            yield Series(
                table=table.name,
                venue=keys["venue"],
                symbol=keys["symbol"],
                timeframe=keys.get("timeframe"),
                rows=sum(span.rows for span in spans),
                first_us=min(span.first_us for span in spans),
                last_us=max(span.last_us for span in spans),
            )

    def merge(self, table: Table, name: str, rows: pa.Table) -> Merged:
        """Merge rows into a month, again where another writer replaced it meanwhile; inside `store.writing`.

        Parameters
        ----------
        table : Table
        name : str
            The monthly file.
        rows : pyarrow.Table
            Rows of this month that passed their checks, unique by key and sorted by it.
        """
        for _ in range(_MOST_TRIES):
            with suppress(Changed):
                return self._merge_once(table, name, rows)
        raise LakeError(
            f"{self.store.shown(name)} is being written to without a pause: try again later"
        )

    def _merge_once(self, table: Table, name: str, rows: pa.Table) -> Merged:
        try:
            stored, version = self.store.read(name)
        except FileNotFoundError:
            self.store.put(name, stamped(rows), instead_of=None)
            return Merged(rows, rows.num_rows, 0, rows.num_rows)
        except pa.ArrowException as error:
            raise self.store.unreadable(name, error) from error
        check_schema(schema_version(stored.schema.metadata), self.store.shown(name))
        result = merged(table, stored, rows)
        if result.rows is not None:
            self.store.put(name, stamped(result.rows), instead_of=version)
        return result


def stamped(rows: pa.Table) -> pa.Table:
    """Return rows with the version of the schema in their metadata, as files have it."""
    return rows.replace_schema_metadata({STAMP: str(SCHEMA_VERSION).encode()})


def check_schema(version: int, shown: str) -> None:
    """Refuse a file of another version of the schema.

    Raises
    ------
    LakeError
        If it is older or newer than ours.
    """
    if version > SCHEMA_VERSION:
        raise LakeError(
            f"{shown} was written by a newer liqtiers (schema {version}, this one knows "
            f"{SCHEMA_VERSION}): install the newer one"
        )
    if version < SCHEMA_VERSION:
        raise LakeError(
            f"{shown} is of schema {version}, which is older than {SCHEMA_VERSION}: "
            "`liqtiers data repair` brings it up to date"
        )


def _content(rows: pa.Table) -> bytes:
    """Return the rows' values as bytes; times as numbers, since a bad one may be out of Python's range."""
    for place, column in enumerate(rows.schema):
        if pa.types.is_timestamp(column.type):
            rows = rows.set_column(place, column.name, rows[column.name].cast(pa.int64()))
    return str(rows.to_pylist()).encode()


def _table_of(name: str) -> Table:
    if name not in TABLES:
        raise InputError(f"there is no table {name!r}: the tables are {', '.join(TABLES)}")
    return TABLES[name]


def _count_reasons(bad: pa.Table) -> dict[str, int]:
    counts = bad.group_by(REASON).aggregate([(LINE, "count")]).sort_by(REASON).to_pylist()
    return {row[REASON]: row[f"{LINE}_count"] for row in counts}
