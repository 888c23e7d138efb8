"""What `fuzz_parsers` tries of downloads: what each source makes of a server's answer.

An input is the answer's bytes, where a source has several kinds after a byte that chooses one.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx2 as httpx
from parser_cases import (
    ANSWER_FUNDING,
    ANSWER_INTEREST,
    ANSWER_KLINES,
    CASES,
    HEATMAP,
    STATES,
    Case,
    document,
)
from parser_mutations import zipped
from parser_readers import Outcome, Parser

from liqtiers.datasets.downloads.binance_vision import BinanceVision
from liqtiers.datasets.downloads.bybit import BybitApi, BybitArchive
from liqtiers.datasets.downloads.client import Client
from liqtiers.datasets.downloads.coinglass import CoinglassApi
from liqtiers.datasets.downloads.fetching import _Work
from liqtiers.datasets.downloads.hyperliquid import Hyperliquid
from liqtiers.datasets.downloads.source import Broken, Missing, Piece, Request, Source
from liqtiers.datasets.downloads.tardis import Tardis
from liqtiers.datasets.errors import DownloadError, InputError
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file

ANSWER_REFUSALS: Final = (InputError, DownloadError, Broken, Missing)


def piece(name: str, content: str | bytes, **said: Any) -> Case:
    """Return a piece of a download as a case; its name says how the source looks at it."""
    options = ImportOptions(**({"symbol": "BTCUSDT"} | said))
    return Case(name, content if isinstance(content, bytes) else content.encode(), options)


def the_piece(chosen: Case) -> Piece:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    return Piece(
        name=chosen.name,
        what="bars",
        begin=moment,
        end=moment,
        request=Request(url=f"https://example.org/{chosen.name}"),
        options=chosen.options,
    )


def answer_parser(source: Source, reader: str, *cases: Case) -> Parser:
    """Return what becomes of an answer: the source's own look at it, then the reader."""

    def read(folder: Path, given: bytes) -> Outcome:
        chosen, content = cases[given[0] % len(cases) if given else 0], given[1:]
        path = folder / Path(chosen.name).name
        path.write_bytes(content)
        source.check(the_piece(chosen), path)
        return Outcome(found=parse_file(path, source=reader, options=chosen.options))

    seeds = tuple(bytes([place]) + each.content for place, each in enumerate(cases))
    return Parser(read=read, seeds=seeds, refusals=ANSWER_REFUSALS, head=1)


def states_parser() -> Parser:
    """Return what becomes of Hyperliquid's answers, here each the same."""
    chosen = piece("s.json", json.dumps(STATES["hyperliquid_states"][0]["state"]), symbol="BTC")

    def read(folder: Path, given: bytes) -> Outcome:
        asked = Request(url="https://example.org", body=[{"user": "0x1"}, {"user": "0x2"}])
        wanted = Piece(
            **{
                name: getattr(the_piece(chosen), name)
                for name in ("name", "what", "begin", "end", "options")
            },
            request=asked,
        )
        path = folder / chosen.name
        source = Hyperliquid()
        source.bring(wanted, SimpleNamespace(read=lambda request: given), path)
        source.check(wanted, path)
        return Outcome(found=parse_file(path, source="hyperliquid", options=chosen.options))

    return Parser(read=read, seeds=(chosen.content,), refusals=ANSWER_REFUSALS)


def checksum_parser() -> Parser:
    """Return the comparison of a file with the checksum that a server gives for it."""
    digest = hashlib.sha256(b"").hexdigest()

    def read(folder: Path, given: bytes) -> Outcome:
        path = folder / "x.zip"
        path.write_bytes(b"")
        client = SimpleNamespace(read=lambda request: given)
        told = the_piece(piece("x.zip", b""))
        work = _Work(BinanceVision(), client, None, told.begin)
        work._compare(dataclasses.replace(told, checksum=told.request), path)
        assert digest.encode() in given, "a file with another checksum was taken"
        return Outcome(found=[])

    seeds = (f"{digest}  x.zip\n".encode(), b"0" * 64)
    return Parser(read=read, seeds=seeds, refusals=ANSWER_REFUSALS, head=None)


