"""What a source is: a name, what it offers, and a plan of what to fetch for a symbol and a span of days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import metadata
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, runtime_checkable

from ..errors import InputError
from ..sources.parsed import ImportOptions

GROUP: Final = "liqtiers.sources"
"""The entry points by which sources are known."""


class Offer(NamedTuple):
    """One kind of data that a source has.

    `what` is how it is asked for; `since` and `until` are ISO days as far as they are known, None where the
    source does not end (or begin) at a fixed day; `note` is what a reader must know of it.
    """

    what: str
    since: str | None
    until: str | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user wants.

    Attributes
    ----------
    symbol : str
    what : tuple of str
        Kinds of data, of those that the source offers.
    first, last : date
        UTC days, both included.
    timeframe : str
        Of bars.
    market : str
        Which of a source's markets, ``um``, ``cm`` or ``spot``.
    """

    symbol: str
    what: tuple[str, ...]
    first: date
    last: date
    timeframe: str = "1m"
    market: str = "um"

    def days(self) -> Iterator[date]:
        """Yield each day."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One file to fetch.

    Attributes
    ----------
    url : str
    name : str
        Its path in the cache, below the source's folder.
    what : str
    first, last : date
        The days that it holds.
    options : ImportOptions
        What the import is told about it.
    checksum_url : str or None
        Of a file whose first word is the SHA-256 of this one.
    headers : mapping of str to str
        Sent with the request, such as a key; never shown or stored.
    instead : tuple of Remote
        What holds the same where this file does not exist, such as the days of a month.
    settled_days : int
        So many days after `last` a file that does not exist will not come any more.
    """

    url: str
    name: str
    what: str
    first: date
    last: date
    options: ImportOptions
    checksum_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    instead: tuple[Remote, ...] = ()
    settled_days: int = 7


@runtime_checkable
class Source(Protocol):
    """Where data come from."""

    name: str
    offers: tuple[Offer, ...]

    def plan(self, request: Request) -> list[Remote]:
        """Return what to fetch, in order of time.

        Raises
        ------
        InputError
            If the source cannot serve the request, or a key is missing.
        """


def known_sources() -> dict[str, metadata.EntryPoint]:
    """Return the sources that are registered in this environment, by name."""
    return {entry.name: entry for entry in metadata.entry_points(group=GROUP)}


def source_named(name: str) -> Source:
    """Return a source.

    Raises
    ------
    InputError
        If none has that name, or it cannot be loaded.
    """
    known = known_sources()
    if name not in known:
        raise InputError(f"there is no source {name!r}: it is one of {', '.join(sorted(known))}")
    try:
        source = known[name].load()()
    except Exception as error:
        raise InputError(
            f"the source {name!r} ({known[name].value}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(source, Source):
        raise InputError(f"the source {name!r} ({known[name].value}) has no name, offers or plan()")
    return source


def check_asked(source: Source, request: Request) -> None:
    """Refuse kinds of data that a source does not have, and spans that it cannot have.

    Raises
    ------
    InputError
    """
    offered = {offer.what for offer in source.offers}
    wrong = [what for what in request.what if what not in offered]
    if wrong:
        raise InputError(
            f"{source.name} has no {wrong[0]}: --what may name {', '.join(sorted(offered))}"
        )
    if request.last < request.first:
        raise InputError(f"--to {request.last} lies before --from {request.first}")
