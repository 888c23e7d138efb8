"""Setting a lake right, file by file: older ones are brought up to date, damaged ones are set aside.

Nothing is thrown away and nothing is made up. A file that cannot be read is moved to
``_quarantine/_damaged``, under a name that is no parquet file's; a row that fails its checks goes to the
quarantine; one in a month that is not its own is moved there; doubled rows and rows out of order are put
right. Each file is replaced at once, so that a repair that was killed is gone on with by the next.

Left out on purpose: judging values against other tables (``quality``).
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ._atomic import read_parquet, write_parquet
from ._duckdb import connect
from ._months import month_numbers, month_of, months_of
from ._store import STAMP, Changed, schema_version
from .errors import InputError, LakeError
from .ladder import LADDER, LADDER_SCHEMA
from .lake import QUARANTINE, Lake, check_schema, stamped
from .query import queried
from .schemas import SCHEMA_VERSION, TABLES, Table
from .validation import LINE, REASON, Sorted, complete, sort_rows

DAMAGED: Final = f"{QUARANTINE}/_damaged"
Migration = Callable[[str, pa.Table], pa.Table]
"""Rows of a table, by its name, as the next version of the schema has them."""
MIGRATIONS: Final[Mapping[int, Migration]] = MappingProxyType({})
"""How files of a version become those of the next one; there has been one version so far."""

_Kind = Literal["damaged", "migrated", "mended", "aside", "foreign", "leftovers"]
_Step = Callable[..., Iterable["Repair"]]
_MOST_TRIES: Final = 20
_TAKEN: Final = "in a month not its own, where its key has other values"
_ALL: Final = "SELECT * FROM read_parquet($files, hive_partitioning = false)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One thing that was found, and what was done about it.

    Attributes
    ----------
    kind : str
        ``"damaged"`` (set aside: its rows are missing now), ``"migrated"``, ``"mended"``, ``"aside"``
        (no month: nothing is missing), ``"foreign"`` (left where it is) or ``"leftovers"`` of killed writers.
    name : str
        The file, relative to the lake.
    words : str
        What was wrong, for a person.
    """

    kind: _Kind
    name: str
    words: str


def repair_lake(lake: Lake, *, dry_run: bool = False) -> Iterator[Repair]:
    """Yield what is wrong with a lake's files, each set right before it is yielded.

    Parameters
    ----------
    lake : Lake
    dry_run : bool
        Change nothing.

    Raises
    ------
    InputError
        If there is no lake.
    LakeError
        If the lake cannot be read or written, or a file was written by a newer liqtiers.

    Notes
    -----
    Other writers are held off for one file at a time, readers never.
    """
    parquet = lake.store.files("**/*.parquet")
    if not parquet:
        raise InputError(f"there is no lake at {lake.address}: nothing in it is parquet")
    yield from _leftovers(lake, dry_run=dry_run)
    ours = {name for table in TABLES.values() for name in lake.files(_depth(table))}
    ladders = [name for name in parquet if name.startswith(f"{LADDER}/")]
    for name in parquet:
        if name not in ours and name not in ladders and not name.startswith(f"{QUARANTINE}/"):
            words = "is no monthly file of a series and is not read by liqtiers: move it elsewhere"
            yield Repair(kind="foreign", name=name, words=words)
    for table in TABLES.values():
        monthly = lake.files(_depth(table))
        # All files first, since rows that are moved meet files that must be readable and up to date.
        for step in (_renew, _sort):
            for name in monthly:
                yield from _locked(partial(step, lake, table, name), lake, name, dry_run=dry_run)
    others = {QUARANTINE: ["source", REASON], LADDER: LADDER_SCHEMA.names}
    for folder, columns in others.items():
        for name in lake.store.files(f"{folder}/**/*.parquet"):
            step = partial(_read, lake, name, columns)
            yield from _locked(step, lake, name, dry_run=dry_run)


def _depth(table: Table) -> str:
    return f"{table.name}/*/*/*" if table.partitioned_by_timeframe else f"{table.name}/*/*"


def _leftovers(lake: Lake, *, dry_run: bool) -> Iterator[Repair]:
    if dry_run:
        return  # they are in nobody's way
    try:
        with lake.store.writing(*TABLES, QUARANTINE, LADDER) as count:
            pass
    except OSError as error:
        raise LakeError(f"cannot write the lake at {lake.address}: {error}") from error
    if count:
        words = f"{count} unfinished files of killed writers were removed"
        yield Repair(kind="leftovers", name="", words=words)


