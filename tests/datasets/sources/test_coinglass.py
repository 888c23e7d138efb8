"""Coinglass exports and responses: percent, ends of bars, zeros that mean no data, sides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import BTC, START_MS, load, micro, parse_one, put, values

START = START_MS * 1000
HOUR = 3_600_000_000
DAY = 24 * HOUR
DAYS = ("2024-01-01T00:00:00", "2024-01-02T00:00:00", "2024-01-03T00:00:00")
OHLC = "timestamp,open,high,low,close"


def test_open_interest_is_the_close_at_the_end_of_its_bar(tmp_path: Path) -> None:
    """A level's row is stamped at its bar's end: at the open its close was not known."""
    path = put(tmp_path, "oi_1d.csv", OHLC, *[f"{day},1,4,1,{i + 2}" for i, day in enumerate(DAYS)])
    parsed = parse_one(path, BTC)
    assert parsed.table == "open_interest"
    assert micro(parsed.rows, "ts") == [START + DAY, START + 2 * DAY, START + 3 * DAY]
    assert micro(parsed.rows, "available_at") == micro(parsed.rows, "ts")
    assert values(parsed.rows, "oi_quote") == [2.0, 3.0, 4.0]


def test_funding_percent_becomes_a_fraction(tmp_path: Path) -> None:
    """Coinglass writes 0.01 for one basis point times a hundred: it is stored as 0.0001."""
    path = put(tmp_path, "funding_1d.csv", OHLC, *[f"{day},0,0,0,0.01" for day in DAYS])
    parsed = parse_one(path, BTC)
    assert parsed.table == "funding"
    assert values(parsed.rows, "rate") == pytest.approx([0.0001] * 3, rel=1e-15)
    assert micro(parsed.rows, "ts")[0] == START + DAY


def test_response_with_texts_is_read(tmp_path: Path) -> None:
    """An API response's numbers may be texts and its times seconds."""
    rows = [
        {"time": START_MS + i * 14_400_000, "open": "1", "high": "2", "low": "1", "close": "0.5"}
        for i in range(2)
    ]
    path = put(tmp_path, "funding.json", json.dumps({"code": "0", "data": rows}))
    parsed = parse_one(path, BTC)
    assert values(parsed.rows, "rate") == [0.005, 0.005]
    assert micro(parsed.rows, "ts") == [START + 4 * HOUR, START + 8 * HOUR]


def test_name_of_the_file_outweighs_the_folder(tmp_path: Path) -> None:
    """OHLC without volume is told by the file's name; a folder's name counts only without one."""
    lines = [OHLC, *[f"{day},1,4,1,2" for day in DAYS]]
    tables = {
        name: parse_one(put(tmp_path, name, *lines), BTC).table
        for name in ("oi_data/funding_1d.csv", "funding/oi_1d.csv", "open_interest/x.csv")
    }
    assert list(tables.values()) == ["funding", "open_interest", "open_interest"]
    with pytest.raises(InputError, match="no known shape"):
        parse_one(put(tmp_path, "market/coin_history.csv", *lines), BTC)


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("long_usd", "short_usd"),
        ("longUsd", "shortUsd"),
        ("liq_long_usd", "liq_short_usd"),
        ("aggregated_long_liquidation_usd", "aggregated_short_liquidation_usd"),
    ],
)
def test_liquidations_are_known_when_their_bar_has_closed(
    tmp_path: Path, long: str, short: str
) -> None:
    """Sums over a bar keep its open as stamp, its close as availability, and the position's side."""
    lines = [f"{START_MS + i * 3_600_000},{10 + i},{20 + i}" for i in range(3)]
    path = put(tmp_path, "liq.csv", f"time,{long},{short}", *lines)
    parsed = parse_one(path, BTC)
    assert parsed.timeframe == "1h"
    by_side = dict.fromkeys(("long", "short"), 0.0)
    for side, notional in zip(
        values(parsed.rows, "side"), values(parsed.rows, "notional"), strict=True
    ):
        by_side[side] += notional
    assert by_side == {"long": 33.0, "short": 63.0}
    assert micro(parsed.rows, "ts")[:3] == [START, START + HOUR, START + 2 * HOUR]
    assert micro(parsed.rows, "available_at")[0] == START + HOUR


@pytest.mark.parametrize("newest_first", [False, True])
def test_zeros_before_the_series_begins_are_left_out(tmp_path: Path, newest_first: bool) -> None:
    """Zeros before the first value mean no data, in whatever order; a zero after it is a zero."""
    lines = [f"{START_MS + i * 3_600_000},{v},0" for i, v in enumerate((0, 0, 5, 0, 6))]
    if newest_first:
        lines.reverse()
    parsed = parse_one(put(tmp_path, "l.csv", "time,long_usd,short_usd", *lines), BTC)
    assert parsed.notes == ("2 rows of zeros before the series begins mean no data; left out",)
    assert min(micro(parsed.rows, "ts")) == START + 2 * HOUR
    assert parsed.rows.num_rows == 6
    assert sorted(values(parsed.rows, "notional")) == [0.0, 0.0, 0.0, 0.0, 5.0, 6.0]


def test_text_before_the_series_begins_is_counted(tmp_path: Path) -> None:
    """A damaged first row is set aside with its reason and not taken for missing data."""
    lines = [f"{day},1,1,1,{v}" for day, v in zip(DAYS, ("many", 3, 4), strict=True)]
    report = load(tmp_path, put(tmp_path, "oi_1d.csv", OHLC, *lines), BTC)
    assert report.reasons == {"close is not a number: 'many'": 1}
    assert report.inserted == 2


