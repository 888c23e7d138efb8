"""How long a panel takes to load, against a hand-written query and pandas on the same files.

A synthetic lake is written to a temporary folder: bars of five minutes, open interest and funding.
Each contender then makes the same bars from the same parquet files, in interleaved rounds; what is
printed are medians and their ratios, which hold better than seconds from machine to machine. The
results are compared before anything is timed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from liqtiers.datasets._bars import resample
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.naming import timeframe_us
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.query import partition_files
from liqtiers.datasets.schemas import TIMESTAMP

BTC = {"venue": "binance", "symbol": "BTCUSDT"}
STORED = "5m"
START_US = 1_672_531_200_000_000  # 2023-01-01, a Sunday

AS_STORED = """
    SELECT epoch_us(ts) AS ts, open, high, low, close, volume, quote_volume, taker_buy_volume
    FROM read_parquet($files) ORDER BY ts
"""
RESAMPLED = """
    SELECT epoch_us(ts) // $step * $step AS bucket, arg_min(open, ts) AS open, max(high) AS high,
           min(low) AS low, arg_max(close, ts) AS close, sum(volume) AS volume,
           sum(quote_volume) AS quote_volume, sum(taker_buy_volume) AS taker_buy_volume
    FROM read_parquet($files) GROUP BY bucket ORDER BY bucket
"""
HOW = {
    "open": "first",
    "high": "max",
    "low": "min",
    "close": "last",
    **dict.fromkeys(("volume", "quote_volume", "taker_buy_volume"), "sum"),
}


def make_lake(root: Path, bars: int, seed: int) -> Lake:
    """Write the synthetic lake: a random walk with open interest and funding."""
    rng = np.random.default_rng(seed)
    step = timeframe_us(STORED)
    opens = START_US + np.arange(bars, dtype=np.int64) * step
    close = 30_000.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, bars)))
    volume = rng.exponential(50.0, bars)
    rows = {
        "open": close,
        "high": close * 1.001,
        "low": close * 0.999,
        "close": close,
        "volume": volume,
        "quote_volume": volume * close,
        "taker_buy_volume": volume * rng.uniform(0.0, 1.0, bars),
    }
    lake = Lake(root)
    put(lake, "bars", opens, opens + step, timeframe=STORED, **rows)
    put(lake, "open_interest", opens, opens, oi_base=rng.uniform(9e4, 1e5, bars))
    settled = opens[::96]
    put(lake, "funding", settled, settled, rate=rng.normal(0.0, 1e-4, len(settled)))
    return lake


def put(
    lake: Lake,
    table: str,
    ts: np.ndarray,
    available: np.ndarray,
    *,
    timeframe: str | None = None,
    **columns: np.ndarray,
) -> None:
    """Write arrays into the lake."""
    times = {"ts": pa.array(ts, TIMESTAMP), "available_at": pa.array(available, TIMESTAMP)}
    lake.write(table, pa.table({**times, **columns}), **BTC, timeframe=timeframe)


def by_hand(files: Sequence[str], timeframe: str) -> pd.DataFrame:
    """Return the bars as someone who knows the files would ask DuckDB for them."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        bound: dict[str, object] = {"files": list(files)}
        if timeframe == STORED:
            return connection.sql(AS_STORED, params=bound).to_arrow_table().to_pandas()
        bound["step"] = timeframe_us(timeframe)
        return connection.sql(RESAMPLED, params=bound).to_arrow_table().to_pandas()


def by_pandas(files: Sequence[str], timeframe: str) -> pd.DataFrame:
    """Return the bars as pandas makes them."""
    columns = ["ts", *HOW]
    frame = pd.concat([pd.read_parquet(path, columns=columns) for path in files])
    frame = frame.sort_values("ts").set_index("ts")
    if timeframe == STORED:
        return frame
    return frame.resample(pd.Timedelta(timeframe_us(timeframe), "us")).agg(HOW)


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return each contender's median time in seconds; every round runs all of them in turn."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            begin = time.perf_counter()
            contender()
            taken[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in taken.items()}


def compare(lake: Lake, timeframe: str, rounds: int) -> dict[str, float]:
    """Time the contenders at one timeframe, after checking that their bars are equal."""
    paths = partition_files(lake, "bars", **BTC, timeframe=STORED)
    files = [str(lake.root / path) for path in paths]
    contenders: dict[str, Callable[[], object]] = {
        "panel": lambda: load_panel(lake, **BTC, timeframe=timeframe),
        "bars": lambda: resample(lake, "bars", **BTC, timeframe=timeframe),
        "by_hand": lambda: by_hand(files, timeframe),
        "pandas": lambda: by_pandas(files, timeframe),
    }
    panel = load_panel(lake, **BTC, timeframe=timeframe)
    for frame in (by_hand(files, timeframe), by_pandas(files, timeframe)):
        for name in ("open", "high", "low", "close"):
            np.testing.assert_array_equal(
                getattr(panel, name), frame[name].to_numpy()[: len(panel)]
            )
    return medians(contenders, rounds)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--bars", type=int, default=330_000, help="five-minute bars in the lake")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--seed", type=int, default=1, help="seed of the synthetic prices")
    arguments = parser.parse_args()
    results: dict[str, object] = {"benchmark": "panel_query", "bars": arguments.bars}
    with tempfile.TemporaryDirectory() as folder:
        lake = make_lake(Path(folder) / "lake", arguments.bars, arguments.seed)
        for timeframe in (STORED, "1h"):
            taken = compare(lake, timeframe, arguments.rounds)
            against_hand = taken["bars"] / taken["by_hand"]
            against_pandas = taken["bars"] / taken["pandas"]
            print(
                f"{timeframe}: panel {taken['panel']:.3f} s, of which the bar query "
                f"{taken['bars']:.3f} s = {against_hand:.2f} times a hand-written query "
                f"({taken['by_hand']:.3f} s), {against_pandas:.2f} times pandas "
                f"({taken['pandas']:.3f} s)"
            )
            results[timeframe] = {
                **{f"{name}_s": round(seconds, 4) for name, seconds in taken.items()},
                "bars_to_by_hand": round(against_hand, 2),
                "bars_to_pandas": round(against_pandas, 2),
            }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
