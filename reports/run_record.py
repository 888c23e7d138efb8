"""A run on disk: ``runs/<id>/`` with run.json, trades, equity, bars, days and the map's picture.

A run is written into a hidden folder and renamed, so that a run that exists is whole. Everything the
report shows is read back from here: a number on a page was computed before the page.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..datasets.errors import InputError
from ..datasets.liquidation_map import LiquidationMap
from ..datasets.map_features import MapSnapshots
from ..datasets.panel import Panel
from .record_files import record_id, record_text, whole_folder

SCHEMA_VERSION: Final = 2
_READ: Final = (1, SCHEMA_VERSION)
_DAILY_SINCE: Final = 2
RUN_FILE: Final = "run.json"
REPORT_FILE: Final = "report.html"
_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
_COLUMNS: Final = {
    "trades": {
        *("trade_id", "direction", "armed_ts", "entry_ts", "exit_ts", "entry_price", "exit_price"),
        *("size", "stop_price", "target_price", "tier_lower", "tier_upper", "tier_notional"),
        *("tier_fuel", "imbalance", "exit_reason", "bars_held"),
        *("gross_pnl", "fees", "slippage", "funding", "net_pnl"),
    },
    "equity": {"ts", "equity", "position"},
    "bars": {
        *("ts", "open", "high", "low", "close", "funding_rate", "funding_settled", "oi_base"),
        "imbalance",
    },
    "daily": {"day", "account", "hold", "equity", "rolling_sharpe", "rolling_volatility"},
}
"""What a report reads of each table; more may be there."""

_NO_DAYS: Final = pa.table(
    {"day": pa.array([], _TIMESTAMP)}
    | {name: pa.array([], pa.float64()) for name in sorted(_COLUMNS["daily"] - {"day"})}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A finished run.

    Attributes
    ----------
    path : Path
        Its folder.
    about : dict
        run.json: what was run on what, with which parameters and costs, and what came of it.
    trades, equity, bars, daily : pyarrow.Table
        One row a closed trade; one a bar; one a bar; one a UTC day.
    snapshots : MapSnapshots
    """

    path: Path
    about: dict[str, Any]
    trades: pa.Table
    equity: pa.Table
    bars: pa.Table
    daily: pa.Table
    snapshots: MapSnapshots


