"""Coinglass exports (csv) and API v4 responses (JSON).

Facts that matter: bars are stamped at their open, so that a level's value belongs to the end of the bar
and a sum is known only then; funding is in percent; days of zeros before a series begins mean that
there is no data; sides are positions' sides. The heatmap has no side: above the price shorts, below longs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from ..naming import timeframe_us
from ._cells import Cells
from ._layout import Layout, by_symbol, by_venue, symbol_of, venue_of
from ._raw import RawTable
from .parsed import ImportOptions, Parsed

_TIMES: Final = ("time_ms", "timestamp", "ts_utc", "time", "ts", "date")


def _time_column(raw: RawTable) -> str:
    found = next((name for name in _TIMES if name in raw.columns), None)
    if found is None:
        raise InputError(f"{raw.path}: has no column of times; call one {', '.join(_TIMES[:-1])}")
    return found


def _by_symbol(raw: RawTable, options: ImportOptions) -> list[tuple[str, RawTable]]:
    if {"symbol", "coin"} & raw.columns:
        return by_symbol(raw, options)
    return [(symbol_of(raw, options), raw)]


def _venues(raw: RawTable, options: ImportOptions) -> list[tuple[str, RawTable]]:
    if "venue" in raw.columns:
        return by_venue(raw, options, "venue")
    return [(venue_of(raw, options), raw)]


def _with_data(
    cells: Cells, ts: np.ndarray[Any, Any], values: Sequence[np.ndarray[Any, Any]]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which rows are not before the first that has a value; rows with a problem stay."""
    some = np.any([np.nan_to_num(column) != 0.0 for column in values], axis=0) & cells.valid()
    begin = ts[some].min() if some.any() else np.iinfo(np.int64).max
    return (ts >= begin) | ~cells.valid()


def _each(raw: RawTable, options: ImportOptions) -> list[tuple[str, str, RawTable]]:
    return [
        (venue, symbol, part)
        for venue, of_venue in _venues(raw, options)
        for symbol, part in _by_symbol(of_venue, options)
    ]


def _series(
    raw: RawTable,
    options: ImportOptions,
    *,
    table: str,
    values: dict[str, str],
    what: str,
    scale: float = 1.0,
    stamped: str = "end",
) -> list[Parsed]:
    """Read a plain series, one row a bar.

    `values` maps canonical names to the file's; `stamped` says whether a row's value belongs to the
    bar's end (levels) or to the moment itself.
    """
    found = []
    for venue, symbol, part in _each(raw, options):
        cells = Cells(part)
        opens, _ = cells.times(_time_column(part), options.time_unit)
        timeframe = options.timeframe or cells.timeframe(opens) if stamped == "end" else None
        length = timeframe_us(timeframe) if timeframe is not None else 0
        numbers = {name: cells.numbers(column) * scale for name, column in values.items()}
        # Where a bar's value is given, vendors write zeros for no data; a settled rate may be zero.
        kept = np.ones(len(opens), dtype=bool)
        if stamped == "end":
            kept = _with_data(cells, opens, list(numbers.values()))
        columns = {"ts": opens + length, "available_at": opens + length, **numbers}
        found.append(
            Parsed(
                table=table,
                rows=cells.table(columns).filter(kept),
                venue=venue,
                symbol=symbol,
                recognised=f"{what}, {timeframe}" if timeframe is not None else what,
                notes=_left_out(int((~kept).sum())),
            )
        )
    return found


def _left_out(rows: int) -> tuple[str, ...]:
    if not rows:
        return ()
    return (f"{rows} rows of zeros before the series begins mean no data; left out",)


