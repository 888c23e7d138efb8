"""Small markets for tests: seeded random panels and panels written out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from liqtiers.datasets.panel import Panel, panel_from_frame


def random_panel(
    bars: int, *, seed: int, timeframe: str = "5m", open_interest: bool = True, every: int = 1
) -> Panel:
    """Return a random walk with volume, funding and, every so many bars, open interest."""
    rng = np.random.default_rng(seed)
    close = 50_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.003, bars)))
    opened = np.concatenate([[50_000.0], close[:-1]])
    spread = np.exp(np.abs(rng.normal(0.0, 0.002, (2, bars))))
    frame = pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * spread[0],
            "low": np.minimum(opened, close) / spread[1],
            "close": close,
            "volume": rng.lognormal(5.0, 0.7, bars),
        },
        index=pd.date_range(
            "2024-01-01", periods=bars, freq=timeframe.replace("m", "min"), tz="UTC"
        ),
    )
    frame["funding_rate"] = 1e-4
    frame["funding_settled"] = np.where(np.arange(bars) % 96 == 95, 1e-4, 0.0)
    if open_interest:
        level = 90_000.0 + np.cumsum(rng.normal(0.0, 120.0, bars))
        frame["oi_base"] = np.where(np.arange(bars) % every == 0, level, np.nan)
    return panel_from_frame(frame, timeframe=timeframe)
