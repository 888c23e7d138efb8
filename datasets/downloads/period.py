"""Days and months of a period, as archives cut them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ..errors import InputError

_DATE: Final = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, from `begin` (with it) to `end` (without it), UTC, and its name in an archive."""

    begin: datetime
    end: datetime
    name: str

    def days(self) -> Iterator[Span]:
        """Return the days in it, in order; the first begins at midnight."""
        day = self.begin.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < self.end:
            yield Span(day, day + _DAY, f"{day:%Y-%m-%d}")
            day += _DAY

    def months(self) -> Iterator[Span]:
        """Return the months that it touches, in order, each whole."""
        month = self.begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        while month < self.end:
            after = _next_month(month)
            yield Span(month, after, f"{month:%Y-%m}")
            month = after

    def windows(self, length: timedelta) -> Iterator[Span]:
        """Return stretches of one length that cover it; they begin at multiples of it since 1970."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        begin = epoch + (self.begin - epoch) // length * length
        while begin < self.end:
            yield Span(begin, begin + length, f"{begin:%Y-%m-%dT%H%M}")
            begin += length


def parse_span(begin: str, end: str | None, *, now: datetime) -> Span:
    """Return the stretch from one date or month to another, both with it, at most to now.

    Raises
    ------
    InputError
        If one is no date or month, or they are in the wrong order.

    Examples
    --------
    >>> span = parse_span("2021-12", "2022-01", now=datetime(2024, 1, 1, tzinfo=UTC))
    >>> f"{span.begin:%Y-%m-%d} {span.end:%Y-%m-%d}"
    '2021-12-01 2022-02-01'
    """
    first, _ = _edges(begin, "--from")
    last = now if end is None else min(_edges(end, "--to")[1], now)
    if first >= last:
        raise InputError(
            f"--from {begin} to --to {end or 'now'} holds no time: the first must come before the "
            f"second and before now"
        )
    return Span(first, last, "")


def _edges(text: str, option: str) -> tuple[datetime, datetime]:
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError  # noqa: TRY301  # one message for both
        first = datetime(int(match[1]), int(match[2]), int(match[3] or 1), tzinfo=UTC)
    except ValueError:
        raise InputError(
            f"{option} {text!r} is no month or day: write 2024-01 or 2024-01-31"
        ) from None
    return first, first + _DAY if match[3] else _next_month(first)


def _next_month(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)
