"""Conventions: every defensible map, measured alike, and how far they agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from liqtiers.datasets.calibration import PRINTED, Calibration
from liqtiers.datasets.liquidation_map import MapParameters, build_map
from liqtiers.reports.evidence.conventions import (
    CHURNS,
    HALF_LIVES_HOURS,
    WINDOWS,
    Conventions,
    compare_conventions,
)
from liqtiers.reports.evidence.map_recipe import MapRecipe
from liqtiers.reports.evidence.market import EvidenceMarket, forward_returns, sliced

RECIPE = MapRecipe(parameters=MapParameters())


@pytest.fixture(name="found", scope="module")
def conventions(null_world: EvidenceMarket) -> Conventions:
    """All conventions of the world without impact, with a calibration that was made up."""
    shares = RECIPE.parameters.mix
    fitted = Calibration(
        target=PRINTED,
        leverages=RECIPE.parameters.leverages,
        fitted_us=null_world.panel.ts[:1],
        mix=np.array([[shares, shares]]),
        churn=np.array([0.3]),
        periods=np.array([0]),
    )
    return compare_conventions(null_world, replace(RECIPE, calibration=fitted))


def test_each_convention_is_the_map_made_so(found: Conventions, null_world: EvidenceMarket) -> None:
    """The grid is mixes, churns and half-lives by window, and a cell is what `build_map` measures."""
    assert len(found.rows) == (1 + len(CHURNS) + len(HALF_LIVES_HOURS)) * len(WINDOWS)
    assert len({(row.name, row.window) for row in found.rows}) == len(found.rows)
    cells = {(row.name, row.window): row for row in found.rows}
    slow = build_map(null_world.panel, null_world.instrument, parameters=MapParameters(churn=0.1))
    last = np.arange(287, len(null_world.panel), 288)
    cell = cells["prior mix, churn 0.1", 0.25]
    assert np.allclose(np.exp(cell.log_ratio), slow.features.imbalance[last, 2])
    assert np.array_equal(found.ts, null_world.panel.close_ts[last])
    own, prior = cells["fitted mix and churn", 0.05], cells["prior mix, churn 0.3", 0.05]
    assert np.allclose(own.log_ratio, prior.log_ratio)  # the made-up fit is the prior


def test_information_is_the_hourly_rank_correlation(
    found: Conventions, null_world: EvidenceMarket
) -> None:
    """A cell's coefficient is scipy's rank correlation of the hourly imbalance with the day after."""
    (cell,) = [r for r in found.rows if r.name == "prior mix, churn 0.3" and r.window == 0.1]
    imbalance = null_world.features.imbalance[11::12, 1]
    forward = forward_returns(null_world.panel, 288)[11::12]
    known = np.isfinite(forward)
    expected = spearmanr(imbalance[known], forward[known]).statistic
    assert cell.information == pytest.approx(expected)
    low, high = found.information_range
    assert low <= expected <= high
    assert low < high


def test_measures_agree_on_sign_and_order(found: Conventions) -> None:
    """The share is the hyperbolic tangent of half the log ratio."""
    for row in found.rows:
        assert np.allclose(row.share, np.tanh(row.log_ratio / 2.0), equal_nan=True)


def test_disagreement_is_counted_by_moment(found: Conventions) -> None:
    """Range and divided signs of each day are those of the cells, and a flip is any division."""
    logs = np.stack([row.log_ratio for row in found.rows])
    assert np.array_equal(found.lowest, logs.min(axis=0))
    assert np.allclose(found.middle, np.median(logs, axis=0))
    for day in range(logs.shape[1]):
        up = int((logs[:, day] > 0).sum())
        assert found.divided[day] == pytest.approx(min(up, len(logs) - up) / len(logs))
    divided = [len(set(np.sign(logs[:, day]))) > 1 for day in range(logs.shape[1])]
    assert found.flips == pytest.approx(np.mean(divided))
    assert found.flips > 0.0


def test_imbalances_do_not_know_the_future(found: Conventions, null_world: EvidenceMarket) -> None:
    """Cutting the future off changes no imbalance of the days before, by any convention."""
    early = compare_conventions(sliced(null_world, 0, 10 * 288), RECIPE)
    cells = {(row.name, row.window): row for row in found.rows}
    assert len(early.rows) == (len(CHURNS) + len(HALF_LIVES_HOURS)) * len(WINDOWS)
    for row in early.rows:
        whole = cells[row.name, row.window].log_ratio
        assert np.array_equal(row.log_ratio, whole[:10])


def test_imported_maps_have_their_windows_alone(null_world: EvidenceMarket) -> None:
    """A map that cannot be rebuilt is compared over its own windows."""
    found = compare_conventions(null_world, None)
    assert [(row.name, row.window) for row in found.rows] == [
        ("imported", window) for window in null_world.features.windows
    ]
