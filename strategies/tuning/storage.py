"""Where trials are kept: an Optuna storage, opened so that a killed process cannot spoil it.

By default a journal file. Optuna's own backend takes its lock with a link that outlives a killed
process (others then wait half a minute), and a line that was cut off in the middle, by a kill or a full
disk, would make the next one unreadable. Here the kernel holds the lock, and a writer that finds or
leaves half a line cuts it off. The format is untouched: optuna-dashboard opens the file as it is.

Any address of a database that Optuna knows (``sqlite:///…``, ``postgresql+psycopg://…``) does as well.
"""

from __future__ import annotations

import os
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import optuna
import sqlalchemy.exc
from filelock import FileLock
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from ...datasets.errors import InputError, LakeError

JOURNAL_FILE: Final = "journal.log"
"""Of a study that has no database, in its folder."""
_MOST_TRIES: Final = 10
_TRY_AGAIN_SECONDS: Final = 0.2


class WholeLines(JournalFileBackend):
    """A journal in which every line is whole, whatever happened to those who wrote it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The kernel releases it when its process dies.
        self._lock_file = FileLock(path.with_name(f"{path.name}.lock"))
        super().__init__(str(path), lock_obj=_NoLock(str(path)))
        with self._lock_file:
            _cut_half_line(path)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines, all of them or none."""
        with self._lock_file:
            _cut_half_line(self._path)
            size = self._path.stat().st_size
            try:
                super().append_logs(logs)
            except OSError:
                os.truncate(self._path, size)
                raise


class _NoLock(JournalFileOpenLock):
    """For the base class, around whose writes the kernel's lock is held already."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _cut_half_line(path: Path) -> None:
    """Remove what stands after the last end of a line."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        if end == 0:
            return
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return
        place, whole = end, 0
        while place > 0:
            step = min(place, 65_536)
            place -= step
            file.seek(place)
            found = file.read(step).rfind(b"\n")
            if found >= 0:
                whole = place + found + 1
                break
        file.truncate(whole)


def open_storage(address: str) -> optuna.storages.BaseStorage:
    """Return a storage.

    Parameters
    ----------
    address : str
        The path of a journal file, or the address of a database, which has ``://`` in it.

    Raises
    ------
    InputError
        If an address is not a database's, or its driver is not installed.
    LakeError
        If the storage cannot be opened.
    """
    if "://" not in address:
        path = Path(address)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return optuna.storages.JournalStorage(WholeLines(path))
        except (OSError, ValueError) as error:
            raise LakeError(f"cannot open the study's journal {path}: {error}") from error
    told = without_password(address)
    try:
        return _database(address)
    except ImportError:
        raise InputError(
            f"the storage {told} needs a driver that is not installed. For PostgreSQL: "
            "pip install 'liqtiers[postgres]', and write postgresql+psycopg://USER@HOST/DATABASE"
        ) from None
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise InputError(
            f"the storage {told} is no address of a database that is known here: write "
            "postgresql+psycopg://USER@HOST/DATABASE or sqlite:///FILE"
        ) from None
    except Exception as error:  # noqa: BLE001  # a driver may raise anything
        on_disk = sqlalchemy.engine.make_url(address).get_backend_name() == "sqlite"
        if on_disk and isinstance(error, sqlalchemy.exc.OperationalError):
            raise LakeError(
                f"cannot open the storage {told}: does its folder exist, and may files be written there?"
            ) from None
        # SQLAlchemy's own errors repeat the address with the password.
        raise LakeError(
            f"cannot open the storage {told}: {type(error).__name__}. Does the server run, do user, "
            "password and database exist, and can this machine reach it?"
        ) from None


def _database(address: str) -> optuna.storages.BaseStorage:
    """Open a database; its tables are made where they are missing.

    Machines that begin at one moment make the same tables; all but one of them fail, and find them there
    when they look again.
    """
    for _ in range(_MOST_TRIES - 1):
        try:
            return _opened(address)
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError):
            time.sleep(_TRY_AGAIN_SECONDS)
    return _opened(address)


def _opened(address: str) -> optuna.storages.BaseStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = optuna.storages.get_storage(address)
    # Optuna never closes its connections. It has no public way to them.
    weakref.finalize(storage, storage._backend.engine.dispose)  # type: ignore[attr-defined]
    return storage


def why_storage_failed(error: Exception) -> str:
    """Return why, without a database's own words, which may hold its address and password."""
    told = error.strerror if isinstance(error, OSError) else None
    return told or type(error).__name__


def without_password(address: str) -> str:
    """Return a database's address without its password; any other text as it is.

    Examples
    --------
    >>> without_password("postgresql+psycopg://me:secret@host/db")
    'postgresql+psycopg://me@host/db'
    """
    scheme, separator, rest = address.partition("://")
    who, at, where = rest.rpartition("@")
    return f"{scheme}{separator}{who.partition(':')[0]}{at}{where}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from telling of every study and trial, and of what it calls experimental."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
