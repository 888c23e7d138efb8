"""Markets whose future can be cut off: a panel, or a lake.

The market up to a bar is what was known when that bar closed. Of a panel that is its first rows, of a
table the rows available by then, and of a lake a copy without any row that became available later,
from which the panel is joined anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...datasets._series_name import SeriesName, parse_series
from ...datasets.errors import InputError
from ...datasets.lake import Lake
from ...datasets.panel import Float64Array1D, Int64Array1D, Panel
from ...datasets.panel_query import load_panel
from ...datasets.query import files_of, read
from .target import Target, load_target

IMPORTED_MAP: Final = "liquidation_map"
_TABLES: Final = {
    "open_interest": "open_interest",
    "funding": "funding",
    "liquidations": "liquidations",
    "positioning": "positioning",
    "mark": "mark_bars",
}
"""The options of `load_panel` that name series, and the tables that these stand in."""


class Scene(NamedTuple):
    """What was known at a moment: the bars, and the rows of other tables by name."""

    panel: Panel
    tables: dict[str, pa.Table]


class Market(Protocol):
    """What an audit runs over."""

    @property
    def close_ts(self) -> Int64Array1D:
        """Close of each bar, UTC microseconds."""

    @property
    def earliest_cut(self) -> int:
        """The fewest bars that may be left when the future is cut off."""

    def until(self, stop: int) -> Scene:
        """Return what was known when bar `stop` - 1 closed; everything for the number of bars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelMarket:
    """A panel as it is, cut by rows.

    Attributes
    ----------
    panel : Panel
    tables : mapping of str to pyarrow.Table
        Canonical tables with `available_at`, for features that take them.
    """

    panel: Panel
    tables: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def close_ts(self) -> Int64Array1D:
        """Close of each bar, UTC microseconds."""
        return self.panel.close_ts

    @property
    def earliest_cut(self) -> int:
        """The fewest bars that may be left."""
        return 1

    def until(self, stop: int) -> Scene:
        """Return what was known when bar `stop` - 1 closed."""
        if stop == len(self.panel):
            return Scene(self.panel, dict(self.tables))
        moment = int(self.panel.close_ts[stop - 1])
        tables = {name: rows.filter(_known(rows, moment)) for name, rows in self.tables.items()}
        return Scene(self.panel.slice(0, stop), tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeMarket:
    """A lake, cut by what was available; each panel is joined from it anew.

    Made by `lake_market`.

    Attributes
    ----------
    root : Path
        The lake's folder.
    request : dict
        The arguments of `load_panel`.
    close_ts : ndarray of int64, shape (n,)
    settled : ndarray of float64, shape (n,)
        The whole panel's ``funding_settled``: money, charged when it changed hands though it may become
        known a moment later; no information to decide by.
    earliest_cut : int
    imported_map : str or None
        A vendor's map as ``venue:symbol``, to be among the tables.
    loader : Target or None
        A function ``(lake, **request) -> Panel`` of the user's, instead of `load_panel`.
    """

    lake: Lake
    request: dict[str, Any]
    close_ts: Int64Array1D
    settled: Float64Array1D
    earliest_cut: int
    imported_map: str | None = None
    loader: Target | None = None

    def until(self, stop: int) -> Scene:
        """Return what was known when bar `stop` - 1 closed."""
        if stop == len(self.close_ts):
            return Scene(self._load(self.lake), self._tables(self.lake))
        moment = int(self.close_ts[stop - 1])
        with tempfile.TemporaryDirectory(prefix="liqtiers-cut-") as folder:
            cut = Lake(Path(folder))
            cut_lake(self.lake, cut, moment, names=self._names())
            panel = self._load(cut, end_us=moment)
            tables = self._tables(cut)
        return Scene(replace(panel, funding_settled=self.settled[: len(panel)].copy()), tables)

    def _load(self, lake: Lake, **changed: Any) -> Panel:
        load = load_panel if self.loader is None else load_target(self.loader)
        panel: Panel = load(lake, **{**self.request, **changed})
        return panel

    def _names(self) -> tuple[SeriesName, ...]:
        given = [name for option in _TABLES for name in self.request.get(option, ())]
        given += [self.imported_map] if self.imported_map else []
        own = SeriesName(self.request["venue"], self.request["symbol"])
        return (own, *map(parse_series, given))

    def _tables(self, lake: Lake) -> dict[str, pa.Table]:
        if self.imported_map is None:
            return {}
        name = parse_series(self.imported_map)
        return {IMPORTED_MAP: read(lake, IMPORTED_MAP, venue=name.venue, symbol=name.symbol)}


def lake_market(
    lake: Lake, *, imported_map: str | None = None, loader: Target | None = None, **request: Any
) -> LakeMarket:
    """Return a market that is joined from a lake.

    Parameters
    ----------
    lake : Lake
    imported_map : str, optional
        A vendor's map as ``venue:symbol``, cut like the rest.
    loader : Target, optional
        See `LakeMarket`.
    **request
        The arguments of `load_panel`.

    Raises
    ------
    InputError
        As `load_panel`; and if a series that is named begins after the last bar.
    """
    panel = load_panel(lake, **request)
    begun = _begun_us(lake, request, imported_map, before=int(panel.close_ts[-1]))
    return LakeMarket(
        lake=lake,
        request=request,
        close_ts=panel.close_ts,
        settled=panel.funding_settled,
        # Before that a series that was asked for cannot be joined, whatever the future holds.
        earliest_cut=int(np.searchsorted(panel.close_ts, begun)) + 1,
        imported_map=imported_map,
        loader=loader,
    )


def known_tables(lake: Lake, *, since: int, **request: Any) -> dict[str, pa.Table]:
    """Return the rows of what is joined to the bars, for features that join it themselves.

    Parameters
    ----------
    lake : Lake
    since : int
        First `ts`, UTC microseconds.
    **request
        The arguments of `load_panel`; of several series of a kind the first is taken.
    """
    found = {}
    own = f"{request['venue']}:{request['symbol']}"
    for option, table in _TABLES.items():
        name = parse_series((*request.get(option, ()), own)[0])
        stored = lake.series(table, venue=name.venue, symbol=name.symbol)
        fitting = [s for s in stored if name.timeframe in (None, s.timeframe)]
        if fitting:
            first = fitting[0]
            found[table] = read(
                lake,
                table,
                venue=name.venue,
                symbol=name.symbol,
                timeframe=first.timeframe,
                start_us=since,
            )
    return found


def cut_lake(lake: Lake, into: Lake, moment: int, *, names: tuple[SeriesName, ...]) -> None:
    """Copy series into another lake without the rows that became available after a moment.

    Parameters
    ----------
    lake, into : Lake
    moment : int
        UTC microseconds.
    names : tuple of SeriesName
        Instruments whose series are copied, all tables and timeframes.
    """
    for name in dict.fromkeys((n.venue, n.symbol) for n in names):
        for series in lake.series(venue=name[0], symbol=name[1]):
            for file in files_of(lake, series):
                _copy_known(lake, file, into.root / file, moment)


def _copy_known(lake: Lake, name: str, target: Path, moment: int) -> None:
    [version] = lake.store.versions([name])
    if lake.store.footers({name: version})[name].known_us <= moment:
        target.parent.mkdir(parents=True, exist_ok=True)
        lake.store.copy(name, target)
        return
    rows, _ = lake.store.read(name)
    known = rows.filter(_known(rows, moment))
    if known.num_rows:
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(known, target)


def _known(rows: pa.Table, moment: int) -> pa.ChunkedArray:
    return pc.less_equal(rows["available_at"].cast(pa.int64()), moment)


def _begun_us(
    lake: Lake, request: Mapping[str, Any], imported_map: str | None, *, before: int
) -> int:
    """Return from when on every series that the panel is joined from had begun."""
    own = SeriesName(request["venue"], request["symbol"])
    begun = [_first_known_us(lake, "bars", own)]
    if imported_map is not None:
        begun.append(_first_known_us(lake, IMPORTED_MAP, parse_series(imported_map)))
    for option, table in _TABLES.items():
        for text in request.get(option, ()):
            begun.append(_first_known_us(lake, table, parse_series(text)))
            if begun[-1] > before:
                raise InputError(
                    f"{text} begins after the last bar: choose a later end, or leave it out"
                )
        if not request.get(option) and (first := _first_known_us(lake, table, own)) <= before:
            begun.append(first)
    return max(begun)


def _first_known_us(lake: Lake, table: str, name: SeriesName) -> int:
    """Return from when on all timeframes of a series had a row; 0 where there is none."""
    firsts = [0]
    for series in lake.series(table, venue=name.venue, symbol=name.symbol):
        first, _ = lake.store.read(files_of(lake, series)[0])
        firsts.append(int(pc.min(first["available_at"]).cast(pa.int64()).as_py()))
    return max(firsts)
