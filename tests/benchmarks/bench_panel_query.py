"""How long a panel takes to load, against a hand-written query and pandas on the same files.

A synthetic lake of six years of one-minute bars, with open interest every five minutes and funding, is
written to a temporary folder. Each contender then makes the same bars of a span that leaves out the first
and the last year, from the same parquet files, in interleaved rounds: ours (`resample`, which the panel is
built on), DuckDB asked by hand over a connection that stays open, and pandas. The whole panel, joins and
all, is held against DuckDB's own as-of joins. Printed are medians and their ratios, which hold better than
seconds from machine to machine, and the peak memory of a process that loads nothing but the panel. The
results are compared before anything is timed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from liqtiers.datasets._bars import resample
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.naming import timeframe_us
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.query import partition_files
from liqtiers.datasets.schemas import TIMESTAMP
from process_memory import peak_mb

BTC = {"venue": "binance", "symbol": "BTCUSDT"}
STORED = "1m"
START_US = 1_577_836_800_000_000  # 2020-01-01, a Wednesday
YEAR_US = 365 * 86_400_000_000

SPAN = "WHERE ts >= make_timestamptz($start_us::BIGINT) AND ts < make_timestamptz($end_us::BIGINT)"
AS_STORED = f"""
    SELECT epoch_us(ts) AS bucket, open, high, low, close, volume, quote_volume, taker_buy_volume
    FROM read_parquet($files) {SPAN} ORDER BY ts
"""
RESAMPLED = f"""
    SELECT epoch_us(ts) // $step * $step AS bucket, arg_min(open, ts) AS open, max(high) AS high,
           min(low) AS low, arg_max(close, ts) AS close, sum(volume) AS volume,
           sum(quote_volume) AS quote_volume, sum(taker_buy_volume) AS taker_buy_volume
    FROM read_parquet($files) {SPAN} GROUP BY bucket ORDER BY bucket
"""
JOINED = """
    WITH bars AS ({bars}), joined AS (
        SELECT bars.*, oi.oi_base, funding.rate
        FROM bars
        ASOF LEFT JOIN read_parquet($open_interest) AS oi
            ON bars.bucket + $length >= epoch_us(oi.available_at)
        ASOF LEFT JOIN read_parquet($funding) AS funding
            ON bars.bucket + $length >= epoch_us(funding.available_at)
    )
    SELECT * FROM joined ORDER BY bucket
"""
HOW = {
    "open": "first",
    "high": "max",
    "low": "min",
    "close": "last",
    **dict.fromkeys(("volume", "quote_volume", "taker_buy_volume"), "sum"),
}


def make_lake(root: Path, bars: int, seed: int) -> Lake:
    """Write the synthetic lake, month by month: a random walk with open interest and funding."""
    rng = np.random.default_rng(seed)
    step = timeframe_us(STORED)
    opens = START_US + np.arange(bars, dtype=np.int64) * step
    close = 30_000.0 * np.exp(np.cumsum(rng.normal(0.0, 5e-4, bars)))
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
    seen = opens[::5]
    put(lake, "open_interest", seen, seen, oi_base=rng.uniform(9e4, 1e5, len(seen)))
    settled = opens[::480]
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


class ByHand:
    """What someone who knows the files would ask DuckDB, over a connection that stays open."""

    def __init__(self, lake: Lake, span: tuple[int, int]) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.span = {"start_us": span[0], "end_us": span[1]}
        self.files = {
            table: paths(lake, table, timeframe)
            for table, timeframe in (("bars", STORED), ("open_interest", None), ("funding", None))
        }

    def bars(self, timeframe: str) -> pd.DataFrame:
        """Return bars of a timeframe."""
        bound = {"files": self.files["bars"], **self.span}
        if timeframe == STORED:
            return self._asked(AS_STORED, bound)
        return self._asked(RESAMPLED, {**bound, "step": timeframe_us(timeframe)})

    def panel(self, timeframe: str) -> pd.DataFrame:
        """Return bars with open interest and funding as of each close."""
        bound: dict[str, object] = {**self.files, "files": self.files["bars"], **self.span}
        bound |= {"length": timeframe_us(timeframe)}
        del bound["bars"]
        if timeframe == STORED:
            return self._asked(JOINED.format(bars=AS_STORED), bound)
        bound["step"] = timeframe_us(timeframe)
        return self._asked(JOINED.format(bars=RESAMPLED), bound)

    def _asked(self, statement: str, bound: dict[str, object]) -> pd.DataFrame:
        return self.connection.sql(statement, params=bound).to_arrow_table().to_pandas()


def paths(lake: Lake, table: str, timeframe: str | None) -> list[str]:
    """Return the paths of a table's monthly files."""
    names = partition_files(lake, table, **BTC, timeframe=timeframe)
    return [str(lake.root / name) for name in names]


