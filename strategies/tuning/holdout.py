"""The winner on the bars that tuning never read, by both engines, beside what it must beat.

Backtrader is the reference and the replay must agree with it to the last trade; where it does not, there
is no result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from scipy import stats

from ...datasets.errors import LiqtiersError
from ...datasets.panel import Float64Array1D, Panel
from ..backtest import BacktestResult, run_backtest
from ..holding import held_share
from ..parameters import TierBreakoutParameters
from .folds import Segment
from .honesty import probabilistic_sharpe_ratio
from .market import Evaluate, Market, warm_up_bars
from .objective import daily_returns, day_ends, max_drawdown, sharpe_ratio

_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figures:
    """What something did over the holdout.

    Attributes
    ----------
    total : float
        Return, a fraction, after all costs.
    sharpe : float
        Yearly; 0 where nothing moved.
    drawdown : float
        Deepest fall from a peak, a fraction of 0 or above.
    trades : int
    p_value : float
        Chance of so good a result where the true mean is 0 or below: the larger one of a test of daily
        returns and one of the trades; NaN where there is nothing to test.
    equity : ndarray of float64, shape (days,)
        At the end of each UTC day, over what it started with.
    """

    total: float
    sharpe: float
    drawdown: float
    trades: int
    p_value: float
    equity: Float64Array1D

    def told(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "return": self.total,
            "sharpe": self.sharpe,
            "drawdown": self.drawdown,
            "trades": self.trades,
            "p_value": self.p_value,
            "equity": self.equity.tolist(),
        }


def run_reference(
    market: Market, parameters: TierBreakoutParameters, map_name: str, segment: Segment
) -> BacktestResult:
    """Run one set of parameters over a stretch in backtrader, with its warm-up before it."""
    first = segment.start - warm_up_bars(parameters)
    return run_backtest(
        market.panel.slice(first, segment.stop),
        market.maps[map_name].slice(first, segment.stop),
        instrument=market.instrument,
        parameters=parameters,
        costs=market.costs,
        cash=market.cash,
    )


def confirmed_run(
    market: Market,
    parameters: TierBreakoutParameters,
    map_name: str,
    segment: Segment,
    *,
    evaluate: Evaluate,
) -> BacktestResult:
    """Return the reference run of a stretch, after the tuner's own engine agreed with it.

    Raises
    ------
    LiqtiersError
        If equity or the number of trades differ.
    """
    reference = run_reference(market, parameters, map_name, segment)
    found = evaluate(market, parameters, map_name, segment)
    equity = segment_equity(reference, segment)
    differs = ~np.isclose(found.equity, equity, rtol=_TOLERANCE, atol=0.0)
    if found.trades != reference.trades.num_rows or differs.any():
        place = int(np.argmax(differs))
        raise LiqtiersError(
            f"the replay and backtrader differ: {found.trades} and {reference.trades.num_rows} trades, "
            f"equity {found.equity[place]:.9g} and {equity[place]:.9g} at bar {place} of the holdout. "
            "There is no result; please report this with the study's folder"
        )
    return reference


def segment_equity(result: BacktestResult, segment: Segment) -> Float64Array1D:
    """Return the equity at each bar of a stretch, without its warm-up."""
    equity: Float64Array1D = result.equity["equity"].to_numpy()[-segment.bars :]
    return equity


def figures_of(result: BacktestResult, panel: Panel, segment: Segment) -> Figures:
    """Return what a run over a stretch amounts to."""
    equity = segment_equity(result, segment)
    ends = day_ends(panel.ts[segment.start : segment.stop])
    daily = daily_returns(equity, ends, cash=result.cash)
    return Figures(
        total=float(equity[-1] / result.cash - 1.0),
        sharpe=sharpe_ratio(daily),
        drawdown=max_drawdown(equity, cash=result.cash),
        trades=result.trades.num_rows,
        p_value=p_value(daily, result.trades),
        equity=equity[ends] / result.cash,
    )


def p_value(daily: Float64Array1D, trades: pa.Table) -> float:
    """Return the chance of so good a result without an edge; see `Figures`.

    Notes
    -----
    Days on which nothing was held make a test of days too sure where trades are few; a test of trades
    overlooks that trades of one day go together. The less sure of the two is taken.
    """
    own = trades["return_on_equity"].to_numpy()
    if len(own) < 3 or not np.std(own) > 0.0:
        return math.nan
    of_days = 1.0 - probabilistic_sharpe_ratio(daily)
    of_trades = float(stats.ttest_1samp(own, 0.0, alternative="greater").pvalue)
    return max(of_days, of_trades)


def buy_and_hold(market: Market, segment: Segment) -> Figures:
    """Return what all the cash in the contract came to from the first open to the last close, after costs.

    See `held_share`: unlevered, funding paid out of the position.
    """
    panel, fee = market.panel, market.costs.taker_fee
    part = slice(segment.start, segment.stop)
    first = float(panel.open[segment.start])
    equity = panel.close[part] / first * held_share(panel.funding_settled[part], taker_fee=fee)
    equity[-1] *= 1.0 - fee
    ends = day_ends(panel.ts[part])
    return Figures(
        total=float(equity[-1] - 1.0),
        sharpe=sharpe_ratio(daily_returns(equity, ends, cash=1.0)),
        drawdown=max_drawdown(equity, cash=1.0),
        trades=1,
        p_value=math.nan,
        equity=equity[ends],
    )
