"""The order book as it stood at moments of the past, out of the lake's snapshots.

A snapshot holds what rests within a few distances of the middle, not single levels; what lies between two
distances is taken to be spread evenly by whoever uses it. The book is on the wire as it changes, so that a
snapshot counts from its own time on, and for five minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from .lake import Lake
from .naming import HOUR_US
from .query import files_between, partition_files, queried

DEPTH: Final = "depth"
PATIENCE_US: Final = HOUR_US // 12
"""How old a snapshot may be."""
_AT: Final = """
    WITH moments AS (SELECT unnest($moments::BIGINT[]) AS moment),
    known AS (SELECT DISTINCT epoch_us(available_at) AS at, ts
              FROM read_parquet($files, hive_partitioning = false)),
    newest AS (SELECT moment, known.ts FROM moments ASOF JOIN known ON moment >= known.at
               WHERE moment - known.at <= $patience)
    SELECT moment, epoch_us(ts) AS ts, side, distance, notional
    FROM newest JOIN read_parquet($files, hive_partitioning = false) AS book USING (ts)
    ORDER BY moment, side, distance
"""


class Book(NamedTuple):
    """A snapshot.

    Attributes
    ----------
    ts_us : int
        When it was taken, UTC microseconds.
    asks, bids : tuple of (float, float)
        Distance from the middle (a fraction), and the value resting up to there (quote); both increase.
    """

    ts_us: int
    asks: tuple[tuple[float, float], ...]
    bids: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class BookSeries:
    """Snapshots of one instrument's book in a lake."""

    lake: Lake
    venue: str
    symbol: str

    def at(self, moments: Sequence[int]) -> dict[int, Book]:
        """Return the newest snapshot known at each moment; no entry where none is fresh.

        Parameters
        ----------
        moments : sequence of int
            UTC microseconds.

        Raises
        ------
        InputError
            If the lake has no snapshots of this instrument.

        Notes
        -----
        Look-ahead: a snapshot that was taken after the moment is never used.
        """
        files = partition_files(
            self.lake, DEPTH, venue=self.venue, symbol=self.symbol, timeframe=None
        )
        wanted = sorted(set(moments))
        if not wanted:
            return {}
        inside = files_between(files, wanted[0] - PATIENCE_US, wanted[-1] + 1)
        if not inside:
            return {}
        bound = {"files": inside, "moments": wanted, "patience": PATIENCE_US}
        rows = queried(self.lake, _AT, bound).to_pylist()
        return {
            moment: _book(list(levels)) for moment, levels in groupby(rows, lambda r: r["moment"])
        }


def book_series(lake: Lake, venue: str, symbol: str) -> BookSeries | None:
    """Return an instrument's snapshots, None where the lake has none."""
    stored = lake.series(DEPTH, venue=venue, symbol=symbol)
    return BookSeries(lake, venue, symbol) if stored else None


def _book(levels: list[dict[str, object]]) -> Book:
    sides: dict[str, list[tuple[float, float]]] = {"ask": [], "bid": []}
    for level in levels:
        side = sides[str(level["side"])]
        distance, notional = float(str(level["distance"])), float(str(level["notional"]))
        # Where the sum up to a distance does not grow, nothing rests in between.
        if notional > (side[-1][1] if side else 0.0):
            side.append((distance, notional))
    return Book(int(str(levels[0]["ts"])), tuple(sides["ask"]), tuple(sides["bid"]))
