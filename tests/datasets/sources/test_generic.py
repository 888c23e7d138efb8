"""Tables of no vendor: bars, funding, named columns; Coinalyze and Tardis."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import BTC, OHLCV, START_MS, TARDIS, bar, load, micro, parse_one, put, values

START = START_MS * 1000
HOUR = 3_600_000_000
VENUE = ImportOptions(venue="binance")


def test_bars_of_a_csv(tmp_path: Path) -> None:
    """Bars by common names; available at their close; the symbol is in the file's name."""
    parsed = parse_one(put(tmp_path, "BTCUSDT_spot_1h.csv", OHLCV, bar(0), bar(1), bar(2)), VENUE)
    assert (parsed.table, parsed.symbol, parsed.timeframe) == ("bars", "BTCUSDT", "1h")
    assert micro(parsed.rows, "ts") == [START, START + HOUR, START + 2 * HOUR]
    assert micro(parsed.rows, "available_at")[0] == START + HOUR
    assert values(parsed.rows, "volume") == [7.0, 7.0, 7.0]
    assert values(parsed.rows, "quote_volume") == [None, None, None]


def test_invented_bars_are_left_out(tmp_path: Path) -> None:
    """Bars that a file marks as filled in are no market data and leave a gap."""
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC"),
            **dict.fromkeys(("open", "high", "low", "close"), 100.0),
            "volume": 7.0,
            "gap_filled": [False, True, False, False],
        }
    )
    path = tmp_path / "BTCUSDT_um_1h.parquet"
    frame.to_parquet(path)
    parsed = parse_one(path, VENUE)
    assert parsed.rows.num_rows == 3
    assert parsed.notes == ("1 bars marked gap_filled left out",)


@pytest.mark.parametrize(
    ("timeframe", "words"),
    [
        (None, r"bars of 5m, but from 2024-01-01T00:00 on 29 of 60 minutes: split it"),
        ("1h", r"bars of 1h, but from 2024-01-02T05:00 on 59 of 5 minutes: split it"),
    ],
)
def test_bars_of_two_lengths_are_refused(tmp_path: Path, timeframe: str | None, words: str) -> None:
    """An hour bar taken for one of five minutes would count as known 55 minutes too early."""
    hour, minute = 3_600_000, 60_000
    opens = [START_MS + k * hour for k in range(29)]
    opens += [opens[-1] + hour + k * 5 * minute for k in range(60)]
    path = put(tmp_path, "b.csv", OHLCV, *(f"{at},100,110,90,105,7" for at in opens))
    with pytest.raises(InputError, match=words):
        parse_file(path, options=replace(BTC, timeframe=timeframe))


def test_gaps_are_no_other_length(tmp_path: Path) -> None:
    """Bars that are missing now and then, even every second one for a while, leave the length as it is."""
    minutes = [*range(40), *range(40, 80, 2), *range(80, 200, 3)[:20], *range(200, 300)]
    rows = (f"{START_MS + k * 60_000},100,110,90,105,7" for k in minutes)
    assert parse_one(put(tmp_path, "b.csv", OHLCV, *rows), BTC).timeframe == "1m"


def test_index_of_a_parquet_file_is_a_column(tmp_path: Path) -> None:
    """pandas writes times as an index; they are read as the column that they are."""
    frame = pd.DataFrame({"rate": [0.0001, 0.0002]})
    frame.index = pd.date_range("2024-01-01", periods=2, freq="8h", name="date")
    path = tmp_path / "BTCUSDT_funding.parquet"
    frame.to_parquet(path)
    assert micro(parse_one(path, VENUE).rows, "ts") == [START, START + 8 * HOUR]


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("BTCUSDT_mark_1h.csv", "mark_bars"),
        ("BTCUSDT_markPriceKlines.csv", "mark_bars"),
        ("BTCUSDT_market_1h.csv", "bars"),
        ("benchmark_BTCUSDT.csv", "bars"),
    ],
)
def test_mark_is_a_whole_word(tmp_path: Path, name: str, table: str) -> None:
    """Only a name that says mark, not one that holds these letters, makes bars mark prices."""
    assert parse_one(put(tmp_path / "data", name, OHLCV, bar(0), bar(1)), VENUE).table == table


