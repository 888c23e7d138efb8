"""Verdicts: what may be said of a claim, in one sentence that a trader understands.

"No evidence" is said where an effect that matters would have been found and was not; "too little data"
where it could have been missed. An effect that is significant after correction is still not claimed if it
turns around in half of the data or without its three best days, or if it is not clearly larger than on a
placebo map. What only weakens a claim is said with it as a reservation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from ...datasets.errors import InputError
from ..formatting import number
from .claims import DECIDING_PLACEBOS, Claim, corrected
from .inference import LEVEL, Effect

FEWEST_OBSERVATIONS: Final = 30
FEWEST_CLUSTERS: Final = 20


class Outcome(StrEnum):
    """What may be said of a claim."""

    EVIDENCE = "evidence"
    NO_EVIDENCE = "no evidence"
    TOO_LITTLE_DATA = "too little data"
    AGAINST = "against"


EVIDENCE: Final = Outcome.EVIDENCE
NO_EVIDENCE: Final = Outcome.NO_EVIDENCE
TOO_LITTLE_DATA: Final = Outcome.TOO_LITTLE_DATA
AGAINST: Final = Outcome.AGAINST


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be said of a claim.

    Attributes
    ----------
    claim : Claim
    outcome : Outcome
    sentence : str
        All of it: outcome, effect, interval, p-values, data, power, reasons and reservations.
    reasons : tuple of str
        Why a significant effect is not claimed after all.
    reservations : tuple of str
        What weakens a claim that is made.
    """

    claim: Claim
    outcome: Outcome
    sentence: str
    reasons: tuple[str, ...] = ()
    reservations: tuple[str, ...] = ()


def verdicts_of(claims: Sequence[Claim]) -> list[Verdict]:
    """Return the verdict on each of all claims that were looked at, corrected together.

    Parameters
    ----------
    claims : sequence of Claim
        At all horizons; what is left out here is not corrected for.
    """
    return [verdict_of(claim) for claim in corrected(claims)]


def verdict_of(claim: Claim) -> Verdict:
    """Return the verdict on a claim whose p-value was corrected.

    Parameters
    ----------
    claim : Claim
        As `corrected` returns it.

    Raises
    ------
    InputError
        If the p-value was not corrected.
    """
    if claim.effect.known and not np.isfinite(claim.p_corrected):
        raise InputError(
            f"the claim {claim.name!r} has no corrected p-value: use corrected() first"
        )
    if _too_few(claim.effect):
        outcome = TOO_LITTLE_DATA
    elif claim.p_corrected < LEVEL:
        outcome = EVIDENCE if claim.effect.value > 0.0 else AGAINST
    else:
        enough = claim.detectable <= claim.kind.matters
        outcome = NO_EVIDENCE if enough else TOO_LITTLE_DATA
    reasons: tuple[str, ...] = ()
    reservations: tuple[str, ...] = ()
    if outcome in (EVIDENCE, AGAINST):
        reasons, reservations = _reasons(claim), _reservations(claim)
        outcome = NO_EVIDENCE if reasons else outcome
    return Verdict(
        claim=claim,
        outcome=outcome,
        sentence=_sentence(claim, outcome, reasons, reservations),
        reasons=reasons,
        reservations=() if reasons else reservations,
    )


