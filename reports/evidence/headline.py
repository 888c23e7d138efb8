"""The headline: what all verdicts together say, with the three skills kept apart.

A map that shows where liquidations happen has said nothing about price: the headline never counts the
first as evidence for the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..formatting import number
from .claims import Skill, hours_words
from .verdicts import (
    AGAINST,
    EVIDENCE,
    NO_EVIDENCE,
    TOO_LITTLE_DATA,
    Outcome,
    Verdict,
    rivals_as_good,
)

_NEARLY: Final = 0.9
"""Share of the map's own effect from which on a weaker map does nearly as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What all verdicts together say.

    Attributes
    ----------
    sentence : str
    where, way, far : Outcome or None
        Of each skill: evidence if any of its claims has it, else against, else what most claims came to, no
        evidence or too little data; None where nothing was looked at.
    """

    sentence: str
    where: Outcome | None
    way: Outcome | None
    far: Outcome | None

    @property
    def predicts_price(self) -> bool:
        """Whether there is evidence that the map says which way or how far price goes."""
        return EVIDENCE in (self.way, self.far)


def headline_of(verdicts: Sequence[Verdict], subject: str) -> Headline:
    """Return the headline over all verdicts.

    Parameters
    ----------
    verdicts : sequence of Verdict
        On all claims that were looked at.
    subject : str
        Market and period, as in "BTCUSDT, 2023-01-01 to 2026-02-10".
    """
    where, way, far = (
        [v for v in verdicts if v.claim.kind.skill == skill] for skill in ("where", "way", "far")
    )
    outcomes: dict[Skill, Outcome | None] = {
        "where": _overall(where),
        "way": _overall(way),
        "far": _overall(far),
    }
    clauses = [_where_clause(where, outcomes["where"]), _price_clause(way, far, outcomes)]
    said = f", {_link(outcomes)} ".join(clause for clause in clauses if clause)
    sentences = [
        f"On {subject}, {said or 'nothing was looked at'}.",
        *_remarks([*way, *far], outcomes),
        *_weaker_maps(where),
    ]
    return Headline(sentence=" ".join(sentences), **outcomes)


def _overall(verdicts: Sequence[Verdict]) -> Outcome | None:
    found = [verdict.outcome for verdict in verdicts]
    # One claim that was looked into is no answer where most could not be.
    mostly_short = 2 * found.count(TOO_LITTLE_DATA) > len(found)
    rest = (TOO_LITTLE_DATA, NO_EVIDENCE) if mostly_short else (NO_EVIDENCE, TOO_LITTLE_DATA)
    return next((outcome for outcome in (EVIDENCE, AGAINST, *rest) if outcome in found), None)


def _where_clause(verdicts: Sequence[Verdict], outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    if outcome != EVIDENCE:
        return {
            AGAINST: "the map points away from where liquidations happen",
            NO_EVIDENCE: "the map does not show where liquidations happen beyond what price moves and "
            "volume show",
            TOO_LITTLE_DATA: "there is too little data to say whether the map shows where liquidations "
            "happen",
        }[outcome]
    # All that were found, not the best of them.
    found = sorted(verdict.claim.effect.value for verdict in _with(verdicts, EVIDENCE))
    shown = dict.fromkeys(number(value) for value in (found[0], found[-1]))
    unit = verdicts[0].claim.unit
    failed = len(verdicts) - len(found)
    part = f"; {failed} of {len(verdicts)} such claims failed" if failed else ""
    return f"the map shows where liquidations happen ({unit} {' to '.join(shown)}{part})"


def _price_clause(
    way: Sequence[Verdict], far: Sequence[Verdict], outcomes: dict[Skill, Outcome | None]
) -> str:
    found = {outcomes["way"], outcomes["far"]} - {None}
    if not found:
        return ""
    if EVIDENCE in found:
        told = [
            f"{what} {_moments(_with(verdicts, EVIDENCE))}"
            for what, verdicts in (("which way price goes", way), ("how far price goes", far))
            if _with(verdicts, EVIDENCE)
        ]
        words = f"the map says {' and '.join(told)}, beyond what price itself had said"
        return words if outcomes["way"] == EVIDENCE else f"{words}, but not which way"
    if AGAINST in found:
        opposite = _moments(_with([*way, *far], AGAINST))
        return f"of what the map promises about price the opposite held {opposite}"
    if NO_EVIDENCE in found:
        return "the map says nothing about where price goes that price itself had not said"
    return "there is too little data to say whether the map says anything about where price goes"


def _remarks(price: Sequence[Verdict], outcomes: dict[Skill, Outcome | None]) -> list[str]:
    """Return what the sentence on price leaves out: claims that failed the other way, or lacked data."""
    against, short = _with(price, AGAINST), _with(price, TOO_LITTLE_DATA)
    found = []
    claimed = _with(price, EVIDENCE)
    if claimed and all(v.claim.effect.value < v.claim.kind.matters for v in claimed):
        found.append("What it says about price is less than would matter to a trader.")
    rivals = dict.fromkeys(name for v in claimed for name in rivals_as_good(v))
    if rivals:
        told = " and ".join(f"“{name}”" for name in rivals)
        found.append(f"Maps that know less ({told}) cannot be told from it there.")
    if against and EVIDENCE in (outcomes["way"], outcomes["far"]):
        found.append(f"The opposite of what it promises held {_moments(against)}.")
    if short and len(short) < len(price):
        found.append(f"Too little data for {len(short)} of {len(price)} claims about price.")
    return found


def _weaker_maps(where: Sequence[Verdict]) -> list[str]:
    """Return which weaker maps show where liquidations happen nearly as well as the map does."""
    found = _with(where, EVIDENCE)
    shared = [
        name
        for name in dict.fromkeys(name for verdict in found for name in verdict.claim.placebo)
        if all(
            name in v.claim.placebo
            and v.claim.placebo[name].value >= _NEARLY * v.claim.effect.value
            for v in found
        )
    ]
    if not found or not shared:
        return []
    told = " and ".join(f"“{name}”" for name in shared)
    return [f"Weaker maps ({told}) show where liquidations happen nearly as well."]


def _moments(verdicts: Sequence[Verdict]) -> str:
    """Return when, as in "by the imbalance (1 hour, 4 hours) and for the breakout rule"."""
    horizons: dict[str, list[str]] = {}
    for verdict in verdicts:
        hours = verdict.claim.horizon_hours
        known = horizons.setdefault(verdict.claim.kind.moment, [])
        known.extend([] if hours is None else [hours_words(hours)])
    words = [f"{m} ({', '.join(h)})" if h else m for m, h in horizons.items()]
    return " and ".join(words)


def _with(verdicts: Sequence[Verdict], outcome: Outcome) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.outcome == outcome]


def _link(outcomes: dict[Skill, Outcome | None]) -> str:
    """Return "and" where both parts are good or neither is, else "but"."""
    located = outcomes["where"] == EVIDENCE
    return "and" if located == (EVIDENCE in (outcomes["way"], outcomes["far"])) else "but"
