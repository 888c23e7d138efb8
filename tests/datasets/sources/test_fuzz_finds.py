"""What fuzzing found (tests/studies/fuzz_parsers.py): the smallest files that showed each fault."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources._raw import check_packed
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import (
    BTC,
    FUNDING,
    HOUR_MS,
    KLINES,
    OHLCV,
    SNAPSHOT,
    START_MS,
    TARDIS,
    bar,
    kline,
    load,
    micro,
    parse_one,
    put,
    values,
    zip_bytes,
)

PERPETUAL = ImportOptions(venue="binance", symbol="BTCUSD_PERP")


def test_contracts_beyond_any_float_are_set_aside(tmp_path: Path) -> None:
    """An amount that is no float once it is worth something is infinite, without a warning."""
    path = put(
        tmp_path,
        "x.csv",
        KLINES,
        *[kline(i, volume=volume) for i, volume in enumerate((735, "1e308"))],
    )
    report = load(tmp_path, path, PERPETUAL)
    assert report.reasons == {"quote_volume is infinite": 1}


def test_tardis_without_its_first_clock_is_no_tardis_file(tmp_path: Path) -> None:
    """A file with Tardis' other columns and no timestamp is of no known shape."""
    header = TARDIS.replace(",timestamp", ",when")
    path = put(tmp_path, "x.csv", header, f"bybit,BTCUSDT,{START_MS},{START_MS},,buy,40000,2")
    with pytest.raises(InputError, match="no known shape"):
        parse_file(path, options=ImportOptions())


def test_zip_whose_member_has_no_name(tmp_path: Path) -> None:
    """A zip with an empty name inside is damaged."""
    path = tmp_path / "x.zip"
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("x"), "1")
    content = sink.getvalue()
    at = content.index(b"PK\x01\x02")
    # In the directory, the length of the name is none, and the name's letter a comment.
    changed = bytearray(content)
    changed[at + 28], changed[at + 32] = 0, 1
    path.write_bytes(changed)
    for look in (check_packed, lambda file: parse_file(file, options=BTC)):
        with pytest.raises(InputError, match="damaged or cut off|must hold one file|empty|neither"):
            look(path)


def test_zip_that_points_before_its_begin(tmp_path: Path) -> None:
    """A zip whose directory points before the file's begin is damaged, and no fault of the system."""
    content = bytearray(zip_bytes(("x.csv", "1,2\n")))
    end = content.index(b"PK\x05\x06")
    content[end + 16 : end + 20] = (len(content) * 2).to_bytes(4, "little")
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    for look in (check_packed, lambda file: parse_file(file, options=BTC)):
        with pytest.raises(InputError, match="damaged or cut off"):
            look(path)


@pytest.mark.parametrize("letter", ["\r", "\x0c", "\x1c", "\u2028", "\x1b"])
def test_message_writes_nothing_that_ends_lines_or_drives_terminals(
    tmp_path: Path, letter: str
) -> None:
    """A message that quotes a hostile file is one line, and writes no control characters."""
    with pytest.raises(InputError, match="no known shape") as caught:
        parse_file(put(tmp_path, "x.csv", f"a{letter}b,c", "1,x"), options=BTC)
    assert str(caught.value).isprintable()


