"""`liqtiers demo`: the main job on a simulated market, without network or data."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from liqtiers.datasets.calibration import CalibrationParameters
from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import build_map
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.sources.simulator import simulate, worlds, write_to_lake
from liqtiers.reports.backtest_run import run_and_record
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import now, open_lake, refresh_index, workspace
from liqtiers.scripts.backtest import tell
from liqtiers.strategies.parameters import CostParameters, TierBreakoutParameters

_VENUE, _SYMBOL, _TIMEFRAME = "simulated", "SIMUSDT", "5m"


def run(
    *,
    days: Annotated[int, typer.Option(help="Length of the market, days.", min=2, max=2000)] = 180,
    seed: Annotated[int, typer.Option(help="Another seed is another market.", min=0)] = 1,
    world: Annotated[str, typer.Option(help=f"One of {', '.join(worlds())}.")] = "impact",
) -> None:
    """Run the main job on a simulated market.

    Leveraged traders whose forced orders move the price: fills the lake, rebuilds the liquidation
    map, trades the breakout and writes the report.

    Example: liqtiers demo --world matching
    """
    presets = worlds()
    if world not in presets:
        raise typer.BadParameter(f"{world!r} is none of {', '.join(presets)}", param_hint="--world")
    lake = open_lake()
    typer.echo(f"Simulating {days} days of leveraged traders (seed {seed}, world {world!r}) …")
    write_to_lake(
        simulate(replace(presets[world], days=days, seed=seed)), lake, venue=_VENUE, symbol=_SYMBOL
    )
    typer.echo(f"Lake filled; open it with any DuckDB: {refresh_catalog(lake)}")
    panel = load_panel(lake, venue=_VENUE, symbol=_SYMBOL, timeframe=_TIMEFRAME)
    instrument = instrument_for(_VENUE, _SYMBOL)
    typer.echo(f"Rebuilding the liquidation map over {len(panel):,} bars and trading it …")
    recorded = run_and_record(
        workspace(),
        panel,
        build_map(panel, instrument, calibration=CalibrationParameters()),
        instrument=instrument,
        parameters=TierBreakoutParameters(),
        costs=CostParameters(),
        cash=100_000.0,
        command=f"liqtiers demo --days {days} --seed {seed} --world {world!r}",
        created_at=now(),
    )
    refresh_index()
    tell(recorded)


if __name__ == "__main__":
    run_verb(run, name="demo")
