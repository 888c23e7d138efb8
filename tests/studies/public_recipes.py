"""Public recipes for liquidation maps, rebuilt from their descriptions on the same bars as ours.

Each gives what price reaches of its levels in every bar, by side: its predicted liquidations. They were
made to be drawn, not to be tested; where a recipe says nothing (how its levels are reached, what a
trade is on bars) the choice that helps it is taken: levels beyond the last close that the bar's range
comes to. None of them looks ahead here, whatever the original does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from liqtiers.datasets.panel import Float64Array1D, Panel

_WIDTH = 0.001


@dataclass(frozen=True)
class Recipe:
    """Leverages with their shares and half-lives (hours), entries, and whether levels are swept."""

    leverages: tuple[float, ...]
    shares: tuple[float, ...]
    half_lives_hours: tuple[float, ...] | None
    sweeps: bool
    openings: Callable[[Panel], tuple[Float64Array1D, Float64Array1D]]
    entries: tuple[tuple[str, float], ...] = (("close", 1.0),)


def predicted(panel: Panel, recipe: Recipe) -> np.ndarray:
    """Return what a recipe expects to be liquidated in each bar, quote, shape (2, n), shorts first."""
    distance = np.array([1.0 / leverage for leverage in recipe.leverages])
    offsets = np.log(np.array([1.0 + distance, 1.0 - distance])) / _WIDTH
    logs = {
        name: np.log(getattr(panel, name)) / _WIDTH for name in ("open", "high", "low", "close")
    }
    first = int(np.floor(logs["low"].min() + offsets.min())) - 1
    bins = int(np.ceil(logs["high"].max() + offsets.max())) - first + 2
    book = np.zeros((2, len(distance), bins))
    hours = panel.bar_us / 3.6e9
    kept = (
        np.ones(len(distance))
        if recipe.half_lives_hours is None
        else 0.5 ** (hours / np.array(recipe.half_lives_hours))
    )
    opened = recipe.openings(panel)
    classes = np.arange(len(distance))
    out = np.zeros((2, len(panel)))
    last = logs["open"][0]
    for t in range(len(panel)):
        book *= kept[np.newaxis, :, np.newaxis]
        here = int(last) - first
        top, bottom = int(logs["high"][t]) - first, int(logs["low"][t]) - first
        out[0, t] = book[0, :, here + 1 : top + 1].sum()
        out[1, t] = book[1, :, bottom:here].sum()
        if recipe.sweeps:
            book[:, :, bottom : top + 1] = 0.0
        for side in range(2):
            amount = opened[side][t]
            if amount > 0.0:
                for name, weight in recipe.entries:
                    place = (logs[name][t] + offsets[side]).astype(int) - first
                    np.add.at(
                        book[side], (classes, place), amount * weight * np.array(recipe.shares)
                    )
        last = logs["close"][t]
    return out


def _all_volume(panel: Panel) -> tuple[Float64Array1D, Float64Array1D]:
    return panel.quote_volume, panel.quote_volume


def _largest_bars(panel: Panel) -> tuple[Float64Array1D, Float64Array1D]:
    """The largest hundredth of the past bars stands in for single trades of 100,000 and more."""
    limit = _trailing(panel.quote_volume, 0.99)
    large = np.where(panel.quote_volume >= limit, panel.quote_volume, 0.0)
    return large, large


def _trailing(values: Float64Array1D, quantile: float) -> Float64Array1D:
    return pd.Series(values).rolling(2000, min_periods=20).quantile(quantile).to_numpy()


def _oi_change(panel: Panel) -> Float64Array1D:
    oi = np.nan_to_num(panel.oi_base)
    return np.diff(oi, prepend=oi[:1])


def _boosted_turnover(panel: Panel) -> tuple[Float64Array1D, Float64Array1D]:
    oi = np.nan_to_num(panel.oi_base)
    growth = np.where(oi > 0.0, _oi_change(panel) / np.maximum(oi, 1e-12), 0.0)
    seeded = 0.5 * panel.quote_volume * np.clip(1.0 + 8.0 * np.maximum(growth, 0.0), 1.0, 3.0)
    return seeded, seeded


def _new_contracts_by_direction(panel: Panel) -> tuple[Float64Array1D, Float64Array1D]:
    opened = np.maximum(_oi_change(panel), 0.0) * panel.close
    up = panel.close >= panel.open
    return np.where(up, 0.0, opened), np.where(up, opened, 0.0)


def _by_long_share(panel: Panel) -> tuple[Float64Array1D, Float64Array1D]:
    """Turnover by the share of longs: the mean of what takers, ratios and funding say, where known."""
    ratios = (panel.taker_buy_sell, panel.long_short_accounts, panel.top_long_short_positions)
    shares = [panel.taker_buy_share, *(ratio / (1.0 + ratio) for ratio in ratios)]
    # Longs pay where they crowd: the usual 1 bp stands for balance, 10 bp more for ten points of share.
    shares.append(0.5 + np.clip((panel.funding_rate - 1e-4) * 100.0, -0.2, 0.2))
    known = np.isfinite(np.stack(shares))
    total = np.where(known, np.stack(shares), 0.0).sum(axis=0)
    count = known.sum(axis=0)
    share = np.where(count > 0, total / np.maximum(count, 1), 0.5)
    return panel.quote_volume * (1.0 - share), panel.quote_volume * share


def _busy_bars(panel: Panel) -> tuple[Float64Array1D, Float64Array1D]:
    """Bars above 1.7 times the mean of 13, by their volume; higher multiples only draw thicker lines."""
    mean = pd.Series(panel.quote_volume).rolling(13).mean().to_numpy()
    busy = np.where(panel.quote_volume > 1.7 * mean, panel.quote_volume, 0.0)
    return busy, busy


RECIPES = {
    "aoki: large trades, four leverages, never cleared": Recipe(
        (10.0, 25.0, 50.0, 100.0), (1.0, 1.0, 1.0, 1.0), None, False, _largest_bars
    ),
    "bendizziesmith: turnover with half-lives, cleared": Recipe(
        (3.0, 5.0, 10.0, 25.0),
        (0.35, 0.30, 0.20, 0.15),
        (60 * 24.0, 30 * 24.0, 14 * 24.0, 5 * 24.0),
        True,
        _boosted_turnover,
        (("close", 0.45), ("high", 0.275), ("low", 0.275)),
    ),
    "mgcha85: new contracts by direction, never cleared": Recipe(
        (10.0, 25.0, 50.0, 100.0),
        (0.30, 0.35, 0.25, 0.10),
        None,
        False,
        _new_contracts_by_direction,
    ),
    "pcdogyu: turnover by long share, with half-lives": Recipe(
        (5.0, 10.0, 20.0, 50.0, 100.0),
        (0.2, 0.2, 0.2, 0.2, 0.2),
        (168.0, 120.0, 72.0, 36.0, 18.0),
        True,
        _by_long_share,
    ),
    "LuxAlgo: busy bars": Recipe(
        (25.0, 50.0, 100.0), (1.0, 1.0, 1.0), None, True, _busy_bars, (("open", 1.0),)
    ),
}
