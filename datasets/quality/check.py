"""Checks of stored series, one series and one calendar year at a time, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..lake import Lake, Series
from ..naming import DAY_US, timeframe_us
from ..order_book import DEPTH, PATIENCE_US
from ..panel import Int64Array1D
from ..query import files_of
from ..schemas import EVENTS, TABLES
from ..sources._names import same_instrument
from . import bars as bars_
from . import funding, liquidations, open_interest, others
from .clock import clock_shifts
from .coverage import Coverage, DayCounts
from .finding import Finding, Hit, merged
from .kinds import judged
from .stretches import Stretch, read_rows, stretches
from .times import local_steps

_COLUMNS: Final = {
    "bars": bars_.COLUMNS,
    "mark_bars": bars_.PRICES,
    "open_interest": open_interest.COLUMNS,
    "funding": funding.COLUMNS,
    "positioning": others.POSITIONING,
    "liquidations": liquidations.COLUMNS,
    "liquidation_map": others.MAPS,
    "depth": others.DEPTH,
}
_BESIDE: Final = (*bars_.PRICES, "volume")
_FINEST_US: Final = timeframe_us("5m")
"""Prices to hold other tables to: finer bars say no more, and are many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSeries:
    """What was found in a series, the serious first, and which days it covers."""

    series: Series
    findings: tuple[Finding, ...]
    coverage: Coverage


def check_lake(
    lake: Lake, *, venue: str | None = None, symbol: str | None = None
) -> Iterator[CheckedSeries]:
    """Yield each stored series, checked by itself and against what else is stored.

    Parameters
    ----------
    lake : Lake
    venue, symbol : str, optional
        What to look at; everything by default.

    Raises
    ------
    LakeError
        If a stored file is not readable, or does not agree with its checksums.
    """
    stored = lake.series()
    aside = _set_aside(lake)
    for series in lake.series(venue=venue, symbol=symbol):
        yield check_series(lake, series, stored=stored, aside=aside.get(_name(series), 0))


def check_series(
    lake: Lake, series: Series, *, stored: Sequence[Series], aside: int = 0
) -> CheckedSeries:
    """Check a series.

    Parameters
    ----------
    lake : Lake
    series : Series
    stored : sequence of Series
        What else is in the lake.
    aside : int
        Rows of it that were set aside.

    Raises
    ------
    LakeError
        If a file is not readable, or does not agree with its checksums.
    """
    for name in files_of(lake, series):
        lake.verify(name)
    days = DayCounts(series.first_us, series.last_us)
    steps = np.zeros(len(days.rows))
    hits: list[Hit] = []
    for rows in stretches(lake, series, _COLUMNS[series.table]):
        start_us, end_us = int(rows.ts[rows.lead]), int(rows.ts[-1]) + 1
        days.add(_observed(series, rows.ts[rows.lead :]))
        _note_steps(steps, rows, days.first_day)
        hits += others.check_keys(lake, series, start_us, end_us)
        hits += _checked(lake, series, rows, stored)
    if aside:
        hits.append(_aside_hit(series, aside))
    observed = int(days.rows.sum())
    found = [judged(hit, series.rows, observed=observed) for hit in merged(hits)]
    found.sort(key=lambda finding: finding.severity != "serious")
    return CheckedSeries(
        series=series, findings=tuple(found), coverage=days.coverage(_step(series, steps))
    )


def _checked(lake: Lake, series: Series, rows: Stretch, stored: Sequence[Series]) -> Iterator[Hit]:
    timeframe = str(series.timeframe)
    if TABLES[series.table].key == ("ts",):
        # Rows of one key have been told; what follows would mistake them for other faults.
        rows = rows.distinct()
    prices, same_venue = _prices(lake, series, rows, stored)
    match series.table:
        case "bars":
            yield from bars_.check_bars(rows, timeframe)
            yield from _against_other_bars(lake, series, rows, stored)
        case "mark_bars":
            yield from bars_.check_mark_bars(rows, timeframe)
        case "open_interest":
            yield from open_interest.check_open_interest(rows, prices)
        case "funding":
            yield from funding.check_funding(rows)
        case "positioning":
            yield from others.check_positioning(rows)
        case "liquidations":
            yield from liquidations.check_liquidations(
                rows, timeframe, prices, same_venue=same_venue
            )
        case "depth":
            yield from others.check_depth(rows)
        case _:
            yield from others.check_maps(rows)


def _prices(
    lake: Lake, series: Series, rows: Stretch, stored: Sequence[Series]
) -> tuple[bars_.Whole | None, bool]:
    """Return bars to hold a series to, and whether they are of its own venue and symbol."""
    if series.table not in ("open_interest", "liquidations"):
        return None, False
    first, last = int(rows.ts[0]), int(rows.ts[-1])
    fitting = [
        s
        for s in stored
        if s.table == "bars"
        and same_instrument(s.symbol, series.symbol)
        and min(s.last_us, last) - max(s.first_us, first) > 0
    ]
    if not fitting:
        return None, False
    best = max(fitting, key=lambda s: _worth(s, series, first, last))
    found = read_rows(lake, best, _BESIDE, first - DAY_US, last + DAY_US)
    part = timeframe_us(str(best.timeframe))
    own = (best.venue, best.symbol) == (series.venue, series.symbol)
    return bars_.made_of(found, part, part), own