def by_pandas(files: Sequence[str], span: tuple[int, int], timeframe: str) -> pd.DataFrame:
    """Return the bars as pandas makes them."""
    columns = ["ts", *HOW]
    frame = pd.concat([pd.read_parquet(path, columns=columns) for path in files])
    first, stop = (pd.Timestamp(us, unit="us", tz="UTC") for us in span)
    frame = frame[(frame["ts"] >= first) & (frame["ts"] < stop)].sort_values("ts").set_index("ts")
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


def compare(lake: Lake, span: tuple[int, int], timeframe: str, rounds: int) -> dict[str, float]:
    """Time the contenders at one timeframe, after checking that their bars are equal."""
    hand, files = ByHand(lake, span), paths(lake, "bars", STORED)
    asked = {**BTC, "timeframe": timeframe, "start_us": span[0], "end_us": span[1]}
    contenders: dict[str, Callable[[], object]] = {
        "panel": lambda: load_panel(lake, **asked),
        "panel_by_hand": lambda: hand.panel(timeframe),
        "bars": lambda: resample(lake, "bars", **asked),
        "bars_by_hand": lambda: hand.bars(timeframe),
        "pandas": lambda: by_pandas(files, span, timeframe),
    }
    panel, joined = load_panel(lake, **asked), hand.panel(timeframe)
    for frame in (joined, by_pandas(files, span, timeframe)):
        for name in ("open", "high", "low", "close"):
            np.testing.assert_array_equal(getattr(panel, name), frame[name].to_numpy())
    np.testing.assert_array_equal(panel.oi_base, joined["oi_base"].to_numpy())
    np.testing.assert_array_equal(panel.funding_rate, joined["rate"].to_numpy())
    return medians(contenders, rounds)


def added_mb(lake: Lake, timeframe: str) -> float:
    """Return what loading everything at a timeframe adds to a process at its peak, MB."""
    command = [sys.executable, __file__, "--alone", str(lake.root), timeframe]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def alone(root: str, timeframe: str) -> None:
    """Load a panel in this process and print what it added at its peak, MB."""
    lake = Lake(Path(root))
    load_panel(lake, **BTC, timeframe="1h", end_us=START_US + YEAR_US // 12)  # imports, DuckDB
    before = peak_mb()
    load_panel(lake, **BTC, timeframe=timeframe)
    print(peak_mb() - before)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--years", type=int, default=6, help="years of one-minute bars in the lake")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--seed", type=int, default=1, help="seed of the synthetic prices")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(*arguments.alone)
        return
    bars = arguments.years * 365 * 1_440
    span = (START_US + YEAR_US, START_US + (arguments.years - 1) * YEAR_US)
    results: dict[str, object] = {"benchmark": "panel_query", "bars": bars}
    with tempfile.TemporaryDirectory() as folder:
        lake = make_lake(Path(folder) / "lake", bars, arguments.seed)
        for timeframe in (STORED, "5m", "1h"):
            taken = compare(lake, span, timeframe, arguments.rounds)
            whole = taken["panel"] / taken["panel_by_hand"]
            query = taken["bars"] / taken["bars_by_hand"]
            peak = added_mb(lake, timeframe)
            print(
                f"{timeframe}: panel {taken['panel']:.3f} s = {whole:.2f} times DuckDB by hand "
                f"({taken['panel_by_hand']:.3f} s); the bars alone {taken['bars']:.3f} s = {query:.2f} "
                f"times by hand ({taken['bars_by_hand']:.3f} s), "
                f"{taken['bars'] / taken['pandas']:.2f} times pandas; the whole lake +{peak:.0f} MB"
            )
            results[timeframe] = {
                **{f"{name}_s": round(seconds, 4) for name, seconds in taken.items()},
                "panel_to_by_hand": round(whole, 2),
                "bars_to_by_hand": round(query, 2),
                "bars_to_pandas": round(taken["bars"] / taken["pandas"], 2),
                "peak_mb": round(peak),
            }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
