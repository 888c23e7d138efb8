"""Parameters, each declared once: unit, meaning, default, bounds and search range.

Backtrader's ``params``, the command line's options, the tuner's search space and the report's table
are all derived from these dataclasses, so that a limit or a unit cannot differ between them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, Protocol, TypeVar

from ..datasets.errors import InputError

LONG_ONLY: Final = "shorts"
SHORT_ONLY: Final = "longs"
BOTH: Final = "both"


class ParameterSet(Protocol):
    """Any of this module's dataclasses."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=ParameterSet)


def parameter(
    default: object,
    *,
    unit: str,
    meaning: str,
    low: float | None = None,
    high: float | None = None,
    search: tuple[float, float] | None = None,
    log: bool = False,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Declare a parameter as a dataclass field.

    Parameters
    ----------
    default : object
    unit, meaning : str
    low, high : float, optional
        Bounds, both allowed.
    search : tuple of float, optional
        Range in which a tuner looks; a parameter without one is not tuned unless it has choices.
    log : bool
        Whether the search is even in the logarithm.
    choices : tuple of str, optional
        Allowed texts.
    """
    metadata = {
        "unit": unit,
        "meaning": meaning,
        "low": low,
        "high": high,
        "search": search,
        "log": log,
        "choices": choices,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierBreakoutParameters:
    """When a dense tier is armed, traded and left; see `rulebook.decide` for the rules."""

    side: str = parameter(
        LONG_ONLY,
        unit="choice",
        meaning="tiers traded: shorts above price (long trades), longs below (short trades), or both",
        choices=(LONG_ONLY, SHORT_ONLY, BOTH),
    )
    entry: str = parameter(
        "market",
        unit="choice",
        meaning="market order after the close beyond the edge, or a resting stop order at the edge",
        choices=("market", "stop"),
    )
    max_distance: float = parameter(
        0.10,
        unit="fraction",
        meaning="a tier further from price than this is not armed",
        low=0.001,
        high=0.5,
        search=(0.01, 0.25),
    )
    min_fuel: float = parameter(
        0.1,
        unit="hours of volume",
        meaning="smallest notional of a tier, in hours of median traded value",
        low=0.0,
        high=1000.0,
        search=(0.01, 5.0),
        log=True,
    )
    min_imbalance: float = parameter(
        1.5,
        unit="ratio",
        meaning="smallest notional on the tier's side over that on the other side",
        low=0.0,
        high=1000.0,
        search=(0.5, 20.0),
        log=True,
    )
    imbalance_window: float = parameter(
        0.10,
        unit="fraction",
        meaning="distance from price within which the imbalance is measured; one of the map's windows",
        low=0.001,
        high=0.9,
    )
    max_armed_bars: int = parameter(
        288,
        unit="bars",
        meaning="a tier not triggered for so long is given up",
        low=1,
        high=100_000,
        search=(24, 2000),
        log=True,
    )
    thrust_bars: int = parameter(
        12,
        unit="bars",
        meaning="length of the move whose thrust is measured",
        low=1,
        high=10_000,
        search=(1, 96),
        log=True,
    )
    min_thrust: float = parameter(
        1.0,
        unit="ATR",
        meaning="smallest move over thrust_bars, in average true ranges, for a trigger",
        low=-100.0,
        high=100.0,
        search=(0.0, 6.0),
    )
    atr_bars: int = parameter(
        48,
        unit="bars",
        meaning="period of the average true range",
        low=1,
        high=10_000,
        search=(12, 288),
        log=True,
    )
    max_funding: float = parameter(
        0.0005,
        unit="fraction an interval",
        meaning="no long is opened above this funding rate, no short below its negative",
        low=-0.1,
        high=0.1,
        search=(0.0, 0.002),
    )
    stop_atr: float = parameter(
        2.0,
        unit="ATR",
        meaning="distance of the stop behind the tier's near edge",
        low=0.0,
        high=100.0,
        search=(0.5, 6.0),
    )
    target: str = parameter(
        "tier",
        unit="choice",
        meaning="take profit at the tier's far edge, or at the next tier's near edge",
        choices=("tier", "next"),
    )
    patience: int = parameter(
        36,
        unit="bars",
        meaning="bars after which a trade that has not crossed enough of the tier is absorbed",
        low=1,
        high=100_000,
        search=(4, 288),
        log=True,
    )
    min_progress: float = parameter(
        0.25,
        unit="fraction of the tier",
        meaning="part of the tier that must have been crossed after patience bars",
        low=0.0,
        high=10.0,
        search=(0.0, 1.0),
    )
    max_hold: int = parameter(
        144,
        unit="bars",
        meaning="longest time in a trade",
        low=1,
        high=100_000,
        search=(12, 2000),
        log=True,
    )
    trail_atr: float = parameter(
        0.0,
        unit="ATR",
        meaning="distance of a trailing stop from the best close; 0 for none",
        low=0.0,
        high=100.0,
        search=(0.0, 8.0),
    )
    risk_fraction: float = parameter(
        0.01,
        unit="fraction of equity",
        meaning="loss at the stop, before costs",
        low=1e-6,
        high=1.0,
    )
    max_leverage: float = parameter(
        3.0,
        unit="x equity",
        meaning="largest position value; also the leverage of its isolated margin",
        low=1.0,
        high=125.0,
    )

    def __post_init__(self) -> None:
        check_parameters(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostParameters:
    """What trading costs; none of it is optional in a reported result."""

    taker_fee: float = parameter(
        0.0005, unit="fraction", meaning="fee of market and stop orders", low=-0.01, high=0.1
    )
    maker_fee: float = parameter(
        0.0002, unit="fraction", meaning="fee of resting limit orders", low=-0.01, high=0.1
    )
    spread_bps: float = parameter(
        1.0, unit="bp", meaning="full spread; half of it is paid at a fill", low=0.0, high=1000.0
    )
    impact_coefficient: float = parameter(
        1.0,
        unit="ratio",
        meaning="square-root impact: times the bar's volatility, times the root of the order's share "
        "of the bar's volume",
        low=0.0,
        high=100.0,
    )
    max_slippage_bps: float = parameter(
        200.0, unit="bp", meaning="cap on the slippage of one fill", low=0.0, high=10_000.0
    )

    def __post_init__(self) -> None:
        check_parameters(self)


def check_parameters(parameters: ParameterSet) -> None:
    """Raise an InputError that names the parameter, its value and its limit, if one is broken."""
    for f in fields(parameters):
        value, meta = getattr(parameters, f.name), f.metadata
        if meta["choices"] is not None:
            if value not in meta["choices"]:
                raise InputError(
                    f"{f.name} is {value!r}, it must be one of {', '.join(meta['choices'])}"
                )
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{f.name} is {value!r}, it must be a number")
        if isinstance(f.default, int) and not isinstance(value, int):
            raise InputError(f"{f.name} is {value!r}, it must be a whole number")
        if not meta["low"] <= value <= meta["high"]:
            raise InputError(
                f"{f.name} is {value:g} {meta['unit']}, it must lie between {meta['low']:g} and "
                f"{meta['high']:g}"
            )


def parameter_rows(parameters: ParameterSet) -> list[dict[str, object]]:
    """Return name, value, default, unit and meaning of each parameter, for tables."""
    return [
        {
            "name": f.name,
            "value": getattr(parameters, f.name),
            "default": f.default,
            "unit": f.metadata["unit"],
            "meaning": f.metadata["meaning"],
        }
        for f in fields(parameters)
    ]


def backtrader_params(parameters: type[ParameterSet]) -> tuple[tuple[str, object], ...]:
    """Return a parameter set as backtrader's ``params``."""
    return tuple((f.name, f.default) for f in fields(parameters))


def from_mapping(cls: type[S], given: Mapping[str, object]) -> S:
    """Build a parameter set from names and values, which may be texts.

    Raises
    ------
    InputError
        If a name is unknown (the nearest known one is suggested), or a value does not fit.
    """
    known = {f.name: f for f in fields(cls)}
    values = {}
    for name, value in given.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"they are {', '.join(known)}"
            raise InputError(f"there is no parameter {name!r}; {hint}")
        values[name] = _converted(name, value, known[name].default)
    return cls(**values)


def _converted(name: str, value: object, default: object) -> object:
    if not isinstance(value, str) or isinstance(default, str):
        return value
    try:
        return int(value) if isinstance(default, int) else float(value)
    except ValueError:
        kind = "whole number" if isinstance(default, int) else "number"
        raise InputError(f"{name} is {value!r}, it must be a {kind}") from None
