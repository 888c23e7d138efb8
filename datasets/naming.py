"""Names and timeframes as they appear in paths, options and tables.

A venue, symbol or timeframe becomes part of a path and of a query, so it is checked once, here,
before either is built.
"""

from __future__ import annotations

import re
from typing import Final

from .errors import InputError

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9])){0,63}")
_TIMEFRAME: Final = re.compile(r"([1-9][0-9]{0,4})(s|m|h|d|w)")
_UNIT_US: Final = {
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
HOUR_US: Final = _UNIT_US["h"]
DAY_US: Final = _UNIT_US["d"]


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can safely be part of a path and a query.

    Parameters
    ----------
    kind : str
        What the name is of, for the message: ``"venue"`` or ``"symbol"``.
    name : str
        The name to check.

    Raises
    ------
    InputError
        If the name has anything but letters, digits, ``.``, ``_`` and ``-``, starts with a
        punctuation mark, or is longer than 64 characters.

    Examples
    --------
    >>> check_name("symbol", "BTCUSDT")
    'BTCUSDT'
    """
    if _NAME.fullmatch(name) is None:
        raise InputError(
            f"{kind} {name!r} is not a valid name: use letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, at most 64 characters"
        )
    return name


def timeframe_us(timeframe: str) -> int:
    """Return the length of a timeframe in microseconds.

    Parameters
    ----------
    timeframe : str
        A count and a unit: ``"1m"``, ``"15m"``, ``"4h"``, ``"1d"``.

    Raises
    ------
    InputError
        If the text is not a timeframe.

    Examples
    --------
    >>> timeframe_us("5m")
    300000000
    """
    match = _TIMEFRAME.fullmatch(timeframe)
    if match is None:
        raise InputError(
            f"timeframe {timeframe!r} is not a count and a unit: write for example 1m, 15m, 4h or 1d"
        )
    return int(match[1]) * _UNIT_US[match[2]]


def timeframe_name(length_us: int) -> str:
    """Return the shortest name of a timeframe, the inverse of `timeframe_us`.

    Raises
    ------
    InputError
        If the length is not a positive number of whole seconds.

    Examples
    --------
    >>> timeframe_name(3_600_000_000)
    '1h'
    """
    if length_us <= 0 or length_us % _UNIT_US["s"]:
        raise InputError(
            f"a timeframe of {length_us} microseconds is not a positive number of whole seconds"
        )
    unit = next(u for u in ("d", "h", "m", "s") if length_us % _UNIT_US[u] == 0)
    return f"{length_us // _UNIT_US[unit]}{unit}"
