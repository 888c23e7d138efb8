"""From a file to canonical tables: what it is is read off its content."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

from ..errors import InputError
from ..naming import check_name
from ..schemas import TABLES
from . import binance, bybit, coinglass, generic, hyperliquid, maps, streams
from ._layout import Layout
from ._names import check_file_symbol
from ._raw import JsonLines, RawTable, read_raw
from .parsed import ImportOptions, Parsed

AUTO: Final = "auto"
LAYOUTS: Final[tuple[Layout, ...]] = (
    *binance.LAYOUTS,
    *bybit.LAYOUTS,
    *streams.LAYOUTS,
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
    "bybit",
    "okx",
    "tardis",
    "generic",
)
_JSON_SOURCES: Final = frozenset({"coinglass", "coinank", "coinalyze", "hyperliquid"})


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
    if options.table is not None and options.table not in TABLES:
        raise InputError(f"there is no table {options.table!r}: use one of {', '.join(TABLES)}")
    if options.symbol is not None:
        check_file_symbol(path, options.symbol)
    try:
        found = _parse(path, source, options)
    except MemoryError:
        raise InputError(f"{path}: needs more memory than there is; split it") from None
    except UnicodeError as error:
        raise InputError(f"{path}: holds text that is not valid Unicode") from error
    for parsed in found:
        # All names, before the first of several series is stored.
        check_name("venue", parsed.venue)
        check_name("symbol", parsed.symbol)
    return found


def _parse(path: Path, source: str, options: ImportOptions) -> list[Parsed]:
    raw = read_raw(path)
    if not isinstance(raw, RawTable):
        found = None if isinstance(raw, JsonLines) else _parse_json(path, raw, source, options)
        if found is not None:
            return found
        raw = (
            bybit.answer_table(path, raw)
            or streams.message_table(path, raw)
            or coinglass.response_table(path, raw)
        )
        if raw is None:
            raise InputError(f"{path}: is JSON, but no response or map that liqtiers knows")
    raw = binance.name_columns(raw)
    if len(raw.frame) == 0:
        line, text = raw.broken[0]
        raise InputError(
            f"{path}: no row has as many cells as the header; line {line} is {text[:60]!r}"
        )
    if options.columns and options.table is None:
        raise InputError(f"{path}: --column needs --table, one of {', '.join(TABLES)}")
    if options.columns:
        return _with_broken(generic.parse_named(raw, options), raw)
    for layout in LAYOUTS:
        if source in (
            AUTO,
            layout.source,
            "generic" if layout.source == "coinglass" else "",
        ) and layout.fits(raw, options.table):
            return _with_broken(_asked_for(layout.read(raw, options), raw, options), raw)
    if options.table is not None:
        return _with_broken(generic.parse_named(raw, options), raw)
    names = ", ".join(map(str, raw.frame.columns))[:160]
    raise InputError(
        f"{path}: the columns {names} are of no known shape; name them with --table and --column"
    )


def _asked_for(found: list[Parsed], raw: RawTable, options: ImportOptions) -> list[Parsed]:
    kept = [parsed for parsed in found if options.table in (None, parsed.table)]
    if not kept:
        raise InputError(
            f"{raw.path}: was taken for {found[0].recognised}, which is not {options.table}; name its "
            "columns with --column"
        )
    return kept


def _with_broken(found: list[Parsed], raw: RawTable) -> list[Parsed]:
    first = dataclasses.replace(found[0], notes=(*found[0].notes, *raw.notes))
    return [generic.broken_rows(first, raw), *found[1:]]


def _parse_json(path: Path, value: Any, source: str, options: ImportOptions) -> list[Parsed] | None:
    if source not in (AUTO, *_JSON_SOURCES):
        return None
    found = hyperliquid.parse_states(path, value, options) or maps.parse_map(path, value, options)
    if found is not None:
        return [found]
    return generic.parse_coinalyze(path, value, options)
