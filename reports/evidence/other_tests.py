"""The raw information coefficient by two tests that need no surrogate paths: what a sceptic would try first.

Neither knows that an imbalance is made of past prices: they ask whether the coefficient differs from 0, not
whether price alone explains it. No verdict rests on them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.stats import rankdata

from ...datasets.naming import HOUR_US
from ...datasets.panel import Float64Array1D, Int64Array1D
from .imbalance_statistics import horizons_of
from .market import HORIZON_HOURS, EvidenceMarket, bars_in, day_of, forward_returns
from .past_only import hourly_rows
from .resampling import circular_shift_p, stationary_bootstrap_interval

_DRAWS: Final = 499


class OtherTest(NamedTuple):
    """A rank correlation of imbalance and forward return, and what two other tests say of it.

    `low` and `high` are the 95 % interval of the stationary bootstrap, in blocks of twice the horizon and
    at least a day on average; `shift_p` is the two-sided p-value of circular shifts by whole days.
    """

    hours: float
    value: float
    low: float
    high: float
    shift_p: float


def other_tests(market: EvidenceMarket, *, rng: np.random.Generator) -> tuple[OtherTest, ...]:
    """Return the raw information coefficient at each horizon of the claims, once an hour, tested otherwise.

    Parameters
    ----------
    market : EvidenceMarket
    rng : numpy.random.Generator

    Notes
    -----
    Look-ahead: the imbalance is known at the bar's close; ranks are those of the whole sample, as in any
    rank correlation. Ranks are not taken anew within a draw.
    """
    panel = market.panel
    rows = hourly_rows(panel)
    imbalance, day = market.log_imbalance()[rows], day_of(panel)[rows]
    found = []
    for hours in horizons_of(panel, HORIZON_HOURS):
        outcome = forward_returns(panel, bars_in(panel, hours))[rows]
        known = np.isfinite(imbalance) & np.isfinite(outcome)
        first, second = (_standardised(c[known]) for c in (imbalance, outcome))
        block = max(2.0 * hours, 24.0) * HOUR_US / max(panel.bar_us, HOUR_US)
        found.append(_tested(first, second, day[known], hours=hours, block=block, rng=rng))
    return tuple(found)


def _tested(
    first: Float64Array1D,
    second: Float64Array1D,
    day: Int64Array1D,
    *,
    hours: float,
    block: float,
    rng: np.random.Generator,
) -> OtherTest:
    def drawn(rows: Int64Array1D) -> float:
        a, b = first[rows], second[rows]
        spread = a.std() * b.std()
        return float(((a @ b) / len(rows) - a.mean() * b.mean()) / spread) if spread > 0 else np.nan

    def shifted(rows: Int64Array1D) -> float:
        return float(first[rows] @ second) / max(len(second), 1)

    if not (first.any() and second.any()):
        return OtherTest(hours, 0.0, 0.0, 0.0, 1.0)
    low, high = stationary_bootstrap_interval(drawn, len(first), rng=rng, block=block, draws=_DRAWS)
    p = circular_shift_p(shifted, day, rng=rng, draws=_DRAWS)
    return OtherTest(hours, shifted(np.arange(len(first))), low, high, p)


def _standardised(values: Float64Array1D) -> Float64Array1D:
    ranks = rankdata(values)
    spread = float(ranks.std()) if len(ranks) else 0.0
    return (ranks - ranks.mean()) / spread if spread > 0.0 else np.zeros(len(ranks))
