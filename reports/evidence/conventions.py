"""How much an imbalance depends on what nobody knows: mix, turnover, half-life, window and measure.

Each convention makes another map of the same market, all of them defensible. An imbalance is shown with its
range over them, and one whose sign depends on the convention says nothing.

The share ``(above - below) / (above + below)`` is a monotone function of the log ratio: it has the same sign
and the same ranks, so that choice changes a figure and no judgement; both are given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ...datasets.map_features import Float64Array2D, MapFeatures
from ...datasets.panel import Float64Array1D, Int64Array1D
from ..rank_statistics import rank_correlation
from .map_recipe import MapRecipe
from .market import EvidenceMarket, bars_in, day_of, forward_returns
from .past_only import hourly_rows
from .placebo_maps import without_open_interest

CHURNS: Final = (0.1, 0.3, 1.0)
"""Shares of volume that replace positions, with the prior mix."""
HALF_LIVES_HOURS: Final = (120.0, 240.0, 480.0)
"""Of maps that are made from volume alone."""
WINDOWS: Final = (0.05, 0.10, 0.25, 0.40)
_LEAST_BARS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convention:
    """One way to make and measure the map.

    Attributes
    ----------
    name : str
        How the map is made.
    window : float
        Distance within which the imbalance is taken, a fraction.
    log_ratio, share : ndarray of float64, shape (days,)
        The imbalance at each day's last bar, by both measures; NaN where a side is empty.
    information : float
        Rank correlation of the imbalance with the return over `Conventions.hours`, hourly; NaN with
        fewer than 100 bars.
    """

    name: str
    window: float
    log_ratio: Float64Array1D
    share: Float64Array1D
    information: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conventions:
    """The imbalance by every convention.

    Attributes
    ----------
    ts : ndarray of int64, shape (days,)
        Close of each day's last bar, UTC microseconds.
    rows : tuple of Convention
    lowest, middle, highest : ndarray of float64, shape (days,)
        Of the log ratios of a moment: the least, the median and the largest.
    divided : ndarray of float64, shape (days,)
        Share of the conventions whose sign is the rarer one: 0 where all agree, at most 0.5.
    hours : float
        Horizon of the information coefficients.
    """

    ts: Int64Array1D
    rows: tuple[Convention, ...]
    lowest: Float64Array1D
    middle: Float64Array1D
    highest: Float64Array1D
    divided: Float64Array1D
    hours: float

    @property
    def flips(self) -> float:
        """Share of the days on which not all conventions agree on the sign; NaN without a day."""
        known = self.divided[np.isfinite(self.divided)]
        return float((known > 0.0).mean()) if len(known) else float("nan")

    @property
    def information_range(self) -> tuple[float, float]:
        """Least and largest information coefficient; NaN where none is known."""
        values = np.array([row.information for row in self.rows])
        known = values[np.isfinite(values)]
        if not len(known):
            return float("nan"), float("nan")
        return float(known.min()), float(known.max())


def compare_conventions(
    market: EvidenceMarket, recipe: MapRecipe | None, *, hours: float = 24.0
) -> Conventions:
    """Make and measure the map by every convention.

    Parameters
    ----------
    market : EvidenceMarket
    recipe : MapRecipe or None
        None for an imported map: then only its own windows are compared.
    hours : float
        Horizon of the information coefficients.

    Notes
    -----
    Look-ahead: none in the imbalances; the coefficients judge and are not traded. Volume-only maps differ
    from the others by more than their half-life, see `placebo_maps`.
    """
    day = day_of(market.panel)
    last = np.flatnonzero(np.diff(day, append=day[-1] + 1))
    hourly = hourly_rows(market.panel)
    forward = forward_returns(market.panel, bars_in(market.panel, hours))[hourly]
    rows = [
        _measured(name, features, window, last, hourly, forward)
        for name, features in _maps(market, recipe)
        for window in features.windows
    ]
    logs = np.stack([row.log_ratio for row in rows])
    lowest, middle, highest = _extent(logs)
    return Conventions(
        ts=market.panel.close_ts[last],
        rows=tuple(rows),
        lowest=lowest,
        middle=middle,
        highest=highest,
        divided=_divided(logs),
        hours=hours,
    )


def _maps(market: EvidenceMarket, recipe: MapRecipe | None) -> list[tuple[str, MapFeatures]]:
    if recipe is None:
        return [("imported", market.features)]
    parameters = replace(recipe.parameters, windows=WINDOWS, tiers_kept=1)
    maps = []
    if recipe.calibration is not None:
        fitted = MapRecipe(parameters=parameters, calibration=recipe.calibration)
        maps.append(("fitted mix and churn", fitted.build(market, market.panel).features))
    if market.panel.oi_observed.any():
        for churn in CHURNS:
            prior = MapRecipe(parameters=replace(parameters, churn=churn))
            maps.append((f"prior mix, churn {churn:g}", prior.build(market, market.panel).features))
    volume = without_open_interest(market.panel)
    for half_life in HALF_LIVES_HOURS:
        decaying = MapRecipe(parameters=replace(parameters, half_life_hours=half_life))
        features = decaying.build(market, volume).features
        maps.append((f"volume only, half-life {half_life / 24.0:g} days", features))
    return maps


def _measured(
    name: str,
    features: MapFeatures,
    window: float,
    last: Int64Array1D,
    hourly: Int64Array1D,
    forward: Float64Array1D,
) -> Convention:
    column = features.window_index(window)
    above, below = features.notional_above[:, column], features.notional_below[:, column]
    known = (above > 0.0) & (below > 0.0)
    above, below = np.where(known, above, np.nan), np.where(known, below, np.nan)
    log_ratio = np.log(above / below)
    return Convention(
        name=name,
        window=window,
        log_ratio=log_ratio[last],
        share=((above - below) / (above + below))[last],
        information=_information(log_ratio[hourly], forward),
    )


def _information(imbalance: Float64Array1D, forward: Float64Array1D) -> float:
    known = np.isfinite(imbalance) & np.isfinite(forward)
    if known.sum() < _LEAST_BARS:
        return float("nan")
    return rank_correlation(imbalance[known], forward[known])


def _extent(logs: Float64Array2D) -> tuple[Float64Array1D, Float64Array1D, Float64Array1D]:
    """Return least, median and largest of each moment; NaN where no convention knows it."""
    out = np.full((3, logs.shape[1]), np.nan)
    known = np.isfinite(logs).any(axis=0)
    out[:, known] = np.nanquantile(logs[:, known], [0.0, 0.5, 1.0], axis=0)
    return out[0], out[1], out[2]


def _divided(logs: Float64Array2D) -> Float64Array1D:
    known = np.isfinite(logs).sum(axis=0)
    up = (logs > 0.0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.minimum(up, known - up) / np.where(known > 0, known, np.nan))
