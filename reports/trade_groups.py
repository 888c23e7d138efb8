"""Trades by what was known when they were entered: where a rule earned, and where it did not.

Groups are fixed before any result is looked at, and many are shown at once: one in twenty looks special by
chance alone. No correction is made here; `liqtiers evidence` corrects for all that it looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from ..datasets.panel import BoolArray1D, Float64Array1D, Panel
from .evidence.market import known_facts
from .evidence.regimes import regimes_of
from .performance import mean_interval

_HOURS: Final = (0, 6, 12, 18)
_FEWEST: Final = 10
"""Below this many trades a group gets no interval."""


def trade_groups(trades: pa.Table, panel: Panel) -> list[dict[str, Any]]:
    """Return count, hit rate and mean of the trades by kinds of times and tiers.

    Parameters
    ----------
    trades : pyarrow.Table
        Of `TRADES_SCHEMA`.
    panel : Panel
        The bars that were traded.

    Returns
    -------
    list of dict
        ``kind``, ``label``, ``trades``, ``hit_rate``, ``net_pnl`` (sum, quote), ``mean_bps`` with ``low`` and
        ``high`` (95 %, of the trades' values at entry; NaN below ten trades). Empty groups are left out.

    Notes
    -----
    Look-ahead: regimes are those of the last close before the entry. Thirds of fuel and imbalance are of
    this run's trades, which nobody knew then: they describe.
    """
    frame = trades.to_pandas()
    if not len(frame):
        return []
    net = frame["net_pnl"].to_numpy(dtype=np.float64)
    value = (frame["size"] * frame["entry_price"]).to_numpy(dtype=np.float64)
    rows = []
    for kind, label, inside in _groups(frame, panel):
        if not inside.any():
            continue
        returns = 1e4 * net[inside] / value[inside]
        low, high = mean_interval(returns) if len(returns) >= _FEWEST else (np.nan, np.nan)
        rows.append(
            {
                "kind": kind,
                "label": label,
                "trades": int(inside.sum()),
                "hit_rate": float(np.mean(net[inside] > 0.0)),
                "net_pnl": float(net[inside].sum()),
                "mean_bps": float(returns.mean()),
                "low": float(low),
                "high": float(high),
            }
        )
    return rows


def _groups(frame: pd.DataFrame, panel: Panel) -> Iterator[tuple[str, str, BoolArray1D]]:
    direction = frame["direction"].to_numpy()
    yield "side", "long", direction > 0
    yield "side", "short", direction < 0
    for kind, column in (("tier's fuel", "tier_fuel"), ("imbalance", "imbalance")):
        yield from _thirds(kind, frame[column].to_numpy(dtype=np.float64))
    hour = pd.DatetimeIndex(frame["entry_ts"]).hour.to_numpy()
    for start in _HOURS:
        yield "hour of entry, UTC", f"{start:02d} to {start + 6:02d}", hour // 6 == start // 6
    entered = pd.DatetimeIndex(frame["entry_ts"]).tz_localize(None).to_numpy()
    known = np.searchsorted(panel.ts, entered.astype("datetime64[us]").astype(np.int64)) - 1
    for regime in regimes_of(panel, known_facts(panel)):
        yield regime.kind, regime.label, (known >= 0) & regime.bars[np.maximum(known, 0)]


def _thirds(kind: str, values: Float64Array1D) -> Iterator[tuple[str, str, BoolArray1D]]:
    known = values[np.isfinite(values)]
    if len(np.unique(known)) < 3:
        return
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    yield kind, f"up to {low:.3g}", values <= low
    yield kind, f"{low:.3g} to {high:.3g}", (values > low) & (values <= high)
    yield kind, f"above {high:.3g}", values > high
