"""The simulator's parameters, and the worlds in which a map's assumptions hold or fail.

The defaults make the world in which the liquidation map's assumptions hold: a random walk, one
venue, complete prints, positions that close at random, and forced orders that leave the price as it
is. Each other world breaks one of these. Sizes are those of a large bitcoin perpetual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

import numpy as np

from ..errors import InputError
from ..map_features import Float64Array2D
from ..naming import DAY_US, HOUR_US, timeframe_us

Prints = Literal["all", "one a second"]
"""Which forced orders the venue shows: each, or the last one of each second."""


def _number(default: float, unit: str, meaning: str) -> float:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


def _count(default: int, unit: str, meaning: str) -> int:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


def _other(default: Any, unit: str, meaning: str) -> Any:  # a field of any type
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorParameters:
    """A simulated market; every field carries its unit and meaning (see `parameter_rows`).

    Two sets of parameters that differ in `days` alone give the same market as far as the shorter
    one reaches.

    Raises
    ------
    InputError
        If a value lies outside what makes sense; the message names it.
    """

    seed: int = _count(7, "count", "equal seeds give equal markets")
    days: int = _count(60, "days", "length of the market that is shown")
    warm_up_days: int = _count(20, "days", "traded before the first bar shown, to fill the book")
    start: date = field(
        default=date(2024, 1, 1), metadata={"unit": "UTC", "meaning": "day of the first bar shown"}
    )
    bar: str = _other("5m", "timeframe", "length of a bar; it must divide a day")
    sub_steps: int = _count(24, "count", "price moves within a bar")
    start_price: float = _number(60_000.0, "quote per base", "price before the warm-up")
    price_decimals: int = _count(1, "digits", "prices are rounded to so many decimals")

    volatility: float = _number(0.50, "a year", "standard deviation of log returns, no impact")
    drift: float = _number(0.0, "a year", "mean log return")
    volatility_clustering: float = _number(
        0.0, "log", "standard deviation of the log of the bars' volatility; 0: constant"
    )
    volatility_half_life_hours: float = _number(12.0, "hours", "memory of the volatility")
    autocorrelation: float = _number(0.0, "fraction", "of the returns of one bar and the next")

    daily_quote_volume: float = _number(12e9, "quote", "traded a day on all venues")
    volume_noise: float = _number(0.4, "log", "standard deviation of a bar's log volume")
    volume_from_move: float = _number(
        0.6, "share", "share of the volume that is in proportion to the move"
    )
    volume_season: float = _number(0.4, "fraction", "swing of the volume over the hours of a day")
    average_trade: float = _number(3_000.0, "quote", "value of a trade; gives the number of trades")

    open_interest_at_start: float = _number(6e9, "quote", "open interest before the warm-up")
    opening_share: float = _number(0.03, "share of volume", "volume that opens new contracts")
    openings_a_bar: int = _count(8, "count", "positions a side into which a bar's openings fall")
    opening_size_spread: float = _number(0.8, "log", "standard deviation of a position's log size")
    leverages: tuple[float, ...] = _other(
        (3.0, 5.0, 10.0, 20.0, 25.0, 50.0, 75.0, 100.0), "x", "leverage classes"
    )
    mix: tuple[float, ...] = _other(
        (0.15, 0.21, 0.25, 0.16, 0.09, 0.08, 0.03, 0.03),
        "share",
        "share of each class among the isolated positions; sums to 1",
    )
    isolated_share: float = _number(
        0.65, "share", "positions with a liquidation price; the rest is never liquidated"
    )
    long_tilt: float = _number(
        0.15, "fraction", "how much more of the longs, and less of the shorts, is isolated"
    )
    trend_following: float = _number(
        0.0, "fraction", "the same, after a rise of one day's standard deviation or more"
    )
    leverage_drift: float = _number(
        0.0, "log", "how far the classes' weights swing; 0: the mix stays as it is"
    )
    leverage_drift_days: float = _number(45.0, "days", "length of such a swing")
    maintenance_rate: float = _number(0.005, "fraction", "maintenance margin")

    closing_hazard: float = _number(0.00276, "an hour", "rate at which winners close at will")
    losers_hazard: float = _number(1.0, "x winners", "rate at which losers close, by the winners'")
    review_hours: float = _number(1.0, "hours", "how often a trader thinks about closing")
    top_up_share: float = _number(0.0, "share", "traders who add margin before they are liquidated")
    top_up_distance: float = _number(
        0.5, "fraction", "they do when this much of the way to liquidation is left"
    )
    counterparty_opens: float = _number(
        0.5, "share", "forced orders taken by a new position, not by one that closes"
    )

    liquidations: bool = _other(default=True, unit="yes or no", meaning="whether any are forced")
    impact: float = _number(
        0.0, "log price", "move by a forced order as large as an average hour's volume"
    )
    impact_at_once: float = _number(0.4, "share", "of the impact, within the moment of the order")
    impact_half_life_bars: float = _number(6.0, "bars", "in which half of the rest follows")

    open_interest_every_bars: int = _count(1, "bars", "between two observations")
    open_interest_noise: float = _number(0.0, "fraction", "standard deviation of an observation")
    open_interest_delay_bars: int = _count(0, "bars", "until an observation is published")
    prints: Prints = field(
        default="all", metadata={"unit": "name", "meaning": "which forced orders are printed"}
    )
    print_coverage: float = _number(1.0, "share", "forced orders that are printed at all")
    venue_share: float = _number(1.0, "share", "of the market that the observed venue has")
    funding_base: float = _number(0.0001, "fraction an interval", "funding without a trend")
    funding_from_trend: float = _number(
        0.01, "fraction per log price", "funding by price over its daily average"
    )

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            _check(self, name, lambda value: value >= 1, "at least 1")
        for name in _POSITIVE:
            _check(self, name, lambda value: value > 0, "above 0")
        for name in _NOT_NEGATIVE:
            _check(self, name, lambda value: value >= 0, "at least 0")
        for name in _SHARES:
            _check(self, name, lambda value: 0 <= value <= 1, "between 0 and 1")
        _check(self, "venue_share", lambda value: value > 0, "above 0")
        _check(self, "autocorrelation", lambda value: -1 < value < 1, "between -1 and 1")
        _check(self, "prints", lambda value: value in ("all", "one a second"), "a known name")
        if DAY_US % self.bar_us:
            raise InputError(f"simulator parameter bar is {self.bar}, it must divide a day")
        self._check_leverages()

    def _check_leverages(self) -> None:
        if len(self.mix) != len(self.leverages):
            raise InputError(
                f"simulator parameter mix has {len(self.mix)} shares for {len(self.leverages)} "
                "leverages: give one each"
            )
        if min(self.mix) < 0 or abs(sum(self.mix) - 1.0) > 1e-9:
            raise InputError(f"simulator parameter mix sums to {sum(self.mix):g}, it must be 1")
        if any(not 1.0 < leverage < 1.0 / self.maintenance_rate for leverage in self.leverages):
            raise InputError(
                f"simulator parameter leverages must lie between 1 and "
                f"{1 / self.maintenance_rate:g}, where the margin covers the maintenance margin"
            )

    @property
    def bar_us(self) -> int:
        """Length of a bar, microseconds."""
        return timeframe_us(self.bar)

    @property
    def bars_a_day(self) -> int:
        """Bars in a day."""
        return DAY_US // self.bar_us

    @property
    def start_us(self) -> int:
        """Open of the first bar shown, UTC microseconds."""
        moment = datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)
        return int(moment.timestamp()) * 1_000_000

    @property
    def bar_volatility(self) -> float:
        """Standard deviation of a bar's log return, fraction."""
        return float(self.volatility / np.sqrt(365.0 * self.bars_a_day))

    @property
    def hourly_quote_volume(self) -> float:
        """Average traded value an hour, quote."""
        return self.daily_quote_volume * HOUR_US / DAY_US

    def mix_by_day(self) -> Float64Array2D:
        """Return each class's share of the isolated positions by day, warm-up first, (days, C)."""
        day = np.arange(self.warm_up_days + self.days)
        tilt = self.leverage_drift * np.sin(2.0 * np.pi * day / self.leverage_drift_days)
        centred = np.log(self.leverages) - np.dot(self.mix, np.log(self.leverages))
        weights = np.array(self.mix) * np.exp(np.outer(tilt, centred))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


