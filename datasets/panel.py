"""The panel: one instrument at one timeframe as aligned numpy columns.

Everything downstream (map, rules, replay, evidence) reads panels and nothing else. Row t holds what
was known at the close of bar t. Bars that never existed are not invented: a gap is a jump in `ts`
and an entry in `gaps`. Loading from the lake lives in ``panel_query``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from typing import Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import InputError
from .naming import timeframe_us

Float64Array1D = NDArray[np.float64]
Int64Array1D = NDArray[np.int64]
BoolArray1D = NDArray[np.bool_]

PRICE_COLUMNS: Final = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without bars.

    Attributes
    ----------
    start_us, end_us : int
        Open of the first missing bar and open of the next bar present, UTC microseconds.
    missing_bars : int
        How many bars are missing.
    """

    start_us: int
    end_us: int
    missing_bars: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Aligned columns of one instrument; all arrays have shape (n,), row t is known at t's close.

    Attributes
    ----------
    venue, symbol, timeframe : str
        What the bars are of.
    ts : ndarray of int64
        Open of each bar, UTC microseconds, strictly increasing.
    open, high, low, close : ndarray of float64
        Trade prices, quote per base.
    volume : ndarray of float64
        Traded quantity, base.
    quote_volume : ndarray of float64
        Traded value, quote; where the source has none, volume times the mean of high, low and close.
    taker_buy_share : ndarray of float64
        Share of the volume bought by takers, 0 to 1; NaN where unknown.
    mark_high, mark_low : ndarray of float64
        Range of the mark price, which triggers liquidations; NaN where unknown.
    oi_base : ndarray of float64
        Last known open interest, base; NaN before the first. Where several series follow each other,
        each later one is rescaled to the level of the one before at the moment it takes over, so that
        differences stay meaningful and the level is that of the first series.
    oi_observed : ndarray of bool
        Whether a new observation became known within the bar.
    oi_series : ndarray of int64
        Which of the series in ``sources["open_interest"]`` is in use; -1 for none.
    funding_rate : ndarray of float64
        Last settled funding rate known, fraction an interval; NaN before the first.
    funding_settled : ndarray of float64
        Sum of the rates settled after the bar's open up to and including its close; 0 where none.
    long_short_accounts, top_long_short_positions, taker_buy_sell : ndarray of float64
        Last known positioning ratios; NaN where unknown.
    long_liquidations, short_liquidations : ndarray of float64
        Printed liquidations that became known within the bar, quote, by the side of the position;
        NaN outside the span of the series.
    sources : mapping of str to tuple of str
        For each input, the series it came from, as ``venue:symbol`` or ``venue:symbol:timeframe``.
    gaps : tuple of Gap
        Stretches without bars.
    notes : tuple of str
        What a reader of a result must know about the data, one sentence each.
    """

    venue: str
    symbol: str
    timeframe: str
    ts: Int64Array1D
    open: Float64Array1D
    high: Float64Array1D
    low: Float64Array1D
    close: Float64Array1D
    volume: Float64Array1D
    quote_volume: Float64Array1D
    taker_buy_share: Float64Array1D
    mark_high: Float64Array1D
    mark_low: Float64Array1D
    oi_base: Float64Array1D
    oi_observed: BoolArray1D
    oi_series: Int64Array1D
    funding_rate: Float64Array1D
    funding_settled: Float64Array1D
    long_short_accounts: Float64Array1D
    top_long_short_positions: Float64Array1D
    taker_buy_sell: Float64Array1D
    long_liquidations: Float64Array1D
    short_liquidations: Float64Array1D
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in column_names():
            column = getattr(self, name)
            if column.shape != self.ts.shape:
                raise InputError(
                    f"panel column {name} has shape {column.shape}, expected {self.ts.shape}"
                )
            column.flags.writeable = False
        if np.any(np.diff(self.ts) <= 0):
            raise InputError(
                "panel timestamps are not strictly increasing: sort and deduplicate them"
            )

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def bar_us(self) -> int:
        """Length of a bar in microseconds."""
        return timeframe_us(self.timeframe)

    @property
    def close_ts(self) -> Int64Array1D:
        """Close of each bar, UTC microseconds; the moment at which the row is known."""
        return self.ts + self.bar_us

    def slice(self, start: int, stop: int) -> Self:
        """Return bars `start` to `stop` (exclusive); columns are views, gaps outside are dropped."""
        columns = {name: getattr(self, name)[start:stop] for name in column_names()}
        kept = columns["ts"]
        inside = tuple(
            gap
            for gap in self.gaps
            if len(kept) and gap.start_us > kept[0] and gap.end_us <= kept[-1]
        )
        return replace(self, gaps=inside, **columns)

    def to_frame(self) -> pd.DataFrame:
        """Return the columns as a DataFrame indexed by the bars' open, UTC."""
        index = pd.DatetimeIndex(self.ts.astype("datetime64[us]"), tz="UTC", name="ts")
        return pd.DataFrame(
            {name: getattr(self, name) for name in column_names() if name != "ts"}, index=index
        )

    def fingerprint(self) -> str:
        """Return a hash of the instrument and every column: equal data, equal text (16 hex digits)."""
        digest = hashlib.sha256(f"{self.venue}\0{self.symbol}\0{self.timeframe}".encode())
        for name in column_names():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()[:16]


