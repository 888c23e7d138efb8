"""How `fuzz_parsers` changes an input: as bytes, or as the table or JSON value that it is."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, Final

LONGEST: Final = 4096
"""Bytes of an input."""

AS_BYTES: Final = 0.3
"""Share of the inputs that are changed without regard to what they are."""

# By spaces, but for those that hold some.
TOKENS: Final = (
    *"""nan inf -inf 1e999 -1e308 1e308 1e-320 0 -0 -1 1 +5 .5 5. 0x10 1_000 1e5 100 105 true None
    9223372036854775807 9223372036854775808 -9223372036854775809 99999999999999999999 1704067200000
    1704067200 1704067200000000 1704067200000000000 1704070800000 1704067200001 4102444800000
    1230767999999 2024-01-01 2024-01-01T00:00:00Z 2024-01-01T00:00:00+23:59 2024-01 2024-W01-1 20240101
    0001-01-01 9999-12-31T23:59:59.999999999 2262-04-12 2024-01-01T01:0 2024-01-1 2024-1-1T1:00
    now today 24:00 BUY sell Long SHORT BTC BTCUSDT
    ETHUSDT BTCUSD BTC-USD-SWAP BTCUSD_PERP binance okx 1h \u0663 \uff11 \u2212""".split(),  # noqa: SIM905  # as read
    *(
        "",
        " ",
        " 5 ",
        '"',
        '""',
        '"5"',
        '"a,b"',
        '"\n"',
        "\r",
        "\x00",
        "\u2028",
        "\x1b[2J",
        "\ufeff",
    ),
)
VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    0,
    -1,
    0.5,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    2**53,
    2**63,
    -(2**64),
    10**400,
    "\ud800",
    "a\nb",
)
ODD_ZIPS: Final = (NotImplementedError, RuntimeError, ValueError, IndexError, OSError)


def mutated(data: bytes, most: int, seed: int, *, parser: Any, plain: Any) -> bytes:
    """Return an input changed as bytes, or as the table or JSON value that it is, in a gz or zip or not.

    Parameters
    ----------
    data : bytes
    most : int
        Bytes at most.
    seed : int
    parser : parser_readers.Parser
    plain : callable
        Changes bytes.
    """
    rng = random.Random(seed)
    if parser.head is None or rng.random() < AS_BYTES:
        return plain(data, most)
    head = data[: parser.head]
    body, pack = unpacked(data[parser.head :])
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return plain(data, most)
    for _ in range(rng.choice((1, 1, 2, 3))):
        text = other_json(text, rng) if text.lstrip()[:1] in ("{", "[") else other_cells(text, rng)
    return (head + pack(text.encode("utf-8", "replace")))[:most]


def other_cells(text: str, rng: random.Random) -> str:
    """Return a csv with a cell or a line changed."""
    rows = [line.split(",") for line in text.split("\n")]
    row = rng.randrange(len(rows))
    place = rng.randrange(len(rows[row]))
    change = rng.randrange(7)
    if change <= 2:
        rows[row][place] = rng.choice(TOKENS)
    elif change == 3:
        source = rng.choice(rows)
        rows[row][place] = rng.choice(source)
    elif change == 4:
        rows.insert(rng.randrange(len(rows) + 1), list(rows[row]))
    elif change == 5:
        for cells in rows:
            if place < len(cells):
                cells[place] = rng.choice(TOKENS) if rng.random() < 0.5 else cells[place]
    else:
        del rows[row][place]
    return "\n".join(",".join(cells) for cells in rows)


def other_json(text: str, rng: random.Random) -> str:
    """Return JSON, or one of several lines of it, with a value changed."""
    lines = text.split("\n")
    line = rng.choice([place for place, each in enumerate(lines) if each.strip()])
    try:
        places = list(places_of([json.loads(lines[line])]))
    except (ValueError, RecursionError):
        return other_cells(text, rng)
    parent, key = rng.choice(places)
    other_parent, other_key = rng.choice(places)
    change = rng.randrange(5)
    if change <= 1:
        parent[key] = rng.choice((rng.choice(TOKENS), rng.choice(VALUES)))
    elif change == 2:
        parent[key] = json.loads(json.dumps(other_parent[other_key]))
    elif change == 3 and isinstance(parent, list) and parent is not places[0][0]:
        parent.insert(key, json.loads(json.dumps(parent[key])))
    elif parent is not places[0][0]:
        del parent[key]
    lines[line] = json.dumps(places[0][0][0])
    return "\n".join(lines)


def places_of(value: Any) -> Any:
    """Yield where each value in a JSON value stands: its list or object, and its place in that."""
    keys = range(len(value)) if isinstance(value, list) else list(value)
    for key in keys:
        yield value, key
        if isinstance(value[key], (list, dict)):
            yield from places_of(value[key])


def unpacked(content: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """Return what a gz or zip holds, or what is in none, and what packs it again; bombs are left alone."""
    try:
        if content[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(content, LONGEST), gzip.compress
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open("x.csv") as file:
                return file.read(LONGEST), zipped
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, *ODD_ZIPS):
        pass
    return content, bytes


def zipped(content: bytes) -> bytes:
    """Return a zip of one file with this content."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("x.csv"), content)
    return sink.getvalue()
