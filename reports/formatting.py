"""How figures are written on a page: signs, places, units, and what stands for an unknown one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np

UNKNOWN: Final = "n/a"
_MILLION, _BILLION = 1e6, 1e9
_SIGNIFICANT: Final = 6
"""Digits of a price where the instrument names no tick."""


def is_known(value: float | None) -> bool:
    """Return whether there is a number to show."""
    return value is not None and bool(np.isfinite(value))


def percent(value: float | None) -> str:
    """Return a signed percentage."""
    return f"{value:+.2%}" if value is not None and is_known(value) else UNKNOWN


def share(value: float | None) -> str:
    """Return a percentage without sign."""
    return f"{value:.1%}" if value is not None and is_known(value) else UNKNOWN


def number(value: float | None, places: int = 2) -> str:
    """Return a number with thousands separated; never a minus before a zero."""
    if value is None or not is_known(value):
        return UNKNOWN
    return f"{round(value, places) + 0.0:,.{places}f}"


def money(value: float | None) -> str:
    """Return an amount of quote currency, short."""
    if value is None or not is_known(value):
        return UNKNOWN
    for limit, unit in ((_BILLION, " B"), (_MILLION, " M")):
        if abs(value) >= limit:
            return f"{value / limit:,.2f}{unit}"
    return number(value, 0 if abs(value) >= 100 else 2)  # cents below


def signed(value: float | None) -> str:
    """Return an amount of quote currency with its sign, short."""
    text = money(value)
    return f"+{text}" if value is not None and is_known(value) and value > 0 else text


def moment(value: datetime | None) -> str:
    """Return a moment to the minute."""
    return f"{value:%Y-%m-%d %H:%M}" if value is not None else UNKNOWN


def price_places(tick: float | None, highest: float) -> int:
    """Return how many decimals a price needs: the tick's, else enough for six digits.

    Examples
    --------
    >>> price_places(0.1, 70_000.0), price_places(None, 0.00002), price_places(None, 70_000.0)
    (1, 10, 1)
    """
    if tick is not None and tick > 0.0:
        return max(-int(np.floor(np.log10(tick) + 1e-9)), 0)
    return max(_SIGNIFICANT - 1 - int(np.floor(np.log10(highest))), 0)
