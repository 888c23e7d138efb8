"""A stored series as users name it: ``venue:symbol`` or ``venue:symbol:timeframe``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import InputError
from .lake import Series


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
            f"series {text!r} is not venue:symbol or venue:symbol:timeframe, "
            "for example binance:BTCUSDT"
        )
    return SeriesName(*parts)


def stored_name(name: SeriesName, table: str, stored: Sequence[Series]) -> SeriesName:
    """Return the name if it is stored.

    Raises
    ------
    InputError
        If the table has no such series; the message says what it has.
    """
    found = [s for s in stored if (s.venue, s.symbol) == (name.venue, name.symbol)]
    if name.timeframe is not None:
        found = [s for s in found if s.timeframe == name.timeframe]
    if not found:
        known = sorted({f"{s.venue}:{s.symbol}" for s in stored})
        raise InputError(
            f"the lake has no {table} of {name}; it has {', '.join(known) if known else 'none'}"
        )
    return name
