"""Files in the shapes of exchanges and vendors, made by the tests; and a lake to put them in."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from liqtiers.datasets.lake import Lake, WriteReport
from liqtiers.datasets.sources.parsed import ImportOptions, Parsed
from liqtiers.datasets.sources.registry import parse_file

HOUR_MS: Final = 3_600_000
START_MS: Final = 1_704_067_200_000  # 2024-01-01, a Monday
BTC: Final = ImportOptions(venue="binance", symbol="BTCUSDT")

KLINES: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)
METRICS: Final = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
FUNDING: Final = "calc_time,funding_interval_hours,last_funding_rate"
SNAPSHOT: Final = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
    "last_fill_quantity,accumulated_fill_quantity"
)
STREAM: Final = "symbol,side,type,qty,price,avg_price,status,accum_qty,trade_time_ms"
TARDIS: Final = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
HYPERLIQUID: Final = "ts,coin,current_price,side,price,value_usd"
OHLCV: Final = "timestamp,open,high,low,close,volume"


def kline(
    hour: int,
    *,
    unit: int = 1,
    low: object = 90,
    high: object = 110,
    close: object = 105,
    volume: object = 7,
    step: int = HOUR_MS,
    late: int = 0,
) -> str:
    """One line of a kline file; `unit` is 1 for milliseconds and 1000 for microseconds."""
    opens = (START_MS + hour * step + late) * unit
    closes = opens + step * unit - 1
    return f"{opens},100,{high},{low},{close},{volume},{closes},700,12,3,300,0"


def bar(hour: int, values: str = "100,110,90,105,7") -> str:
    """One line of a plain bar file."""
    return f"2024-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00,{values}"


def put(folder: Path, name: str, *lines: str) -> Path:
    """Write lines as a file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def zipped(folder: Path, name: str, *members: tuple[str, str]) -> Path:
    """Write a zip of (name inside, content)."""
    path = folder / name
    path.write_bytes(zip_bytes(*members))
    return path


def zip_bytes(*members: tuple[str, str]) -> bytes:
    """Return a zip of (name inside, content)."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, text in members:
            archive.writestr(zipfile.ZipInfo(inner), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def parse_one(path: Path, options: ImportOptions | None = None, *, source: str = "auto") -> Parsed:
    """Parse a file that holds one series."""
    [parsed] = parse_file(path, source=source, options=options or ImportOptions())
    return parsed


def store(lake: Lake, found: Sequence[Parsed], source: str = "f") -> list[WriteReport]:
    """Write parsed series into a lake."""
    return [
        lake.write(
            p.table, p.rows, venue=p.venue, symbol=p.symbol, timeframe=p.timeframe, source=source
        )
        for p in found
    ]


def load(folder: Path, path: Path, options: ImportOptions | None = None) -> WriteReport:
    """Import a file that holds one series and return the report."""
    [report] = store(Lake(folder / "lake"), [parse_one(path, options)], path.name)
    return report


def micro(rows: pa.Table, name: str) -> list[int]:
    """Return a column of times in UTC microseconds."""
    values: list[int] = rows[name].cast(pa.int64()).to_pylist()
    return values


def values(rows: pa.Table, name: str) -> list[Any]:
    """Return a column as a list."""
    found: list[Any] = rows[name].to_pylist()
    return found
