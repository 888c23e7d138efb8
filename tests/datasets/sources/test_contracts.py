"""Contracts: amounts that are no coins are turned into them, or refused; never taken for coins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources._contracts import COINS, Contract, contract_of
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import (
    HOUR_MS,
    KLINES,
    METRICS,
    OHLCV,
    SNAPSHOT,
    START_MS,
    STREAM,
    bar,
    load,
    parse_one,
    put,
    values,
)

FILE = Path("f.csv")
HUNDRED_USD = Contract(of="quote", size=100.0)


def coin_margined(hour: int) -> str:
    """Return a COIN-M kline: 840 contracts of 100 USD at 42,000 are 2 BTC; takers bought half."""
    opens = START_MS + hour * HOUR_MS
    return f"{opens},42000,42000,42000,42000,840,{opens + HOUR_MS - 1},2,12,420,1,0"


@pytest.mark.parametrize(
    ("venue", "symbol", "options", "contract"),
    [
        ("binance", "BTCUSDT", ImportOptions(), COINS),
        ("binance", "BTCUSD_PERP", ImportOptions(), HUNDRED_USD),
        ("binance", "BTCUSD_240628", ImportOptions(), HUNDRED_USD),
        ("binance", "ETHUSD_PERP", ImportOptions(), Contract(of="quote", size=10.0)),
        (
            "binance",
            "XUSD_PERP",
            ImportOptions(contract_value=1.0),
            Contract(of="quote", size=1.0),
        ),
        ("bybit", "BTCUSDT", ImportOptions(), COINS),
        ("bybit", "BTCUSD", ImportOptions(), Contract(of="quote", size=1.0)),
        ("bybit", "BTCUSDH25", ImportOptions(), Contract(of="quote", size=1.0)),
        (
            "okx",
            "BTC-USDT-SWAP",
            ImportOptions(contract_value=0.01),
            Contract(of="coins", size=0.01),
        ),
        ("okx", "BTC-USD-SWAP", ImportOptions(contract_value=100.0), HUNDRED_USD),
        ("bitmex", "XBTUSD", ImportOptions(unit="usd"), Contract(of="quote", size=1.0)),
        ("anyone", "BTCUSDT", ImportOptions(unit="coins"), COINS),
    ],
)
def test_unit_is_known_or_told(
    venue: str, symbol: str, options: ImportOptions, contract: Contract
) -> None:
    """Coins for linear contracts of venues that count in them; else what the venue or user says."""
    assert contract_of(FILE, venue, symbol, options) == contract


@pytest.mark.parametrize(
    ("venue", "symbol", "value", "message"),
    [
        ("okx", "BTC-USDT-SWAP", None, "f.csv: amounts of okx BTC-USDT-SWAP can be contracts"),
        ("deribit", "BTC-PERPETUAL", 10.0, "or --unit coins or usd"),
        ("okx", "BTC-USDT-SWAP", 0.0, "--contract-value 0 is not a positive number"),
        ("okx", "BTC-USDT-SWAP", float("nan"), "--contract-value nan is not"),
    ],
)
def test_unknown_unit_is_refused(
    venue: str, symbol: str, value: float | None, message: str
) -> None:
    """A unit that nobody says is an error that names the option, not a guess."""
    with pytest.raises(InputError, match=message):
        contract_of(FILE, venue, symbol, ImportOptions(contract_value=value))


def test_amounts_of_both_kinds() -> None:
    """3 contracts: of 0.01 coins at 50,000 worth 1,500; of 100 USD at 50,000 make 0.006 coins."""
    units, price = np.array([3.0]), np.array([50_000.0])
    quantity, value = Contract(of="coins", size=0.01).amounts(units, price)
    assert (quantity[0], value[0]) == (pytest.approx(0.03), pytest.approx(1500.0))
    quantity, value = HUNDRED_USD.amounts(units, price)
    assert (quantity[0], value[0]) == (pytest.approx(0.006), 300.0)


@pytest.mark.parametrize("symbol", [None, "BTCUSD"])
def test_coin_margined_klines(tmp_path: Path, symbol: str | None) -> None:
    """COIN-M bars hold contracts and coins; they are stored as coins and dollars, by any name."""
    path = put(tmp_path, "BTCUSD_PERP-1h-2024-01.csv", KLINES, coin_margined(0), coin_margined(1))
    parsed = parse_one(path, ImportOptions(symbol=symbol))
    assert parsed.symbol == (symbol or "BTCUSD_PERP")
    assert values(parsed.rows, "volume") == [2.0, 2.0]
    assert values(parsed.rows, "quote_volume") == [84_000.0, 84_000.0]
    assert values(parsed.rows, "taker_buy_volume") == [1.0, 1.0]
    assert values(parsed.rows, "taker_buy_quote_volume") == [42_000.0, 42_000.0]
    assert "contracts of 100 USD each" in parsed.notes[0]


def test_contracts_under_a_linear_name_are_refused(tmp_path: Path) -> None:
    """Bars whose value is far from volume times price are refused, whatever the file is called."""
    path = put(tmp_path, "x.csv", KLINES, coin_margined(0), coin_margined(1))
    with pytest.raises(InputError, match="its volume is in contracts"):
        parse_file(path, options=ImportOptions(symbol="BTCUSDT"))


@pytest.mark.parametrize("in_column", [False, True])
@pytest.mark.parametrize("symbol", [None, "BTCUSD"])
def test_coin_margined_liquidations(tmp_path: Path, symbol: str | None, *, in_column: bool) -> None:
    """420 contracts of 100 USD at 42,000 are one coin: 42,000 USD, not 17.6 million."""
    line = f"{START_MS},SELL,LIMIT,IOC,420,41900,42000,FILLED,420,420"
    header = f"symbol,{SNAPSHOT}" if in_column else SNAPSHOT
    name = "x.csv" if in_column else "BTCUSD_PERP-liquidationSnapshot-2024-01-01.csv"
    path = put(tmp_path, name, header, f"BTCUSD_PERP,{line}" if in_column else line)
    parsed = parse_one(path, ImportOptions(symbol=symbol))
    assert values(parsed.rows, "notional") == [42_000.0]
    assert values(parsed.rows, "quantity") == [1.0]
    assert load(tmp_path, path, ImportOptions(symbol=symbol)).inserted == 1


def test_stream_of_both_margins(tmp_path: Path) -> None:
    """In a recording of all symbols only the COIN-M ones are contracts."""
    lines = [
        f"{symbol},BUY,LIMIT,42,42000,42000,FILLED,42,{START_MS}"
        for symbol in ("BTCUSDT", "BTCUSD_PERP")
    ]
    found = parse_file(put(tmp_path, "s.csv", STREAM, *lines), options=ImportOptions())
    assert {p.symbol: values(p.rows, "notional") for p in found} == {
        "BTCUSDT": [1_764_000.0],
        "BTCUSD_PERP": [4_200.0],
    }


def test_coin_margined_metrics(tmp_path: Path) -> None:
    """COIN-M open interest is in contracts, its value in coins."""
    line = "2024-01-15 00:05:00,BTCUSD_PERP,420000,1000,1,1,1,1"
    path = put(tmp_path, "BTCUSD_PERP-metrics-2024-01-15.csv", METRICS, line)
    interest = parse_file(path, options=ImportOptions())[0]
    assert values(interest.rows, "oi_base") == [1000.0]
    assert values(interest.rows, "oi_quote") == [42_000_000.0]


@pytest.mark.parametrize("header", [OHLCV, KLINES])
def test_moves_without_volume_are_no_trades(tmp_path: Path, header: str) -> None:
    """Mark prices under a name that does not say so are refused as bars, and taken when told."""
    if header == OHLCV:
        lines = [bar(i, "100,110,90,105,0") for i in range(2)]
    else:
        opens = [START_MS + i * HOUR_MS for i in range(2)]
        lines = [f"{t},100,110,90,105,0,{t + HOUR_MS - 1},0,3600,0,0,0" for t in opens]
    path = put(tmp_path, "BTCUSDT-1h-2024-01.csv", header, *lines)
    with pytest.raises(InputError, match="give --table mark_bars"):
        parse_file(path, options=ImportOptions(venue="binance"))
    parsed = parse_one(path, ImportOptions(venue="binance", table="mark_bars"))
    assert parsed.table == "mark_bars"
    assert values(parsed.rows, "high") == [110.0, 110.0]


def test_a_market_without_trades_is_bars(tmp_path: Path) -> None:
    """Hours in which nothing was traded and nothing moved are bars like others."""
    path = put(tmp_path, "BTCUSDT_1h.csv", OHLCV, *[bar(i, "100,100,100,100,0") for i in range(2)])
    assert parse_one(path, ImportOptions(venue="binance")).table == "bars"
