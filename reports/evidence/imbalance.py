"""The imbalance as a signal: whether more above than below says which way price goes.

Judged by the rank correlation of the log imbalance with forward returns (the information coefficient), raw
and after the price-only twin and what everyone knows are taken out, and by returns by quantile and hits
against their base rate. Each is compared with what it is on paths where nothing can be predicted
(`surrogates`), since an imbalance made of past prices correlates with later returns by itself.

Bars shorter than an hour are looked at once an hour: the imbalance hardly changes within one. Horizons
overlap, which the surrogates' do as well, and quantiles' intervals go by blocks of days.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ...datasets.errors import InputError
from ...datasets.map_features import Float64Array2D
from ...datasets.naming import HOUR_US
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D, Panel
from ..rank_statistics import rank_correlation
from .inference import Effect, blocks_of, clustered_mean, surrogate_effect
from .market import HORIZON_HOURS, EvidenceMarket, bars_in, day_of, forward_returns, known_facts
from .past_only import hourly_rows
from .price_twin import matched_to
from .rank_table import RankTable, rank_table
from .regimes import Regime, regimes_of

DECAY_HOURS: Final = (1, 2, 4, 8, 24, 72, 168)
"""Horizons over which the information coefficient is shown to decay; claims are made at three of them."""
QUANTILES: Final = 5
_LEAST_BARS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonSkill:
    """What the imbalance said about the return over one horizon.

    Attributes
    ----------
    hours : float
    information : float
        The raw rank correlation; `raw` is its distance from that of surrogates.
    raw, partial : Effect
        Against surrogates: the rank correlation, and what remains of it after the twin and the known facts.
    hit_rate, base_rate : float
        How often price went to the larger side, and how often it would have if the two had nothing to
        do with each other.
    hits : Effect
        Their difference, against surrogates.
    spread : Effect
        Mean return of the highest quantile minus that of the lowest, against surrogates; log return.
    """

    hours: float
    information: float
    raw: Effect
    partial: Effect
    hit_rate: float
    base_rate: float
    hits: Effect
    spread: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileReturn:
    """The return after one fifth of the imbalances.

    Attributes
    ----------
    hours : float
    quantile : int
        From 1, most below, to 5, most above.
    lowest, highest : float
        Its log imbalances; limits look at the whole sample, for quantiles describe and nobody trades them.
    mean : Effect
        Mean log return, clustered by blocks of days.
    """

    hours: float
    quantile: int
    lowest: float
    highest: float
    mean: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional:
    """The partial information coefficient under a condition, against surrogates.

    Attributes
    ----------
    kind, label : str
        The regime, or ``bars`` and ``broke a tier's edge``.
    hours : float
    partial : Effect
    """

    kind: str
    label: str
    hours: float
    partial: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalanceEvidence:
    """All that was found about the imbalance.

    Attributes
    ----------
    horizons : tuple of HorizonSkill
        Over `DECAY_HOURS`, those shorter than a bar left out.
    quantiles : tuple of QuantileReturn
    started : tuple of Conditional
        At bars whose close broke the near edge of a tier.
    regimes : tuple of Conditional
    bars : int
        Bars that were looked at.
    surrogates : int
    """

    horizons: tuple[HorizonSkill, ...]
    quantiles: tuple[QuantileReturn, ...]
    started: tuple[Conditional, ...]
    regimes: tuple[Conditional, ...]
    bars: int
    surrogates: int


class _Sample(NamedTuple):
    """The bars that are looked at: `rows` of the panel, and their imbalance, outcomes and ranks."""

    rows: Int64Array1D
    imbalance: Float64Array1D
    outcomes: Float64Array2D
    ranks: RankTable


class _Statistics(NamedTuple):
    """What is compared with surrogates: by decay horizon, or by condition and claim horizon."""

    raw: Float64Array1D
    partial: Float64Array1D
    hits: Float64Array1D
    spread: Float64Array1D
    started: Float64Array1D
    regimes: Float64Array2D


def imbalance_evidence(
    market: EvidenceMarket, nulls: Iterable[EvidenceMarket], *, rng: np.random.Generator
) -> ImbalanceEvidence:
    """Judge the imbalance of a market.

    Parameters
    ----------
    market : EvidenceMarket
    nulls : iterable of EvidenceMarket
        The same on paths where it cannot predict, see `surrogates.null_markets`; each is used once.
    rng : numpy.random.Generator
        Draws the signs of the quantiles' clusters.

    Raises
    ------
    InputError
        If fewer than 100 bars have an imbalance and all that it is compared with.

    Notes
    -----
    Look-ahead: the imbalance, the facts and the regimes of a bar are known at its close.
    """
    sample, started, regimes = _samples(market)
    real = _statistics(sample, started, regimes)
    others = [imbalance_statistics(null) for null in nulls]
    null = _Statistics(*(np.array(column) for column in zip(*others, strict=True)))
    hours = horizons_of(market.panel, DECAY_HOURS)
    claims = horizons_of(market.panel, HORIZON_HOURS)
    days = day_of(market.panel)
    return ImbalanceEvidence(
        horizons=tuple(_skill(sample, k, hours[k], real, null, days) for k in range(len(hours))),
        quantiles=tuple(
            row for h in claims for row in _quantile_returns(sample, hours.index(h), h, days, rng)
        ),
        started=tuple(
            Conditional(
                kind="bars",
                label="broke a tier's edge",
                hours=h,
                partial=_against(real.started[k], null.started[:, k], started.rows, days, hours=h),
            )
            for k, h in enumerate(claims)
        ),
        regimes=tuple(
            Conditional(
                kind=regime.kind,
                label=regime.label,
                hours=h,
                partial=_against(
                    real.regimes[j, k],
                    null.regimes[:, j, k],
                    sample.rows[regime.bars[sample.rows]],
                    days,
                    hours=h,
                ),
            )
            for j, regime in enumerate(regimes)
            for k, h in enumerate(claims)
        ),
        bars=len(sample.rows),
        surrogates=len(others),
    )


def imbalance_statistics(market: EvidenceMarket) -> _Statistics:
    """Return all that is compared with surrogates, of one market."""
    return _statistics(*_samples(market))


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


def _samples(market: EvidenceMarket) -> tuple[_Sample, _Sample, tuple[Regime, ...]]:
    """Return the hourly bars, those that broke an edge, and the regimes."""
    panel = market.panel
    facts = known_facts(panel)
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

    def sample(chosen: BoolArray1D, hours: tuple[float, ...]) -> _Sample:
        rows = np.flatnonzero(chosen & known)
        outcomes = [
            forward_returns(panel, bars_in(panel, h))[rows] for h in horizons_of(panel, hours)
        ]
        taken = [column[rows] for column in columns]
        return _Sample(
            rows, taken[0], np.column_stack(outcomes), rank_table(taken[0], taken[1:], outcomes)
        )

    broke = sample(broke_an_edge(market), HORIZON_HOURS)
    return sample(hourly, DECAY_HOURS), broke, regimes_of(panel, facts)


def _statistics(sample: _Sample, started: _Sample, regimes: tuple[Regime, ...]) -> _Statistics:
    horizons = range(sample.outcomes.shape[1])
    claims = range(started.outcomes.shape[1])
    places = _claim_places(sample, started)
    return _Statistics(
        raw=np.array([_raw(sample, k) for k in horizons]),
        partial=np.array([sample.ranks.partial(k) for k in horizons]),
        hits=np.array([np.subtract(*_hit_rates(sample, k)) for k in horizons]),
        spread=np.array([_spread(sample, k) for k in horizons]),
        started=np.array([started.ranks.partial(k) for k in claims]),
        regimes=np.array(
            [
                [sample.ranks.partial(k, regime.bars[sample.rows]) for k in places]
                for regime in regimes
            ]
        ),
    )


def _claim_places(sample: _Sample, started: _Sample) -> list[int]:
    """Return where the horizons of the claims stand among those of the decay."""
    offset = len(DECAY_HOURS) - sample.outcomes.shape[1]
    claims = HORIZON_HOURS[len(HORIZON_HOURS) - started.outcomes.shape[1] :]
    return [DECAY_HOURS.index(h) - offset for h in claims]


def _raw(sample: _Sample, horizon: int) -> float:
    known = np.isfinite(sample.outcomes[:, horizon])
    if known.sum() < 3:
        return float("nan")
    return rank_correlation(sample.imbalance[known], sample.outcomes[known, horizon])


def _hit_rates(sample: _Sample, horizon: int) -> tuple[float, float]:
    """Return how often price went to the larger side, and how often by chance; still prices left out."""
    outcome = sample.outcomes[:, horizon]
    known = np.isfinite(outcome) & (outcome != 0.0)
    if not known.any():
        return float("nan"), float("nan")
    up, above = outcome[known] > 0.0, sample.imbalance[known] > 0.0
    rose, larger = float(up.mean()), float(above.mean())
    return float((up == above).mean()), rose * larger + (1.0 - rose) * (1.0 - larger)


def _groups(imbalance: Float64Array1D) -> Int64Array1D:
    """Return the quantile of each value, from 0; limits as pandas' qcut has them."""
    limits = np.quantile(imbalance, np.arange(1, QUANTILES) / QUANTILES)
    return np.searchsorted(limits, imbalance, side="left")


