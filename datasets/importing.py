"""A file into the lake: the one way in, for files that a user has and for files that were fetched."""

from __future__ import annotations

from pathlib import Path

from .lake import Lake, WriteReport
from .sources.parsed import ImportOptions, Parsed
from .sources.registry import parse_file


def import_file(
    lake: Lake, path: Path, *, source: str, options: ImportOptions
) -> list[tuple[Parsed, WriteReport]]:
    """Read a file and write what it holds.

    Parameters
    ----------
    lake : Lake
    path : Path
    source : str
        One of `sources.registry.SOURCES`.
    options : ImportOptions

    Returns
    -------
    list of (Parsed, WriteReport)
        One for each series in the file.

    Raises
    ------
    InputError
        If the file cannot be read as what it should be.
    LakeError
        If the lake cannot be written.
    """
    return [
        (
            parsed,
            lake.write(
                parsed.table,
                parsed.rows,
                venue=parsed.venue,
                symbol=parsed.symbol,
                timeframe=parsed.timeframe,
                source=path.name,
            ),
        )
        for parsed in parse_file(path, source=source, options=options)
    ]