def _open_interest(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    column: str = next(c for c in ("oi_total_close", "oi_usd", "close") if c in raw.columns)
    what = "open interest by bar, the close at the bar's end"
    values = {"oi_quote": column}
    return _series(raw, options, table="open_interest", values=values, what=what)


def _open_interest_snapshots(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    what = "open interest snapshots by venue"
    values = {"oi_quote": "oi_usd"}
    return _series(raw, options, table="open_interest", values=values, what=what, stamped="moment")


def _funding(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    column = "funding_close" if "funding_close" in raw.columns else "close"
    found = _series(
        raw,
        options,
        table="funding",
        values={"rate": column},
        what="Coinglass funding by bar, percent turned into a fraction",
        scale=0.01,
    )
    note = "the rates' average over a bar or over venues: not what one contract settles"
    return [dataclasses.replace(parsed, notes=(*parsed.notes, note)) for parsed in found]


def _settled_funding(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    column = "funding_rate" if "funding_rate" in raw.columns else "rate"
    scale = 0.01 if options.percent else 1.0
    what = "funding rates, percent turned into a fraction" if options.percent else "funding rates"
    values = {"rate": column}
    return _series(
        raw, options, table="funding", values=values, what=what, scale=scale, stamped="moment"
    )


def _positioning(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    if "lsr_global" in raw.columns:
        values = {
            "long_short_accounts": "lsr_global",
            "top_long_short_positions": "lsr_top_positions",
        }
    else:
        values = {"top_long_short_positions": "ratio"}
    what = "long to short ratios by bar"
    return _series(raw, options, table="positioning", values=values, what=what)


def _taker(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    buy, sell = next(
        pair
        for pair in (("taker_buy_usd", "taker_sell_usd"), ("buy_usd", "sell_usd"))
        if pair[0] in raw.columns
    )
    what = "taker volume by bar, as the ratio of buys to sells"
    values = {"bought": buy, "sold": sell}
    found = _series(raw, options, table="positioning", values=values, what=what)
    return [dataclasses.replace(parsed, rows=_ratio(parsed.rows)) for parsed in found]


def _ratio(rows: pa.Table) -> pa.Table:
    """Return rows with ``bought / sold``, null where nothing was sold."""
    bought, sold = rows["bought"], rows["sold"]
    nothing = pc.less_equal(sold, 0.0)
    divisor = pc.if_else(nothing, pa.scalar(None, pa.float64()), sold)
    return rows.drop_columns(["bought", "sold"]).append_column(
        "taker_buy_sell", pc.divide(bought, divisor)
    )


_SIDES: Final = (
    ("long_usd", "short_usd"),
    ("longUsd", "shortUsd"),
    ("liq_long_usd", "liq_short_usd"),
    ("aggregated_long_liquidation_usd", "aggregated_short_liquidation_usd"),
    ("long_liquidation_usd", "short_liquidation_usd"),
)


def _liquidations(raw: RawTable, options: ImportOptions) -> list[Parsed]:
    long, short = next(pair for pair in _SIDES if pair[0] in raw.columns)
    found = []
    for venue, symbol, part in _each(raw, options):
        cells = Cells(part)
        ts, _ = cells.times(_time_column(part), options.time_unit)
        timeframe = options.timeframe or cells.timeframe(ts)
        length = timeframe_us(timeframe)
        sides = {"long": cells.numbers(long), "short": cells.numbers(short)}
        kept = _with_data(cells, ts, list(sides.values()))
        tables = [
            cells.table(
                {
                    "ts": ts,
                    "available_at": ts + length,
                    "side": np.full(len(ts), side, dtype=object),
                    "notional": notional,
                    "seq": np.zeros(len(ts), dtype=np.int64),
                }
            ).filter(kept)
            for side, notional in sides.items()
        ]
        found.append(
            Parsed(
                table="liquidations",
                rows=pa.concat_tables(tables),
                venue=venue,
                symbol=symbol,
                timeframe=timeframe,
                recognised=f"printed liquidations summed by {timeframe}",
                notes=(*_left_out(int((~kept).sum())), *_revised(cells, sides, long, short)),
            )
        )
    return found


def _revised(
    cells: Cells, sides: dict[str, np.ndarray[Any, Any]], long: str, short: str
) -> tuple[str, ...]:
    """Tell how many values a recorder first saw otherwise; the latest ones are stored."""
    changed = np.zeros(len(cells.raw.frame), dtype=bool)
    for latest, name in zip(sides.values(), (long, short), strict=True):
        first = cells.optional(f"{name}_first_seen")
        changed |= np.isfinite(first) & (first != latest)
    if not changed.any():
        return ()
    return (
        f"the vendor revised {int(changed.sum()):,} of {len(changed):,} bars after they were first "
        "seen; the latest values are stored, which were not yet known when the bar closed",
    )


def response_table(path: Any, value: Any) -> RawTable | None:
    """Return the rows of an API response ``{"code": "0", "data": [{…}]}`` as a table, if it is one."""
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return None
    frame = pd.DataFrame(rows)
    frame.columns = [str(name) for name in frame.columns]
    return RawTable(path, frame, np.arange(1, len(frame) + 1, dtype=np.int64))


_OHLC: Final = frozenset({"open", "high", "low", "close"})
_NO_VOLUME: Final = frozenset({"volume", "volume_usd", "v"})

LAYOUTS: Final = (
    *[
        Layout(
            source="coinglass",
            name="liquidations",
            required=frozenset(pair),
            read=_liquidations,
        )
        for pair in _SIDES
    ],
    Layout(
        source="coinglass",
        name="open interest of all venues",
        required=frozenset({"symbol", "oi_total_close"}),
        read=_open_interest,
    ),
    Layout(
        source="coinglass",
        name="open interest by venue",
        required=frozenset({"venue", "coin", "oi_usd"}),
        read=_open_interest_snapshots,
    ),
    Layout(
        source="coinglass",
        name="open interest",
        required=_OHLC,
        excluded=_NO_VOLUME,
        hint="oi",
        read=_open_interest,
    ),
    Layout(
        source="coinglass",
        name="open interest",
        required=_OHLC,
        excluded=_NO_VOLUME,
        hint="open_interest",
        read=_open_interest,
    ),
    Layout(
        source="coinglass",
        name="funding",
        required=_OHLC,
        excluded=_NO_VOLUME,
        hint="funding",
        read=_funding,
    ),
    Layout(
        source="coinglass", name="funding", required=frozenset({"funding_close"}), read=_funding
    ),
    Layout(
        source="coinglass",
        name="funding by venue",
        required=frozenset({"funding_rate", "coin"}),
        read=_settled_funding,
    ),
    Layout(
        source="coinglass",
        name="top traders",
        required=frozenset({"long_percent", "short_percent", "ratio"}),
        read=_positioning,
    ),
    Layout(
        source="coinglass",
        name="ratios",
        required=frozenset({"lsr_global", "lsr_top_positions"}),
        read=_positioning,
    ),
    Layout(
        source="coinglass",
        name="taker volume",
        required=frozenset({"taker_buy_usd", "taker_sell_usd"}),
        read=_taker,
    ),
    Layout(
        source="coinglass",
        name="taker volume",
        required=frozenset({"buy_usd", "sell_usd"}),
        read=_taker,
    ),
)
"""The shapes of Coinglass' tables."""
