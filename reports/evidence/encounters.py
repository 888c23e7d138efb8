"""Encounters: every dense tier that price reached, as it stood before.

A tier is frozen at the close of the bar before the one that reached it. What came afterwards is kept
apart (``outcomes``), so that nothing of it can slip in here. Crossings of levels that carry no tier
are encounters too (see ``controls`` and ``levels``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple, Self

import numpy as np
import pyarrow as pa

from ...datasets.map_features import TierLadder
from ...datasets.naming import HOUR_US
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D
from ._columns import TIME, field, table_of
from ._paths import fresh_reaches, log_prices, standing_bars
from .market import EvidenceMarket, Facts, bars_in, day_of, known_facts, volatility

ABOVE: Final = 1
BELOW: Final = -1
FRESH_UNITS: Final = 0.5
"""How far price has to leave a level, or the next has to lie, to count anew: volatilities of an hour."""
_AGE_LIMIT_HOURS: Final = 168


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encounters:
    """Levels that were reached, as they stood at the close of the bar before; all of shape (m,).

    Attributes
    ----------
    bar : ndarray of int64
        The bar in which the level was reached; everything else here was known at the close before.
    known_us, day : ndarray of int64
        Close of the bar before, UTC microseconds, and the UTC day since 1970 in which `bar` closes.
    side : ndarray of int64
        1 for a level above price (shorts), -1 for one below (longs).
    near, far, peak : ndarray of float64
        Edges and densest price, quote per base.
    notional, fuel : ndarray of float64
        Of the tier: quote, and hours of trading. NaN for a level without one.
    rank : ndarray of int64
        Of the tier on its side, 0 the nearest; -1 for a level without one.
    age_hours : ndarray of float64
        For how long a tier had stood at its peak, at most a week.
    volatility : ndarray of float64
        Of one bar, log return.
    gap : ndarray of float64
        From the close before to the near edge, in volatilities of one bar, above 0.
    distance_4h, distance_24h : ndarray of float64
        Log distance of the near edge from the price so long before, in the level's direction.
    width : ndarray of float64
        Log distance between the edges.
    imbalance_towards : ndarray of float64
        Log of the notional on the level's side over that on the other side, within the market's window.
    last_return : ndarray of float64
        Of the bar before, in the level's direction, in volatilities of one bar.
    facts : Facts
        What everyone knew.
    """

    bar: Int64Array1D
    known_us: Int64Array1D
    day: Int64Array1D
    side: Int64Array1D
    near: Float64Array1D
    far: Float64Array1D
    peak: Float64Array1D
    notional: Float64Array1D
    fuel: Float64Array1D
    rank: Int64Array1D
    age_hours: Float64Array1D
    volatility: Float64Array1D
    gap: Float64Array1D
    distance_4h: Float64Array1D
    distance_24h: Float64Array1D
    width: Float64Array1D
    imbalance_towards: Float64Array1D
    last_return: Float64Array1D
    facts: Facts

    def __len__(self) -> int:
        return len(self.bar)

    def where(self, chosen: BoolArray1D | Int64Array1D) -> Self:
        """Return some of the rows, by mask or index."""
        columns = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "facts"}
        return replace(self, facts=Facts._make(fact[chosen] for fact in self.facts), **columns)

    def to_table(self) -> pa.Table:
        """Return a row for each encounter, with units and meanings."""
        columns = {**self.facts._asdict(), "encounter": np.arange(len(self))}
        for f in fields(self):
            columns[f.name] = getattr(self, f.name)
        return table_of(ENCOUNTER_FIELDS, [columns[f.name] for f in ENCOUNTER_FIELDS])


class Standing(NamedTuple):
    """The level that stands beyond each close on one side; shape (n,), NaN (rank -1) for none."""

    near: Float64Array1D
    far: Float64Array1D
    peak: Float64Array1D
    notional: Float64Array1D
    fuel: Float64Array1D
    rank: Int64Array1D


_NUMBER: Final = pa.float64()
ENCOUNTER_FIELDS: Final = (
    field("encounter", pa.int64(), "count", "number of the row"),
    field("bar", pa.int64(), "count", "bar of the panel in which the level was reached"),
    field("known_us", TIME, "UTC", "close of the bar before, at which all of this was known"),
    field("day", pa.int64(), "days since 1970", "day in which it was reached, UTC"),
    field("side", pa.int64(), "1 or -1", "above price (shorts) or below (longs)"),
    field("near", _NUMBER, "quote per base", "near edge"),
    field("far", _NUMBER, "quote per base", "far edge"),
    field("peak", _NUMBER, "quote per base", "price of the densest bin"),
    field("notional", _NUMBER, "quote", "value that would be liquidated in the tier"),
    field("fuel", _NUMBER, "hours", "notional over the median hourly quote volume"),
    field("rank", pa.int64(), "count", "0 is the tier nearest to price, -1 none"),
    field("age_hours", _NUMBER, "hours", "for how long a tier had stood there, at most a week"),
    field("volatility", _NUMBER, "log return", "standard deviation of one bar"),
    field("gap", _NUMBER, "bar volatilities", "from the close before to the near edge"),
    field("distance_4h", _NUMBER, "log price", "of the near edge from the price 4 hours before"),
    field("distance_24h", _NUMBER, "log price", "of the near edge from the price a day before"),
    field("width", _NUMBER, "log price", "between the edges"),
    field("imbalance_towards", _NUMBER, "log ratio", "notional on its side over the other side"),
    field("last_return", _NUMBER, "bar volatilities", "of the bar before, in its direction"),
    *(
        field(
            name,
            _NUMBER,
            "rate" if name == "funding" else "1" if name.endswith("sine") else "log return",
            "known to everyone at the close before",
        )
        for name in Facts._fields
        if name != "volatility"
    ),
)


def encounters_of(market: EvidenceMarket) -> Encounters:
    """Return every dense tier that price reached, in order of time.

    Parameters
    ----------
    market : EvidenceMarket

    Notes
    -----
    Look-ahead: a row knows bars up to the one before `bar`, and that the level was reached in `bar`.
    None in the first day, which has no volatility yet.
    """
    standing = {
        side: nearest_tier(ladder_of(market, side), market.panel.close, side)
        for side in (ABOVE, BELOW)
    }
    return reached(market, standing)


def reached(
    market: EvidenceMarket, standing: dict[int, Standing], *, fresh_units: float = FRESH_UNITS
) -> Encounters:
    """Return the levels that price reached, by what stood on each side at each close.

    Parameters
    ----------
    market : EvidenceMarket
    standing : dict of int to Standing
        For each side, `ABOVE` and `BELOW`.
    fresh_units : float
        See `FRESH_UNITS`.
    """
    prices = log_prices(market.panel)
    unit = fresh_units * volatility(market.panel) * np.sqrt(bars_in(market.panel, 1))
    bars = {
        side: fresh_reaches(prices, side, np.log(level.near), unit)
        for side, level in standing.items()
    }
    bar = np.concatenate(list(bars.values()))
    side = np.concatenate([np.full(len(found), way) for way, found in bars.items()])
    level = Standing._make(
        np.concatenate(
            [column[bars[way] - 1] for way, column in zip(standing, columns, strict=True)]
        )
        for columns in zip(*standing.values(), strict=True)
    )
    order = np.lexsort((-side, bar))
    return frozen(
        market, bar[order], side[order], Standing._make(column[order] for column in level)
    )


def frozen(
    market: EvidenceMarket, bar: Int64Array1D, side: Int64Array1D, level: Standing
) -> Encounters:
    """Return encounters with what was known at the close before each.

    Parameters
    ----------
    market : EvidenceMarket
    bar, side : ndarray of int64, shape (m,)
    level : Standing
        Of shape (m,) here: the level that each of them reached.
    """
    panel = market.panel
    before = bar - 1
    log_close = np.log(panel.close)
    facts = known_facts(panel)
    one_bar = facts.volatility[before]
    near = np.log(level.near)
    return Encounters(
        bar=bar,
        known_us=panel.close_ts[before],
        day=day_of(panel)[bar],
        side=side,
        **level._asdict(),
        age_hours=_age_hours(market, bar, side, level.peak),
        volatility=one_bar,
        gap=side * (near - log_close[before]) / one_bar,
        distance_4h=side * (near - _earlier(log_close, before, bars_in(panel, 4))),
        distance_24h=side * (near - _earlier(log_close, before, bars_in(panel, 24))),
        width=np.abs(np.log(level.far) - near),
        imbalance_towards=side * market.log_imbalance()[before],
        last_return=side * (log_close[before] - _earlier(log_close, before, 1)) / one_bar,
        facts=Facts._make(fact[before] for fact in facts),
    )


def ladder_of(market: EvidenceMarket, side: int) -> TierLadder:
    """Return the tiers of shorts above (side 1) or of longs below (side -1)."""
    return market.features.above if side == ABOVE else market.features.below


def nearest_tier(ladder: TierLadder, close: Float64Array1D, side: int) -> Standing:
    """Return the nearest tier whose near edge lies beyond each close."""
    near, far = (ladder.lower, ladder.upper) if side == ABOVE else (ladder.upper, ladder.lower)
    beyond = side * (near.astype(np.float64) - close[:, np.newaxis]) > 0.0
    rank = np.where(beyond.any(axis=1), beyond.argmax(axis=1), -1)
    row = np.arange(len(close))

    def column(values: np.ndarray) -> Float64Array1D:
        return np.where(rank >= 0, values[row, rank].astype(np.float64), np.nan)

    return Standing(
        column(near),
        column(far),
        column(ladder.peak),
        column(ladder.notional),
        column(ladder.fuel),
        rank,
    )


def _earlier(log_close: Float64Array1D, before: Int64Array1D, bars: int) -> Float64Array1D:
    at = before - bars
    return np.where(at >= 0, log_close[np.maximum(at, 0)], np.nan)


def _age_hours(
    market: EvidenceMarket, bar: Int64Array1D, side: Int64Array1D, price: Float64Array1D
) -> Float64Array1D:
    age = np.zeros(len(bar), np.int64)
    limit = bars_in(market.panel, _AGE_LIMIT_HOURS)
    for way in (ABOVE, BELOW):
        rows = side == way
        ladder = ladder_of(market, way)
        age[rows] = standing_bars(ladder.lower, ladder.upper, bar[rows], price[rows], limit)
    return np.asarray(age * (market.panel.bar_us / HOUR_US), dtype=np.float64)
