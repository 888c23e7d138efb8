"""Bars of any timeframe out of a stored series that divides it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from .errors import InputError
from .lake import Lake
from .naming import timeframe_us
from .panel import Int64Array1D
from .query import partition_files
from .validation import connect

_COLUMNS: Final = {
    "bars": (
        "arg_min(open, ts) AS open, max(high) AS high, min(low) AS low, arg_max(close, ts) AS close, "
        "sum(volume) AS volume, "
        "CASE WHEN count(quote_volume) = count(*) THEN sum(quote_volume) END AS quote_volume, "
        "CASE WHEN count(taker_buy_volume) = count(*) THEN sum(taker_buy_volume) END "
        "AS taker_buy_volume"
    ),
    "mark_bars": "max(high) AS high, min(low) AS low",
}

_RESAMPLE: Final = """
    SELECT (epoch_us(ts) // $step) * $step AS bucket,
           count(*) AS parts,
           min(epoch_us(ts)) AS first_part,
           max(epoch_us(ts)) AS last_part,
           {columns}
    FROM read_parquet($files, hive_partitioning = false)
    WHERE epoch_us(ts) >= $start_us AND epoch_us(ts) < $end_us
    GROUP BY bucket ORDER BY bucket
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

    A bar at either end of the data whose first or last part is missing is not whole and is left out;
    inside, a bar is made of the parts there are.

    Raises
    ------
    InputError
        If no stored series divides the timeframe; the message says what is stored.
    """
    stored = stored or _best_stored(lake, table, venue=venue, symbol=symbol, timeframe=timeframe)
    files = partition_files(lake, table, venue=venue, symbol=symbol, timeframe=stored)
    step = timeframe_us(timeframe)
    part = timeframe_us(stored)
    bounds = {
        "files": [str(path) for path in files],
        "step": step,
        # Whole bars only: the first bar opens at or after the start.
        "start_us": -(-start_us // step) * step if start_us is not None else 0,
        "end_us": end_us // step * step if end_us is not None else 2**62,
    }
    with connect() as connection:
        # The columns are one of the constants above, never a user's text.
        statement = _RESAMPLE.format(columns=_COLUMNS[table])
        frame = connection.sql(statement, params=bounds).df()
    if len(frame) and frame["first_part"].iloc[0] > frame["bucket"].iloc[0]:
        frame = frame.iloc[1:]
    if len(frame) and frame["last_part"].iloc[-1] + part < frame["bucket"].iloc[-1] + step:
        frame = frame.iloc[:-1]
    partial = int((frame["parts"] < step // part).sum())
    return Resampled(frame.reset_index(drop=True), stored, partial)


def _best_stored(lake: Lake, table: str, *, venue: str, symbol: str, timeframe: str) -> str:
    wanted = timeframe_us(timeframe)
    of_venue = [s for s in lake.series(table) if (s.venue, s.symbol) == (venue, symbol)]
    lengths = {s.timeframe: timeframe_us(s.timeframe) for s in of_venue if s.timeframe}
    fitting = [name for name, length in lengths.items() if wanted % length == 0]
    if fitting:
        return max(fitting, key=lengths.__getitem__)
    if lengths:
        raise InputError(
            f"no stored {table} of {venue} {symbol} can make {timeframe} bars: stored are "
            f"{', '.join(sorted(lengths, key=lengths.__getitem__))}; choose a multiple of one of them"
        )
    partition_files(lake, table, venue=venue, symbol=symbol, timeframe=timeframe)
    raise AssertionError("a series without files was just found to have some")
