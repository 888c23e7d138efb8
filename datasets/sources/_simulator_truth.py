"""The truth behind a simulated market: every position there ever was, and the levels at any bar."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import InputError
from ..panel import Float64Array1D, Int64Array1D
from ._simulator_parameters import SimulatorParameters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TruePositions:
    """Positions as lots of constant quantity; all arrays have shape (m,), in the order of opening.

    A position is one lot, or several of one trader where a part was closed or margin was added. A
    part that closes is a lot of its own all its life, so compare what was open at a bar by trader.

    Attributes
    ----------
    direction : ndarray of int8
        1 for a long, -1 for a short.
    entry, liquidation_price : ndarray of float64
        Quote per base; NaN where no price liquidates the position.
    quantity : ndarray of float64
        Base.
    leverage : ndarray of float64
        Of the isolated margin; 0 where there is none (cross margin, hedges).
    opened_bar, closed_bar : ndarray of int32
        Bars shown are counted from 0, the warm-up's are negative. A lot is open at the close of bar
        t where ``opened_bar <= t < closed_bar``; `closed_bar` is `NEVER` for one open at the end.
    closed_moment : ndarray of float64
        The part of that bar that had passed, 0 to 1; NaN while open.
    reason : ndarray of int8
        Why it ended: `STILL_OPEN`, `LIQUIDATED`, `CLOSED_AT_WILL`, `CLOSED_AGAINST_FORCED` or
        `MARGIN_ADDED`.
    venue : ndarray of int8
        0 for the venue shown, 1 for the other.
    trader : ndarray of int32
    """

    direction: NDArray[np.int8]
    entry: Float64Array1D
    liquidation_price: Float64Array1D
    quantity: Float64Array1D
    leverage: Float64Array1D
    opened_bar: NDArray[np.int32]
    closed_bar: NDArray[np.int32]
    closed_moment: Float64Array1D
    reason: NDArray[np.int8]
    venue: NDArray[np.int8]
    trader: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.entry)

    def where(self, chosen: NDArray[np.bool_] | Int64Array1D) -> TruePositions:
        """Return the chosen lots, by mask or index."""
        return TruePositions(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedMarket:
    """What the simulated venue published, and the truth behind it.

    Attributes
    ----------
    parameters : SimulatorParameters
    bars, mark_bars, open_interest, funding, liquidations : pyarrow.Table
        Canonical tables of the venue shown; `liquidations` are single forced orders.
    positions : TruePositions
        Every lot there ever was, at both venues, the warm-up's too.
    true_open_interest : ndarray of float64, shape (n,)
        At each bar's close, base, both venues, without noise or delay.
    """

    parameters: SimulatorParameters
    bars: pa.Table
    mark_bars: pa.Table
    open_interest: pa.Table
    funding: pa.Table
    liquidations: pa.Table
    positions: TruePositions
    true_open_interest: Float64Array1D

    def __len__(self) -> int:
        return len(self.true_open_interest)


class TrueBook(NamedTuple):
    """The true liquidation levels at one moment.

    Attributes
    ----------
    prices : ndarray of float64, shape (b,)
        Middle of each bin, increasing.
    short, long : ndarray of float64, shape (b,)
        Quantity that is liquidated there, base, by side.
    """

    prices: Float64Array1D
    short: Float64Array1D
    long: Float64Array1D


def true_positions(market: SimulatedMarket, bar: int, *, venue: int | None = None) -> TruePositions:
    """Return the lots that were open at a bar's close.

    Parameters
    ----------
    market : SimulatedMarket
    bar : int
        Counted from 0; negative from the end, as in a list.
    venue : int, optional
        0 for the venue shown, 1 for the other; both by default.

    Raises
    ------
    InputError
        If there is no such bar.
    """
    bars = len(market)
    if not -bars <= bar < bars:
        raise InputError(f"bar {bar} does not exist: the simulated market has {bars} bars")
    bar %= bars
    lots = market.positions
    open_then = (lots.opened_bar <= bar) & (lots.closed_bar > bar)
    if venue is not None:
        open_then &= lots.venue == venue
    return lots.where(open_then)


def true_book(
    market: SimulatedMarket, bar: int, *, bin_width: float = 0.001, venue: int | None = None
) -> TrueBook:
    """Return the true liquidation levels at a bar's close on the map's grid.

    Parameters
    ----------
    market : SimulatedMarket
    bar : int
        As in `true_positions`.
    bin_width : float
        Width of a bin, log price; bin k spans ``k * bin_width`` to ``(k + 1) * bin_width``.
    venue : int, optional
        As in `true_positions`.
    """
    lots = true_positions(market, bar, venue=venue)
    lots = lots.where(np.isfinite(lots.liquidation_price))
    bins = np.floor(np.log(lots.liquidation_price) / bin_width).astype(np.int64)
    first = int(bins.min()) if len(bins) else 0
    count = int(bins.max()) - first + 1 if len(bins) else 0
    short, long = (
        np.bincount(bins[side] - first, lots.quantity[side], count).astype(np.float64)
        for side in (lots.direction == -1, lots.direction == 1)
    )
    return TrueBook(np.exp((first + np.arange(count) + 0.5) * bin_width), short, long)
