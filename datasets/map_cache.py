"""Liquidation maps that are built once and afterwards loaded from the lake.

``lake/map_cache/<fingerprint>/`` holds one map, whole, as memory-mapped arrays. The fingerprint is of
everything that a map is made from: the panel's columns, the contract, every parameter and the code, so
that an entry never has to be judged for its age. An entry appears by a rename, is checked bit by bit
when it is read, and is built anew where it does not hold; nobody waits to read one.

The cache can be deleted at any time; nothing in it is data.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from filelock import FileLock, Timeout

from ._array_store import INDEX, Array, Damaged, Node, describe, restore, store
from ._compiled import sources_stamp
from .errors import InputError, LakeError
from .instruments import Instrument
from .lake import Lake
from .liquidation_map import LiquidationMap, MapParameters, build_map
from .panel import Panel

MAP_CACHE: Final = "map_cache"
DEFAULT_KEEP_BYTES: Final = 5_000_000_000
"""A map over six years of 1-minute bars takes about 1.5 GB, one over three years of 5-minute bars 0.16."""

_NEW: Final = "new"
_OLD: Final = "old"

Build = Callable[..., LiquidationMap]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What became of the cache: entries and bytes that were removed, and that were kept."""

    removed: int
    removed_bytes: int
    kept: int
    kept_bytes: int


def cached_map(
    lake: Lake,
    panel: Panel,
    instrument: Instrument,
    *,
    parameters: MapParameters | None = None,
    build: Build = build_map,
    keep_bytes: int = DEFAULT_KEEP_BYTES,
    **options: object,
) -> LiquidationMap:
    """Return a panel's liquidation map, from the lake where it has been built before.

    Parameters
    ----------
    lake : Lake
    panel : Panel
    instrument : Instrument
    parameters : MapParameters, optional
    build : callable
        A function of a module, called as ``build(panel, instrument, parameters=…, **options)``, whose
        result depends on these alone.
    keep_bytes : int
        How large the cache may grow; the maps used longest ago go first.
    **options
        Further arguments of `build`, for example ``calibration``; they are part of the fingerprint.

    Returns
    -------
    LiquidationMap
        Equal bit for bit to what `build` returns.

    Raises
    ------
    InputError
        If `build` fails so, or is no function of a module.
    LakeError
        If the cache cannot be written.

    Notes
    -----
    Look-ahead: none is added; a map of a longer panel is another map.
    """
    arguments = _arguments(build, panel, instrument, parameters, options)
    folder = lake.scratch / MAP_CACHE / _fingerprint(build, arguments)
    found = _load(folder)
    if found is not None:
        return found
    with _writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock_of(folder)
        lock.acquire()
    try:
        # Another process may have built it while this one waited.
        found = _load(folder)
        if found is None:
            found = build(**arguments)
            with _writing(folder.parent):
                _replace(folder, found)
    finally:
        lock.release()
    prune_map_cache(lake, keep_bytes=keep_bytes)
    return found


def map_fingerprint(
    panel: Panel,
    instrument: Instrument,
    *,
    parameters: MapParameters | None = None,
    build: Build = build_map,
    **options: object,
) -> str:
    """Return the name under which `cached_map` keeps a map, 16 hex digits; same arguments as there."""
    return _fingerprint(build, _arguments(build, panel, instrument, parameters, options))


def prune_map_cache(lake: Lake, *, keep_bytes: int = DEFAULT_KEEP_BYTES) -> PruneReport:
    """Remove the maps used longest ago until the rest take at most so many bytes.

    What killed runs left goes as well. A map that is being built at this moment is left alone, and a
    process that has one open keeps it.

    Raises
    ------
    InputError
        If `keep_bytes` is below 0.
    """
    if keep_bytes < 0:
        raise InputError(f"keep_bytes is {keep_bytes}, it must be 0 or more")
    _remove_leftovers(lake.scratch / MAP_CACHE)
    entries = sorted(map(_usage, _entries(lake.scratch / MAP_CACHE)), reverse=True)
    kept_bytes = removed_bytes = removed = 0
    for _, size, folder in entries:
        if kept_bytes + size <= keep_bytes or not _discard(folder):
            kept_bytes += size
        else:
            removed += 1
            removed_bytes += size
    return PruneReport(
        removed=removed,
        removed_bytes=removed_bytes,
        kept=len(entries) - removed,
        kept_bytes=kept_bytes,
    )


def _arguments(
    build: Build,
    panel: Panel,
    instrument: Instrument,
    parameters: MapParameters | None,
    options: Mapping[str, object],
) -> dict[str, Any]:
    if not isinstance(build, FunctionType) or "<" in build.__qualname__:
        raise InputError("a map can be cached only if a named function of a module builds it")
    return {
        "panel": panel,
        "instrument": instrument,
        "parameters": parameters or MapParameters(),
        **options,
    }


def _fingerprint(build: Build, arguments: Mapping[str, Any]) -> str:
    """Return a hash of all that the result depends on: equal inputs, equal text."""

    def keep(_place: str, array: Array) -> Node:
        return [array.dtype.str, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]

    panel: Panel = arguments["panel"]
    rest = {name: value for name, value in arguments.items() if name != "panel"}
    basis = [
        f"{build.__module__}:{build.__qualname__}",
        sources_stamp(),
        panel.fingerprint(),
        describe([panel.sources, panel.gaps, panel.notes], keep),
        describe(rest, keep),
    ]
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:16]


def _load(folder: Path) -> LiquidationMap | None:
    """Return the map in a folder, None where there is none or it is damaged."""
    try:
        found = restore(folder)
    except Damaged:
        return None
    with suppress(OSError):
        os.utime(folder / INDEX)  # the moment of last use, for pruning
    return found if isinstance(found, LiquidationMap) else None


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LakeError(f"cannot write the map cache {root}: {error}") from error


def _lock_of(folder: Path) -> FileLock:
    return FileLock(folder.parent / f".{folder.name}.lock")


def _replace(folder: Path, built: LiquidationMap) -> None:
    """Put a map in place by renames, so that a reader sees the old one, or none, or the whole new one."""
    fresh = folder.parent / f".{folder.name}.{_NEW}"
    shutil.rmtree(fresh, ignore_errors=True)  # of a run that was killed; the lock is ours
    try:
        store(fresh, built)
        _discard(folder)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _entries(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _usage(folder: Path) -> tuple[float, int, Path]:
    """Return when a map was last used, its size in bytes, and where it is."""
    used = size = 0.0
    with suppress(OSError):
        size = sum(file.stat().st_size for file in folder.iterdir())
        used = (folder / INDEX).stat().st_mtime
    return used, int(size), folder


def _discard(folder: Path) -> bool:
    """Remove a map if it is there; a process that has it open keeps what it has."""
    aside = folder.parent / f".{folder.name}.{_OLD}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        folder.rename(aside)
    except OSError:
        return False
    shutil.rmtree(aside, ignore_errors=True)
    return True


def _remove_leftovers(root: Path) -> None:
    """Remove what killed runs left, but for what a running one holds the lock of."""
    if not root.is_dir():
        return
    for path in root.glob(".*.*"):
        name = path.name.split(".")[1]
        if path.suffix not in (f".{_NEW}", f".{_OLD}"):
            continue
        lock = _lock_of(root / name)
        with suppress(Timeout, OSError), lock.acquire(timeout=0):
            shutil.rmtree(path, ignore_errors=True)
