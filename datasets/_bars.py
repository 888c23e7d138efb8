"""Bars of any timeframe out of a stored series that divides it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from .errors import InputError
from .lake import Lake, Series
from .naming import timeframe_us
from .panel import Int64Array1D
from .query import files_between, partition_files, queried
from .validation import grid_origin_us

# Sums go by time: added up as threads happen to finish, they would differ in the last bit.
_MADE_OF: Final = {
    "bars": (
        "arg_min(open, ts) AS open, max(high) AS high, min(low) AS low, "
        "arg_max(close, ts) AS close, "
        "sum(volume ORDER BY ts) AS volume, "
        "CASE WHEN count(quote_volume) = count(*) THEN sum(quote_volume ORDER BY ts) END "
        "AS quote_volume, "
        "CASE WHEN count(taker_buy_volume) = count(*) THEN sum(taker_buy_volume ORDER BY ts) END "
        "AS taker_buy_volume"
    ),
    "mark_bars": "max(high) AS high, min(low) AS low",
}
_COLUMNS: Final = {
    "bars": "open, high, low, close, volume, quote_volume, taker_buy_volume",
    "mark_bars": "high, low",
}
_SPAN: Final = (
    "WHERE ts >= make_timestamptz($start_us::BIGINT) AND ts < make_timestamptz($end_us::BIGINT)"
)

_RESAMPLE: Final = f"""
    SELECT (epoch_us(ts) - $origin) // $step * $step + $origin AS bucket,
           count(*) AS parts,
           min(epoch_us(ts)) AS first_part,
           max(epoch_us(ts)) AS last_part,
           {{columns}}
    FROM read_parquet($files, hive_partitioning = false)
    {_SPAN}
    GROUP BY bucket ORDER BY bucket
"""

_AS_STORED: Final = f"""
    SELECT epoch_us(ts) AS bucket, {{columns}}
    FROM read_parquet($files, hive_partitioning = false)
    {_SPAN}
    ORDER BY ts
"""


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
    wanted = [str(path) for path in files_between(files, first, stop)]
    if not wanted:
        # A span outside of what is stored: any file gives the right columns and no rows.
        wanted, stop = [str(files[0])], first
    bounds: dict[str, object] = {"files": wanted, "start_us": first, "end_us": stop}
    statement = _AS_STORED.format(columns=_COLUMNS[table])
    if step != part:
        statement = _RESAMPLE.format(columns=_MADE_OF[table])
        bounds |= {"step": step, "origin": origin}
    frame = queried(lake, statement, bounds).to_pandas()
    if step == part:
        return Resampled(frame, part_name, 0)
    bucket = frame["bucket"]
    begun_before = (frame["first_part"] == series.first_us) & (frame["first_part"] > bucket)
    still_open = (frame["last_part"] == series.last_us) & (
        frame["last_part"] + part < bucket + step
    )
    frame = frame[~(begun_before | still_open)].reset_index(drop=True)
    partial = int((frame["parts"] < step // part).sum())
    return Resampled(frame, part_name, partial)


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
