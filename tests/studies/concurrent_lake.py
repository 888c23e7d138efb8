"""Two writers and four readers on one lake at once: no error, nothing lost, never fewer rows than before.

The writers put alternate files of `crash_import.py` into one series, so that they meet in the same months.
The readers read it over and over, two by our own reader and two through the views of catalog.duckdb, which
are made anew after each file. DuckDB itself, through a view, may meet a month that is being replaced; that is
counted apart, our reader must never.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import duckdb
from crash_import import SYMBOL, VENUE, bars_of, import_number

from liqtiers.datasets.catalog import CATALOG_NAME
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.query import read

WRITERS, READERS = 2, 4


def write(home: str, first: int, until: float) -> dict[str, Any]:
    """Import every second file from a number on until the time is over."""
    lake, number = Lake(Path(home) / "lake"), first
    (Path(home) / f"writer-{first}" / "files").mkdir(parents=True)
    try:
        while time.time() < until:
            import_number(Path(home) / f"writer-{first}", lake, number)
            number += WRITERS
    except Exception:  # noqa: BLE001  # any error is what is looked for
        return {"errors": 1, "told": traceback.format_exc(), "numbers": []}
    return {"errors": 0, "numbers": list(range(first, number, WRITERS))}


def watch(home: str, by_view: bool, until: float) -> dict[str, Any]:
    """Read the bars until the time is over."""
    lake, reads, most = Lake(Path(home) / "lake"), 0, 0
    found: dict[str, Any] = {"errors": 0, "fewer": 0, "duplicated": 0, "told": ""}
    while time.time() < until:
        try:
            rows, different = _by_view(lake) if by_view else _by_reader(lake)
        except (InputError, FileNotFoundError, duckdb.IOException, duckdb.CatalogException):
            if most == 0:
                continue  # nothing has been written yet
            found["errors"] += 1
            found["told"] = traceback.format_exc()
            continue
        except Exception:  # noqa: BLE001  # any error is what is looked for
            found["errors"] += 1
            found["told"] = traceback.format_exc()
            continue
        reads += 1
        found["fewer"] += rows < most
        found["duplicated"] += rows - different
        most = max(most, rows)
    return {**found, "reads": reads}


def _by_reader(lake: Lake) -> tuple[int, int]:
    rows = read(lake, "bars", venue=VENUE, symbol=SYMBOL, timeframe="1h")
    return rows.num_rows, len(rows["ts"].unique())


def _by_view(lake: Lake) -> tuple[int, int]:
    with duckdb.connect(str(lake.root / CATALOG_NAME), read_only=True) as connection:
        row = connection.execute("SELECT count(*), count(DISTINCT ts) FROM bars").fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def main() -> None:
    """Print what went wrong, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1, help="of nothing: moments decide")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as home, context.Pool(WRITERS + READERS) as pool:
        until = time.time() + 3.0 + options.seconds
        writers = [pool.apply_async(write, (home, k, until)) for k in range(WRITERS)]
        readers = [pool.apply_async(watch, (home, k % 2 == 1, until)) for k in range(READERS)]
        wrote, saw = [w.get() for w in writers], [r.get() for r in readers]
        wanted = {t for w in wrote for k in w["numbers"] for t in bars_of(k)["ts"]}
        rows = read(
            Lake(Path(home) / "lake"), "bars", venue=VENUE, symbol=SYMBOL, timeframe="1h"
        ).to_pandas()
        lost = len(wanted - set(rows["ts"]))
    for found in (*wrote, *saw):
        if found["errors"]:
            print(found["told"], flush=True)
    print(
        json.dumps(
            {
                "seconds": options.seconds,
                "files": sum(len(w["numbers"]) for w in wrote),
                "reads": sum(s["reads"] for s in saw),
                "errors": sum(f["errors"] for f in (*wrote, *saw[::2])),
                "view_errors": sum(f["errors"] for f in saw[1::2]),
                "lost": lost,
                "fewer": sum(s["fewer"] for s in saw),
                "duplicated": sum(s["duplicated"] for s in saw),
            }
        )
    )


if __name__ == "__main__":
    main()
