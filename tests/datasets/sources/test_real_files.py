"""Real exports beside the checkout: each market file is recognised and stored, the others refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import store

BINANCE: Final[dict[str, Any]] = {"venue": "binance"}
BTC: Final[dict[str, Any]] = {"venue": "binance", "symbol": "BTCUSDT"}
ETH: Final[dict[str, Any]] = {"venue": "binance", "symbol": "ETHUSDT"}
ALL: Final[dict[str, Any]] = {"venue": "all", "symbol": "BTC"}
COINS: Final[dict[str, Any]] = {"venue": "all"}

# Rows as the data's own README counts them; where it does not, lines of the file without its header,
# less the 24 and 21 bars marked as filled in; twice the rows where a row has both sides.
FILES: Final[list[tuple[str, dict[str, Any], str, str | None, int]]] = [
    ("bars/BTCUSDT_um_1m.parquet", BINANCE, "bars", "1m", 73_139),
    ("bars/BTCUSDT_um_5m.parquet", BINANCE, "bars", "5m", 329_964 - 24),
    ("bars/BTCUSDT_um_15m.parquet", BINANCE, "bars", "15m", 110_880),
    ("bars/BTCUSDT_um_1h.parquet", BINANCE, "bars", "1h", 56_767),
    ("bars/BTCUSDT_um_mark_1h.parquet", BINANCE, "mark_bars", "1h", 54_229),
    ("bars/ETHUSDT_um_5m.parquet", BINANCE, "bars", "5m", 145_932 - 21),
    ("bars/ETHUSDT_um_15m.parquet", BINANCE, "bars", "15m", 75_840),
    ("bars/ETHUSDT_um_1h.parquet", BINANCE, "bars", "1h", 54_857),
    ("bars/ETHUSDT_um_mark_1h.parquet", BINANCE, "mark_bars", "1h", 54_229),
    ("bars/BTCUSDT_spot_1h.csv", {"venue": "binance-spot"}, "bars", "1h", 43_020),
    ("bars/BTCUSDT_spot_1d.csv", {"venue": "binance-spot"}, "bars", "1d", 2_156),
    ("open_interest/BTC_binance_5m.csv", BTC, "open_interest", None, 25_919),
    ("open_interest/ETH_binance_5m.csv", ETH, "open_interest", None, 25_919),
    ("open_interest/BTC_all_venues_4h.csv", ALL, "open_interest", None, 2_785),
    ("liquidations/BTC_three_venues_1h.csv", ALL, "liquidations", "1h", 2 * 2_346),
    ("liquidations/BTC_binance_4h.csv", BTC, "liquidations", "4h", 2 * 2_833),
    (
        "liquidations/BTCUSDT_binance_forceorder_2024-12.csv",
        {},
        "liquidations",
        "events",
        1_844,
    ),
    ("funding/BTCUSDT_binance.parquet", BINANCE, "funding", None, 7_091),
    ("funding/ETHUSDT_binance.parquet", BINANCE, "funding", None, 6_857),
    ("vendor/coinglass/funding_1d.csv", ALL, "funding", None, 2_161),
    ("vendor/coinglass/funding_4h.csv", ALL, "funding", None, 873),
    ("vendor/coinglass/oi_1d.csv", ALL, "open_interest", None, 2_194),
    ("vendor/coinglass/oi_4h.csv", ALL, "open_interest", None, 873),
    ("vendor/coinglass/liquidation_4h.csv", ALL, "liquidations", "4h", 2 * (873 - 1)),
    ("vendor/coinglass/taker_volume_4h.csv", ALL, "positioning", None, 873),
    ("vendor/coinglass/top_ls_1d.csv", ALL, "positioning", None, 2_115),
]


@pytest.mark.parametrize(
    ("name", "given", "table", "timeframe", "rows"), FILES, ids=[f[0] for f in FILES]
)
def test_file_of_one_series_is_stored(
    real_data: Path,
    tmp_path: Path,
    name: str,
    given: dict[str, Any],
    table: str,
    timeframe: str | None,
    rows: int,
) -> None:
    """A market file is recognised by its content, and every row is stored or set aside."""
    [parsed] = parse_file(real_data / name, options=ImportOptions(**given))
    assert (parsed.table, parsed.timeframe, parsed.rows.num_rows) == (table, timeframe, rows)
    assert parsed.symbol in (given.get("symbol"), Path(name).name[:7])
    if rows > 60_000:
        return  # storing the same shape with fewer rows is enough
    [report] = store(Lake(tmp_path / "lake"), [parsed], name)
    assert report.inserted + report.repeated + report.quarantined == rows
    assert report.quarantined <= rows // 50, report.reasons


@pytest.mark.parametrize(
    ("name", "table", "symbols"),
    [
        ("vendor/coinglass_daily/funding_oi_weight_1d.csv", "funding", 2),
        ("vendor/coinglass_daily/futures_ohlcv_1d.csv", "bars", 2),
        ("vendor/coinglass_daily/futures_oi_agg_1d.csv", "open_interest", 2),
        ("vendor/coinglass_daily/liquidation_agg_1d.csv", "liquidations", 2),
        ("vendor/coinglass_daily/long_short_all_1d.csv", "positioning", 2),
        ("vendor/coinglass_daily/taker_vol_agg_futures_1d.csv", "positioning", 2),
        ("vendor/venues/liquidation_volume.parquet", "liquidations", 2),
        ("vendor/venues/candles.parquet", "bars", 2),
        ("vendor/venues/funding_rates.parquet", "funding", 2),
        ("vendor/venues/open_interest.parquet", "open_interest", 2),
    ],
)
def test_file_of_several_series_is_stored(
    real_data: Path, tmp_path: Path, name: str, table: str, symbols: int
) -> None:
    """A file of two coins, or of seven venues of them, gives a series each."""
    path = real_data / name
    venue = None if path.name in _BY_VENUE else "all"
    found = parse_file(path, options=ImportOptions(venue=venue))
    assert {p.table for p in found} == {table}
    assert len({p.symbol for p in found}) == symbols
    assert len(found) == symbols * (1 if venue else 7)
    reports = store(Lake(tmp_path / "lake"), found, path.name)
    rows = sum(r.rows for r in reports)
    assert sum(r.quarantined for r in reports) <= rows // 20
    assert sum(r.inserted for r in reports) > 0.9 * rows


def test_liquidations_begin_where_there_is_data(real_data: Path) -> None:
    """Zeros before 2020-12-23 in the daily liquidations mean no data and are left out."""
    path = real_data / "vendor/coinglass_daily/liquidation_agg_1d.csv"
    for parsed in parse_file(path, options=ImportOptions(**COINS)):
        assert min(parsed.rows["ts"].to_pylist()).date().isoformat() >= "2020-12-23"
        assert "mean no data" in parsed.notes[0]


@pytest.mark.parametrize(
    ("name", "at", "venues"),
    [
        ("coinank_liqmap", "2026-03-03T12:02", False),
        ("coinank_aggliqmap", "2026-03-03T11:58", True),
    ],
)
def test_vendor_maps_are_stored(
    real_data: Path, tmp_path: Path, name: str, at: str, venues: bool
) -> None:
    """The vendor's maps have longs below shorts, and all of it is stored."""
    options = ImportOptions(symbol="BTCUSDT", at=at)
    [parsed] = parse_file(real_data / f"maps/{name}.json", options=options)
    assert ("venues" in parsed.recognised) is venues
    [report] = store(Lake(tmp_path / "lake"), [parsed], name)
    assert report.quarantined == 0
    assert report.inserted == report.rows > 100
    prices: dict[str, list[float]] = {"long": [], "short": []}
    for side, price in zip(
        parsed.rows["side"].to_pylist(), parsed.rows["price_low"].to_pylist(), strict=True
    ):
        prices[side].append(price)
    assert max(prices["long"]) < min(prices["short"])


