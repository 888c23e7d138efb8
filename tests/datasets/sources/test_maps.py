"""Liquidation maps of others: sides, edges, moments, and arrays that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import HYPERLIQUID, START_MS, load, micro, parse_one, put, values

AT = ImportOptions(at="2026-03-03T12:02")
AT_US = 1_772_539_320_000_000
COINANK: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "prices": [100.0, 110.0, 120.0, 130.0],
    "x25": [1.0, 0.0, 2.0, 0.0],
    "x50": [4.0, 0.0, 8.0, 0.0],
    "lastIndex": 2,
    "lastPrice": 115.0,
}
HEATMAP: dict[str, Any] = {
    "y_axis": ["90", "100", "110", "120"],
    "liquidation_leverage_data": [[0, 0, "5"], [1, 3, 7.5]],
    "price_candlesticks": [
        [START_MS // 1000 + 300 * i, "100", "101", "99", "100", "1"] for i in range(2)
    ],
}
NOTHING: dict[str, Any] = {}


def document(folder: Path, data: object, name: str = "map.json") -> Path:
    return put(folder, name, json.dumps({"code": "0", "data": data}))


def test_coinank_map(tmp_path: Path) -> None:
    """Leverage classes are summed; longs below lastIndex, shorts from it on; empty levels go."""
    parsed = parse_one(document(tmp_path, COINANK), AT)
    rows = parsed.rows
    assert (parsed.table, parsed.venue, parsed.symbol) == ("liquidation_map", "coinank", "BTCUSDT")
    assert values(rows, "side") == ["long", "short"]
    assert values(rows, "notional") == [5.0, 10.0]
    assert values(rows, "price_low") == [100.0, 120.0]
    assert values(rows, "price_high") == [110.0, 130.0]
    assert micro(rows, "ts") == micro(rows, "available_at") == [AT_US, AT_US]
    assert values(rows, "model") == ["coinank liqmap"] * 2
    assert load(tmp_path, document(tmp_path, COINANK), AT).inserted == 2


def test_moment_of_a_map_is_in_its_name_or_told(tmp_path: Path) -> None:
    """A snapshot's moment is read off the file's name, else asked for; never the clock's."""
    named = document(tmp_path, COINANK, "coinank_2026-03-03_12-02.json")
    assert micro(parse_one(named).rows, "ts")[0] == AT_US
    with pytest.raises(InputError, match="give --at"):
        parse_file(document(tmp_path, COINANK), options=ImportOptions())


@pytest.mark.parametrize("at", ["now", "today", "", "NaT", "2026-13-45", "0001-01-01T00:00+23:59"])
def test_moment_that_is_none_is_refused(tmp_path: Path, at: str) -> None:
    """A moment that is no ISO date is refused, also words that mean the clock."""
    with pytest.raises(InputError, match="is not a moment"):
        parse_file(document(tmp_path, COINANK), options=ImportOptions(at=at))


def test_coinglass_heatmap(tmp_path: Path) -> None:
    """Above its candle's close a level is short, below long; it is known at the candle's close."""
    parsed = parse_one(document(tmp_path, HEATMAP), ImportOptions(symbol="BTC"))
    rows = parsed.rows
    assert values(rows, "side") == ["long", "short"]
    assert values(rows, "price_low") == [90.0, 120.0]
    assert values(rows, "price_high") == [100.0, 130.0]
    assert values(rows, "notional") == [5.0, 7.5]
    five = 300_000_000
    assert micro(rows, "ts") == [START_MS * 1000 + five, START_MS * 1000 + 2 * five]
    assert "not point in time" in parsed.notes[0]


