"""Bringing the pieces of a plan that are not here yet, several at a time.

Each piece ends as fetched, cached, missing or failed; one that fails does not stop the others, unless
so many fail in a row that the server must be down, or the server refuses the key.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import stamina

from ..errors import DownloadError, InputError, LiqtiersError
from .cache import Cache
from .client import Client
from .source import Broken, Missing, Piece, Source

_FAILURES_IN_A_ROW: Final = 8
"""A server that fails so often is down: the rest is left for another run."""

Status = Literal["fetched", "cached", "missing", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What became of one piece.

    Attributes
    ----------
    piece : Piece
    status : {"fetched", "cached", "missing", "failed"}
    path : Path or None
        Where its content is.
    message : str
        Why it failed.
    final : bool
        Whether it will never change.
    """

    piece: Piece
    status: Status
    path: Path | None = None
    message: str = ""
    final: bool = True


def fetch(
    source: Source, plan: Sequence[Piece], *, client: Client, cache: Cache, now: datetime
) -> Iterator[list[Fetched]]:
    """Bring the pieces of a plan, and yield for each what came for it.

    Parameters
    ----------
    source : Source
    plan : sequence of Piece
    client : Client
    cache : Cache
    now : datetime

    Yields
    ------
    list of Fetched
        One element, or those of the pieces that stand in for it; in the order in which they end.

    Raises
    ------
    InputError
        If the server refuses the key.
    DownloadError
        If piece after piece fails.
    """
    work = _Work(source, client, cache, now)
    pool = ThreadPoolExecutor(source.parallel)
    waiting: list[Future[list[Fetched]]] = [pool.submit(work.settle, piece) for piece in plan]
    failures = 0
    try:
        for future in as_completed(waiting):
            found = future.result()
            yield found
            for each in found:
                failures = failures + 1 if each.status == "failed" else 0
                if failures >= _FAILURES_IN_A_ROW:
                    raise DownloadError(
                        f"{failures} files failed in a row, the last: {each.message}; "
                        "run the same command again to go on"
                    )
    finally:
        work.stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


class _Work:
    def __init__(self, source: Source, client: Client, cache: Cache, now: datetime) -> None:
        self._source, self._client, self._cache, self._now = source, client, cache, now
        self.stopped = threading.Event()

    def settle(self, piece: Piece) -> list[Fetched]:
        if self._cache.holds(piece.name):
            return [Fetched(piece=piece, status="cached", path=self._cache.path(piece.name))]
        stand_ins = piece.otherwise
        if stand_ins and all(self._cache.holds(each.name) for each in stand_ins):
            return [found for each in stand_ins for found in self.settle(each)]
        if not self._cache.is_absent(piece.name):
            try:
                return [self._bring(piece)]
            except Missing:
                if self._source.settled(piece, self._now):
                    self._cache.note_absent(piece.name)
            except _RefusedError as refused:
                raise InputError(str(refused)) from None
            except LiqtiersError as error:
                return [Fetched(piece=piece, status="failed", message=str(error))]
        if stand_ins:
            return [found for each in stand_ins for found in self.settle(each)]
        return [Fetched(piece=piece, status="missing")]

    def _bring(self, piece: Piece) -> Fetched:
        final = self._source.is_final(piece, self._now)
        policy = self._client.policy
        try:
            for attempt in stamina.retry_context(
                on=self._again,
                attempts=policy.attempts,
                timeout=None,
                wait_initial=policy.wait,
                wait_max=max(policy.wait, min(60.0, policy.longest_wait)),
                wait_jitter=policy.wait,
            ):
                with attempt, self._cache.writing(piece.name, final=final) as path:
                    self._bring_whole(piece, path)
        except Broken as error:
            tries = f" ({policy.attempts} tries)" if policy.attempts > 1 else ""
            raise DownloadError(self._client.scrub(f"{error}{tries}")) from None
        path = self._cache.path(piece.name, final=final)
        return Fetched(piece=piece, status="fetched", path=path, final=final)

    def _again(self, error: Exception) -> bool | float:
        if self.stopped.is_set() or not isinstance(error, Broken):
            return False
        return True if error.wait is None else error.wait

    def _bring_whole(self, piece: Piece, path: Path) -> None:
        if self.stopped.is_set():
            raise DownloadError("interrupted")
        try:
            self._source.bring(piece, self._client, path)
        except InputError as error:
            raise _RefusedError(self._client.scrub(str(error))) from None
        if piece.checksum is not None:
            self._compare(piece, path)
        try:
            self._source.check(piece, path)
        except InputError as error:
            # The file's temporary name says nothing to the user; what has the right checksum stays so.
            told = self._client.scrub(str(error).replace(str(path), piece.request.url))
            raise (Broken if piece.checksum is None else DownloadError)(told) from None

    def _compare(self, piece: Piece, path: Path) -> None:
        assert piece.checksum is not None
        try:
            told = self._client.read(piece.checksum)
        except Missing:
            raise Broken(f"{piece.checksum.url}: the file has no checksum beside it") from None
        wanted = told.decode("ascii", "replace").split()[:1]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if wanted != [found]:
            raise Broken(
                f"{piece.request.url}: its checksum is {found[:12]}…, not {''.join(wanted)[:12]}… "
                "as its checksum file says"
            )


class _RefusedError(LiqtiersError):
    """The server refused the key or the request: nothing else will come either."""
