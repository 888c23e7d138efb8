"""Does the map know where liquidations happen? Its predictions against what was printed.

Out of sample throughout: what is predicted for a bar is swept from the book as it stood before the bar.
The map is compared with predictors that need no map, and what matters is the partial rank correlation
that remains after they are taken out. Prints are incomplete, so only ranks are compared; the ratio
of predicted to printed is shown as a ratio and not as an error.

That a map locates liquidations says nothing yet about where price goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ..datasets.calibration import LOST, PRINTED, Target, lost_open_interest
from ..datasets.errors import InputError
from ..datasets.map_features import MapFeatures
from ..datasets.naming import DAY_US, HOUR_US
from ..datasets.panel import Float64Array1D, Int64Array1D, Panel, periods
from .rank_statistics import (
    DEFAULT_DRAWS,
    Estimate,
    partial_rank_correlation,
    rank_correlation,
    with_interval,
)

RANGE: Final = "range x open interest"
VOLUME: Final = "volume x path length"
YESTERDAY: Final = "yesterday's liquidations"
MOVE: Final = "move to that side x open interest"
SIDE_VOLUME: Final = "volume x path to that side"
NAIVE: Final = (RANGE, VOLUME, YESTERDAY)
HARD: Final = (*NAIVE, MOVE, SIDE_VOLUME)
MINIMUM_DAYS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SideSkill:
    """How well one side's liquidations were located.

    Attributes
    ----------
    side : str
        ``short`` or ``long``: the positions that were closed.
    rank : Estimate
        Rank correlation of predicted with printed liquidations.
    naive : dict of str to float
        The same of each predictor that needs no map.
    partial_move : Estimate
        What remains of `rank` after ``move to that side x open interest``, the strongest predictor that
        needs neither volume nor a map.
    partial : Estimate
        What remains after range x open interest, volume x path length and yesterday's liquidations.
    partial_hard : Estimate
        What remains after these and the two that know the side.
    ratio : float
        Predicted over printed value; above 1 where prints are incomplete.
    sentence : str
    """

    side: str
    rank: Estimate
    naive: dict[str, float]
    partial_move: Estimate
    partial: Estimate
    partial_hard: Estimate
    ratio: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSkill:
    """How well a map located liquidations, both sides.

    Attributes
    ----------
    target : str
        ``printed liquidations`` or ``lost open interest``.
    period_us : int
    periods, days, dropped : int
        Periods and days compared, and periods left out because something was unknown.
    short, long : SideSkill
        Against lost open interest both are of both sides together.
    """

    target: Target
    period_us: int
    periods: int
    days: int
    dropped: int
    short: SideSkill
    long: SideSkill


def map_skill(
    panel: Panel,
    features: MapFeatures,
    *,
    period_us: int,
    rng: np.random.Generator,
    start_us: int | None = None,
    against: Target = PRINTED,
    draws: int = DEFAULT_DRAWS,
) -> MapSkill:
    """Compare what a map predicted with what happened.

    Parameters
    ----------
    panel : Panel
    features : MapFeatures
        Over the same bars.
    period_us : int
        Over which sums are compared, microseconds; at least as long as the prints' own bars, or as the
        time between observations of open interest.
    rng : numpy.random.Generator
        Draws the days of the intervals.
    start_us : int, optional
        First moment to compare, for example where a fit begins.
    against : Target
        What happened: ``"printed liquidations"`` or ``"lost open interest"``.
    draws : int
        Of the bootstrap.

    Raises
    ------
    InputError
        If nothing can be compared, or the period is not a whole number of bars.
    """
    table = period_table(panel, features, period_us, against=against)
    asked = table["start_us"] >= (-np.inf if start_us is None else start_us)
    known = asked & np.isfinite(np.stack(list(table.values()))).all(axis=0)
    if known.sum() < 3:
        raise InputError(
            f"no {against} to compare the map with: fewer than 3 periods have all of it"
        )
    rows = {name: column[known] for name, column in table.items()}
    day = ((rows["start_us"]) // DAY_US).astype(np.int64)
    days = len(np.unique(day))
    sides = [
        _side_skill(side, rows, day, against=against, rng=rng, draws=draws)
        for side in ("short", "long")
    ]
    return MapSkill(
        target=against,
        period_us=period_us,
        periods=int(known.sum()),
        days=days,
        dropped=int(asked.sum() - known.sum()),
        short=sides[0],
        long=sides[1],
    )


def period_table(
    panel: Panel, features: MapFeatures, period_us: int, *, against: Target = PRINTED
) -> dict[str, Float64Array1D]:
    """Return what is compared, one row a period: predicted, happened, and the naive predictors.

    Columns are named ``predicted_short``, ``happened_short``, ``short: <predictor>`` and the like;
    ``start_us`` is the period's start. Unknown is NaN, and so is a period of which bars are missing.

    Raises
    ------
    InputError
        If the period is not a whole number of bars.
    """
    if period_us % panel.bar_us:
        raise InputError(
            f"a period of {period_us / HOUR_US:g} hours is not a whole number of {panel.timeframe} "
            "bars: choose a longer one"
        )
    ends_us, period = periods(panel, period_us)
    whole = np.bincount(period) == period_us // panel.bar_us
    happened = _happened(panel, period, against=against)
    predicted = (features.predicted_short_liquidations, features.predicted_long_liquidations)
    table = {"start_us": (ends_us - period_us).astype(np.float64)}
    for k, side in enumerate(("short", "long")):
        table[f"predicted_{side}"] = _sums(period, predicted[k])
        table[f"happened_{side}"] = np.where(whole, happened[k], np.nan)
        past = _past_day(table[f"happened_{side}"], ends_us, period_us)
        table[f"{side}: {YESTERDAY}"] = past
    if against == LOST:
        both = table["predicted_short"] + table["predicted_long"]
        table["predicted_short"] = table["predicted_long"] = both
    return table | naive_predictors(panel, period_us)


def naive_predictors(panel: Panel, period_us: int) -> dict[str, Float64Array1D]:
    """Return the predictors that need neither a map nor prints, by side, one row a period.

    Each uses the period's own prices and volume (that is the question: given how price moved, where were
    the liquidations?) and the open interest known at its start. A path is the sum of the moves from close
    to close; where a period is a single bar, its range (and for a side its furthest move).
    """
    _, period = periods(panel, period_us)
    first = np.flatnonzero(np.diff(period, prepend=-1))
    high = np.maximum.reduceat(panel.high, first)
    low = np.minimum.reduceat(panel.low, first)
    # What is known before the first period: no open interest, and the price at which it opens.
    last_before = np.maximum(first - 1, 0)
    start_price = np.where(first > 0, panel.close[last_before], panel.open[0])
    before = np.where(first > 0, panel.oi_base[last_before], np.nan) * start_price
    step = np.diff(np.log(panel.close), prepend=np.log(panel.open[0]))
    volume = _sums(period, panel.quote_volume)
    single = period_us == panel.bar_us
    out = {}
    for side, sign in (("short", 1.0), ("long", -1.0)):
        reached = high if sign > 0 else low
        move = np.maximum(sign * np.log(reached / start_price), 0.0)
        path = np.log(high / low) if single else _sums(period, np.abs(step))
        side_path = move if single else _sums(period, np.maximum(sign * step, 0.0))
        out[f"{side}: {RANGE}"] = np.log(high / low) * before
        out[f"{side}: {VOLUME}"] = volume * path
        out[f"{side}: {MOVE}"] = move * before
        out[f"{side}: {SIDE_VOLUME}"] = volume * side_path
    return out


def _sums(period: Int64Array1D, column: Float64Array1D) -> Float64Array1D:
    return np.bincount(period, column).astype(np.float64)


def _happened(
    panel: Panel, period: Int64Array1D, *, against: Target
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return what happened in each period to shorts and longs, NaN where not all of it is known."""
    if against == PRINTED:
        return _sums(period, panel.short_liquidations), _sums(period, panel.long_liquidations)
    lost = lost_open_interest(panel, period)
    return lost, lost


