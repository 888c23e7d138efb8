"""A series read a year at a time, a long one by the month, as numpy columns: memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..lake import Lake, Series
from ..panel import BoolArray1D, Float64Array1D, Int64Array1D
from ..query import read

_MANY_ROWS: Final = 5_000_000
"""Rows from which on a series is read by the month: six years of minutes are fewer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """Rows of a series in order of time.

    Attributes
    ----------
    ts : ndarray of int64, shape (n,)
        UTC microseconds.
    columns : dict of str to ndarray, shape (n,)
        Numbers as float64 with NaN for null; texts as objects.
    lead : int
        How many rows at the head belong to the stretch before (0 or 1).
    """

    ts: Int64Array1D
    columns: dict[str, NDArray[np.generic]]
    lead: int

    def __len__(self) -> int:
        return len(self.ts)

    def number(self, name: str) -> Float64Array1D:
        """Return a column of numbers."""
        return self.columns[name].astype(np.float64, copy=False)

    def distinct(self) -> Stretch:
        """Return the first row of each moment alone."""
        kept = np.diff(self.ts, prepend=self.ts[:1] - 1) > 0
        columns = {name: values[kept] for name, values in self.columns.items()}
        return Stretch(ts=self.ts[kept], columns=columns, lead=self.lead)

    def own(self, mask: BoolArray1D) -> Int64Array1D:
        """Return where a mask holds, rows of the stretch before left out."""
        found = np.flatnonzero(mask)
        return np.asarray(found[found >= self.lead], dtype=np.int64)


def _spans(series: Series) -> Iterator[tuple[int, int]]:
    """Yield the bounds of the calendar years or months of a series, UTC microseconds."""
    period: Literal["Y", "M"] = "M" if series.rows > _MANY_ROWS else "Y"
    first, last = (
        int(np.datetime64(us, "us").astype(f"datetime64[{period}]").astype(np.int64))
        for us in (series.first_us, series.last_us)
    )
    for number in range(first, last + 1):
        yield _start(number, period), _start(number + 1, period)


def _start(number: int, period: Literal["Y", "M"]) -> int:
    return int(np.datetime64(number, period).astype("datetime64[us]").astype(np.int64))


def stretches(lake: Lake, series: Series, columns: Sequence[str]) -> Iterator[Stretch]:
    """Return a series stretch by stretch, each but the first with the last row of the one before.

    Parameters
    ----------
    lake : Lake
    series : Series
    columns : sequence of str
        Beyond `ts`.
    """
    before: Stretch | None = None
    for start_us, end_us in _spans(series):
        rows = read_rows(lake, series, columns, start_us, end_us)
        if len(rows) == 0:
            continue
        found = rows if before is None else _joined(before, rows)
        yield found
        before = rows


def read_rows(
    lake: Lake, series: Series, columns: Sequence[str], start_us: int, end_us: int
) -> Stretch:
    """Return the rows of a span."""
    found = read(
        lake,
        series.table,
        venue=series.venue,
        symbol=series.symbol,
        timeframe=series.timeframe,
        start_us=start_us,
        end_us=end_us,
        columns=("ts", *columns),
    )
    return Stretch(
        ts=np.asarray(found["ts"].cast(pa.int64()).to_numpy()),
        columns={name: _numpy(found[name]) for name in columns},
        lead=0,
    )


def _numpy(column: pa.ChunkedArray) -> NDArray[np.generic]:
    if pa.types.is_string(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.int64()).to_numpy())
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _joined(before: Stretch, rows: Stretch) -> Stretch:
    return Stretch(
        ts=np.concatenate([before.ts[-1:], rows.ts]),
        columns={
            name: np.concatenate([before.columns[name][-1:], values])
            for name, values in rows.columns.items()
        },
        lead=1,
    )
