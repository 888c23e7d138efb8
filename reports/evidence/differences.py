"""What followed a dense tier minus what followed like levels without one, and whether it is more than chance.

Controls are used more than once, so their noise is shared. For the test each observation counts in the
block of days in which it lies, the controls' in theirs: one lucky control is one witness, however
many tiers are compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from ...datasets.map_features import Float64Array2D
from ...datasets.naming import DAY_US
from ...datasets.panel import Float64Array1D, Int64Array1D
from ._columns import TIME, field, table_of
from ._paths import ACTIVATED, REJECTED, SIGNED_COLUMN, STATE_COLUMN
from .encounters import Encounters
from .inference import DEFAULT_DRAWS, Effect, blocks_of, clustered_mean
from .market import EvidenceMarket, bars_in
from .matching import Matching, covariates_of
from .outcomes import path_after

Adjustment = Literal["regression", "none"]
"""Whether what the covariates' remaining differences explain among the controls is taken out."""


OUTCOMES: Final = ("signed_move", "absolute_move", "activated", "rejected")
"""What is compared: moves in volatility units of the horizon, and shares."""
_MOVES: Final = OUTCOMES[:2]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedDifferences:
    """Encounters and their controls: r encounters, p pairs of an encounter and a control.

    Attributes
    ----------
    horizon_hours : float
    encounter, day : ndarray of int64, shape (r,)
        Row of the encounter, and the UTC day since 1970 in which it was reached.
    pair, control, control_day : ndarray of int64, shape (p,)
        Which of the r encounters the pair is of, row of the control, and the control's day.
    own : dict of str to ndarray of float64, shape (r,)
        Each of `OUTCOMES`. A control is given the width of the tier that it is compared with, in
        volatility units, so that shares compare.
    others : dict of str to ndarray of float64, shape (p,)
        The same of the controls.
    explained, others_explained : dict of str to ndarray of float64
        What the covariates explain of the moves, shapes (r,) and (p,); 0 without adjustment.
    """

    horizon_hours: float
    encounter: Int64Array1D
    day: Int64Array1D
    pair: Int64Array1D
    control: Int64Array1D
    control_day: Int64Array1D
    own: dict[str, Float64Array1D]
    others: dict[str, Float64Array1D]
    explained: dict[str, Float64Array1D]
    others_explained: dict[str, Float64Array1D]

    def __len__(self) -> int:
        return len(self.encounter)

    def controls_mean(self, outcome: str) -> Float64Array1D:
        """Return the plain mean over each encounter's controls, shape (r,)."""
        total = np.bincount(self.pair, self._weight() * self.others[outcome], len(self))
        return np.asarray(total, dtype=np.float64)

    def differences(self, outcome: str) -> Float64Array1D:
        """Return each encounter minus the mean of its controls, adjusted, shape (r,)."""
        rest = self._weight() * (self.others[outcome] - self.others_explained[outcome])
        own = self.own[outcome] - self.explained[outcome]
        return np.asarray(own - np.bincount(self.pair, rest, len(self)))

    def scores(self, outcome: str) -> tuple[Float64Array1D, Int64Array1D]:
        """Return values whose mean is that of the differences, and the blocks of days they belong to.

        Notes
        -----
        A value is an encounter's own, less an equal part of what the controls in its block contribute;
        a block that has controls alone adds a row. See the module's docstring for why.
        """
        days = np.concatenate([self.day, self.control_day])
        block = blocks_of(days, self.horizon_hours / 24.0)
        own_block, control_block = block[: len(self)], block[len(self) :]
        rest = self.others[outcome] - self.others_explained[outcome]
        # What is ordinary is no witness: without it, how many lie in a block would be noise.
        ordinary = float(self._weight() @ rest) / max(len(self), 1)
        rest = self._weight() * (rest - ordinary)
        blocks = int(block.max(initial=-1)) + 1
        taken = np.bincount(control_block, rest, blocks)
        held = np.bincount(own_block, minlength=blocks)
        own = self.own[outcome] - self.explained[outcome] - ordinary
        alone = np.flatnonzero((held == 0) & (np.bincount(control_block, minlength=blocks) > 0))
        values = np.concatenate([own - taken[own_block] / held[own_block], -taken[alone]])
        return values * (len(values) / max(len(self), 1)), np.concatenate([own_block, alone])

    def _weight(self) -> Float64Array1D:
        return 1.0 / np.bincount(self.pair, minlength=len(self))[self.pair]

    def to_table(self) -> pa.Table:
        """Return a row for each encounter."""
        columns = [self.encounter, np.full(len(self), self.horizon_hours), self.day * DAY_US]
        for outcome in OUTCOMES:
            columns += [
                self.own[outcome],
                self.controls_mean(outcome),
                self.differences(outcome),
            ]
        return table_of(_FIELDS, columns)


