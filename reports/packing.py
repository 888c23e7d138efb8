"""Bars packed into the page, and the overview that is drawn before they are unpacked.

A column is whole numbers of a small unit, as differences, with the sign in the lowest bit, the bytes
laid out plane by plane, gzipped and in base64; ``page.js`` undoes it. Prices are told apart as the jump
from the last close, the body, and the wicks, which take half the room of four columns.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..datasets.panel import Float64Array1D, Int64Array1D

PRICES: Final = ("open", "high", "low", "close")
LAST: Final = ("oi_base", "equity", "hold")
"""Of these the overview shows the last value of a stretch."""
FARTHEST: Final = ("imbalance", "funding_rate")
"""Of these the value farthest from even: a spike that is left out looks as if it had not been."""

CANDLE_SHARE: Final = 0.7
"""Width of a candle's body as a share of its stretch of time."""

_MISSING: Final = -(2**31)
_PRICE_STEPS: Final = 1e6
_OTHER_STEPS: Final = 1e5
_LOG_UNIT: Final = 0.001
_LEVEL: Final = 9


def overview(
    columns: Mapping[str, Float64Array1D], when: Float64Array1D, *, step: float, drawn: int
) -> dict[str, Any]:
    """Return all of the data as at most `drawn` candles.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n,)
        `PRICES`, `LAST`, `FARTHEST` and ``drawdown``.
    when : ndarray, shape (n,)
        Opens of the bars, milliseconds.
    step : float
        Length of a bar, milliseconds.
    drawn : int
    """
    first = np.arange(0, len(when), max(-(-len(when) // drawn), 1), dtype=np.int64)
    last = np.append(first[1:], len(when)) - 1
    right = when[last] + step
    return {
        "t": when[first],
        "mid": (when[first] + right) / 2.0,
        "width": (right - when[first]) * CANDLE_SHARE,
        "open": columns["open"][first],
        "high": np.maximum.reduceat(columns["high"], first),
        "low": np.minimum.reduceat(columns["low"], first),
        "close": columns["close"][last],
        "rose": (columns["close"][last] >= columns["open"][first]).astype(np.float64),
        "drawdown": np.minimum.reduceat(columns["drawdown"], first),
        **{name: columns[name][last] for name in LAST},
        **{name: columns[name][_farthest(name, columns[name], first)] for name in FARTHEST},
    }


def _farthest(name: str, values: Float64Array1D, first: Int64Array1D) -> Int64Array1D:
    """Return where in each stretch a column is farthest from even: 1 for a ratio, 0 for a rate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(np.log(values) if name == "imbalance" else values)
    away = np.where(np.isnan(away), -1.0, away)
    stretches = np.split(away, first[1:])
    return first + np.array([stretch.argmax() for stretch in stretches], dtype=np.int64)


def packed_columns(
    columns: Mapping[str, Float64Array1D], when: Float64Array1D, *, step: float
) -> dict[str, dict[str, Any]]:
    """Return every bar for `page.js`: open, high, low and close as moves, imbalance as its logarithm."""
    unit = float(np.max(columns["high"])) / _PRICE_STEPS
    whole = {name: np.round(columns[name] / unit).astype(np.int64) for name in PRICES}
    before = np.concatenate([[0], whole["close"][:-1]])
    upper, lower = (f(whole["open"], whole["close"]) for f in (np.maximum, np.minimum))
    packed = {
        "t": _entry(_differences(np.round((when - when[0]) / step)), 1.0, float(when[0])),
        "open": _entry(whole["open"] - before, unit),
        "close": _entry(whole["close"] - whole["open"], unit),
        "high": _entry(whole["high"] - upper, unit),
        "low": _entry(lower - whole["low"], unit),
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        packed["imbalance"] = _scaled(np.log(columns["imbalance"]), _LOG_UNIT)
    for name in ("funding_rate", "oi_base", "equity", "drawdown", "held_share"):
        finite = columns[name][np.isfinite(columns[name])]
        largest = float(np.max(np.abs(finite))) if len(finite) else 0.0
        packed[name] = _scaled(columns[name], max(largest, 1e-12) / _OTHER_STEPS)
    return packed


def _scaled(values: Float64Array1D, unit: float) -> dict[str, Any]:
    return _entry(_differences(values / unit), unit)


def _differences(values: Float64Array1D) -> Int64Array1D:
    """Return the steps between rounded values; over a hole the last value is carried on."""
    finite = np.isfinite(values)
    whole = np.round(np.where(finite, values, 0.0)).astype(np.int64)
    carried = whole[np.maximum.accumulate(np.where(finite, np.arange(len(whole)), 0))]
    steps = np.diff(carried, prepend=0)
    steps[~finite] = _MISSING
    return steps


def _entry(steps: NDArray[np.int64], unit: float, start: float = 0.0) -> dict[str, Any]:
    small = steps.astype("<i4")
    zigzag = (small << 1) ^ (small >> 31)
    planes = zigzag.view(np.uint8).reshape(-1, 4).T.tobytes()
    return {"unit": unit, "start": start, "packed": packed(planes)}


def packed(content: bytes) -> str:
    """Return bytes gzipped, as letters that mean nothing in HTML."""
    return base64.b64encode(gzip.compress(content, compresslevel=_LEVEL, mtime=0)).decode()
