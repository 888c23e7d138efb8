"""Each encounter against levels without a tier that were alike when price reached them.

Reaching a level is itself informative: price jumps over it, and moves that went on get further than
others. So what follows a tier says something only next to what follows another level that was reached
from as far, as quickly, in a market as volatile. Controls are the nearest by what everyone knew before.

A control must not be chosen by its own outcome. One that was crossed just before a tier was reached
is known to have gone on: it led there. So controls near in time are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...datasets.map_features import Float64Array2D
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D
from ._columns import field, table_of
from ._paths import SIGNED_COLUMN
from .encounters import ABOVE, BELOW, Encounters
from .market import EvidenceMarket, bars_in
from .outcomes import path_after

Int64Array2D = NDArray[np.int64]

NEIGHBOURS: Final = 25
CALIPER: Final = 1.0
"""The furthest control: root mean square of the weighted, standardised differences."""
APART_HOURS: Final = 24
"""A control lies at least so long, and the horizon on top, before or after its encounter."""
_LOOKED_AT: Final = 8
"""Crossings looked at for each neighbour wanted, since the nearest are often near in time."""


class Covariates(NamedTuple):
    """What encounters and controls are compared by; all of shape (m,), signed in the level's direction.

    Returns and distances are over the volatility of so many hours, `gap` and `last_return` over that of
    a bar.
    """

    gap: Float64Array1D
    last_return: Float64Array1D
    return_1h: Float64Array1D
    return_4h: Float64Array1D
    return_24h: Float64Array1D
    over_average_72h: Float64Array1D
    log_volatility: Float64Array1D
    hour_sine: Float64Array1D
    hour_cosine: Float64Array1D
    week_sine: Float64Array1D
    week_cosine: Float64Array1D
    funding: Float64Array1D


WEIGHTS: Final = Covariates(*[1.0] * 7, *[0.5] * 5)  # type: ignore[arg-type]  # numbers, one each
"""Of each covariate in the distance: what price did counts more than when it was."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matching:
    """Which controls each encounter is compared with, and how alike they are.

    Attributes
    ----------
    horizon_hours : float
    control : ndarray of int64, shape (m, k)
        Rows of the controls, the nearest first; -1 where there are fewer.
    unmatched : int
        Encounters without any control alike enough, and far enough in time.
    unknown : int
        Encounters whose horizon has not ended or has bars missing, or of which a covariate is unknown.
    before, after : Covariates of float
        Mean of the encounters minus that of the controls, in standard deviations: of all controls, and
        of those matched.
    """

    horizon_hours: float
    control: Int64Array2D
    unmatched: int
    unknown: int
    before: Covariates
    after: Covariates

    @property
    def matched(self) -> Int64Array1D:
        """Rows of the encounters that have controls."""
        return (
            np.flatnonzero(self.control[:, 0] >= 0) if self.control.size else np.zeros(0, np.int64)
        )

    def to_table(self) -> pa.Table:
        """Return the balance: a row for each covariate."""
        return table_of(
            _BALANCE_FIELDS,
            [
                list(Covariates._fields),
                [float(x) for x in self.before],
                [float(x) for x in self.after],
            ],
        )


_BALANCE_FIELDS: Final = (
    field("covariate", pa.string(), "name", "what encounters and controls are compared by"),
    field("before", pa.float64(), "standard deviations", "encounters minus all controls"),
    field("after", pa.float64(), "standard deviations", "encounters minus their matched controls"),
)


def covariates_of(market: EvidenceMarket, encounters: Encounters) -> Covariates:
    """Return what encounters are compared by, known at the close before each."""
    facts = encounters.facts

    def scaled(values: Float64Array1D, hours: int) -> Float64Array1D:
        ordinary = encounters.volatility * np.sqrt(bars_in(market.panel, hours))
        return np.asarray(encounters.side * values / ordinary)

    return Covariates(
        gap=encounters.gap,
        last_return=encounters.last_return,
        return_1h=scaled(facts.return_1h, 1),
        return_4h=scaled(facts.return_4h, 4),
        return_24h=scaled(facts.return_24h, 24),
        over_average_72h=scaled(facts.over_average_72h, 72),
        log_volatility=np.log(encounters.volatility),
        hour_sine=facts.hour_sine,
        hour_cosine=facts.hour_cosine,
        week_sine=facts.week_sine,
        week_cosine=facts.week_cosine,
        funding=encounters.side * facts.funding,
    )


