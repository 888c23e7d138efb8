"""Loading a panel from the lake: bars in DuckDB, everything else joined as of its availability.

A row of another table counts from its `available_at` on and no earlier; a bar's row is what was
known when the bar closed. Several series of one kind may be given, the preferred first; each bar
takes the first that is fresh. Nothing is filled in: a gap stays a gap, and is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from ._bars import Resampled, resample
from .errors import InputError
from .lake import Lake, Series
from .naming import DAY_US, timeframe_us
from .panel import BoolArray1D, Float64Array1D, Int64Array1D, Panel, find_gaps
from .query import read
from .schemas import EVENTS

_STALE_STEPS: Final = 3
_SECOND_US: Final = 1_000_000
_POSITIONING: Final = ("long_short_accounts", "top_long_short_positions", "taker_buy_sell")


@dataclass(frozen=True, slots=True)
class SeriesName:
    """A series as the user names it: ``venue:symbol`` or ``venue:symbol:timeframe``."""

    venue: str
    symbol: str
    timeframe: str | None = None

    def __str__(self) -> str:
        return ":".join(filter(None, (self.venue, self.symbol, self.timeframe)))


def parse_series(text: str) -> SeriesName:
    """Return the series that a text names.

    Raises
    ------
    InputError
        If it is not ``venue:symbol`` or ``venue:symbol:timeframe``.

    Examples
    --------
    >>> parse_series("binance:BTCUSDT").symbol
    'BTCUSDT'
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise InputError(
            f"series {text!r} is not venue:symbol or venue:symbol:timeframe, for example binance:BTCUSDT"
        )
    return SeriesName(*parts)


def load_panel(
    lake: Lake,
    *,
    venue: str,
    symbol: str,
    timeframe: str,
    start_us: int | None = None,
    end_us: int | None = None,
    open_interest: Sequence[str] = (),
    funding: Sequence[str] = (),
    liquidations: Sequence[str] = (),
    positioning: Sequence[str] = (),
    mark: Sequence[str] = (),
) -> Panel:
    """Load one instrument at one timeframe.

    Parameters
    ----------
    lake : Lake
    venue, symbol, timeframe : str
        What the bars are of; the timeframe may be any multiple of a stored one.
    start_us, end_us : int, optional
        Bars that open at or after the start and before the end, UTC microseconds.
    open_interest, funding, liquidations, positioning, mark : sequence of str
        Series as ``venue:symbol`` or ``venue:symbol:timeframe``, the preferred first; by default the
        instrument's own where the lake has them.

    Returns
    -------
    Panel
        See there for what each column means.

    Raises
    ------
    InputError
        If the bars, or a series that was named, are not in the lake; if no bar lies in the span.
    """
    if start_us is not None and end_us is not None and start_us >= end_us:
        raise InputError("the start is not before the end: choose an earlier start or a later end")
    bars = resample(
        lake,
        "bars",
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        start_us=start_us,
        end_us=end_us,
    )
    if len(bars.frame) == 0:
        raise InputError(f"no whole {timeframe} bar of {venue} {symbol} lies in the span asked for")
    loader = _Loader(lake, SeriesName(venue, symbol), timeframe, bars)
    return loader.panel(
        open_interest=loader.names("open_interest", open_interest),
        funding=loader.names("funding", funding),
        liquidations=loader.names("liquidations", liquidations),
        positioning=loader.names("positioning", positioning),
        mark=loader.names("mark_bars", mark),
    )


class _Joined(NamedTuple):
    """A series seen from the bars: index of the newest row known at each close (-1: none)."""

    rows: pa.Table
    available: Int64Array1D
    newest: Int64Array1D
    fresh: BoolArray1D


