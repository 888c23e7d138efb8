"""Every kind of finding: what it is called, when it is serious, and what a backtest does about it.

The consequences restate what ``panel_query``, ``_panel_joins`` and the map do; whoever changes those
changes these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ..naming import DAY_US
from .finding import Finding, Hit

_FEW: Final = 0.01
"""Share of rows up to which a fault that is spread over a series is minor."""
_HARDLY_ANY: Final = 0.001

Rule = Callable[[Hit, int], bool]


def _always(_hit: Hit, _rows: int) -> bool:
    return True


def _never(_hit: Hit, _rows: int) -> bool:
    return False


def _more_than(share: float) -> Rule:
    return lambda hit, rows: hit.count > share * max(rows, 1)


def _long_or_many(hit: Hit, rows: int) -> bool:
    """For kinds that measure `worst` in microseconds."""
    return hit.worst >= DAY_US or hit.count > _FEW * max(rows, 1)


def _at_least(worst: float) -> Rule:
    return lambda hit, _rows: hit.worst >= worst


def _lasting(days: float) -> Rule:
    return lambda hit, _rows: hit.worst >= days * DAY_US


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    Attributes
    ----------
    title, unit : str
        What it is, and what is counted.
    consequence : str
        What a backtest does about it.
    serious : Rule
        Whether a hit on so many rows is serious.
    """

    title: str
    unit: str
    consequence: str
    serious: Rule


