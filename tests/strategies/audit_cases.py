"""What the audit's tests share: planted files, marks in them, and open interest published late."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from liqtiers.datasets.panel import Panel
from liqtiers.strategies.audit import AuditResult

PLANTED: Final = Path(__file__).parent / "audit" / "planted"
LAG: Final = pd.Timedelta("7min")
Audit = Callable[..., AuditResult]


def marked(file: str, mark: str) -> str:
    """Return ``file:line`` of the line that ends in a mark."""
    lines = (PLANTED / file).read_text(encoding="utf-8").splitlines()
    (number,) = [n for n, line in enumerate(lines, start=1) if line.endswith(f"# {mark}")]
    return f"{file}:{number}"


def opens(panel: Panel) -> pd.DatetimeIndex:
    """Return the bars' opens."""
    return pd.DatetimeIndex(panel.ts.astype("datetime64[us]"), tz="UTC")


def late_open_interest(panel: Panel) -> pa.Table:
    """Return open interest at every bar's open that becomes known `LAG` later."""
    level = 90_000.0 + np.random.default_rng(3).normal(0.0, 500.0, len(panel))
    frame = pd.DataFrame({"ts": opens(panel), "available_at": opens(panel) + LAG, "oi_base": level})
    return pa.Table.from_pandas(frame, preserve_index=False)
