"""`liqtiers data import`: files of exchanges and vendors into the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from liqtiers.datasets._series_name import SeriesName
from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.importing import import_file
from liqtiers.datasets.lake import Lake, WriteReport
from liqtiers.datasets.naming import check_name, timeframe_us
from liqtiers.datasets.schemas import EVENTS
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import SOURCES
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import open_lake

_SOURCE_HELP = f"Whose files they are: {', '.join(SOURCES)}. auto reads it off the content."


def run(
    source: Annotated[str, typer.Argument(help=_SOURCE_HELP)],
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of them.")],
    *,
    venue: Annotated[str | None, typer.Option(help="Venue, where the file does not say.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Symbol, where the file does not say.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Bar length, for example 1h.")] = None,
    table: Annotated[str | None, typer.Option(help="Canonical table, for a generic file.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Canonical=file's column name; may be repeated.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Moment of a snapshot, UTC.")] = None,
    time_unit: Annotated[str | None, typer.Option(help="s, ms, us or ns.")] = None,
    percent: Annotated[bool, typer.Option("--percent", help="Rates are in percent.")] = False,
    unit: Annotated[
        str | None, typer.Option(help="usd or coins, where amounts can be in either.")
    ] = None,
    contract_value: Annotated[
        float | None,
        typer.Option(help="Worth of a contract: coins, or dollars for a symbol quoted in USD."),
    ] = None,
) -> None:
    """Read files of exchanges and vendors into the lake.

    Importing the same file twice changes nothing. Rows that fail a check are set aside and counted.

    Example: liqtiers data import binance BTCUSDT-5m-2024-01.zip
    """
    if time_unit not in (None, "s", "ms", "us", "ns"):
        raise InputError(f"--time-unit is {time_unit!r}, it must be one of s, ms, us, ns")
    if unit not in (None, "usd", "coins"):
        raise InputError(f"--unit is {unit!r}, it must be usd or coins")
    for kind, name in (("venue", venue), ("symbol", symbol)):
        if name is not None:
            check_name(kind, name)
    if timeframe is not None and timeframe != EVENTS:
        timeframe_us(timeframe)
    options = ImportOptions(
        venue=venue,
        symbol=symbol,
        timeframe=timeframe,
        table=table,
        columns=_columns(column or []),
        at=at,
        time_unit=time_unit,
        percent=percent,
        unit=unit,
        contract_value=contract_value,
    )
    console, lake = Console(soft_wrap=True, highlight=False, emoji=False), open_lake()
    files = _files(paths)
    failures: list[tuple[Path, str]] = []
    bars = track(
        files,
        description="Importing",
        console=Console(stderr=True, emoji=False),
        disable=len(files) < 2,  # one file needs no bar
        transient=True,
    )
    done = 0
    for path in bars:
        try:
            done += _import(lake, path, source, options, console)
        except InputError as error:
            failures.append((path, str(error)))
    if done:
        refresh_catalog(lake)
    _report(console, failures, done, len(files))
    named = set(paths)
    if any(path in named for path, _ in failures) or not done:
        raise typer.Exit(2)


def _import(lake: Lake, path: Path, source: str, options: ImportOptions, console: Console) -> int:
    found = import_file(lake, path, source=source, options=options)
    for parsed, report in found:
        console.print(f"{path.name}: {parsed.recognised}", markup=False)
        console.print(f"  {_summary(report)}", markup=False)
        for note in parsed.notes:
            console.print(f"  note: {note}", markup=False)
    return len(found)


def _summary(report: WriteReport) -> str:
    series = str(SeriesName(report.venue, report.symbol, report.timeframe))
    parts = [
        f"{report.table} of {series}: {report.inserted:,} new",
        f"{report.updated:,} changed",
        f"{report.unchanged + report.repeated:,} already there",
        f"{report.quarantined:,} set aside",
    ]
    text = ", ".join(parts)
    if report.reasons:
        reasons = "; ".join(f"{count:,} x {reason}" for reason, count in report.reasons.items())
        text += f" ({reasons[:300]})"
    return text


def _report(console: Console, failures: list[tuple[Path, str]], done: int, files: int) -> None:
    if failures:
        errors = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
        errors.print(f"{len(failures)} of {files} files were not imported:", markup=False)
        for _, message in failures:
            errors.print(f"  {' '.join(message.split())}", markup=False)
    if not done:
        return
    console.print(f"{files - len(failures)} of {files} files imported.", markup=False)


def _files(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(
                p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")
            )
        else:
            files.append(path)
    if not files:
        raise InputError(f"{paths[0]}: the folder holds no files")
    return files


def _columns(given: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    wrong = [
        text for text, (name, _, value) in zip(given, pairs, strict=True) if not (name and value)
    ]
    if wrong:
        raise InputError(f"--column {wrong[0]!r} is not NAME=COLUMN, for example --column ts=date")
    return {name: value for name, _, value in pairs}


if __name__ == "__main__":
    run_verb(run, name="data import")
