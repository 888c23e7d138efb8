"""A run against itself with its entries at random: was it the moment, or only being in the market.

As many trades, on the same sides, held as long, at the same costs, never two at once, are placed uniformly
at random over the bars, a thousand times. What a run earned beyond that is due to when it entered and how
it left; what it did not is due to the market, or to luck.
"""

from __future__ import annotations

from typing import Final, TypedDict

import numpy as np
import pyarrow as pa

from ..datasets.panel import Float64Array1D, Int64Array1D

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
    real trade's shares of its value, funding is what was settled at the closes between. The p-value is
    exact for a rule whose entries carry no information (Phipson, B. & Smyth, G. K. (2010). Permutation
    p-values should never be zero. Statistical Applications in Genetics and Molecular Biology 9, article 39).
    """
    frame = trades.to_pandas()
    held = frame["bars_held"].to_numpy(dtype=np.int64)
    free = bars.num_rows - int(held.sum())
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
        first = placed(held[order], free, rng)
        last = first + held[order] - 1
        moved = closes[last] - opens[first] - (paid[last] - paid[first])
        found[draw] = np.mean(side[order] * moved / opens[first] - costs[order])
    return _told(own, found)


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


def _told(own: float, found: Float64Array1D) -> RandomEntry:
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
    }
