"""Where runs keep what they produce: ``$LIQTIERS_HOME``, else ``./liqtiers-data``.

The lake is in there, too, or where ``$LIQTIERS_LAKE`` says: another folder, or a bucket.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import typer

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.datasets.lake import Lake


def workspace() -> Path:
    """Return the workspace folder, whether it exists or not.

    Raises
    ------
    InputError
        If a file stands in its place.
    """
    folder = Path(os.environ.get("LIQTIERS_HOME") or "liqtiers-data")
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise InputError(
                f"the workspace cannot be {folder}, since {place} is a file: set LIQTIERS_HOME to a folder"
            )
    return folder


def open_lake() -> Lake:
    """Return the lake.

    Raises
    ------
    InputError
        If LIQTIERS_LAKE is no folder and no bucket's address.
    """
    inside = workspace() / "lake"
    if address := os.environ.get("LIQTIERS_LAKE"):
        if Path(address).is_file():
            raise InputError(
                f"LIQTIERS_LAKE is {address}, which is a file: set it to a folder or a bucket"
            )
        # What is derived from a lake elsewhere is kept here: a bucket has no folder to map into memory.
        return Lake(address, scratch=inside)
    return Lake(inside)


def refresh_index() -> None:
    """Write the workspace's page of all results again; that it cannot be is no reason to fail."""
    # Here, since a command that writes no page need not load what pages are made of.
    from liqtiers.reports.workspace_index import write_index

    try:
        write_index(workspace())
    except LakeError as error:
        typer.echo(f"note: {error}", err=True)


def now() -> datetime:
    """Return the present moment, UTC; the one place where a command reads the clock."""
    return datetime.now(tz=UTC)


def moment_us(text: str | None, *, option: str) -> int | None:
    """Return a date or moment given as an option in UTC microseconds.

    Raises
    ------
    InputError
        If it is no ISO 8601 date or moment.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is no date: write for example 2025-01-31") from None
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return int(np.datetime64(aware.replace(tzinfo=None), "us").astype(np.int64))
