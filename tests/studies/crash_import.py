"""What a lake is worth when imports are killed, or the disk is full, at any moment.

Processes put files of bars and liquidations into one lake, one after the other, and note each when its
write has returned. They are killed with SIGKILL at random moments, or may write no file beyond a random
size, as on a full disk. After each, another process that knows only the files reads the lake: by our own
reader, and through the views of catalog.duckdb. Every row that was noted must be there, none twice, none
changed, and of what was in flight each row whole or not at all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from liqtiers.datasets.catalog import CATALOG_NAME, refresh_catalog
from liqtiers.datasets.errors import LiqtiersError
from liqtiers.datasets.importing import import_file
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.query import read
from liqtiers.datasets.schemas import EVENTS
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import AUTO

VENUE, SYMBOL = "binance", "BTCUSDT"
HOURS = 400
"""Hours of bars in a file: over half of the files write to two months."""
FORK = multiprocessing.get_context("fork")


def bars_of(number: int) -> pd.DataFrame:
    """Return the bars of a file: every second file brings the hours of the one before again, by half."""
    first = pd.Timestamp("2021-01-01", tz="UTC") + pd.Timedelta(hours=number * HOURS // 2)
    ts = pd.date_range(first, periods=HOURS, freq="1h")
    hour = (ts - pd.Timestamp("2021-01-01", tz="UTC")) // pd.Timedelta(hours=1)
    price = 100.0 + np.asarray(hour) % 997
    return pd.DataFrame({"ts": ts, "close": price})


def write_file(folder: Path, number: int) -> tuple[Path, Path]:
    """Write the two files of a number: klines, and forced orders, one an hour."""
    frame = bars_of(number)
    ms = frame["ts"].astype("int64") // 1000 if frame["ts"].dt.unit == "us" else None
    stamps = (ms if ms is not None else frame["ts"].astype("int64") // 1_000_000).to_numpy()
    lines = [
        f"{t},{p},{p + 1},{p - 1},{p},10,{t + 3_599_999},{10 * p},5,4,{4 * p},0"
        for t, p in zip(stamps.tolist(), frame["close"].tolist(), strict=True)
    ]
    bars = folder / f"{SYMBOL}-1h-{number:05d}.csv"
    bars.write_text("\n".join(lines) + "\n")
    orders = folder / f"orders-{number:05d}.csv"
    side = "BUY" if number % 2 else "SELL"
    orders.write_text(
        "\n".join(
            f"{t},{side},LIMIT,IOC,1,{p},{p},FILLED,1,1"
            for t, p in zip(stamps.tolist(), frame["close"].tolist(), strict=True)
        )
        + "\n"
    )
    return bars, orders


def import_on(home: Path, start: int, limit: int | None) -> None:
    """Import files from a number on, noting each; never returns by itself unless it fails."""
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    lake = Lake(home / "lake")
    for number in itertools.count(start):
        import_number(home, lake, number)


def import_number(home: Path, lake: Lake, number: int) -> None:
    """Import the files of a number and note it."""
    for path in write_file(home / "files", number):
        import_file(lake, path, source=AUTO, options=ImportOptions(venue=VENUE, symbol=SYMBOL))
    refresh_catalog(lake)
    with (home / "noted").open("a") as noted:
        noted.write(f"{number}\n")
        noted.flush()
        os.fsync(noted.fileno())


def judged(home: Path, noted: int) -> dict[str, int]:
    """Return what is lost, twice, wrong or unreadable, with so many files noted."""
    import duckdb

    lake = Lake(home / "lake")
    found = Counter[str]()
    wanted = {t: p for k in range(noted) for t, p in bars_of(k).itertuples(index=False)}
    allowed = wanted | dict(bars_of(noted).itertuples(index=False))
    try:
        bars = read(lake, "bars", venue=VENUE, symbol=SYMBOL, timeframe="1h").to_pandas()
        prints = read(
            lake, "liquidations", venue=VENUE, symbol=SYMBOL, timeframe=EVENTS
        ).to_pandas()
    except Exception:  # noqa: BLE001  # whatever reading it raises is what is looked for
        if noted:
            traceback.print_exc()
            return {"unreadable": 1}
        return {}
    for frame in (bars, prints):
        have = set(frame["ts"])
        found["lost"] += len(set(wanted) - have)
        keys = ["ts", "side"] if "side" in frame else ["ts"]
        found["duplicated"] += int(frame.duplicated(keys).sum())
        price = frame["close"] if "close" in frame else frame["price"]
        right = [allowed.get(t) == p for t, p in zip(frame["ts"], price, strict=True)]
        found["wrong"] += right.count(False)
    catalog = lake.root / CATALOG_NAME
    if noted and catalog.exists():
        try:
            with duckdb.connect(str(catalog), read_only=True) as view:
                row = view.execute("SELECT count(*) FROM bars").fetchone()
            found["lost"] += int(row is None or row[0] < len(wanted))
        except duckdb.Error:
            traceback.print_exc()
            found["unreadable"] += 1
    leftovers = [p for p in lake.root.rglob(".*.tmp") if p.is_file()]
    found["leftovers"] += len(leftovers)
    return dict(found)


def in_a_child(work: Callable[[], Any]) -> Any:
    """Return what a function gives in a process of its own."""
    ours, theirs = FORK.Pipe(duplex=False)

    def run(pipe: Connection) -> None:
        pipe.send(work())

    child = FORK.Process(target=run, args=(theirs,))
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return {"unreadable": 1}
    finally:
        child.join()


def last_noted(home: Path) -> int:
    """Return how many files were noted; a torn last line is none."""
    try:
        lines = (home / "noted").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return 0
    return sum(line.endswith("\n") for line in lines)


def crash(home: Path, rng: random.Random, *, full_disk: bool) -> str:
    """Let a process import until it is killed, or can write no more; return how it ended."""
    start = last_noted(home)
    limit = int(10 ** rng.uniform(1.5, 5.0)) if full_disk else None

    def work() -> None:
        try:
            import_on(home, start, limit)
        except (LiqtiersError, OSError):
            os._exit(7)

    child = FORK.Process(target=work)
    child.start()
    if full_disk:
        child.join(3.0)
    else:
        time.sleep(rng.uniform(0.005, 0.6))
    if child.is_alive():
        child.kill()
    child.join()
    return {7: "refused", -signal.SIGKILL: "killed"}.get(child.exitcode or 0, "other")


def main() -> None:
    """Print a line for whatever is wrong, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--full-disks", type=int, help="a fifth of the kills unless given")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    disks = options.kills // 5 if options.full_disks is None else options.full_disks
    rounds = ["kill"] * options.kills + ["disk"] * disks
    rng.shuffle(rounds)
    totals, ends = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "files").mkdir()
        for number, kind in enumerate(rounds):
            if number % 25 == 0:
                # A new lake now and then, so that its first files are met by kills as well.
                home = Path(folder) / f"{number}"
                (home / "files").mkdir(parents=True)
            ends[crash(home, rng, full_disk=kind == "disk")] += 1
            noted = last_noted(home)
            found = in_a_child(lambda home=home, noted=noted: judged(home, noted))
            totals.update(found)
            bad = {k: v for k, v in found.items() if v and k != "leftovers"}
            if bad:
                print(f"round {number}, {kind}, {noted} files noted: {bad}", flush=True)
    print(
        json.dumps(
            {
                "kills": options.kills,
                "full_disks": disks,
                "ended": dict(ends),
                **{name: totals[name] for name in ("lost", "duplicated", "wrong", "unreadable")},
                "leftovers_seen": totals["leftovers"],
            }
        )
    )


if __name__ == "__main__":
    main()
