"""What price does after it has swept predicted liquidations: whether it goes on, and how far.

A bar whose range reached predicted liquidations had forced orders in it, if the map is right: buys of
shorts, sells of longs. If these move price beyond the bar, the return after it leans to their side. The
bar's own return and range and the hour before say much the same and are taken out first; what remains is
the map's. One score a bar, summed by blocks of days, is tested against 0.

How far price goes is judged in the same way: the size of the move after the bar, against the size of what
was swept, beyond range, volume and volatility over several spans (Corsi, F. (2009). A simple approximate
long-memory model of realized volatility. Journal of Financial Econometrics 7, 174-196,
doi:10.1093/jjfinec/nbp001).

Printed liquidations of the same bar are the literal control: a map that says no more than they do is not
needed to trade what has already happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from ...datasets.calibration import longest_print_us
from ...datasets.errors import InputError
from ...datasets.map_features import Float64Array2D, MapFeatures
from ...datasets.panel import Float64Array1D, Int64Array1D, Panel
from .imbalance_statistics import horizons_of
from .inference import Effect, blocks_of, clustered_mean
from .market import (
    HORIZON_HOURS,
    EvidenceMarket,
    bars_in,
    day_of,
    forward_returns,
    known_facts,
    volatility,
)

FLOW_HOURS: Final = (0.25, *HORIZON_HOURS)
"""The quarter of an hour is an extra: forced orders act at once."""
_LAGS: Final = 3
_VOLATILITY_HOURS: Final = (1, 4)
_LEAST_BARS: Final = 100
_SMALLEST_VARIANCE: Final = 1e-4
_SMALLEST_MOVE: Final = 0.05
"""Added to a move, in volatility units, before its logarithm is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSkill:
    """What predicted liquidations of a bar said about the move over one horizon after it.

    Attributes
    ----------
    hours : float
    way : Effect
        Partial correlation of the signed flow with the return, in volatility units.
    given_all : Effect
        As `way`, with everything taken out that everyone knows: `known_controls`.
    far : Effect
        Partial correlation of the flow's size with the log size of the move.
    prints : Effect or None
        As `way`, of the liquidations that were printed; None where there are none.
    beyond_prints : Effect or None
        As `way`, with the prints taken out as well.
    """

    hours: float
    way: Effect
    given_all: Effect
    far: Effect
    prints: Effect | None
    beyond_prints: Effect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEvidence:
    """All that was found about the flow.

    Attributes
    ----------
    horizons : tuple of FlowSkill
        Over `FLOW_HOURS`, those shorter than a bar left out.
    swept : float
        Share of the bars in which anything was predicted to be liquidated.
    """

    horizons: tuple[FlowSkill, ...]
    swept: float


class Scores(NamedTuple):
    """One score a bar; their mean is the partial correlation.

    Attributes
    ----------
    rows : ndarray of int64, shape (k,)
        Bars of the panel.
    value : ndarray of float64, shape (k,)
        Product of the two residuals in units of their deviations.
    """

    rows: Int64Array1D
    value: Float64Array1D


def flow_evidence(market: EvidenceMarket, *, rng: np.random.Generator) -> FlowEvidence:
    """Judge what the map predicted to be liquidated against what price did next.

    Parameters
    ----------
    market : EvidenceMarket
    rng : numpy.random.Generator
        Draws the signs of the clusters.

    Raises
    ------
    InputError
        If fewer than 100 bars have all that is compared.

    Notes
    -----
    Look-ahead: a bar's flow is swept by its own range from the book as it stood before it, and known
    at its close, as are all that is taken out of it.
    """
    panel, features = market.panel, market.features
    way, known = way_controls(panel), known_controls(panel)
    far = far_controls(panel, features)
    signed, size = signed_flow(features), flow_size(features)
    printed = printed_flow(panel, features)
    skills = []
    for hours in horizons_of(panel, FLOW_HOURS):
        move = _moves(panel, hours)
        length = np.log(np.abs(move) + _SMALLEST_MOVE)

        def effect(
            signal: Float64Array1D,
            outcome: Float64Array1D,
            controls: Float64Array2D,
            hours: float = hours,
        ) -> Effect:
            return _effect(panel, partial_scores(signal, outcome, controls), hours, rng)

        skills.append(
            FlowSkill(
                hours=hours,
                way=effect(signed, move, way),
                given_all=effect(signed, move, known),
                far=effect(size, length, far),
                prints=None if printed is None else effect(printed, move, way),
                beyond_prints=(
                    None
                    if printed is None
                    else effect(signed, move, np.column_stack([way, printed]))
                ),
            )
        )
    return FlowEvidence(horizons=tuple(skills), swept=float((size > 0.0).mean()))


