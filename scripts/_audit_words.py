"""What `liqtiers audit` says of what it found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from rich.table import Table

from liqtiers.strategies.audit import AuditResult, Settling

_MOST_ROWS: Final = 10


def verdict(result: AuditResult) -> str:
    """Return what came out, in one sentence."""
    if result.changes:
        first = result.changes[0]
        place = f" ({first.where})" if first.where else ""
        when = f" at bar {first.bar:,}, {moment(first.ts_us)} UTC"
        gone = f"the bars from {moment(int(result.ts[first.cut]))} UTC on"
        if first.name == "exception":
            when = when + "," if first.bar else ""
            return f"{result.target} looks ahead: without {gone} it fails{when}{place}: {first.cut_off}."
        verb = "change" if first.name == "orders" else "changes"
        return f"{result.target} looks ahead: {first.name}{place} {verb}{when}, when {gone} are taken away."
    if result.kept:
        first = result.kept[0]
        what = f" It keeps {', '.join(result.globals)}." if result.globals else ""
        return (
            f"{result.target} knows its earlier run: a second one in the same process differs in "
            f"{first.name} at bar {first.bar:,}, {moment(first.ts_us)} UTC.{what}"
        )
    things = f"{count(result.lines, 'line')}"
    if result.kind == "strategy":
        things += f", {count(result.orders, 'order')}, position and equity"
    return (
        f"No look-ahead found in {result.target}: with the future cut off at "
        f"{count(len(result.cuts), 'place')}, its {things} stayed the same at all bars before."
    )


def changes_table(result: AuditResult) -> Table:
    """Return what changed first, the cause before its effects."""
    changes = result.changes or result.kept
    title = "What changed, and where first"
    if len(changes) > _MOST_ROWS:
        title += f" ({_MOST_ROWS} of {len(changes)})"
    table = Table(title=title, title_justify="left")
    versions = ("with the future", "without") if result.changes else ("first run", "second run")
    for name in ("what", "kind", "bar", "UTC", *versions, "where"):
        table.add_column(name, justify="right" if name == "bar" else "left")
    for c in changes[:_MOST_ROWS]:
        table.add_row(c.name, c.kind, f"{c.bar:,}", moment(c.ts_us), c.whole, c.cut_off, c.where)
    return table


def compared_table(result: AuditResult) -> Table:
    """Return what was compared."""
    table = Table(title="What was compared", title_justify="left", show_header=False)
    table.add_column()
    table.add_column()
    span = f"{moment(int(result.ts[0]))} to {moment(int(result.ts[-1]))} UTC"
    table.add_row("bars", f"{len(result.ts):,}, {span}")
    table.add_row("cuts", f"{len(result.cuts):,}")
    table.add_row("lines", f"{result.lines:,} of {result.target}")
    if result.inputs:
        table.add_row("data and map", f"{result.inputs:,} columns")
    if result.kind == "strategy":
        table.add_row(
            "orders",
            f"{result.orders:,} at {count(result.order_bars, 'bar')}, "
            f"{result.order_bars_cut:,} of these the last before a cut",
        )
    return table


def warm_up_sentence(result: AuditResult) -> str:
    """Return how long the lines depend on where the history begins."""
    shown = top_level(result)
    if not shown:
        return "Warm-up: it has no lines to compare over shorter histories."
    never = [s.name for s in shown if s.bars is None]
    if never:
        names = ", ".join(never[:4]) + (" …" if len(never) > 4 else "")
        verb = "never settles" if len(never) == 1 else "never settle"
        return (
            f"Warm-up: {names} {verb}: the value depends on where the history begins, for all "
            f"{never_in(shown):,} bars that were tried."
        )
    slowest = max(s.bars or 0 for s in shown)
    if slowest == 0:
        return "Warm-up: no line depends on where the history begins."
    return (
        f"Warm-up: after {count(slowest, 'bar')} of history every line agrees with a longer history "
        f"within {result.settled:.1%}."
    )


def never_in(settlings: list[Settling]) -> int:
    """Return the longest history that was tried."""
    return max(s.tried for s in settlings)


def warm_up_table(result: AuditResult) -> Table | None:
    """Return the slowest lines, None where all agree from the first bar on."""
    slow = [s for s in top_level(result) if s.bars != 0]
    if not slow:
        return None
    title = "Bars until settled"
    if len(slow) > _MOST_ROWS:
        title += f" ({_MOST_ROWS} of {len(slow)})"
    table = Table(title=title, title_justify="left")
    table.add_column("line")
    table.add_column("bars", justify="right")
    table.add_column("where")
    for s in slow[:_MOST_ROWS]:
        table.add_row(s.name, "never" if s.bars is None else f"{s.bars:,}", s.where)
    return table


def top_level(result: AuditResult) -> list[Settling]:
    """Return the lines that are not inside of others."""
    return [s for s in result.settlings if " > " not in s.name]


def notes(result: AuditResult) -> Iterator[str]:
    """Return what a reader of the verdict must know."""
    if result.kind == "strategy" and not result.orders:
        yield "It sent no order on these bars: nothing is known about its orders. Take other bars."
    if result.too_short:
        yield (
            f"{count(result.too_short, 'bar')} were too few for it to run; it was cut only behind them."
        )
    if result.globals and not result.kept:
        yield f"A run changes {', '.join(result.globals)}: the next run in the same process sees that."
    if result.files:
        names = ", ".join(Path(file).name for file in result.files[:4])
        yield f"It read {names}: what stands there is not cut off, and may be made with hindsight."
    if not result.looks_ahead:
        yield (
            f"A leak that is at work at one bar in {int(1 / result.share_found):,} would have been found "
            "with 95 % certainty; more --cuts find rarer ones."
        )
        yield "Not seen by cutting: parameters and tables that were chosen or made by hindsight."


def moment(ts_us: int) -> str:
    """Return a moment to the minute, or to the second where it needs it."""
    text = str(np.datetime_as_string(np.datetime64(ts_us, "us"), unit="s")).replace("T", " ")
    return text.removesuffix(":00")


def count(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
