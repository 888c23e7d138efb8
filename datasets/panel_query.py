"""Loading a panel from the lake: bars in DuckDB, everything else joined as of its availability.

A row of another table counts from its `available_at` on and no earlier; a bar's row is what was
known when the bar closed. Several series of one kind may be given, the preferred first; each bar
takes the first that is fresh. Nothing is filled in: a gap stays a gap, and is counted.

One column looks at when a thing happened instead: `funding_settled` is money that changed hands,
not something to decide by, and exchanges stamp it some milliseconds late.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._bars import Resampled, resample
from ._panel_joins import Joins
from ._series_name import SeriesName, parse_series, stored_name
from .errors import InputError
from .lake import Lake
from .naming import timeframe_us
from .panel import Float64Array1D, Gap, Panel, find_gaps
from .query import files_between, files_of


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
        Series as ``venue:symbol`` or ``venue:symbol:timeframe``, the preferred first; by default
        the instrument's own where the lake has them.

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
    own = SeriesName(venue, symbol)
    names = {
        table: _names(lake, table, own, given)
        for table, given in (
            ("open_interest", open_interest),
            ("funding", funding),
            ("liquidations", liquidations),
            ("positioning", positioning),
            ("mark_bars", mark),
        )
    }
    return _panel(lake, own, timeframe, bars, names)


def check_files(lake: Lake, panel: Panel) -> None:
    """Hold the files that a panel was loaded from against their checksums, which DuckDB does not look at.

    Raises
    ------
    LakeError
        If one is not what was written.
    """
    for source, names in panel.sources.items():
        table = "mark_bars" if source == "mark" else source
        for name in map(parse_series, names):
            for series in lake.series(table, venue=name.venue, symbol=name.symbol):
                if name.timeframe not in (None, series.timeframe):
                    continue
                for file in files_between(files_of(lake, series), None, int(panel.close_ts[-1])):
                    lake.verify(file)


def _names(lake: Lake, table: str, own: SeriesName, given: Sequence[str]) -> tuple[SeriesName, ...]:
    if not given:
        return (own,) if lake.series(table, venue=own.venue, symbol=own.symbol) else ()
    stored = lake.series(table)
    return tuple(stored_name(parse_series(text), table, stored) for text in given)


def _panel(
    lake: Lake,
    own: SeriesName,
    timeframe: str,
    bars: Resampled,
    names: dict[str, tuple[SeriesName, ...]],
) -> Panel:
    prices = {name: _column(bars, name) for name in ("open", "high", "low", "close")}
    volume = _column(bars, "volume")
    joins = Joins(lake, timeframe, own=own, ts=bars.ts, close=prices["close"])
    oi_base, oi_observed, oi_series = joins.open_interest(names["open_interest"])
    funding_rate, funding_settled = joins.funding(names["funding"])
    long_printed, short_printed, printed_from = joins.liquidations(names["liquidations"])
    mark_high, mark_low = joins.mark(names["mark_bars"])
    positioning = joins.positioning(names["positioning"])
    mean_price = (prices["high"] + prices["low"] + prices["close"]) / 3.0
    quote_volume = _column(bars, "quote_volume")
    estimated = ~np.isfinite(quote_volume)
    gaps = find_gaps(bars.ts, timeframe_us(timeframe))
    return Panel(
        venue=own.venue,
        symbol=own.symbol,
        timeframe=timeframe,
        ts=bars.ts,
        **prices,
        volume=volume,
        quote_volume=np.where(estimated, volume * mean_price, quote_volume),
        taker_buy_share=_share(_column(bars, "taker_buy_volume"), volume),
        mark_high=mark_high,
        mark_low=mark_low,
        oi_base=oi_base,
        oi_observed=oi_observed,
        oi_series=oi_series,
        funding_rate=funding_rate,
        funding_settled=funding_settled,
        **positioning,
        long_liquidations=long_printed,
        short_liquidations=short_printed,
        sources={
            "bars": (f"{own}:{bars.stored}",),
            "open_interest": tuple(map(str, names["open_interest"])),
            "funding": tuple(map(str, names["funding"])),
            "liquidations": printed_from,
            "positioning": tuple(map(str, names["positioning"])),
            "mark": tuple(map(str, names["mark_bars"])) if np.isfinite(mark_high).any() else (),
        },
        gaps=gaps,
        notes=(*_notes_on_bars(bars, gaps, int(estimated.sum())), *joins.notes),
    )


def _notes_on_bars(bars: Resampled, gaps: Sequence[Gap], estimated: int) -> list[str]:
    notes = []
    if gaps:
        missing = sum(gap.missing_bars for gap in gaps)
        notes.append(f"{missing} bars are missing in {len(gaps)} gaps; none was invented.")
    if bars.partial:
        notes.append(f"{bars.partial} bars are made of fewer {bars.stored} bars than they span.")
    if estimated:
        notes.append(
            f"Quote volume of {estimated} bars is estimated as volume times the mean of high, low "
            "and close."
        )
    return notes


def _column(bars: Resampled, name: str) -> Float64Array1D:
    return bars.frame[name].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)


def _share(part: Float64Array1D, whole: Float64Array1D) -> Float64Array1D:
    out = np.full(len(whole), np.nan)
    np.divide(part, whole, out=out, where=whole > 0.0)
    return out
