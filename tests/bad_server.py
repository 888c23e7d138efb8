"""A server on loopback that has files, counts requests, and can behave badly in every way we know."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_DRIP = 7  # bytes


@dataclass
class Answer:
    """One answer: `cut` bytes are promised and not sent, `delay` seconds pass before.

    With `drip` it comes a few bytes at a time with so many seconds between them.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    delay: float = 0.0
    drip: float = 0.0


class Served:
    """What the server has. `faults[path]` are given first, one a request, then the file."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Answer]] = {}
        self.answer: Callable[[str, bytes], Answer | None] = lambda path, body: None
        self.asked: Counter[str] = Counter()
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.moments: list[float] = []
        self.url = ""

    def put(self, path: str, body: bytes) -> None:
        """Put a file and its checksum, as Binance's archive has them."""
        name = path.rsplit("/", 1)[-1]
        self.files[path] = body
        digest = hashlib.sha256(body).hexdigest()
        self.files[f"{path}.CHECKSUM"] = f"{digest}  {name}\n".encode()

    def times_asked(self, part: str) -> int:
        return sum(n for path, n in self.asked.items() if part in path)


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:  # the base class names it
            path = self.path
            served.asked[path] += 1
            served.moments.append(time.monotonic())
            served.sent.append((path, dict(self.headers.items())))
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            bare = path.split("?", 1)[0]
            waiting = served.faults.get(bare, [])
            answer = waiting.pop(0) if waiting else served.answer(path, body)
            if answer is None:
                found = served.files.get(bare)
                answer = Answer(404) if found is None else Answer(body=found)
            self.give(answer)

        do_POST = do_GET  # noqa: N815  # as do_GET

        def give(self, answer: Answer) -> None:
            time.sleep(answer.delay)
            try:
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body) + answer.cut))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                step = _DRIP if answer.drip else max(1, len(answer.body))
                for begin in range(0, len(answer.body), step):
                    self.wfile.write(answer.body[begin : begin + step])
                    time.sleep(answer.drip)
                if answer.cut:
                    self.close_connection = True
            except OSError:  # the client did not wait
                self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        """Say nothing of a client that went away in the middle, as some tests let it."""


@contextmanager
def serving() -> Iterator[Served]:
    """Run a server of its own on a free port of loopback."""
    served = Served()
    server = _Server(("127.0.0.1", 0), _handler(served))
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
