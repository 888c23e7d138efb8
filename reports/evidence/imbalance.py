"""The imbalance as a signal: whether more above than below says which way price goes.

Judged by the rank correlation of the log imbalance with forward returns (the information coefficient), raw
and after the price-only twin and what everyone knows are taken out, and by returns by quantile and hits
against their base rate. Each is compared with what it is on paths where nothing can be predicted
(`surrogates`), since an imbalance made of past prices correlates with later returns by itself.

Horizons overlap, which those of the surrogates do as well; quantiles' intervals go by blocks of days.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...datasets.map_features import Float64Array2D
from ...datasets.panel import Float64Array1D, Int64Array1D
from .imbalance_statistics import (
    DECAY_HOURS,
    QUANTILES,
    Sample,
    Statistics,
    hit_rates,
    horizons_of,
    imbalance_statistics,
    parts_kept,
    quantile_groups,
    samples_of,
    statistics_of,
)
from .inference import Effect, blocks_of, clustered_mean, surrogate_effect
from .market import HORIZON_HOURS, EvidenceMarket
from .robustness import Robustness


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
    robust : tuple of Robustness
        Of the partial coefficient at each of the claims' horizons.
    bars : int
        Bars that were looked at.
    surrogates : int
    """

    horizons: tuple[HorizonSkill, ...]
    quantiles: tuple[QuantileReturn, ...]
    started: tuple[Conditional, ...]
    regimes: tuple[Conditional, ...]
    robust: tuple[Robustness, ...]
    bars: int
    surrogates: int


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
    sample, started, regimes = samples_of(market)
    real = statistics_of(sample, started, regimes)
    others = [imbalance_statistics(null) for null in nulls]
    null = Statistics(*(np.array(column) for column in zip(*others, strict=True)))
    hours = horizons_of(market.panel, DECAY_HOURS)
    claims = horizons_of(market.panel, HORIZON_HOURS)
    return ImbalanceEvidence(
        horizons=tuple(_skill(sample, k, hours[k], real, null) for k in range(len(hours))),
        quantiles=tuple(
            row for h in claims for row in _quantile_returns(sample, hours.index(h), h, rng)
        ),
        started=tuple(
            Conditional(
                kind="bars",
                label="broke a tier's edge",
                hours=h,
                partial=_against(real.started[k], null.started[:, k], started.day, hours=h),
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
                    sample.day[regime.bars[sample.rows]],
                    hours=h,
                ),
            )
            for j, regime in enumerate(regimes)
            for k, h in enumerate(claims)
        ),
        robust=tuple(
            _robustness(sample, hours.index(h), h, real.parts[:, k], null.parts[:, :, k])
            for k, h in enumerate(claims)
        ),
        bars=len(sample.rows),
        surrogates=len(others),
    )


def _robustness(
    sample: Sample, horizon: int, hours: float, real: Float64Array1D, null: Float64Array2D
) -> Robustness:
    effects = [
        _against(real[j], null[:, j], sample.day[kept], hours=hours)
        for j, kept in enumerate(parts_kept(sample, horizon, hours))
    ]
    return Robustness(first_half=effects[0], second_half=effects[1], without_best=effects[2])


def _quantile_returns(
    sample: Sample,
    horizon: int,
    hours: float,
    rng: np.random.Generator,
) -> list[QuantileReturn]:
    outcome = sample.outcomes[:, horizon]
    group = quantile_groups(sample.imbalance)
    found = []
    for k in range(QUANTILES):
        inside = group == k
        known = np.isfinite(outcome) & inside
        cluster = blocks_of(sample.day[known], hours / 24.0)
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
    sample: Sample,
    horizon: int,
    hours: float,
    real: Statistics,
    null: Statistics,
) -> HorizonSkill:
    day = sample.day[np.isfinite(sample.outcomes[:, horizon])]

    def against(name: str) -> Effect:
        value, others = getattr(real, name)[horizon], getattr(null, name)[:, horizon]
        return _against(value, others, day, hours=hours)

    hit_rate, base_rate = hit_rates(sample, horizon)
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


def _against(value: float, null: Float64Array1D, day: Int64Array1D, *, hours: float) -> Effect:
    """Return the effect against surrogates; unknown where the statistic, or most of its null, is."""
    clusters = len(np.unique(blocks_of(day, hours / 24.0)))
    known = null[np.isfinite(null)]
    if not np.isfinite(value) or 2 * len(known) <= len(null):
        nan = float("nan")
        return Effect(value=nan, low=nan, high=nan, p=nan, n=len(day), clusters=clusters, mde=nan)
    return surrogate_effect(float(value), known, n=len(day), clusters=clusters)
