"""Fit the leverage mix, and how quickly positions turn over, to what was liquidated.

Walk-forward: on a fixed calendar of refits, each fit uses only what was known by then and holds from
then on. The kernel is run once for each candidate churn with the mix of the parameters; what it sweeps
by leverage class, over periods, is regressed on the printed liquidations of that side, with weights
that are not negative and are drawn to the parameters' mix. The churn that explains best is taken.

Prints are incomplete, and venues differ in how much they show: only the composition of the mix is
fitted, its sum (how much has a liquidation price at all) stays a prior. The likelihood is Poisson's:
in simulated markets it finds the true churn, where squares of relative deviations find a larger one.
Without prints the open interest that disappeared takes their place, for both sides together.

What a vendor revises later is used as the panel has it; the panel's notes say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ._map_book import LONG, SHORT
from ._map_kernel import KernelSettings, MarketArrays, accumulate, empty_output
from ._series_name import parse_series
from .errors import InputError
from .naming import DAY_US, HOUR_US, timeframe_us
from .panel import Float64Array1D, Int64Array1D, Panel, periods
from .schemas import EVENTS

Target = Literal["printed liquidations", "lost open interest"]
PRINTED: Final[Target] = "printed liquidations"
LOST: Final[Target] = "lost open interest"

_ROUNDS: Final = 8
_FLOOR: Final = 0.05
"""Expected values count as at least this share of the mean: a quiet hour is no sharper a witness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationParameters:
    """How the map is fitted.

    Raises
    ------
    InputError
        If a value lies outside what makes sense; the message names it.
    """

    churns: tuple[float, ...] = field(
        default=(0.03, 0.1, 0.3, 1.0),
        metadata={"unit": "share of volume", "meaning": "candidates for the map's churn"},
    )
    period_hours: float = field(
        default=1.0,
        metadata={
            "unit": "hours",
            "meaning": "over which sums are compared, unless the prints come in longer bars",
        },
    )
    window_days: float = field(
        default=180.0, metadata={"unit": "days", "meaning": "past that a fit looks at"}
    )
    minimum_days: float = field(
        default=14.0, metadata={"unit": "days", "meaning": "of prints before the first fit"}
    )
    refit_days: float = field(
        default=7.0, metadata={"unit": "days", "meaning": "between one fit and the next"}
    )
    prior_weight: float = field(
        default=100.0,
        metadata={
            "unit": "periods",
            "meaning": "how strongly a class is drawn to its share in the parameters' mix",
        },
    )

    def __post_init__(self) -> None:
        for name in ("period_hours", "window_days", "minimum_days", "refit_days", "prior_weight"):
            if not getattr(self, name) > 0.0:
                value = getattr(self, name)
                raise InputError(f"calibration parameter {name} is {value:g}, it must be above 0")
        if not self.churns or min(self.churns) <= 0.0:
            raise InputError(f"churns {self.churns} must be at least one share, all above 0")
        if self.minimum_days > self.window_days:
            raise InputError(
                f"minimum_days {self.minimum_days:g} must not be above window_days "
                f"{self.window_days:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """The fitted mix over time; row 0 is the parameters' own and holds from the first bar.

    Attributes
    ----------
    target : str
        What was explained.
    leverages : tuple of float, length C
    fitted_us : ndarray of int64, shape (R,)
        Moment up to whose data each row was fitted, UTC microseconds; it holds for bars that open
        then or later.
    mix : ndarray of float64, shape (R, 2, C)
        Share of the openings by side (shorts first) and leverage class.
    churn : ndarray of float64, shape (R,)
        Share of the volume that replaces positions.
    periods : ndarray of int64, shape (R,)
        How many periods each fit has seen; 0 for row 0.
    """

    target: Target
    leverages: tuple[float, ...]
    fitted_us: Int64Array1D
    mix: NDArray[np.float64]
    churn: Float64Array1D
    periods: Int64Array1D

    def __len__(self) -> int:
        return len(self.fitted_us)

    def in_force_from(self, panel: Panel) -> Int64Array1D:
        """Return the first bar of each row, shape (R,)."""
        return np.searchsorted(panel.ts, self.fitted_us, side="left").astype(np.int64)


class _Target(NamedTuple):
    """What is to be explained, by period: `value` (2, P), NaN where unknown, and each period's end."""

    name: Target
    value: NDArray[np.float64]
    ends_us: Int64Array1D
    period_of_bar: Int64Array1D
    period_us: int


def calibrate(
    panel: Panel,
    market: MarketArrays,
    settings: KernelSettings,
    *,
    leverages: tuple[float, ...],
    parameters: CalibrationParameters | None = None,
) -> Calibration:
    """Fit the mix and the churn walk-forward.

    Parameters
    ----------
    panel : Panel
    market : MarketArrays
    settings : KernelSettings
        With the prior mix in row 0.
    leverages : tuple of float
        The classes, for the record.
    parameters : CalibrationParameters, optional

    Notes
    -----
    Look-ahead: a row uses periods that had ended by `fitted_us` and holds for bars that open then or
    later. Cutting the panel anywhere changes no row before the cut.
    """
    parameters = parameters or CalibrationParameters()
    target = _target(panel, parameters)
    swept = [
        _swept_by_class(market, settings._replace(churn=np.array([churn])), target)
        for churn in parameters.churns
    ]
    prior = settings.mix[0]
    rows = [(int(panel.ts[0]), prior, float(settings.churn[0]), 0)]
    for moment in _refits(panel, parameters):
        seen = _window(target, moment, parameters)
        if len(seen) == 0:
            continue
        mix, churn = _best(swept, target, seen, prior, parameters)
        rows.append((moment, mix, churn, len(seen)))
    return Calibration(
        target=target.name,
        leverages=leverages,
        fitted_us=np.array([row[0] for row in rows], dtype=np.int64),
        mix=np.array([row[1] for row in rows]),
        churn=np.array([row[2] for row in rows]),
        periods=np.array([row[3] for row in rows], dtype=np.int64),
    )


def with_calibration(
    settings: KernelSettings, calibration: Calibration, panel: Panel
) -> KernelSettings:
    """Return the settings with the fitted rows in place of the prior."""
    return settings._replace(
        in_force_from=calibration.in_force_from(panel),
        mix=calibration.mix,
        churn=calibration.churn,
    )


def _target(panel: Panel, parameters: CalibrationParameters) -> _Target:
    printed = [panel.short_liquidations, panel.long_liquidations]
    known = bool(panel.sources.get("liquidations")) or np.isfinite(printed).any()
    shortest = max(int(parameters.period_hours * HOUR_US), panel.bar_us)
    period_us = max(shortest, longest_print_us(panel) if known else DAY_US)
    ends_us, period_of_bar = periods(panel, period_us)
    name: Target = PRINTED if known else LOST
    if known:
        count = len(ends_us)
        value = np.stack([np.bincount(period_of_bar, side, count) for side in printed])
    else:
        value = np.stack([lost_open_interest(panel, period_of_bar)] * 2)
    return _Target(name, value.astype(np.float64), ends_us, period_of_bar, period_us)


def longest_print_us(panel: Panel) -> int:
    """Return the longest bar in which the prints came, microseconds; 0 for single orders."""
    names = [parse_series(name) for name in panel.sources.get("liquidations", ())]
    summed = [n.timeframe for n in names if n.timeframe is not None and n.timeframe != EVENTS]
    return max((timeframe_us(timeframe) for timeframe in summed), default=0)


def lost_open_interest(panel: Panel, period_of_bar: Int64Array1D) -> Float64Array1D:
    """Return by how much open interest was lower at a period's last observation than before, quote.

    The net fall, not the sum of the falls between observations: open interest flickers all the time, and
    that sum follows the range whatever is liquidated. NaN where nothing was observed in the period.

    Parameters
    ----------
    panel : Panel
    period_of_bar : ndarray of int64, shape (n,)
        As of `periods`.
    """
    at = np.flatnonzero(panel.oi_observed)
    last = np.full(int(period_of_bar[-1]) + 1, -1)
    last[period_of_bar[at]] = at  # of repeated indices the last one counts
    seen = np.flatnonzero(last >= 0)
    level, price = panel.oi_base[last[seen]], panel.close[last[seen]]
    lost = np.full(len(last), np.nan)
    lost[seen[1:]] = np.maximum(-np.diff(level), 0.0) * price[1:]
    return lost


def _swept_by_class(
    market: MarketArrays, settings: KernelSettings, target: _Target
) -> NDArray[np.float64]:
    """Return what each class alone would have had swept, by side and period, shape (2, P, C)."""
    output = empty_output(len(market.close), settings, periods=len(target.ends_us))
    nothing = np.zeros(0, dtype=np.int64)
    accumulate(market, settings, nothing, target.period_of_bar, output)
    return output.swept_by_class


def _refits(panel: Panel, parameters: CalibrationParameters) -> list[int]:
    """Return the moments of the calendar that lie within the panel; the calendar is the same for all."""
    step = int(parameters.refit_days * DAY_US)
    first = int(panel.ts[0]) // step + 1
    last = int(panel.ts[-1]) // step
    return [k * step for k in range(first, last + 1)]


def _window(target: _Target, moment: int, parameters: CalibrationParameters) -> Int64Array1D:
    """Return the periods that a fit may use, none where there are too few."""
    begin = moment - int(parameters.window_days * DAY_US)
    inside = (target.ends_us <= moment) & (target.ends_us > begin)
    chosen = np.flatnonzero(inside & np.isfinite(target.value).all(axis=0))
    if len(chosen) < 2 or not (target.value[:, chosen].sum(axis=1) > 0.0).all():
        return chosen[:0]
    enough = len(chosen) * target.period_us >= parameters.minimum_days * DAY_US
    return chosen if enough else chosen[:0]


def _best(
    swept: list[NDArray[np.float64]],
    target: _Target,
    seen: Int64Array1D,
    prior: NDArray[np.float64],
    parameters: CalibrationParameters,
) -> tuple[NDArray[np.float64], float]:
    """Return the mix and the churn that explain the periods best."""
    best = (np.inf, prior, parameters.churns[0])
    for churn, by_class in zip(parameters.churns, swept, strict=True):
        if target.name == PRINTED:
            fits = [
                _fit(by_class[side, seen], target.value[side, seen], prior[side], parameters)
                for side in (SHORT, LONG)
            ]
        else:
            both = by_class[:, seen].sum(axis=0)
            fits = [_fit(both, target.value[SHORT, seen], prior.mean(axis=0), parameters)] * 2
        deviation = sum(fit[1] for fit in fits)
        if deviation < best[0]:
            best = (deviation, np.stack([fit[0] for fit in fits]), churn)
    return best[1], best[2]


def _fit(
    swept: NDArray[np.float64],
    printed: Float64Array1D,
    prior: Float64Array1D,
    parameters: CalibrationParameters,
) -> tuple[Float64Array1D, float]:
    """Fit one side's mix; return it with the Poisson deviance a unit printed, less a constant.

    Least squares with non-negative weights (scipy's NNLS), reweighted so that the variance of a period
    is in proportion to what is expected of it: the maximum likelihood of Poisson counts. Each class is
    drawn to the prior as if `prior_weight` periods had shown it.
    """
    explained = float((swept @ prior).sum())
    if explained <= 0.0:
        return prior, np.inf
    prior_level = prior * float(printed.sum()) / explained
    weights = prior_level.copy()
    drawn = np.flatnonzero(prior_level > 0.0)
    floor = _FLOOR * float(printed.mean())
    for _ in range(_ROUNDS):
        expected = np.maximum(swept @ weights, floor)
        witness = 1.0 / np.sqrt(expected)
        spread = np.sqrt(np.mean((printed - swept @ weights) ** 2 / expected))
        pull = np.zeros((len(drawn), len(prior)))
        strength = spread * np.sqrt(parameters.prior_weight)
        pull[np.arange(len(drawn)), drawn] = strength / prior_level[drawn]
        weights, _ = nnls(
            np.vstack([swept * witness[:, np.newaxis], pull]),
            np.concatenate([printed * witness, np.full(len(drawn), strength)]),
        )
    # The least share keeps a class from vanishing for good: what is 0 cannot be weighed up again.
    weights = np.maximum(weights, 1e-3 * prior_level)
    level = float(printed.sum()) / float((swept @ weights).sum())
    expected = np.maximum(swept @ weights * level, floor) / printed.mean()
    deviance = np.mean(expected - printed / printed.mean() * np.log(expected))
    return weights * prior.sum() / weights.sum(), float(deviance)
