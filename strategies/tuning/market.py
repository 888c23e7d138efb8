"""What a trial is evaluated on, and the one function that evaluates it.

`evaluate` runs one set of parameters over one stretch of bars, from flat to flat, with the bars before
it for the indicators to warm up in. Everything that a trial ever learns comes through it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...datasets._array_store import Damaged, restore, store
from ...datasets.errors import LakeError
from ...datasets.instruments import Instrument
from ...datasets.map_features import MapFeatures
from ...datasets.panel import Float64Array1D, Panel
from .._replay_kernel import bars_of
from ..backtest import _check
from ..parameters import CostParameters, TierBreakoutParameters
from ..replay import replay_arrays, replay_setup
from ..signals import Ladders, ladders_of, signals_of
from .folds import Segment


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """Bars, maps and costs.

    Attributes
    ----------
    panel : Panel
    maps : dict of str to MapFeatures
        Over the same bars, by name.
    instrument : Instrument
    costs : CostParameters
    cash : float
        Equity at the start of each stretch, quote.
    ladders : dict of str to tuple of ndarray
        `Ladders` of the maps that were asked for; filled as needed, since they are as large as the rest
        together.
    """

    panel: Panel
    maps: dict[str, MapFeatures]
    instrument: Instrument
    costs: CostParameters
    cash: float
    ladders: dict[str, tuple[NDArray[np.float64], ...]] = field(default_factory=dict)

    def ladders_of(self, map_name: str) -> Ladders:
        """Return a map's tiers and imbalances as the rules read them."""
        if map_name not in self.ladders:
            self.ladders[map_name] = tuple(ladders_of(self.maps[map_name]))
        return Ladders(*self.ladders[map_name])


class Run(NamedTuple):
    """One run: the equity (quote) at each bar's close of the stretch, and the number of trades."""

    equity: Float64Array1D
    trades: int


Evaluate = Callable[[Market, TierBreakoutParameters, str, Segment], Run]


def warm_up_bars(parameters: TierBreakoutParameters) -> int:
    """Return how many bars pass before the first order: indicators are unknown until then."""
    return max(parameters.atr_bars, parameters.thrust_bars)


def evaluate(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> Run:
    """Run the strategy over one stretch.

    Parameters
    ----------
    market : Market
    parameters : TierBreakoutParameters
    map_name : str
        One of `Market.maps`.
    segment : Segment
        Bars; `warm_up_bars` of them must lie before it.

    Raises
    ------
    InputError
        See `run_backtest`; during the run, if a position is too large for its leverage.

    Notes
    -----
    Look-ahead: no bar outside the stretch and its warm-up is read. The first order can be given at the
    close of the stretch's first bar; what is open at its end is closed there, costs included.
    """
    first = segment.start - warm_up_bars(parameters)
    panel = market.panel.slice(first, segment.stop)
    _check(panel, market.instrument, parameters, market.cash)
    signals = signals_of(
        panel,
        market.maps[map_name],
        parameters,
        market.ladders_of(map_name).slice(first, segment.stop),
    )
    setup = replay_setup(parameters, market.costs, instrument=market.instrument, cash=market.cash)
    done = replay_arrays(signals, bars_of(panel), setup)
    return Run(done.equity[segment.start - first :], done.trades)


def keep_market(folder: Path, market: Market) -> None:
    """Write a market for worker processes, which map it into memory instead of copying it.

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    for name in market.maps:
        market.ladders_of(name)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        store(folder, market)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise LakeError(f"cannot write the workers' data {folder}: {error}") from error


def kept_market(folder: Path) -> Market:
    """Return a market that was written by `keep_market`.

    Raises
    ------
    LakeError
        If it is not whole.
    """
    try:
        market = restore(folder)
    except Damaged as error:
        raise LakeError(f"the workers' data is damaged: {error}") from error
    if not isinstance(market, Market):
        raise LakeError(f"{folder} does not hold the workers' data")
    return market
