"""Checks of positioning, imported maps and order book depth; of files, and of keys that must be unique."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..lake import Lake, Series
from ..naming import HOUR_US
from ..order_book import PATIENCE_US
from ..query import files_between, files_of, queried
from ..schemas import TABLES
from .finding import Hit
from .stretches import Stretch
from .times import gaps, long_runs, marked, moment

POSITIONING: Final = ("long_short_accounts", "top_long_short_positions", "taker_buy_sell")
MAPS: Final = ("notional", "price_low")
DEPTH: Final = ("notional", "distance")
_STANDS_STILL_ROWS: Final = 6
_BOOK_STANDS_STILL_ROWS: Final = 5


def check_positioning(rows: Stretch) -> Iterator[Hit]:
    """Yield what is wrong with a stretch of positioning ratios."""
    yield from gaps("missing positioning", rows.ts)
    same = np.zeros(len(rows), dtype=bool)
    same[1:] = True
    for name in POSITIONING:
        values = rows.number(name)
        same[1:] &= (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    yield from long_runs(
        "repeated positioning",
        rows.ts,
        same,
        least_rows=_STANDS_STILL_ROWS,
        least_us=HOUR_US,
        words=lambda at: f"{rows.number(POSITIONING[0])[at]:,.6g}",
    )


def check_maps(rows: Stretch) -> Iterator[Hit]:
    """Yield what is wrong with a stretch of imported maps."""
    yield from _snapshots(rows, "maps", "price_low", least_rows=1, step_us=None)


def check_depth(rows: Stretch) -> Iterator[Hit]:
    """Yield what is wrong with a stretch of order book depth."""
    # Snapshots come at no fixed pace; what counts is whether a fill finds one.
    yield from _snapshots(
        rows, "depth", "distance", least_rows=_BOOK_STANDS_STILL_ROWS, step_us=PATIENCE_US
    )
    distance, notional = rows.number("distance"), rows.number("notional")
    # Rows of one side of a snapshot follow each other by distance; at the next side it falls back.
    same_side = (np.diff(rows.ts) == 0) & (np.diff(distance) > 0.0)
    falls = np.zeros(len(rows), dtype=bool)
    falls[1:] = same_side & (np.diff(notional) < 0.0)
    yield from marked(
        "depth falls",
        rows,
        falls,
        worst=-np.diff(notional, prepend=notional[:1]),
        words=lambda at: (
            f"{notional[at]:,.6g} within {distance[at]:.3g}, {notional[at - 1]:,.6g} nearer"
        ),
    )


def _snapshots(
    rows: Stretch, what: str, place_column: str, *, least_rows: int, step_us: int | None
) -> Iterator[Hit]:
    """Yield snapshots that are missing, or repeat the one before in all that they hold."""
    ts, place = np.unique(rows.ts, return_inverse=True)
    yield from gaps(f"missing {what}", ts, step_us=step_us)
    price, notional = rows.number(place_column), rows.number("notional")
    sums = np.stack(
        [
            np.bincount(place, weights, len(ts))
            for weights in (np.ones(len(rows)), notional, notional * price)
        ]
    )
    same = np.zeros(len(ts), dtype=bool)
    same[1:] = (sums[:, 1:] == sums[:, :-1]).all(axis=0)
    yield from long_runs(
        f"repeated {what}",
        ts,
        same,
        least_rows=least_rows,
        least_us=0.0,
        words=lambda at: f"{int(sums[0, at]):,} levels of {sums[1, at]:,.6g} together",
    )


def check_keys(lake: Lake, series: Series, start_us: int, end_us: int) -> Iterator[Hit]:
    """Yield rows of one key that are stored twice."""
    wanted = files_between(files_of(lake, series), start_us, end_us)
    key = ", ".join(TABLES[series.table].key)
    found = queried(
        lake,
        "SELECT count(*) AS groups, sum(times - 1) AS extra, min(moment) AS first, max(moment) AS last FROM "
        f"(SELECT min(epoch_us(ts)) AS moment, count(*) AS times FROM read_parquet($files, "
        "hive_partitioning = false) WHERE ts >= make_timestamptz($start_us::BIGINT) "
        f"AND ts < make_timestamptz($end_us::BIGINT) GROUP BY {key} HAVING count(*) > 1)",
        {"files": wanted, "start_us": start_us, "end_us": end_us},
    ).to_pylist()[0]
    if found["groups"]:
        yield Hit(
            kind="duplicates",
            count=int(found["extra"]),
            first_us=int(found["first"]),
            last_us=int(found["last"]),
            example=f"{moment(int(found['first']))} is there more than once",
            worst=float(found["extra"]),
        )