def _spread(sample: _Sample, horizon: int) -> float:
    outcome = sample.outcomes[:, horizon]
    known = np.isfinite(outcome)
    group = _groups(sample.imbalance)
    ends = [outcome[known & (group == k)] for k in (0, QUANTILES - 1)]
    if min(map(len, ends)) == 0:
        return float("nan")
    return float(ends[1].mean() - ends[0].mean())


def _quantile_returns(
    sample: _Sample,
    horizon: int,
    hours: float,
    days: Int64Array1D,
    rng: np.random.Generator,
) -> list[QuantileReturn]:
    outcome = sample.outcomes[:, horizon]
    group = _groups(sample.imbalance)
    found = []
    for k in range(QUANTILES):
        inside = group == k
        known = np.isfinite(outcome) & inside
        cluster = blocks_of(days[sample.rows[known]], hours / 24.0)
        found.append(
            QuantileReturn(
                hours=hours,
                quantile=k + 1,
                lowest=float(sample.imbalance[inside].min(initial=np.inf)),
                highest=float(sample.imbalance[inside].max(initial=-np.inf)),
                mean=clustered_mean(outcome[known], cluster, rng=rng),
            )
        )
    return found


def _skill(
    sample: _Sample,
    horizon: int,
    hours: float,
    real: _Statistics,
    null: _Statistics,
    days: Int64Array1D,
) -> HorizonSkill:
    rows = sample.rows[np.isfinite(sample.outcomes[:, horizon])]

    def against(name: str) -> Effect:
        value, others = getattr(real, name)[horizon], getattr(null, name)[:, horizon]
        return _against(value, others, rows, days, hours=hours)

    hit_rate, base_rate = _hit_rates(sample, horizon)
    return HorizonSkill(
        hours=hours,
        information=float(real.raw[horizon]),
        raw=against("raw"),
        partial=against("partial"),
        hit_rate=hit_rate,
        base_rate=base_rate,
        hits=against("hits"),
        spread=against("spread"),
    )


def _against(
    value: float, null: Float64Array1D, rows: Int64Array1D, days: Int64Array1D, *, hours: float
) -> Effect:
    """Return the effect against surrogates; unknown where the statistic, or most of its null, is."""
    clusters = len(np.unique(blocks_of(days[rows], hours / 24.0)))
    known = null[np.isfinite(null)]
    if not np.isfinite(value) or 2 * len(known) <= len(null):
        nan = float("nan")
        return Effect(value=nan, low=nan, high=nan, p=nan, n=len(rows), clusters=clusters, mde=nan)
    return surrogate_effect(float(value), known, n=len(rows), clusters=clusters)
