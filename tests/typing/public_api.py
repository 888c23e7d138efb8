"""The public names and their types, as a user's type checker sees them.

Checked by mypy in ``make types`` and never run: a changed signature shows here before a user
meets it.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.errors import InputError, LakeError, LiqtiersError
from liqtiers.datasets.lake import Lake, Series, WriteReport
from liqtiers.datasets.naming import check_name, timeframe_name, timeframe_us
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.query import read
from liqtiers.datasets.schemas import TABLES, Table

lake = Lake(Path("liqtiers-data") / "lake")
assert_type(lake.root, Path)
assert_type(lake.series(), list[Series])
assert_type(lake.series("bars")[0].timeframe, str | None)
assert_type(refresh_catalog(lake), str)

rows = read(
    lake, "bars", venue="binance", symbol="BTCUSDT", timeframe="1h", columns=["ts", "close"]
)
report = lake.write("bars", rows, venue="binance", symbol="BTCUSDT", timeframe="1h", source="mine")
assert_type(report, WriteReport)
assert_type(report.reasons, dict[str, int])

panel = load_panel(
    lake, venue="binance", symbol="BTCUSDT", timeframe="4h", funding=["bybit:BTCUSDT"]
)
assert_type(panel, Panel)
assert_type(panel.ts, NDArray[np.int64])
assert_type(panel.close, NDArray[np.float64])

assert_type(check_name("symbol", "BTCUSDT"), str)
assert_type(timeframe_us("5m"), int)
assert_type(timeframe_name(300_000_000), str)
assert_type(TABLES["bars"], Table)

errors: tuple[type[LiqtiersError], ...] = (InputError, LakeError)
assert_type(InputError("no such file").exit_code, int)
