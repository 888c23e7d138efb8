"""The flow after swept liquidations: found where it is planted, and not where bars alone explain it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.flow import (
    FLOW_HOURS,
    FlowEvidence,
    far_controls,
    flow_evidence,
    flow_size,
    known_controls,
    partial_scores,
    printed_flow,
    signed_flow,
    way_controls,
    way_correlations,
    way_scores,
)
from liqtiers.reports.evidence.market import EvidenceMarket, sliced


@pytest.fixture(name="moved", scope="module")
def of_impact_world(impact_world: EvidenceMarket) -> FlowEvidence:
    """The evidence of a world in which forced orders move price strongly."""
    return flow_evidence(impact_world, rng=np.random.default_rng(1))


@pytest.fixture(name="still", scope="module")
def of_null_world(null_world: EvidenceMarket) -> FlowEvidence:
    """The evidence of a world in which they move nothing."""
    return flow_evidence(null_world, rng=np.random.default_rng(1))


def test_scores_average_to_the_partial_correlation() -> None:
    """Their mean is Pearson's correlation of what least squares leaves of the two."""
    rng = np.random.default_rng(2)
    controls = rng.normal(size=(500, 3))
    signal = controls @ [1.0, -1.0, 0.0] + rng.normal(size=500)
    outcome = controls @ [0.5, 0.0, 1.0] + 0.3 * signal + rng.normal(size=500)
    outcome[::50] = np.nan
    scores = partial_scores(signal, outcome, np.column_stack([controls, np.ones(500)]))
    rows = np.flatnonzero(np.isfinite(outcome))
    design = np.column_stack([np.ones(len(rows)), controls[rows]])
    left = [
        column[rows] - design @ np.linalg.lstsq(design, column[rows], rcond=None)[0]
        for column in (signal, outcome)
    ]
    assert np.array_equal(scores.rows, rows)
    assert scores.value.mean() == pytest.approx(pearsonr(*left).statistic)


def test_flow_is_in_hours_of_trading(null_world: EvidenceMarket) -> None:
    """Its square is shorts less longs over the hourly volume, with the sign of the larger side."""
    features = null_world.features
    net = features.predicted_short_liquidations - features.predicted_long_liquidations
    flow, known = signed_flow(features), np.isfinite(features.hourly_quote_volume)
    assert np.allclose((np.sign(flow) * flow**2 * features.hourly_quote_volume)[known], net[known])
    assert (flow_size(features)[known] >= np.abs(flow[known]) - 1e-15).all()
    assert set(np.sign(flow[known])) == {-1.0, 0.0, 1.0}


def test_true_liquidations_are_followed(moved: FlowEvidence) -> None:
    """Where forced orders move price, price goes on to the side of those that were printed (one-sided 5 %).

    In twenty days the map's own flow leans there too, but only longer markets tell it from chance.
    """
    quarter, hour = moved.horizons[:2]
    assert quarter.hours == 0.25
    assert hour.way.value > 0.0
    for skill in (quarter, hour):
        assert skill.prints is not None
        assert skill.prints.value > 0.0
        assert skill.prints.p < 0.10


def test_nothing_is_found_where_nothing_is(still: FlowEvidence) -> None:
    """Where they move nothing no horizon is significant after Holm's correction."""
    for name in ("way", "far", "given_all"):
        p = [getattr(skill, name).p for skill in still.horizons]
        assert min(p) > 0.05 / len(p), name
    assert [skill.hours for skill in still.horizons] == list(FLOW_HOURS)
    assert 0.2 < still.swept < 1.0


def test_a_flow_that_is_the_bars_own_return_says_nothing(null_world: EvidenceMarket) -> None:
    """What own return, range and lags explain is taken out: momentum of one bar is no flow."""
    rng = np.random.default_rng(3)
    controls = way_controls(null_world.panel)
    own = controls[:, 0]
    noise = rng.normal(size=len(own))
    outcome = 0.5 * own + rng.normal(size=len(own))
    scores = partial_scores(own + own * np.abs(own) + 0.5 * noise, outcome, controls)
    assert abs(scores.value.mean()) < 4.0 / np.sqrt(len(scores.rows))
    alone = partial_scores(own + 0.5 * noise, outcome, np.ones((len(own), 1)))
    assert alone.value.mean() > 0.3