def _locked(step: _Step, lake: Lake, name: str, *, dry_run: bool) -> list[Repair]:
    """Take a step while other writers are held off; again where one replaced the file all the same."""
    for _ in range(_MOST_TRIES):
        holding = nullcontext() if dry_run else lake.store.writing()
        try:
            with holding:
                return list(step(dry_run=dry_run))
        except FileNotFoundError:
            return []  # set aside by the step before, or gone since it was listed
        except Changed:
            continue
        except OSError as error:
            raise LakeError(f"cannot repair {lake.store.shown(name)}: {error}") from error
    raise LakeError(
        f"{lake.store.shown(name)} is being written to without a pause: try again later"
    )


def _read(lake: Lake, name: str, columns: list[str], *, dry_run: bool) -> Iterator[Repair]:
    """Set a file aside that cannot be read, or lacks columns; no row of the lake is in it."""
    [version] = lake.store.versions([name])
    try:
        lacking = set(columns) - set(lake.store.read(name)[0].column_names)
        why = f"lacks the columns {', '.join(sorted(lacking))}" if lacking else ""
    except pa.ArrowException as error:
        why = _line(error)
    if why and version is not None:
        if not dry_run:
            lake.store.move(name, _aside(name), version=version)
        yield Repair(kind="aside", name=name, words=f"{why}; no row of a series is in it")


def _renew(lake: Lake, table: Table, name: str, *, dry_run: bool) -> Iterator[Repair]:
    """Set a month aside that cannot be read, bring an older one up to date, make a spoilt footer anew."""
    content, version = lake.store.content(name)
    try:
        rows = read_parquet(io.BytesIO(content))
        renewed, stated = _renewed(lake, table, name, rows)
    except (pa.ArrowException, InputError) as error:
        if not dry_run:
            lake.store.move(name, _aside(name), version=version)
        yield Repair(kind="damaged", name=name, words=_line(error))
        return
    kind: _Kind = "migrated"
    if stated < SCHEMA_VERSION:
        words = f"brought from schema {stated} to {SCHEMA_VERSION}"
    elif not _lacks_nothing(table, renewed):
        return  # rows that lack what they must have are for the next step
    elif not _typed(table, rows):
        kind, words = "mended", "its columns were not in the table's order, types and number"
    elif STAMP not in (rows.schema.metadata or {}):
        words = "given checksums, which it was written without"
    elif _is_spoilt(lake, table, name, content, renewed):
        kind, words = "mended", "its footer was damaged, made anew from the rows, which are whole"
    else:
        return
    if not dry_run:
        lake.store.put(name, stamped(_strict(table, renewed)), instead_of=version)
    yield Repair(kind=kind, name=name, words=words)


def _renewed(lake: Lake, table: Table, name: str, rows: pa.Table) -> tuple[pa.Table, int]:
    """Return rows by today's schema, null where something is missing, and the version they were stored by."""
    stated = schema_version(rows.schema.metadata)
    if stated > SCHEMA_VERSION:
        check_schema(stated, lake.store.shown(name))
    for step in range(stated, SCHEMA_VERSION):
        rows = MIGRATIONS[step](table.name, rows)
    nullable = pa.schema([field.with_nullable(nullable=True) for field in table.schema])
    return complete(table, rows).select(table.schema.names).cast(nullable), stated


def _lacks_nothing(table: Table, rows: pa.Table) -> bool:
    return not any(rows[name].null_count for name in table.required)


def _strict(table: Table, rows: pa.Table) -> pa.Table:
    return rows.cast(table.schema) if _lacks_nothing(table, rows) else rows


def _typed(table: Table, rows: pa.Table) -> bool:
    plain = [(field.name, field.type, field.nullable) for field in table.schema]
    return plain == [(field.name, field.type, field.nullable) for field in rows.schema]


def _is_spoilt(lake: Lake, table: Table, name: str, content: bytes, rows: pa.Table) -> bool:
    """Return whether a file's footer, which has no checksum, is not what its rows call for.

    The rows are whole: their pages have checksums. The same library writes the same rows to the same bytes,
    so it is enough to write them again. Another version of it may write them otherwise: then what can be
    told is whether DuckDB reads what pyarrow does.
    """
    again = io.BytesIO()
    write_parquet(stamped(_strict(table, rows)), again)
    if again.getvalue() == content:
        return False
    if _writer(content) == _writer(again.getvalue()):
        return True
    try:
        found = queried(lake, _ALL, {"files": [name]})
        return not found.select(rows.column_names).cast(rows.schema).equals(rows)
    except (LakeError, pa.ArrowException, KeyError):
        return True


