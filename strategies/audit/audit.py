"""The audit: run with the future, run without, compare; and the same for the past that comes before.

1. Twice over all bars, in two fresh processes: what does not repeat itself cannot be audited.
2. Twice in one process: what the second run does otherwise, it knows from the first.
3. Up to each cut, in fresh processes: what differs before a cut depends on what comes after it.
4. Over the last bars only: from which bar on do the values agree with those of the longer history?

Not seen: values that are the same whatever the bars are, made of the whole history elsewhere (a file, a
table, parameters chosen by hindsight). Files that the audited code reads are named for that reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ...datasets.errors import InputError
from ...datasets.panel import Int64Array1D
from ._fresh import FreshProcesses, Job
from ._runs import Kind, Run, Setup, kind_of, record, warm_up
from .comparison import Change, changes_between, earliest, settled_from
from .cuts import choose_cuts, share_found
from .record import Record, Stage

ROUNDING: Final = 1e-9
"""Relative difference that the order of additions can make; a look-ahead is far larger."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """How much is tried.

    Attributes
    ----------
    cuts : int
        How often the future is cut off.
    seed : int
        Of where.
    tolerance : float
        Relative difference that is put down to rounding; 0 asks for equality to the last bit.
    warm_ups : int
        How many shorter histories are tried.
    settled : float
        Difference, as a share of the value or of the line's median size, within which it has settled.
    """

    cuts: int = 40
    seed: int = 1
    tolerance: float = ROUNDING
    warm_ups: int = 3
    settled: float = 1e-3

    def __post_init__(self) -> None:
        if self.cuts < 1:
            raise InputError(f"cuts is {self.cuts}, it must be at least 1")


@dataclass(frozen=True, slots=True)
class Settling:
    """How long a line depends on where its history begins.

    Attributes
    ----------
    name : str
    bars : int or None
        From which bar of a history on it agrees with a longer one, at worst; None if it never did.
    tried : int
        Bars of the longest history in which it was looked for.
    where : str
        ``file:line`` of the user's code, empty where unknown.
    """

    name: str
    bars: int | None
    tried: int
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What an audit found.

    Attributes
    ----------
    target : str
    kind : {"strategy", "feature"}
    ts : ndarray of int64, shape (n,)
        Opens of the bars, UTC microseconds.
    cuts : tuple of int
        How many bars were left at each.
    too_short : int
        Bars that were too few to run at all; 0 where none were.
    changes : tuple of Change
        What depends on the future, the cause first.
    kept : tuple of Change
        What a second run in the same process does otherwise; `cut` is the number of bars.
    globals : tuple of str
        Module globals and class attributes that a run changes.
    files : tuple of str
        Files that the audited code read.
    lines, inputs : int
        How many columns were compared: the target's own, and those of data and map.
    orders, order_bars, order_bars_cut : int
        Orders sent, bars at which, and how many of these were the last before a cut.
    settlings : tuple of Settling
        The slowest first.
    settled : float
        Within what.
    """

    target: str
    kind: Kind
    ts: Int64Array1D
    cuts: tuple[int, ...]
    too_short: int
    changes: tuple[Change, ...]
    kept: tuple[Change, ...]
    globals: tuple[str, ...]
    files: tuple[str, ...]
    lines: int
    inputs: int
    orders: int
    order_bars: int
    order_bars_cut: int
    settlings: tuple[Settling, ...]
    settled: float

    @property
    def looks_ahead(self) -> bool:
        """Whether anything depends on what comes later."""
        return bool(self.changes or self.kept)

    @property
    def share_found(self) -> float:
        """Share of bars at which a leak must be at work to be found with 95 % certainty."""
        return share_found(len(self.cuts))