def test_coinglass_map_needs_a_price_for_its_sides(tmp_path: Path) -> None:
    """Levels of one price are summed over leverage; the price of the moment tells the sides."""
    levels = {"data": {"90": [[90, 5, 25, None], [90, 6.5, 50, None]], "110": [[110, 7, 25, None]]}}
    path = document(tmp_path, levels)
    with pytest.raises(InputError, match="--column price"):
        parse_file(path, options=ImportOptions(symbol="BTC", at="2026-03-03"))
    options = ImportOptions(symbol="BTC", at="2026-03-03T12:02", columns={"price": "100"})
    rows = parse_one(path, options).rows.sort_by("price_low")
    assert values(rows, "side") == ["long", "short"]
    assert values(rows, "notional") == [11.5, 7.0]
    assert load(tmp_path, path, options).inserted == 2


@pytest.mark.parametrize(
    ("base", "change"),
    [
        (COINANK, {"x25": [1.0]}),
        (COINANK, {"prices": [1.0]}),
        (COINANK, {"prices": [4.0, 3.0, 2.0, 1.0]}),
        (COINANK, {"prices": ["a", "b", "c", "d"]}),
        (COINANK, {"prices": [None, 1, 2, 3]}),
        (COINANK, {"prices": [1, 2, 3, 10**400]}),
        (COINANK, {"lastIndex": "x"}),
        (COINANK, {"lastIndex": None}),
        (COINANK, {"x25": [[1], [2], [3], [4]]}),
        (HEATMAP, {"liquidation_leverage_data": [[0, 9, 1]]}),
        (HEATMAP, {"liquidation_leverage_data": [[-1, 0, 1]]}),
        (HEATMAP, {"liquidation_leverage_data": [["NaN", 0, 1]]}),
        (HEATMAP, {"liquidation_leverage_data": []}),
        (HEATMAP, {"liquidation_leverage_data": [[0]]}),
        (HEATMAP, {"y_axis": [1]}),
        (HEATMAP, {"price_candlesticks": []}),
        (HEATMAP, {"price_candlesticks": [[1e30, 1, 1, 1, 1]]}),
        (HEATMAP, {"price_candlesticks": 5}),
        (NOTHING, {"data": {"90": 5}}),
        (NOTHING, {"data": {"90": [[]]}}),
        (NOTHING, {"data": {}}),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, base: dict[str, Any], change: dict[str, Any]
) -> None:
    """A map with wrong arrays is one line that names the file, whatever is wrong with them."""
    path = document(tmp_path, {**base, **change})
    options = ImportOptions(symbol="BTCUSDT", at="2026-03-03", columns={"price": "1"})
    with pytest.raises(InputError, match=r"map.json: the map's arrays do not fit") as caught:
        parse_file(path, options=options)
    assert "\n" not in str(caught.value)


def test_map_of_another_symbol_is_refused(tmp_path: Path) -> None:
    """A CoinAnk map says its symbol; it is not stored as another."""
    with pytest.raises(InputError, match="has no ETHUSDT, only 'BTCUSDT'"):
        parse_file(document(tmp_path, COINANK), options=ImportOptions(symbol="ETHUSDT", at=AT.at))


def test_hyperliquid_positions(tmp_path: Path) -> None:
    """Real liquidation prices are levels without width, one series a coin."""
    lines = [
        "2024-01-01T00:00:00+00:00,BTC,42000,Long,40000,1000",
        "2024-01-01T00:00:00+00:00,BTC,42000,SHORT,45000,500",
        "2024-01-01T00:00:00+00:00,ETH,2300,long,2000,70",
    ]
    path = put(tmp_path, "h.csv", HYPERLIQUID, *lines)
    found = parse_file(path, options=ImportOptions())
    assert [(p.venue, p.symbol, p.rows.num_rows) for p in found] == [
        ("hyperliquid", "BTC", 2),
        ("hyperliquid", "ETH", 1),
    ]
    rows = found[0].rows
    assert values(rows, "side") == ["long", "short"]
    assert values(rows, "price_low") == values(rows, "price_high") == [40000.0, 45000.0]
    assert values(rows, "notional") == [1000.0, 500.0]
    with pytest.raises(InputError, match="has no SOL, only BTC, ETH"):
        parse_file(path, options=ImportOptions(symbol="SOL"))
