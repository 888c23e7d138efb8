"""Does the map know where real positions are liquidated? W5: Hyperliquid's top accounts.

At each snapshot, what our map (of Binance, built from what was known by then) holds in bins of 1 % within
25 % of the price is compared with the accounts' published liquidation prices, by side; the bins of all
snapshots together, each as a share of its snapshot. About a hundred large accounts are no sample of a
market, so the question is not the level but whether levels lie where the map says, beyond the plain fact
that more lies at some distances than at others. The last line is one JSON object:

- ``w5_rank_<side>``: rank correlation; ``w5_partial_<side>``: what remains after the mean profile by
  distance, of the other days alone; both with ``_interval`` by day blocks.
- ``w5_profile_rank_<side>``: the rank correlation of that profile, which needs no map.
- ``w5_stale_partial_<side>``: as ``w5_partial`` for our map of a week before, at the same distances from
  the price: a map that knows no more than what is usual scores alike.
- ``w5_snapshots``, ``w5_days``, ``w5_levels``: how much there was.

Files that are missing give nulls, and a line that says which.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from market_files import load_window, missing_files, windows

from liqtiers.datasets.calibration import CalibrationParameters
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import LiquidationMap, build_map
from liqtiers.datasets.map_features import MapSnapshots
from liqtiers.datasets.naming import DAY_US, HOUR_US
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from liqtiers.reports.rank_statistics import partial_rank_correlation, with_interval

REACH = 0.25
BIN = 0.01
STALE_DAYS = 7
SIDES = (("short", 1.0), ("long", -1.0))
LEVELS = "maps/hyperliquid_top_traders.csv.gz"


class Profiles(NamedTuple):
    """One row a snapshot, one column a bin of distance, as shares of the row; and each row's day."""

    ours: np.ndarray
    stale: np.ndarray
    real: np.ndarray
    day: np.ndarray


def real_levels(path: Path, symbol: str) -> pd.DataFrame:
    """Return the published levels of a coin: ts (microseconds), side, price_low and notional."""
    found = parse_file(path, options=ImportOptions(venue="hyperliquid", symbol=symbol))
    frame = pd.concat([parsed.rows.to_pandas() for parsed in found if parsed.symbol == symbol])
    frame["us"] = frame["available_at"].astype("int64")
    return frame


def by_distance(price: np.ndarray, value: np.ndarray, close: float, sign: float) -> np.ndarray:
    """Return value summed by bins of log distance from the close, on one side of it."""
    distance = sign * np.log(price / close)
    edges = np.arange(0.0, np.log1p(REACH), BIN)
    return np.histogram(distance, bins=edges, weights=value)[0]


def at_moment(shots: MapSnapshots, row: int, close: float, side: str, sign: float) -> np.ndarray:
    """Return one snapshot of our map by distance from a price."""
    middle = np.sqrt(shots.price_edges[1:] * shots.price_edges[:-1])
    held = shots.short_notional if side == "short" else shots.long_notional
    return by_distance(middle, held[row].astype(np.float64), close, sign)


def profiles(
    panel: Panel, built: LiquidationMap, levels: pd.DataFrame, side: str, sign: float
) -> Profiles:
    """Return what is compared on one side; snapshots that show nothing within reach are left out."""
    shots = built.snapshots
    rows = []
    for moment, part in levels.groupby("us"):
        now = int(np.searchsorted(shots.ts, moment, side="right")) - 1
        before = int(np.searchsorted(shots.ts, moment - STALE_DAYS * DAY_US, side="right")) - 1
        if before < 0 or moment - shots.ts[now] > HOUR_US:
            continue
        close, then = (
            panel.close[np.searchsorted(panel.close_ts, shots.ts[k])] for k in (now, before)
        )
        chosen = part[part["side"] == side]
        real = by_distance(
            chosen["price_low"].to_numpy(), chosen["notional"].to_numpy(), close, sign
        )
        ours = at_moment(shots, now, close, side, sign)
        stale = at_moment(shots, before, then, side, sign)
        if min(real.sum(), ours.sum(), stale.sum()) > 0.0:
            rows.append(
                (ours / ours.sum(), stale / stale.sum(), real / real.sum(), moment // DAY_US)
            )
    if len(rows) < 3:
        raise InputError(f"fewer than 3 snapshots of {side} levels lie within the bars")
    ours, stale, real, day = (np.array(column) for column in zip(*rows, strict=True))
    return Profiles(ours, stale, real, day)


def usual(found: Profiles) -> np.ndarray:
    """Return for each snapshot the mean real profile of all other days."""
    out = np.empty_like(found.real)
    for day in np.unique(found.day):
        own = found.day == day
        out[own] = found.real[~own].mean(axis=0) if (~own).any() else np.nan
    return out


def side_figures(found: Profiles, side: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return one side's figures under their keys."""
    bins = found.real.shape[1]
    day = np.repeat(found.day, bins)
    profile = usual(found).ravel()
    real = found.real.ravel()
    figures: dict[str, Any] = {
        f"w5_snapshots_{side}": len(found.day),
        f"w5_days_{side}": len(np.unique(found.day)),
        f"w5_profile_rank_{side}": round(partial_rank_correlation(profile, real, ()), 4),
    }
    wanted = {
        "rank": [found.ours.ravel(), real],
        "partial": [found.ours.ravel(), real, profile],
        "stale_partial": [found.stale.ravel(), real, profile],
    }
    for name, columns in wanted.items():
        estimate = with_interval(
            lambda p, h, *c: partial_rank_correlation(p, h, c),
            columns,
            day,
            rng=np.random.default_rng(options.seed),
            draws=options.draws,
        )
        figures[f"w5_{name}_{side}"] = round(estimate.value, 4)
        figures[f"w5_{name}_{side}_interval"] = [round(estimate.low, 4), round(estimate.high, 4)]
    return figures


def measured(options: argparse.Namespace, lake: Path) -> dict[str, Any]:
    """Return the figures of both sides."""
    window = next(w for w in windows(options.symbol) if w.name == "hourly")
    missing = missing_files(window, options.data)
    if not (options.data / LEVELS).is_file():
        missing.append(LEVELS)
    if missing:
        raise InputError(f"{', '.join(missing)} not in {options.data}")
    levels = real_levels(options.data / LEVELS, options.symbol)
    panel, instrument = load_window(window, options.symbol, data=options.data, lake=Lake(lake))
    hourly = len(panel) * panel.bar_us // HOUR_US
    built = build_map(panel, instrument, calibration=CalibrationParameters(), snapshots=hourly)
    found: dict[str, Any] = {"w5_levels": len(levels)}
    for side, sign in SIDES:
        figures = side_figures(profiles(panel, built, levels, side, sign), side, options)
        print(f"{side}: " + ", ".join(f"{k.removeprefix('w5_')} {v}" for k, v in figures.items()))
        found |= figures
    return found


def main() -> None:
    """Print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of files")
    parser.add_argument("--symbol", default="BTC", help="coin, as in the files' names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=300, help="of each interval's bootstrap")
    options = parser.parse_args()
    found: dict[str, Any] = {"symbol": options.symbol, "seed": options.seed}
    try:
        with tempfile.TemporaryDirectory() as folder:
            found |= measured(options, Path(folder))
    except InputError as error:
        print(f"w5: left out, {error}")
        keys = ("rank", "partial", "stale_partial", "profile_rank", "days", "snapshots")
        found |= dict.fromkeys(f"w5_{key}_{side}" for key in keys for side, _ in SIDES)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
