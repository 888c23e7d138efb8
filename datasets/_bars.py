"""Bars of any timeframe out of a stored series that divides it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from .errors import InputError
from .lake import Lake, Series
from .naming import timeframe_us
from .panel import Int64Array1D
from .query import files_between, partition_files, queried
from .validation import grid_origin_us

_COLUMNS: Final = {
    "bars": ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"),
    "mark_bars": ("high", "low", "epoch_us(available_at) AS available"),
}
_AS_STORED: Final = """
    SELECT epoch_us(ts) AS bucket, {columns}
    FROM read_parquet($files, hive_partitioning = false)
    WHERE ts >= make_timestamptz($start_us::BIGINT) AND ts < make_timestamptz($end_us::BIGINT)
"""
_REDUCED_BY: Final = {"high": np.maximum, "low": np.minimum, "available": np.maximum}
"""The rest are sums, but for the first open and the last close."""


class Resampled(NamedTuple):
    """Bars at the wanted timeframe.

    Attributes
    ----------
    frame : DataFrame
        One row a bar; `bucket` is its open in UTC microseconds.
    stored : str
        Timeframe of the series that they were made from.
    partial : int
        Bars of which some part is missing inside.
    """

    frame: pd.DataFrame
    stored: str
    partial: int

    @property
    def ts(self) -> Int64Array1D:
        """Open of each bar, UTC microseconds, shape (n,)."""
        return self.frame["bucket"].to_numpy(dtype=np.int64)


def resample(
    lake: Lake,
    table: str,
    *,
    venue: str,
    symbol: str,
    timeframe: str,
    stored: str | None = None,
    start_us: int | None = None,
    end_us: int | None = None,
) -> Resampled:
    """Return bars of a timeframe, from the coarsest stored series that divides it.

    A bar at either end of what is stored whose first or last part is missing is not whole and is
    left out; inside, a bar is made of the parts there are.

    Parameters
    ----------
    lake : Lake
    table : str
        ``"bars"`` or ``"mark_bars"``.
    venue, symbol, timeframe : str
        What the bars are of.
    stored : str, optional
        Timeframe of the series to make them from, instead of the coarsest that divides.
    start_us, end_us : int, optional
        Bars that open at or after the start and before the end, UTC microseconds.

    Raises
    ------
    InputError
        If no stored series divides the timeframe; the message says what is stored.
    """
    series = _choose(lake, table, venue=venue, symbol=symbol, timeframe=timeframe, stored=stored)
    part_name = str(series.timeframe)
    files = partition_files(lake, table, venue=venue, symbol=symbol, timeframe=part_name)
    step, part = timeframe_us(timeframe), timeframe_us(part_name)
    origin = grid_origin_us(step)
    # A bar belongs to where it opens, so both bounds move up to the next open.
    first = _next_open(series.first_us if start_us is None else start_us, step, origin)
    stop = _next_open(series.last_us + 1 if end_us is None else end_us, step, origin)
    if start_us is None:
        first -= step
    wanted = files_between(files, first, stop)
    if not wanted:
        # A span outside of what is stored: any file gives the right columns and no rows.
        wanted, stop = [files[0]], first
    bounds: dict[str, object] = {"files": wanted, "start_us": first, "end_us": stop}
    rows = _in_order(queried(lake, _AS_STORED.format(columns=", ".join(_COLUMNS[table])), bounds))
    if step == part:
        return Resampled(rows.to_pandas(), part_name, 0)
    frame = _reduced(rows, step, origin)
    bucket = frame["bucket"]
    begun_before = (frame["first_part"] == series.first_us) & (frame["first_part"] > bucket)
    still_open = (frame["last_part"] == series.last_us) & (
        frame["last_part"] + part < bucket + step
    )
    frame = frame[~(begun_before | still_open)].reset_index(drop=True)
    partial = int((frame["parts"] < step // part).sum())
    return Resampled(frame, part_name, partial)


def _in_order(rows: pa.Table) -> pa.Table:
    """Return rows in order of time, as they are where they stand so.

    Files are sorted and asked for in their order, and DuckDB keeps it; sorting again would take as long as
    reading.
    """
    ts = rows["bucket"].to_numpy()
    return rows if (ts[1:] > ts[:-1]).all() else rows.sort_by("bucket")


def _reduced(rows: pa.Table, step: int, origin: int) -> pd.DataFrame:
    """Make bars out of the rows of finer ones, which are in order of time.

    What is missing in one part is missing in the whole. DuckDB groups as well, but adds up in an order that
    its threads decide, and sorting each group takes it longer than this.
    """
    ts = rows["bucket"].to_numpy()
    bucket = (ts - origin) // step * step + origin
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[:1] - 1))
    ends = np.append(starts[1:], len(ts))[: len(starts)] - 1
    made: dict[str, np.ndarray] = {
        "bucket": bucket[starts],
        "parts": ends - starts + 1,
        "first_part": ts[starts],
        "last_part": ts[ends],
    }
    for name in rows.column_names[1:]:
        values = rows[name].to_numpy()
        if name in ("open", "close"):
            made[name] = values[starts if name == "open" else ends]
        elif len(starts):
            made[name] = _REDUCED_BY.get(name, np.add).reduceat(values, starts)
        else:
            made[name] = values
    return pd.DataFrame(made)


def _next_open(at_us: int, step: int, origin: int) -> int:
    return -(-(at_us - origin) // step) * step + origin


def _choose(
    lake: Lake, table: str, *, venue: str, symbol: str, timeframe: str, stored: str | None
) -> Series:
    wanted = timeframe_us(timeframe)
    found = [s for s in lake.series(table, venue=venue, symbol=symbol) if s.timeframe]
    if not found:
        partition_files(lake, table, venue=venue, symbol=symbol, timeframe=timeframe)
    lengths = {str(s.timeframe): timeframe_us(str(s.timeframe)) for s in found}
    fitting = [
        s
        for s in found
        if wanted % lengths[str(s.timeframe)] == 0 and stored in (None, s.timeframe)
    ]
    if not fitting:
        raise InputError(
            f"no stored {table} of {venue} {symbol} can make {timeframe} bars: stored are "
            f"{', '.join(sorted(lengths, key=lengths.__getitem__))}; choose a multiple of one"
        )
    return max(fitting, key=lambda s: lengths[str(s.timeframe)])
