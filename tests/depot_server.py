"""A server on loopback that behaves as an archive does, and badly."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """What is sent for a path: a code, bytes, headers; `cut` sends half of what it promises."""

    body: bytes = b""
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    wait: float = 0.0


class Depot:
    """What the server has: for each path its answers, one after the other, the last one from then on."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.address = ""
        self._lock = threading.Lock()

    def put(self, path: str, *answers: Answer) -> None:
        """Answer so at a path."""
        self.answers[path] = list(answers)

    def put_zip(self, path: str, text: str, *, inner: str = "data.csv") -> bytes:
        """Put a zip of one csv there, with its checksum beside it."""
        packed = zipped(text, inner=inner)
        self.put(path, Answer(packed))
        digest = hashlib.sha256(packed).hexdigest()
        self.put(f"{path}.CHECKSUM", Answer(f"{digest}  {path.rsplit('/', 1)[1]}\n".encode()))
        return packed

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        """Return what to send, and note that it was asked for."""
        with self._lock:
            self.asked[path] += 1
            self.headers.append(headers)
            known = self.answers.get(path, [Answer(code=404)])
            return known.pop(0) if len(known) > 1 else known[0]


def zipped(text: str | bytes, *, inner: str = "data.csv") -> bytes:
    """Return a zip of one file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(inner, text)
    return packed.getvalue()


@contextmanager
def serving() -> Iterator[Depot]:
    """Run a depot on a port of its own."""
    depot = Depot()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # its name
            answer = depot.answer(self.path, dict(self.headers))
            time.sleep(answer.wait)
            self.send_response_only(answer.code)  # a date only where an answer brings its own
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)
            if answer.cut:
                self.wfile.flush()
                self.connection.close()
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            """Answer, and do not mind a client that has gone."""
            with suppress(BrokenPipeError, ConnectionResetError, ValueError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    depot.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield depot
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
