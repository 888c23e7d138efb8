"""What a source of downloads is, and where sources are found.

A source only plans and knows its server's habits. Waiting, retrying, caching and importing are done
for it. See the package's docstring for one written out.
"""

from __future__ import annotations

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from ..errors import InputError
from ..sources._raw import check_packed
from ..sources.parsed import ImportOptions
from .period import Span

if TYPE_CHECKING:
    from .client import Client

GROUP: Final = "liqtiers.sources"
"""The entry point group in which sources are named."""

WHAT: Final = ("bars", "mark", "metrics", "funding", "liquidations", "depth", "map")
"""Kinds of data: mark are mark price bars, metrics open interest and ratios, depth what rests in the order
book by distance, map liquidation maps."""


class Missing(Exception):  # noqa: N818  # an answer, not a fault
    """The server has nothing for a piece: a 404, or an empty answer."""


class Broken(Exception):  # noqa: N818  # what is broken is the answer; it is asked for again
    """What came is not whole or not what was asked for; the piece is tried again.

    Parameters
    ----------
    message : str
    wait : float, optional
        Seconds that the server asks to wait before the next try.
    """

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request.

    Attributes
    ----------
    url : str
    params : mapping of str to str
        Of the query; never a key, which goes into headers.
    body : JSON value
        Sent by POST if given.
    """

    url: str
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One remote file or answer, and how it is read once it is here.

    Attributes
    ----------
    name : str
        Its path in the cache, below the source's folder; a file's reader may look at it.
    what : str
        One of `WHAT`.
    begin, end : datetime
        The stretch of time that it covers, UTC.
    request : Request
    options : ImportOptions
        As for `liqtiers data import`.
    reader : str
        A name in `sources.registry.SOURCES`.
    checksum : Request or None
        A file of ``sha256  filename`` beside it.
    otherwise : tuple of Piece
        What stands in for it where the server does not have it: the days of a month.
    """

    name: str
    what: str
    begin: datetime
    end: datetime
    request: Request
    options: ImportOptions
    reader: str = "auto"
    checksum: Request | None = None
    otherwise: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of data that a source has.

    Attributes
    ----------
    what : str
        One of `WHAT`.
    period : str
        From when to when the server has it.
    delay : str
        How long after the fact it is published.
    limits : str
        What must be known to use it honestly.
    """

    what: str
    period: str
    delay: str
    limits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a user asks of a source.

    Attributes
    ----------
    symbol : str
        As the source names it.
    what : tuple of str
    span : Span
    url : str
        Where the source's server is, without a slash at the end.
    timeframe : str
    market : str
        ``um``, ``cm`` or ``spot``.
    now : datetime
    exchange : str
        Of sources that have several: what follows the colon in ``tardis:bybit``.
    addresses : tuple of str
        Accounts to look at, for a source of positions.
    unit : str
        ``coins`` or ``contracts``, where a source does not say what volume is in; else empty.
    """

    symbol: str
    what: tuple[str, ...]
    span: Span
    url: str
    timeframe: str = "1m"
    market: str = "um"
    now: datetime
    exchange: str = ""
    addresses: tuple[str, ...] = ()
    unit: str = ""

    def days(self) -> Iterator[Span]:
        """Return the days of the period that are over."""
        return (day for day in self.span.days() if day.end <= self.now)

    def months(self) -> Iterator[Span]:
        """Return the months that the period touches."""
        return self.span.months()


