"""Binance Vision archives and recorded streams: columns, units, sides and times."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import (
    FUNDING,
    HOUR_MS,
    KLINES,
    METRICS,
    SNAPSHOT,
    START_MS,
    STREAM,
    kline,
    load,
    micro,
    parse_one,
    put,
    store,
    values,
    zipped,
)

START = START_MS * 1000
MINUTE = 60_000_000


@pytest.mark.parametrize("headed", [True, False])
@pytest.mark.parametrize("unit", [1, 1000])
def test_klines_in_a_zip(tmp_path: Path, headed: bool, unit: int) -> None:
    """Klines are read with and without header, in milliseconds and in microseconds."""
    lines = [KLINES] * headed + [kline(0, unit=unit), kline(1, unit=unit, close=99)]
    path = zipped(tmp_path, "BTCUSDT-1h-2024-01.zip", ("BTCUSDT-1h-2024-01.csv", "\n".join(lines)))
    parsed = parse_one(path)
    assert (parsed.table, parsed.venue, parsed.symbol) == ("bars", "binance", "BTCUSDT")
    assert parsed.timeframe == "1h"
    assert ("microseconds" if unit == 1000 else "milliseconds") in parsed.recognised
    assert micro(parsed.rows, "ts") == [START, START + 60 * MINUTE]
    assert micro(parsed.rows, "available_at") == [START + 60 * MINUTE, START + 120 * MINUTE]
    assert values(parsed.rows, "close") == [105.0, 99.0]
    assert values(parsed.rows, "quote_volume") == [700.0, 700.0]
    assert values(parsed.rows, "trades") == [12, 12]
    assert values(parsed.rows, "taker_buy_volume") == [3.0, 3.0]
    assert values(parsed.rows, "_line") == ([2, 3] if headed else [1, 2])
    assert load(tmp_path, path).inserted == 2


def test_timeframe_of_klines_comes_from_the_steps_where_the_name_has_none(tmp_path: Path) -> None:
    """A kline file of another name has its bar length read off its opens."""
    lines = [KLINES, *[kline(i, step=300_000) for i in range(4)]]
    assert parse_one(put(tmp_path, "BTCUSDT.csv", *lines)).timeframe == "5m"


def test_mark_price_klines_are_mark_bars(tmp_path: Path) -> None:
    """Klines in the archive's folder of mark prices have no volume of their own."""
    path = put(tmp_path, "markPriceKlines/BTCUSDT-1h-2024-01.csv", KLINES, kline(0, volume=0))
    parsed = parse_one(path)
    assert parsed.table == "mark_bars"
    assert "volume" not in parsed.rows.column_names


def test_premium_index_klines_are_refused(tmp_path: Path) -> None:
    """A premium is no price, so its klines are not taken for bars."""
    path = put(tmp_path, "premiumIndexKlines/BTCUSDT-1h-2024-01.csv", KLINES, kline(0))
    with pytest.raises(InputError, match="premium index"):
        parse_file(path, options=ImportOptions())


def test_metrics_give_open_interest_and_ratios(tmp_path: Path) -> None:
    """Metrics hold two tables; empty ratios are left out of one, repeats change neither."""
    full = "2024-01-15 00:05:00,BTCUSDT,79000.5,3300000000.25,1.2,1.1,1.5,0.9"
    bare = '2024-01-15 00:10:00,BTCUSDT,79001,3300000001,"","","",""'
    path = put(tmp_path, "BTCUSDT-metrics-2024-01-15.csv", METRICS, full, full, bare)
    interest, ratios = parse_file(path, options=ImportOptions())
    five = 1_705_277_100_000_000  # 2024-01-15 00:05
    assert (interest.table, ratios.table) == ("open_interest", "positioning")
    assert micro(interest.rows, "ts") == [five, five, five + 5 * MINUTE]
    assert micro(interest.rows, "available_at")[0] == five + 5 * MINUTE
    assert values(interest.rows, "oi_base") == [79000.5, 79000.5, 79001.0]
    assert values(interest.rows, "oi_quote")[2] == 3300000001.0
    assert ratios.rows.num_rows == 2
    assert values(ratios.rows, "long_short_accounts")[0] == 1.5
    assert values(ratios.rows, "top_long_short_positions")[0] == 1.1
    assert values(ratios.rows, "taker_buy_sell")[0] == 0.9
    assert ratios.notes == ("1 rows have no ratios",)


