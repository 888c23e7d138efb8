"""Two liquidation maps held against each other on the same bars: a vendor's and ours, or two of ours.

Vendors' figures are relative intensities, so only order and lean are compared, never dollars. That two
maps agree says nothing yet about either being right: both are drawn around the same price. Where
liquidations were printed, each is held against them over the same periods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ..datasets._series_name import parse_series
from ..datasets.errors import InputError
from ..datasets.liquidation_map import LiquidationMap
from ..datasets.map_features import MapSnapshots
from ..datasets.naming import DAY_US, HOUR_US, timeframe_us
from ..datasets.panel import BoolArray1D, Float64Array1D, Panel
from ..datasets.schemas import EVENTS
from .formatting import number, share
from .map_skill import MINIMUM_DAYS, period_table
from .rank_statistics import rank_correlation

FEWEST: Final = 3
_COLUMNS: Final = tuple(
    f"{kind}_{side}" for kind in ("predicted", "happened") for side in ("short", "long")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAgreement:
    """How alike two maps are within a distance of price, over the bars at which both are known.

    Attributes
    ----------
    distance : float
        Fraction of price.
    bars : int
        Bars at which both state an imbalance.
    above, below, imbalance : float
        Rank correlation over those bars of the notional above, of the notional below and of their
        ratio; NaN with fewer than three bars, or where one map does not vary.
    same_lean : float
        Share of those bars at which both have more on the same side.
    """

    distance: float
    bars: int
    above: float
    below: float
    imbalance: float
    same_lean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MapComparison:
    """Two maps on the same bars.

    Attributes
    ----------
    models : tuple of str
        What each map was built from, or who made it.
    windows : tuple of WindowAgreement
        Nearest first.
    by_bin : tuple of float
        Rank correlation of the two by price bin at the last bar, shorts and longs, as far as both are
        measured.
    period_us, periods, days : int
        Length and number of the periods in which both predictions and the prints are known, and their
        days.
    printed : tuple of (float, float)
        For each map the rank correlation of what it predicted with what was printed, shorts and longs.
    """

    models: tuple[str, str]
    windows: tuple[WindowAgreement, ...]
    by_bin: tuple[float, float]
    period_us: int
    periods: int
    days: int
    printed: tuple[tuple[float, float], tuple[float, float]]


class _Witnesses(NamedTuple):
    period_us: int
    periods: int
    days: int
    printed: tuple[tuple[float, float], tuple[float, float]]


def compare_maps(panel: Panel, first: LiquidationMap, second: LiquidationMap) -> MapComparison:
    """Compare two maps bar by bar.

    Parameters
    ----------
    panel : Panel
    first, second : LiquidationMap
        Both built over `panel`, with the same bins and windows.

    Raises
    ------
    InputError
        If they are not of the same bars, bins and windows.

    Notes
    -----
    Look-ahead: each map at a bar is what was known at its close; figures are over all bars.
    """
    ours, theirs = first.features, second.features
    if not len(panel) == len(ours) == len(theirs):
        raise InputError(
            f"maps over {len(ours):,} and {len(theirs):,} bars cannot be compared on {len(panel):,}: "
            "build both over the same panel"
        )
    if ours.windows != theirs.windows or (
        first.parameters.bin_width != second.parameters.bin_width
    ):
        raise InputError("maps of other windows or bins cannot be compared: build both alike")
    witnesses = _against_prints(panel, first, second)
    return MapComparison(
        models=(first.model, second.model),
        windows=tuple(_window(first, second, column) for column in range(len(ours.windows))),
        by_bin=_by_bin(first.latest, second.latest),
        **witnesses._asdict(),
    )


def _window(first: LiquidationMap, second: LiquidationMap, column: int) -> WindowAgreement:
    pairs = [
        (getattr(first.features, name)[:, column], getattr(second.features, name)[:, column])
        for name in ("notional_above", "notional_below", "imbalance")
    ]
    # A side that is empty makes the ratio infinite, which has a rank and a lean all the same.
    values = np.stack([column for pair in pairs for column in pair])
    known: BoolArray1D = np.all(~np.isnan(values), axis=0)
    ours, theirs = (imbalance[known] for imbalance in pairs[2])
    return WindowAgreement(
        distance=first.features.windows[column],
        bars=int(known.sum()),
        above=_ranks(*pairs[0], known),
        below=_ranks(*pairs[1], known),
        imbalance=_ranks(_finite(pairs[2][0]), _finite(pairs[2][1]), known),
        same_lean=float(((ours > 1.0) == (theirs > 1.0)).mean()) if known.any() else np.nan,
    )


def _finite(ratio: Float64Array1D) -> Float64Array1D:
    """Return a ratio whose infinite values rank highest and are numbers all the same."""
    return np.minimum(ratio, np.finfo(np.float64).max)


def _ranks(first: Float64Array1D, second: Float64Array1D, known: BoolArray1D) -> float:
    return rank_correlation(first[known], second[known]) if known.sum() >= FEWEST else np.nan


def _by_bin(first: MapSnapshots, second: MapSnapshots) -> tuple[float, float]:
    """Return the agreement by bin; both pictures are of the same price and reach."""
    sides = (
        (first.short_notional[-1], second.short_notional[-1]),
        (first.long_notional[-1], second.long_notional[-1]),
    )
    found = []
    for ours, theirs in sides:
        # Where neither holds anything, on the other side of price, there is nothing to agree on.
        held = (ours > 0.0) | (theirs > 0.0)
        found.append(_ranks(ours.astype(np.float64), theirs.astype(np.float64), held))
    return found[0], found[1]


def _against_prints(panel: Panel, first: LiquidationMap, second: LiquidationMap) -> _Witnesses:
    """Hold both against the prints by the hour, or by what these are sums over where that is longer."""
    sums = [
        timeframe_us(name.timeframe)
        for name in map(parse_series, panel.sources.get("liquidations", ()))
        if name.timeframe not in (None, EVENTS)
    ]
    found = _witnesses(panel, first, second, max(HOUR_US, panel.bar_us, *sums))
    return found if found.periods >= FEWEST else _witnesses(panel, first, second, DAY_US)


def _witnesses(
    panel: Panel, first: LiquidationMap, second: LiquidationMap, period_us: int
) -> _Witnesses:
    ours, theirs = (period_table(panel, built.features, period_us) for built in (first, second))
    needed = [table[name] for table in (ours, theirs) for name in _COLUMNS]
    known: BoolArray1D = np.all(np.isfinite(np.stack(needed)), axis=0)

    def ranks(table: dict[str, Float64Array1D], side: str) -> float:
        return _ranks(table[f"predicted_{side}"], table[f"happened_{side}"], known)

    return _Witnesses(
        period_us=period_us,
        periods=int(known.sum()),
        days=len(np.unique(ours["start_us"][known] // DAY_US)),
        printed=(
            (ranks(ours, "short"), ranks(ours, "long")),
            (ranks(theirs, "short"), ranks(theirs, "long")),
        ),
    )


def comparison_words(comparison: MapComparison) -> tuple[str, ...]:
    """Return what the comparison says besides its table by window, one sentence each."""
    ours, theirs = comparison.models
    short, long = (number(value) for value in comparison.by_bin)
    hours = comparison.period_us // HOUR_US
    period = {1: "by the hour", 24: "by the day"}.get(hours, f"in {hours} hours")
    found = [
        f"By price bin at this moment the two maps rank alike at {short} (shorts) and {long} (longs)."
    ]
    if comparison.days < MINIMUM_DAYS:
        few = f"{comparison.days} days of prints, at least {MINIMUM_DAYS} are needed"
        return (*found, f"Too little to say which of them locates liquidations better: {few}.")
    for name, (shorts, longs) in zip((ours, theirs), comparison.printed, strict=True):
        found.append(
            f"The map from {name} ranks the liquidations printed {period} at {number(shorts)} "
            f"(shorts) and {number(longs)} (longs), over {comparison.periods:,} periods."
        )
    return tuple(found)


def comparison_rows(comparison: MapComparison) -> list[dict[str, str]]:
    """Return the table by window: distance, bars, and the agreement in words."""
    return [
        {
            "distance": f"{100.0 * window.distance:g}%",
            "bars": f"{window.bars:,}",
            "above": number(window.above),
            "below": number(window.below),
            "imbalance": number(window.imbalance),
            "same_lean": share(window.same_lean),
        }
        for window in comparison.windows
    ]
