"""Runs vectorbt and backtesting.py for bench_engines.py, in an environment that holds them.

Takes a file of arrays and then names of engines, a line each; answers each with one line of JSON: CPU
seconds and number of trades. Knows nothing of liqtiers.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd

CASH = 1e9
"""Enough for every order: these engines know no leverage as ours does."""


def vectorbt(orders: dict[str, np.ndarray]) -> tuple[float, int]:
    """Entries at the open with a stop and a target, exits by signal."""
    import vectorbt as vbt

    opened, entries = orders["open"], ~np.isnan(orders["size"])
    given: dict[str, Any] = {
        "close": orders["close"],
        "open": opened,
        "high": orders["high"],
        "low": orders["low"],
        "entries": entries,
        "exits": orders["left"],
        "price": opened,
        "size": np.where(entries, orders["size"], 0.0),
        "sl_stop": np.where(entries, 1.0 - orders["stop"] / opened, np.nan),
        "tp_stop": np.where(entries, orders["target"] / opened - 1.0, np.nan),
        "stop_entry_price": "price",
        "fees": float(orders["fee"]),
        "init_cash": CASH,
    }
    began = time.process_time()
    portfolio = vbt.Portfolio.from_signals(**given)
    return time.process_time() - began, int(portfolio.trades.count())


def backtesting(orders: dict[str, np.ndarray]) -> tuple[float, int]:
    """The same orders, sent at the close before."""
    import backtesting as bt

    size, stop, target, left = (orders[n].tolist() for n in ("size", "stop", "target", "left"))
    last = len(size) - 1

    class Orders(bt.Strategy):
        def init(self) -> None:
            self.bar = 0

        def next(self) -> None:
            bar = min(len(self.data), last)  # that in which an order of now is filled
            if left[bar]:
                self.position.close()
            elif size[bar] == size[bar] and not self.position:
                self.buy(size=max(round(size[bar] * 1e3), 1), sl=stop[bar], tp=target[bar])

    columns = {n: orders[n.lower()] for n in ("Open", "High", "Low", "Close")}
    frame = pd.DataFrame(columns, index=pd.to_datetime(orders["ts"], unit="us"))
    run = bt.Backtest(frame, Orders, cash=CASH * 1e3, commission=float(orders["fee"]))
    began = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):  # it draws a progress bar
        stats = run.run()
    return time.process_time() - began, len(stats["_trades"])


def main() -> None:
    """Answer until there is nothing more to run."""
    with np.load(sys.argv[1]) as file:
        orders = dict(file)
    for line in sys.stdin:
        seconds, trades = globals()[line.strip()](orders)
        print(json.dumps({"seconds": seconds, "trades": trades}), flush=True)


if __name__ == "__main__":
    main()
