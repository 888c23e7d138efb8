"""Running `liqtiers data fetch` against a server on loopback."""

from __future__ import annotations

from pathlib import Path

from bad_server import Served
from liqtiers.datasets.lake import Lake
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build
from source_files import KLINES, METRICS, kline, zip_bytes

BINANCE = "/data/futures/um"


def fetch(served: Served, source: str, symbol: str, *words: str) -> int:
    """Run the command with short waits, and return its exit code."""
    quick = ["--wait", "0.01", "--attempts", "3", "--timeout", "5", "--url", served.url]
    return run(build(), ["data", "fetch", source, symbol, *quick, *words], program="liqtiers")


def stored(workspace: Path) -> dict[str, int]:
    """Rows of each stored series by its name."""
    return {
        ":".join(filter(None, (s.table, s.venue, s.symbol, s.timeframe))): s.rows
        for s in Lake(workspace / "lake").series()
    }


def klines_zip(first_hour: int, hours: int, *, header: str = KLINES, inner: str = "k.csv") -> bytes:
    """Return a zip of hourly klines, counted from 2024-01-01."""
    lines = [header, *(kline(first_hour + i) for i in range(hours))]
    return zip_bytes((inner, "\n".join(lines) + "\n"))


def put_day(served: Served, day: int) -> str:
    """Put a day of January 2024 of hourly klines, and return its path."""
    path = f"{BINANCE}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01-{day:02d}.zip"
    served.put(path, klines_zip(24 * (day - 1), 24))
    return path


def put_month(served: Served) -> str:
    """Put January 2024 of hourly klines, and return its path."""
    path = f"{BINANCE}/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip"
    served.put(path, klines_zip(0, 24 * 31))
    return path


def put_metrics(served: Served, day: int) -> str:
    """Put a day of metrics, and return its path."""
    path = f"{BINANCE}/daily/metrics/BTCUSDT/BTCUSDT-metrics-2024-01-{day:02d}.zip"
    row = f"2024-01-{day:02d} 00:05:00,BTCUSDT,80000.5,3400000000.1,1.9,1.2,1.8,0.9"
    served.put(path, zip_bytes(("m.csv", f"{METRICS}\n{row}\n")))
    return path
