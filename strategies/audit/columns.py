"""Numbers that stand at every bar, found in panels, maps and the attributes of a strategy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...datasets.map_features import MapFeatures
from ...datasets.panel import Panel, column_names
from .record import Column, Stage

_DEEPEST: Final = 2
"""How many tuples, dataclasses or dicts an array may lie inside."""


def panel_columns(panel: Panel) -> dict[str, Column]:
    """Return a panel's columns by name, those of the bars' time apart."""
    return {
        f"data.{name}": Column(Stage.DATA, getattr(panel, name).astype(np.float64), "")
        for name in column_names()
        if name != "ts"
    }


def map_columns(features: MapFeatures) -> dict[str, Column]:
    """Return a map's features by name."""
    found = arrays_in("map", features, len(features))
    return {name: Column(Stage.MAP, numbers_of(values), "") for name, values in found}


def arrays_in(name: str, value: object, bars: int, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Return what has one entry a bar inside of a value, by name, as it is.

    Parameters
    ----------
    name : str
    value : object
        Arrays, lists of floats, Series and DataFrames, and tuples, dataclasses and dicts of them.
    bars : int
        How many entries that is.
    """
    if isinstance(value, pd.DataFrame):
        if len(value) == bars:
            for label in value.columns:
                yield from arrays_in(f"{name}.{label}", value[label].to_numpy(), bars, depth)
    elif isinstance(value, (pd.Series, pd.Index)):
        yield from arrays_in(name, value.to_numpy(), bars, depth)
    elif isinstance(value, np.ndarray):
        if value.ndim and len(value) == bars and value.dtype.kind in "fiubM":
            yield name, value
    elif isinstance(value, list):
        if len(value) == bars and all(type(number) is float for number in value):
            yield name, value
    elif depth < _DEEPEST:
        for inner, part in _parts(value):
            yield from arrays_in(f"{name}{inner}", part, bars, depth + 1)


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield f".{f.name}", getattr(value, f.name, None)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for label in value._fields:
            yield f".{label}", getattr(value, label)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield f"[{key!r}]", part


def numbers_of(values: Any) -> NDArray[np.float64]:
    """Return an array's entries as numbers; times become microseconds."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]").astype(np.int64)
    return array.astype(np.float64)
