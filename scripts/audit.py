"""`liqtiers audit`: whether a strategy or a feature looks ahead.

Exit code 0: nothing depends on what comes later. 3: something does. 2: it could not be audited, since
an option, the data or the audited file is at fault.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from liqtiers.datasets._series_name import parse_series
from liqtiers.datasets.calibration import CalibrationParameters
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.naming import DAY_US
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.query import read
from liqtiers.datasets.sources.simulator import SYMBOL, VENUE, simulate, worlds, write_to_lake
from liqtiers.scripts import _audit_words as words
from liqtiers.scripts import _options as options
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import moment_us, open_lake
from liqtiers.strategies.audit import (
    AuditResult,
    AuditSettings,
    LakeMarket,
    MapSource,
    PanelMarket,
    Setup,
    Target,
    audit,
    known_tables,
    lake_market,
    parse_target,
)

LOOKS_AHEAD: Final = 3
OURS: Final = "ours"
_OUR_TARGET: Final = Target("liqtiers.strategies.tier_breakout", "TierBreakout")
_SIMULATED_DAYS: Final = 15
_TABLES_BEFORE_US: Final = 30 * DAY_US

What = Annotated[
    str,
    typer.Argument(
        help="FILE.py:Strategy, FILE.py:feature (a function of the bars as a DataFrame), or 'ours'.",
        metavar="WHAT",
    ),
]
MaybeVenue = Annotated[str | None, typer.Option("--venue", help="Venue of the bars.")]
MaybeSymbol = Annotated[str | None, typer.Option("--symbol", help="Symbol of the bars.")]
Simulated = Annotated[
    bool, typer.Option("--simulated", help="Run on a simulated market; needs no data.")
]
MapFrom = Annotated[
    str | None,
    typer.Option(help="FILE.py:function (panel, instrument) that builds the map's features."),
]
Cuts = Annotated[int, typer.Option(help="How often the future is cut off.", min=1)]
Seed = Annotated[int, typer.Option(help="Another seed cuts elsewhere.", min=0)]
Bars = Annotated[int, typer.Option(help="How many bars to use, the last ones.", min=20)]
Param = Annotated[
    list[str] | None,
    typer.Option("--param", help="A parameter of the strategy or feature, name=value; repeatable."),
]


def run(
    what: What,
    *,
    venue: MaybeVenue = None,
    symbol: MaybeSymbol = None,
    timeframe: options.BarLength = "5m",
    start: options.Start = None,
    end: options.End = None,
    open_interest: options.OpenInterest = None,
    funding: options.Funding = None,
    liquidations: options.Liquidations = None,
    mark: options.Mark = None,
    imported_map: options.ImportedMap = None,
    map_from: MapFrom = None,
    calibrate: options.Calibrate = True,
    simulated: Simulated = False,
    param: Param = None,
    bars: Bars = 10_000,
    cuts: Cuts = 40,
    seed: Seed = 1,
) -> None:
    """Find out whether a strategy or a feature looks ahead.

    Runs it with the future cut off and compares every line, order and equity, bar by bar; 'ours' goes
    from the lake to the trades. Exit code 3 if anything depends on what comes later.

    Example: liqtiers audit my_strategy.py:MyStrategy --simulated
    """
    target = _OUR_TARGET if what == OURS else parse_target(what)
    settings = AuditSettings(cuts=cuts, seed=seed, tolerance=0.0 if what == OURS else 1e-9)
    asked = {
        "timeframe": timeframe,
        "start_us": moment_us(start, option="--start"),
        "end_us": moment_us(end, option="--end"),
        "open_interest": tuple(open_interest or ()),
        "funding": tuple(funding or ()),
        "liquidations": tuple(liquidations or ()),
        "mark": tuple(mark or ()),
    }
    with tempfile.TemporaryDirectory(prefix="liqtiers-audit-lake-") as folder:
        if simulated:
            lake, named = _simulated_lake(Path(folder)), {"venue": VENUE, "symbol": SYMBOL}
        elif venue is None or symbol is None:
            raise InputError("--venue and --symbol say which bars to use; or use --simulated")
        else:
            lake, named = open_lake(), {"venue": venue, "symbol": symbol}
        data = _Data(lake, {**named, **asked}, imported_map, bars)
        setup = Setup(
            target=target,
            market=data.lake_market() if what == OURS else data.panel_market(),
            instrument=instrument_for(named["venue"], named["symbol"]),
            map_source=MapSource(
                calibration=CalibrationParameters() if calibrate else None,
                imported=imported_map is not None,
                hook=None if map_from is None else parse_target(map_from),
            ),
            parameters=_parameters(param or []),
        )
        result = audit(setup, settings, progress=_progress)
    _show(result)
    if result.looks_ahead:
        raise typer.Exit(LOOKS_AHEAD)


@dataclass(frozen=True)
class _Data:
    """What of a lake is used: the last so many of the bars asked for."""

    lake: Lake
    asked: dict[str, Any]
    imported_map: str | None
    bars: int

    def panel(self) -> Panel:
        panel = load_panel(self.lake, **self.asked)
        typer.echo(
            f"{min(len(panel), self.bars):,} of {len(panel):,} bars of {panel.venue} {panel.symbol} "
            f"at {panel.timeframe}",
            err=True,
        )
        return panel.slice(max(len(panel) - self.bars, 0), len(panel))

    def panel_market(self) -> PanelMarket:
        panel = self.panel()
        tables = known_tables(
            self.lake, since=max(int(panel.ts[0]) - _TABLES_BEFORE_US, 0), **self.asked
        )
        if self.imported_map is not None:
            name = parse_series(self.imported_map)
            tables["liquidation_map"] = read(
                self.lake, "liquidation_map", venue=name.venue, symbol=name.symbol
            )
        return PanelMarket(panel=panel, tables=tables)

    def lake_market(self) -> LakeMarket:
        begin = int(self.panel().ts[0])
        asked = {**self.asked, "start_us": begin}
        return lake_market(self.lake, imported_map=self.imported_map, **asked)


def _simulated_lake(folder: Path) -> Lake:
    typer.echo(f"Simulating {_SIMULATED_DAYS} days of leveraged traders …", err=True)
    lake = Lake(folder)
    write_to_lake(simulate(replace(worlds()["impact"], days=_SIMULATED_DAYS)), lake)
    return lake


def _parameters(given: list[str]) -> dict[str, str]:
    for text in given:
        if "=" not in text:
            raise InputError(f"--param {text!r} is no name=value")
    return dict(text.split("=", 1) for text in given)


def _progress(done: int, count: int) -> None:
    """Say how far it is, on a terminal on one line."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        console.print(f"{done} of {count} runs", end="\r" if done < count else "\n")


def _show(result: AuditResult) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=120)
    console.print(words.verdict(result))
    if result.looks_ahead:
        console.print(words.changes_table(result))
    console.print(words.compared_table(result))
    console.print(words.warm_up_sentence(result))
    table = words.warm_up_table(result)
    if table is not None:
        console.print(table)
    for note in words.notes(result):
        console.print(f"note: {note}")


if __name__ == "__main__":
    run_verb(run, name="audit")