STATUSES: Final = (200, 301, 302, 307, 400, 401, 403, 404, 408, 425, 429, 451, 500, 503)


class Unhurried:
    """A pace that waits for nothing, so that only what is asked for is tried."""

    def wait(self) -> None:
        """Begin at once."""

    def pause(self, seconds: float) -> None:
        """Take a number."""
        float(seconds)


def http_parser() -> Parser:
    """Return the client's look at answers: a byte for the status, lines of headers, a body."""
    os.environ[CoinglassApi.key_variable] = "0123456789abcdef"
    source = CoinglassApi()
    client = Client(source, source.url)
    client.pace = Unhurried()

    def read(folder: Path, given: bytes) -> Outcome:
        status = STATUSES[given[0] % len(STATUSES)] if given else 200
        head, _, body = given[1:].partition(b"\n\n")
        pairs = [line.partition(b":") for line in head.split(b"\n")]
        headers = [
            (name, value.strip()) for name, _, value in pairs if name.isalnum() or b"-" in name
        ]

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.scheme not in ("http", "https") or not request.url.host:
                raise httpx.UnsupportedProtocol("as the real transport refuses it")
            return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

        client._http = httpx.Client(transport=httpx.MockTransport(answer))
        try:
            client.save(Request(url=f"{source.url}/api"), folder / "answer")
        finally:
            client._http.close()
        return Outcome(found=[])

    heads = (
        (0, "content-length: 2", "{}"),
        (0, "api-key-use-limit: 30\napi-key-max-limit: 30\ncontent-type: text/csv", "{}"),
        (1, "location: https://example.org/elsewhere", ""),
        (2, "location: http://example.org:65536/x?y=1", ""),
        (10, "retry-after: 5", ""),
        (13, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT", ""),
        (0, "content-encoding: gzip", "x"),
    )
    seeds = tuple(f"{chr(status)}{head}\n\n{body}".encode() for status, head, body in heads)
    return Parser(read=read, seeds=seeds, refusals=ANSWER_REFUSALS, head=None)


BYBIT_ANSWERS: Final = (ANSWER_KLINES, ANSWER_INTEREST, ANSWER_FUNDING, {"retCode": 10006})


def answer_parsers() -> dict[str, Callable[[], Parser]]:
    """Return what makes each parser of answers, by name."""
    return {
        "download-binance": lambda: answer_parser(
            BinanceVision(),
            "binance",
            piece("BTCUSDT-1h-2024-01-01.zip", zipped(CASES["binance"][0].content)),
        ),
        "download-tardis": lambda: answer_parser(
            Tardis(),
            "tardis",
            piece("BTCUSDT.csv.gz", gzip.compress(CASES["tardis"][0].content), venue="binance"),
        ),
        "download-bybit-archive": lambda: answer_parser(
            BybitArchive(),
            "bybit",
            piece(
                "BTCUSDT2024-01-01.csv.gz", gzip.compress(CASES["bybit"][3].content), timeframe="1m"
            ),
        ),
        "download-bybit": lambda: answer_parser(
            BybitApi(), "bybit", *[piece("a.json", json.dumps(each)) for each in BYBIT_ANSWERS]
        ),
        "download-coinglass": lambda: answer_parser(
            CoinglassApi(),
            "coinglass",
            piece("heatmap.json", document(HEATMAP), symbol="BTC"),
            *[
                Case(each.name, each.content, each.options)
                for each in CASES["coinglass"]
                if each.name.endswith(".json")
            ],
            piece("BTC-funding-1h.json", json.dumps({"code": "50001", "msg": "Too Many Requests"})),
        ),
        "download-hyperliquid": states_parser,
        "download-checksum": checksum_parser,
        "download-http": http_parser,
    }
