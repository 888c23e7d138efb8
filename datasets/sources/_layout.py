"""A layout: the columns by which a table is recognised and the function that reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError
from ._raw import RawTable
from .parsed import ImportOptions, Parsed

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
        A text that the file's name or path must contain, where columns alone do not tell.
    """

    source: str
    name: str
    required: frozenset[str]
    read: Reader
    excluded: frozenset[str] = frozenset()
    hint: str = ""

    def fits(self, raw: RawTable) -> bool:
        """Return whether a table has this shape."""
        return (
            self.required <= raw.columns
            and not (self.excluded & raw.columns)
            and self.hint in str(raw.path).lower()
        )


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


def symbol_of(raw: RawTable, options: ImportOptions, default: str | None = None) -> str:
    """Return the symbol that the user gave, or the file's own.

    Raises
    ------
    InputError
        If neither is known.
    """
    symbol = options.symbol or default
    if symbol is None:
        raise InputError(f"{raw.path}: the file does not say its symbol; give --symbol")
    return symbol
