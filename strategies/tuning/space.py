"""The search space, derived from the parameter dataclass and a few choices of the user.

A parameter is searched over its declared range or choices unless the user gives another range, a list
of values, or one value. Maps are one more choice: a small grid of map parameters whose maps are built
once. Parameters of the inner grid are not suggested by the sampler: each suggestion is evaluated with
all of their combinations and keeps the best, since a suggestion costs more than an evaluation; every
evaluation counts as a trial in the statistics.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ...datasets.errors import InputError
from ..parameters import TierBreakoutParameters, from_mapping

MAP: Final = "map"
"""The name of the choice among maps."""

Value = float | int | str

_MANY: Final = 8
_HALF: Final = 0.499
"""What rounds to a whole number lies within this of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One searched parameter: a range (`low`, `high`, `log`) or a list of values (`choices`)."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Value, ...] = ()

    def distribution(self) -> BaseDistribution:
        """Return it in Optuna's words."""
        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(float(self.low), float(self.high), log=self.log)

    def sampled(self) -> BaseDistribution:
        """Return it as the sampler sees it: many whole numbers as real ones, which are far cheaper."""
        if self.whole and self.high - self.low >= _MANY:
            return FloatDistribution(self.low - _HALF, self.high + _HALF, log=self.log)
        return self.distribution()

    def value(self, sampled: Any) -> Any:
        """Return what the sampler's value stands for."""
        return min(max(round(sampled), int(self.low)), int(self.high)) if self.whole else sampled

    def contains(self, value: object) -> bool:
        """Return whether a value may be suggested."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def largest(self) -> float:
        """Return its largest number."""
        return max(float(c) for c in self.choices) if self.choices else float(self.high)

    def told(self) -> str:
        """Return it in words, for a message and for the study's identity."""
        if self.choices:
            return " | ".join(
                f"{choice:g}" if _number(choice) else str(choice) for choice in self.choices
            )
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """What is searched.

    Attributes
    ----------
    base : TierBreakoutParameters
        Values of what is not searched.
    outer : tuple of Dimension
        What the sampler suggests.
    inner : tuple of Dimension
        Lists of values that are tried with each suggestion.
    maps : tuple of str
        Names of the maps; the first is the default.
    """

    base: TierBreakoutParameters
    outer: tuple[Dimension, ...]
    inner: tuple[Dimension, ...] = ()
    maps: tuple[str, ...] = ("default",)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return what the sampler suggests."""
        return {dimension.name: dimension.distribution() for dimension in self.outer}

    def all_distributions(self) -> dict[str, BaseDistribution]:
        """Return what a finished trial says: its suggestion and the best of its inner grid."""
        return {d.name: d.distribution() for d in (*self.outer, *self.inner)}

    def inner_grid(self) -> list[dict[str, Value]]:
        """Return the combinations that are tried with each suggestion; a single empty one if none."""
        names = [d.name for d in self.inner]
        return [
            dict(zip(names, row, strict=True))
            for row in itertools.product(*(d.choices for d in self.inner))
        ]

    def parameters(self, found: Mapping[str, Any]) -> TierBreakoutParameters:
        """Return the parameter set of a trial."""
        return replace(self.base, **{k: v for k, v in found.items() if k != MAP})

    def map_name(self, found: Mapping[str, Any]) -> str:
        """Return the map of a trial."""
        return str(found.get(MAP, self.maps[0]))

    def defaults(self) -> dict[str, Value] | None:
        """Return the base's values as a suggestion, or None where they lie outside the space."""
        given = {**asdict(self.base), MAP: self.maps[0]}
        if not all(d.contains(given[d.name]) for d in (*self.outer, *self.inner)):
            return None
        return {d.name: given[d.name] for d in self.outer}

    def longest_trade_bars(self) -> int:
        """Return how long a trade can last and its indicators warm up, bars."""
        return self._largest("max_hold") + max(
            self._largest("atr_bars"), self._largest("thrust_bars")
        )

    def told(self) -> dict[str, str]:
        """Return the space in words: searched dimensions and fixed values by name."""
        searched = {d.name: d.told() for d in self.outer}
        searched |= {d.name: f"each of {d.told()}" for d in self.inner}
        fixed = {k: str(v) for k, v in asdict(self.base).items() if k not in searched}
        return {**searched, MAP: " | ".join(self.maps), **fixed}

    def _largest(self, name: str) -> int:
        for dimension in (*self.outer, *self.inner):
            if dimension.name == name:
                return int(dimension.largest())
        return int(getattr(self.base, name))


