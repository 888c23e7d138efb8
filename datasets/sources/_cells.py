"""Turning cells into numbers and times, keeping account of what did not fit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import InputError
from ..naming import timeframe_name, timeframe_us
from ..panel import Float64Array1D, Int64Array1D
from ..validation import LINE, PROBLEM
from ._raw import RawTable

UNITS_US: Final = {"s": 1_000_000.0, "ms": 1000.0, "us": 1.0, "ns": 0.001}
_UNIT_EDGES: Final = (("s", 1e8, 1e11), ("ms", 1e11, 1e14), ("us", 1e14, 1e17), ("ns", 1e17, 1e20))
_NAMES: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_EMPTY: Final = frozenset({"", "nan", "null", "none", "<na>", "nat"})
_LAST_SECOND: Final = 10**11  # in the year 5138
_LONGEST_SHORT_RUN: Final = 3
_LONGEST_LONG_RUN: Final = 24
"""Equal steps shorter than a bar, or longer, up to which they may be chance."""
# Years 385 and 3554: well within those of four digits in any time zone.
_FIRST_WRITTEN: Final = -5 * 10**10
_LAST_WRITTEN: Final = 5 * 10**10
_UNITS_A_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_WITH_TRUTHS: Final = frozenset({"boolean", "mixed", "mixed-integer"})
_WHOLE_MOMENT: Final = (
    r"\s*(?:\d{4}[-/. ]\d{1,2}[-/. ]\d{2}|\d{8}"
    r"|(?:\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{8})[T ]"
    r"(?:\d{2}|\d{1,2}:\d{2}|\d{1,2}:\d{1,2}:\d{2}(?:\.\d+)?|\d{4}|\d{6}(?:\.\d+)?)"
    r"\s*(?:Z|[-+]\d{2}(?::?\d{2})?)?)\s*"
)
"""ISO 8601, and with days, months and hours of one digit where another number follows. The last number has
two: of one digit, it may be half of what was meant."""
TIMESTAMP: Final = pa.timestamp("us", tz="UTC")


class Cells:
    """A raw table's cells with the problems found in them so far.

    Parameters
    ----------
    raw : RawTable
    """

    def __init__(self, raw: RawTable) -> None:
        self.raw = raw
        self.problems: list[str | None] = [None] * len(raw.frame)

    def numbers(self, name: str) -> Float64Array1D:
        """Return a column as numbers, NaN where a cell is empty or holds something else."""
        column = self.raw.frame[name]
        values = to_numbers(column)
        if column.dtype == object or pd.api.types.is_string_dtype(column.dtype):
            for row in np.flatnonzero(np.isnan(values)):
                cell = str(column.iloc[row]).strip()
                if cell.lower() not in _EMPTY:
                    self.note(int(row), f"{name} is not a number: {cell[:40]!r}")
        return values

    def counts(self, name: str) -> pa.Array:
        """Return a column as whole numbers, null where a cell holds something else."""
        values = self.numbers(name)
        whole = np.isfinite(values) & (np.abs(values) < 2.0**53)
        return pa.array(np.where(whole, np.round(values), 0.0).astype(np.int64), mask=~whole)

    def optional(self, name: str) -> Float64Array1D:
        """Return a column as numbers, or NaN throughout where there is no such column."""
        if name in self.raw.columns:
            return self.numbers(name)
        return np.full(len(self.raw.frame), np.nan)

    def texts(self, name: str) -> pd.Series[str]:
        """Return a column as stripped texts."""
        return texts_of(self.raw, name)

    def times(self, name: str, unit: str | None = None) -> tuple[Int64Array1D, str]:
        """Return a column as UTC microseconds and what unit it was found to be in.

        Numbers are told apart by size; a row in another unit than most of the file is a problem of
        that row. Texts are ISO 8601; without a zone they are UTC.
        """
        column = self.raw.frame[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
            return self._from_datetimes(pd.to_datetime(column, utc=True), name), "timestamps"
        values = to_numbers(column)
        if np.isfinite(values).sum() * 2 < len(values):
            texts = column.astype(str)
            # "now" would be a moment of the machine's clock; "2024-01-01T00:3" was cut off.
            texts = texts.where(texts.str.fullmatch(_WHOLE_MOMENT), "")
            parsed = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
            return self._from_datetimes(parsed, name), "ISO dates"
        units = np.full(len(values), "", dtype=object)
        for known, low, high in _UNIT_EDGES:
            units[(values >= low) & (values < high)] = known
        main = unit or _most_common(units)
        for row in np.flatnonzero(units != main):
            what = f"is in {_NAMES[units[row]]}" if units[row] else "is not a time"
            self.note(int(row), f"{name} {what}, the file is in {_NAMES[main]}")
        scaled = np.where(units == main, values, 0.0) * UNITS_US[main]
        return np.round(scaled).astype(np.int64), _NAMES[main]

    def _from_datetimes(self, parsed: pd.Series[Any], name: str) -> Int64Array1D:
        for row in np.flatnonzero(parsed.isna().to_numpy()):
            cell = str(self.raw.frame[name].iloc[row])[:40]
            self.note(int(row), f"{name} is not a time: {cell!r}")
        filled = parsed.fillna(pd.Timestamp(0, tz="UTC")).dt.tz_localize(None).to_numpy()
        seconds = filled.astype("datetime64[s]").astype(np.int64)
        # Beyond this, microseconds do not fit and would wrap round to a moment that looks right.
        outside = (seconds < -_LAST_SECOND) | (seconds > _LAST_SECOND)
        for row in np.flatnonzero(outside):
            self.note(int(row), f"{name} is beyond the calendar")
        filled = np.where(outside, np.datetime64(0, "s"), filled)
        moments: Int64Array1D = filled.astype("datetime64[us]").astype(np.int64)
        return moments

    def note(self, row: int, problem: str) -> None:
        """Note a row's problem; the first one stands."""
        if self.problems[row] is None:
            self.problems[row] = problem

    def valid(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which rows have no problem so far."""
        return np.array([problem is None for problem in self.problems], dtype=bool)

    def table(self, columns: Mapping[str, Any]) -> pa.Table:
        """Return columns as an Arrow table with `_line` and `_problem`; int64 times are named *ts/_at*."""
        arrays = {name: _arrow(name, column) for name, column in columns.items()}
        arrays[LINE] = pa.array(self.raw.lines)
        arrays[PROBLEM] = pa.array(self.problems, pa.string())
        return pa.table(arrays)

    def bar_length(self, ts: Int64Array1D, *, sparse: bool = False) -> int:
        """Return the length of a bar in microseconds: the most common step of the valid rows.

        Where a file leaves out empty bars (`sparse`), it is the smallest step.

        Raises
        ------
        InputError
            If there are fewer than two moments.
        """
        steps = np.diff(np.unique(ts[self.valid()]))
        if len(steps) == 0:
            raise InputError(
                f"{self.raw.path}: the length of a bar cannot be told from one row; give --timeframe"
            )
        if sparse:
            return int(steps.min())
        lengths, counts = np.unique(steps, return_counts=True)
        return int(lengths[np.argmax(counts)])

    def timeframe_of_bars(self, ts: Int64Array1D, given: str | None) -> str:
        """Return the timeframe that was given, else what the steps say; all bars must be of it.

        Raises
        ------
        InputError
            If bars of another length follow each other: stored as of this one, they would count as known too
            early or too late.
        """
        timeframe = given or self.timeframe(ts)
        length, moments = timeframe_us(timeframe), np.unique(ts[self.valid()])
        steps = np.diff(moments)
        edges = np.flatnonzero(np.diff(steps, prepend=-1, append=-1))
        for start, stop in pairwise(edges):
            step = int(steps[start])
            # A gap may repeat; what repeats for long is no gap.
            longest = _LONGEST_SHORT_RUN if step < length else _LONGEST_LONG_RUN
            if step != length and stop - start > longest:
                begin = np.datetime_as_string(np.datetime64(int(moments[start]), "us"), unit="m")
                other = f"{step / 60_000_000:g} minutes"
                raise InputError(
                    f"{self.raw.path}: bars of {timeframe}, but from {begin} on {stop - start:,} of {other}: "
                    "split it, one length a file"
                )
        return timeframe

    def timeframe(self, ts: Int64Array1D, *, sparse: bool = False) -> str:
        """Return the bar length as a name; see `bar_length`."""
        return timeframe_name(max(self.bar_length(ts, sparse=sparse) // 1_000_000, 1) * 1_000_000)


def texts_of(raw: RawTable, name: str) -> pd.Series[str]:
    """Return a column as stripped texts, empty where there is no value."""
    column = as_texts(raw.frame[name])
    return column.where(raw.frame[name].notna(), "").str.strip()


def as_texts(column: pd.Series[Any]) -> pd.Series[str]:
    """Return a column's cells as texts; what is missing stays so.

    Moments of years that cannot be written are the numbers that the file has for them.
    """
    if column.dtype.kind == "M":
        moments = column.astype("int64")
        seconds = moments // _UNITS_A_SECOND[column.dt.unit]
        if (column.notna() & ((seconds < _FIRST_WRITTEN) | (seconds > _LAST_WRITTEN))).any():
            return moments.astype(str)
    return column.astype(object).astype(str)


def to_numbers(column: pd.Series[Any]) -> Float64Array1D:
    """Return a column's cells as numbers, NaN where a cell is none, as true and false are not."""
    if isinstance(column.dtype, pd.StringDtype):
        # Eight times as fast where every cell is a number, and then equal to the last bit.
        with suppress(pa.ArrowException):
            return np.asarray(pa.array(column).cast(pa.float64()).to_numpy(zero_copy_only=False))
    # What a csv brings are texts throughout, which is quickly told.
    if column.dtype in (bool, object) and pd.api.types.infer_dtype(column) in _WITH_TRUTHS:
        column = column.where(~column.map(lambda cell: isinstance(cell, bool)), None)
    try:
        return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        # A JSON value can be a list, an object or an integer beyond any float.
        return np.array([_number(cell) for cell in column], dtype=np.float64)


def number_in_json(value: Any) -> float:
    """Return a value of JSON as a number, which a text can be, and true and false are not.

    Raises
    ------
    TypeError, ValueError, OverflowError
        If it is none, or beyond any float.
    """
    if isinstance(value, bool):
        raise TypeError(f"{str(value)[:40]!r} is not a number")
    # Python alone takes grouped digits, and those of other alphabets, for numbers.
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        raise ValueError(f"{value[:40]!r} is not a number")
    return float(value)


def product(one: Float64Array1D, other: Float64Array1D | float) -> Float64Array1D:
    """Return a product; one beyond any float is infinite, which the quarantine catches."""
    with np.errstate(over="ignore", invalid="ignore"):
        return one * other


def _number(cell: Any) -> float:
    try:
        return number_in_json(cell)
    except (TypeError, ValueError):
        return np.nan
    except OverflowError:
        return np.inf if cell > 0 else -np.inf


def _arrow(name: str, column: Any) -> pa.Array:
    if name in ("ts", "available_at"):
        return pa.array(np.asarray(column, dtype=np.int64)).cast(TIMESTAMP)
    if isinstance(column, pa.Array):
        return column
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return pa.array(column, from_pandas=True)
    return pa.array(column)


def _most_common(units: np.ndarray[Any, Any]) -> str:
    names, counts = np.unique(units[units != ""].astype(str), return_counts=True)
    return str(names[np.argmax(counts)]) if len(names) else "ms"
