"""The journal survives kills and full disks, and stays what Optuna reads."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import IntegrityError, ProgrammingError

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.strategies.tuning import open_storage
from liqtiers.strategies.tuning.storage import quiet


def study_in(path: Path) -> optuna.Study:
    with quiet():
        return optuna.create_study(
            storage=open_storage(str(path)), study_name="one", load_if_exists=True
        )


def add(study: optuna.Study, value: float) -> None:
    study.add_trial(optuna.trial.create_trial(value=value))


def values(path: Path) -> list[float]:
    return [t.value for t in study_in(path).trials if t.value is not None]


@pytest.mark.parametrize("rest", [b'{"op_code":4,"wor', b"x" * 200_000, b"\n"[:0]])
def test_half_a_line_is_cut_off_when_it_is_opened(tmp_path: Path, rest: bytes) -> None:
    """What a killed writer left in the middle of a line is gone; the whole lines are not."""
    path = tmp_path / "journal.log"
    add(study_in(path), 1.0)
    before = path.read_bytes()
    with path.open("ab") as file:
        file.write(rest)
    assert values(path) == [1.0]
    assert path.read_bytes().startswith(before)


def test_half_a_line_is_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    """A process that has the journal open goes on after another one was killed in the middle of a line."""
    path = tmp_path / "journal.log"
    study = study_in(path)
    add(study, 1.0)
    with path.open("ab") as file:
        file.write(b'{"op_code":4,"worker_')
    add(study, 2.0)
    assert values(path) == [1.0, 2.0]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_journal_of_half_a_line_alone_is_empty(tmp_path: Path) -> None:
    """The first line of all may be cut off, too."""
    path = tmp_path / "journal.log"
    path.write_bytes(b'{"op_code":0,"stu')
    assert values(path) == []


def test_optuna_reads_the_journal_as_its_own(tmp_path: Path) -> None:
    """Optuna's own backend, which optuna-dashboard uses, opens the file as it is."""
    path = tmp_path / "journal.log"
    add(study_in(path), 3.0)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    with quiet():
        plain = optuna.load_study(study_name="one", storage=optuna.storages.JournalStorage(backend))
    assert [t.value for t in plain.trials] == [3.0]


def test_a_killed_lock_holder_stops_nobody(tmp_path: Path) -> None:
    """The lock goes with its process: the next writer does not wait for a grace period."""
    path = tmp_path / "journal.log"
    add(study_in(path), 1.0)
    script = f"""
        import os, signal
        from filelock import FileLock
        FileLock({str(path) + ".lock"!r}).acquire()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    add(study_in(path), 2.0)
    assert values(path) == [1.0, 2.0]


def test_full_disk_keeps_what_was_written(tmp_path: Path) -> None:
    """A write that fails for want of room leaves no half line; with room it goes on."""
    path = tmp_path / "journal.log"
    study = study_in(path)
    add(study, 1.0)
    size = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            add(study, 2.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.stat().st_size == size
    add(study_in(path), 3.0)
    assert values(path) == [1.0, 3.0]


def test_any_database_address_does(tmp_path: Path) -> None:
    """An address with :// is a database's."""
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    with quiet():
        study = optuna.create_study(storage=storage, study_name="one")
    add(study, 1.0)
    assert (tmp_path / "study.db").exists()


@pytest.mark.parametrize(
    ("address", "kind", "told"),
    [
        ("postgresql+nodriver://me:secret@host/x", InputError, "is no address of a database"),
        ("postgresql+psycopg://me:secret@host:port/x", InputError, "is no address of a database"),
        ("postgresql+psycopg://me:secret@localhost:1/x", LakeError, "Does the server run"),
    ],
)
def test_an_address_that_does_not_work_is_told_without_its_password(
    address: str, kind: type[Exception], told: str
) -> None:
    """What is no address is the user's mistake, a server that does not answer a failure; the message says
    what to look at and never the password.
    """
    with pytest.raises(kind, match=told) as caught:
        open_storage(address)
    assert "secret" not in str(caught.value)
    assert "//me@" in str(caught.value)


def test_a_file_that_cannot_be_made_is_no_servers_fault(tmp_path: Path) -> None:
    """A SQLite file in a folder that does not exist asks about the folder."""
    with pytest.raises(LakeError, match="does its folder exist"):
        open_storage(f"sqlite:///{tmp_path / 'missing' / 'study.db'}")


def test_a_missing_driver_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without psycopg the message says what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"me@host/x needs a driver.*liqtiers\[postgres\]"):
        open_storage("postgresql+psycopg://me:secret@host/x")


def test_tables_that_another_machine_makes_at_this_moment_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of machines that begin at one moment, those that find a table half made look again; what does not
    get better is told.
    """
    plain, failures = optuna.storages.get_storage, [IntegrityError, ProgrammingError]

    def get_storage(address: str) -> optuna.storages.BaseStorage:
        if failures:
            raise failures.pop()("CREATE TABLE studies", {}, Exception("duplicate key"))
        return plain(address)

    monkeypatch.setattr("optuna.storages.get_storage", get_storage)
    monkeypatch.setattr("liqtiers.strategies.tuning.storage._TRY_AGAIN_SECONDS", 0.0)
    address = f"sqlite:///{tmp_path / 'study.db'}"
    assert open_storage(address).get_all_studies() == []
    failures += [IntegrityError] * 10
    with pytest.raises(LakeError, match="cannot open the storage .*IntegrityError"):
        open_storage(address)


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    """What cannot be opened is told with its path."""
    (tmp_path / "journal.log").mkdir()
    with pytest.raises(LakeError, match=r"cannot open the study's journal .*journal\.log"):
        open_storage(str(tmp_path / "journal.log"))