def test_taker_volume_is_a_ratio(tmp_path: Path) -> None:
    """Buys over sells; a bar without sells has no ratio and is set aside, as is a text."""
    lines = [
        f"{START_MS + i * 3_600_000},{pair}"
        for i, pair in enumerate(("3,2", "3,0", "lots,2", "1,4"))
    ]
    path = put(tmp_path, "t.csv", "time,buy_usd,sell_usd", *lines)
    parsed = parse_one(path, BTC)
    assert values(parsed.rows, "taker_buy_sell") == [1.5, None, None, 0.25]
    report = load(tmp_path, path, BTC)
    assert report.reasons == {"buy_usd is not a number: 'lots'": 1, "no ratio given": 1}


def test_symbols_in_one_file_are_series_of_their_own(tmp_path: Path) -> None:
    """A file of two coins gives two series, or the one asked for; another is refused by name."""
    lines = [f"{coin},{day}+00:00,,{i}" for coin in ("BTC", "ETH") for i, day in enumerate(DAYS, 1)]
    path = put(tmp_path, "x.csv", "symbol,ts_utc,lsr_global,lsr_top_positions", *lines)
    every = parse_file(path, options=ImportOptions(venue="all"))
    assert [(p.symbol, p.rows.num_rows) for p in every] == [("BTC", 3), ("ETH", 3)]
    assert values(every[1].rows, "top_long_short_positions") == [1.0, 2.0, 3.0]
    assert parse_one(path, ImportOptions(venue="all", symbol="ETH")).symbol == "ETH"
    with pytest.raises(InputError, match="has no SOL, only BTC, ETH"):
        parse_file(path, options=ImportOptions(venue="all", symbol="SOL"))


def test_venues_in_one_file_are_series_of_their_own(tmp_path: Path) -> None:
    """A file of two venues gives a series each; a venue that it lacks is refused by name."""
    lines = [f"{day},{venue},BTC,5" for venue in ("binance", "okx") for day in DAYS]
    path = put(tmp_path, "x.csv", "timestamp,venue,coin,oi_usd", *lines)
    found = parse_file(path, options=ImportOptions())
    assert [(p.venue, p.symbol) for p in found] == [("binance", "BTC"), ("okx", "BTC")]
    assert micro(found[0].rows, "ts")[0] == START  # snapshots, not bars
    with pytest.raises(InputError, match="has no bybit, only binance, okx|no venue bybit"):
        parse_file(path, options=ImportOptions(venue="bybit"))


def test_top_traders_and_totals(tmp_path: Path) -> None:
    """The other exports: top traders' ratio, open interest of all venues, averaged funding."""
    top = put(tmp_path, "a.csv", "timestamp,long_percent,short_percent,ratio", *_days("60,40,1.5"))
    assert values(parse_one(top, BTC).rows, "top_long_short_positions") == [1.5] * 3
    oi = put(tmp_path, "b.csv", "ts_utc,symbol,oi_total_close", *_days("BTC,7"))
    assert values(parse_one(oi, ImportOptions(venue="all")).rows, "oi_quote") == [7.0] * 3
    rate = put(tmp_path, "c.csv", "ts_utc,symbol,funding_close", *_days("BTC,-0.02"))
    parsed = parse_one(rate, ImportOptions(venue="all"))
    assert values(parsed.rows, "rate") == pytest.approx([-0.0002] * 3)


def test_table_without_times_is_refused(tmp_path: Path) -> None:
    """Sums without a time cannot be placed; the message names the columns that would do."""
    path = put(tmp_path, "l.csv", "long_usd,short_usd", "1,2")
    with pytest.raises(InputError, match="no column of times"):
        parse_file(path, options=BTC)


def test_table_asked_for_tells_where_no_name_does(tmp_path: Path) -> None:
    """OHLC without volume under a plain name is what the user says that it is."""
    path = put(tmp_path, "x.csv", OHLC, *[f"{day},1,4,1,2" for day in DAYS])
    for table in ("open_interest", "funding", "mark_bars"):
        options = ImportOptions(venue="binance", symbol="BTCUSDT", table=table)
        assert parse_one(path, options).table == table


@pytest.mark.parametrize(
    "name", ["oi.csv", "open-interest.csv", "BTC_openInterest_1d.csv", "open_interest_agg.csv"]
)
def test_open_interest_in_any_spelling(tmp_path: Path, name: str) -> None:
    """A file's name may say open interest in any of its usual spellings."""
    path = put(tmp_path, name, OHLC, *[f"{day},1,4,1,2" for day in DAYS])
    assert parse_one(path, BTC).table == "open_interest"


def test_length_of_the_bars_is_told(tmp_path: Path) -> None:
    """What a file was taken for says the bar length that was read off its steps."""
    path = put(tmp_path, "oi.csv", OHLC, *[f"{day},1,4,1,2" for day in DAYS])
    assert parse_one(path, BTC).recognised.endswith("the close at the bar's end, 1d")


def test_revised_values_are_counted(tmp_path: Path) -> None:
    """Where a recorder kept what it first saw, the bars that changed since are counted in a note."""
    header = "time_ms,long_usd,short_usd,long_usd_first_seen,short_usd_first_seen"
    lines = ["10,20,10,20", "11,21,9,21", "12,22,,"]
    rows = [f"{START_MS + i * 3_600_000},{line}" for i, line in enumerate(lines)]
    parsed = parse_one(put(tmp_path, "l.csv", header, *rows), BTC)
    assert parsed.notes[0].startswith("the vendor revised 1 of 3 bars")
    assert values(parsed.rows, "notional") == [10.0, 11.0, 12.0, 20.0, 21.0, 22.0]


def _days(values: str) -> list[str]:
    return [f"{day},{values}" for day in DAYS]
