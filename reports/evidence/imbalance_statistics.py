"""What is computed of the imbalance, on the real path and on each surrogate alike.

Ranks are computed once. Bars shorter than an hour are looked at once an hour: the imbalance hardly changes
within one. The bars that broke a tier's edge are looked at one by one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.stats import rankdata

from ...datasets.errors import InputError
from ...datasets.map_features import Float64Array2D
from ...datasets.naming import HOUR_US
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D, Panel
from .inference import blocks_of
from .market import (
    HORIZON_HOURS,
    EvidenceMarket,
    bars_in,
    day_of,
    forward_returns,
    known_facts,
)
from .past_only import hourly_rows
from .price_twin import matched_to
from .rank_table import RankTable, rank_table
from .regimes import Regime, regimes_of
from .robustness import parts_of

DECAY_HOURS: Final = (1, 2, 4, 8, 24, 72, 168)
"""Horizons over which the information coefficient is shown to decay; claims are made at three of them."""
QUANTILES: Final = 5
_LEAST_BARS: Final = 100


class Sample(NamedTuple):
    """The bars that are looked at: `rows` of the panel, their UTC days, imbalance, outcomes and ranks."""

    rows: Int64Array1D
    day: Int64Array1D
    imbalance: Float64Array1D
    outcomes: Float64Array2D
    ranks: RankTable


class Statistics(NamedTuple):
    """What is compared with surrogates: by decay horizon, or by condition and claim horizon.

    `parts` are the halves of the data, and the whole without its best blocks, which each path has of its own.
    """

    raw: Float64Array1D
    partial: Float64Array1D
    hits: Float64Array1D
    spread: Float64Array1D
    started: Float64Array1D
    regimes: Float64Array2D
    parts: Float64Array2D


def imbalance_statistics(market: EvidenceMarket) -> Statistics:
    """Return all that is compared with surrogates, of one market."""
    return statistics_of(*samples_of(market))


def horizons_of(panel: Panel, hours: tuple[float, ...]) -> list[float]:
    """Return those horizons that are no shorter than a bar."""
    return [h for h in hours if h * HOUR_US >= panel.bar_us]


def broke_an_edge(market: EvidenceMarket) -> BoolArray1D:
    """Return the bars whose close is beyond the near edge of a tier that stood before them, shape (n,)."""
    features, close = market.features, market.panel.close
    broke = np.zeros(len(close), dtype=np.bool_)
    broke[1:] = (close[1:] >= features.above.lower[:-1, 0]) | (
        close[1:] <= features.below.upper[:-1, 0]
    )
    return broke


def samples_of(market: EvidenceMarket) -> tuple[Sample, Sample, tuple[Regime, ...]]:
    """Return the hourly bars, those that broke an edge, and the regimes."""
    panel = market.panel
    facts, days = known_facts(panel), day_of(panel)
    imbalance = market.log_imbalance()
    twin = matched_to(panel, facts.over_average_72h, imbalance)
    columns = [imbalance, twin, *facts]
    known = np.isfinite(np.stack(columns)).all(axis=0)
    hourly = np.zeros(len(panel), dtype=np.bool_)
    hourly[hourly_rows(panel)] = True
    if (known & hourly).sum() < _LEAST_BARS:
        raise InputError(
            f"{int((known & hourly).sum())} bars have an imbalance within {market.window:.0%} and a week "
            f"before them, at least {_LEAST_BARS} are needed: take a longer period"
        )

    def sample(chosen: BoolArray1D, hours: tuple[float, ...]) -> Sample:
        rows = np.flatnonzero(chosen & known)
        outcomes = [
            forward_returns(panel, bars_in(panel, h))[rows] for h in horizons_of(panel, hours)
        ]
        taken = [column[rows] for column in columns]
        return Sample(
            rows,
            days[rows],
            taken[0],
            np.column_stack(outcomes),
            rank_table(taken[0], taken[1:], outcomes),
        )

    broke = sample(broke_an_edge(market), HORIZON_HOURS)
    return sample(hourly, DECAY_HOURS), broke, regimes_of(panel, facts)


def statistics_of(sample: Sample, started: Sample, regimes: tuple[Regime, ...]) -> Statistics:
    """Return the same of samples that are at hand."""
    horizons = range(sample.outcomes.shape[1])
    claims = range(started.outcomes.shape[1])
    places = _claim_places(sample, started)
    offset = len(DECAY_HOURS) - sample.outcomes.shape[1]
    return Statistics(
        raw=np.array([_raw(sample, k) for k in horizons]),
        partial=np.array([sample.ranks.partial(k) for k in horizons]),
        hits=np.array([np.subtract(*hit_rates(sample, k)) for k in horizons]),
        spread=np.array([_spread(sample, k) for k in horizons]),
        started=np.array([started.ranks.partial(k) for k in claims]),
        regimes=np.array(
            [
                [sample.ranks.partial(k, regime.bars[sample.rows]) for k in places]
                for regime in regimes
            ]
        ),
        parts=np.transpose(
            [
                [
                    sample.ranks.partial(k, kept)
                    for kept in parts_kept(sample, k, DECAY_HOURS[k + offset])
                ]
                for k in places
            ]
        ),
    )


def parts_kept(sample: Sample, horizon: int, hours: float) -> list[BoolArray1D]:
    """Return the rows of each half of the data, and of all but the three blocks that add most."""
    known, products = sample.ranks.products(horizon)
    cluster = blocks_of(sample.day[known], hours / 24.0)
    kept = []
    for part in parts_of(cluster, products, direction=float(products.sum())):
        rows = np.zeros(len(sample.rows), dtype=np.bool_)
        rows[known[part]] = True
        kept.append(rows)
    return kept


def _claim_places(sample: Sample, started: Sample) -> list[int]:
    """Return where the horizons of the claims stand among those of the decay."""
    offset = len(DECAY_HOURS) - sample.outcomes.shape[1]
    claims = HORIZON_HOURS[len(HORIZON_HOURS) - started.outcomes.shape[1] :]
    return [DECAY_HOURS.index(h) - offset for h in claims]


def _raw(sample: Sample, horizon: int) -> float:
    ranked = sample.ranks.outcomes[:, horizon]
    known = np.isfinite(ranked)
    pair = np.stack([rankdata(sample.imbalance[known]), ranked[known]])
    if len(pair[0]) < 3 or not (np.ptp(pair, axis=1) > 0.0).all():
        return float("nan")
    return float(np.corrcoef(pair)[0, 1])


def hit_rates(sample: Sample, horizon: int) -> tuple[float, float]:
    """Return how often price went to the larger side, and how often by chance; still prices left out."""
    outcome = sample.outcomes[:, horizon]
    known = np.isfinite(outcome) & (outcome != 0.0)
    if not known.any():
        return float("nan"), float("nan")
    up, above = outcome[known] > 0.0, sample.imbalance[known] > 0.0
    rose, larger = float(up.mean()), float(above.mean())
    return float((up == above).mean()), rose * larger + (1.0 - rose) * (1.0 - larger)


def quantile_groups(imbalance: Float64Array1D) -> Int64Array1D:
    """Return the quantile of each value, from 0; limits as pandas' qcut has them."""
    limits = np.quantile(imbalance, np.arange(1, QUANTILES) / QUANTILES)
    return np.searchsorted(limits, imbalance, side="left")


def _spread(sample: Sample, horizon: int) -> float:
    outcome = sample.outcomes[:, horizon]
    known = np.isfinite(outcome)
    group = quantile_groups(sample.imbalance)
    ends = [outcome[known & (group == k)] for k in (0, QUANTILES - 1)]
    if min(map(len, ends)) == 0:
        return float("nan")
    return float(ends[1].mean() - ends[0].mean())
