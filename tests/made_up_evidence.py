"""Small studies of evidence on random walks: one market with everything, one with bars alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from builders import random_panel
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.reports.evidence.study import MarketStudy, StudySettings
from liqtiers.reports.evidence_run import MarketInput, Studied, record_studies, studies_of
from liqtiers.reports.provenance import versions
from liqtiers.strategies.parameters import CostParameters, TierBreakoutParameters, parameter_rows

BARS = 900
FULL, BARE = "BTCUSDT", "ETHUSDT"
CREATED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SURROGATES = 10
LEVEL = 50_000.0
"""Where the walks begin."""


@functools.cache
def market_input(symbol: str) -> MarketInput:
    """The full market has open interest and what was printed, the bare one neither nor funding."""
    full = symbol == FULL
    panel = replace(
        random_panel(BARS, seed=3 if full else 4, timeframe="1h", open_interest=full), symbol=symbol
    )
    instrument = instrument_for("binance", symbol)
    built = build_map(panel, instrument)
    if full:
        rng = np.random.default_rng(5)
        noise = rng.lognormal(0.0, 0.5, (2, BARS))
        panel = replace(
            panel,
            short_liquidations=built.features.predicted_short_liquidations * noise[0],
            long_liquidations=built.features.predicted_long_liquidations * noise[1],
        )
    else:
        panel = replace(panel, funding_rate=np.full(BARS, np.nan))
    return MarketInput(panel=panel, liquidation_map=built, instrument=instrument)


@functools.cache
def market_study_of(symbol: str) -> MarketStudy:
    """Study one market once, the level named in the full one alone."""
    settings = StudySettings(surrogates=SURROGATES, levels=(LEVEL,) if symbol == FULL else ())
    found = studies_of(
        [market_input(symbol)],
        settings=settings,
        rng=np.random.default_rng(6),
        progress=lambda step: None,
    )
    return found[symbol]


def write_made_up_evidence(
    workspace: Path, *symbols: str, changes: Mapping[str, Any] | None = None
) -> Studied:
    """Write a study of the markets; what was typed and the like can be changed."""
    about = {
        "command": "liqtiers evidence --venue binance --symbol BTCUSDT --timeframe 1h",
        "versions": versions(),
        "seed": 6,
        "surrogates": SURROGATES,
        "parameters": parameter_rows(TierBreakoutParameters()),
        "costs": parameter_rows(CostParameters()),
        "depth": None,
        **(changes or {}),
    }
    return record_studies(
        workspace,
        [market_input(symbol) for symbol in symbols],
        {symbol: market_study_of(symbol) for symbol in symbols},
        about,
        rng=np.random.default_rng(7),
        created_at=CREATED_AT,
    )