_SHIFT: Final = (
    "Nothing corrects it: every join is by the stored times, so a late clock hides what was known and "
    "an early one looks into the future. Import again with the right times."
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "missing bars": Kind(
            "bars are missing",
            "bars",
            "No bar is invented: indicators and the map go on from the last bar, a position is held across "
            "the gap and its stop is filled at the next open; the run's notes count the gaps.",
            _long_or_many,
        ),
        "missing mark bars": Kind(
            "mark-price bars are missing",
            "bars",
            "Trade prices trigger liquidations in bars without a mark price; the run's notes count them.",
            _never,
        ),
        "repeated bars": Kind(
            "bars repeat the one before in price and volume",
            "bars",
            "They count as trading: fills are possible and volatility is understated in them.",
            _more_than(_HARDLY_ANY),
        ),
        "no trade": Kind(
            "stretches without volume",
            "bars",
            "A market order in them is filled at the open all the same, and charged the cap on slippage; "
            "the median hourly volume, in which fuel is measured, counts them as they are.",
            _lasting(0.25),
        ),
        "price spike": Kind(
            "the close leaps and comes straight back",
            "bars",
            "It is taken for a price: stops and targets are filled at it, tiers count as swept.",
            _at_least(0.1),
        ),
        "close far from mark": Kind(
            "closes far from the mark price",
            "bars",
            "Orders are filled at trade prices and liquidations triggered by the mark price: between the "
            "two nobody arbitrates.",
            _more_than(_HARDLY_ANY),
        ),
        "wick beyond mark": Kind(
            "wicks far beyond the mark price's range",
            "bars",
            "Stops and limit orders are filled in the wick; the map's tiers and the position's own "
            "liquidation, which go by the mark price, are not touched.",
            _never,
        ),
        "timeframes disagree": Kind(
            "bars differ from those made of a finer series",
            "bars",
            "The coarsest series that divides the timeframe asked for is used, so a result depends on "
            "which of the two is stored.",
            _more_than(_HARDLY_ANY),
        ),
        "quote volume": Kind(
            "traded value does not fit quantity and price",
            "bars",
            "Fuel and slippage, which go by traded value, are wrong in proportion.",
            _more_than(_FEW),
        ),
        "taker volume": Kind(
            "takers bought more than was traded",
            "bars",
            "The panel's taker share is above 1 there; our own map and rules do not use it, a feature of "
            "yours may.",
            _more_than(_HARDLY_ANY),
        ),
        "clock shift": Kind("fits the price best at another time", "rows", _SHIFT, _always),
        "missing open interest": Kind(
            "open interest is missing",
            "observations",
            "The last level stands for three steps or a day, whichever is longer; after that the next "
            "series named takes over, or the level is kept and the run's notes count the stale bars. What "
            "opened and closed meanwhile falls on one bar.",
            _lasting(1.0),
        ),
        "repeated open interest": Kind(
            "open interest stands still",
            "observations",
            "It is taken for no change: the map opens no positions but by turnover, and all that was "
            "missed falls on the first bar that moves.",
            _long_or_many,
        ),
        "open interest jump": Kind(
            "open interest leaps",
            "observations",
            "The map opens or closes that share of its book within one bar's range.",
            _never,
        ),
        "open interest spike": Kind(
            "open interest leaps and comes straight back",
            "observations",
            "The map closes and opens that share of its book: tiers lose their age and move to the price "
            "of that bar.",
            _always,
        ),
        "open interest unit": Kind(
            "open interest in coins and in money do not fit the price",
            "observations",
            "The coins are used where both are given; contracts taken for coins make every tier's notional "
            "wrong by that factor.",
            _more_than(_FEW),
        ),
        "missing funding": Kind(
            "settlements are missing",
            "settlements",
            "No funding is charged for them; the last rate stands for three intervals or a day, whichever "
            "is longer.",
            _long_or_many,
        ),
        "funding twice": Kind(
            "settlements closer together than half their interval",
            "settlements",
            "Both are charged.",
            _always,
        ),
        "funding outlier": Kind(
            "rates above 1 % an interval",
            "settlements",
            "They are charged as they are.",
            _more_than(_FEW),
        ),
        "funding in percent": Kind(
            "the usual rate is that of percents taken for fractions",
            "settlements",
            "It is charged as it is, a hundred times too much if these are percents: import again with the "
            "right unit.",
            _always,
        ),
        "funding off the hour": Kind(
            "settlements off the full hour",
            "settlements",
            "Each is charged in the bar in which it is stamped, to the second.",
            _more_than(_FEW),
        ),
        "funding interval": Kind(
            "the interval stated is not the time between settlements",
            "settlements",
            "Rates are charged when they settled, whatever the interval says; where rates are compared a "
            "year at a time they are off.",
            _more_than(_FEW),
        ),
        "silence": Kind(
            "no liquidation for more than a day",
            "days",
            "After a day (or a bar of the series, if longer) without rows, liquidations count as unknown "
            "and not as none: the map is not fitted there.",
            _never,
        ),
        "zero liquidations": Kind(
            "a day or more of zeros on both sides",
            "rows",
            "They are taken for nothing having been liquidated, and the map's mix is fitted to that. If "
            "they mean that nobody looked, take these days out before importing.",
            _lasting(3.0),
        ),
        "repeated liquidations": Kind(
            "sums repeat the one before",
            "rows",
            "Each counts.",
            _more_than(_HARDLY_ANY),
        ),
        "liquidation off price": Kind(
            "liquidations outside of the bar's range",
            "rows",
            "Only their value and time are used, so the map's fit is not moved by the price; it hints at "
            "another clock or another instrument.",
            _more_than(0.05),
        ),
        "liquidations above volume": Kind(
            "more liquidated than the venue traded",
            "rows",
            "They are used as they are: the unit or the venue is likely another.",
            _more_than(_HARDLY_ANY),
        ),
        "equal liquidations": Kind(
            "orders that equal another one of their moment",
            "rows",
            "All count: archives repeat rows, but equal orders do happen.",
            _more_than(0.2),
        ),
        "missing positioning": Kind(
            "ratios are missing",
            "observations",
            "The last stands for three steps or a day, whichever is longer; then they are unknown. Our own "
            "map and rules do not use them, a feature of yours may.",
            _never,
        ),
        "repeated positioning": Kind(
            "ratios stand still", "observations", "They are taken for no change.", _never
        ),
        "missing maps": Kind(
            "snapshots of the map are missing",
            "snapshots",
            "The last one stands until the next.",
            _lasting(1.0),
        ),
        "repeated maps": Kind(
            "snapshots equal the one before",
            "snapshots",
            "They are taken for a map that did not change.",
            _long_or_many,
        ),
        "missing depth": Kind(
            "stretches of 5 minutes without a snapshot of the order book",
            "stretches",
            "Fills in them are not held against the order book; a study of capacity counts those that were.",
            _never,
        ),
        "repeated depth": Kind(
            "snapshots of the order book equal the one before",
            "snapshots",
            "They are taken for a book that did not change.",
            _long_or_many,
        ),
        "depth falls": Kind(
            "less rests within a distance than within a smaller one",
            "rows",
            "That distance is left out: an order walks on to the next one, and costs more.",
            _more_than(_FEW),
        ),
        "duplicates": Kind(
            "rows of one key are stored twice",
            "rows",
            "They count twice: the lake never writes such a file. Move it away and import its source again.",
            _always,
        ),
        "set aside": Kind(
            "rows were set aside when they were imported",
            "rows",
            "They are not in the lake and nothing stands in for them; `liqtiers data describe` has the "
            "reasons.",
            _more_than(_FEW),
        ),
    }
)
"""Kinds by name."""


def judged(hit: Hit, rows: int, *, observed: int) -> Finding:
    """Return what a hit means.

    Parameters
    ----------
    hit : Hit
    rows : int
        Of the series.
    observed : int
        Rows, or snapshots, that are there: what is missing is missing of these and itself.
    """
    kind = KINDS[hit.kind]
    of = observed + hit.count if hit.kind.startswith("missing ") else rows
    return Finding(
        kind=hit.kind,
        severity="serious" if kind.serious(hit, rows) else "minor",
        title=kind.title,
        count=hit.count,
        of=of,
        unit=kind.unit,
        first_us=hit.first_us,
        last_us=hit.last_us,
        example=hit.example,
        consequence=kind.consequence,
    )
