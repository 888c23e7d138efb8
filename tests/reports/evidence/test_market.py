"""The facts that everyone knows: against pandas, without the future, over gaps."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.market import (
    EvidenceMarket,
    bars_in,
    day_of,
    forward_returns,
    known_facts,
    sliced,
    volatility,
)


def test_facts_equal_pandas(null_world: EvidenceMarket) -> None:
    """Trailing returns, averages and volatility are what pandas computes."""
    panel = null_world.panel
    close = pd.Series(np.log(panel.close))
    facts = known_facts(panel)
    assert np.allclose(facts.return_4h, close.diff(48), equal_nan=True)
    assert np.allclose(facts.over_average_24h, close - close.rolling(288).mean(), equal_nan=True)
    expected = (close.diff() ** 2).rolling(288).mean() ** 0.5
    assert np.allclose(facts.volatility, expected, equal_nan=True)
    assert facts.known().sum() == len(panel) - 2016


def test_one_unknown_close_is_forgotten_again(null_world: EvidenceMarket) -> None:
    """As in pandas: unknown while the hole lies within the average, known before and after."""
    panel = null_world.panel
    close = np.where(np.arange(len(panel)) == 3000, np.nan, panel.close)
    facts = known_facts(replace(panel, close=close))
    logs = pd.Series(np.log(close))
    assert np.allclose(facts.over_average_24h, logs - logs.rolling(288).mean(), equal_nan=True)
    assert np.isfinite(facts.over_average_168h[5100:]).all()


def test_facts_do_not_know_the_future(null_world: EvidenceMarket) -> None:
    """Cutting the future off changes no fact before the cut."""
    whole = known_facts(null_world.panel)
    for cut in (300, 2500, 4001):
        part = known_facts(null_world.panel.slice(0, cut))
        for name in whole._fields:
            assert np.array_equal(
                getattr(part, name), getattr(whole, name)[:cut], equal_nan=True
            ), name


def test_forward_returns_end_at_gaps(null_world: EvidenceMarket) -> None:
    """A horizon that runs over missing bars has no outcome; others are the plain log return."""
    panel = null_world.panel
    kept = np.r_[0:100, 110:200]
    columns = {
        f.name: getattr(panel, f.name)[kept]
        for f in fields(panel)
        if isinstance(getattr(panel, f.name), np.ndarray)
    }
    broken = replace(panel, **columns)
    forward = forward_returns(broken, 12)
    assert np.isnan(forward[88:100]).all()
    assert np.isnan(forward[-12:]).all()
    assert forward[0] == pytest.approx(np.log(panel.close[12] / panel.close[0]))
    assert np.isfinite(forward).sum() == 190 - 24


def test_days_end_at_midnight(null_world: EvidenceMarket) -> None:
    """The bar that closes at midnight belongs to the day that ends."""
    days = day_of(null_world.panel)
    assert (np.bincount(days - days[0]) == 288).all()


def test_horizons_are_counted_in_bars(null_world: EvidenceMarket) -> None:
    """An hour is twelve bars of five minutes, and never less than one bar."""
    assert bars_in(null_world.panel, 1) == 12
    assert bars_in(null_world.panel, 0.01) == 1


def test_still_prices_have_no_volatility() -> None:
    """Where price stood still there is no unit to measure moves in."""
    panel = random_panel(600, seed=1)
    still = np.full(600, 100.0)
    assert np.isnan(volatility(replace(panel, close=still))).all()


def test_map_and_bars_must_match(null_world: EvidenceMarket) -> None:
    """A map over other bars is refused; slices fit."""
    with pytest.raises(InputError, match="the map has 10 bars"):
        EvidenceMarket(
            panel=null_world.panel,
            features=null_world.features.slice(0, 10),
            instrument=null_world.instrument,
        )
    assert len(sliced(null_world, 5, 25).panel) == 20