class Source(ABC):
    """A server's habits, and the plan of what to ask it for.

    Attributes
    ----------
    name, title : str
        As typed, and as shown.
    url : str
        The server; ``LIQTIERS_<NAME>_URL`` or ``--url`` puts a mirror in its place.
    offers : tuple of Offer
    per_second, parallel : float, int
        Requests a second at most, and how many at once.
    settles : timedelta
        How long after a piece's end the server's word on it is final: a 404 before that is asked again.
    immutable : bool
        Whether what the server has never changes, as in an archive; else an answer from before a piece
        has settled is asked for again.
    key_variable : str
        The environment variable that holds the key; empty where there is none.
    key_needed : bool
        Whether nothing comes without it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    url: ClassVar[str]
    offers: ClassVar[tuple[Offer, ...]]
    per_second: ClassVar[float] = 5.0
    parallel: ClassVar[int] = 4
    settles: ClassVar[timedelta] = timedelta(days=3)
    immutable: ClassVar[bool] = True
    key_variable: ClassVar[str] = ""
    key_needed: ClassVar[bool] = False

    @abstractmethod
    def plan(self, wish: Wish) -> list[Piece]:
        """Return the pieces of a wish, in order of time.

        Raises
        ------
        InputError
            If the source cannot have it; the message says what it has.
        """

    def headers(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry the key; they go to the source's own host alone."""
        return {"Authorization": f"Bearer {key}"}

    def bring(self, piece: Piece, client: Client, to: Path) -> None:
        """Write a piece's content to a file; by default the answer to its request.

        Raises
        ------
        Missing, Broken, DownloadError
        """
        client.save(piece.request, to)

    def check(self, piece: Piece, path: Path) -> None:
        """Look at what came, before it is kept; by default that a zip or gz is whole.

        Raises
        ------
        Missing
            If it says that there is nothing.
        Broken, InputError
            If it is not whole, or harmful.
        """
        if piece.name.endswith((".zip", ".gz")):
            check_packed(path)

    def is_final(self, piece: Piece, now: datetime) -> bool:
        """Return whether what the server has for a piece now will never change."""
        snapshot = piece.begin == piece.end
        return self.immutable or snapshot or self.settled(piece, now)

    def settled(self, piece: Piece, now: datetime) -> bool:
        """Return whether the server would have a piece by now if it ever will."""
        return piece.end + self.settles <= now

    def pause_after(self, headers: Mapping[str, str]) -> float:  # noqa: ARG002  # for sources that count
        """Return the seconds to wait after an answer with these headers; none by default."""
        return 0.0

    def has(self, wish: Wish) -> None:
        """Refuse kinds of data that the source does not offer.

        Raises
        ------
        InputError
        """
        offered = [offer.what for offer in self.offers]
        for what in wish.what:
            if what not in offered:
                raise InputError(
                    f"{self.name} has no {what}: --what can be {', '.join(dict.fromkeys(offered))}"
                )


def source_names() -> list[str]:
    """Return the names of the sources of all installed packages, in order; none is loaded."""
    return sorted({point.name for point in metadata.entry_points(group=GROUP)})


def source_class(name: str) -> type[Source]:
    """Return the source of a name; what other packages' sources do does not matter to it.

    Raises
    ------
    InputError
        If there is none, it cannot be loaded or is no source, or two packages claim the name.
    """
    points = {point.value: point for point in metadata.entry_points(group=GROUP, name=name)}
    if not points:
        raise InputError(f"there is no source {name!r}: use one of {', '.join(source_names())}")
    if len(points) > 1:
        raise InputError(
            f"the source {name} is claimed by {' and '.join(sorted(points))}: remove a package"
        )
    [(value, point)] = points.items()
    try:
        loaded = point.load()
    except Exception as error:  # noqa: BLE001  # another package's code may fail in any way
        raise InputError(f"the source {name} ({value}) cannot be loaded: {error}") from None
    if not (isinstance(loaded, type) and issubclass(loaded, Source)):
        raise InputError(f"the source {name} ({value}) is no subclass of Source")
    return loaded


def load_source(text: str) -> tuple[Source, str]:
    """Return a source by name, and the exchange after a colon.

    Raises
    ------
    InputError
        If there is no such source.
    """
    name, _, exchange = text.partition(":")
    return source_class(name)(), exchange


def url_of(source: Source, option: str | None) -> str:
    """Return where a source's server is: as told, by the environment, or its own address.

    Raises
    ------
    InputError
        If it is no plain http address. One with a password is not taken: messages show addresses.
    """
    variable = f"LIQTIERS_{source.name.upper().replace('-', '_')}_URL"
    url = option or os.environ.get(variable) or source.url
    if "@" in url:
        raise InputError(f"the address of {source.name} must hold no user name or password")
    if not _is_plain(url):
        raise InputError(
            f"the address of {source.name} {url[:80]!r} must begin with https:// and name a host, "
            "without a query"
        )
    return url.rstrip("/")


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return False
    extra = parts.query or parts.fragment or any(c.isspace() for c in url)
    return named and parts.scheme in ("http", "https") and not extra


def json_of(path: Path) -> Any:
    """Return a file's JSON value.

    Raises
    ------
    Broken
        If it is not whole.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Broken(f"the answer is not whole JSON ({error})") from None


def count_of(text: str) -> int | None:
    """Return a header's whole number, or None where it is none that a server means.

    Digits of other alphabets pass `str.isdigit`, and some of them, as too many digits, are no number to
    `int`.
    """
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def closed_windows(wish: Wish, bars: int, step: timedelta) -> Iterator[Span]:
    """Return stretches of so many bars that cover a wish; the last ends where the last bar closed."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    closed = epoch + (wish.now - epoch) // step * step
    for window in wish.span.windows(bars * step):
        end = min(window.end, closed)
        if end > window.begin:
            yield Span(window.begin, end, window.name)


def milliseconds(moment: datetime) -> str:
    """Return a moment in UTC milliseconds, as APIs want it."""
    return str((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
