"""Fetching files once and whole: retried with back-off, checked, kept in a cache that survives interruptions.

A file comes to stand under its name only when all of it has arrived, its checksum agrees and it is on the
disk. What a source answered not to have is remembered once it will not come any more, so that a second run
asks for nothing twice. Headers, in which keys travel, are not followed to another host, since redirects are
not followed at all, and appear in no message.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import httpx2
import stamina

from ..errors import InputError, LakeError
from .source import Remote

State = Literal["fetched", "cached", "missing", "failed"]
LARGEST_FILE: Final = 4 * 1024**3
_CHUNK: Final = 1 << 16
_MISSING: Final = ".missing"
_HTTP_MISSING: Final = 404
_HTTP_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """How files are fetched.

    Attributes
    ----------
    parallel : int
        Requests at once.
    attempts : int
        Of each request, before it is given up.
    wait_initial, wait_max : float
        Seconds before the second attempt, doubled each time, and at most; what a server asks for by
        ``Retry-After`` comes first, up to five minutes.
    timeout : float
        Seconds without an answer, or without a byte.
    """

    parallel: int = 4
    attempts: int = 6
    wait_initial: float = 1.0
    wait_max: float = 60.0
    timeout: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What became of one file.

    Attributes
    ----------
    remote : Remote
    state : {"fetched", "cached", "missing", "failed"}
        ``missing``: the source does not have it.
    path : Path or None
        Where it is.
    error : str
        Why it failed; empty else.
    """

    remote: Remote
    state: State
    path: Path | None = None
    error: str = ""


class _TroubleError(Exception):
    """Something that may be over at the next attempt; `wait` is what the server asked for, seconds."""

    def __init__(self, told: str, wait: float | None = None) -> None:
        super().__init__(told)
        self.wait = wait


class _RefusedError(Exception):
    """Something that another attempt will not change."""


class _MissingError(Exception):
    """The source has no such file."""


