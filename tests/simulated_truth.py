"""The map held against a simulated market's true positions, for tests and studies."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from scipy.stats import spearmanr

from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import LiquidationMap, MapParameters
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.sources.simulator import SimulatedMarket, true_book, write_to_lake

REACH: Final = 0.10
WRONG_MIX: Final = (0.20, 0.20, 0.10, 0.05, 0.03, 0.02, 0.02, 0.04, 0.04)
WRONG_CHURN: Final = 0.3
"""Ten times the simulator's."""


def panel_of(market: SimulatedMarket) -> Panel:
    """Return what the simulated venue published, by way of a lake."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_to_lake(market, lake, venue="simulated", symbol="COIN")
        bar = market.parameters.bar
        return load_panel(lake, venue="simulated", symbol="COIN", timeframe=bar)


def wrong_start(bin_width: float) -> MapParameters:
    """Return parameters from which a fit has to find its way."""
    return MapParameters(mix=WRONG_MIX, churn=WRONG_CHURN, bin_width=bin_width)


def agreement(
    built: LiquidationMap,
    market: SimulatedMarket,
    bar: int,
    *,
    bins_together: int = 1,
    venue: int | None = 0,
) -> tuple[float, float]:
    """Return the rank correlation with the true levels by bin within 10 % of price, shorts and longs.

    Parameters
    ----------
    built : LiquidationMap
        Over the bars up to and with `bar`.
    market : SimulatedMarket
    bar : int
        At whose close the two are compared.
    bins_together : int
        How many bins of the map to sum into one. A true bin of 0.1 % holds so few positions that chance
        decides its rank among its likes.
    venue : int, optional
        Whose positions are the truth: 0 for the venue shown, None for both.
    """
    width = built.parameters.bin_width
    truth = true_book(market, bar, bin_width=width, venue=venue)
    true_bins = np.floor(np.log(truth.prices) / width).astype(int)
    middle = 0.5 * np.log(built.latest.price_edges[1:] * built.latest.price_edges[:-1])
    bins = np.floor(middle / width).astype(int)
    here = int(np.floor(np.log(market.bars["close"][bar].as_py()) / width))
    found = []
    for sign, true, ours in (
        (1, truth.short, built.latest.short_notional[0]),
        (-1, truth.long, built.latest.long_notional[0]),
    ):
        reach = int(np.log1p(sign * REACH) * sign / width) // bins_together
        sums = [
            _summed(sign * (places - here), value, bins_together, reach)
            for places, value in ((true_bins, true), (bins, ours))
        ]
        found.append(float(spearmanr(*sums).statistic))
    return found[0], found[1]


def _summed(away: np.ndarray, value: np.ndarray, together: int, reach: int) -> np.ndarray:
    """Return value summed by steps of `together` bins away from the price, whose bin is step 0."""
    step = (away - 1) // together
    inside = (away > 0) & (step < reach)
    return np.bincount(step[inside], value[inside], reach)
