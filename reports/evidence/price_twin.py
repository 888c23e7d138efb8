"""The price-only twin: what a map would show that knew price and nothing else.

An open-interest-conserving map's imbalance follows price over its moving average, and recent extremes are
where stops and breakouts are. So the twin's imbalance is price over its three-day average, brought to the
scale of the map's own past, and its tiers begin at the highs and lows of recent days, as wide and as full
as the map's tiers have been so far. The same rule can trade both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from ...datasets.map_features import (
    Float32Array2D,
    Float64Array2D,
    MapFeatures,
    TierLadder,
)
from ...datasets.panel import Float64Array1D, Panel
from .market import EvidenceMarket, bars_in, known_facts
from .past_only import Fit, weekly_fits

EXTREME_DAYS: Final = (1, 3, 7, 30)
"""Tiers begin at the highs and lows of so many days."""
_LEAST_KNOWN: Final = 24


def price_only_twin(market: EvidenceMarket) -> MapFeatures:
    """Return the map of somebody who knows price, and how maps have looked so far.

    Parameters
    ----------
    market : EvidenceMarket

    Returns
    -------
    MapFeatures
        Of the shape of the market's own. Predicted liquidations and the book are NaN: price alone has none.

    Notes
    -----
    Look-ahead: row t uses bars up to t; how imbalance, width and fuel are scaled comes from the fits of
    `weekly_fits`, and nothing is known before the first.
    """
    panel, features = market.panel, market.features
    driver = known_facts(panel).over_average_72h
    unknown = np.full(len(panel), np.nan)
    logs = [_log(features.imbalance[:, k]) for k in range(len(features.windows))]
    matched = np.exp(np.column_stack([matched_to(panel, driver, log) for log in logs]))
    total = _typical_total(market)
    above = total * (matched / (1.0 + matched))
    width, fuel = _typical_tier(market)
    ladders = [_ladder(market, side, width=width, fuel=fuel) for side in (1, -1)]
    return replace(
        features,
        notional_above=above,
        notional_below=total - above,
        imbalance=matched,
        above=ladders[0],
        below=ladders[1],
        predicted_short_liquidations=unknown,
        predicted_long_liquidations=unknown,
        book_short=unknown,
        book_long=unknown,
    )


def matched_to(panel: Panel, driver: Float64Array1D, target: Float64Array1D) -> Float64Array1D:
    """Return a monotone function of `driver` that has been distributed as `target` was, shape (n,).

    Rising or falling by the sign of their past correlation. Each value is the quantile of the target's past
    that the driver's value is of the driver's; NaN before the first fit and where the driver is not known.
    """
    matched = np.full(len(panel), np.nan)
    for fit in weekly_fits(panel):
        known = fit.past[np.isfinite(driver[fit.past]) & np.isfinite(target[fit.past])]
        if len(known) < _LEAST_KNOWN:
            continue
        old, wanted = driver[known], target[known]
        direction = 1.0 if _covariance(old, wanted) >= 0.0 else -1.0
        matched[fit.start : fit.stop] = np.interp(
            direction * driver[fit.start : fit.stop], np.sort(direction * old), np.sort(wanted)
        )
    return matched


def _covariance(first: Float64Array1D, second: Float64Array1D) -> float:
    return float((first - first.mean()) @ (second - second.mean()))


def _log(imbalance: Float64Array1D) -> Float64Array1D:
    known = np.isfinite(imbalance) & (imbalance > 0.0)
    return np.where(known, np.log(np.where(known, imbalance, 1.0)), np.nan)


def _typical_total(market: EvidenceMarket) -> Float64Array2D:
    """Return what usually lies within each window, both sides, at today's volume, shape (n, W)."""
    features = market.features
    volume = features.hourly_quote_volume[:, np.newaxis]
    hours = (features.notional_above + features.notional_below) / volume
    typical = np.full(hours.shape, np.nan)
    for fit in weekly_fits(market.panel):
        typical[fit.start : fit.stop] = [_median(column) for column in hours[fit.past].T]
    return typical * volume


def _typical_tier(market: EvidenceMarket) -> tuple[Float64Array1D, Float64Array1D]:
    """Return how wide, in log price, and how full the nearest tiers have been, each shape (n,)."""
    sides = (market.features.above, market.features.below)
    bars = len(market.panel)
    width, fuel = np.full(bars, np.nan), np.full(bars, np.nan)

    def past(fit: Fit, values: Float32Array2D) -> Float64Array1D:
        return np.asarray(values[fit.past, 0], dtype=np.float64)

    for fit in weekly_fits(market.panel):
        now = slice(fit.start, fit.stop)
        width[now] = _median(
            np.concatenate(
                [np.log(past(fit, side.upper) / past(fit, side.lower)) for side in sides]
            )
        )
        fuel[now] = _median(np.concatenate([past(fit, side.fuel) for side in sides]))
    return width, fuel


def _median(values: Float64Array1D) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _ladder(
    market: EvidenceMarket, side: int, *, width: Float64Array1D, fuel: Float64Array1D
) -> TierLadder:
    """Return the tiers that begin at recent extremes beyond the close; `side` is 1 above, -1 below."""
    panel = market.panel
    kept = market.features.above.lower.shape[1]
    price = panel.high if side > 0 else panel.low
    near = np.full((len(panel), kept), np.nan)
    count = np.zeros(len(panel), dtype=np.int64)
    # A tier may begin where the one before it ends.
    reached = side * np.log(panel.close)
    for days in EXTREME_DAYS:
        extreme = side * np.log(_extreme(price, bars_in(panel, 24.0 * days), side))
        rows = np.flatnonzero(np.isfinite(width) & (extreme > reached) & (count < kept))
        near[rows, count[rows]] = extreme[rows]
        reached[rows] = extreme[rows] + width[rows]
        count[rows] += 1
    far = near + width[:, np.newaxis]
    edges = np.exp(side * np.stack([near, far]))
    full = np.where(np.isfinite(near), fuel[:, np.newaxis], np.nan)
    return TierLadder(
        lower=edges.min(axis=0).astype(np.float32),
        upper=edges.max(axis=0).astype(np.float32),
        peak=np.sqrt(edges[0] * edges[1]).astype(np.float32),
        notional=(full * market.features.hourly_quote_volume[:, np.newaxis]).astype(np.float32),
        fuel=full.astype(np.float32),
    )


def _extreme(price: Float64Array1D, bars: int, side: int) -> Float64Array1D:
    rolling = pd.Series(price).rolling(bars)
    return np.asarray(rolling.max() if side > 0 else rolling.min(), dtype=np.float64)
