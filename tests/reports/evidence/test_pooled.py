"""Pooling: coins that move together are one witness."""

from __future__ import annotations

import numpy as np
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.pooled import Scores, forest


def test_copies_of_one_coin_are_no_more_evidence() -> None:
    """Ten copies of the same series pooled give the interval of one, not a tenth of its variance."""
    rng = np.random.default_rng(5)
    days = np.repeat(np.arange(60), 4)
    value = rng.normal(0.1, 1.0, 240)
    once = forest({"A": Scores(value, days)}, rng=np.random.default_rng(1))
    copies = {f"C{i}": Scores(value, days) for i in range(10)}
    often = forest(copies, rng=np.random.default_rng(1))
    assert often.pooled.value == pytest.approx(once.pooled.value)
    width = often.pooled.high - often.pooled.low
    assert width == pytest.approx(once.pooled.high - once.pooled.low, rel=0.15)
    assert often.spread == pytest.approx(0.0, abs=1e-12)


def test_independent_coins_narrow_the_interval() -> None:
    """Nine independent coins on other days make the interval about a third as wide."""
    rng = np.random.default_rng(6)
    coins = {
        f"C{i}": Scores(rng.normal(0.0, 1.0, 200), np.arange(200) + 1000 * i) for i in range(9)
    }
    found = forest(coins, rng=rng)
    widths = [effect.high - effect.low for effect in found.each.values()]
    ratio = (found.pooled.high - found.pooled.low) / np.mean(widths)
    assert ratio == pytest.approx(1.0 / 3.0, rel=0.15)
    assert list(found.each) == list(coins)


def test_nothing_to_pool_is_an_error() -> None:
    """Without an instrument there is nothing to say."""
    with pytest.raises(InputError, match="no instrument"):
        forest({}, rng=np.random.default_rng(1))
