"""A run against itself with its entries at random: was it the moment, or only being in the market.

As many trades, on the same sides, held as long, at the same costs, never two at once, are placed uniformly
at random, a thousand times, over the bars that opened with the map's imbalance and fuel known: where they
were not, the rule could not trade, and what the market did there tells nothing of its moments. What a run
earned beyond that is due to when it entered and how it left; what it did not is due to the market, or to
luck.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypedDict

import numpy as np
import pyarrow as pa

from ..datasets.panel import Float64Array1D, Int64Array1D
from .formatting import moment

DRAWS: Final = 1000
LEVEL: Final = 0.05
_SEED: Final = 20240301
_LOW, _HIGH = 0.025, 0.975
_BINS: Final = 40


class RandomEntry(TypedDict):
    """What random entries came to, in basis points of a trade's value at entry, net, mean of the trades.

    Attributes
    ----------
    draws : int
    mean_bps : float
        Of the run itself.
    random_mean_bps, random_low_bps, random_high_bps : float
        Mean of the draws, and the span of their middle 95 %.
    better : float
        Share of the draws that did at least as well as the run.
    p : float
        ``(1 + at least as good) / (1 + draws)``, one-sided.
    counts, edges : list
        A histogram of the draws: how many, and the edges of its bins.
    from_ts : str
        Open of the first bar that is drawn from, ISO 8601, UTC.
    bars, bars_before : int
        How many bars are drawn from, and how many before them are not.
    """

    draws: int
    mean_bps: float
    random_mean_bps: float
    random_low_bps: float
    random_high_bps: float
    better: float
    p: float
    counts: list[int]
    edges: list[float]
    from_ts: str
    bars: int
    bars_before: int


def random_entry(trades: pa.Table, bars: pa.Table, *, draws: int = DRAWS) -> RandomEntry | None:
    """Return how a run's mean trade stands among random entries; None without trades, or room for others.

    Parameters
    ----------
    trades, bars : pyarrow.Table
        See `run_record.RunRecord`.
    draws : int

    Notes
    -----
    A random trade enters at a bar's open and leaves at the close of its last bar; fees and slippage are the
    real trade's shares of its value, funding is what was settled at the closes between. Look-ahead: a map is
    known at its bar's close, so that the first bar to enter at is the one after. The p-value is exact for a
    rule whose entries carry no information (Phipson, B. & Smyth, G. K. (2010). Permutation p-values should
    never be zero. Statistical Applications in Genetics and Molecular Biology 9, article 39).
    """
    frame = trades.to_pandas()
    held = frame["bars_held"].to_numpy(dtype=np.int64)
    start = first_informed(bars)
    free = bars.num_rows - start - int(held.sum())
    if len(frame) == 0 or free < 1:
        return None
    value = (frame["size"] * frame["entry_price"]).to_numpy(dtype=np.float64)
    own = float(np.mean(frame["net_pnl"].to_numpy(dtype=np.float64) / value))
    costs = ((frame["fees"] + frame["slippage"]) / value).to_numpy(dtype=np.float64)
    side = frame["direction"].to_numpy(dtype=np.float64)
    opens, closes = (bars[name].to_numpy() for name in ("open", "close"))
    settled = np.nan_to_num(bars["funding_settled"].to_numpy()) * closes
    paid = np.concatenate([[0.0], np.cumsum(settled)])
    rng = np.random.default_rng(_SEED)
    found = np.empty(draws)
    for draw in range(draws):
        order = rng.permutation(len(held))
        first = start + placed(held[order], free, rng)
        last = first + held[order] - 1
        moved = closes[last] - opens[first] - (paid[last] - paid[first])
        found[draw] = np.mean(side[order] * moved / opens[first] - costs[order])
    return _told(own, found, bars["ts"], start)


def first_informed(bars: pa.Table) -> int:
    """Return the first bar that opens with the map's imbalance and fuel known; their number if none does."""
    # A tier's fuel is its value over the hourly one, so that it is known where that is.
    imbalance, hourly = (bars[name].to_numpy() for name in ("imbalance", "hourly_quote_volume"))
    known = np.flatnonzero(~np.isnan(imbalance) & ~np.isnan(hourly))
    return int(known[0]) + 1 if len(known) else bars.num_rows


def placed(held: Int64Array1D, free: int, rng: np.random.Generator) -> Int64Array1D:
    """Return the first bars of stretches of such lengths that do not overlap, all placements alike likely.

    Parameters
    ----------
    held : ndarray of int64, shape (k,)
        In the order in which they are to follow each other.
    free : int
        Bars that none of them covers, 0 or more.
    rng : numpy.random.Generator
    """
    count = len(held)
    # Choosing which of the free bars and the stretches are stretches is choosing a placement.
    chosen = np.sort(rng.choice(free + count, count, replace=False, shuffle=False))
    before = np.concatenate([[0], np.cumsum(held)[:-1]])
    first: Int64Array1D = chosen - np.arange(count) + before
    return first


def random_entry_words(found: RandomEntry) -> str:
    """Return what it means, in one sentence."""
    entries = f"{found['draws']:,} draws of as many trades, as long and on the same sides, entered at random"
    if found["p"] < LEVEL:
        told = (
            "the moments of entry and exit earned more than chance"
            if found["mean_bps"] > 0.0
            else "better than chance, and a loss all the same"
        )
    elif found["better"] > 1.0 - LEVEL:
        told = "the moments of entry and exit cost more than chance would have"
    else:
        told = "being in the market at random did as well"
    return f"Of {entries}, {found['better']:.0%} did at least as well (p {found['p']:.3f}): {told}."


def random_entry_bars_words(found: RandomEntry) -> str:
    """Return over which bars was drawn, in one sentence."""
    if not found.get("from_ts"):  # a run of an early version
        return (
            "They are drawn over all bars, those before the map was known included, where the rule could not "
            "trade: run the backtest again to have them left out."
        )
    if found["bars_before"] == 1:  # what is known at the first close
        return f"They are drawn over all {found['bars']:,} bars after the first."
    return (
        f"They are drawn over the {found['bars']:,} bars from {_minute(found['from_ts'])} UTC on, not over "
        f"the {found['bars_before']:,} before: the map's imbalance or fuel was not known yet, and the rule "
        "could not trade."
    )


def _minute(iso: str) -> str:
    return moment(datetime.fromisoformat(iso))


def _told(own: float, found: Float64Array1D, ts: pa.ChunkedArray, start: int) -> RandomEntry:
    as_good = int(np.count_nonzero(found >= own))
    low, high = np.quantile(found, [_LOW, _HIGH])
    span = 1e4 * float(np.ptp(found))
    ends = (
        1e4 * float(found.min()) - max(span, 1.0) / 40,
        1e4 * float(found.max()) + max(span, 1.0) / 40,
    )
    counts, edges = np.histogram(1e4 * found, bins=min(_BINS, max(len(found) // 10, 1)), range=ends)
    return {
        "draws": len(found),
        "mean_bps": 1e4 * own,
        "random_mean_bps": 1e4 * float(found.mean()),
        "random_low_bps": 1e4 * float(low),
        "random_high_bps": 1e4 * float(high),
        "better": as_good / len(found),
        "p": (1 + as_good) / (1 + len(found)),
        "counts": counts.tolist(),
        "edges": edges.tolist(),
        "from_ts": ts[start].as_py().isoformat(),
        "bars": len(ts) - start,
        "bars_before": start,
    }