def test_metrics_of_two_symbols_are_two_series(tmp_path: Path) -> None:
    """Rows of another symbol in a metrics file do not enter the first one's series."""
    lines = [f"2024-01-15 00:05:00,{coin}USDT,1,2,1,1,1,1" for coin in ("BTC", "ETH")]
    found = parse_file(put(tmp_path, "all.csv", METRICS, *lines), options=ImportOptions())
    assert [(p.symbol, p.table) for p in found] == [
        ("BTCUSDT", "open_interest"),
        ("BTCUSDT", "positioning"),
        ("ETHUSDT", "open_interest"),
        ("ETHUSDT", "positioning"),
    ]
    assert all(p.rows.num_rows == 1 for p in found)


@pytest.mark.parametrize("headed", [True, False])
def test_funding_is_a_fraction_and_settles_on_the_second(tmp_path: Path, headed: bool) -> None:
    """Settlements stamped some milliseconds late belong to their second; the rate is a fraction."""
    lines = [FUNDING] * headed + [f"{START_MS + 3},8,0.0001", f"{START_MS + 8 * HOUR_MS},8,-0.0002"]
    parsed = parse_one(put(tmp_path, "BTCUSDT-fundingRate-2024-01.csv", *lines))
    assert (parsed.table, parsed.symbol, parsed.timeframe) == ("funding", "BTCUSDT", None)
    assert micro(parsed.rows, "ts") == [START, START + 8 * 60 * MINUTE]
    assert micro(parsed.rows, "available_at") == micro(parsed.rows, "ts")
    assert values(parsed.rows, "rate") == [0.0001, -0.0002]
    assert values(parsed.rows, "interval_hours") == [8.0, 8.0]


def test_order_side_becomes_position_side_and_exact_repeats_go(tmp_path: Path) -> None:
    """SELL closes a long; an exactly repeated row is one order, an equal order of other fill two."""
    sell = f"{START_MS},SELL,LIMIT,IOC,2,41900,42000,FILLED,2,2"
    other = f"{START_MS},SELL,LIMIT,IOC,3,41900,42000,FILLED,2,2"
    buy = f"{START_MS + 1},BUY,LIMIT,IOC,1,42100,42050,FILLED,1,1"
    path = put(
        tmp_path, "BTCUSDT-liquidationSnapshot-2024-01-01.csv", SNAPSHOT, sell, sell, other, buy
    )
    parsed = parse_one(path)
    assert (parsed.symbol, parsed.timeframe) == ("BTCUSDT", "events")
    assert parsed.notes == ("1 rows repeat another exactly",)
    assert values(parsed.rows, "side") == ["long", "long", "short"]
    assert values(parsed.rows, "seq") == [0, 1, 0]
    assert values(parsed.rows, "price") == [41900.0, 41900.0, 42100.0]
    assert values(parsed.rows, "average_price") == [42000.0, 42000.0, 42050.0]
    assert values(parsed.rows, "notional") == [84000.0, 84000.0, 42050.0]
    assert micro(parsed.rows, "available_at") == [START, START, START + 1000]
    assert load(tmp_path, path).inserted == 3


def test_snapshot_without_header_but_with_symbol(tmp_path: Path) -> None:
    """Eleven columns without a header are a snapshot whose first column is the symbol."""
    line = f"BTCUSD_PERP,{START_MS},BUY,LIMIT,IOC,1,42100,42050,FILLED,1,1"
    with pytest.raises(InputError, match="no known shape"):
        parse_file(put(tmp_path, "x.csv", "a,b", "1,2"), options=ImportOptions())
    for name, lines in (("s.csv", (f"symbol,{SNAPSHOT}", line)), ("x.csv", (line,))):
        parsed = parse_one(put(tmp_path, name, *lines))
        assert (parsed.symbol, parsed.rows.num_rows) == ("BTCUSD_PERP", 1)


def test_forced_order_stream_of_two_symbols(tmp_path: Path) -> None:
    """A recorded stream of all symbols gives one series a symbol."""
    lines = [
        f"{symbol},{side},LIMIT,1,100,101,FILLED,2,{START_MS}"
        for symbol, side in (("BTCUSDT", "BUY"), ("ETHUSDT", "SELL"))
    ]
    path = put(tmp_path, "stream.csv", STREAM, *lines)
    found = parse_file(path, options=ImportOptions())
    assert [(p.symbol, values(p.rows, "side"), values(p.rows, "notional")) for p in found] == [
        ("BTCUSDT", ["short"], [202.0]),
        ("ETHUSDT", ["long"], [202.0]),
    ]
    assert parse_one(path, ImportOptions(symbol="ETHUSDT")).symbol == "ETHUSDT"


def test_side_of_no_meaning_is_set_aside(tmp_path: Path) -> None:
    """An order that neither buys nor sells is quarantined with the word in the reason."""
    lines = [f"{START_MS},HOLD,LIMIT,IOC,2,1,1,F,2,2", f"{START_MS},SELL,LIMIT,IOC,2,1,1,F,2,2"]
    path = put(tmp_path, "BTCUSDT-liquidationSnapshot-2024-01-01.csv", SNAPSHOT, *lines)
    report = load(tmp_path, path)
    assert report.reasons == {"side 'HOLD' is neither BUY nor SELL": 1}
    assert report.inserted == 1