def way_scores(market: EvidenceMarket, hours: float) -> Scores:
    """Return the scores whose mean `FlowSkill.way` tests, for tests with some of the days left out."""
    return partial_scores(
        signed_flow(market.features), _moves(market.panel, hours), way_controls(market.panel)
    )


def way_correlations(market: EvidenceMarket, hours: Sequence[float]) -> Float64Array1D:
    """Return `FlowSkill.way` at several horizons without its test, to be compared with surrogates.

    Bars of real markets are followed by returns that depend on their shape in more ways than
    `way_controls` take out, and maps of paths that never were have the same: what counts is the rest.
    """
    signal, controls = signed_flow(market.features), way_controls(market.panel)
    return np.array(
        [
            partial_scores(signal, _moves(market.panel, each), controls).value.mean()
            for each in hours
        ]
    )


def partial_scores(
    signal: Float64Array1D, outcome: Float64Array1D, controls: Float64Array2D
) -> Scores:
    """Return the scores of a partial correlation, of the rows at which all is known.

    Parameters
    ----------
    signal, outcome : ndarray of float64, shape (n,)
    controls : ndarray of float64, shape (n, C)
        Taken out of both by least squares, with a constant.

    Raises
    ------
    InputError
        If fewer than 100 rows are known.
    """
    table = np.column_stack([signal, outcome, controls])
    rows = np.flatnonzero(np.isfinite(table).all(axis=1))
    if len(rows) < _LEAST_BARS:
        raise InputError(
            f"{len(rows)} bars have predicted liquidations, a week before them and the move after "
            f"them, at least {_LEAST_BARS} are needed: take a longer period"
        )
    table = table[rows] - table[rows].mean(axis=0)
    scale = table.std(axis=0)
    table /= np.where(scale > 0.0, scale, 1.0)
    pair, taken = table[:, :2], table[:, 2:]
    # Constant or repeated controls make this singular: the pseudo-inverse leaves them out.
    weights = np.linalg.pinv(taken.T @ taken, 1e-10, hermitian=True) @ (taken.T @ pair)
    left = pair - taken @ weights
    size = left.std(axis=0)
    return Scores(rows, left[:, 0] * left[:, 1] / (size[0] * size[1]))


def signed_flow(features: MapFeatures) -> Float64Array1D:
    """Return shorts' less longs' predicted liquidations in hours of trading, signed square root, (n,)."""
    return _signed_root(
        features.predicted_short_liquidations - features.predicted_long_liquidations,
        features.hourly_quote_volume,
    )


def flow_size(features: MapFeatures) -> Float64Array1D:
    """Return both sides' predicted liquidations in hours of trading, square root, shape (n,)."""
    return _signed_root(
        features.predicted_short_liquidations + features.predicted_long_liquidations,
        features.hourly_quote_volume,
    )


def printed_flow(panel: Panel, features: MapFeatures) -> Float64Array1D | None:
    """Return what `signed_flow` would be of printed liquidations.

    None where there are too few, and where they come in sums over more than a bar, which say nothing
    about one.
    """
    net = panel.short_liquidations - panel.long_liquidations
    coarse = longest_print_us(panel) > panel.bar_us
    if coarse or np.isfinite(net).sum() < _LEAST_BARS or not np.nanstd(net) > 0.0:
        return None
    return _signed_root(net, features.hourly_quote_volume)