def test_a_flow_beyond_the_bar_is_kept(null_world: EvidenceMarket) -> None:
    """A return that follows the flow itself is found, at the size that was planted."""
    flow, rng = signed_flow(null_world.features), np.random.default_rng(4)
    outcome = 0.2 * flow / np.nanstd(flow) + rng.normal(size=len(flow))
    scores = partial_scores(flow, outcome, known_controls(null_world.panel))
    assert scores.value.mean() > 6.0 / np.sqrt(len(scores.rows))


def test_claims_scores_are_those_tested(moved: FlowEvidence, impact_world: EvidenceMarket) -> None:
    """The scores that can be tested without some days average to the effect that is shown."""
    scores = way_scores(impact_world, 1)
    assert scores.value.mean() == pytest.approx(moved.horizons[1].way.value)
    assert len(scores.rows) == moved.horizons[1].way.n
    values = way_correlations(impact_world, FLOW_HOURS)
    assert np.allclose(values, [skill.way.value for skill in moved.horizons])


def test_markets_without_prints_have_no_literal_control(null_world: EvidenceMarket) -> None:
    """Where nothing is printed, or all prints are nothing, the rows of prints are left out."""
    bars = len(null_world.panel)
    for value in (np.nan, 0.0):
        empty = np.full(bars, value)
        panel = replace(null_world.panel, long_liquidations=empty, short_liquidations=empty)
        assert printed_flow(panel, null_world.features) is None
    found = flow_evidence(replace(null_world, panel=panel), rng=np.random.default_rng(1))
    assert all(skill.prints is None and skill.beyond_prints is None for skill in found.horizons)


def test_prints_summed_over_hours_are_no_control(null_world: EvidenceMarket) -> None:
    """Sums over four hours say nothing about a bar of five minutes; single orders and its own sums do."""
    panel, features = null_world.panel, null_world.features
    for timeframe, wanted in (("4h", False), ("5m", True), ("events", True)):
        sources = {**panel.sources, "liquidations": (f"simulated:SIMUSDT:{timeframe}",)}
        found = printed_flow(replace(panel, sources=sources), features)
        assert (found is not None) == wanted, timeframe


def test_controls_are_what_pandas_computes(null_world: EvidenceMarket) -> None:
    """Own return, reach and lag are of the log close before, in units of the day's volatility."""
    panel = null_world.panel
    close = pd.Series(np.log(panel.close))
    unit = (close.diff() ** 2).rolling(288).mean() ** 0.5
    controls = way_controls(panel)[3000:]
    assert np.allclose(controls[:, 0], (close.diff() / unit)[3000:])
    assert np.allclose(controls[:, 1], ((np.log(panel.high) - close.shift()) / unit)[3000:])
    assert np.allclose(controls[:, 2], ((np.log(panel.low) - close.shift()) / unit)[3000:])
    assert np.allclose(controls[:, 7], (close.diff() / unit).shift(2)[3000:])


@pytest.mark.parametrize("cut", [2500, 4001])
def test_flow_and_controls_do_not_know_the_future(null_world: EvidenceMarket, cut: int) -> None:
    """Cutting the future off changes no signal and no control before the cut."""
    part = sliced(null_world, 0, cut)

    def columns(market: EvidenceMarket) -> np.ndarray:
        panel, features = market.panel, market.features
        return np.column_stack(
            [
                signed_flow(features),
                flow_size(features),
                printed_flow(panel, features),
                known_controls(panel),
                far_controls(panel, features),
            ]
        )

    assert np.array_equal(columns(part), columns(null_world)[:cut], equal_nan=True)


def test_too_short_a_market_is_refused(null_world: EvidenceMarket) -> None:
    """Without a hundred bars to compare there is one clear line."""
    with pytest.raises(InputError, match="at least 100 are needed: take a longer period"):
        flow_evidence(sliced(null_world, 0, 320), rng=np.random.default_rng(1))
