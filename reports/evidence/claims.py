"""The claims that can be made for a liquidation map, and what each would mean.

Three skills are kept apart: where liquidations happen, which way price goes, and how far. The first
is not about price: a map can have it and be worthless to trade on. What would matter is set here,
before any data are seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

import numpy as np

from ...datasets.errors import InputError
from .inference import LEVEL, POWER, Effect, holm, minimum_detectable_effect
from .robustness import Robustness

Skill = Literal["where", "way", "far"]
MIRRORED: Final = "mirrored"
SHIFTED: Final = "shifted"
PRICE_ALONE: Final = "price alone"
RECENT_EXTREMES: Final = "recent extremes"
DECIDING_PLACEBOS: Final = (MIRRORED, SHIFTED, PRICE_ALONE)
"""Maps in which a real effect must vanish: a claim that is not clearly better than on them is not made."""


class ClaimKind(NamedTuple):
    """What a claim says and in which unit.

    `statement` completes "evidence that …", with ``{within}`` for its horizon and ``{side}`` for the
    side of the book; `moment` completes "which way price goes …"; an effect times `scale` is in `unit`;
    `matters` is the smallest effect worth finding, before `scale`.
    """

    skill: Skill
    statement: str
    moment: str
    unit: str
    matters: float
    scale: float = 1.0


CLAIM_KINDS: Final[Mapping[str, ClaimKind]] = {
    "where": ClaimKind(
        "where",
        "the map shows where {side}liquidations happen, beyond what price moves and volume show",
        "",
        "partial rank correlation",
        0.05,
    ),
    "way": ClaimKind(
        "way",
        "price that reaches a dense tier runs on in the tier's direction{within}, more than at like "
        "levels without a tier",
        "after it reached a dense tier",
        "ordinary moves of that horizon",
        0.2,
    ),
    "far": ClaimKind(
        "far",
        "price that reaches a dense tier moves farther{within}, whichever way, than at like levels "
        "without a tier",
        "after it reached a dense tier",
        "ordinary moves of that horizon",
        0.2,
    ),
    "flow": ClaimKind(
        "way",
        "price goes on{within} in the direction of the liquidations that it has just set off on the map",
        "after it set off liquidations",
        "partial rank correlation",
        0.05,
    ),
    "imbalance": ClaimKind(
        "way",
        "price tends{within} to the side on which the map holds more, beyond what price itself tells",
        "by the imbalance",
        "rank correlation beyond surrogate paths",
        0.05,
    ),
    "break": ClaimKind(
        "way",
        "price runs on{within} from a tier that it reached the more the map leans to that side",
        "by the imbalance at a tier that it reached",
        "partial rank correlation",
        0.05,
    ),
    "rule": ClaimKind(
        "way",
        "the breakout rule earns more on the map than the same rule on price alone, net of costs",
        "for the breakout rule",
        "basis points a day",
        5e-4,
        1e4,
    ),
}
"""An effect of 0.2 ordinary moves, or a rank correlation of 0.05, is small but could pay; 5 basis points
a day are 18 % a year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing that could be claimed, with what the data say of it.

    Attributes
    ----------
    name : str
        One of `CLAIM_KINDS`.
    horizon_hours : float or None
        None where the claim has no horizon.
    statement : str
        What is claimed, as a clause: completes "evidence that …".
    unit : str
    effect : Effect
        Positive in the direction of the statement.
    robust : Robustness
    placebo : dict of str to Effect
        The same statistic on placebo maps, by their names.
    beyond : dict of str to Effect
        The effect less that of each placebo map, tested by the same blocks of days.
    p_corrected : float
        After Holm's correction for all that was looked at; see `corrected`.
    looks : int
        How many claims were corrected together.
    veto : str
        Why it is not made however large its effect is; empty if nothing forbids it.
    """

    name: str
    horizon_hours: float | None
    statement: str
    unit: str
    effect: Effect
    robust: Robustness
    placebo: Mapping[str, Effect] = field(default_factory=dict)
    beyond: Mapping[str, Effect] = field(default_factory=dict)
    p_corrected: float = float("nan")
    looks: int = 0
    veto: str = ""

    def __post_init__(self) -> None:
        if self.name not in CLAIM_KINDS:
            raise InputError(
                f"no claim is called {self.name!r}: it is one of {', '.join(CLAIM_KINDS)}"
            )

    @property
    def kind(self) -> ClaimKind:
        """What such a claim says."""
        return CLAIM_KINDS[self.name]

    @property
    def detectable(self) -> float:
        """The effect that would have been found in 80 % of such samples in spite of the correction."""
        alone = minimum_detectable_effect(1.0)
        together = minimum_detectable_effect(1.0, LEVEL / max(self.looks, 1), POWER)
        return self.effect.mde * together / alone


def claim_of(
    name: str,
    horizon_hours: float | None,
    effect: Effect,
    robust: Robustness,
    placebo: Mapping[str, Effect] | None = None,
    beyond: Mapping[str, Effect] | None = None,
    *,
    side: str = "",
) -> Claim:
    """Return a claim in its usual words.

    Parameters
    ----------
    name : str
        One of `CLAIM_KINDS`.
    horizon_hours : float or None
    effect : Effect
        In the kind's own unit before its scale (a daily return as a fraction).
    robust : Robustness
    placebo, beyond : dict of str to Effect, optional
        Of the same placebo maps, see `Claim`.
    side : str
        ``short`` or ``long``, for claims about one side of the book.

    Raises
    ------
    InputError
        If no claim has such a name.
    """
    if name not in CLAIM_KINDS:
        raise InputError(f"no claim is called {name!r}: it is one of {', '.join(CLAIM_KINDS)}")
    kind = CLAIM_KINDS[name]
    return Claim(
        name=name,
        horizon_hours=horizon_hours,
        statement=kind.statement.format(
            within="" if horizon_hours is None else f" within {hours_words(horizon_hours)}",
            side=f"{side} " if side else "",
        ),
        unit=kind.unit,
        effect=effect,
        robust=robust,
        placebo=placebo or {},
        beyond=beyond or {},
    )


def corrected(claims: Sequence[Claim]) -> list[Claim]:
    """Return claims with p-values corrected for all of them, in the same order.

    Notes
    -----
    Give everything that was looked at, at all horizons, not only what is to be shown.
    """
    raw = np.array([claim.effect.p for claim in claims])
    looks = int(np.isfinite(raw).sum())
    return [
        replace(claim, p_corrected=float(p), looks=looks)
        for claim, p in zip(claims, holm(raw), strict=True)
    ]


def hours_words(hours: float) -> str:
    """Return a horizon in words.

    Examples
    --------
    >>> hours_words(1), hours_words(24), hours_words(0.25)
    ('1 hour', '24 hours', '15 minutes')
    """
    if hours < 1.0:
        return f"{60.0 * hours:g} minutes"
    return "1 hour" if hours == 1.0 else f"{hours:g} hours"