def test_volume_in_dollars_is_estimated_in_coins(tmp_path: Path) -> None:
    """Value over the bar's mean price (110 + 90 + 100) / 3 = 100 gives the coins, with a note."""
    header = "symbol,ts_utc,open,high,low,close,volume_usd"
    lines = [f"BTCUSDT,{START_MS + i * 3_600_000},100,110,90,100,5000" for i in range(2)]
    parsed = parse_one(put(tmp_path, "x.csv", header, *lines), VENUE)
    assert values(parsed.rows, "volume") == pytest.approx([50.0, 50.0], rel=1e-15)
    assert "estimated" in parsed.notes[0]


def test_bars_by_venue_and_coin(tmp_path: Path) -> None:
    """Short column names with venue and coin give one series for each pair."""
    lines = [
        f"{START_MS + i * 3_600_000},{venue},{coin},100,110,90,105,7"
        for venue in ("okx", "bybit")
        for coin in ("BTC", "ETH")
        for i in range(2)
    ]
    path = put(tmp_path, "x.csv", "timestamp,venue,coin,o,h,l,c,v", *lines)
    found = parse_file(path, options=ImportOptions())
    assert [(p.venue, p.symbol, p.timeframe, p.rows.num_rows) for p in found] == [
        ("bybit", "BTC", "1h", 2),
        ("bybit", "ETH", "1h", 2),
        ("okx", "BTC", "1h", 2),
        ("okx", "ETH", "1h", 2),
    ]


@pytest.mark.parametrize(("percent", "rate"), [(False, 0.01), (True, 0.0001)])
def test_funding_in_percent_is_said(tmp_path: Path, percent: bool, rate: float) -> None:
    """A plain rate is a fraction unless the user says that it is in percent."""
    path = put(tmp_path, "f.csv", "date,rate", "2024-01-01,0.01", "2024-01-02,0.01")
    options = ImportOptions(venue="binance", symbol="BTCUSDT", percent=percent)
    assert values(parse_one(path, options).rows, "rate") == pytest.approx([rate] * 2, rel=1e-15)


def test_settled_rates_of_zero_are_rates(tmp_path: Path) -> None:
    """A first settlement of nothing is a fact, unlike a vendor's zeros before a series begins."""
    path = put(tmp_path, "f.csv", "date,rate", "2024-01-01,0", "2024-01-02,0.01")
    assert values(parse_one(path, BTC).rows, "rate") == [0.0, 0.01]


def test_named_columns(tmp_path: Path) -> None:
    """Columns of any name are read as told, percent too; nothing else is taken."""
    path = put(tmp_path, "f.csv", "when,what,seen,x", "1704067200,0.01,1704067260,9")
    options = ImportOptions(
        venue="v",
        symbol="BTCUSDT",
        table="funding",
        percent=True,
        columns={"ts": "when", "rate": "what", "available_at": "seen"},
    )
    parsed = parse_one(path, options)
    assert micro(parsed.rows, "ts") == [START]
    assert micro(parsed.rows, "available_at") == [START + 60_000_000]
    assert values(parsed.rows, "rate") == pytest.approx([0.0001], rel=1e-15)
    assert load(tmp_path, path, options).inserted == 1


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ("funding", {"rate": "y", "ts": "nope"}, "has no column 'nope' for ts"),
        ("funding", {"ts": "date"}, "--column rate=NAME"),
        ("funding", {"what": "date"}, "has no column what"),
        ("candles", {}, "there is no table 'candles'"),
        (None, {"ts": "date"}, "--column needs --table"),
    ],
)
def test_columns_that_do_not_exist_are_named(
    tmp_path: Path, table: str | None, columns: dict[str, str], message: str
) -> None:
    """A table or column that does not exist is one line that names it."""
    path = put(tmp_path, "f.csv", "date,y", "2024-01-01,1")
    options = ImportOptions(venue="v", symbol="S", table=table, columns=columns)
    with pytest.raises(InputError, match=message):
        parse_file(path, options=options)


def test_table_asked_for_is_the_table_given(tmp_path: Path) -> None:
    """A file recognised as something else than --table says is refused, not stored otherwise."""
    path = put(tmp_path, "BTCUSDT_1h.csv", OHLCV, bar(0), bar(1))
    options = ImportOptions(venue="binance", table="funding")
    with pytest.raises(InputError, match="was taken for bars, 1h, ISO dates, which is not funding"):
        parse_file(path, options=options)


