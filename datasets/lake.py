"""The lake: canonical tables as hive-partitioned parquet, written so that nothing is lost.

``lake/<table>/venue=V/symbol=S/[timeframe=T/]year=YYYY/month=MM.parquet``, sorted by key. A write
merges with what is there by key (the newer row wins) and replaces each month at once, so that a
reader sees the old month or the new one and never half of one. Writing the same rows twice changes
nothing. Reading lives in ``query``, the catalog for other tools in ``catalog``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from ._atomic import remove_leftovers, write_atomically
from .errors import InputError, LakeError
from .naming import check_name, timeframe_us
from .schemas import EVENTS, TABLES, Table
from .validation import LINE, REASON, Sorted, connect, sort_rows

QUARANTINE: Final = "_quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReport:
    """What became of the rows of one write.

    Attributes
    ----------
    table, venue, symbol : str
    timeframe : str or None
    rows : int
        Rows given.
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
    """A folder of canonical tables.

    Parameters
    ----------
    root : Path
        The lake's folder; it is made by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

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
            If the lake cannot be written.
        """
        schema = _table_of(table)
        folder = self.folder(table, venue=venue, symbol=symbol, timeframe=timeframe)
        parts = sort_rows(schema, rows, timeframe=timeframe)
        counts = {"inserted": 0, "updated": 0, "unchanged": 0}
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / ".lock"):
                remove_leftovers(folder)
                remove_leftovers(self.root / QUARANTINE / folder.relative_to(self.root))
                for path, month in _months(folder, parts.good):
                    for name, count in _merge_month(schema, path, month).items():
                        counts[name] += count
                self._set_aside(parts, folder.relative_to(self.root), source)
        except OSError as error:
            raise LakeError(f"cannot write the lake at {self.root}: {error}") from error
        return WriteReport(
            table=table,
            venue=venue,
            symbol=symbol,
            timeframe=timeframe,
            rows=rows.num_rows,
            repeated=parts.repeated,
            quarantined=parts.bad.num_rows,
            reasons=_count_reasons(parts.bad),
            **counts,
        )

    def folder(self, table: str, *, venue: str, symbol: str, timeframe: str | None) -> Path:
        """Return where a series is kept, whether it exists or not."""
        schema = _table_of(table)
        path = self.root / table / f"venue={check_name('venue', venue)}"
        path /= f"symbol={check_name('symbol', symbol)}"
        if schema.partitioned_by_timeframe:
            if timeframe is None:
                raise InputError(f"table {table} is kept by timeframe: give one, for example 1h")
            if not (table == "liquidations" and timeframe == EVENTS):
                timeframe_us(timeframe)
            path /= f"timeframe={timeframe}"
        return path

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
            If a stored file is not readable parquet.
        """
        names = [table] if table is not None else list(TABLES)
        tables = [_table_of(name) for name in names]
        pattern = f"venue={check_name('venue', venue)}" if venue is not None else "*"
        pattern += f"/symbol={check_name('symbol', symbol)}" if symbol is not None else "/*"
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
        for path in sorted((self.root / QUARANTINE).glob("**/*.parquet")):
            keys = dict(part.split("=", 1) for part in path.parts if "=" in part)
            rows = pq.read_table(path, partitioning=None)
            head = {"table": path.relative_to(self.root / QUARANTINE).parts[0], **keys}
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
        files = sorted((self.root / QUARANTINE / table).glob("**/*.parquet"))
        parts = [pq.read_table(path, partitioning=None).select(schema.names) for path in files]
        nullable = pa.schema([f.with_nullable(nullable=True) for f in schema])
        return pa.concat_tables([nullable.empty_table(), *(p.cast(nullable) for p in parts)])

    def _series_of(self, table: Table, pattern: str) -> Iterator[Series]:
        depth = f"{pattern}/timeframe=*" if table.partitioned_by_timeframe else pattern
        for folder in sorted((self.root / table.name).glob(depth)):
            files = sorted(folder.glob("year=*/month=*.parquet"))
            if not files:
                continue
            keys = dict(part.split("=", 1) for part in folder.relative_to(self.root).parts[1:])
            spans = [_span(path) for path in files]
            yield Series(
                table=table.name,
                venue=keys["venue"],
                symbol=keys["symbol"],
                timeframe=keys.get("timeframe"),
                rows=sum(rows for rows, _, _ in spans),
                first_us=min(first for _, first, _ in spans),
                last_us=max(last for _, _, last in spans),
            )

    def _set_aside(self, parts: Sorted, series: Path, source: str) -> None:
        if parts.bad.num_rows == 0:
            return
        bad = parts.bad.rename_columns([*parts.bad.column_names[:-2], "line", REASON])
        bad = bad.append_column("source", pa.array([source] * bad.num_rows, pa.string()))
        bad = bad.replace_schema_metadata(None)
        # Named by content: the same import again finds its own quarantine and adds nothing.
        digest = hashlib.sha256(source.encode() + _content(bad)).hexdigest()[:24]
        path = self.root / QUARANTINE / series / f"{digest}.parquet"
        if not path.exists():
            write_atomically(path, bad)


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


def _months(folder: Path, rows: pa.Table) -> Iterator[tuple[Path, pa.Table]]:
    month = pc.strftime(rows["ts"], format="%Y-%m")
    for name in sorted(pc.unique(month).to_pylist()):
        year, number = name.split("-")
        yield (
            folder / f"year={year}" / f"month={number}.parquet",
            rows.filter(pc.equal(month, name)),
        )


def _merge_month(table: Table, path: Path, rows: pa.Table) -> dict[str, int]:
    if not path.exists():
        write_atomically(path, rows)
        return {"inserted": rows.num_rows}
    try:
        stored = pq.read_table(path, partitioning=None)
    except pa.ArrowException as error:
        raise LakeError(
            f"{path} is not readable parquet: {error}; remove it and import again"
        ) from error
    same_key = " AND ".join(f"n.{name} IS NOT DISTINCT FROM s.{name}" for name in table.key)
    values_n = ", ".join(f"n.{name}" for name in table.schema.names)
    values_s = values_n.replace("n.", "s.")
    with connect() as connection:
        connection.register("incoming", rows)
        connection.register("stored", stored)
        [(inserted, unchanged)] = connection.execute(
            f"SELECT count(*) FILTER (s.ts IS NULL), "
            f"count(*) FILTER (row({values_n}) IS NOT DISTINCT FROM row({values_s})) "
            f"FROM incoming n LEFT JOIN stored s ON {same_key}"
        ).fetchall()
        if unchanged < rows.num_rows:
            merged = connection.sql(
                f"SELECT * FROM incoming UNION ALL "
                f"SELECT s.* FROM stored s ANTI JOIN incoming n ON {same_key} "
                f"ORDER BY {', '.join(table.key)}"
            ).to_arrow_table()
            write_atomically(path, merged.cast(table.schema))
    return {
        "inserted": inserted,
        "unchanged": unchanged,
        "updated": rows.num_rows - inserted - unchanged,
    }


def _count_reasons(bad: pa.Table) -> dict[str, int]:
    counts = bad.group_by(REASON).aggregate([(LINE, "count")]).sort_by(REASON).to_pylist()
    return {row[REASON]: row[f"{LINE}_count"] for row in counts}


def _span(path: Path) -> tuple[int, int, int]:
    """Return rows, first and last `ts` of a file from its footer."""
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{path} is not readable parquet: {error}") from error
    column = metadata.schema.names.index("ts")
    statistics = [
        metadata.row_group(group).column(column).statistics
        for group in range(metadata.num_row_groups)
    ]
    first = min(s.min for s in statistics)
    last = max(s.max for s in statistics)
    return metadata.num_rows, _microseconds(first), _microseconds(last)


def _microseconds(moment: object) -> int:
    return int(pa.scalar(moment, pa.timestamp("us", tz="UTC")).value)
