"""Kinds of times, as they could be told at each close: where an effect holds, and where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ...datasets.panel import BoolArray1D, Panel
from .market import Facts, day_of
from .past_only import past_group

_TERCILES: Final = ("calm", "usual", "wild")
_SATURDAY: Final = 2
"""1970 began on a Thursday."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regime:
    """One kind of times.

    Attributes
    ----------
    kind, label : str
        For example ``volatility`` and ``calm``.
    bars : ndarray of bool, shape (n,)
        The bars whose close belongs to it.
    """

    kind: str
    label: str
    bars: BoolArray1D


def regimes_of(panel: Panel, facts: Facts) -> tuple[Regime, ...]:
    """Return the regimes of a panel, the same ones whatever way price went.

    Notes
    -----
    Look-ahead: row t uses bars up to t. Volatility is calm, usual or wild by the thirds of its own past
    (see `past_only`), the trend is price over its average of 168 hours.
    """
    year = (panel.close_ts - 1).astype("datetime64[us]").astype("datetime64[Y]").astype(
        np.int64
    ) + 1970
    group = past_group(panel, facts.volatility, len(_TERCILES))
    weekend = (day_of(panel) - _SATURDAY) % 7 < 2
    found = {
        **{("year", str(each)): year == each for each in np.unique(year)},
        **{("volatility", label): group == k for k, label in enumerate(_TERCILES)},
        ("trend", "up"): facts.over_average_168h > 0.0,
        ("trend", "down"): facts.over_average_168h <= 0.0,
        ("funding", "longs pay"): panel.funding_rate > 0.0,
        ("funding", "shorts pay"): panel.funding_rate < 0.0,
        ("week", "working days"): ~weekend,
        ("week", "weekend"): weekend,
    }
    return tuple(Regime(kind=kind, label=label, bars=bars) for (kind, label), bars in found.items())
