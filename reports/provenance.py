"""What a result can be traced to: versions, instrument and data, as every record holds them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

import numpy as np

from ..datasets.instruments import Instrument
from ..datasets.panel import Panel

_PACKAGES: Final = ("liqtiers", "backtrader", "numba", "numpy", "duckdb", "pandas", "bokeh")


def versions() -> Mapping[str, str]:
    """Return the versions of what a result depends on."""
    found = {name: metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}


def instrument_of(panel: Panel, instrument: Instrument) -> dict[str, Any]:
    """Return the contract that was traded, as a record holds it."""
    return {
        "venue": panel.venue,
        "symbol": panel.symbol,
        "timeframe": panel.timeframe,
        "kind": instrument.kind,
        "lot": instrument.lot,
        "tick": instrument.tick,
        "brackets": instrument.brackets.source,
    }


def data_of(panel: Panel) -> dict[str, Any]:
    """Return the bars that were used, their gaps, series and fingerprint, as a record holds them."""
    return {
        "start": _iso(panel.ts[0]),
        "end": _iso(panel.close_ts[-1]),
        "bars": len(panel),
        "gaps": [[_iso(g.start_us), _iso(g.end_us), g.missing_bars] for g in panel.gaps],
        "fingerprint": panel.fingerprint(),
        "sources": {name: list(series) for name, series in panel.sources.items()}
        or {"bars": ["own"]},
        "notes": list(panel.notes),
    }


def _iso(ts_us: np.int64 | int) -> str:
    return str(np.datetime_as_string(np.datetime64(int(ts_us), "us"), unit="m")) + "Z"
