"""A study on disk: ``evidence/<id>/`` with evidence.json and parquet tables, written whole or not at all.

The JSON holds every figure of the page, NaN as null; effects are in the unit that stands beside them. The
tables hold what lies behind: a row for each encounter, approach, counterexample, day. The page is made of
these files alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets.errors import InputError
from ..record_files import plain, record_id, record_text, whole_folder

SCHEMA_VERSION: Final = 1
EVIDENCE: Final = "evidence"
EVIDENCE_FILE: Final = "evidence.json"
TABLES: Final[Mapping[str, frozenset[str]]] = {
    "encounters": frozenset({"market", "known_us", "horizon_hours", "outcome"}),
    "levels": frozenset(
        {"market", "known_us", "near", "side", "horizon_hours", "outcome", "signed_move", "in_tier"}
    ),
    "counterexamples": frozenset(
        {"market", "choice", "kind", "moment_us", "side", "move", "around_us", "around_price"}
    ),
    "daily": frozenset({"market", "day", "mapped", "twin"}),
    "quantiles": frozenset({"market", "hours", "quantile", "mean", "low", "high"}),
    "conventions": frozenset({"market", "ts", "lowest", "middle", "highest", "divided"}),
}
"""The tables, and what the page reads of each; more may be there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvidenceRecord:
    """A study that was written.

    Attributes
    ----------
    folder : Path
    about : dict
        evidence.json.
    tables : dict of str to pyarrow.Table
        By the names of `TABLES`.
    """

    folder: Path
    about: dict[str, Any]
    tables: Mapping[str, pa.Table]

    def rows(self, table: str, market: str) -> pa.Table:
        """Return the rows of one market."""
        found = self.tables[table]
        return found.filter(pa.compute.equal(found["market"], market))


def write_evidence(
    workspace: Path,
    about: dict[str, Any],
    tables: Mapping[str, pa.Table],
    *,
    created_at: datetime,
) -> Path:
    """Write a study and return its folder.

    Parameters
    ----------
    workspace : Path
    about : dict
        What `evidence_about` gives.
    tables : mapping of str to pyarrow.Table
        What `evidence_tables` gives.
    created_at : datetime

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    about = plain(about)
    name = record_id(created_at, about)
    folder = workspace / EVIDENCE / name
    whole = {"schema": SCHEMA_VERSION, "id": name, "created_at": created_at.isoformat(), **about}
    text = record_text(whole)
    with whole_folder(folder, what="the study") as hidden:
        (hidden / EVIDENCE_FILE).write_text(text, encoding="utf-8")
        for table, rows in tables.items():
            pq.write_table(rows, hidden / f"{table}.parquet", compression="zstd")
    return folder


def read_evidence(folder: Path) -> EvidenceRecord:
    """Return a study.

    Raises
    ------
    InputError
        If the folder is no study, not whole, or of another version.
    """
    try:
        about = json.loads((folder / EVIDENCE_FILE).read_text(encoding="utf-8"))
        _check_schema(folder, about)
        tables = {name: pq.read_table(folder / f"{name}.parquet") for name in TABLES}
    except InputError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{folder} is not a whole study of evidence: {error}") from error
    for name, wanted in TABLES.items():
        missing = sorted(wanted - set(tables[name].column_names))
        if missing:
            raise InputError(f"{folder / name}.parquet lacks the columns {', '.join(missing)}")
    return EvidenceRecord(folder=folder, about=about, tables=tables)


def find_evidence(workspace: Path, name: str) -> Path | None:
    """Return the folder of a study by path or id, or None if there is none of that name."""
    for candidate in (Path(name), workspace / EVIDENCE / name):
        if name and (candidate / EVIDENCE_FILE).is_file():
            return candidate
    return None


def known_evidence(workspace: Path) -> list[str]:
    """Return the ids of the workspace's studies of evidence, the oldest first."""
    files = sorted((workspace / EVIDENCE).glob(f"[!.]*/{EVIDENCE_FILE}"))
    return [file.parent.name for file in files]


def _check_schema(folder: Path, about: object) -> None:
    found = about.get("schema") if isinstance(about, dict) else None
    if found != SCHEMA_VERSION:
        raise InputError(
            f"{folder / EVIDENCE_FILE} is of schema {found}, this version reads {SCHEMA_VERSION}: "
            "make the study again"
        )