def _outcome_fields(outcome: str) -> list[pa.Field]:
    unit = "volatility units" if outcome in _MOVES else "share"
    kind = pa.float64()
    return [
        field(outcome, kind, unit, "of the encounter"),
        field(f"{outcome}_controls", kind, unit, "mean of its controls"),
        field(f"{outcome}_difference", kind, unit, "the one minus the other, adjusted"),
    ]


_FIELDS: Final = (
    field("encounter", pa.int64(), "count", "row of the encounter"),
    field("horizon_hours", pa.float64(), "hours", "horizon of the outcome"),
    field("day", TIME, "UTC", "day in which the tier was reached"),
    *(column for outcome in OUTCOMES for column in _outcome_fields(outcome)),
)


def matched_differences(
    market: EvidenceMarket,
    encounters: Encounters,
    controls: Encounters,
    matching: Matching,
    *,
    adjustment: Adjustment = "regression",
) -> MatchedDifferences:
    """Return each matched encounter's outcome next to those of its controls.

    Parameters
    ----------
    market : EvidenceMarket
    encounters, controls : Encounters
    matching : Matching
        Of these encounters and controls.
    adjustment : {"regression", "none"}
        With regression, all controls' moves are regressed on the covariates, and what differences of
        covariates that are left explain is taken off.

    References
    ----------
    Abadie, A. & Imbens, G. W. (2011). Bias-corrected matching estimators for average treatment
    effects. Journal of Business & Economic Statistics 29, 1-11, doi:10.1198/jbes.2009.07333
    """
    bars = bars_in(market.panel, matching.horizon_hours)
    rows = matching.matched
    pair, place = np.nonzero(matching.control[rows] >= 0)
    of = matching.control[rows][pair, place]
    matched, paired = encounters.where(rows), controls.where(of)
    # A control is as deep as the tier is, next to what was ordinary then.
    width = matched.width[pair] / matched.volatility[pair] * paired.volatility
    log_far = np.log(paired.near) + paired.side * width
    own = _outcomes(path_after(market.panel, matched, np.log(matched.far), bars))
    others = _outcomes(path_after(market.panel, paired, log_far, bars))
    explained, others_explained = (
        {outcome: np.zeros(len(x)) for outcome in OUTCOMES} for x in (matched, paired)
    )
    if adjustment == "regression" and len(of):
        slopes = _slopes(market, controls, bars)
        for x, parts in ((matched, explained), (paired, others_explained)):
            design = np.column_stack(covariates_of(market, x))
            parts.update({outcome: design @ slope for outcome, slope in slopes.items()})
    return MatchedDifferences(
        horizon_hours=matching.horizon_hours,
        encounter=rows,
        day=matched.day,
        pair=pair,
        control=of,
        control_day=paired.day,
        own=own,
        others=others,
        explained=explained,
        others_explained=others_explained,
    )


def matched_effect(
    differences: MatchedDifferences,
    outcome: str,
    *,
    rng: np.random.Generator,
    draws: int = DEFAULT_DRAWS,
) -> Effect:
    """Return the mean difference between encounters and their controls, tested against 0.

    Parameters
    ----------
    differences : MatchedDifferences
    outcome : str
        One of `OUTCOMES`.
    rng : numpy.random.Generator
    draws : int

    Notes
    -----
    `n` counts encounters, and `clusters` the blocks of days in which they lie.
    """
    values, block = differences.scores(outcome)
    effect = clustered_mean(values, block, rng=rng, draws=draws)
    return replace(effect, n=len(differences), clusters=len(np.unique(block[: len(differences)])))


def _outcomes(path: Float64Array2D) -> dict[str, Float64Array1D]:
    signed, state = path[:, SIGNED_COLUMN], path[:, STATE_COLUMN]
    columns = (
        signed,
        np.abs(signed),
        (state == ACTIVATED).astype(np.float64),
        (state == REJECTED).astype(np.float64),
    )
    return dict(zip(OUTCOMES, columns, strict=True))


def _slopes(market: EvidenceMarket, controls: Encounters, bars: int) -> dict[str, Float64Array1D]:
    """Return the least-squares slopes of the controls' moves on the covariates."""
    path = path_after(market.panel, controls, np.log(controls.far), bars)
    design = np.column_stack([*covariates_of(market, controls), np.ones(len(controls))])
    outcomes = _outcomes(path)
    known = np.isfinite(design).all(axis=1) & np.isfinite(outcomes[OUTCOMES[0]])
    moves = np.column_stack([outcomes[move][known] for move in _MOVES])
    slopes = np.linalg.lstsq(design[known], moves, rcond=None)[0][:-1]
    return {move: slopes[:, k].astype(np.float64) for k, move in enumerate(_MOVES)}