def _worth(
    candidate: Series, series: Series, first: int, last: int
) -> tuple[bool, float, bool, int]:
    overlap = min(candidate.last_us, last) - max(candidate.first_us, first)
    length = timeframe_us(str(candidate.timeframe))
    return (
        (candidate.venue, candidate.symbol) == (series.venue, series.symbol),
        round(overlap / max(last - first, 1), 1),
        length >= _FINEST_US,
        -length,
    )


def _against_other_bars(
    lake: Lake, series: Series, rows: Stretch, stored: Sequence[Series]
) -> Iterator[Hit]:
    own = timeframe_us(str(series.timeframe))
    start_us, end_us = int(rows.ts[0]), int(rows.ts[-1]) + own
    mark = _finest(stored, "mark_bars", series, own)
    if mark is None:
        yield from bars_.spikes(rows, None)
    else:
        part = timeframe_us(str(mark.timeframe))
        step = max(part, own)
        marks = bars_.made_of(read_rows(lake, mark, bars_.PRICES, start_us, end_us), part, step)
        yield from bars_.spikes(rows, marks)
        ours = rows if step == own else _as_stretch(bars_.made_of(rows, own, step))
        yield from bars_.against_mark(ours, marks)
        made = bars_.made_of(ours, step, step)
        if step < DAY_US and len(marks.ts):
            yield from clock_shifts("its return", step, bars_.moves(made), bars_.moves(marks))
    finer = _finest(stored, "bars", series, own, below=own)
    if finer is not None:
        part = timeframe_us(str(finer.timeframe))
        made = bars_.made_of(read_rows(lake, finer, _BESIDE, start_us, end_us), part, own)
        yield from bars_.against_finer(rows, made, str(finer.timeframe))


def _as_stretch(bars: bars_.Whole) -> Stretch:
    columns = {name: getattr(bars, name) for name in (*bars_.PRICES, "volume")}
    return Stretch(ts=bars.ts, columns=columns, lead=0)


def _finest(
    stored: Sequence[Series], table: str, series: Series, own: int, *, below: int | None = None
) -> Series | None:
    """Return the series of a table that is nearest in length, where one length divides the other."""
    found = [
        s
        for s in stored
        if s.table == table and (s.venue, s.symbol) == (series.venue, series.symbol)
    ]
    lengths = {s: timeframe_us(str(s.timeframe)) for s in found}
    fitting = [
        s
        for s, length in lengths.items()
        if (own % length == 0 or length % own == 0) and (below is None or length < below)
    ]
    return min(fitting, key=lambda s: abs(np.log(lengths[s] / own)), default=None)


def _observed(series: Series, ts: Int64Array1D) -> Int64Array1D:
    """Return the times to count by the day: those of snapshots once, however many rows each has."""
    if series.table == DEPTH:
        return np.unique(ts // PATIENCE_US) * PATIENCE_US
    return np.unique(ts) if series.table == "liquidation_map" else ts


def _note_steps(steps: np.ndarray, rows: Stretch, first_day: int) -> None:
    """Keep each day's usual step, for the calendar."""
    ts = np.unique(rows.ts)
    if len(ts) > 1:
        usual = local_steps(ts)
        steps[ts[1:] // DAY_US - first_day] = usual
        steps[ts[:-1] // DAY_US - first_day] = usual


def _step(series: Series, steps: np.ndarray) -> np.ndarray | int | None:
    if series.table == "liquidations":
        return None
    if series.table == DEPTH:
        return PATIENCE_US
    if TABLES[series.table].partitioned_by_timeframe and series.timeframe != EVENTS:
        return timeframe_us(str(series.timeframe))
    return np.where(steps > 0.0, steps, DAY_US)


def _name(series: Series) -> tuple[str, str, str, str]:
    return series.table, series.venue, series.symbol, series.timeframe or ""


def _set_aside(lake: Lake) -> dict[tuple[str, str, str, str], int]:
    counts: dict[tuple[str, str, str, str], int] = {}
    for row in lake.quarantine().to_pylist():
        name = (row["table"], row["venue"], row["symbol"], row["timeframe"] or "")
        counts[name] = counts.get(name, 0) + row["rows"]
    return counts


def _aside_hit(series: Series, rows: int) -> Hit:
    return Hit(
        kind="set aside",
        count=rows,
        first_us=series.first_us,
        last_us=series.last_us,
        example=f"{rows:,} rows; the files and reasons are listed by `liqtiers data describe`",
        worst=float(rows),
    )