_NOT_COLUMNS: Final = frozenset({"venue", "symbol", "timeframe", "sources", "gaps", "notes"})


def column_names() -> tuple[str, ...]:
    """Return the names of a panel's array columns, `ts` first."""
    return tuple(f.name for f in fields(Panel) if f.name not in _NOT_COLUMNS)


def periods(panel: Panel, length_us: int) -> tuple[Int64Array1D, Int64Array1D]:
    """Return the ends of the periods that hold bars, and the period of each bar.

    A period holds what became known after its start and up to its end: a bar belongs to the one in which
    it closes, and a sum over a period that is published at its end belongs to it as well.

    Parameters
    ----------
    panel : Panel
    length_us : int
        Counted from 1970, UTC microseconds.

    Returns
    -------
    ends_us : ndarray of int64, shape (P,)
    period_of_bar : ndarray of int64, shape (n,)
    """
    ends, period_of_bar = np.unique(-(-panel.close_ts // length_us), return_inverse=True)
    return (ends * length_us).astype(np.int64), period_of_bar.astype(np.int64)


def find_gaps(ts: Int64Array1D, bar_us: int) -> tuple[Gap, ...]:
    """Return the stretches in which bars of length `bar_us` are missing between those present.

    Parameters
    ----------
    ts : ndarray of int64, shape (n,)
        Opens of the bars present, UTC microseconds, increasing.
    bar_us : int
        Length of a bar, microseconds.
    """
    steps = np.diff(ts)
    return tuple(
        Gap(int(ts[i]) + bar_us, int(ts[i + 1]), int(steps[i]) // bar_us - 1)
        for i in np.flatnonzero(steps > bar_us)
    )


def panel_from_frame(
    frame: pd.DataFrame, *, venue: str = "own", symbol: str = "DATA", timeframe: str
) -> Panel:
    """Build a panel from a DataFrame of your own bars.

    Parameters
    ----------
    frame : DataFrame
        Indexed by the bars' open (a DatetimeIndex; without a zone it is taken as UTC), increasing.
        Columns ``open high low close volume`` are required; any other column of `Panel` is taken
        over where it is present, and is unknown (NaN, 0 for `funding_settled`) where it is not.
    venue, symbol, timeframe : str
        What the bars are of.

    Raises
    ------
    InputError
        If a required column is missing, or the index is not an increasing DatetimeIndex.
    """
    missing = [name for name in (*PRICE_COLUMNS, "volume") if name not in frame.columns]
    if missing:
        raise InputError(f"the DataFrame lacks the columns {', '.join(missing)}")
    if not isinstance(frame.index, pd.DatetimeIndex):
        raise InputError("the DataFrame's index is not a DatetimeIndex: set it to the bars' open")
    index = frame.index.tz_localize("UTC") if frame.index.tz is None else frame.index
    ts = (
        index.tz_convert("UTC")
        .tz_localize(None)
        .to_numpy()
        .astype("datetime64[us]")
        .astype(np.int64)
    )

    def column(name: str, default: float | Float64Array1D = np.nan) -> Float64Array1D:
        if name in frame.columns:
            return frame[name].to_numpy(dtype=np.float64, copy=True)
        return np.array(np.broadcast_to(np.asarray(default, dtype=np.float64), ts.shape))

    mean_price = (column("high") + column("low") + column("close")) / 3.0
    special = {
        "quote_volume": column("quote_volume", column("volume") * mean_price),
        "funding_settled": column("funding_settled", 0.0),
        "oi_observed": np.isfinite(column("oi_base")),
        "oi_series": np.where(np.isfinite(column("oi_base")), 0, -1).astype(np.int64),
    }
    plain = {name: column(name) for name in column_names() if name != "ts" and name not in special}
    columns: dict[str, NDArray[np.generic]] = {"ts": ts, **plain, **special}
    return Panel(
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        gaps=find_gaps(ts, timeframe_us(timeframe)),
        **columns,  # type: ignore[arg-type]  # names and types follow the dataclass
    )
