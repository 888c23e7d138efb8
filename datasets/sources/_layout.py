"""A layout: the columns by which a table is recognised and the function that reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ..errors import InputError
from ._cells import as_texts, texts_of
from ._names import check_own_symbol, same_instrument, symbol_in_name
from ._raw import RawTable
from .parsed import ImportOptions, Parsed

# Whole words: neither a "market" nor a user called Mark makes a price a mark price.
_HINTS: Final = re.compile(
    r"(?<![a-z])(oi|open_interest|funding|mark)(?:rate|[_-]?price)?(?:klines)?(?![a-z])"
)

_ASKED: Final = MappingProxyType(
    {
        "open_interest": frozenset({"oi"}),
        "funding": frozenset({"funding"}),
        "mark_bars": frozenset({"mark"}),
    }
)

Reader = Callable[[RawTable, ImportOptions], list[Parsed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A known shape of a table.

    Attributes
    ----------
    source : str
        Whose it is, as named on the command line.
    name : str
        What it is, for messages.
    required : frozenset of str
        Columns that must be there.
    read : callable
        Turns the raw table into canonical ones.
    excluded : frozenset of str
        Columns that must not be there.
    hint : str
        A word that the name of the file, or else of its folder, must hold, where columns alone do
        not tell.
    """

    source: str
    name: str
    required: frozenset[str]
    read: Reader
    excluded: frozenset[str] = frozenset()
    hint: str = ""

    def fits(self, raw: RawTable, table: str | None = None) -> bool:
        """Return whether a table has this shape; the table asked for tells where no name does."""
        hints = hints_of(raw) or _ASKED.get(table or "", frozenset())
        return (
            self.required <= raw.columns
            and not (self.excluded & raw.columns)
            and (not self.hint or self.hint in hints)
        )


def hints_of(raw: RawTable) -> frozenset[str]:
    """Return the words for a kind of data in the name of a file, or else of its folder."""
    for name in (raw.path.name, raw.path.parent.name):
        words = re.sub("open[ -]?interest", "open_interest", name.lower())
        if found := frozenset(_HINTS.findall(words)):
            return found
    return frozenset()


def venue_of(raw: RawTable, options: ImportOptions, default: str | None = None) -> str:
    """Return the venue that the user gave, or the source's own.

    Raises
    ------
    InputError
        If neither is known.
    """
    venue = options.venue or default
    if venue is None:
        raise InputError(f"{raw.path}: the file does not say its venue; give --venue")
    return venue


def by_venue(raw: RawTable, options: ImportOptions, column: str) -> list[tuple[str, RawTable]]:
    """Return the rows of each venue that a column names: of the one asked for, or of all.

    Raises
    ------
    InputError
        If the file lacks the venue asked for.
    """
    venues = texts_of(raw, column)
    names = sorted(venues.unique())
    if options.venue is not None and options.venue not in names:
        if column == "venue" or len(names) != 1:
            raise InputError(f"{raw.path}: has no {options.venue}, only {', '.join(names)[:200]}")
        return [(options.venue, raw)]  # a recorder's name for a venue may be given ours
    kept = names if options.venue is None else [options.venue]
    return [(venue, raw.where((venues == venue).to_numpy())) for venue in kept]


def by_symbol(raw: RawTable, options: ImportOptions) -> list[tuple[str, RawTable]]:
    """Return the rows of each symbol that a file names: of the one asked for, or of all.

    A file of one symbol may be given another name for the same instrument.

    Raises
    ------
    InputError
        If the file lacks the symbol asked for.
    """
    column = next(name for name in ("symbol", "coin") if name in raw.columns)
    symbols = texts_of(raw, column)
    wanted = sorted(symbols.unique())
    if options.symbol is not None and options.symbol not in wanted:
        if column == "coin" or len(wanted) != 1 or not same_instrument(options.symbol, wanted[0]):
            names = ", ".join(wanted)
            raise InputError(f"{raw.path}: has no {options.symbol}, only {names[:200]}")
        return [(options.symbol, raw)]
    kept = wanted if options.symbol is None else [options.symbol]
    return [(symbol, raw.where((symbols == symbol).to_numpy())) for symbol in kept]


def own_name(raw: RawTable, column: str) -> str:
    """Return the name in a column of one venue or symbol, as the file writes it."""
    return str(as_texts(raw.frame[column].iloc[:1]).iloc[0]).strip()


def symbol_of(raw: RawTable, options: ImportOptions, default: str | None = None) -> str:
    """Return the symbol that the user gave, or the file's own.

    Raises
    ------
    InputError
        If neither is known, or they are of two instruments.
    """
    if options.symbol is not None and default is not None:
        check_own_symbol(raw.path, options.symbol, default)
    symbol = options.symbol or default or symbol_in_name(raw.path)
    if symbol is None:
        raise InputError(f"{raw.path}: the file does not say its symbol; give --symbol")
    return symbol
