"""Where the future is cut off.

After a cut at bar c only bars 0 to c - 1 are left. A value that needs h later bars shows at the last h
of these, so any cut finds a leak that is always at work; one that is at work at a share p of the bars,
and reaches one bar ahead, is missed by k random cuts with probability (1 - p)^k. Half of the cuts
therefore stand right after orders, where a leak that matters is at work (as freqtrade's check does),
and `share_found` says what the others could have missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...datasets.panel import Int64Array1D


def choose_cuts(
    bars: int,
    count: int,
    *,
    earliest: int,
    acting: Sequence[int] = (),
    rng: np.random.Generator,
) -> list[int]:
    """Return how many bars to leave at each cut, in increasing order.

    Parameters
    ----------
    bars : int
        Bars in all.
    count : int
        Cuts wanted; fewer where there are not as many bars.
    earliest : int
        The fewest bars to leave.
    acting : sequence of int
        Bars at which something was done; up to half of the cuts leave one of them as the last bar.
    rng : numpy.random.Generator
    """
    after = {bar + 1 for bar in acting if earliest <= bar + 1 < bars}
    aimed = _sample(np.array(sorted(after), dtype=np.int64), count // 2, rng)
    others = np.setdiff1d(np.arange(earliest, bars, dtype=np.int64), aimed)
    drawn = _sample(others, count - len(aimed), rng)
    return sorted(map(int, np.concatenate([aimed, drawn])))


def _sample(places: Int64Array1D, count: int, rng: np.random.Generator) -> Int64Array1D:
    if len(places) <= count:
        return places
    return rng.choice(places, count, replace=False)


def share_found(cuts: int, *, confidence: float = 0.95) -> float:
    """Return the share of bars at which a leak must be at work to be found so surely.

    Examples
    --------
    >>> round(share_found(58), 3)
    0.05
    """
    return float(1.0 - (1.0 - confidence) ** (1.0 / cuts)) if cuts else 1.0