def way_controls(panel: Panel) -> Float64Array2D:
    """Return what the last hour says about direction without a map, shape (n, C).

    The bar's own return and how far it went either way, with their signed squares, the returns of the
    three bars and of the hour before its close, in volatility units, and the time.
    """
    facts = known_facts(panel)
    unit = facts.volatility
    own, up, down = (part / unit for part in _own_bar(panel))
    before = [_lagged(own, lag) for lag in range(1, _LAGS + 1)]
    time = [facts.hour_sine, facts.hour_cosine, facts.week_sine, facts.week_cosine]
    shape = [own, up, down, own * np.abs(own), up * up, down * down]
    return np.column_stack([*shape, *before, facts.return_1h / unit, *time])


def known_controls(panel: Panel) -> Float64Array2D:
    """Return `way_controls` and the slower facts, up to a week's trend, and funding, shape (n, C).

    In a sample of a few weeks such slow facts look as if price returned to them, which it does in every
    sample, and taking them out costs power; so the claim is made without them and has to hold with them.
    """
    facts = known_facts(panel)
    slow = [
        *(facts.return_4h, facts.return_24h, facts.return_168h),
        *(facts.over_average_24h, facts.over_average_72h, facts.over_average_168h),
    ]
    return np.column_stack(
        [way_controls(panel), *(fact / facts.volatility for fact in slow), facts.funding]
    )


def far_controls(panel: Panel, features: MapFeatures) -> Float64Array2D:
    """Return what tells the size of a move without a map, shape (n, C), even in its direction.

    Volatility over an hour, four and a day, the bar's own return and range with its square, the distance
    from the average price, its volume, and the time.
    """
    facts = known_facts(panel)
    unit = facts.volatility
    own, up, down = (part / unit for part in _own_bar(panel))
    square = np.square(np.diff(np.log(panel.close), prepend=np.nan))
    recent = [
        0.5 * np.log(_mean(square, bars_in(panel, hours)) / np.square(unit) + _SMALLEST_VARIANCE)
        for hours in _VOLATILITY_HOURS
    ]
    away = [facts.return_24h, facts.over_average_24h, facts.over_average_168h]
    volume = np.log1p(panel.quote_volume / features.hourly_quote_volume)
    time = [facts.hour_sine, facts.hour_cosine, facts.week_sine, facts.week_cosine]
    return np.column_stack(
        [
            *(np.log(unit), *recent, volume, *time),
            *(np.abs(own), up - down, np.square(up - down), np.log1p(up - down)),
            *(np.abs(part) / unit for part in away),
        ]
    )


def _moves(panel: Panel, hours: float) -> Float64Array1D:
    """Return the return after each bar in units of what is usual over so long."""
    bars = bars_in(panel, hours)
    moves: Float64Array1D = forward_returns(panel, bars) / (volatility(panel) * np.sqrt(bars))
    return moves


def _effect(panel: Panel, scores: Scores, hours: float, rng: np.random.Generator) -> Effect:
    cluster = blocks_of(day_of(panel)[scores.rows], hours / 24.0)
    return clustered_mean(scores.value, cluster, rng=rng)


def _own_bar(panel: Panel) -> Sequence[Float64Array1D]:
    """Return each bar's return, and how far it went up and down, from the close before; log price."""
    before = np.log(np.concatenate([panel.open[:1], panel.close[:-1]]))
    return [np.log(price) - before for price in (panel.close, panel.high, panel.low)]


def _mean(square: Float64Array1D, bars: int) -> Float64Array1D:
    mean = np.asarray(pd.Series(square).rolling(bars).mean(), dtype=np.float64)
    return np.maximum(mean, 0.0)  # a running sum of squares may end a little below


def _lagged(values: Float64Array1D, lag: int) -> Float64Array1D:
    return np.concatenate([np.full(lag, np.nan), values[:-lag]])


def _signed_root(value: Float64Array1D, hourly: Float64Array1D) -> Float64Array1D:
    root: Float64Array1D = np.sign(value) * np.sqrt(np.abs(value) / hourly)
    return root