def test_coinalyze_in_dollars(tmp_path: Path) -> None:
    """Bars without liquidations are left out, so the smallest step is the bar's length."""
    history = [{"t": START_MS // 1000 + 300 * i, "l": 1.5, "s": i} for i in (0, 3, 4, 7)]
    entries = [
        {"symbol": "BTCUSDT_PERP.A", "history": history},
        {"symbol": "ETHUSDT_PERP.A", "history": []},
    ]
    path = put(tmp_path, "c.json", json.dumps(entries))
    with pytest.raises(InputError, match="--unit usd"):
        parse_file(path, options=ImportOptions())
    parsed = parse_one(path, ImportOptions(unit="usd"))
    assert (parsed.venue, parsed.symbol) == ("coinalyze", "BTCUSDT_PERP.A")
    assert parsed.timeframe == "5m"
    assert values(parsed.rows, "side") == ["long"] * 4 + ["short"] * 4
    assert values(parsed.rows, "notional") == [1.5] * 4 + [0.0, 3.0, 4.0, 7.0]
    assert micro(parsed.rows, "available_at")[0] == START + 300_000_000
    assert parse_one(path, ImportOptions(unit="usd", symbol="BTCUSDT")).symbol == "BTCUSDT"
    with pytest.raises(InputError, match="has no SOLUSDT"):
        parse_file(path, options=ImportOptions(unit="usd", symbol="SOLUSDT"))


@pytest.mark.parametrize("history", [[1, 2], [{"t": 1}], ["x"], [[1, 2, 3]]])
def test_coinalyze_history_of_another_shape(tmp_path: Path, history: list[object]) -> None:
    """A history without its three fields is refused by name."""
    path = put(tmp_path, "c.json", json.dumps([{"symbol": "X", "history": history}]))
    with pytest.raises(InputError, match="fields t, l and s"):
        parse_file(path, options=ImportOptions(unit="usd"))


def test_tardis(tmp_path: Path) -> None:
    """Microseconds; sell is a liquidated long; known when seen; contracts of 0.01 coins each."""
    lines = [
        f"okex-swap,BTC-USDT-SWAP,{START},{START + 5},,sell,42000,0.5",
        f"okex-swap,BTC-USDT-SWAP,{START},{START + 5},,sell,42000,0.5",
        f"okex-swap,BTC-USDT-SWAP,{START + 9},{START + 8},,buy,43000,2",
    ]
    path = put(tmp_path, "t.csv", TARDIS, *lines)
    with pytest.raises(InputError, match="give --contract-value"):
        parse_file(path, options=ImportOptions())
    parsed = parse_one(path, ImportOptions(contract_value=0.01))
    assert (parsed.venue, parsed.symbol, parsed.timeframe) == (
        "okex-swap",
        "BTC-USDT-SWAP",
        "events",
    )
    assert values(parsed.rows, "side") == ["long", "long", "short"]
    assert values(parsed.rows, "seq") == [0, 1, 0]
    assert values(parsed.rows, "notional") == [210.0, 210.0, 860.0]
    assert micro(parsed.rows, "available_at") == [START + 5, START + 5, START + 9]
    assert load(tmp_path, path, ImportOptions(contract_value=0.01)).inserted == 3
    renamed = parse_one(path, ImportOptions(venue="okx", symbol="BTCUSDT", unit="coins"))
    assert (renamed.venue, renamed.symbol) == ("okx", "BTCUSDT")


@pytest.mark.parametrize("missing", ["venue", "symbol"])
def test_venue_and_symbol_are_asked_for(tmp_path: Path, missing: str) -> None:
    """A file that does not say whose it is, is refused with the option that would."""
    path = put(tmp_path, "x.csv", OHLCV, bar(0), bar(1))
    given = {"venue": "binance", "symbol": "BTCUSDT"}
    del given[missing]
    with pytest.raises(InputError, match=f"give --{missing}"):
        parse_file(path, options=ImportOptions(**given))  # type: ignore[arg-type]


def test_source_that_does_not_exist(tmp_path: Path) -> None:
    """An unknown source is refused with the list of those there are."""
    path = put(tmp_path, "x.csv", OHLCV, bar(0))
    with pytest.raises(InputError, match="no source 'kraken': use one of auto, binance"):
        parse_file(path, source="kraken", options=BTC)