def test_open_interest_snapshots(tmp_path: Path) -> None:
    """Recorded snapshots hold coins and value; they are known five minutes later."""
    path = put(tmp_path, "BTC_binance_5m.csv", "t,oi,oi_usd", f"{START_MS},89832.5,8064963864")
    with pytest.raises(InputError, match="give --symbol"):
        parse_file(path, options=ImportOptions())
    parsed = parse_one(path, ImportOptions(symbol="BTCUSDT"))
    assert values(parsed.rows, "oi_base") == [89832.5]
    assert values(parsed.rows, "oi_quote") == [8064963864.0]
    assert micro(parsed.rows, "available_at") == [START + 5 * MINUTE]


def test_index_price_klines_are_refused(tmp_path: Path) -> None:
    """An index triggers no liquidation, so its klines are neither bars nor mark prices."""
    path = put(tmp_path, "indexPriceKlines/BTCUSDT-1h-2024-01.csv", KLINES, kline(0))
    with pytest.raises(InputError, match="import markPriceKlines instead"):
        parse_file(path, options=ImportOptions())


def test_spot_is_a_venue_of_its_own(tmp_path: Path) -> None:
    """Spot and perpetual share their symbols: an archive in the spot folder is kept apart."""
    path = put(tmp_path, "spot/monthly/BTCUSDT-1h-2025-01.csv", kline(0, unit=1000))
    parsed = parse_one(path)
    assert (parsed.venue, parsed.symbol) == ("binance-spot", "BTCUSDT")
    assert "spot klines" in parsed.recognised
    assert parse_one(path, ImportOptions(venue="mine")).venue == "mine"


def test_microseconds_outside_the_spot_folder_are_pointed_out(tmp_path: Path) -> None:
    """Only spot archives are in microseconds, so that the user is asked whether it is one."""
    path = put(tmp_path, "BTCUSDT-1h-2025-01.csv", kline(0, unit=1000))
    assert parse_one(path).notes == (
        "only spot archives are in microseconds: is it --venue binance-spot?",
    )
    assert parse_one(path, ImportOptions(venue="binance")).notes == ()


def test_klines_of_other_programs(tmp_path: Path) -> None:
    """The twelve columns of a kline are known by their first seven, whatever the rest is called."""
    header = "open_time,open,high,low,close,volume,close_time,quote_asset_volume,number_of_trades,"
    header += "taker_buy_base_asset_volume,taker_buy_quote_asset_volume,unused"
    parsed = parse_one(put(tmp_path, "BTCUSDT.csv", header, kline(0), kline(1)))
    assert (parsed.table, parsed.timeframe) == ("bars", "1h")
    assert values(parsed.rows, "taker_buy_quote_volume") == [300.0, 300.0]


def test_book_depth_becomes_sides_and_distances(tmp_path: Path) -> None:
    """Percentages below 0 are bids; with two decimals or none a percent is a hundredth."""
    rows = ["-1.00,800.5,55000000.5", "1,700,49000000", "0.20,90,6100000", "0.00,1,1"]
    lines = ["timestamp,percentage,depth,notional", *(f"2024-01-01 00:00:07,{row}" for row in rows)]
    parsed = parse_one(put(tmp_path, "BTCUSDT-bookDepth-2024-01-01.csv", *lines))
    assert (parsed.table, parsed.venue, parsed.symbol) == ("depth", "binance", "BTCUSDT")
    assert micro(parsed.rows, "ts") == [START + 7_000_000] * 4
    assert micro(parsed.rows, "available_at") == [START + 7_000_000] * 4
    assert values(parsed.rows, "side") == ["bid", "ask", "ask", "ask"]
    assert values(parsed.rows, "distance") == [0.01, 0.01, 0.002, 0.0]
    assert values(parsed.rows, "notional")[0] == 55000000.5
    (report,) = store(Lake(tmp_path / "lake"), [parsed])
    assert report.inserted == 3
    assert report.reasons == {"distance is not between 0 and 1": 1}


def test_depth_of_coin_margined_books_is_refused(tmp_path: Path) -> None:
    """Its unit is not documented, so that no figure could be trusted."""
    lines = ["timestamp,percentage,depth,notional", "2024-01-01 00:00:07,1,800,55"]
    path = put(tmp_path, "BTCUSD_PERP-bookDepth-2024-01-01.csv", *lines)
    with pytest.raises(InputError, match="only USD-M files can be imported"):
        parse_file(path, options=ImportOptions())
