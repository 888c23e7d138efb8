"""A PostgreSQL server of the test's own, on loopback, from the system's package; gone after the test."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

USER: Final = "liqtiers"
_DEBIAN: Final = Path("/usr/lib/postgresql")
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "log_statement": "mod",
    "log_line_prefix": "%a|",  # the client's name, $PGAPPNAME
}


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where it listens, and what it logs: each change, after the client's name and a bar."""

    port: int
    password: str
    log: Path

    @property
    def address(self) -> str:
        """The address of its empty database, for SQLAlchemy, with the password."""
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def stored_by(self, client: str) -> int:
        """How many trials a client has stored."""
        return len(
            re.findall(rf"^{client}\|.*INSERT INTO trials ", self.log.read_text(), re.MULTILINE)
        )


@contextmanager
def postgres_server() -> Iterator[Server]:
    """Start a server; skip the test where there is none to start."""
    programs, account = _programs(), _account()
    folder = Path(tempfile.mkdtemp(prefix="liqtiers-postgres-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        password = secrets.token_hex(8)
        (folder / "password").write_text(password)
        if account:
            for path in (folder, folder / "password"):
                shutil.chown(path, account["user"], account["group"])
        made: list[str | Path] = [programs / "initdb", "-D", folder / "data", "-U", USER]
        made += ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        made += ["--encoding=UTF8", "--locale=C"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder, **account)
        server = Server(port=_free_port(), password=password, log=folder / "log")
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        started = [programs / "postgres", "-D", folder / "data", f"--port={server.port}", *settings]
        with server.log.open("wb") as log:
            process = subprocess.Popen(started, stderr=log, stdout=log, cwd=folder, **account)
        _wait_until_ready(process, server)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # its fast shutdown
            process.wait(timeout=30)
        shutil.rmtree(folder)


def _programs() -> Path:
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") if not versions else versions[-1]
    if found is None:
        pytest.skip("no PostgreSQL on this machine: install the package postgresql")
    return Path(found).resolve().parent


def _account() -> dict[str, Any]:
    """Return as whom to run it: root may not."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres here")
    return {"user": "postgres", "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], server: Server) -> None:
    deadline = time.monotonic() + 30.0
    while "ready to accept connections" not in server.log.read_text():
        assert process.poll() is None, server.log.read_text()
        assert time.monotonic() < deadline, "PostgreSQL does not start"
        time.sleep(0.05)