def search_space(
    *,
    fixed: Mapping[str, str] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    values: Mapping[str, Sequence[str]] | None = None,
    inner: Mapping[str, Sequence[str]] | None = None,
    maps: Sequence[str] = ("default",),
) -> SearchSpace:
    """Return the search space of the breakout strategy.

    Parameters
    ----------
    fixed : mapping of str to str, optional
        Parameters that are not searched, and their values.
    ranges : mapping of str to tuple of float, optional
        Other ranges than the declared ones.
    values : mapping of str to sequence of str, optional
        Parameters that are searched over a list of values.
    inner : mapping of str to sequence of str, optional
        Parameters whose values are all tried with each suggestion.
    maps : sequence of str
        Names of the maps to choose among.

    Raises
    ------
    InputError
        If a name is unknown or given twice, a value does not fit, or nothing is left to search.
    """
    fixed, ranges, values, inner = fixed or {}, ranges or {}, values or {}, inner or {}
    _check_names(fixed, ranges, values, inner)
    base = from_mapping(TierBreakoutParameters, fixed)
    outer: list[Dimension] = []
    for f in fields(TierBreakoutParameters):
        if f.name in ranges:
            outer.append(_range(f, *ranges[f.name], log=f.metadata["log"]))
        elif f.name in values:
            outer.append(_list(f.name, values[f.name]))
        elif f.name in fixed or f.name in inner:
            continue
        elif f.metadata["choices"]:
            outer.append(Dimension(name=f.name, choices=f.metadata["choices"]))
        elif f.metadata["search"]:
            outer.append(_range(f, *f.metadata["search"], log=f.metadata["log"]))
    if len(maps) > 1:
        outer.append(Dimension(name=MAP, choices=tuple(maps)))
    if not outer:
        raise InputError("nothing is left to search: fix fewer parameters")
    return SearchSpace(
        base=base,
        outer=tuple(outer),
        inner=tuple(_list(name, chosen) for name, chosen in inner.items()),
        maps=tuple(maps),
    )


def _check_names(*groups: Mapping[str, object]) -> None:
    known = {f.name for f in fields(TierBreakoutParameters)}
    seen: set[str] = set()
    for name in itertools.chain.from_iterable(groups):
        if name not in known:
            from_mapping(TierBreakoutParameters, {name: ""})  # says which name was meant
        if name in seen:
            raise InputError(f"{name} is given twice: as a value, a range, or a list")
        seen.add(name)


def _range(f: Any, low: float, high: float, *, log: bool) -> Dimension:
    meta = f.metadata
    if meta["choices"]:
        raise InputError(f"{f.name} has no range: it is one of {', '.join(meta['choices'])}")
    if not meta["low"] <= low < high <= meta["high"]:
        raise InputError(
            f"the range of {f.name} is {low:g} to {high:g} {meta['unit']}, it must rise and lie "
            f"between {meta['low']:g} and {meta['high']:g}"
        )
    whole = isinstance(f.default, int)
    return Dimension(name=f.name, low=low, high=high, log=bool(log and low > 0), whole=whole)


def _list(name: str, texts: Sequence[str]) -> Dimension:
    built = [getattr(from_mapping(TierBreakoutParameters, {name: text}), name) for text in texts]
    if len(set(built)) < 2:
        raise InputError(f"{name} is given {len(set(built))} value, a list needs at least 2")
    return Dimension(name=name, choices=tuple(built))


def _number(value: Value) -> bool:
    return isinstance(value, int | float)
