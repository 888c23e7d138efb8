"""The imbalance as a signal: against alphalens, against planted effects, and against its own surrogates."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.liquidation_map import MapParameters
from liqtiers.datasets.panel import PRICE_COLUMNS
from liqtiers.reports.evidence.imbalance import ImbalanceEvidence, imbalance_evidence
from liqtiers.reports.evidence.imbalance_statistics import (
    DECAY_HOURS,
    broke_an_edge,
    horizons_of,
    imbalance_statistics,
    parts_kept,
    samples_of,
)
from liqtiers.reports.evidence.inference import Effect
from liqtiers.reports.evidence.map_recipe import MapRecipe
from liqtiers.reports.evidence.market import (
    EvidenceMarket,
    forward_returns,
    known_facts,
    sliced,
)
from liqtiers.reports.evidence.price_twin import matched_to
from liqtiers.reports.evidence.surrogates import null_markets
from liqtiers.reports.rank_statistics import partial_rank_correlation

RECIPE = MapRecipe(parameters=MapParameters())
WEEK = 7 * 288


def nulls(market: EvidenceMarket, count: int = 12) -> Iterator[EvidenceMarket]:
    return null_markets(market, RECIPE, rng=np.random.default_rng(1), count=count)


@pytest.fixture(name="found", scope="module")
def of_null_world(null_world: EvidenceMarket) -> ImbalanceEvidence:
    """The evidence of a world in which the imbalance predicts nothing."""
    return imbalance_evidence(null_world, nulls(null_world), rng=np.random.default_rng(2))


def hourly_frame(market: EvidenceMarket) -> pd.DataFrame:
    """Return imbalance and forward returns of the hourly bars that have a week before them."""
    columns = {"factor": market.log_imbalance()}
    for hours in (1, 4, 24):
        columns[f"{hours}h"] = forward_returns(market.panel, 12 * hours)
    twin = matched_to(
        market.panel, known_facts(market.panel).over_average_72h, market.log_imbalance()
    )
    rows = np.arange(11, len(market.panel), 12)
    rows = rows[np.isfinite(twin[rows]) & known_facts(market.panel).known()[rows]]
    return pd.DataFrame(columns).iloc[rows]


def test_coefficients_and_quantiles_equal_alphalens(
    found: ImbalanceEvidence, null_world: EvidenceMarket
) -> None:
    """Information coefficients and mean returns by quantile are those of alphalens, bars as its assets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # alphalens is written for older pandas
        from alphalens import performance, utils

        frame = hourly_frame(null_world)
        frame.index = pd.MultiIndex.from_product(
            [[pd.Timestamp("2024-01-01")], [f"bar {k}" for k in range(len(frame))]],
            names=["date", "asset"],
        )
        for hours in (1, 4, 24):
            returns = frame[[f"{hours}h"]].dropna()
            factor = frame["factor"] if hours == 1 else frame["factor"].loc[returns.index]
            table = utils.get_clean_factor(factor, returns, quantiles=5, max_loss=1.0)
            (skill,) = [h for h in found.horizons if h.hours == hours]
            coefficient = performance.factor_information_coefficient(table).iloc[0, 0]
            assert skill.information == pytest.approx(coefficient, abs=1e-9)
            # Ours are quantiles of all bars, whether or not their outcome is known.
            table["factor_quantile"] = (
                pd.qcut(frame["factor"], 5, labels=False).loc[table.index] + 1
            )
            expected = performance.mean_return_by_quantile(table, demeaned=False)[0].iloc[:, 0]
            ours = [q.mean.value for q in found.quantiles if q.hours == hours]
            assert np.allclose(ours, expected.to_numpy(), atol=1e-12)


def test_hits_are_counted_against_chance(
    found: ImbalanceEvidence, null_world: EvidenceMarket
) -> None:
    """The hit rate is the share of bars after which price went to the larger side."""
    frame = hourly_frame(null_world)
    known = frame["4h"].dropna()
    known = known[known != 0.0]
    larger = frame["factor"].loc[known.index] > 0
    (skill,) = [h for h in found.horizons if h.hours == 4]
    assert skill.hit_rate == pytest.approx(((known > 0) == larger).mean())
    independent = (known > 0).mean() * larger.mean() + (known <= 0).mean() * (~larger).mean()
    assert skill.base_rate == pytest.approx(independent)


def test_partial_coefficient_takes_out_facts_and_twin(null_world: EvidenceMarket) -> None:
    """It is the partial rank correlation given the twin and all known facts, where all is known."""
    panel = null_world.panel
    facts = known_facts(panel)
    signal = null_world.log_imbalance()
    controls = [matched_to(panel, facts.over_average_72h, signal), *facts]
    outcome = forward_returns(panel, 12)
    rows = np.arange(11, len(panel) - 12, 12)
    rows = rows[np.isfinite(np.stack([signal, *controls])[:, rows]).all(axis=0)]
    expected = partial_rank_correlation(
        signal[rows], outcome[rows], [c[rows] for c in controls if np.ptp(c[rows]) > 0]
    )
    # Ours ranks the signal among one bar more, whose outcome is not known.
    assert imbalance_statistics(null_world).partial[0] == pytest.approx(expected, abs=2e-3)


