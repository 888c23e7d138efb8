"""What a comparison of runs comes to, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .formatting import is_known, percent

_PLACES: Final = 4
"""Results that read the same on the page, to 0.01 %, are told as the same."""


def sentence_of(found: dict[str, Any]) -> str:
    """Return what the comparison comes to; `found` is what `compare_runs` gives.

    Notes
    -----
    A result that is not known (None or NaN) is neither the best nor held against the others. That a best
    result is partly luck is said only where one stands out.
    """
    values = next(row["values"] for row in found["figures"] if row["name"] == "net_return")
    results = ", ".join(percent(v) for v in values)
    count = len(found["differing"])
    settings = f"{count} {'setting differs' if count == 1 else 'settings differ'}"
    standing, stands_out = _standing(values)
    luck = (
        " Picked from several, a best result is partly luck: liqtiers tune says how much."
        if stands_out
        else ""
    )
    return f"{standing} ({results} net); {settings}.{luck}"


def _standing(values: Sequence[float | None]) -> tuple[str, bool]:
    """Return which runs did best and how, and whether any stands out."""
    known = {
        place: round(value, _PLACES)
        for place, value in enumerate(values, start=1)
        if value is not None and is_known(value)
    }
    if not known:
        return "No run's result is known", False
    best = max(known.values())
    if len(known) == 1:
        return f"Only the result of run {next(iter(known))} is known: it {_alone(best)}", False
    leaders = [place for place, value in known.items() if value == best]
    others = [value for value in known.values() if value != best]
    name = f"run{'s' if len(leaders) > 1 else ''} {_listed(leaders)}"
    if len(known) == len(values):
        who = f"{name.capitalize()} of {len(values)}"
    else:
        who = f"Of the {len(known)} runs whose result is known, {name}"
    return f"{who} {_ahead(best, others, tied=len(leaders) > 1)}", bool(others)


def _alone(value: float) -> str:
    if value == 0.0:
        return "neither gained nor lost"
    return "gained" if value > 0.0 else "lost"


def _ahead(best: float, others: Sequence[float], *, tied: bool) -> str:
    """Return what those did that no other beat, seen beside the others, which are below them."""
    if not others:
        return f"{_alone(best)} the same" if best else _alone(best)
    alike = ", alike" if tied else ""
    if best < 0.0:
        return f"lost least{alike}"
    if best == 0.0:
        return f"{_alone(best)}, and {'every other' if len(others) > 1 else 'the other'} lost"
    if max(others) > 0.0:
        return f"gained most{alike}"
    return f"gained{alike}, and {'no other did' if len(others) > 1 else 'the other did not'}"


def _listed(places: Sequence[int]) -> str:
    *most, last = map(str, places)
    return f"{', '.join(most)} and {last}" if most else last