class _Loader:
    """What the joins share: the bars, their closes, and the notes gathered on the way."""

    def __init__(self, lake: Lake, name: SeriesName, timeframe: str, bars: Resampled) -> None:
        self.lake = lake
        self.name = name
        self.timeframe = timeframe
        self.bars = bars
        self.ts = bars.ts
        self.close_ts = self.ts + timeframe_us(timeframe)
        self.notes: list[str] = []

    def names(self, table: str, given: Sequence[str]) -> tuple[SeriesName, ...]:
        stored = self.lake.series(table)
        if not given:
            own = (self.name.venue, self.name.symbol)
            return (self.name,) if any((s.venue, s.symbol) == own for s in stored) else ()
        return tuple(_stored_name(parse_series(text), table, stored) for text in given)

    def panel(
        self,
        *,
        open_interest: tuple[SeriesName, ...],
        funding: tuple[SeriesName, ...],
        liquidations: tuple[SeriesName, ...],
        positioning: tuple[SeriesName, ...],
        mark: tuple[SeriesName, ...],
    ) -> Panel:
        self._note_bars()
        oi_base, oi_observed, oi_series = self._open_interest(open_interest)
        rate, settled = self._funding(funding)
        long_printed, short_printed, printed_from = self._liquidations(liquidations)
        mark_high, mark_low = self._mark(mark)
        volume = self._column("volume")
        mean_price = (self._column("high") + self._column("low") + self._column("close")) / 3.0
        quote_volume = self._column("quote_volume")
        estimated = ~np.isfinite(quote_volume)
        if estimated.any():
            self.notes.append("Quote volume is estimated as volume times the bar's mean price.")
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self._column("taker_buy_volume") / volume
        gaps = find_gaps(self.ts, timeframe_us(self.timeframe))
        if gaps:
            missing = sum(gap.missing_bars for gap in gaps)
            self.notes.append(f"{missing} bars are missing in {len(gaps)} gaps; none was invented.")
        return Panel(
            venue=self.name.venue,
            symbol=self.name.symbol,
            timeframe=self.timeframe,
            ts=self.ts,
            open=self._column("open"),
            high=self._column("high"),
            low=self._column("low"),
            close=self._column("close"),
            volume=volume,
            quote_volume=np.where(estimated, volume * mean_price, quote_volume),
            taker_buy_share=np.where(np.isfinite(share), share, np.nan),
            mark_high=mark_high,
            mark_low=mark_low,
            oi_base=oi_base,
            oi_observed=oi_observed,
            oi_series=oi_series,
            funding_rate=rate,
            funding_settled=settled,
            **self._positioning(positioning),
            long_liquidations=long_printed,
            short_liquidations=short_printed,
            sources={
                "bars": (f"{self.name}:{self.bars.stored}",),
                "open_interest": tuple(map(str, open_interest)),
                "funding": tuple(map(str, funding)),
                "liquidations": printed_from,
                "positioning": tuple(map(str, positioning)),
                "mark": tuple(map(str, mark)),
            },
            gaps=gaps,
            notes=tuple(self.notes),
        )

    def _column(self, name: str) -> Float64Array1D:
        return self.bars.frame[name].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)

    def _unknown(self) -> Float64Array1D:
        return np.full(len(self.ts), np.nan)

    def _note_bars(self) -> None:
        if self.bars.partial:
            self.notes.append(
                f"{self.bars.partial} bars are made of fewer {self.bars.stored} bars than they span."
            )

    def _join(self, table: str, name: SeriesName, columns: Sequence[str]) -> _Joined:
        rows = read(
            self.lake,
            table,
            venue=name.venue,
            symbol=name.symbol,
            columns=("ts", "available_at", *columns),
        ).sort_by("available_at")
        available = _microseconds(rows, "available_at")
        newest = np.searchsorted(available, self.close_ts, side="right") - 1
        age = self.close_ts - available[np.maximum(newest, 0)] if len(available) else 0
        fresh = (newest >= 0) & (age <= _stale_after(available, newest))
        return _Joined(rows, available, newest.astype(np.int64), fresh)

    def _open_interest(
        self, names: tuple[SeriesName, ...]
    ) -> tuple[Float64Array1D, BoolArray1D, Int64Array1D]:
        bars = len(self.ts)
        series = np.full(bars, -1, dtype=np.int64)
        values: list[Float64Array1D] = []
        observed: list[BoolArray1D] = []
        for number, name in enumerate(names):
            joined = self._join("open_interest", name, ("oi_base", "oi_quote"))
            values.append(self._in_coins(joined))
            observed.append(np.diff(joined.newest, prepend=-1) > 0)
            series[(series < 0) & joined.fresh & np.isfinite(values[-1])] = number
        if not names or (series < 0).all():
            return self._unknown(), np.zeros(bars, dtype=bool), series
        spans = _runs(series)
        if len(names) > 1:
            self._note_spans("Open interest", names, spans)
        level, seen = _chain(values, observed, series, spans)
        return level, seen, series

    def _in_coins(self, joined: _Joined) -> Float64Array1D:
        base = joined.rows["oi_base"].to_numpy(zero_copy_only=False).astype(np.float64)
        quote = joined.rows["oi_quote"].to_numpy(zero_copy_only=False).astype(np.float64)
        # The price of the observation's own moment: the last bar closed by then.
        happened = _microseconds(joined.rows, "ts")
        bar = np.searchsorted(self.close_ts, happened, side="right") - 1
        price = np.where(bar >= 0, self._column("close")[np.maximum(bar, 0)], np.nan)
        coins = np.where(np.isfinite(base), base, quote / price)
        out = self._unknown()
        known = joined.newest >= 0
        out[known] = coins[joined.newest[known]]
        return out

    def _funding(self, names: tuple[SeriesName, ...]) -> tuple[Float64Array1D, Float64Array1D]:
        rate, settled = self._unknown(), np.zeros(len(self.ts))
        covered = np.zeros(len(self.ts), dtype=bool)
        for name in names:
            joined = self._join("funding", name, ("rate",))
            rates = joined.rows["rate"].to_numpy()
            use = joined.fresh & ~covered
            rate[use] = rates[joined.newest[use]]
            # Exchanges stamp a settlement some milliseconds late.
            happened = _microseconds(joined.rows, "ts")
            happened = (happened + _SECOND_US // 2) // _SECOND_US * _SECOND_US
            settled[use] = _sum_between(happened, rates, self.ts, self.close_ts)[use]
            covered |= use
        if names and not covered.all():
            self.notes.append(f"{int((~covered).sum())} bars have no funding rate; none is charged.")
        if not names:
            self.notes.append("No funding series: no funding is charged.")
        return rate, settled

    def _positioning(self, names: tuple[SeriesName, ...]) -> dict[str, Float64Array1D]:
        out = {column: self._unknown() for column in _POSITIONING}
        for name in names:
            joined = self._join("positioning", name, _POSITIONING)
            for column, values in out.items():
                found = joined.rows[column].to_numpy(zero_copy_only=False).astype(np.float64)
                use = joined.fresh & ~np.isfinite(values)
                values[use] = found[joined.newest[use]]
        return out

    def _liquidations(
        self, names: tuple[SeriesName, ...]
    ) -> tuple[Float64Array1D, Float64Array1D, tuple[str, ...]]:
        printed = {"long": self._unknown(), "short": self._unknown()}
        covered = np.zeros(len(self.ts), dtype=bool)
        used: list[str] = []
        for name in names:
            full = self._with_timeframe(name)
            used.append(str(full))
            rows = read(
                self.lake,
                "liquidations",
                venue=full.venue,
                symbol=full.symbol,
                timeframe=full.timeframe,
                columns=("available_at", "side", "notional"),
            )
            available = _microseconds(rows, "available_at")
            side = rows["side"].to_numpy(zero_copy_only=False)
            inside = (self.close_ts >= available.min()) & (self.ts < available.max()) & ~covered
            for which, values in printed.items():
                of_side = side == which
                order = np.argsort(available[of_side], kind="stable")
                sums = _sum_between(
                    available[of_side][order],
                    rows["notional"].to_numpy()[of_side][order],
                    self.ts,
                    self.close_ts,
                )
                values[inside] = sums[inside]
            covered |= inside
        return printed["long"], printed["short"], tuple(used)

    def _with_timeframe(self, name: SeriesName) -> SeriesName:
        if name.timeframe is not None:
            return name
        stored = [
            s.timeframe
            for s in self.lake.series("liquidations")
            if (s.venue, s.symbol) == (name.venue, name.symbol) and s.timeframe
        ]
        summed = [t for t in stored if t != EVENTS]
        best = min(summed, key=timeframe_us) if summed else EVENTS
        return SeriesName(name.venue, name.symbol, best)

    def _mark(self, names: tuple[SeriesName, ...]) -> tuple[Float64Array1D, Float64Array1D]:
        high, low = self._unknown(), self._unknown()
        for name in names:
            try:
                marks = resample(
                    self.lake,
                    "mark_bars",
                    venue=name.venue,
                    symbol=name.symbol,
                    timeframe=self.timeframe,
                    stored=name.timeframe,
                )
            except InputError:
                self.notes.append(
                    f"The stored mark price of {name} is coarser than {self.timeframe}: trade prices "
                    "trigger liquidations instead."
                )
                continue
            _, ours, theirs = np.intersect1d(self.ts, marks.ts, return_indices=True)
            high[ours] = marks.frame["high"].to_numpy()[theirs]
            low[ours] = marks.frame["low"].to_numpy()[theirs]
        return high, low

    def _note_spans(
        self, what: str, names: tuple[SeriesName, ...], spans: list[tuple[int, int, int]]
    ) -> None:
        parts = [
            f"{names[number]} from {_day(self.ts[start])}" for number, start, _ in spans if number >= 0
        ]
        if len(parts) > 12:
            parts = [*parts[:12], f"and {len(parts) - 12} more changes"]
        self.notes.append(f"{what}: {', '.join(parts)}; levels are chained at each change.")


def _stored_name(name: SeriesName, table: str, stored: list[Series]) -> SeriesName:
    found = [s for s in stored if (s.venue, s.symbol) == (name.venue, name.symbol)]
    if name.timeframe is not None:
        found = [s for s in found if s.timeframe == name.timeframe]
    if not found:
        known = sorted({f"{s.venue}:{s.symbol}" for s in stored})
        raise InputError(
            f"the lake has no {table} of {name}; it has {', '.join(known) if known else 'none'}"
        )
    return name


def _microseconds(rows: pa.Table, column: str) -> Int64Array1D:
    return np.asarray(rows[column].cast(pa.int64()).to_numpy())


def _stale_after(available: Int64Array1D, newest: Int64Array1D) -> Int64Array1D:
    """Return the age from which each bar's newest row is stale, by the steps known by then."""
    if len(available) < 2:
        return np.full(len(newest), DAY_US, dtype=np.int64)
    steps = np.diff(available)
    # The largest step of the last few known is causal and needs no running median.
    recent = np.maximum.reduce(
        [np.concatenate([np.zeros(lag, np.int64), steps[: len(steps) - lag]]) for lag in range(3)]
    )
    known = recent[np.clip(newest - 1, 0, len(recent) - 1)]
    return np.maximum(_STALE_STEPS * np.minimum(known, DAY_US), DAY_US)


def _sum_between(
    at: Int64Array1D, values: Float64Array1D, opens: Int64Array1D, closes: Int64Array1D
) -> Float64Array1D:
    """Return the sum of values with open < at <= close of each bar; `at` is increasing."""
    first = np.searchsorted(at, opens, side="right")
    last = np.searchsorted(at, closes, side="right")
    out = np.zeros(len(opens))
    for bar in np.flatnonzero(last > first):
        out[bar] = values[first[bar] : last[bar]].sum()
    return out


def _runs(series: Int64Array1D) -> list[tuple[int, int, int]]:
    """Return (series, first bar, bar after the last) of each stretch of one series."""
    edges = np.flatnonzero(np.diff(series)) + 1
    starts = np.concatenate([[0], edges])
    stops = np.concatenate([edges, [len(series)]])
    return [(int(series[a]), int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def _chain(
    values: list[Float64Array1D],
    observed: list[BoolArray1D],
    series: Int64Array1D,
    spans: list[tuple[int, int, int]],
) -> tuple[Float64Array1D, BoolArray1D]:
    """Join series end to end, each rescaled to the level of the one before when it takes over."""
    level = np.full(len(series), np.nan)
    seen = np.zeros(len(series), dtype=bool)
    last = np.nan
    factor = 1.0
    in_use = -1
    for number, start, stop in spans:
        if number < 0:
            level[start:stop] = last
            continue
        if number != in_use and np.isfinite(last):
            # Both values were known at the close of the bar before the change, or are now.
            factor = last / values[number][start]
        level[start:stop] = values[number][start:stop] * factor
        seen[start:stop] = observed[number][start:stop]
        seen[start] = True
        last = float(level[stop - 1])
        in_use = number
    return level, seen


def _day(ts_us: np.int64) -> str:
    return str(np.datetime_as_string(ts_us.astype("datetime64[us]"), unit="D"))