def audit(
    setup: Setup,
    settings: AuditSettings | None = None,
    *,
    processes: FreshProcesses | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Find out whether a strategy or a feature depends on what comes later.

    Parameters
    ----------
    setup : Setup
        The target, its market and what else it is given.
    settings : AuditSettings, optional
    processes : FreshProcesses, optional
        Entered already; for who audits often.
    progress : callable, optional
        Called with the number of runs done and of all.

    Raises
    ------
    InputError
        If the target cannot be loaded, fails by itself, does not repeat itself, or there are too few
        bars.

    Notes
    -----
    Look-ahead: none is added. A cut at bar c is compared at bars 0 to c - 1 with the run over all bars.
    """
    settings = settings or AuditSettings()
    if processes is None:
        with FreshProcesses() as own:
            return audit(setup, settings, processes=own, progress=progress)
    bars = len(setup.market.close_ts)
    kind: Kind = processes.run(kind_of, setup.target)
    if kind == "strategy":
        processes.prepare(warm_up)
    run = Run(setup=setup, stop=bars)
    jobs = [Job(record, each) for each in (run, run, replace(run, times=2))]
    whole, again, second = processes.map(jobs)
    _check_repeats(setup, whole, again, settings)
    _check_something_done(setup, (whole, second))
    cuts = _cuts(setup, whole, settings)
    starts = _starts(whole, settings)
    runs = [replace(run, stop=cut) for cut in cuts] + [replace(run, start=s) for s in starts]
    found = _told(processes.map(Job(record, each) for each in runs), len(runs), progress)
    short = [next(found) for _ in cuts]
    changes, too_short = _judge(whole, short, settings)
    _check_failure(setup, whole, changes)
    settlings = _settlings(whole, starts, found, settings)
    stages = [column.stage for column in whole.columns.values()]
    acting = {order.bar for order in whole.orders}
    return AuditResult(
        target=str(setup.target),
        kind=kind,
        ts=whole.ts,
        cuts=tuple(cut for cut in cuts if cut > too_short),
        too_short=too_short,
        changes=tuple(changes),
        kept=tuple(earliest(changes_between(whole, second, tolerance=settings.tolerance))),
        globals=second.kept or whole.kept,
        files=whole.files,
        lines=sum(stage in (Stage.LINE, Stage.STATE) for stage in stages),
        inputs=sum(stage in (Stage.DATA, Stage.MAP) for stage in stages),
        orders=len(whole.orders),
        order_bars=len(acting),
        order_bars_cut=len(acting & {cut - 1 for cut in cuts}),
        settlings=settlings,
        settled=settings.settled,
    )


def _told(results: Iterator[Record], count: int, progress: Progress | None) -> Iterator[Record]:
    for done, result in enumerate(results, start=1):
        if progress is not None:
            progress(done, count)
        yield result


def _check_repeats(setup: Setup, whole: Record, again: Record, settings: AuditSettings) -> None:
    _check_failure(setup, whole, None)
    differing = changes_between(whole, again, tolerance=settings.tolerance)
    if differing:
        first = differing[0]
        raise InputError(
            f"{setup.target} does not repeat itself: two runs over the same bars differ in "
            f"{first.name} at bar {first.bar}, {first.whole} and {first.cut_off}; seed its random "
            "numbers and keep the clock out of it, else nothing can be said"
        )


def _check_something_done(setup: Setup, runs: Sequence[Record]) -> None:
    """Refuse a target of which there is nothing to compare: it would pass whatever it does."""
    lines = [c.values for run in runs for c in run.columns.values() if c.stage == Stage.LINE]
    if any(run.orders for run in runs) or any(np.isfinite(values).any() for values in lines):
        return
    raise InputError(
        f"{setup.target} leaves nothing to compare on these bars: no line with a value, no order; take "
        "more bars, or others"
    )


def _check_failure(setup: Setup, whole: Record, changes: Sequence[Change] | None) -> None:
    """Refuse a target that fails by itself; at the last bar only if it does so nowhere else."""
    failure = whole.failure
    if failure is None or changes or (changes is None and failure.bar == len(whole.ts) - 1):
        return
    where = f" ({failure.where})" if failure.where else ""
    place = f" at bar {failure.bar}" if failure.bar >= 0 else ""
    raise InputError(f"{setup.target} fails{place}{where}: {failure.words}")


def _cuts(setup: Setup, whole: Record, settings: AuditSettings) -> list[int]:
    bars = len(whole.ts)
    first = max(setup.market.earliest_cut, whole.first_bar + 2, 2)
    if first >= bars:
        raise InputError(
            f"{setup.target} first acts at bar {whole.first_bar + 1:,} of {bars:,}: nothing can be cut "
            "off behind it; take more bars"
        )
    acting = [order.bar for order in whole.orders]
    rng = np.random.default_rng(settings.seed)
    return choose_cuts(bars, settings.cuts, earliest=first, acting=acting, rng=rng)


def _starts(whole: Record, settings: AuditSettings) -> list[int]:
    """Return how many bars to leave out at the beginning: a half, a quarter … of those not needed."""
    free = len(whole.ts) - 2 * (whole.first_bar + 1)
    starts = {free >> (k + 1) for k in range(settings.warm_ups)}
    return sorted(start for start in starts if start > 0)


def _judge(
    whole: Record, short: Sequence[Record], settings: AuditSettings
) -> tuple[list[Change], int]:
    """Return what changed, and how many bars were too few to run at all.

    What cannot begin with few bars needs a history; what cannot begin with many, where fewer sufficed,
    or never without the very last, needs the future.
    """
    unable = [len(r.ts) for r in short if r.failure is not None and r.failure.bar < 0]
    able = [len(r.ts) for r in short if r.failure is None or r.failure.bar >= 0]
    needs_history = bool(unable and able) and max(unable) < min(able)
    judged = [r for r in short if not (needs_history and len(r.ts) in unable)]
    changes = [
        change
        for each in judged
        for change in changes_between(whole, each, tolerance=settings.tolerance)
    ]
    return earliest(changes), max(unable) if needs_history else 0


def _settlings(
    whole: Record, starts: Sequence[int], later: Iterator[Record], settings: AuditSettings
) -> tuple[Settling, ...]:
    """Return how long each line of the target depends on where the history begins."""
    found: dict[str, list[int | None]] = {}
    for start, run in zip(starts, later, strict=True):
        for name, column in run.columns.items():
            reference = whole.columns.get(name)
            # Equity, position and counters go by every trade before; they never forget.
            if reference is None or column.stage != Stage.LINE:
                continue
            values = reference.values[start : start + run.bars]
            if values.shape != column.values[: run.bars].shape or not run.bars:
                continue
            settled = settled_from(values, column.values[: run.bars], tolerance=settings.settled)
            found.setdefault(name, []).append(settled)
    longest = len(whole.ts) - min(starts, default=0)
    settlings = [
        Settling(
            name,
            None if None in bars else max(b for b in bars if b is not None),
            longest,
            whole.columns[name].where,
        )
        for name, bars in found.items()
    ]
    return tuple(sorted(settlings, key=lambda s: (s.bars is not None, -(s.bars or 0))))
