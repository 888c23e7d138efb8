"""Monthly files: which names are theirs, which rows belong to which, and how rows are merged into one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from ._duckdb import connect
from .errors import InputError
from .naming import check_name, timeframe_us
from .schemas import EVENTS, TABLES, Table

_MONTH: Final = re.compile(r".*/year=[0-9]{4}/month=(?:0[1-9]|1[0-2])\.parquet")


def is_month(name: str) -> bool:
    """Return whether a name is a monthly file's of a series whose names are valid."""
    if not _MONTH.fullmatch(name):
        return False
    table, *parts = name.split("/")[:-2]
    keys = [part.partition("=")[0] for part in parts]
    wanted = ["venue", "symbol"]
    if TABLES[table].partitioned_by_timeframe:
        wanted.append("timeframe")
    if keys != wanted:
        return False
    names = keys_of(name)
    try:
        check_name("venue", names["venue"])
        check_name("symbol", names["symbol"])
        if names.get("timeframe", EVENTS) != EVENTS:
            timeframe_us(names["timeframe"])
    except InputError:
        return False
    return True


def month_of(name: str) -> str:
    """Return the month that a file is of, as ``2024-01``, by its name."""
    *_, year, number = name.removesuffix(".parquet").split("/")
    return f"{year.removeprefix('year=')}-{number.removeprefix('month=')}"


def keys_of(name: str) -> dict[str, str]:
    """Return the partitions in a name: venue, symbol, and where there are such timeframe, year and month."""
    return dict(part.split("=", 1) for part in name.split("/") if "=" in part)


def months_of(folder: str, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield the monthly files of a series that rows belong to, and which."""
    month = month_numbers(rows)
    for number in np.unique(month):
        name = str(np.datetime64(int(number), "M"))
        file = f"{folder}/year={name[:4]}/month={name[5:]}.parquet"
        yield file, rows.filter(pa.array(month == number))


def month_numbers(rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the month of each row's `ts`, UTC, counted since January 1970."""
    ts = rows["ts"].cast(pa.int64()).to_numpy()
    months: np.ndarray[tuple[int], np.dtype[np.int64]] = (
        ts.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    )
    return months


class Merged(NamedTuple):
    """A month after a merge.

    Attributes
    ----------
    rows : pyarrow.Table or None
        What it holds; None where nothing changed.
    inserted, unchanged : int
        Given rows that were new, and that were there already.
    stored : int
        Rows that it has now.
    """

    rows: pa.Table | None
    inserted: int
    unchanged: int
    stored: int


def merged(table: Table, stored: pa.Table, rows: pa.Table) -> Merged:
    """Merge rows into those of a month by key; the newer row wins.

    Parameters
    ----------
    table : Table
    stored, rows : pyarrow.Table
        Both unique by key and sorted by it.
    """
    # A day after the days that are there, which is how archives come; every key begins with `ts`.
    if stored.num_rows and rows["ts"][0].value > stored["ts"][-1].value:
        appended = pa.concat_tables([stored.cast(table.schema), rows])
        return Merged(appended, rows.num_rows, 0, appended.num_rows)
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
        if unchanged == rows.num_rows:
            return Merged(None, inserted, unchanged, stored.num_rows)
        both = connection.sql(
            f"SELECT * FROM incoming UNION ALL "
            f"SELECT s.* FROM stored s ANTI JOIN incoming n ON {same_key} "
            f"ORDER BY {', '.join(table.key)}"
        ).to_arrow_table()
    return Merged(both.cast(table.schema), inserted, unchanged, both.num_rows)
