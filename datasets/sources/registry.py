"""From a file to canonical tables: what it is is read off its content."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ..errors import InputError
from . import binance, coinglass, generic, maps
from ._layout import Layout
from ._raw import RawTable, read_raw
from .parsed import ImportOptions, Parsed

AUTO: Final = "auto"
LAYOUTS: Final[tuple[Layout, ...]] = (
    *binance.LAYOUTS,
    *maps.LAYOUTS,
    *coinglass.LAYOUTS,
    *generic.LAYOUTS,
)
SOURCES: Final = (
    AUTO,
    "binance",
    "coinglass",
    "coinank",
    "coinalyze",
    "hyperliquid",
    "tardis",
    "generic",
)
_JSON_SOURCES: Final = frozenset({"coinglass", "coinank", "coinalyze"})


def parse_file(path: Path, *, source: str = AUTO, options: ImportOptions) -> list[Parsed]:
    """Return the canonical tables in a file.

    Parameters
    ----------
    path : Path
        csv, parquet or JSON, also inside a zip or gz.
    source : str
        One of `SOURCES`; ``"auto"`` tries all.
    options : ImportOptions

    Raises
    ------
    InputError
        If the file is damaged, empty, or of no known shape; the message names it.
    """
    if source not in SOURCES:
        raise InputError(f"there is no source {source!r}: use one of {', '.join(SOURCES)}")
    raw = read_raw(path)
    if not isinstance(raw, RawTable):
        found = _parse_json(path, raw, source, options)
        if found is not None:
            return found
        raw = coinglass.response_table(path, raw)
        if raw is None:
            raise InputError(f"{path}: is JSON, but no response or map that liqtiers knows")
    raw = binance.name_columns(raw)
    if options.table is not None and options.columns:
        return _with_broken(generic.parse_named(raw, options), raw)
    for layout in LAYOUTS:
        if source in (
            AUTO,
            layout.source,
            "generic" if layout.source == "coinglass" else "",
        ) and layout.fits(raw):
            return _with_broken(layout.read(raw, options), raw)
    if options.table is not None:
        return _with_broken(generic.parse_named(raw, options), raw)
    names = ", ".join(map(str, raw.frame.columns))[:160]
    raise InputError(
        f"{path}: the columns {names} are of no known shape; name them with --table and --column"
    )


def _with_broken(found: list[Parsed], raw: RawTable) -> list[Parsed]:
    return [generic.broken_rows(found[0], raw), *found[1:]] if found else []


def _parse_json(path: Path, value: Any, source: str, options: ImportOptions) -> list[Parsed] | None:
    if source not in (AUTO, *_JSON_SOURCES):
        return None
    found = maps.parse_map(path, value, options)
    if found is not None:
        return [found]
    return generic.parse_coinalyze(path, value, options)