def _writer(content: bytes) -> str:
    try:
        return str(pq.read_metadata(io.BytesIO(content)).created_by)
    except UnicodeError:
        return ""


def _sort(lake: Lake, table: Table, name: str, *, dry_run: bool) -> Iterator[Repair]:
    """Sort a month's rows into those that stay, that belong elsewhere, and that are bad."""
    try:
        stored, version = lake.store.read(name)
        rows, _ = _renewed(lake, table, name, stored)
    except (pa.ArrowException, InputError):
        return  # told by the step before, which a dry run did not carry out
    series, month = name.rsplit("/", 2)[0], month_of(name)
    timeframe = series.rpartition("timeframe=")[2] if table.partitioned_by_timeframe else None
    parts = sort_rows(table, rows, timeframe=timeframe)
    here = month_numbers(parts.good) == np.datetime64(month, "M").astype(np.int64)
    kept, elsewhere = parts.good.filter(pa.array(here)), parts.good.filter(pa.array(~here))
    movable, homeless = _told_apart(lake, table, series, elsewhere)
    wrong = _wrong(rows, kept, elsewhere.num_rows, homeless.num_rows, parts)
    if not wrong:
        return
    if not dry_run:
        # What leaves the month is elsewhere before it is gone from here.
        lake.set_aside(parts.bad, series, f"repair of {name}")
        lake.set_aside(homeless, series, f"repair of {name}")
        for home, there in months_of(series, movable):
            lake.merge(table, home, there)
        if kept.num_rows:
            lake.store.put(name, stamped(kept), instead_of=version)
        else:
            lake.store.move(name, _aside(name), version=version)
    yield Repair(kind="mended", name=name, words="; ".join(wrong))


def _told_apart(
    lake: Lake, table: Table, series: str, strayed: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """Return strayed rows that can go home, and those whose key has other values there, as bad ones.

    A row in a month that is not its own is no newer than one that is at home.
    """
    homes, bad = [strayed.slice(0, 0)], []
    for home, rows in months_of(series, strayed):
        try:
            there, _ = lake.store.read(home)
        except (FileNotFoundError, pa.ArrowException):
            homes.append(rows)
            continue
        values = ", ".join(f"s.{column}" for column in table.schema.names)
        same_key = " AND ".join(f"s.{key} IS NOT DISTINCT FROM h.{key}" for key in table.key)
        with connect() as connection:
            connection.register("strayed", rows)
            connection.register("home", complete(table, there))
            marked = connection.sql(
                f"SELECT {values}, NULL::BIGINT AS {LINE}, CASE WHEN h.ts IS NOT NULL AND "
                f"row({values}) IS DISTINCT FROM row({values.replace('s.', 'h.')}) "
                f"THEN '{_TAKEN}' END AS {REASON} FROM strayed s LEFT JOIN home h ON {same_key} "
                f"ORDER BY {', '.join(f's.{key}' for key in table.key)}"
            ).to_arrow_table()
        free = pc.is_null(marked[REASON])
        homes.append(marked.filter(free).select(table.schema.names).cast(table.schema))
        bad.append(marked.filter(pc.invert(free)))
    nothing = sort_rows(table, strayed.slice(0, 0)).bad
    return pa.concat_tables(homes), pa.concat_tables(
        [nothing, *(b.cast(nothing.schema) for b in bad)]
    )


def _wrong(
    rows: pa.Table, kept: pa.Table, elsewhere: int, homeless: int, parts: Sorted
) -> list[str]:
    counts = parts.bad.group_by(REASON).aggregate([(LINE, "count")]).sort_by(REASON).to_pylist()
    wrong = [f"{c[f'{LINE}_count']:,} rows set aside: {c[REASON]}" for c in counts]
    if parts.repeated:
        wrong.append(f"{parts.repeated:,} rows were there twice")
    if homeless:
        wrong.append(f"{homeless:,} rows set aside: {_TAKEN}")
    if elsewhere > homeless:
        wrong.append(f"{elsewhere - homeless:,} rows were in a month that is not their own: moved")
    if rows.num_rows == 0:
        wrong.append("holds no row: set aside")
    if not wrong and not kept.equals(rows.cast(kept.schema)):
        wrong.append("rows were out of order")
    return wrong


def _line(why: Exception) -> str:
    return " ".join(str(why).split())


def _aside(name: str) -> str:
    # Another damaged file of this name must not take its place.
    return f"{DAMAGED}/{name}.{uuid.uuid4().hex[:8]}"