def _past_day(happened: Float64Array1D, ends_us: Int64Array1D, period_us: int) -> Float64Array1D:
    """Return what happened in the day before each period, or in the period before a longer one."""
    back = max(DAY_US // period_us, 1)
    out = np.full(len(happened), np.nan)
    sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(happened))])
    unknown = np.concatenate([[0], np.cumsum(~np.isfinite(happened))])
    rows = np.arange(back, len(happened))
    whole = (ends_us[rows] - ends_us[rows - back] == back * period_us) & (
        unknown[rows] == unknown[rows - back]
    )
    out[rows[whole]] = (sums[rows] - sums[rows - back])[whole]
    return out


def _side_skill(
    side: str,
    rows: dict[str, Float64Array1D],
    day: Int64Array1D,
    *,
    against: Target,
    rng: np.random.Generator,
    draws: int,
) -> SideSkill:
    predicted, happened = rows[f"predicted_{side}"], rows[f"happened_{side}"]

    def after(names: tuple[str, ...]) -> Estimate:
        controls = [rows[f"{side}: {name}"] for name in names]
        return with_interval(
            lambda p, h, *c: partial_rank_correlation(p, h, c),
            [predicted, happened, *controls],
            day,
            rng=rng,
            draws=draws,
        )

    rank = after(())
    partial = after(NAIVE)
    return SideSkill(
        side=side,
        rank=rank,
        naive={name: rank_correlation(rows[f"{side}: {name}"], happened) for name in HARD},
        partial_move=after((MOVE,)),
        partial=partial,
        partial_hard=after(HARD),
        ratio=float(predicted.sum() / happened.sum()) if happened.sum() > 0.0 else float("nan"),
        sentence=_sentence(side, rank, partial, len(np.unique(day)), against),
    )


def _sentence(side: str, rank: Estimate, partial: Estimate, days: int, against: Target) -> str:
    what = f"{side} liquidations" if against == PRINTED else against
    if days < MINIMUM_DAYS or not np.isfinite(partial.low):
        return f"Too little data on {what}: {days} days, at least {MINIMUM_DAYS} are needed."
    found = (
        f"rank correlation {rank.value:.2f}; after range x open interest, volume x path and "
        f"yesterday's: {partial.value:.2f} ({partial.low:.2f} to {partial.high:.2f}), {days} days"
    )
    if partial.low <= 0.0:
        return f"No skill on {what} beyond predictors that need no map: {found}."
    return f"The map locates {what} beyond predictors that need no map: {found}."
