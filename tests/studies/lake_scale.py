"""Many symbols over years of one-minute bars: memory that does not grow with them.

One process writes symbol after symbol into a lake, month by month as archives come, then loads each as a
panel of hours, and checks all of it for faults. After the first symbol and after the last the most memory
that the process ever held is read: the difference is what many symbols cost.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from liqtiers.datasets.lake import Lake
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.quality import check_lake
from liqtiers.datasets.schemas import TIMESTAMP

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from process_memory import peak_mb

VENUE = "simulated"
MINUTE_US = 60_000_000
FIRST_MONTH = np.datetime64("2020-01", "M")


def month_of_bars(number: int, rng: np.random.Generator) -> pa.Table:
    """Return a month of one-minute bars, a random walk with all columns."""
    begin, end = (
        (FIRST_MONTH + k).astype("datetime64[us]").astype(np.int64) for k in (number, number + 1)
    )
    opens = np.arange(begin, end, MINUTE_US)
    close = 30_000.0 * np.exp(np.cumsum(rng.normal(0.0, 5e-4, len(opens))))
    volume = rng.exponential(50.0, len(opens))
    return pa.table(
        {
            "ts": pa.array(opens, TIMESTAMP),
            "available_at": pa.array(opens + MINUTE_US, TIMESTAMP),
            "open": close,
            "high": close * 1.001,
            "low": close * 0.999,
            "close": close,
            "volume": volume,
            "quote_volume": volume * close,
            "taker_buy_volume": volume * rng.uniform(0.0, 1.0, len(opens)),
        }
    )


def measured(symbols: int, years: int, seed: int) -> dict[str, object]:
    """Write, load and check; return how long each took and the peaks of memory."""
    rng, peaks, begun = np.random.default_rng(seed), [], [time.perf_counter()]
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        rows = 0
        for k in range(symbols):
            for month in range(12 * years):
                bars = month_of_bars(month, rng)
                lake.write("bars", bars, venue=VENUE, symbol=f"S{k}", timeframe="1m")
                rows += bars.num_rows
            peaks.append(peak_mb())
        begun.append(time.perf_counter())
        written, loaded = peaks[:], []
        for k in range(symbols):
            load_panel(lake, venue=VENUE, symbol=f"S{k}", timeframe="1h")
            loaded.append(peak_mb())
        begun.append(time.perf_counter())
        checked = []
        for each in check_lake(lake):
            assert each.series.rows * symbols == rows
            checked.append(peak_mb())
        begun.append(time.perf_counter())
    write_s, load_s, check_s = np.diff(begun)
    return {
        "rows": rows,
        "write_s": round(float(write_s), 1),
        "load_s": round(float(load_s), 1),
        "check_s": round(float(check_s), 1),
        "write_peak_mb": [round(written[0]), round(written[-1])],
        "load_peak_mb": [round(loaded[0]), round(loaded[-1])],
        "check_peak_mb": [round(checked[0]), round(checked[-1])],
    }


def main() -> None:
    """Print the figures; peaks are after the first symbol and after the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=12)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = measured(options.symbols, options.years, options.seed)
    print(f"{options.symbols} symbols over {options.years} years, {found['rows']:,} rows")
    print(json.dumps({"symbols": options.symbols, "years": options.years, **found}))


if __name__ == "__main__":
    main()
