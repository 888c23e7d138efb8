"""`liqtiers tune`: search the strategy's parameters overnight, and test the winner in the morning."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import typer
from optuna import Study

from liqtiers.datasets.calibration import CalibrationParameters
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import Instrument
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import MapParameters
from liqtiers.datasets.map_cache import cached_map
from liqtiers.datasets.map_features import MapFeatures
from liqtiers.datasets.panel import Panel
from liqtiers.reports.tuning_report import write_tuning_report
from liqtiers.scripts import _options as options
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._tune_words import ProgressLine, tell_outcome
from liqtiers.scripts._workspace import moment_us, now, open_lake, refresh_index, workspace
from liqtiers.strategies.parameters import CostParameters
from liqtiers.strategies.tuning import (
    Market,
    ObjectiveParameters,
    Session,
    StudyPlan,
    check_name,
    check_pruner,
    check_sampler,
    find_winner,
    finished,
    identity_of,
    make_folds,
    open_holdout,
    open_storage,
    open_study,
    openings_of,
    read_outcome,
    run_night,
    search_space,
    tuning_panel,
    without_password,
)
from liqtiers.strategies.tuning.storage import JOURNAL_FILE

_DEFAULT_MAP: Final = "default"
_MANY: Final = 10_000
_LONGEST_HOURS: Final = 8_760.0

Pairs = list[str] | None


@options.with_parameters({"costs": CostParameters, "objective": ObjectiveParameters})
def run(
    name: Annotated[str, typer.Argument(help="Name of the study; the same name goes on with it.")],
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
    calibrate: options.Calibrate = True,
    until: Annotated[str | None, typer.Option(help="Stop at this time of day, 07:00.")] = None,
    hours: Annotated[
        float | None,
        typer.Option(help="Stop after so many hours.", min=0.0, max=_LONGEST_HOURS),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Stop when the study has so many trials.", min=1)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; all cores, or 1 for a repeatable run.", min=1)
    ] = None,
    sampler: Annotated[str, typer.Option(help="tpe, cmaes, nsgaii, qmc or random.")] = "tpe",
    pruner: Annotated[
        str, typer.Option(help="When a trial stops early: wilcoxon, median or none.")
    ] = "wilcoxon",
    seed: Annotated[
        int | None, typer.Option(help="1, or with --storage one of this machine's own.", min=0)
    ] = None,
    folds: Annotated[int, typer.Option(help="Scored folds.", min=2, max=100)] = 6,
    scheme: Annotated[
        str, typer.Option(help="A fold learns from all before it (anchored) or the last (rolling).")
    ] = "anchored",
    holdout: Annotated[
        float, typer.Option(help="Share of the bars, at the end, that tuning never reads.")
    ] = 0.2,
    gap_bars: Annotated[
        int | None, typer.Option(help="Bars left out between folds; as long as a trade may last.")
    ] = None,
    fix: Annotated[Pairs, typer.Option(help="NAME=VALUE: not searched. Repeatable.")] = None,
    range_: Annotated[
        Pairs, typer.Option("--range", help="NAME=LOW:HIGH: another range. Repeatable.")
    ] = None,
    values: Annotated[Pairs, typer.Option(help="NAME=A,B,C: a list. Repeatable.")] = None,
    inner: Annotated[
        Pairs, typer.Option(help="NAME=A,B,C: all tried with each suggestion. Repeatable.")
    ] = None,
    map_values: Annotated[
        Pairs, typer.Option(help="NAME=A,B: maps to choose among. Repeatable.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Address of a database that several machines share; $LIQTIERS_STORAGE keeps a "
            "password off the command line.",
            envvar="LIQTIERS_STORAGE",
            show_envvar=False,
        ),
    ] = None,
    cash: Annotated[float, typer.Option(help="Starting equity of each fold, quote.")] = 100_000.0,
    keep_holdout: Annotated[
        bool, typer.Option("--keep-holdout", help="Stop before the holdout is opened.")
    ] = False,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Open a holdout again; the record shows it.")
    ] = False,
    costs: CostParameters,
    objective: ObjectiveParameters,
) -> None:
    """Tune overnight, and test the winner on bars never read.

    Searches the parameters over walk-forward folds; the last part of the bars stays closed until the end.

    Stops at --until, after --hours, at --trials, or on Ctrl-C; the same command goes on where it
    stopped. Writes studies/NAME/ with outcome.json, trials.parquet and report.html.

    Example: liqtiers tune btc --venue binance --symbol BTCUSDT --timeframe 5m --until 07:00
    """
    check_name(name)
    check_sampler(sampler, goals=2 if objective.goal != "sharpe" else 1)
    check_pruner(pruner)
    deadline = _deadline(until, hours, now())
    if deadline is None and trials is None:
        raise InputError("say when to stop: --until 07:00, --hours 8 or --trials 5000")
    if not 0.0 < cash < float("inf"):
        raise InputError(f"--cash is {cash:g}, it must be above 0")
    lake, folder = open_lake(), workspace() / "studies" / name
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
    instrument = options.contract_of(panel)
    grid = _map_grid(map_values, imported_map)
    space = search_space(
        fixed=_pairs(fix, "--fix"),
        ranges={k: _range(k, v) for k, v in _pairs(range_, "--range").items()},
        values={k: v.split(",") for k, v in _pairs(values, "--values").items()},
        inner={k: v.split(",") for k, v in _pairs(inner, "--inner").items()},
        maps=list(grid),
    )
    cut = make_folds(
        len(panel),
        folds=folds,
        holdout=holdout,
        gap_bars=space.longest_trade_bars() if gap_bars is None else gap_bars,
        bar_us=panel.bar_us,
        scheme=scheme,
    )
    plan = StudyPlan(name=name, space=space, folds=cut, objective=objective, pruner=pruner)

    def market_of(bars: Panel) -> Market:
        return Market(
            panel=bars,
            maps={
                name: _features(lake, bars, instrument, p, imported_map, calibrate=calibrate)
                for name, p in grid.items()
            },
            instrument=instrument,
            costs=costs,
            cash=cash,
        )

    # The maps, too, are made from the bars before the holdout alone.
    market = market_of(tuning_panel(panel, cut))
    address = storage or str(folder / JOURNAL_FILE)
    identity = identity_of(plan, market)
    study = open_study(open_storage(address), plan, identity)
    _check_closed(folder, plan, study, trials, reopen=reopen)
    crew = workers or min(os.cpu_count() or 1, trials or _MANY)
    typer.echo(
        f"{len(market.panel):,} bars of {venue} {symbol} at {timeframe} to tune on, {cut.holdout.bars:,} "
        f"held out; {len(space.outer)} parameters, {len(cut.tests)} folds, "
        f"{crew} worker{'' if crew == 1 else 's'}",
        err=True,
    )
    session = Session(
        storage=address,
        sampler=sampler,
        seed=seed if seed is not None else _own_seed(storage),
        clock=now,
    )
    line = ProgressLine(deadline=deadline, trials=trials, clock=now)
    with _interruptions() as interrupted:
        progress = run_night(
            plan,
            session,
            market,
            study,
            workers=crew,
            scratch=folder / ".workers",
            stop=lambda: interrupted() or (deadline is not None and now() >= deadline),
            trials=trials,
            show=line.show,
        )
        line.end()
        stopped = interrupted()
    command = shlex.join(["liqtiers", *(without_password(word) for word in sys.argv[1:])])
    if stopped or keep_holdout:
        why = "Stopped" if stopped else "Done, the holdout still closed"
        typer.echo(f"{why}: {progress.done:,} trials are safe. The same command goes on.")
        if stopped:
            raise typer.Exit(130)
        return
    outcome = open_holdout(
        folder,
        plan,
        study,
        market_of(panel),
        identity=identity,
        opened_at=now(),
        command=command,
        session={
            "seed": session.seed,
            "sampler": sampler,
            "workers": crew,
            "storage": without_password(storage) if storage else None,
            "series": _series_words(
                {
                    "--venue": [venue],
                    "--symbol": [symbol],
                    "--timeframe": [timeframe],
                    "--start": [start] if start else [],
                    "--end": [end] if end else [],
                    "--open-interest": open_interest or [],
                    "--funding": funding or [],
                    "--liquidations": liquidations or [],
                    "--mark": mark or [],
                    "--map": [imported_map] if imported_map else [],
                    "--cash": [repr(cash)],
                },
                calibrate=calibrate,
            ),
        },
        reopen=reopen,
    )
    # The answer first: it is not lost where the page cannot be written.
    tell_outcome(outcome, folder)
    typer.echo(f"report:  {write_tuning_report(folder)}")
    refresh_index()


def _series_words(given: Mapping[str, Sequence[str]], *, calibrate: bool) -> list[str]:
    """Return the options by which another verb gets the same bars and maps."""
    words = [
        word for option, values in given.items() for value in values for word in (option, value)
    ]
    return words if calibrate else [*words, "--no-calibrate"]


def _deadline(until: str | None, hours: float | None, present: datetime) -> datetime | None:
    """Return the moment at which to stop, the earlier one of two; a time of day is the machine's."""
    moments = [] if hours is None else [present + timedelta(hours=hours)]
    if until is not None:
        try:
            clock = datetime.strptime(until, "%H:%M").time()  # noqa: DTZ007  # a time of day only
        except ValueError:
            raise InputError(
                f"--until {until!r} is no time of day: write for example 07:00"
            ) from None
        local = present.astimezone()
        moment = local.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        moments.append(moment if moment > local else moment + timedelta(days=1))
    return min(moments) if moments else None


