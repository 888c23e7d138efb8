"""What parsing a file gives, and what the user may say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the user says about a file; what is None is taken from the file where it can be.

    Attributes
    ----------
    venue, symbol, timeframe : str or None
    table : str or None
        The canonical table, for files whose content does not tell.
    columns : mapping of str to str
        Canonical column names to the file's, for tables that nobody knows.
    at : str or None
        The moment of a snapshot that does not say its own, ISO 8601.
    time_unit : str or None
        ``s``, ``ms``, ``us`` or ``ns``.
    percent : bool
        Whether rates are in percent.
    unit : str or None
        ``usd`` or ``coins`` where a source's amounts can be in either.
    contract_value : float or None
        What one contract is worth where amounts are contracts: coins, or dollars for a symbol that is
        quoted in USD.
    """

    venue: str | None = None
    symbol: str | None = None
    timeframe: str | None = None
    table: str | None = None
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    at: str | None = None
    time_unit: str | None = None
    percent: bool = False
    unit: str | None = None
    contract_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Rows of one series out of one file.

    Attributes
    ----------
    table : str
        The canonical table.
    rows : pyarrow.Table
        Its columns, and `_line` and `_problem`; not yet judged.
    venue, symbol : str
    timeframe : str or None
    recognised : str
        What the file was taken for, for the user.
    notes : tuple of str
        What was left out or converted, and why.
    """

    table: str
    rows: pa.Table
    venue: str
    symbol: str
    timeframe: str | None = None
    recognised: str
    notes: tuple[str, ...] = ()
