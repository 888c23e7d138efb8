"""The study of fuzzed parsers in small: one parser, and proof that it would see what it looks for."""

from __future__ import annotations

import dataclasses
import gzip
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from liqtiers.datasets import validation
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources.parsed import Parsed
from source_files import BTC, KLINES, kline, parse_one, put

STUDY = "fuzz_parsers"
TEXT = "\n".join([KLINES, *[kline(hour, close=101 + hour) for hour in range(3)]])


@pytest.mark.skipif(sys.platform != "linux", reason="atheris has wheels for Linux only")
def test_a_parser_is_tried_and_has_no_fault(
    study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two seconds of one parser reach its code, with inputs taken and refused, and find nothing."""
    words = [
        "--parser",
        "okx",
        "--minutes",
        "0.03",
        "--seed",
        "5",
        "--keep",
        str(tmp_path / "kept"),
    ]
    assert study.main(words) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    figures = found["parsers"]["okx"]
    assert min(figures[name] for name in ("inputs", "accepted", "refused", "edges")) >= 3
    assert [found[name] for name in ("tracebacks", "hangs", "wrong_rows")] == [0, 0, 0]
    assert not (tmp_path / "kept").exists()


def bars(folder: Path, **changed: Any) -> Parsed:
    """Three bars, with a column changed."""
    parsed = parse_one(put(folder, "BTCUSDT-1h-2024-01.csv", TEXT), BTC)
    rows = parsed.rows
    for name, value in changed.items():
        place = rows.schema.get_field_index(name)
        column = pa.array([value] * rows.num_rows, rows.schema.field(name).type)
        rows = rows.set_column(place, name, column)
    return dataclasses.replace(parsed, rows=rows)


def fails(folder: Path) -> Parsed:
    raise KeyError("timestamp")


def quarrels(folder: Path) -> Parsed:
    raise InputError("x.csv: cannot be read")


def dawdles(folder: Path) -> Parsed:
    time.sleep(0.06)
    return bars(folder)


def shifts(folder: Path) -> Parsed:
    parsed = bars(folder)
    later = pc.add(parsed.rows["ts"], pa.scalar(3_600_000_000, pa.duration("us")))
    known = pc.add(parsed.rows["available_at"], pa.scalar(3_600_000_000, pa.duration("us")))
    rows = parsed.rows.set_column(0, "ts", later).set_column(1, "available_at", known)
    return dataclasses.replace(parsed, rows=rows)


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (bars, {}),
        (quarrels, {}),
        (fails, {"tracebacks": 1}),
        (dawdles, {"hangs": 1}),
        (lambda folder: bars(folder, close=109.0), {"wrong_rows": 2}),
        (lambda folder: bars(folder, close=102.0), {"wrong_rows": 2}),
        (lambda folder: bars(folder, _line=9), {"wrong_rows": 1}),
        (shifts, {"wrong_rows": 1}),
    ],
    ids=[
        "sound",
        "refused",
        "traceback",
        "slow",
        "price of no cell",
        "price of another cell",
        "line",
        "time",
    ],
)
def test_the_study_sees_what_it_looks_for(
    study: ModuleType,
    tmp_path: Path,
    read: Callable[[Path], Parsed],
    found: dict[str, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A planted parser that fails, dawdles, or invents a price, a time or a line is told, once."""
    parser = SimpleNamespace(
        read=lambda folder, given: SimpleNamespace(found=[read(folder)], text=TEXT),
        refusals=(InputError,),
    )
    trial = study.Trial(parser, "planted", tmp_path, slowest=0.05 if read is dawdles else 60.0)
    for _ in range(2):
        trial(b"given")
    counts = study.Counts(tmp_path / "counts").all()
    refused = 2 * (read is quarrels)
    assert counts == {
        "inputs": 2,
        "accepted": 2 - refused - 2 * (read is fails),
        "refused": refused,
    }
    assert study.kept_faults("planted", tmp_path / "faults", tmp_path / "kept") == found
    if found:
        told = capsys.readouterr().out.splitlines()
        assert len(told) == sum(found.values())
        assert all(Path(line.rsplit(": ", 1)[1]).read_bytes() == b"given" for line in told)


def test_the_laws_do_not_lean_on_the_lakes_own_checks(study: ModuleType, tmp_path: Path) -> None:
    """Rows that checks let pass by mistake break the laws: each limit is written down twice."""
    from parser_laws import broken_laws

    good = validation.sort_rows(study_table("bars"), bars(tmp_path).rows, timeframe="1h").good
    assert broken_laws("bars", "1h", good) == []
    planted: dict[str, tuple[str, Any]] = {
        "close is not finite": ("close", float("inf")),
        "low is not positive": ("low", 0.0),
        "taker_buy_quote_volume is negative": ("taker_buy_quote_volume", -1.0),
        "low and high do not hold open and close": ("close", 111.0),
        "a time out of 2009 to 2100": ("ts", 0),
        "volume is empty": ("volume", None),
    }
    for law, (name, value) in planted.items():
        kind = good.schema.field(name).type
        column = pa.array([value] * good.num_rows, kind)
        changed = good.set_column(good.schema.get_field_index(name), pa.field(name, kind), column)
        assert law in broken_laws("bars", "1h", changed)
    twice = good.take([0, 0, 2, 1])
    assert set(broken_laws("bars", "1h", twice)) == {
        "a key twice",
        "not in the order of keys",
    }


def study_table(name: str) -> Any:
    from liqtiers.datasets.schemas import TABLES

    return TABLES[name]


def test_mutations_keep_to_their_size_and_are_the_same_for_a_seed(study: ModuleType) -> None:
    """An input changed as a table or JSON keeps to its size, and depends on the seed alone."""
    rng = random.Random(1)
    nested = b"[" * 1500 + b"]" * 1500
    jsons = (b'{"data": [1, {"a": "x"}, [2]]}', b"[]", nested)
    given: dict[str, Any] = {
        "parser": SimpleNamespace(head=2),
        "plain": lambda data, most: data[:most],
    }
    for content in (TEXT.encode(), gzip.compress(TEXT.encode()), *jsons, b"\xff\xff", b""):
        found = set()
        for seed in range(100):
            most = rng.randrange(2, 4000)
            changed = study.mutated(b"\x00\x00" + content, most, seed, **given)
            assert len(changed) <= most
            assert changed == study.mutated(b"\x00\x00" + content, most, seed, **given)
            found.add(changed)
        assert len(found) > 20 or content == b"\xff\xff"