_AT_LEAST_ONE: Final = (
    "days",
    "sub_steps",
    "openings_a_bar",
    "open_interest_every_bars",
)
_POSITIVE: Final = (
    "start_price",
    "volatility",
    "volatility_half_life_hours",
    "daily_quote_volume",
    "average_trade",
    "open_interest_at_start",
    "opening_share",
    "leverage_drift_days",
    "maintenance_rate",
    "review_hours",
    "impact_half_life_bars",
)
_NOT_NEGATIVE: Final = (
    "seed",
    "warm_up_days",
    "price_decimals",
    "volatility_clustering",
    "volume_noise",
    "opening_size_spread",
    "closing_hazard",
    "losers_hazard",
    "impact",
    "open_interest_noise",
    "open_interest_delay_bars",
)
_SHARES: Final = (
    "volume_from_move",
    "volume_season",
    "isolated_share",
    "top_up_share",
    "top_up_distance",
    "counterparty_opens",
    "impact_at_once",
    "print_coverage",
    "venue_share",
)


def _check(
    parameters: SimulatorParameters, name: str, right: Callable[[Any], bool], limit: str
) -> None:
    value = getattr(parameters, name)
    if not right(value):
        raise InputError(f"simulator parameter {name} is {value}, it must be {limit}")


def worlds(base: SimulatorParameters | None = None) -> dict[str, SimulatorParameters]:
    """Return the presets by name: the world that matches a map's assumptions, and what breaks them.

    Parameters
    ----------
    base : SimulatorParameters, optional
        What all of them share, for example another seed or length; the defaults without it.
    """
    base = base or SimulatorParameters()
    changes: dict[str, dict[str, Any]] = {
        "matching": {},
        "impact": {"impact": 0.012},
        "drifting leverage": {"leverage_drift": 0.8},
        "topped up": {"top_up_share": 0.5},
        "losers close early": {"losers_hazard": 4.0},
        "noisy open interest": {"open_interest_noise": 0.003},
        "late open interest": {"open_interest_delay_bars": 12},
        "thinned prints": {"prints": "one a second", "print_coverage": 0.5},
        "two venues": {"venue_share": 0.35},
        "volatility clusters": {"volatility_clustering": 0.6},
        "autocorrelated": {"autocorrelation": 0.15},
    }
    return {name: replace(base, **change) for name, change in changes.items()}


def parameter_rows(parameters: SimulatorParameters) -> list[dict[str, object]]:
    """Return name, value, unit and meaning of each parameter, for tables."""
    return [
        {"name": f.name, "value": getattr(parameters, f.name), **f.metadata}
        for f in fields(parameters)
    ]


def cumulative_mix(parameters: SimulatorParameters) -> Float64Array2D:
    """Return `mix_by_day` summed over the classes, the last column exactly 1, shape (days, C)."""
    summed = np.cumsum(parameters.mix_by_day(), axis=1)
    summed[:, -1] = 1.0
    return summed