def _pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise InputError(f"{option} {text!r} must be NAME=VALUE")
        if name in found:
            raise InputError(f"{option} names {name} twice")
        found[name] = value
    return found


def _range(name: str, text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise InputError(f"--range {name}={text} must be LOW:HIGH, two numbers") from None


def _map_grid(given: Sequence[str] | None, imported: str | None) -> dict[str, MapParameters]:
    """Return the maps to choose among by name."""
    lists = {k: v.split(",") for k, v in _pairs(given, "--map-values").items()}
    if not lists:
        return {_DEFAULT_MAP: MapParameters()}
    if imported is not None:
        raise InputError("--map-values change our own map, not an imported one: leave out --map")
    scalars = {
        f.name: f.default for f in fields(MapParameters) if isinstance(f.default, int | float)
    }
    for name in lists:
        if name not in scalars:
            raise InputError(f"--map-values {name}: it must be one of {', '.join(scalars)}")
    grid = {}
    for row in product(*lists.values()):
        chosen = {n: _number(n, text, scalars[n]) for n, text in zip(lists, row, strict=True)}
        grid[" ".join(f"{n}={v:g}" for n, v in chosen.items())] = MapParameters(**chosen)
    return grid


def _number(name: str, text: str, default: Any) -> Any:  # noqa: ANN401  # a whole number or a real one
    try:
        return int(text) if isinstance(default, int) else float(text)
    except ValueError:
        raise InputError(f"--map-values {name} has {text!r}, which is no number") from None


def _features(
    lake: Lake,
    panel: Panel,
    instrument: Instrument,
    parameters: MapParameters,
    imported: str | None,
    *,
    calibrate: bool,
) -> MapFeatures:
    if imported is not None:
        return options.map_for(lake, panel, instrument, imported, calibrate=calibrate).features
    calibration = CalibrationParameters() if calibrate else None
    return cached_map(
        lake, panel, instrument, parameters=parameters, calibration=calibration
    ).features


def _own_seed(storage: str | None) -> int:
    """Return 1, or for a storage that machines share one that another one hardly has.

    Machines may be copies of each other, name and all, and one machine may hold two workspaces.
    """
    if storage is None:
        return 1
    return zlib.crc32(f"{socket.gethostname()} {uuid.getnode()} {workspace().resolve()}".encode())


def _check_closed(
    folder: Path, plan: StudyPlan, study: Study, trials: int | None, *, reopen: bool
) -> None:
    """Refuse to tune on after the holdout was seen, unless nothing is left to do."""
    past = openings_of(study, read_outcome(folder))
    if not past or reopen:
        return
    known = finished(study)
    winner = find_winner(plan, known)
    same = winner is not None and winner.number == past[-1]["winner"]
    if same and trials is not None and len(known) >= trials:
        return
    raise InputError(
        f"the holdout of {plan.name} was opened on {past[-1]['at']}: whoever tunes on "
        "after that knows the answer. Begin a study of another name, or add --reopen, which the record "
        "will show"
    )


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C and SIGTERM instead of dying of them; a second one ends at once."""
    noted: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(noted)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    run_verb(run, name="tune")
