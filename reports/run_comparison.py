"""Runs side by side: what differed in parameters and data, what came of it, and which trades differ.

All of it is read from the runs' records; nothing is run again. The first run named is the one that the
others are held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from ..datasets.errors import InputError
from .performance import day_ends
from .run_record import RunRecord, run_title

FIGURES: Final = (
    *("net_return", "buy_and_hold_return", "annual_return", "max_drawdown", "sharpe"),
    *("trades", "hit_rate", "mean_net_pnl", "exposure", "turnover", "fees", "slippage", "funding"),
)
_FEWEST: Final = 2


class TradeDifference(NamedTuple):
    """Trades of two runs by entry and side: how many are in one alone, in both, in both with another exit.

    `rows` has one dict for each that is not the same in both: ``entry_ts``, ``side``, ``what`` (``only in
    the first``, ``only in the other``, ``left otherwise``), and exit, reason and net result in each.
    """

    only_first: int
    only_other: int
    same: int
    left_otherwise: int
    rows: list[dict[str, Any]]


def compare_runs(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return what two or more runs have in common and what not, as JSON can hold it.

    Parameters
    ----------
    records : sequence of RunRecord
        The first is the one that the others are held against.

    Returns
    -------
    dict
        ``runs`` (id, title, verdict), ``differing`` and ``shared`` settings (group, name, unit, values one
        a run, or one), ``figures`` (name and one value a run), ``equity`` (days and, for each run, what one
        unit of cash had become; None where it has no bars), ``trades`` (one a run after the first).

    Raises
    ------
    InputError
        If there are fewer than two, or one is given twice.
    """
    names = [record.about["id"] for record in records]
    if len(set(names)) < max(len(names), _FEWEST):
        raise InputError(
            f"--compare needs two runs or more, each once; given: {', '.join(names) or 'none'}"
        )
    settings = _settings(records)
    return {
        "runs": [_run(record) for record in records],
        "differing": [row for row in settings if len({repr(v) for v in row["values"]}) > 1],
        "shared": [
            {**row, "values": row["values"][:1]}
            for row in settings
            if len({repr(v) for v in row["values"]}) == 1
        ],
        "figures": [
            {"name": name, "values": [r.about["summary"].get(name) for r in records]}
            for name in FIGURES
        ],
        "equity": equity_together(records),
        "trades": [trades_that_differ(records[0], other)._asdict() for other in records[1:]],
    }


def equity_together(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return the accounts at the ends of UTC days, as multiples of what each started with."""
    curves = [day_ends(r.equity) / r.about["summary"]["cash"] for r in records]
    frame = pd.concat(curves, axis=1).sort_index()
    return {
        "days": [day.date().isoformat() for day in pd.DatetimeIndex(frame.index)],
        "curves": [
            [None if not np.isfinite(v) else float(v) for v in frame.iloc[:, k]]
            for k in range(len(records))
        ],
    }


def trades_that_differ(first: RunRecord, other: RunRecord) -> TradeDifference:
    """Return the trades that two runs do not share, by the bar of entry and the side."""
    tables = [_by_entry(record) for record in (first, other)]
    keys = sorted(set(tables[0]) | set(tables[1]))
    rows, same, otherwise = [], 0, 0
    for key in keys:
        own, its = tables[0].get(key), tables[1].get(key)
        if own is not None and its is not None:
            if own["exit_ts"] == its["exit_ts"] and own["exit_reason"] == its["exit_reason"]:
                same += 1
                continue
            otherwise += 1
            what = "left otherwise"
        else:
            what = "only in the other" if own is None else "only in the first"
        rows.append(_row(key, what, own, its))
    return TradeDifference(
        only_first=len(set(tables[0]) - set(tables[1])),
        only_other=len(set(tables[1]) - set(tables[0])),
        same=same,
        left_otherwise=otherwise,
        rows=rows,
    )


def _by_entry(record: RunRecord) -> dict[tuple[Any, int], dict[str, Any]]:
    return {(row["entry_ts"], row["direction"]): row for row in record.trades.to_pylist()}


def _row(
    key: tuple[Any, int], what: str, own: dict[str, Any] | None, its: dict[str, Any] | None
) -> dict[str, Any]:
    def part(row: dict[str, Any] | None, name: str) -> Any:  # any cell of a trade
        value = None if row is None else row[name]
        return value.isoformat() if isinstance(value, datetime) else value

    return {
        "entry_ts": key[0].isoformat(),
        "side": "long" if key[1] > 0 else "short",
        "what": what,
        **{
            f"{which}_{name}": part(row, name)
            for which, row in (("first", own), ("other", its))
            for name in ("exit_ts", "exit_reason", "net_pnl")
        },
    }


def _run(record: RunRecord) -> dict[str, Any]:
    about = record.about
    return {
        "id": about["id"],
        "created_at": about["created_at"],
        "title": run_title(about),
        "sentence": about["verdict"]["sentence"],
        "warning": about["verdict"]["warning"],
        "command": about["command"],
    }


def _settings(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Return every setting of any of the runs: a row has one value a run, None where a run has none."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for place, record in enumerate(records):
        for group, name, value, unit in _settings_of(record.about):
            row = found.setdefault(
                (group, name),
                {"group": group, "name": name, "unit": unit, "values": [None] * len(records)},
            )
            row["values"][place] = value
    return list(found.values())


def _settings_of(about: dict[str, Any]) -> list[tuple[str, str, Any, str]]:
    data, instrument = about["data"], about["instrument"]
    rows = [
        ("data", name, value, "")
        for name, value in (
            *((n, instrument[n]) for n in ("venue", "symbol", "timeframe")),
            *((n, data[n]) for n in ("start", "end", "bars", "fingerprint")),
            *((f"{n} series", ", ".join(series)) for n, series in data["sources"].items()),
        )
    ]
    rows.append(("map", "model", about["map"]["model"], ""))
    for group, table in (
        ("map", about["map"]["parameters"]),
        ("costs", about["costs"]),
        ("parameters", about["parameters"]),
    ):
        rows += [(group, row["name"], row["value"], row.get("unit", "")) for row in table]
    rows.append(("account", "cash", about["summary"]["cash"], "quote"))
    rows.append(("program", "versions", ", ".join(map(" ".join, about["versions"].items())), ""))
    return rows