def with_support(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Return a market's verdicts, the rule's withdrawn where no other claim on the way of price stands.

    A rule on extremes and distances of price may beat the twin in a market in which the map moves nothing:
    alone it is no evidence that the map knew anything.
    """
    supported = any(
        v.outcome == EVIDENCE and v.claim.kind.skill == "way" and v.claim.name != "rule"
        for v in verdicts
    )
    if supported:
        return tuple(verdicts)
    alone = "no other claim on the way of price stands beside it, and another rule on price alone might do it"
    return tuple(
        verdict_of(replace(v.claim, veto=alone))
        if v.claim.name == "rule" and v.outcome == EVIDENCE
        else v
        for v in verdicts
    )


def effect_words(claim: Claim, effect: Effect | None = None) -> str:
    """Return an effect with its interval and unit, with the digits that its uncertainty allows."""
    shown = claim.effect if effect is None else effect
    if not np.isfinite(shown.value):
        return "no effect can be computed"
    words = f"{_figure(claim, shown.value)} {claim.unit}"
    if not shown.known:
        return words
    return f"{words} (95 % interval {_figure(claim, shown.low)} to {_figure(claim, shown.high)})"


def p_words(p: float) -> str:
    """Return a p-value.

    Examples
    --------
    >>> p_words(0.0004), p_words(0.0312), p_words(0.5)
    ('below 0.001', '0.031', '0.50')
    """
    if not np.isfinite(p):
        return "unknown"
    if p < 0.001:
        return "below 0.001"
    return number(p, 3 if p < 0.1 else 2)


def _too_few(effect: Effect) -> bool:
    return not effect.known or effect.n < FEWEST_OBSERVATIONS or effect.clusters < FEWEST_CLUSTERS


def _reasons(claim: Claim) -> tuple[str, ...]:
    """Return why a significant effect is not claimed: a part turns around, or a placebo does as well."""
    sign = np.sign(claim.effect.value)
    found = []
    for name, effect in _parts(claim).items():
        if not np.isfinite(effect.value):
            found.append(f"it cannot be computed {name}")
        elif sign * effect.value <= 0.0:
            found.append(f"it does not hold {name} ({_figure(claim, effect.value)})")
    if claim.veto and sign > 0.0:
        found.append(claim.veto)
    return (*found, *_placebos_as_good(claim, deciding=True))


def _reservations(claim: Claim) -> tuple[str, ...]:
    found = [
        f"not significant by itself {name} (p {p_words(effect.p)})"
        for name, effect in _parts(claim).items()
        if not effect.p < LEVEL
    ]
    found += [
        f"it could not be compared with the {name} map"
        for name in DECIDING_PLACEBOS
        if name in claim.beyond and not claim.beyond[name].known
    ]
    return (*found, *_placebos_as_good(claim, deciding=False))


def _parts(claim: Claim) -> dict[str, Effect]:
    return {
        "in the first half of the data": claim.robust.first_half,
        "in the second half of the data": claim.robust.second_half,
        "without its three best days": claim.robust.without_best,
    }


def _placebos_as_good(claim: Claim, *, deciding: bool) -> list[str]:
    return [
        f"{told} on a placebo map ({name}: {_figure(claim, claim.placebo[name].value)})"
        for name in claim.beyond
        if (name in DECIDING_PLACEBOS) == deciding and (told := _as_good(claim, name))
    ]


def rivals_as_good(verdict: Verdict) -> list[str]:
    """Return the weaker maps from which a claim that is made cannot be told."""
    claim = verdict.claim
    return [n for n in claim.beyond if n not in DECIDING_PLACEBOS and _as_good(claim, n)]


def _as_good(claim: Claim, name: str) -> str:
    """Return in words that the effect does not exceed a placebo's; empty where it does, or is unknown.

    One-sided at 5 %: an effect that vanishes on the placebo has to be told from it.
    """
    beyond, sign = claim.beyond[name], np.sign(claim.effect.value)
    if sign * beyond.value <= 0.0:
        return "it is as large"
    if beyond.p / 2.0 >= LEVEL:
        return f"it is not clearly larger (p {p_words(beyond.p / 2.0)}) than"
    return ""


def _sentence(
    claim: Claim, outcome: Outcome, reasons: tuple[str, ...], reservations: tuple[str, ...]
) -> str:
    statement = claim.statement
    openings = {
        EVIDENCE: f"Evidence that {statement}",
        NO_EVIDENCE: f"No evidence that {statement}",
        TOO_LITTLE_DATA: f"Too little data to say whether {statement}",
        AGAINST: f"The data speak against the claim that {statement}",
    }
    words = [f"{openings[outcome]}: {_figures(claim)}", _power(claim, outcome)]
    if reasons:
        words.append(f"the effect is significant, but {_joined(reasons)}")
    elif reservations:
        words.append(f"with reservations: {_joined(reservations)}")
    return "; ".join(word for word in words if word) + "."


def _figures(claim: Claim) -> str:
    effect = claim.effect
    data = f"{effect.n:,} observations in {effect.clusters:,} {_clusters(claim)}"
    if not effect.known:
        return f"{effect_words(claim)}, {data}"
    return (
        f"{effect_words(claim)}, p {p_words(effect.p)} alone and {p_words(claim.p_corrected)} corrected "
        f"for {claim.looks} {'claim' if claim.looks == 1 else 'claims'}, {data}"
    )


def _clusters(claim: Claim) -> str:
    days = max(int(np.ceil((claim.horizon_hours or 0.0) / 12.0)), 1)
    return "days" if days == 1 else f"blocks of {days} days"


def _power(claim: Claim, outcome: Outcome) -> str:
    if outcome == TOO_LITTLE_DATA and _too_few(claim.effect):
        return (
            f"a verdict needs {FEWEST_OBSERVATIONS} observations and {FEWEST_CLUSTERS} "
            f"{_clusters(claim)}"
        )
    if not np.isfinite(claim.detectable):
        return ""
    mde = _figure(claim, claim.detectable, sign="")
    if outcome == TOO_LITTLE_DATA:
        return (
            f"only an effect of {mde} or more would have been found in 4 of 5 such samples, and one of "
            f"{_figure(claim, claim.kind.matters, sign='')} would matter"
        )
    return f"an effect of {mde} would have been found in 4 of 5 such samples"


def _figure(claim: Claim, value: float, *, sign: str = "+") -> str:
    """Return a value in the claim's unit, with two digits of what the data leave uncertain."""
    scale = claim.kind.scale
    uncertain = scale * (claim.effect.high - claim.effect.low) / 2.0
    places = 1 - int(np.floor(np.log10(uncertain))) if 0.0 < uncertain < np.inf else 3
    places = min(max(places, 0), 6)
    if not np.isfinite(value):
        return "unbounded" if np.isinf(value) else "unknown"
    return f"{round(scale * value, places) + 0.0:{sign},.{places}f}"


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]
