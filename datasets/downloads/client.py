"""One HTTP client a run: paced, bounded, and with the key in no place but the header it belongs to.

The key is never part of an address; a redirect to another host goes without it; it is taken out of
every message and out of what the HTTP library logs; and an answer that repeats it is not kept.
"""

from __future__ import annotations

import io
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

import httpx2 as httpx

from ..errors import DownloadError, InputError
from .source import Broken, Missing, Request, Source, count_of

LARGEST_DOWNLOAD: Final = 2 * 1024**3
"""Bytes; an answer that is longer is cut off and refused."""

_SLOWEST: Final = 1000
"""Bytes a second; a server that sends less is given up, however steadily it drips."""

_REDIRECTS: Final = 5
# A filter works on the logger that a record is made by, not on those below it.
_LOGGERS: Final = ("httpx2", *(f"httpcore2.{part}" for part in ("connection", "http11", "proxy")))
_AGAIN: Final = frozenset({408, 425, 429})
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient a client is.

    Attributes
    ----------
    attempts : int
        Tries a piece, at least 1.
    wait, longest_wait : float
        Seconds before the second try, doubled each time, and the most that a server may ask for.
    timeout : float
        Seconds without a byte, or with fewer than `_SLOWEST` a second.
    """

    attempts: int = 6
    wait: float = 1.0
    longest_wait: float = 300.0
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or not (0.0 <= self.wait < math.inf and 0.0 < self.timeout < math.inf):
            raise InputError(
                "--attempts must be at least 1, --wait not negative, --timeout positive"
            )


class Pace:
    """At most so many requests a second, over all threads; all wait where the server asks for it."""

    def __init__(self, per_second: float) -> None:
        self._step = 1.0 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for the next free moment and take it."""
        with self._lock:
            moment = max(self._next, time.monotonic())
            self._next = moment + self._step
        time.sleep(max(0.0, moment - time.monotonic()))

    def pause(self, seconds: float) -> None:
        """Let nobody begin before so many seconds have passed."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class Client:
    """Brings answers of one source's server.

    Parameters
    ----------
    source : Source
    url : str
        The server's address; only requests to its host carry the key.
    policy : Policy, optional

    Raises
    ------
    InputError
        If the key is needed and not there, or would go over an open connection.
    """

    def __init__(self, source: Source, url: str, *, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.pace = Pace(source.per_second)
        self._source = source
        self._origin = _origin(url)
        self._key = os.environ.get(source.key_variable, "").strip() if source.key_variable else ""
        if source.key_needed and not self._key:
            raise InputError(f"{source.name} needs a key: set the variable {source.key_variable}")
        if self._key:
            self._check_key(source, url)
        self._secret = dict(source.headers(self._key)) if self._key else {}
        self._filter = _KeyFilter(self.scrub)
        if self._key:
            for name in _LOGGERS:
                logging.getLogger(name).addFilter(self._filter)
        self._http = httpx.Client(
            timeout=self.policy.timeout,
            follow_redirects=False,
            headers={"User-Agent": "liqtiers", "Accept-Encoding": "identity"},
        )

    @property
    def has_key(self) -> bool:
        """Whether requests carry a key."""
        return bool(self._key)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)

    def scrub(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._key, "***") if self._key else text

    def save(self, request: Request, to: Path) -> None:
        """Write an answer to a file.

        Raises
        ------
        Missing
            Where the server has nothing (404).
        Broken
            Where trying again may help.
        DownloadError, InputError
            Where it will not.
        """
        with to.open("wb") as file:
            self._answer(request, file)

    def read(self, request: Request) -> bytes:
        """Return an answer; raises as `save` does."""
        content = io.BytesIO()
        self._answer(request, content)
        return content.getvalue()

    def _answer(self, request: Request, sink: BinaryIO) -> None:
        url, params = request.url, dict(request.params)
        for _ in range(_REDIRECTS):
            self.pace.wait()
            with self._faults(url), self._open(url, params, request) as response:
                if response.is_redirect:
                    url, params = self._target(response), {}
                    continue
                self.pace.pause(self._source.pause_after(response.headers))
                self._judge(response, url)
                self._copy(response, url, sink, packed=_is_packed(request.url))
                return
        raise DownloadError(f"{request.url}: too many redirects")

    @contextmanager
    def _open(self, url: str, params: dict[str, str], request: Request) -> Iterator[httpx.Response]:
        headers = self._secret if _origin(url) == self._origin else {}
        with self._http.stream(
            "GET" if request.body is None else "POST",
            url,
            params=params or None,
            json=request.body,
            headers=headers,
        ) as response:
            yield response

    @contextmanager
    def _faults(self, url: str) -> Iterator[None]:
        # `from None`: the library's own exception holds the request and its headers.
        try:
            yield
        except httpx.TimeoutException:
            raise Broken(
                f"{self.scrub(url)}: no answer within {self.policy.timeout:g} seconds"
            ) from None
        except httpx.DecodingError as error:
            raise Broken(self.scrub(f"{url}: the answer cannot be unpacked ({error})")) from None
        except httpx.TransportError as error:
            raise Broken(self.scrub(f"{url}: the connection failed ({error})")) from None
        except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:
            # A ValueError comes of a redirect to a port that no address has.
            raise DownloadError(self.scrub(f"{url}: cannot be asked for ({error})")) from None

    def _target(self, response: httpx.Response) -> str:
        target = str(response.url.join(response.headers.get("location", "")))
        if self._key and self._key in target:
            raise DownloadError(f"{response.url}: points to an address that holds the key; refused")
        return target

    def _judge(self, response: httpx.Response, url: str) -> None:
        status, shown = response.status_code, self.scrub(url)
        if status == httpx.codes.OK:
            return
        if status == httpx.codes.NOT_FOUND:
            raise Missing(shown)
        if status in _AGAIN or status >= 500:
            wait = _retry_after(response.headers.get("retry-after"))
            if wait is not None:
                self._respect(wait, shown)
            raise Broken(f"{shown}: the server answered {status}", wait=wait)
        if status in (401, 403) and self._source.key_variable:
            told = "refused the key" if self._key else "wants a key"
            raise InputError(f"{shown}: the server {told} (answer {status})")
        if status in (401, 403, 451):
            raise DownloadError(
                f"{shown}: the server refused (answer {status}); some are closed to some countries and "
                "networks, a mirror is named by --url"
            )
        raise DownloadError(f"{shown}: the server answered {status}")

    def _respect(self, wait: float, shown: str) -> None:
        if wait > self.policy.longest_wait:
            raise DownloadError(
                f"{shown}: the server asks to wait {wait:.0f} seconds; run the same command later"
            )
        self.pace.pause(wait)

    def _copy(self, response: httpx.Response, url: str, sink: BinaryIO, *, packed: bool) -> None:
        # Some servers call a stored .gz file gzip in transit: unpacking it would spoil the file.
        blocks = response.iter_raw() if packed else response.iter_bytes()
        size, secret, tail, speed = 0, self._key.encode(), b"", _Speed(self.policy.timeout)
        for block in blocks:
            size += len(block)
            if size > LARGEST_DOWNLOAD:
                raise DownloadError(f"{self.scrub(url)}: is longer than {LARGEST_DOWNLOAD} bytes")
            if not speed.suffices(response.num_bytes_downloaded):
                raise Broken(
                    f"{self.scrub(url)}: under {_SLOWEST} bytes a second came for "
                    f"{self.policy.timeout:g} seconds"
                )
            if secret:
                tail = tail[-len(secret) :] + block  # it may come in any number of blocks
                if secret in tail:
                    raise DownloadError(
                        f"{self.scrub(url)}: the answer repeats the key; it is not kept"
                    )
            sink.write(block)
        came = response.num_bytes_downloaded
        length = count_of(response.headers.get("content-length", ""))
        if length not in (None, came):
            raise Broken(f"{self.scrub(url)}: {came} of {length} bytes came")

    def _check_key(self, source: Source, url: str) -> None:
        if not (self._key.isascii() and self._key.isprintable()):
            raise InputError(f"{source.key_variable} holds characters that no key has")
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise InputError(
                f"{source.name}: the key would be sent to {parts.hostname} unencrypted; use https"
            )


class _Speed:
    """Whether a server keeps sending enough, judged over one stretch of seconds after another."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since, self._before = time.monotonic(), 0

    def suffices(self, came: int) -> bool:
        moment = time.monotonic()
        passed = moment - self._since
        if passed < self._seconds:
            return True
        enough = came - self._before >= _SLOWEST * passed
        self._since, self._before = moment, came
        return enough


class _KeyFilter(logging.Filter):
    """Takes the key out of log records: at its debug level the HTTP library logs a server's headers."""

    def __init__(self, scrub: Callable[[str], str]) -> None:
        super().__init__()
        self._scrub = scrub

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._scrub(record.getMessage()), ()
        return True


def _is_packed(url: str) -> bool:
    return urlsplit(url).path.endswith((".gz", ".zip"))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as seconds or as a date."""
    if text is None:
        return None
    if (seconds := count_of(text.strip())) is not None:
        return float(seconds)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(tz=UTC)).total_seconds())