def write_run(
    workspace: Path,
    about: dict[str, Any],
    *,
    created_at: datetime,
    panel: Panel,
    liquidation_map: LiquidationMap,
    imbalance_window: float,
    trades: pa.Table,
    equity: pa.Table,
    daily: pd.DataFrame,
) -> Path:
    """Write a run and return its folder.

    Parameters
    ----------
    workspace : Path
    about : dict
        What `run_about` gives, with summary and verdict.
    created_at : datetime
    panel, liquidation_map
        What the run was over.
    imbalance_window : float
        The window whose imbalance is shown.
    trades, equity : pyarrow.Table
        See `strategies.trade_log`.
    daily : DataFrame
        What `return_statistics.daily_table` gives.

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    name = record_id(created_at, about)
    folder = workspace / "runs" / name
    whole = {"schema": SCHEMA_VERSION, "id": name, "created_at": created_at.isoformat(), **about}
    with whole_folder(folder, what="the run") as hidden:
        (hidden / RUN_FILE).write_text(record_text(whole), encoding="utf-8")
        pq.write_table(trades, hidden / "trades.parquet", compression="zstd")
        pq.write_table(equity, hidden / "equity.parquet", compression="zstd")
        pq.write_table(
            pa.Table.from_pandas(daily.reset_index(), preserve_index=False),
            hidden / "daily.parquet",
            compression="zstd",
        )
        bars = bars_table(panel, liquidation_map, imbalance_window)
        pq.write_table(bars, hidden / "bars.parquet", compression="zstd")
        shots = liquidation_map.snapshots
        np.savez_compressed(
            hidden / "heatmap.npz",
            ts=shots.ts,
            price_edges=shots.price_edges,
            short_notional=shots.short_notional,
            long_notional=shots.long_notional,
        )
    return folder


def run_title(about: dict[str, Any]) -> str:
    """Return what a run was over, for a headline: contract, bars and days; `about` is its run.json."""
    contract, data = about["instrument"], about["data"]
    return (
        f"{contract['venue']} {contract['symbol']}, {contract['timeframe']} bars, "
        f"{data['start'][:10]} to {data['end'][:10]}"
    )


def read_run(path: Path) -> RunRecord:
    """Return a run.

    Raises
    ------
    InputError
        If the folder is no run, not whole, or of another version.
    """
    try:
        about = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
        _check_schema(path, about)
        tables = {n: _read_table(path, n, about["schema"]) for n in _COLUMNS}
        with (path / "heatmap.npz").open("rb") as file, np.load(file) as arrays:
            snapshots = MapSnapshots(**{name: arrays[name] for name in arrays.files})
    except InputError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        BadZipFile,
        pa.ArrowException,
    ) as error:
        raise InputError(f"{path} is not a whole run of liqtiers: {error}") from error
    _check_tables(path, tables)
    return RunRecord(path=path, about=about, snapshots=snapshots, **tables)


def _check_schema(path: Path, about: object) -> None:
    found = about.get("schema") if isinstance(about, dict) else None
    if found not in _READ:
        raise InputError(
            f"{path / RUN_FILE} is of schema {found}, this version reads "
            f"{' and '.join(map(str, _READ))}: run the backtest again"
        )


def _read_table(path: Path, name: str, schema: int) -> pa.Table:
    if name == "daily" and schema < _DAILY_SINCE:
        return _NO_DAYS
    return pq.read_table(path / f"{name}.parquet")


def _check_tables(path: Path, tables: dict[str, pa.Table]) -> None:
    for name, wanted in _COLUMNS.items():
        missing = sorted(wanted - set(tables[name].column_names))
        if missing:
            raise InputError(f"{path / name}.parquet lacks the columns {', '.join(missing)}")
    bars, curve = tables["bars"].num_rows, tables["equity"].num_rows
    if bars != curve or bars == 0:
        raise InputError(
            f"{path} has {bars} bars and {curve} rows of equity: there must be one a bar"
        )


def known_runs(workspace: Path) -> list[str]:
    """Return the ids of the workspace's runs, the oldest first."""
    return sorted(p.parent.name for p in (workspace / "runs").glob(f"[!.]*/{RUN_FILE}"))


def find_run(workspace: Path, name: str) -> Path:
    """Return the folder of a run by path, id, or ``latest``.

    Raises
    ------
    InputError
        If there is none.
    """
    folder, runs = workspace / "runs", known_runs(workspace)
    if name == "latest" and runs:
        return folder / runs[-1]
    for candidate in (Path(name), folder / name):
        if (candidate / RUN_FILE).is_file():
            return candidate
    known = ", ".join(runs[-3:]) or "none"
    raise InputError(f"there is no run {name!r} in {folder}; the newest are: {known}")


def bars_table(panel: Panel, liquidation_map: LiquidationMap, window: float) -> pa.Table:
    """Return what the report draws of each bar."""
    features = liquidation_map.features
    columns = {
        name: getattr(panel, name)
        for name in ("open", "high", "low", "close", "volume", "funding_rate", "funding_settled")
    }
    return pa.table(
        {
            "ts": pa.array(panel.ts).cast(_TIMESTAMP),
            **columns,
            "oi_base": panel.oi_base,
            "imbalance": features.imbalance[:, features.window_index(window)],
            "hourly_quote_volume": features.hourly_quote_volume,
            "predicted_short": features.predicted_short_liquidations,
            "predicted_long": features.predicted_long_liquidations,
            "printed_short": panel.short_liquidations,
            "printed_long": panel.long_liquidations,
            "book_short": features.book_short,
            "book_long": features.book_long,
        }
    )
