"""Symbols in files' names: one coin's file never enters another's series."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources._names import same_instrument, symbol_in_name
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import OHLCV, bar, parse_one, put


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("ETHUSDT_um_5m.parquet", "BTCUSDT"),
        ("ethusdt-5m.csv", "BTCUSDT"),
        ("ETH_binance_5m.csv", "BTCUSDT"),
        ("oi_eth_5m.csv", "BTCUSDT"),
        ("BTCUSDC_1h.csv", "BTCUSDT"),
        ("1000PEPEUSDT-5m.csv", "PEPEUSDT"),
        ("BTCUSD_PERP-liquidationSnapshot-2024-01-01.csv", "BTCUSDT"),
    ],
)
def test_file_of_another_symbol_is_refused(tmp_path: Path, name: str, symbol: str) -> None:
    """A file whose name carries another symbol than the one asked for is not read."""
    path = put(tmp_path, name, OHLCV, bar(0), bar(1))
    with pytest.raises(InputError, match=rf"its name says \S+, not {symbol}"):
        parse_file(path, options=ImportOptions(venue="binance", symbol=symbol))


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT_um_5m.csv", "BTCUSDT"),
        ("BTCUSDT_um_5m.csv", "BTC"),
        ("BTC_binance_5m.csv", "BTCUSDT"),
        ("BTC_ETH_all.csv", "ETHUSDT"),
        ("my_own_bars.csv", "BTCUSDT"),
        ("OI_4h_USDT.csv", "BTCUSDT"),
        ("btc-usdt.csv", "BTC-USDT-SWAP"),
    ],
)
def test_file_of_the_same_or_no_symbol_is_read(tmp_path: Path, name: str, symbol: str) -> None:
    """The coin alone, its pair, several coins with it, or none: all may hold the symbol."""
    path = put(tmp_path, name, OHLCV, bar(0), bar(1))
    assert parse_one(path, ImportOptions(venue="binance", symbol=symbol)).symbol == symbol


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT_um_5m.csv", "BTCUSDT"),
        ("spot-ethusdt-1h.csv", "ETHUSDT"),
        ("BTCUSD_PERP.csv", "BTCUSD_PERP"),
        ("BTCUSDT_BTCUSDT.csv", "BTCUSDT"),
        ("BTCUSDT_ETHUSDT.csv", None),
        ("BTC_binance.csv", None),
        ("USDT.csv", None),
        ("oi_usd_1h.csv", None),
    ],
)
def test_symbol_is_taken_from_an_unambiguous_name(name: str, symbol: str | None) -> None:
    """One pair in the name is the symbol; two, or a coin without its quote, are none."""
    assert symbol_in_name(Path(name)) == symbol


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("BTCUSDT", "BTC", True),
        ("BTCUSDT", "BTC-USDT-SWAP", True),
        ("BTCUSDT", "BTCUSDT_PERP.A", True),
        ("BTCUSDT", "BTCUSD_PERP", False),
        ("BTCUSDT", "BTC-USDC", False),
        ("WBTCUSDT", "BTCUSDT", False),
        ("日本", "BTCUSDT", False),
        ("", "BTCUSDT", False),
    ],
)
def test_same_instrument(one: str, other: str, same: bool) -> None:
    """Two symbols agree where base and quote do, as far as both say them; the order is no matter."""
    assert same_instrument(one, other) is same
    assert same_instrument(other, one) is same
