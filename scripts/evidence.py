"""`liqtiers evidence`: when did the map predict moves? One page, with JSON and parquet beside it."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.order_book import book_series
from liqtiers.reports.evidence.record import EVIDENCE_FILE
from liqtiers.reports.evidence.study import StudySettings
from liqtiers.reports.evidence_run import MarketInput, Studied, study_and_record
from liqtiers.reports.evidence_words import family_lines
from liqtiers.scripts import _options as options
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import moment_us, now, open_lake, refresh_index, workspace
from liqtiers.strategies.parameters import CostParameters, TierBreakoutParameters
from liqtiers.strategies.slippage import DepthSlippage

Symbols = Annotated[
    list[str], typer.Option("--symbol", help="Symbol of the bars; may be repeated, to pool them.")
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="An imported map, venue:symbol, instead of our own; as for series."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]
Surrogates = Annotated[
    int, typer.Option(min=10, max=1000, help="Paths on which nothing can be predicted.")
]
Depth = Annotated[
    Path | None,
    typer.Option(
        help="A csv of distance_bps,notional: the order book that trades at tiers walk, instead of the "
        "square-root law."
    ),
]


@options.with_parameters({"parameters": TierBreakoutParameters, "costs": CostParameters})
def run(
    *,
    venue: options.Venue,
    symbol: Symbols,
    timeframe: options.BarLength,
    start: options.Start = None,
    end: options.End = None,
    open_interest: options.OpenInterest = None,
    funding: options.Funding = None,
    liquidations: options.Liquidations = None,
    mark: options.Mark = None,
    imported_map: Map = None,
    calibrate: options.Calibrate = True,
    levels: options.Levels = None,
    seed: Seed = 1,
    surrogates: Surrogates = 30,
    depth: Depth = None,
    parameters: TierBreakoutParameters,
    costs: CostParameters,
) -> None:
    """Judge whether the map predicted moves, and write it as one page.

    With several symbols a series given as SYMBOL=venue:symbol belongs to that symbol alone, one without
    to all. Writes evidence/<id>/ with a page, JSON and parquet tables, and prints where.

    Example: liqtiers evidence --venue binance --symbol BTCUSDT --timeframe 5m
    """
    twice = [name for name in symbol if symbol.count(name) > 1]
    if twice:
        raise InputError(f"--symbol {twice[0]} is given twice: give each symbol once")
    lake = open_lake()
    settings = StudySettings(
        costs=costs,
        parameters=parameters,
        surrogates=surrogates,
        levels=options.level_prices(levels),
        slippage=None if depth is None else depth_table(depth),
    )
    given = {
        "--open-interest": open_interest,
        "--funding": funding,
        "--liquidations": liquidations,
        "--mark": mark,
        "--map": imported_map,
    }
    series = {option: by_symbol(texts or (), symbol, option) for option, texts in given.items()}
    span = (moment_us(start, option="--start"), moment_us(end, option="--end"))
    inputs = []
    for name in symbol:
        own = {option: found[name] for option, found in series.items()}
        inputs.append(_input(lake, venue, name, timeframe, span, own, calibrate=calibrate))
    studied = study_and_record(
        workspace(),
        inputs,
        settings=settings,
        seed=seed,
        command=shlex.join(["liqtiers", *sys.argv[1:]]),
        created_at=now(),
        progress=_tell,
    )
    _clear()
    refresh_index()
    tell(studied)


def tell(studied: Studied) -> None:
    """Print the headline, one line a family of claims, and where everything is."""
    typer.echo(studied.headline.sentence)
    for line in family_lines(studied.claims):
        typer.echo(line)
    typer.echo(f"figures: {studied.folder / EVIDENCE_FILE}")
    typer.echo(f"page:    {studied.page}")


def by_symbol(
    texts: Sequence[str], symbols: Sequence[str], option: str
) -> dict[str, tuple[str, ...]]:
    """Return which series belong to each symbol: those of its own, else those of all.

    Raises
    ------
    InputError
        If a series names a symbol that is not studied.
    """
    found: dict[str, list[str]] = {name: [] for name in symbols}
    for text in texts:
        symbol, _, series = text.rpartition("=")
        if symbol and symbol not in found:
            raise InputError(
                f"{option} {text!r}: {symbol!r} is not among the symbols {', '.join(symbols)}"
            )
        for name in [symbol] if symbol else symbols:
            found[name].append(series)
    return {name: tuple(series) for name, series in found.items()}


def depth_table(path: Path) -> DepthSlippage:
    """Return the order book that a csv describes.

    Raises
    ------
    InputError
        If the file cannot be read, lacks its columns, or its levels do not increase.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        levels = [(float(row["distance_bps"]), float(row["notional"])) for row in rows]
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or error
        raise InputError(f"--depth {path} cannot be read: {told}") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"--depth {path} must be a csv with the columns distance_bps,notional and numbers in them"
        ) from error
    try:
        return DepthSlippage(levels)
    except InputError as error:
        raise InputError(f"--depth {path}: {error}") from error


def _input(
    lake: Lake,
    venue: str,
    symbol: str,
    timeframe: str,
    span: tuple[int | None, int | None],
    series: dict[str, tuple[str, ...]],
    *,
    calibrate: bool,
) -> MarketInput:
    maps = series["--map"]
    if len(maps) > 1:
        raise InputError(f"--map gives {symbol} several maps, {', '.join(maps)}: give it one")
    _tell(f"{symbol}: the bars")
    panel = options.panel_of(
        lake,
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        start_us=span[0],
        end_us=span[1],
        open_interest=series["--open-interest"],
        funding=series["--funding"],
        liquidations=series["--liquidations"],
        mark=series["--mark"],
    )
    _tell(f"{symbol}: the map over {len(panel):,} bars")
    instrument = options.contract_of(panel)
    built = options.map_for(lake, panel, instrument, maps[0] if maps else None, calibrate=calibrate)
    return MarketInput(
        panel=panel,
        liquidation_map=built,
        instrument=instrument,
        books=book_series(lake, venue, symbol),
    )


def _tell(step: str) -> None:
    """Show a step: in place on a terminal, each on its own line in a log, its surrogates once."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{step}")
        sys.stderr.flush()
    elif "surrogate path" not in step or "surrogate path 1 of" in step:
        typer.echo(step, err=True)


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


if __name__ == "__main__":
    run_verb(run, name="evidence")
