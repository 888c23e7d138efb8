"""Regimes: by the calendar, by funding, by trend, and by volatility's own past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from builders import random_panel
from liqtiers.datasets.panel import Panel
from liqtiers.reports.evidence.market import known_facts
from liqtiers.reports.evidence.regimes import regimes_of


def panel_over_new_year() -> Panel:
    """Forty days from 20 December, funding that changes its sign half way."""
    panel = random_panel(40 * 288, seed=4)
    shift = pd.Timestamp("2023-12-20", tz="UTC") - pd.Timestamp("2024-01-01", tz="UTC")
    funding = np.where(np.arange(len(panel)) < 20 * 288, 1e-4, -1e-4)
    return replace(
        panel, ts=panel.ts + int(shift / pd.Timedelta(microseconds=1)), funding_rate=funding
    )


def test_calendar_regimes_follow_the_utc_day() -> None:
    """Years and weekends are those of the day that a bar belongs to, its closing midnight included."""
    panel = panel_over_new_year()
    bars = {(r.kind, r.label): r.bars for r in regimes_of(panel, known_facts(panel))}
    opens = pd.DatetimeIndex(panel.to_frame().index)
    assert np.array_equal(bars["year", "2023"], opens.year == 2023)
    assert np.array_equal(bars["year", "2024"], opens.year == 2024)
    assert np.array_equal(bars["week", "weekend"], opens.day_of_week >= 5)
    assert np.array_equal(bars["week", "working days"], opens.day_of_week < 5)


def test_state_regimes_follow_what_was_known() -> None:
    """Funding by its sign, trend by the weekly average, volatility by thirds of its past."""
    panel = panel_over_new_year()
    facts = known_facts(panel)
    bars = {(r.kind, r.label): r.bars for r in regimes_of(panel, facts)}
    assert np.array_equal(bars["funding", "longs pay"], panel.funding_rate > 0)
    assert np.array_equal(bars["funding", "shorts pay"], panel.funding_rate < 0)
    average = pd.Series(np.log(panel.close)).rolling(2016).mean().to_numpy()
    assert np.array_equal(bars["trend", "up"], np.log(panel.close) > average)
    thirds = [bars["volatility", label] for label in ("calm", "usual", "wild")]
    assert (sum(third.astype(int) for third in thirds)[2016:] == 1).all()
    means = [facts.volatility[third].mean() for third in thirds]
    assert means[0] < means[1] < means[2]


def test_regimes_do_not_know_the_future() -> None:
    """Cutting the future off changes no regime before the cut."""
    panel = panel_over_new_year()
    whole = regimes_of(panel, known_facts(panel))
    for cut in (3000, 9001):
        part = panel.slice(0, cut)
        early = {(r.kind, r.label): r.bars for r in regimes_of(part, known_facts(part))}
        for regime in whole:
            if (regime.kind, regime.label) in early:
                assert np.array_equal(early[regime.kind, regime.label], regime.bars[:cut])


def test_regimes_are_the_same_ones_on_any_path() -> None:
    """A mirrored path has the same kinds in the same order, so that surrogates can be compared."""
    panel = panel_over_new_year()
    other = replace(panel, close=panel.open[0] ** 2 / panel.close)
    names = [
        [(r.kind, r.label) for r in regimes_of(each, known_facts(each))] for each in (panel, other)
    ]
    assert names[0] == names[1]
