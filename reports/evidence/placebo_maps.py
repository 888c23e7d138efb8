"""Maps that cannot know where liquidations are: what is found on them as well was not found by the map.

| map | what it is | what it keeps |
|---|---|---|
| mirrored | distances above and below price swapped at each moment | distances, sizes, clusters in time |
| shifted | the map of some days earlier, at its distances from price | all but the tie to today's path |
| leverage shuffled | rebuilt with the leverage mix dealt out anew | entries, volume, open interest |
| volume only | rebuilt without open interest | entries and volume, with a half-life |
| price-only twin | price over its moving average, and recent extremes as tiers | all that price alone says |

An effect of the map must vanish on the first two. On a mirrored map the imbalance says the opposite at each
moment, so that only levels learn from it. The next two are weaker maps rather than none. The twin is the one
to beat: a map that does no better has said nothing that price had not.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from ...datasets.map_features import (
    Float32Array2D,
    Float64Array2D,
    MapFeatures,
    TierLadder,
)
from ...datasets.naming import DAY_US
from ...datasets.panel import Float64Array1D, Int64Array1D, Panel
from .map_recipe import MapRecipe
from .market import EvidenceMarket


def mirrored(market: EvidenceMarket) -> MapFeatures:
    """Return the map with the distances above and below price swapped.

    A tier from 3 to 5 % above (in log price) stands from 3 to 5 % below, and what was to be liquidated of
    shorts is of longs.
    """
    features, close = market.features, market.panel.close
    return replace(
        features,
        notional_above=features.notional_below,
        notional_below=features.notional_above,
        imbalance=_ratio(features.notional_below, features.notional_above),
        above=_reflected(features.below, close),
        below=_reflected(features.above, close),
        predicted_short_liquidations=features.predicted_long_liquidations,
        predicted_long_liquidations=features.predicted_short_liquidations,
        book_short=features.book_long,
        book_long=features.book_short,
    )


def shifted(market: EvidenceMarket, days: int) -> MapFeatures:
    """Return the map of so many days earlier, at the same distances from price.

    Nothing is known where there was no bar then. The hourly volume is today's, and fuel is in its hours.

    Parameters
    ----------
    market : EvidenceMarket
    days : int
        At least 1, so that hours of the day stay together.
    """
    ts = market.panel.ts
    earlier = np.searchsorted(ts, ts - days * DAY_US)
    known = ts[earlier] == ts - days * DAY_US
    return _moved(market, np.where(known, earlier, -1))


def turned(market: EvidenceMarket, days: int) -> MapFeatures:
    """Return the map turned round by so many days: as `shifted`, the first days hold the last ones' map.

    For a null, not for trading: the first days would know the future.
    """
    bars_a_day = max(round(DAY_US / market.panel.bar_us), 1)
    bars = len(market.panel)
    return _moved(market, (np.arange(bars) - days * bars_a_day) % bars)


def leverage_shuffled(
    market: EvidenceMarket, recipe: MapRecipe, *, rng: np.random.Generator
) -> MapFeatures:
    """Return the map rebuilt with the shares of the leverage classes dealt out anew.

    The deal is one that leaves no class its share, the same for all fits and both sides.
    """
    order = _derangement(len(recipe.parameters.leverages), rng)
    parameters = replace(
        recipe.parameters, mix=tuple(recipe.parameters.mix[place] for place in order)
    )
    fitted = recipe.calibration
    calibration = None if fitted is None else replace(fitted, mix=fitted.mix.take(order, axis=2))
    shuffled = MapRecipe(parameters=parameters, calibration=calibration)
    return shuffled.build(market, market.panel).features


def volume_only(market: EvidenceMarket, recipe: MapRecipe) -> MapFeatures:
    """Return the map rebuilt as if there were no open interest."""
    return recipe.build(market, without_open_interest(market.panel)).features


def without_open_interest(panel: Panel) -> Panel:
    """Return the panel as if no open interest had been observed."""
    bars = len(panel)
    return replace(
        panel,
        oi_base=np.full(bars, np.nan),
        oi_observed=np.zeros(bars, dtype=np.bool_),
        oi_series=np.full(bars, -1),
    )


def _derangement(count: int, rng: np.random.Generator) -> Int64Array1D:
    # A turn of a random order moves each class; a single class has nowhere to go.
    order = rng.permutation(count)
    dealt = np.empty(count, dtype=np.int64)
    dealt[order] = np.roll(order, 1)
    return dealt


def _moved(market: EvidenceMarket, source: Int64Array1D) -> MapFeatures:
    """Return for each bar the map of another bar at its distances; -1 where none is known."""
    features, close = market.features, market.panel.close
    known = source >= 0
    factor = np.where(known, close / close[source], np.nan)

    def taken(values: np.ndarray) -> Float64Array2D:
        rows: Float64Array2D = values[source].astype(np.float64)
        rows[~known] = np.nan
        return rows

    def ladder(tiers: TierLadder) -> TierLadder:
        scale = factor[:, np.newaxis]
        notional = _single(taken(tiers.notional))
        return TierLadder(
            lower=_single(taken(tiers.lower) * scale),
            upper=_single(taken(tiers.upper) * scale),
            peak=_single(taken(tiers.peak) * scale),
            notional=notional,
            fuel=_single(notional / features.hourly_quote_volume[:, np.newaxis]),
        )

    plain = {
        f.name: taken(getattr(features, f.name))
        for f in fields(MapFeatures)
        if f.name not in ("windows", "above", "below", "hourly_quote_volume")
    }
    ladders = {"above": ladder(features.above), "below": ladder(features.below)}
    return replace(features, **ladders, **plain)  # type: ignore[arg-type]  # by name, as they are


def _reflected(tiers: TierLadder, close: Float64Array1D) -> TierLadder:
    square = np.square(close)[:, np.newaxis]
    return replace(
        tiers,
        lower=_single(square / tiers.upper),
        upper=_single(square / tiers.lower),
        peak=_single(square / tiers.peak),
    )


def _single(values: np.ndarray) -> Float32Array2D:
    return np.asarray(values, dtype=np.float32)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above / below)