class Fetcher:
    """Fetches the files of one source into a folder.

    Parameters
    ----------
    folder : Path
        The source's cache; made where it is missing.
    today : date
        UTC; what was not there long after its days is not asked for again.
    settings : FetchSettings, optional
    """

    def __init__(self, folder: Path, *, today: date, settings: FetchSettings | None = None) -> None:
        self._folder = folder
        self._today = today
        self._settings = settings or FetchSettings()
        self._client = httpx2.Client(
            timeout=self._settings.timeout,
            follow_redirects=False,
            headers={"accept-encoding": "identity", "user-agent": "liqtiers"},
        )

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def fetch(
        self, remotes: Sequence[Remote], *, told: Callable[[Fetched], None] | None = None
    ) -> list[Fetched]:
        """Fetch files, a few at once, and return what became of each in their order.

        Parameters
        ----------
        remotes : sequence of Remote
            A file that the source does not have stands for those in its `instead`.
        told : callable, optional
            Is given each result as it comes.

        Raises
        ------
        InputError
            If a name climbs out of the cache.
        LakeError
            If the cache cannot be written.
        """
        found: dict[int, list[Fetched]] = {}
        with ThreadPoolExecutor(self._settings.parallel) as pool:
            waiting = {pool.submit(self._with_instead, r): k for k, r in enumerate(remotes)}
            try:
                for done in as_completed(waiting):
                    found[waiting[done]] = done.result()
                    for result in found[waiting[done]]:
                        if told is not None:
                            told(result)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [result for k in sorted(found) for result in found[k]]

    def _with_instead(self, remote: Remote) -> list[Fetched]:
        result = self._one(remote)
        if result.state != "missing" or not remote.instead:
            return [result]
        return [each for other in remote.instead for each in self._with_instead(other)]

    def _one(self, remote: Remote) -> Fetched:
        path = self._place(remote)
        if path.is_file():
            return Fetched(remote=remote, state="cached", path=path)
        if self._known_missing(remote, path):
            return Fetched(remote=remote, state="missing")
        try:
            self._attempted(remote, path)
        except _MissingError:
            self._note_missing(path)
            return Fetched(remote=remote, state="missing")
        except (_TroubleError, _RefusedError) as error:
            return Fetched(remote=remote, state="failed", error=str(error))
        except OSError as error:
            raise LakeError(f"cannot write {path}: {error.strerror or error}") from error
        return Fetched(remote=remote, state="fetched", path=path)

    def _attempted(self, remote: Remote, path: Path) -> None:
        settings = self._settings
        attempts = stamina.retry_context(
            on=lambda error: (error.wait or True) if isinstance(error, _TroubleError) else False,
            attempts=settings.attempts,
            timeout=None,
            wait_initial=settings.wait_initial,
            wait_max=settings.wait_max,
            wait_jitter=settings.wait_initial,
        )
        for attempt in attempts:
            with attempt:
                self._get(remote, path)

    def _get(self, remote: Remote, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{os.getpid()}.part"
        try:
            digest = hashlib.sha256()
            with temporary.open("wb") as file:
                for chunk in self._bytes(remote.url, remote):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if remote.checksum_url is not None:
                wanted = b"".join(self._bytes(remote.checksum_url, remote)).split()[:1]
                if [digest.hexdigest().encode()] != [word.lower() for word in wanted]:
                    raise _TroubleError(f"{remote.url}: its checksum does not agree")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _bytes(self, url: str, remote: Remote) -> Iterator[bytes]:
        try:
            with self._client.stream("GET", url, headers=dict(remote.headers)) as response:
                _check(url, response)
                size = 0
                # Bytes as they were sent: a checksum and a length are of those.
                for chunk in response.iter_raw(_CHUNK):
                    size += len(chunk)
                    if size > LARGEST_FILE:
                        raise _RefusedError(f"{url}: is larger than {LARGEST_FILE >> 30} GiB")
                    yield chunk
                told = response.headers.get("content-length")
                if told is not None and told.isdigit() and size != int(told):
                    raise _TroubleError(f"{url}: was cut off after {size:,} of {int(told):,} bytes")
        except httpx2.TimeoutException as error:
            raise _TroubleError(
                f"{url}: no answer within {self._settings.timeout:g} seconds"
            ) from error
        except httpx2.HTTPError as error:
            # Its own words may repeat headers; its kind says enough.
            raise _TroubleError(f"{url}: {_kind(error)}") from error
        except httpx2.InvalidURL as error:
            raise _RefusedError(f"{url}: is no address") from error

    def _place(self, remote: Remote) -> Path:
        inner = PurePosixPath(remote.name)
        if inner.is_absolute() or ".." in inner.parts or not inner.parts:
            raise InputError(f"the name {remote.name!r} climbs out of the cache; refused")
        return self._folder.joinpath(*inner.parts)

    def _known_missing(self, remote: Remote, path: Path) -> bool:
        """Return whether it was asked for when it should have been there."""
        try:
            asked = date.fromisoformat(path.with_name(path.name + _MISSING).read_text("utf-8"))
        except (OSError, ValueError):
            return False
        return asked >= remote.last + timedelta(days=remote.settled_days)

    def _note_missing(self, path: Path) -> None:
        note = path.with_name(path.name + _MISSING)
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(self._today.isoformat(), encoding="utf-8")
        except OSError as error:
            raise LakeError(f"cannot write {note}: {error.strerror or error}") from error


def _check(url: str, response: httpx2.Response) -> None:
    code = response.status_code
    if code == _HTTP_MISSING:
        raise _MissingError
    if code in _HTTP_BUSY:
        raise _TroubleError(f"{url}: the server answered {code}", _asked_wait(response))
    if response.is_redirect:
        raise _RefusedError(f"{url}: the server sends elsewhere ({code}), which is not followed")
    if not response.is_success:
        told = " (is the key right, and may it read this?)" if code in (401, 403) else ""
        raise _RefusedError(f"{url}: the server answered {code}{told}")


def _asked_wait(response: httpx2.Response) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, given in seconds or as a moment."""
    text = response.headers.get("retry-after", "")
    if text.isdigit():
        return min(float(text), _LONGEST_WAIT) or None
    try:
        moment = parsedate_to_datetime(text)
        now = parsedate_to_datetime(response.headers["date"])
        return min(max((moment - now).total_seconds(), 0.0), _LONGEST_WAIT) or None
    except (ValueError, TypeError, KeyError):
        return None


def _kind(error: Exception) -> str:
    words = {"ConnectError": "cannot be reached", "RemoteProtocolError": "was cut off"}
    name = type(error).__name__
    return words.get(name, f"failed ({name})")
