"""The raw coefficient by the stationary bootstrap and circular shifts: no surrogate paths, no verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from liqtiers.reports.evidence.market import EvidenceMarket, forward_returns
from liqtiers.reports.evidence.other_tests import other_tests
from liqtiers.reports.evidence.past_only import hourly_rows


def with_imbalance(market: EvidenceMarket, log_imbalance: np.ndarray) -> EvidenceMarket:
    """The market with one imbalance in all windows."""
    windows = len(market.features.windows)
    imbalance = np.repeat(np.exp(log_imbalance)[:, None], windows, axis=1)
    return replace(market, features=replace(market.features, imbalance=imbalance))


def test_the_value_is_scipys_once_an_hour(null_world: EvidenceMarket) -> None:
    """Spearman's correlation of imbalance and forward return at the hours where both are known."""
    rows = hourly_rows(null_world.panel)
    found = other_tests(null_world, rng=np.random.default_rng(1))
    assert [test.hours for test in found] == [1, 4, 24]
    for test, bars in zip(found, (12, 48, 288), strict=True):
        outcome = forward_returns(null_world.panel, bars)[rows]
        oracle = spearmanr(null_world.log_imbalance()[rows], outcome, nan_policy="omit").statistic
        assert test.value == pytest.approx(oracle, abs=1e-9)
        assert test.low < test.value < test.high


def test_knowledge_is_found_and_its_absence_is_not(null_world: EvidenceMarket) -> None:
    """An imbalance that is the next hour's return with noise is found by both; noise alone by neither."""
    rng = np.random.default_rng(2)
    ahead = np.nan_to_num(forward_returns(null_world.panel, 12))
    noise = rng.normal(0.0, ahead.std(), len(ahead))
    knowing = other_tests(with_imbalance(null_world, ahead + noise), rng=rng)[0]
    assert knowing.low > 0.5
    assert knowing.shift_p < 0.15  # 19 days to shift by: 2 of 20 is the least
    guessing = other_tests(with_imbalance(null_world, noise), rng=rng)[0]
    assert guessing.low < 0.0 < guessing.high
    assert guessing.shift_p > 0.15


def test_an_imbalance_that_never_changes_says_nothing(null_world: EvidenceMarket) -> None:
    """No correlation, and no error."""
    still = other_tests(
        with_imbalance(null_world, np.zeros(len(null_world.panel))), rng=np.random.default_rng(3)
    )
    assert all(test.value == 0.0 for test in still)
