"""Everything of a panel that is not a bar, joined to the bars.

A row counts from its `available_at` on and no earlier. Of several series the first that is fresh at
a bar is used. What a reader of a result must know about the data is gathered as notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._as_of import (
    Run,
    chain,
    in_order_of_knowledge,
    is_fresh,
    newest_known,
    runs_of,
    sum_between,
)
from ._bars import resample
from ._series_name import SeriesName
from .errors import InputError
from .lake import Lake
from .naming import DAY_US, HOUR_US, timeframe_us
from .panel import BoolArray1D, Float64Array1D, Int64Array1D
from .query import read
from .schemas import EVENTS

_SECOND_US: Final = 1_000_000
_MOST_CHANGES: Final = 12
_LEAD_US: Final = 45 * DAY_US
"""How far before the first bar observations are priced; what is older is stale but for monthly series."""
_ROWS_BEFORE: Final = 32
"""Rows of a series from before the first bar that are read at least; three steps are looked at."""
_POSITIONING: Final = ("long_short_accounts", "top_long_short_positions", "taker_buy_sell")


class _Joined(NamedTuple):
    """A series seen from the bars.

    `rows` are in the order in which they became known, at `available`; `newest` is each bar's last
    row known at its close (-1: none), `fresh` whether that row is recent enough to be used.
    """

    rows: pa.Table
    available: Int64Array1D
    newest: Int64Array1D
    fresh: BoolArray1D


class Joins:
    """What the joins share: the bars' times and closes, and the notes gathered on the way.

    Parameters
    ----------
    lake : Lake
    timeframe : str
        Of the bars.
    own : SeriesName
        What the bars are of.
    ts : ndarray of int64, shape (n,)
        Open of each bar, UTC microseconds.
    close : ndarray of float64, shape (n,)
        Last price of each bar.
    """

    def __init__(
        self,
        lake: Lake,
        timeframe: str,
        *,
        own: SeriesName,
        ts: Int64Array1D,
        close: Float64Array1D,
    ) -> None:
        self.lake = lake
        self.timeframe = timeframe
        self.own = own
        self.ts = ts
        self.close = close
        self.close_ts = ts + timeframe_us(timeframe)
        self.notes: list[str] = []

    def _join(self, table: str, name: SeriesName, columns: Sequence[str]) -> _Joined:
        rows = self._rows(table, name, ("ts", "available_at", *columns))
        kept = in_order_of_knowledge(_microseconds(rows, "ts"), _microseconds(rows, "available_at"))
        rows = rows.take(pa.array(kept))
        available = _microseconds(rows, "available_at")
        newest = newest_known(available, self.close_ts)
        return _Joined(rows, available, newest, is_fresh(available, newest, self.close_ts))

    def _rows(self, table: str, name: SeriesName, columns: Sequence[str]) -> pa.Table:
        """Return the rows of a series that can matter to the bars.

        Those that became known within them, and enough from before to know how far apart rows come and what
        was known at the first bar: the months that were wholly known by then, back until they hold
        `_ROWS_BEFORE`. Of a series that begins later, its beginning.
        """
        folder = self.lake.folder(
            table, venue=name.venue, symbol=name.symbol, timeframe=name.timeframe
        )
        months = list(self.lake.footers(self.lake.files(folder)).values())
        start, end, before = None, int(self.close_ts[-1]) + _SECOND_US, 0
        known = [month for month in months if month.known_us <= self.ts[0]]
        for month in reversed(known):
            if before < _ROWS_BEFORE:
                start, before = month.first_us, before + month.rows
        if start is not None:
            start = min([start, *(m.first_us for m in months if m.known_us > self.ts[0])])
        return read(
            self.lake,
            table,
            venue=name.venue,
            symbol=name.symbol,
            timeframe=name.timeframe,
            start_us=start,
            end_us=max([end, *(m.first_us + 1 for m in months[:1])]),
            columns=columns,
        )

    def open_interest(
        self, names: tuple[SeriesName, ...]
    ) -> tuple[Float64Array1D, BoolArray1D, Int64Array1D]:
        """Return open interest in coins, whether it was observed within the bar, and the series."""
        bars = len(self.ts)
        series = np.full(bars, -1, dtype=np.int64)
        observed = np.zeros(bars, dtype=bool)
        values: list[Float64Array1D] = []
        for number, name in enumerate(names):
            joined = self._join("open_interest", name, ("oi_base", "oi_quote"))
            self._note_coarse(name, joined)
            values.append(self._in_coins(name, joined))
            use = (series < 0) & joined.fresh & np.isfinite(values[-1])
            series[use] = number
            before = newest_known(joined.available, self.ts[:1])
            observed[use] = np.diff(joined.newest, prepend=before)[use] > 0
        if (series < 0).all():
            if names:
                self.notes.append("No open interest is known in this span.")
            return self._unknown(), observed, series
        runs = runs_of(series)
        self._note_open_interest(names, runs)
        return chain(values, runs), observed, series

    def _in_coins(self, name: SeriesName, joined: _Joined) -> Float64Array1D:
        base = joined.rows["oi_base"].to_numpy().astype(np.float64)
        quote = joined.rows["oi_quote"].to_numpy().astype(np.float64)
        happened = _microseconds(joined.rows, "ts")
        coins = base
        if not np.isfinite(base).all():
            coins = np.where(np.isfinite(base), base, quote / self._prices_at(happened))
            self.notes.append(
                f"Open interest of {name} is given in money and was made coins by the last close "
                "before each observation."
            )
        out = self._unknown()
        known = joined.newest >= 0
        out[known] = coins[joined.newest[known]]
        return out

    def _prices_at(self, moments: Int64Array1D) -> Float64Array1D:
        """Return the close of the last bar closed by each moment, of bars before the first one too.

        What was seen before the span is the level that it begins with, so that its price must not depend on
        where the span begins.
        """
        closes, close_ts = self.close, self.close_ts
        early = moments[moments < close_ts[0]]
        if len(early):
            try:
                before = resample(
                    self.lake,
                    "bars",
                    venue=self.own.venue,
                    symbol=self.own.symbol,
                    timeframe=self.timeframe,
                    start_us=max(int(early.min()), int(self.ts[0]) - _LEAD_US) - DAY_US,
                    end_us=int(self.ts[0]),
                )
            except InputError:
                pass  # the bars begin here
            else:
                closes = np.concatenate([before.frame["close"].to_numpy(dtype=np.float64), closes])
                close_ts = np.concatenate([before.ts + timeframe_us(self.timeframe), close_ts])
        bar = np.searchsorted(close_ts, moments, side="right") - 1
        return np.where(bar >= 0, closes[np.maximum(bar, 0)], np.nan)

    def funding(self, names: tuple[SeriesName, ...]) -> tuple[Float64Array1D, Float64Array1D]:
        """Return the last settled rate known, and the sum of those settled within each bar."""
        rate, settled = self._unknown(), np.zeros(len(self.ts))
        covered = np.zeros(len(self.ts), dtype=bool)
        charged = np.zeros(len(self.ts), dtype=bool)
        for name in names:
            joined = self._join("funding", name, ("rate",))
            rates = joined.rows["rate"].to_numpy()
            use = joined.fresh & ~covered
            rate[use] = rates[joined.newest[use]]
            covered |= use
            # A settlement is charged in its bar even where its rate was published after the close.
            sums, counts = self._settled(name)
            use = (joined.fresh | (counts > 0.0)) & ~charged
            settled[use] = sums[use]
            charged |= use
        if not names:
            self.notes.append("No funding series: no funding is charged.")
        elif not covered.all():
            self.notes.append(
                f"{int((~covered).sum())} bars have no funding rate; none is charged."
            )
        return rate, settled

    def _settled(self, name: SeriesName) -> tuple[Float64Array1D, Float64Array1D]:
        """Return the sum and the number of the settlements in each bar."""
        rows = self._rows("funding", name, ("ts", "rate"))
        # Exchanges stamp a settlement some milliseconds late.
        settled_at = (_microseconds(rows, "ts") + _SECOND_US // 2) // _SECOND_US * _SECOND_US
        rates = rows["rate"].to_numpy()
        return (
            sum_between(settled_at, rates, self.ts, self.close_ts),
            sum_between(settled_at, np.ones(len(rates)), self.ts, self.close_ts),
        )

    def positioning(self, names: tuple[SeriesName, ...]) -> dict[str, Float64Array1D]:
        """Return the last known ratios, by column."""
        out = {column: self._unknown() for column in _POSITIONING}
        for name in names:
            joined = self._join("positioning", name, _POSITIONING)
            for column, values in out.items():
                found = joined.rows[column].to_numpy().astype(np.float64)
                use = joined.fresh & ~np.isfinite(values)
                values[use] = found[joined.newest[use]]
        return out

    def liquidations(
        self, names: tuple[SeriesName, ...]
    ) -> tuple[Float64Array1D, Float64Array1D, tuple[str, ...]]:
        """Return what became known within each bar, longs and shorts, and the series used."""
        printed = {"long": self._unknown(), "short": self._unknown()}
        covered = np.zeros(len(self.ts), dtype=bool)
        used: list[str] = []
        for name in names:
            full = self._with_timeframe(name)
            used.append(str(full))
            rows = self._rows("liquidations", full, ("ts", "available_at", "side", "notional"))
            available = _microseconds(rows, "available_at")
            inside = self._covered(full, _microseconds(rows, "ts"), available) & ~covered
            for side, values in printed.items():
                of_side = np.asarray(pc.equal(rows["side"], side))
                order = np.argsort(available[of_side], kind="stable")
                notional = rows["notional"].to_numpy()[of_side][order]
                sums = sum_between(available[of_side][order], notional, self.ts, self.close_ts)
                values[inside] = sums[inside]
            covered |= inside
            self._note_liquidations(full, int(inside.sum()))
        return printed["long"], printed["short"], tuple(used)

    def _covered(self, name: SeriesName, ts: Int64Array1D, available: Int64Array1D) -> BoolArray1D:
        """Return the bars that lie within the series, as far as could be known when they closed.

        Sources leave quiet bars out, so a silence of up to a day (or one bar of the series, where
        that is longer) means that nothing was printed; after that it means that nobody looked.
        """
        patience = (
            DAY_US if name.timeframe == EVENTS else max(DAY_US, timeframe_us(str(name.timeframe)))
        )
        order = np.lexsort((ts, available))
        known = available[order]
        newest = newest_known(known, self.close_ts)
        age = self.close_ts - known[np.maximum(newest, 0)]
        covered: BoolArray1D = (newest >= 0) & (self.ts >= ts[order[0]]) & (age < patience)
        return covered

    def _with_timeframe(self, name: SeriesName) -> SeriesName:
        if name.timeframe is not None:
            return name
        stored = [
            s.timeframe
            for s in self.lake.series("liquidations", venue=name.venue, symbol=name.symbol)
            if s.timeframe
        ]
        summed = [t for t in stored if t != EVENTS]
        best = min(summed, key=timeframe_us) if summed else EVENTS
        return SeriesName(name.venue, name.symbol, best)

    def mark(self, names: tuple[SeriesName, ...]) -> tuple[Float64Array1D, Float64Array1D]:
        """Return the highest and lowest mark price of each bar, where they were known at its close."""
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
                    start_us=int(self.ts[0]),
                    end_us=int(self.close_ts[-1]),
                )
            except InputError:
                self.notes.append(
                    f"No stored mark price of {name} can make {self.timeframe} bars: trade prices "
                    "trigger liquidations instead."
                )
                continue
            _, ours, theirs = np.intersect1d(
                self.ts, marks.ts, assume_unique=True, return_indices=True
            )
            in_time = marks.frame["available"].to_numpy()[theirs] <= self.close_ts[ours]
            if not in_time.all():
                self.notes.append(
                    f"{int((~in_time).sum())} mark-price bars of {name} became known after their close and "
                    "are not used."
                )
            free = np.isnan(high[ours]) & in_time
            high[ours[free]] = marks.frame["high"].to_numpy()[theirs[free]]
            low[ours[free]] = marks.frame["low"].to_numpy()[theirs[free]]
            if marks.partial:
                self.notes.append(
                    f"{marks.partial} mark-price bars of {name} are made of fewer {marks.stored} "
                    "bars than they span."
                )
        unknown = int(np.isnan(high).sum())
        if names and 0 < unknown < len(self.ts):
            self.notes.append(f"{unknown} bars have no mark price: trade prices are used in them.")
        return high, low

    def _unknown(self) -> Float64Array1D:
        return np.full(len(self.ts), np.nan)

    def _note_coarse(self, name: SeriesName, joined: _Joined) -> None:
        inside = joined.available[
            (joined.available > self.ts[0]) & (joined.available <= self.close_ts[-1])
        ]
        step = float(np.median(np.diff(inside))) if len(inside) > 1 else 0.0
        if step > timeframe_us(self.timeframe):
            self.notes.append(
                f"Open interest of {name} is seen every {step / HOUR_US:.3g} hours: its changes "
                f"come in steps coarser than the {self.timeframe} bars."
            )

    def _note_open_interest(self, names: tuple[SeriesName, ...], runs: list[Run]) -> None:
        used = [run for run in runs if run.number >= 0]
        if len(names) > 1:
            parts = [f"{names[run.number]} from {_day(self.ts[run.start])}" for run in used]
            if len(parts) > _MOST_CHANGES:
                parts = [*parts[:_MOST_CHANGES], f"and {len(parts) - _MOST_CHANGES} more changes"]
            self.notes.append(
                f"Open interest: {', '.join(parts)}; levels are chained at each change."
            )
        if used[0].start:
            self.notes.append(f"Open interest is unknown in the first {used[0].start} bars.")
        stale = sum(run.stop - run.start for run in runs if run.number < 0) - used[0].start
        if stale:
            self.notes.append(
                f"Open interest is stale in {stale} bars; its last level is kept there."
            )

    def _note_liquidations(self, name: SeriesName, bars: int) -> None:
        text = f"Printed liquidations of {name} cover {bars} of {len(self.ts)} bars"
        if name.timeframe == EVENTS:
            self.notes.append(f"{text}; they are single orders as the venue published them.")
        elif timeframe_us(str(name.timeframe)) > timeframe_us(self.timeframe):
            self.notes.append(
                f"{text}; a sum over {name.timeframe} counts in the bar in which it became known."
            )
        else:
            self.notes.append(f"{text}.")


def _microseconds(rows: pa.Table, column: str) -> Int64Array1D:
    return np.asarray(rows[column].cast(pa.int64()).to_numpy())


def _day(ts_us: np.int64) -> str:
    return str(np.datetime_as_string(ts_us.astype("datetime64[us]"), unit="D"))
