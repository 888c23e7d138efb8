"""How long files take into the lake, against plain pyarrow reading of the same csv.

A year of Binance's monthly archives of one-minute klines, and a quarter of daily ones, are made in a
temporary folder: zips of csv. Contenders run in turn, in interleaved rounds: our import into an empty lake
(checked, merged, synced to the disk), and pyarrow reading the csv out of the zips into memory. Printed are
medians and their ratio, and what importing adds to a process at its peak. What was stored is compared with
what pyarrow read before anything is timed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from bench_panel_query import medians
from pyarrow import csv

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from liqtiers.datasets.importing import import_file
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.query import read
from liqtiers.datasets.sources.parsed import ImportOptions
from process_memory import peak_mb

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)
MINUTE_MS = 60_000
ONE_MINUTE = {"venue": "binance", "symbol": "BTCUSDT", "timeframe": "1m"}
LABELS = {"monthly": "%Y-%m", "daily": "%Y-%m-%d"}


def make_file(folder: Path, begin: datetime, end: datetime, label: str, seed: int) -> Path:
    """Write one archive as Binance does: a random walk of one-minute klines."""
    rng = np.random.default_rng([seed, int(begin.timestamp())])
    opens = np.arange(int(begin.timestamp()) * 1000, int(end.timestamp()) * 1000, MINUTE_MS)
    close = 30_000.0 * np.exp(np.cumsum(rng.normal(0.0, 5e-4, len(opens))))
    volume = rng.exponential(40.0, len(opens))
    lines = [
        f"{ts},{p:.2f},{p * 1.001:.2f},{p * 0.999:.2f},{p:.2f},{v:.3f},{ts + MINUTE_MS - 1},"
        f"{p * v:.4f},{900 + ts % 700},{v / 2:.3f},{p * v / 2:.4f},0"
        for ts, p, v in zip(opens.tolist(), close.tolist(), volume.tolist(), strict=True)
    ]
    path = folder / f"BTCUSDT-1m-{begin:{label}}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{path.stem}.csv", "\n".join([HEADER, *lines, ""]))
    return path


def make_files(folder: Path, kind: str, count: int, seed: int) -> list[Path]:
    """Write so many archives, a month or a day each."""
    folder.mkdir()
    files, begin = [], BEGIN
    for _ in range(count):
        ahead = begin + timedelta(days=32 if kind == "monthly" else 1)
        end = ahead.replace(day=1) if kind == "monthly" else ahead
        files.append(make_file(folder, begin, end, LABELS[kind], seed))
        begin = end
    return files


def by_import(files: list[Path]) -> None:
    """Import files into a lake that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Lake(Path(folder) / "lake"), files)


def fill(lake: Lake, files: list[Path]) -> None:
    """Import files."""
    for path in files:
        import_file(lake, path, source="auto", options=ImportOptions())


def by_pyarrow(files: list[Path]) -> pa.Table:
    """Return the csv of all files as pyarrow reads it."""
    tables = []
    for path in files:
        with zipfile.ZipFile(path) as archive:
            [name] = archive.namelist()
            tables.append(csv.read_csv(io.BytesIO(archive.read(name))))
    return pa.concat_tables(tables)


def check(files: list[Path]) -> int:
    """Compare what is stored with what pyarrow reads; return the number of rows."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        fill(lake, files)
        stored, plain = read(lake, "bars", **ONE_MINUTE), by_pyarrow(files)
    for ours, theirs in (("close", "close"), ("volume", "volume"), ("trades", "count")):
        np.testing.assert_array_equal(stored[ours].to_numpy(), plain[theirs].to_numpy())
    return int(stored.num_rows)


def added_mb(files: list[Path]) -> float:
    """Return by how much an import raises the peak memory of a process, MB."""
    command = [sys.executable, __file__, "--alone", *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def alone(files: list[Path]) -> None:
    """Import in this process and print what it added at its peak, MB."""
    by_import(files[:1])
    before = peak_mb()
    by_import(files)
    print(peak_mb() - before)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--months", type=int, default=12, help="monthly archives")
    parser.add_argument("--days", type=int, default=90, help="daily archives")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--seed", type=int, default=1, help="seed of the synthetic prices")
    parser.add_argument("--alone", nargs="+", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(arguments.alone)
        return
    results: dict[str, object] = {"benchmark": "import"}
    with tempfile.TemporaryDirectory() as folder:
        for kind, count in (("monthly", arguments.months), ("daily", arguments.days)):
            files = make_files(Path(folder) / kind, kind, count, arguments.seed)
            rows = check(files)
            taken = medians(
                {"import": lambda f=files: by_import(f), "pyarrow": lambda f=files: by_pyarrow(f)},
                arguments.rounds,
            )
            ratio, peak = taken["import"] / taken["pyarrow"], added_mb(files)
            print(
                f"{count} {kind} archives, {rows:,} rows: import {taken['import']:.2f} s = {ratio:.2f} "
                f"times pyarrow alone ({taken['pyarrow']:.2f} s); {rows / taken['import']:,.0f} rows a "
                f"second; peak memory +{peak:.0f} MB"
            )
            results[kind] = {
                "files": count,
                "rows": rows,
                "import_s": round(taken["import"], 3),
                "pyarrow_s": round(taken["pyarrow"], 3),
                "import_to_pyarrow": round(ratio, 2),
                "peak_mb": round(peak, 1),
            }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
