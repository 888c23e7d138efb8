"""Does the map know where liquidations were printed? Windows of real data, out of sample.

For each window: the rank correlation of predicted with printed liquidations by side, the partial one
that remains after predictors that need no map, with day-block intervals, and the same of public recipes
rebuilt on the same bars. The last line is one JSON object:

- no prefix: by the day, hourly bars (W4); ``hourly_``: by the hour, 5-minute bars (W1);
  ``hourly_bars_``: by the hour from hourly bars; ``w2_``: by 4 hours, one venue.
- ``rank_<side>``, ``partial_<side>`` (after range x open interest, volume x path and yesterday's),
  ``partial_move_<side>`` (after "move to that side x open interest", the strongest predictor without
  volume or map), ``partial_hard_<side>`` (after all five), ``naive_rank_<side>`` (of that move) and
  ``naive_<name>_<side>``, ``prior_*`` (the map without its fit), ``days``.
- ``best_recipe_*``: the best public recipe's, figure by figure; ``beyond_recipes_<side>``: what remains
  of ours after all recipes together.
- ``oi_*``: against the open interest that disappeared.

A window whose files or rows are missing for the coin gives nulls, and a line that says why.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from market_files import Window, load_window, missing_files, windows
from public_recipes import RECIPES, predicted

from liqtiers.datasets.calibration import LOST, PRINTED, CalibrationParameters
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import Instrument
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import LiquidationMap, build_map
from liqtiers.datasets.naming import HOUR_US
from liqtiers.datasets.panel import Panel, periods
from liqtiers.reports.map_skill import HARD, MOVE, NAIVE, MapSkill, map_skill, period_table
from liqtiers.reports.rank_statistics import partial_rank_correlation

CONTROLS = {"rank": (), "partial": NAIVE, "partial_move": (MOVE,), "partial_hard": HARD}
PREFIX = {"w4": "", "hourly": "hourly_", "hourly_bars": "hourly_bars_", "w2": "w2_"}


def map_of(panel: Panel, instrument: Instrument, *, fitted: bool) -> LiquidationMap:
    """Return the map that is judged."""
    calibration = CalibrationParameters() if fitted else None
    return build_map(panel, instrument, calibration=calibration, snapshots=1)


def figures(skill: MapSkill, prefix: str) -> dict[str, Any]:
    """Return a skill's figures under their keys."""
    found: dict[str, Any] = {f"{prefix}days": skill.days, f"{prefix}periods": skill.periods}
    for side in (skill.short, skill.long):
        found[f"{prefix}rank_{side.side}"] = side.rank.value
        found[f"{prefix}partial_{side.side}"] = side.partial.value
        found[f"{prefix}partial_move_{side.side}"] = side.partial_move.value
        found[f"{prefix}partial_hard_{side.side}"] = side.partial_hard.value
        for name, part in (
            ("rank", side.rank),
            ("partial", side.partial),
            ("partial_move", side.partial_move),
            ("partial_hard", side.partial_hard),
        ):
            found[f"{prefix}{name}_{side.side}_interval"] = [part.low, part.high]
        found[f"{prefix}naive_rank_{side.side}"] = side.naive[MOVE]
        for name in HARD:
            key = name.replace(" ", "_").replace("'", "")
            found[f"{prefix}naive_{key}_{side.side}"] = side.naive[name]
        found[f"{prefix}predicted_over_printed_{side.side}"] = side.ratio
    return found


def recipe_figures(panel: Panel, built: LiquidationMap, window: Window) -> dict[str, float]:
    """Print each public recipe's figures on the same periods; return the best, and what we add."""
    period_us = window.period_hours * HOUR_US
    table = period_table(panel, built.features, period_us)
    known = np.isfinite(np.stack(list(table.values()))).all(axis=0)
    known &= table["start_us"] >= _us(window.scored_from)
    rows = {name: column[known] for name, column in table.items()}
    _, of_bar = periods(panel, period_us)
    reached = {name: predicted(panel, recipe) for name, recipe in RECIPES.items()}
    found: dict[str, float] = {}
    for k, side in enumerate(("short", "long")):
        happened = rows[f"happened_{side}"]
        theirs = {name: np.bincount(of_bar, bars[k])[known] for name, bars in reached.items()}
        for name, column in theirs.items():
            scores = {
                key: partial_rank_correlation(
                    column, happened, [rows[f"{side}: {control}"] for control in controls]
                )
                for key, controls in CONTROLS.items()
            }
            print(f"  {side}, {name}: " + ", ".join(f"{k} {v:.3f}" for k, v in scores.items()))
            for key, score in scores.items():
                full = f"best_recipe_{key}_{side}"
                found[full] = float(np.fmax(found.get(full, np.nan), score))
        found[f"beyond_recipes_{side}"] = partial_rank_correlation(
            rows[f"predicted_{side}"], happened, list(theirs.values())
        )
    return found


def study(window: Window, options: argparse.Namespace, lake: Path) -> dict[str, Any]:
    """Measure one window; nulls and a line where its files are missing."""
    prefix = PREFIX[window.name]
    missing = missing_files(window, options.data)
    if missing:
        print(f"{window.name}: left out, {', '.join(missing)} not in {options.data}")
        return _nothing(prefix)
    try:
        return measured(window, options, lake)
    except InputError as error:
        print(f"{window.name}: left out, {error}")
        return _nothing(prefix)


def measured(window: Window, options: argparse.Namespace, lake: Path) -> dict[str, Any]:
    """Return the figures of a window whose files are there."""
    prefix = PREFIX[window.name]
    panel, instrument = load_window(window, options.symbol, data=options.data, lake=Lake(lake))
    common = {
        "period_us": window.period_hours * HOUR_US,
        "start_us": _us(window.scored_from),
        "draws": options.draws,
    }
    found: dict[str, Any] = {}
    for fitted in (False, True):
        built = map_of(panel, instrument, fitted=fitted)
        rng = np.random.default_rng(options.seed)
        skill = map_skill(panel, built.features, rng=rng, against=PRINTED, **common)
        found |= figures(skill, prefix if fitted else f"{prefix}prior_")
        print(f"{window.name}, {'fitted' if fitted else 'prior'}, {len(panel):,} bars:")
        print(f"  {skill.short.sentence}\n  {skill.long.sentence}")
    rng = np.random.default_rng(options.seed)
    try:
        lost = map_skill(panel, built.features, rng=rng, against=LOST, **common)
    except InputError as error:
        print(f"  against lost open interest: {error}")
    else:
        found |= {k: v for k, v in figures(lost, f"{prefix}oi_").items() if "_long" not in k}
        print(f"  {lost.short.sentence}")
    recipes = recipe_figures(panel, built, window)
    return found | {f"{prefix}{key}": value for key, value in recipes.items()}


def _nothing(prefix: str) -> dict[str, None]:
    keys = ["naive_rank", *CONTROLS, *(f"best_recipe_{key}" for key in CONTROLS)]
    return dict.fromkeys(
        [f"{prefix}days", *(f"{prefix}{key}_{side}" for key in keys for side in ("short", "long"))]
    )


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
    for window in windows(options.symbol):
        with tempfile.TemporaryDirectory() as folder:
            found |= study(window, options, Path(folder))
    print(json.dumps({k: _plain(v) for k, v in found.items()}))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    return value


def _us(day: str) -> int:
    return int(np.datetime64(day, "us").astype(np.int64))


if __name__ == "__main__":
    main()
