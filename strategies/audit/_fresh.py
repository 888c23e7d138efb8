"""Work that is done in processes which have done nothing before.

Each job runs in a child of a server process that has imported the libraries and nothing of the user's:
what a module keeps from one run cannot reach the next. Where the system can fork, a child starts in
milliseconds; elsewhere it is a new interpreter. What a job prints goes nowhere.

Look-ahead is what this is for: a cache filled by a run over all bars would hide, from a second run in
the same process, that its values come from the future.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import queue
import random
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np

from ...datasets.errors import LiqtiersError

_SERVE: Final = f"import {__name__} as fresh; fresh.serve()"
_RUN: Final = f"import sys, {__name__} as fresh; fresh.run_job(sys.argv[1])"
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


class Job(NamedTuple):
    """A function of one of our modules and its argument; both must pickle."""

    function: Callable[[Any], Any]
    argument: Any


class FreshProcesses:
    """Runs jobs, each in a process of its own.

    Parameters
    ----------
    processes : int, optional
        How many at once; by default as many as there are processors, at most four.
    """

    def __init__(self, processes: int | None = None) -> None:
        self.processes = processes or min(os.cpu_count() or 1, 4)
        self._folder = tempfile.TemporaryDirectory(prefix="liqtiers-audit-")
        self._idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._servers: list[subprocess.Popen[str]] = []
        self._jobs = 0
        self._prepared: set[Callable[[], None]] = set()

    def __enter__(self) -> Self:
        errors = Path(self._folder.name) / "errors"
        for _ in range(self.processes):
            with errors.open("a") as file:
                server = subprocess.Popen(
                    [sys.executable, "-W", "ignore", "-c", _SERVE],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    text=True,
                    env={**os.environ, **_ONE_THREAD, "PYTHONHASHSEED": "0"},
                )
            self._servers.append(server)
            self._idle.put(server)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.terminate()
            for pipe in (server.stdin, server.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            server.wait()
        self._folder.cleanup()

    def prepare(self, function: Callable[[], None]) -> None:
        """Run a function in each server itself, once, so that all children find its work done."""
        if function in self._prepared:
            return
        self._prepared.add(function)
        line = f"{function.__module__}:{function.__name__}"
        with ThreadPoolExecutor(self.processes) as pool:
            list(pool.map(_ask, self._servers, [line] * len(self._servers)))

    def map(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """Return the jobs' results in their order.

        Raises
        ------
        LiqtiersError
            What a job raised on purpose.
        RuntimeError
            If a job raised anything else, or its process died.
        """
        with ThreadPoolExecutor(self.processes) as pool:
            yield from pool.map(self._run, jobs)

    def run(self, function: Callable[[Any], Any], argument: object) -> Any:
        """Return the result of one job."""
        return self._run(Job(function, argument))

    def _run(self, job: Job) -> Any:
        self._jobs += 1
        path = Path(self._folder.name) / f"{self._jobs}-{id(job)}"
        path.write_bytes(pickle.dumps(job))
        server = self._idle.get()
        try:
            answer = _ask(server, str(path))
        finally:
            self._idle.put(server)
        return self._result(path, answer)

    def _result(self, path: Path, answer: str) -> Any:
        path.unlink(missing_ok=True)
        result = path.with_suffix(".result")
        if not result.exists():
            errors = (Path(self._folder.name) / "errors").read_text().strip().splitlines()
            told = f" ({errors[-1]})" if errors else ""
            raise RuntimeError(f"a process of the audit died, status {answer or 'unknown'}{told}")
        succeeded, value = pickle.loads(result.read_bytes())  # written by our own child
        result.unlink()
        if succeeded:
            return value
        if isinstance(value, LiqtiersError):
            raise value
        raise RuntimeError(value)


def _ask(server: subprocess.Popen[str], line: str) -> str:
    """Return a server's answer to a line, empty where it is dead."""
    if server.stdin is None or server.stdout is None:
        return ""
    with contextlib.suppress(BrokenPipeError):
        server.stdin.write(f"{line}\n")
        server.stdin.flush()
        return server.stdout.readline().strip()
    return ""


def serve() -> None:
    """Do what comes in on standard input: run the job in a file, or prepare by a function here."""
    # What jobs need is imported once, here, and nothing that a job loads comes back.
    from . import _runs  # noqa: F401

    for line in sys.stdin:
        if Path(line.strip()).is_absolute():
            path = line.strip()
            status = _forked(path) if hasattr(os, "fork") else _started(path)
        else:
            module, _, name = line.strip().partition(":")
            getattr(importlib.import_module(module), name)()
            status = 0
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def _forked(path: str) -> int:
    # A child that collected the parent's garbage would copy all of its memory.
    gc.collect()
    gc.freeze()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        run_job(path)
        status = 0
    finally:
        os._exit(status)


def _started(path: str) -> int:
    nothing = subprocess.DEVNULL
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _RUN, path],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        check=False,
    ).returncode


def run_job(path: str) -> None:
    """Run the job in a file and leave its result beside it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # the user's code may draw from it
    job = pickle.loads(Path(path).read_bytes())  # written by our own parent
    outcome: tuple[bool, object]
    try:
        outcome = (True, job.function(job.argument))
    except LiqtiersError as error:
        outcome = (False, error)
    except BaseException:  # noqa: BLE001  # told to the parent, whatever it is
        outcome = (False, traceback.format_exc())
    result = Path(path).with_suffix(".result")
    unfinished = result.with_suffix(".unfinished")
    unfinished.write_bytes(pickle.dumps(outcome))
    unfinished.replace(result)