def test_real_positions_are_stored(real_data: Path, tmp_path: Path) -> None:
    """Hyperliquid's top traders: every row of every coin arrives."""
    path = real_data / "maps/hyperliquid_top_traders.csv.gz"
    found = parse_file(path, options=ImportOptions())
    assert sum(p.rows.num_rows for p in found) == 4_651
    reports = store(Lake(tmp_path / "lake"), found, path.name)
    assert sum(r.inserted + r.repeated + r.quarantined for r in reports) == 4_651
    assert sum(r.inserted for r in reports) > 0.95 * 4_651


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("README.md", "no known shape"),
        ("brackets/binance_um_history.csv", "no known shape"),
        ("brackets/binance_um_leverage_brackets_2024-10.json", "is JSON, but no response"),
        ("brackets/liquidation_price_vectors.json", "is JSON, but no response"),
        ("bars/ETHUSDT_um_5m.parquet", "its name says ETHUSDT, not BTCUSDT"),
        ("open_interest/ETH_binance_5m.csv", "its name says ETH, not BTCUSDT"),
    ],
)
def test_what_is_no_market_file_of_the_symbol_is_refused(
    real_data: Path, name: str, message: str
) -> None:
    """Files of another kind or coin are refused with the reason."""
    with pytest.raises(InputError, match=message):
        parse_file(real_data / name, options=ImportOptions(**BTC))


def test_no_file_is_left_out_of_these_tests(real_data: Path) -> None:
    """Every data file that stands beside the checkout is named in this module."""
    source = Path(__file__).read_text()
    names = [p.name.split(".")[0] for p in real_data.rglob("*.*") if p.is_file()]
    assert [name for name in names if name not in source] == []


_BY_VENUE: Final = ("candles.parquet", "funding_rates.parquet", "open_interest.parquet")