def test_message_of_a_damaged_parquet_file_is_one_line(tmp_path: Path) -> None:
    """What the reader says of damage over several lines is told by its first."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    content = bytearray(path.read_bytes())
    content[-60:-8] = b"\xff" * 52
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or cut off") as caught:
        parse_file(path, options=BTC)
    assert str(caught.value).isprintable()
    assert "\\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([bar(0), '2024-01-01T01:00:00,"\n",1,1,1,1', "", bar(2)], [2, 3, 6]),
        ([bar(0), '2024-01-01T01:00:00,1,1,1,1,"a""\n\n"', bar(2)], [2, 3, 6]),
        ([bar(0), "2024-01-01T01:00:00,1\r1,1,1", bar(2)], [2, 5, 3, 4]),
        ([bar(0), '2024-01-01T01:00:00,1",1,1,1,1', "", bar(2)], [2, 3, 5]),
    ],
    ids=["cell over two lines", "over three", "lone return", "quote amid a cell"],
)
def test_lines_are_counted_as_an_editor_counts_them(
    tmp_path: Path, lines: list[str], expected: list[int]
) -> None:
    """A row's line is right after cells in quotes that go on, lone returns and empty lines."""
    parsed = parse_one(put(tmp_path, "BTCUSDT.csv", OHLCV, *lines), BTC)
    assert values(parsed.rows, "_line") == expected


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("name", ["symbol", "side"])
def test_words_that_are_moments_beyond_the_calendar(
    tmp_path: Path, name: str, zone: str | None
) -> None:
    """Moments that no date can write, where words should stand, are refused or set aside."""
    cells: dict[str, pa.Array] = {
        column: pa.array(["1"]) for column in f"symbol,{SNAPSHOT}".split(",")
    }
    cells |= {"symbol": pa.array(["BTCUSDT"]), "time": pa.array([START_MS])}
    cells[name] = pa.array([2**60], pa.timestamp("ms", zone))
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(cells), path)
    if name == "symbol":
        with pytest.raises(InputError, match=f"only {2**60}"):
            parse_file(path, options=BTC)
    else:
        report = load(tmp_path, path, BTC)
        assert report.reasons == {f"side '{2**60}' is neither BUY nor SELL": 1}


def test_negative_value_bought_by_takers_is_set_aside(tmp_path: Path) -> None:
    """What takers bought cannot be worth less than nothing."""
    lines = [kline(0), kline(1).replace(",300,0", ",-300,0")]
    report = load(tmp_path, put(tmp_path, "BTCUSDT-1h-2024-01.csv", KLINES, *lines), BTC)
    assert report.reasons == {"negative volume": 1}


@pytest.mark.parametrize("cell", [True, "1_000", "\uff11\uff12", "\u0663"])
def test_words_that_python_takes_for_numbers_are_none(tmp_path: Path, cell: object) -> None:
    """true, grouped digits and digits of other alphabets are set aside, whatever else a column holds."""
    rates: list[object] = [0.01, cell, 10**400]
    rows = [
        dict(zip(FUNDING.split(","), (START_MS + i * HOUR_MS, 8, rate), strict=True))
        for i, rate in enumerate(rates)
    ]
    parsed = parse_one(put(tmp_path, "x.jsonl", *map(json.dumps, rows)), BTC)
    assert values(parsed.rows, "rate") == [0.01, None, float("inf")]
    problem = values(parsed.rows, "_problem")[1]
    assert problem == f"last_funding_rate is not a number: {str(cell)!r}"


TEXT_FOR_LIST: list[dict[str, Any]] = [
    {"data": {"110": {"110": []}}},
    {"data": {"110": ["110"]}},
    {"data": {"110": [[True, 5]]}},
    {"data": {"110": [["1_10", 5]]}},
    {"y_axis": [1, 2], "liquidation_leverage_data": ["001"], "price_candlesticks": [[1e9] * 5]},
    {"y_axis": [1, 2], "liquidation_leverage_data": [[0, 0, 1]], "price_candlesticks": ["1" * 9]},
    {"prices": [True, 2], "x25": [1, 2], "lastIndex": 1, "symbol": "BTCUSDT"},
    {"prices": ["\u0661", 2], "x25": [1, 2], "lastIndex": 1, "symbol": "BTCUSDT"},
    {"prices": [1, 2], "x25": [1, 2], "lastIndex": True, "symbol": "BTCUSDT"},
]


