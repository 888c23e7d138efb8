"""Buy-and-hold of a perpetual contract: the benchmark that every result stands beside."""

from __future__ import annotations

import numpy as np

from ..datasets.panel import Float64Array1D


def held_share(funding_settled: Float64Array1D, *, taker_fee: float) -> Float64Array1D:
    """Return what share of the contracts that the cash would buy is held at each bar's close.

    Parameters
    ----------
    funding_settled : ndarray of float64, shape (n,)
        Rate settled within each bar; unknown counts as none.
    taker_fee : float
        Paid out of the cash when it is bought; selling costs it again.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``(1 - fee) * product(1 - rate)``: funding is paid by selling a part, and received funding buys
        more. So the position is never levered and is never worth less than nothing, which one that pays
        years of funding out of an empty account would be.
    """
    kept = np.cumprod(1.0 - np.nan_to_num(funding_settled), dtype=np.float64)
    return np.asarray((1.0 - taker_fee) * kept, dtype=np.float64)