def test_effects_are_distances_from_surrogates(
    found: ImbalanceEvidence, null_world: EvidenceMarket
) -> None:
    """Each effect is the statistic less the mean of those on the surrogate paths."""
    real = imbalance_statistics(null_world)
    others = [imbalance_statistics(null) for null in nulls(null_world)]
    for k, skill in enumerate(found.horizons):
        for name in ("raw", "partial", "hits", "spread"):
            mean = np.mean([getattr(other, name)[k] for other in others])
            effect: Effect = getattr(skill, name)
            assert effect.value == pytest.approx(getattr(real, name)[k] - mean)
    assert found.surrogates == 12
    assert [skill.hours for skill in found.horizons] == list(DECAY_HOURS)


def test_parts_are_halves_and_all_but_the_best_days(null_world: EvidenceMarket) -> None:
    """The halves share no row, and the days left out are the three that added most to the coefficient."""
    sample = samples_of(null_world)[0]
    known, products = sample.ranks.products(0)
    assert np.sign(products.sum()) == np.sign(sample.ranks.partial(0))
    first, second, without_best = parts_kept(sample, 0, 1)
    assert not (first & second).any()
    assert np.array_equal(np.flatnonzero(first | second), known)
    sums = pd.Series(np.sign(products.sum()) * products).groupby(sample.day[known]).sum()
    best = sums.nlargest(3).index
    assert set(sample.day[known]) - set(sample.day[without_best]) == set(best)


def test_nothing_is_found_where_nothing_is(found: ImbalanceEvidence) -> None:
    """In a world without impact no claimed horizon is significant after Holm's correction for three."""
    assert min(h.partial.p for h in found.horizons if h.hours in (1, 4, 24)) > 0.05 / 3


def test_a_planted_effect_is_found(null_world: EvidenceMarket) -> None:
    """An imbalance that was told the next hours' returns stands out from its surrogates."""
    ahead = np.nan_to_num(forward_returns(null_world.panel, 48))
    told = null_world.features.imbalance * np.exp(40.0 * ahead)[:, np.newaxis]
    market = replace(null_world, features=replace(null_world.features, imbalance=told))
    found = imbalance_evidence(market, nulls(null_world), rng=np.random.default_rng(3))
    by_hours = {skill.hours: skill for skill in found.horizons}
    assert by_hours[4].partial.p < 0.01
    assert by_hours[4].partial.value > 0.1
    assert by_hours[4].spread.low > 0.0
    means = [q.mean.value for q in found.quantiles if q.hours == 4]
    assert means[-1] > means[0]


def test_breaks_are_closes_beyond_tiers_that_stood_before(null_world: EvidenceMarket) -> None:
    """A bar broke an edge if it closed beyond the nearest tier of the bar before, either way."""
    broke, panel, features = broke_an_edge(null_world), null_world.panel, null_world.features
    for bar in np.random.default_rng(4).integers(1, len(panel), 300):
        up = panel.close[bar] >= features.above.lower[bar - 1, 0]
        down = panel.close[bar] <= features.below.upper[bar - 1, 0]
        assert broke[bar] == (up or down)
    assert 0.0 < broke.mean() < 0.5


def test_conditions_are_all_shown(found: ImbalanceEvidence) -> None:
    """Each regime and the bars that broke an edge have an effect at each claimed horizon."""
    kinds = {(row.kind, row.label) for row in found.regimes}
    assert {kind for kind, _ in kinds} == {"year", "volatility", "trend", "funding", "week"}
    assert len(found.regimes) == 3 * len(kinds)
    week = [row.partial.n for row in found.regimes if row.kind == "week" and row.hours == 1]
    assert sum(week) == found.bars
    assert [row.hours for row in found.started] == [1, 4, 24]
    assert all(np.isfinite(row.partial.value) for row in found.started[:2])


def test_statistics_use_no_later_bar(null_world: EvidenceMarket) -> None:
    """What happens after the last outcome changes nothing: later prices are not looked at."""
    cut = 4000
    changed = null_world.panel
    scale = np.where(np.arange(len(changed)) < cut, 1.0, 1.3)
    prices = {name: getattr(changed, name) * scale for name in PRICE_COLUMNS}
    other = replace(null_world, panel=replace(changed, **prices))
    one, two = (imbalance_statistics(sliced(market, 0, cut)) for market in (null_world, other))
    for name in one._fields:
        assert np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True), name


def test_horizons_shorter_than_a_bar_are_left_out(null_world: EvidenceMarket) -> None:
    """On daily bars only horizons of a day or more are judged."""
    daily = replace(null_world.panel, timeframe="1d")
    assert horizons_of(daily, DECAY_HOURS) == [24, 72, 168]


def test_too_short_a_market_is_refused(null_world: EvidenceMarket) -> None:
    """Fewer than a hundred bars with a week before them are one clear line."""
    with pytest.raises(InputError, match="at least 100 are needed: take a longer period"):
        imbalance_statistics(sliced(null_world, 0, WEEK + 600))


def test_results_are_frozen(found: ImbalanceEvidence) -> None:
    """Nobody can change a figure once it was computed."""
    for row in (found, found.horizons[0], found.quantiles[0], found.regimes[0]):
        with pytest.raises(AttributeError):
            setattr(row, fields(row)[0].name, None)