def match(
    market: EvidenceMarket,
    encounters: Encounters,
    controls: Encounters,
    hours: float,
    *,
    neighbours: int = NEIGHBOURS,
    caliper: float = CALIPER,
    apart_hours: float = APART_HOURS,
) -> Matching:
    """Find for each encounter the controls that were most alike, with replacement.

    Parameters
    ----------
    market : EvidenceMarket
    encounters, controls : Encounters
    hours : float
        The horizon of the outcomes that will be compared.
    neighbours : int
        Controls wanted for each encounter.
    caliper : float
        The furthest that counts, see `CALIPER`.
    apart_hours : float
        See `APART_HOURS`.

    Notes
    -----
    Only encounters and controls whose outcome is known take part; outcomes are not read otherwise.
    """
    bars = bars_in(market.panel, hours)
    own, own_known = _design(market, encounters, bars)
    other, other_known = _design(market, controls, bars)
    chosen = np.full((len(encounters), neighbours), -1, np.int64)
    scale = _spread(other[other_known]) / np.array(WEIGHTS)
    reach = caliper * float(np.sqrt(np.square(WEIGHTS).sum()))
    apart = bars + bars_in(market.panel, apart_hours)
    for side in (ABOVE, BELOW):
        rows = np.flatnonzero(own_known & (encounters.side == side))
        pool = np.flatnonzero(other_known & (controls.side == side))
        if len(rows) == 0 or len(pool) == 0:
            continue
        wanted = np.arange(1, min(len(pool), neighbours * _LOOKED_AT) + 1)
        distance, place = cKDTree(other[pool] / scale).query(own[rows] / scale, k=wanted)
        found = pool[place]
        away = np.abs(controls.bar[found] - encounters.bar[rows][:, np.newaxis]) > apart
        allowed = away & (distance <= reach)
        first = np.argsort(~allowed, axis=1, kind="stable")[:, :neighbours]
        kept = np.where(
            np.take_along_axis(allowed, first, axis=1), np.take_along_axis(found, first, axis=1), -1
        )
        chosen[rows, : kept.shape[1]] = kept
    unknown = int((~own_known).sum())
    return Matching(
        horizon_hours=hours,
        control=chosen,
        unmatched=int((chosen[:, 0] < 0).sum()) - unknown if neighbours else 0,
        unknown=unknown,
        before=_balance(own[own_known], other[other_known], other[other_known]),
        after=_balance(*_paired_means(own, other, chosen), other[other_known]),
    )


def _design(
    market: EvidenceMarket, encounters: Encounters, bars: int
) -> tuple[Float64Array2D, BoolArray1D]:
    """Return the covariates, shape (m, V), and whether they and the outcome are known."""
    values = np.column_stack(covariates_of(market, encounters))
    path = path_after(market.panel, encounters, np.log(encounters.far), bars)
    return values, np.isfinite(values).all(axis=1) & np.isfinite(path[:, SIGNED_COLUMN])


def _spread(values: Float64Array2D) -> Float64Array1D:
    """Return the standard deviations of columns; 1 for one that does not vary."""
    if len(values) == 0:
        return np.ones(values.shape[1])
    spread = values.std(axis=0)
    return np.where(spread > 0.0, spread, 1.0)


def _paired_means(
    own: Float64Array2D, other: Float64Array2D, chosen: Int64Array2D
) -> tuple[Float64Array2D, Float64Array2D]:
    """Return the covariates of matched encounters, and the means of those of their controls."""
    has = chosen[:, 0] >= 0
    kept = chosen[has]
    weight = (kept >= 0) / np.maximum((kept >= 0).sum(axis=1), 1)[:, np.newaxis]
    return own[has], np.einsum("rk,rkv->rv", weight, np.nan_to_num(other[kept]))


def _balance(own: Float64Array2D, others: Float64Array2D, pool: Float64Array2D) -> Covariates:
    """Return the standardised differences of the means; NaN where there is nothing to compare."""
    if len(own) == 0 or len(others) == 0:
        return Covariates(*np.full(len(Covariates._fields), np.nan))
    return Covariates(*((own.mean(axis=0) - others.mean(axis=0)) / _spread(pool)))
