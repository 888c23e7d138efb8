"""What `liqtiers tune` prints: the line that lives while it runs, and the verdict at its end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import typer

from liqtiers.reports.tuning_words import winning_command
from liqtiers.strategies.tuning import Progress

_PLAIN_SECONDS: Final = 60.0
"""Where there is no terminal, a line a minute is enough."""


class ProgressLine:
    """One line on standard error that is written over, or one a minute where it goes to a file.

    Parameters
    ----------
    deadline : datetime or None
    trials : int or None
        What it ends at.
    clock : callable
        Returns the present moment, UTC.
    """

    def __init__(
        self, *, deadline: datetime | None, trials: int | None, clock: Callable[[], datetime]
    ) -> None:
        self._deadline, self._trials, self._clock = deadline, trials, clock
        self._live = sys.stderr.isatty()
        self._last: datetime | None = None

    def show(self, progress: Progress) -> None:
        """Write where it stands."""
        text = progress_text(progress, self._left(progress))
        if self._live:
            typer.echo(f"\r\x1b[2K{text}", nl=False, err=True)
            return
        moment = self._clock()
        if self._last is None or (moment - self._last).total_seconds() >= _PLAIN_SECONDS:
            self._last = moment
            typer.echo(text, err=True)

    def end(self) -> None:
        """Leave the line as it stands."""
        if self._live:
            typer.echo("", err=True)

    def _left(self, progress: Progress) -> float | None:
        lefts = []
        if self._deadline is not None:
            lefts.append((self._deadline - self._clock()).total_seconds())
        if self._trials is not None and progress.rate > 0.0:
            lefts.append((self._trials - progress.done) / progress.rate)
        return max(min(lefts), 0.0) if lefts else None


def progress_text(progress: Progress, left: float | None) -> str:
    """Return how far it is in words.

    Parameters
    ----------
    progress : Progress
    left : float or None
        Seconds.
    """
    parts = [f"{progress.done:,} trials", f"{progress.pruned:,} pruned"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    parts.append("no winner yet" if progress.best is None else f"best {progress.best:.3f}")
    parts.append(f"{progress.rate:.1f} a second")
    if progress.deaths:
        parts.append(f"{progress.deaths} workers restarted")
    if left is not None:
        parts.append(f"{_span(left)} left")
    return " · ".join(parts)


def _span(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"


def tell_outcome(outcome: Mapping[str, Any], folder: Path) -> None:
    """Print the verdict, what it rests on, and how to run the winner again."""
    search, held = outcome["search"], outcome["holdout"]
    winner, defaults, market = held["winner"], held["defaults"], held["buy_and_hold"]
    typer.echo(outcome["verdict"]["sentence"])
    for reservation in outcome["verdict"]["reservations"]:
        typer.echo(f"But: {reservation}")
    typer.echo(
        f"holdout {held['start']} to {held['end']}: winner {winner['return']:+.1%} "
        f"(Sharpe {winner['sharpe']:.2f}, {winner['trades']} trades), defaults "
        f"{defaults['return']:+.1%}, buy-and-hold {market['return']:+.1%}"
    )
    typer.echo(
        f"search: {search['trials']:,} trials, {search['evaluations']:,} settings; score "
        f"{search['score']:.2f}; deflated Sharpe {_figure(search['deflated_sharpe_ratio'])}; "
        f"overfitting {_figure(search['overfitting']['probability'])}; plateau "
        f"{_figure(search['plateau']['height'])}"
    )
    typer.echo(f"winner:  trial {outcome['winner']['number']}, map {outcome['winner']['map']}")
    typer.echo(f"again:   {winning_command(outcome)}")
    typer.echo(f"outcome: {folder / 'outcome.json'}")


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
