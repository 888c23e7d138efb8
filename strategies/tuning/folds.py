"""Which bars a trial is scored on, which it may learn from, and which nobody reads before the end.

The bars are cut, in time order, into a first stretch to learn from, the folds, and the holdout. Between
any two of them lies a gap as long as a trade can last and its indicators need to warm up: no trade that
began in one can end in the next (purge), and nothing that warms up in one was traded in the other
(embargo). The tuner is handed a copy of the bars before the holdout's gap: what it does not have it
cannot read.

A trial has nothing to fit, so each stretch is run by itself, from flat to flat. What a fold may learn
from matters for the walk-forward check: which trial would have been chosen at the fold's start, by
earlier stretches alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

import numpy as np

from ...datasets.errors import InputError
from ...datasets.map_features import MapFeatures, TierLadder
from ...datasets.naming import DAY_US
from ...datasets.panel import Panel, column_names

ANCHORED: Final = "anchored"
ROLLING: Final = "rolling"
SCHEMES: Final = (ANCHORED, ROLLING)
SHORTEST_FOLD_DAYS: Final = 5
"""A Sharpe ratio of fewer daily returns says nothing."""


class Segment(NamedTuple):
    """Bars `start` to `stop` (exclusive)."""

    start: int
    stop: int

    @property
    def bars(self) -> int:
        """How many there are."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Folds:
    """How a panel's bars are used.

    Attributes
    ----------
    segments : tuple of Segment
        The first stretch, which is only learnt from, then the folds that are scored, in time order.
    holdout : Segment
        The last stretch.
    tuning_stop : int
        Bars from here on are not given to the tuner.
    gap_bars : int
        Bars left out between any two stretches.
    scheme : str
        ``"anchored"``: a fold may learn from all stretches before it; ``"rolling"``: from the last one
        alone.
    """

    segments: tuple[Segment, ...]
    holdout: Segment
    tuning_stop: int
    gap_bars: int
    scheme: str

    @property
    def tests(self) -> tuple[Segment, ...]:
        """The scored folds."""
        return self.segments[1:]

    def train(self, fold: int) -> tuple[int, ...]:
        """Return the places in `segments` that fold `fold` (0 for the first scored one) may learn from."""
        return tuple(range(fold + 1)) if self.scheme == ANCHORED else (fold,)


def make_folds(
    bars: int,
    *,
    folds: int,
    holdout: float,
    gap_bars: int,
    bar_us: int,
    scheme: str = ANCHORED,
) -> Folds:
    """Cut bars into a first stretch, folds and a holdout.

    Parameters
    ----------
    bars : int
        How many there are.
    folds : int
        Scored folds, all of one length, which is also that of the first stretch.
    holdout : float
        Share of the bars, at the end, that tuning never reads.
    gap_bars : int
        Longest that a trade can last, with its warm-up: see `SearchSpace.longest_trade_bars`.
    bar_us : int
        Length of a bar, microseconds.
    scheme : str
        ``"anchored"`` or ``"rolling"``.

    Raises
    ------
    InputError
        If an option is out of bounds, or a fold is left with fewer than five days.

    Examples
    --------
    >>> cut = make_folds(1000, folds=2, holdout=0.2, gap_bars=10, bar_us=86_400_000_000)
    >>> cut.segments, cut.holdout
    ((Segment(start=10, stop=263), Segment(start=273, stop=526), Segment(start=536, stop=789)), \
Segment(start=800, stop=1000))
    """
    if scheme not in SCHEMES:
        raise InputError(f"the scheme of the folds is {scheme!r}, it must be anchored or rolling")
    if folds < 2:
        raise InputError(f"there are {folds} folds, there must be at least 2 to see their spread")
    if not 0.05 <= holdout <= 0.5:
        raise InputError(f"the holdout is {holdout:g} of the bars, it must be 0.05 to 0.5")
    first = bars - round(bars * holdout)
    tuning_stop = first - gap_bars
    # Before the first stretch, too, indicators need bars to warm up.
    length = (tuning_stop - (folds + 1) * gap_bars) // (folds + 1)
    shortest = -(-SHORTEST_FOLD_DAYS * DAY_US // bar_us)
    if min(length, bars - first) < shortest:
        raise InputError(
            f"{bars:,} bars leave {max(length, 0):,} for each of {folds} folds and {bars - first:,} "
            f"for the holdout, with gaps of {gap_bars:,} between them; each needs {shortest:,} "
            f"({SHORTEST_FOLD_DAYS} days): take more bars or fewer folds, or search max_hold, atr_bars "
            "and thrust_bars over smaller values"
        )
    step = length + gap_bars
    starts = [gap_bars + place * step for place in range(folds + 1)]
    return Folds(
        segments=tuple(Segment(start, start + length) for start in starts),
        holdout=Segment(first, bars),
        tuning_stop=tuning_stop,
        gap_bars=gap_bars,
        scheme=scheme,
    )


def tuning_panel(panel: Panel, folds: Folds) -> Panel:
    """Return a copy of the bars that the tuner may read; no later bar is in memory behind it."""
    cut = panel.slice(0, folds.tuning_stop)
    copies: dict[str, Any] = {name: np.array(getattr(cut, name)) for name in column_names()}
    return replace(cut, **copies)


def tuning_features(features: MapFeatures, folds: Folds) -> MapFeatures:
    """Return a copy of a map's features over the bars that the tuner may read.

    Notes
    -----
    Look-ahead: a feature is known at its bar's close, so that those before the holdout do not depend
    on it, whether the map was built over all bars or over the tuner's alone.
    """
    cut = features.slice(0, folds.tuning_stop)
    copies: dict[str, Any] = {
        f.name: _copied(getattr(cut, f.name)) for f in fields(cut) if f.name != "windows"
    }
    return replace(cut, **copies)


def _copied(value: Any) -> Any:
    if isinstance(value, TierLadder):
        return replace(value, **{f.name: np.array(getattr(value, f.name)) for f in fields(value)})
    return np.array(value)
