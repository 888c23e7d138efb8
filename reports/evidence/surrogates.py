"""The same market on paths that it might have taken: the null of what is made of past prices.

The imbalance is persistent and follows past prices, so it correlates with later returns in any finite
sample even where it predicts nothing (Stambaugh, R. F. (1999). Predictive regressions. Journal of Financial
Economics 54, 375-421, doi:10.1016/S0304-405X(99)00041-0), and horizons overlap. Instead of a formula for
that, the whole study is repeated on surrogate paths: the direction of each UTC day is kept or mirrored at
random, the path is put together again, and the map is rebuilt on it as it was on the real one.

What stays: volatility bar by bar, volume, gaps, moments, and open interest in coins, so that all clusters
stay where they were; returns within a day keep their order. What goes: any tie between the state before
a day and that day's direction. A tie within a day is kept in part, so that such an effect is understated.

The funding rate is kept. A rate holds over days, and one that was mirrored day by day would jump at each
midnight as no market's does; to the claims it is a control whose slow level is what matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from ...datasets.panel import Float64Array1D, Int64Array1D, Panel
from .map_recipe import MapRecipe
from .market import EvidenceMarket, day_of
from .placebo_maps import turned

DEFAULT_SURROGATES: Final = 30
_NEAREST_TURN_DAYS: Final = 3


def null_markets(
    market: EvidenceMarket,
    recipe: MapRecipe | None,
    *,
    rng: np.random.Generator,
    count: int = DEFAULT_SURROGATES,
) -> Iterator[EvidenceMarket]:
    """Yield markets in which the imbalance cannot predict, one at a time.

    Parameters
    ----------
    market : EvidenceMarket
    recipe : MapRecipe or None
        None for an imported map, which cannot be rebuilt: then the map is turned round by whole days
        against the prices, distances kept; see `null_note`.
    rng : numpy.random.Generator
    count : int
    """
    if recipe is None:
        yield from _turned_markets(market, rng=rng, count=count)
        return
    lean = recipe.lean(market.window)
    for _ in range(count):
        yield lean.build(market, mirrored_days(market.panel, random_signs(market.panel, rng)))


def null_note(recipe: MapRecipe | None) -> str:
    """Return what a reader must know about the null."""
    if recipe is not None:
        return (
            "Base rates are those of paths on which the direction of each day is kept or mirrored at "
            "random and the map is rebuilt."
        )
    return (
        "An imported map cannot be rebuilt on other paths: base rates are those of the same map turned "
        "round by whole days against the prices, which does not know how it follows them."
    )


def random_signs(panel: Panel, rng: np.random.Generator) -> Int64Array1D:
    """Return +1 or -1 for each bar, the same for all bars of a UTC day, shape (n,)."""
    days, day = np.unique(day_of(panel), return_inverse=True)
    signs: Int64Array1D = rng.choice(np.array([-1, 1]), size=len(days))[day]
    return signs


def mirrored_days(panel: Panel, sign: Int64Array1D) -> Panel:
    """Return the panel with the moves of some bars turned round, and the path put together again.

    Parameters
    ----------
    panel : Panel
    sign : ndarray of int64, shape (n,)
        -1 for the bars whose moves, from the close before, are mirrored in log price; else +1.

    Returns
    -------
    Panel
        It starts at the same open. Highs become lows, the mark price keeps its distance from the trade
        price, the takers' buys become sells, printed long liquidations become short ones. Volume and open
        interest keep their quantity in coins, so that value moves with price. With the same signs again the
        panel is what it was.
    """
    before = np.concatenate([panel.open[:1], panel.close[:-1]])
    mirrored = sign < 0
    anchor = _anchor(panel, before, sign)

    def moved(price: Float64Array1D) -> Float64Array1D:
        return anchor * np.where(mirrored, before / price, price / before)

    def swapped(
        first: Float64Array1D, second: Float64Array1D
    ) -> tuple[Float64Array1D, Float64Array1D]:
        return np.where(mirrored, second, first), np.where(mirrored, first, second)

    high, low = swapped(moved(panel.high), moved(panel.low))
    mark_high, mark_low = swapped(moved(panel.mark_high), moved(panel.mark_low))
    long_liquidations, short_liquidations = swapped(
        panel.long_liquidations, panel.short_liquidations
    )
    close = moved(panel.close)
    return replace(
        panel,
        open=moved(panel.open),
        high=high,
        low=low,
        close=close,
        mark_high=mark_high,
        mark_low=mark_low,
        quote_volume=panel.quote_volume * close / panel.close,
        taker_buy_share=np.where(mirrored, 1.0 - panel.taker_buy_share, panel.taker_buy_share),
        taker_buy_sell=np.power(panel.taker_buy_sell, sign.astype(np.float64)),
        long_liquidations=long_liquidations,
        short_liquidations=short_liquidations,
    )


def _anchor(panel: Panel, before: Float64Array1D, sign: Int64Array1D) -> Float64Array1D:
    """Return the new path's close before each bar."""
    steps = sign * np.log(panel.close / before)
    path = np.concatenate([[0.0], np.cumsum(steps[:-1])])
    return np.asarray(panel.open[0] * np.exp(path), dtype=np.float64)


def _turned_markets(
    market: EvidenceMarket, *, rng: np.random.Generator, count: int
) -> Iterator[EvidenceMarket]:
    days = len(np.unique(day_of(market.panel)))
    nearest = min(_NEAREST_TURN_DAYS, days // 2)
    possible = np.arange(nearest, days - nearest + 1)
    for turn in rng.choice(possible, size=count, replace=len(possible) < count):
        yield replace(market, features=turned(market, int(turn)))
