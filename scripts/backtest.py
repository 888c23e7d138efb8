"""`liqtiers backtest`: the strategy over a stretch of the lake, with its report."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from liqtiers.datasets.panel import Panel
from liqtiers.reports.backtest_run import Recorded, run_and_record
from liqtiers.scripts import _options as options
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import moment_us, now, open_lake, refresh_index, workspace
from liqtiers.strategies.parameters import CostParameters, TierBreakoutParameters


@options.with_parameters({"parameters": TierBreakoutParameters, "costs": CostParameters})
def run(
    *,
    venue: options.Venue,
    symbol: options.Symbol,
    timeframe: options.BarLength,
    start: options.Start = None,
    end: options.End = None,
    open_interest: options.OpenInterest = None,
    funding: options.Funding = None,
    liquidations: options.Liquidations = None,
    mark: options.Mark = None,
    imported_map: options.ImportedMap = None,
    levels: options.Levels = None,
    calibrate: options.Calibrate = True,
    cash: Annotated[float, typer.Option(help="Starting equity, quote.")] = 100_000.0,
    parameters: TierBreakoutParameters,
    costs: CostParameters,
) -> None:
    """Trade the breakout into the map's tiers, after all costs.

    Writes runs/<id>/ with trades, equity and an HTML report, and prints where.

    Example: liqtiers backtest --venue binance --symbol BTCUSDT --timeframe 5m --start 2025-01-01
    """
    prices = options.level_prices(levels)
    lake = open_lake()
    panel = options.panel_of(
        lake,
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        start_us=moment_us(start, option="--start"),
        end_us=moment_us(end, option="--end"),
        open_interest=open_interest or (),
        funding=funding or (),
        liquidations=liquidations or (),
        mark=mark or (),
    )
    typer.echo(f"{len(panel):,} bars of {venue} {symbol} at {timeframe}", err=True)
    instrument = options.contract_of(panel)
    recorded = run_and_record(
        workspace(),
        panel,
        options.map_for(lake, panel, instrument, imported_map, calibrate=calibrate),
        instrument=instrument,
        parameters=parameters,
        costs=costs,
        cash=cash,
        command=shlex.join(["liqtiers", *sys.argv[1:]]),
        created_at=now(),
        levels=prices,
    )
    for note in run_notes(panel):
        typer.echo(f"note: {note}", err=True)
    refresh_index()
    tell(recorded)


def run_notes(panel: Panel) -> list[str]:
    """Return what was taken of the lake, and what was missing there."""
    taken = "; ".join(
        f"{name.replace('_', ' ')} from {', '.join(series)}"
        for name, series in panel.sources.items()
        if series
    )
    missing = [
        f"no {name.replace('_', ' ')} in the lake for these bars"
        for name in ("open_interest", "funding")
        if not panel.sources.get(name)
    ]
    return [f"taken: {taken}", *missing] if taken else missing


def tell(recorded: Recorded) -> None:
    """Print what a run came to and where it is."""
    typer.echo(recorded.sentence)
    if recorded.warning:
        typer.echo(recorded.warning)
    typer.echo(f"run:    {recorded.folder}")
    typer.echo(f"report: {recorded.report}")


if __name__ == "__main__":
    run_verb(run, name="backtest")
