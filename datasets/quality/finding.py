"""A finding: what was seen in a series, how often, when, and what a backtest does about it.

Checks look at one stretch of a series after another and give `Hit`s; hits of one kind are added up,
and the kind (``kinds``) says what they mean and from when on they are serious.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["serious", "minor"]
"""Serious: a result can be wrong without showing it. Minor: it is handled, but should be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something seen in one stretch of a series.

    Attributes
    ----------
    kind : str
        A name in `kinds.KINDS`.
    count : int
        How often; what is counted is the kind's `unit`.
    first_us, last_us : int
        When first and last, UTC microseconds.
    example : str
        The worst case in words.
    worst : float
        How bad that is, as the kind measures it; the worse of two hits lends its example.
    """

    kind: str
    count: int
    first_us: int
    last_us: int
    example: str
    worst: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with a series, of one kind.

    Attributes
    ----------
    kind : str
    severity : Severity
    title : str
        What it is, in a few words.
    count, of : int
        How often, and of how many rows of the series.
    unit : str
        What is counted.
    first_us, last_us : int
        When first and last, UTC microseconds.
    example : str
        The worst case.
    consequence : str
        What a backtest does about it.
    """

    kind: str
    severity: Severity
    title: str
    count: int
    of: int
    unit: str
    first_us: int
    last_us: int
    example: str
    consequence: str


def merged(hits: Iterable[Hit]) -> list[Hit]:
    """Return one hit a kind, in order of kinds first seen."""
    found: dict[str, Hit] = {}
    for hit in hits:
        before = found.get(hit.kind)
        found[hit.kind] = hit if before is None else _added(before, hit)
    return list(found.values())


def _added(one: Hit, other: Hit) -> Hit:
    worse = other if other.worst > one.worst else one
    return replace(
        worse,
        count=one.count + other.count,
        first_us=min(one.first_us, other.first_us),
        last_us=max(one.last_us, other.last_us),
    )