@pytest.mark.parametrize("data", TEXT_FOR_LIST)
def test_letters_names_and_truths_are_no_levels_of_a_map(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    """A text or an object where a list should stand, and a truth for a number, refuse the map."""
    path = put(tmp_path, "m.json", json.dumps({"data": data}))
    options = ImportOptions(symbol="BTCUSDT", at="2026-03-03", columns={"price": "100"})
    with pytest.raises(InputError, match="arrays do not fit together"):
        parse_file(path, options=options)


def test_levels_that_are_no_amounts_are_set_aside(tmp_path: Path) -> None:
    """A level of less than nothing, or of NaN, is quarantined; one of nothing is no level."""
    data = {"prices": [1, 2, 3, 4], "x25": [-1, float("nan"), 0, 5], "lastIndex": 2}
    path = put(tmp_path, "m.json", json.dumps({"data": data}))
    report = load(tmp_path, path, ImportOptions(symbol="BTCUSDT", at="2026-03-03"))
    assert report.reasons == {"negative notional": 1, "notional is missing": 1}
    assert report.inserted == 1


def states(*positions: tuple[object, object]) -> str:
    """Return one account's positions as (size, liquidation price)."""
    found = [
        {"position": {"coin": "BTC", "szi": size, "liquidationPx": price}}
        for size, price in positions
    ]
    state = {"time": START_MS, "assetPositions": found}
    return json.dumps({"hyperliquid_states": [{"state": state}]})


def test_positions_beyond_any_float_are_set_aside(tmp_path: Path) -> None:
    """Positions whose sum at one price no float holds are quarantined, without a warning."""
    path = put(tmp_path, "s.json", states(("1", 1e308), ("1", 1e308), ("1", 50)))
    report = load(tmp_path, path, ImportOptions(symbol="BTC"))
    assert report.reasons == {"notional is infinite": 1}
    assert report.inserted == 1


@pytest.mark.parametrize("position", [("1", True), ("1", []), (True, 50), ("1_0", 50)])
def test_positions_of_no_numbers_are_refused(
    tmp_path: Path, position: tuple[object, object]
) -> None:
    """A size or price that is no number is not taken for one, nor for none."""
    path = put(tmp_path, "s.json", states(("1", 40), position))
    with pytest.raises(InputError, match="is no snapshot"):
        parse_file(path, options=ImportOptions(symbol="BTC"))


def test_prices_of_a_map_beyond_any_float(tmp_path: Path) -> None:
    """Prices whose steps no float holds are refused or set aside, without a warning."""
    options = ImportOptions(symbol="BTCUSDT", at="2026-03-03")
    far = {"prices": [-1e308, 1e308, 1.5e308], "x25": [1, 1, 1], "lastIndex": 1}
    report = load(tmp_path, put(tmp_path, "m.json", json.dumps({"data": far})), options)
    assert report.inserted == 0
    unsorted = far | {"prices": [0.5, -1e308, 1e308]}
    with pytest.raises(InputError, match="do not ascend"):
        parse_file(put(tmp_path, "m.json", json.dumps({"data": unsorted})), options=options)


def test_parquet_text_that_is_not_unicode(tmp_path: Path) -> None:
    """A parquet column of texts with bytes that are none is damaged, whenever it would be used."""
    path = tmp_path / "x.parquet"
    texts = pa.array([b"\xffalse"] * 2).cast(pa.string(), safe=False)
    dates = pa.array([START_MS, START_MS + HOUR_MS])
    pq.write_table(pa.table({"date": dates, "rate": [0.1] * 2, "gap_filled": texts}), path)
    with pytest.raises(InputError, match="damaged or cut off"):
        parse_file(path, options=BTC)


@pytest.mark.parametrize(
    "cut",
    ["2024-01-01T02:0", "2024-01-01T02:00:0", "2024-01-1", "2024-01", "2024", "2024-01-01T02:00+0"],
)
def test_time_that_was_cut_off_is_none(tmp_path: Path, cut: str) -> None:
    """A time whose last number has lost a digit, or its last numbers, is set aside and not completed."""
    lines = [bar(0), bar(1), f"{cut},100,110,90,105,7"]
    report = load(tmp_path, put(tmp_path, "BTCUSDT.csv", OHLCV, *lines), BTC)
    assert report.reasons == {f"timestamp is not a time: {cut!r}": 1}
    assert report.inserted == 2


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01",
        "2024/1/01",
        "2024-1-1 0:00",
        "2024-01-01 00",
        "2024-01-01T0000",
        "2024-01-01T000000.5",
        "2024-01-01T00:00:00.123456789Z",
        "2024-01-01 00:00:00+00:00",
        "2024-01-01T05:30:00 +0530",
    ],
)
def test_whole_times_of_common_spellings_are_read(tmp_path: Path, text: str) -> None:
    """Times as spreadsheets and libraries write them are read, also with hours of one digit."""
    path = put(tmp_path, "f.csv", "date,rate", f"{text},0.01", "2024-01-02,0.01")
    stamps = micro(parse_one(path, BTC).rows, "ts")
    assert stamps[0] // 1_000_000 == START_MS // 1000
