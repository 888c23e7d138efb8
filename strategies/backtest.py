"""The reference run: backtrader with the plugin's parts over one panel."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import backtrader as bt
import numpy as np
import pyarrow as pa

from ..datasets.errors import InputError
from ..datasets.instruments import Instrument
from ..datasets.map_features import MapFeatures
from ..datasets.panel import Panel
from .broker import PerpetualBroker
from .commission import PerpetualCommission
from .feed import PanelFeed
from .lean import LeanCerebro
from .parameters import CostParameters, TierBreakoutParameters
from .slippage import SquareRootSlippage
from .tier_breakout import TierBreakout
from .trade_log import EquityCurve, TierTrades


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """What a run did.

    Attributes
    ----------
    trades : pyarrow.Table
        See `TRADES_SCHEMA`.
    equity : pyarrow.Table
        ``ts`` (bar open), ``equity`` (quote, at the bar's close), ``position`` (base, signed).
    cash : float
        What the run started with, quote.
    """

    trades: pa.Table
    equity: pa.Table
    cash: float


def run_backtest(
    panel: Panel,
    features: MapFeatures,
    *,
    instrument: Instrument,
    parameters: TierBreakoutParameters | None = None,
    costs: CostParameters | None = None,
    cash: float = 100_000.0,
    strategy: type[bt.Strategy] = TierBreakout,
) -> BacktestResult:
    """Run the breakout strategy in backtrader.

    Parameters
    ----------
    panel : Panel
    features : MapFeatures
        Over the same bars.
    instrument : Instrument
        Gives the lot and the maintenance-margin table.
    parameters : TierBreakoutParameters, optional
    costs : CostParameters, optional
    cash : float
        Starting equity, quote.
    strategy : type, optional
        `TierBreakout` or a subclass of it.

    Raises
    ------
    InputError
        If there are no bars or no cash, the contract is not linear, or the venue never grants the
        leverage; during the run, if a position is too large for its leverage.

    Notes
    -----
    A position still open at the end is closed on paper at the last close, with the taker's fee and
    slippage (exit reason ``end``), in the trades and in the last bar's equity alike; the last bar's
    position is the one before.
    """
    parameters = parameters or TierBreakoutParameters()
    _check(panel, instrument, parameters, cash)
    cerebro = perpetual_cerebro(panel, features, instrument, parameters, costs, cash=cash)
    cerebro.addstrategy(_settling(strategy), lot=instrument.lot, **asdict(parameters))
    cerebro.addanalyzer(EquityCurve, _name="equity")
    cerebro.addanalyzer(TierTrades, _name="trades")
    (run,) = cerebro.run()
    curve = run.analyzers.equity.get_analysis()
    equity = pa.table(
        {
            "ts": pa.array(panel.ts).cast(pa.timestamp("us", tz="UTC")),
            "equity": np.array(curve["equity"], dtype=np.float64),
            "position": np.array(curve["position"], dtype=np.float64),
        }
    )
    return BacktestResult(trades=run.analyzers.trades.get_analysis(), equity=equity, cash=cash)


def _check(
    panel: Panel, instrument: Instrument, parameters: TierBreakoutParameters, cash: float
) -> None:
    if len(panel) == 0:
        raise InputError("there are no bars to run over")
    if not cash > 0.0:
        raise InputError(f"cash is {cash:g}, it must be above 0")
    if instrument.kind != "linear":
        raise InputError(
            f"{instrument.venue} {instrument.symbol} is {instrument.kind}; only linear contracts, "
            "margined in the quote currency, can be run"
        )
    granted = float(np.max(instrument.brackets.max_leverage))
    if parameters.max_leverage > granted:
        raise InputError(
            f"max_leverage is {parameters.max_leverage:g}, it must not be above the {granted:g} that "
            f"is granted at most ({instrument.brackets.source})"
        )


def perpetual_cerebro(
    panel: Panel,
    features: MapFeatures | None,
    instrument: Instrument,
    parameters: TierBreakoutParameters,
    costs: CostParameters | None = None,
    *,
    cash: float,
) -> LeanCerebro:
    """Return a Cerebro with the feed, broker and commission of a perpetual future, no strategy."""
    costs = costs or CostParameters()
    slippage = SquareRootSlippage(
        spread_bps=costs.spread_bps,
        coefficient=costs.impact_coefficient,
        max_bps=costs.max_slippage_bps,
    )
    cerebro = LeanCerebro(stdstats=False)
    cerebro.broker = PerpetualBroker(slippage, instrument.brackets, cash=cash)
    cerebro.broker.addcommissioninfo(
        PerpetualCommission(
            taker=costs.taker_fee,
            maker=costs.maker_fee,
            position_leverage=parameters.max_leverage,
        )
    )
    cerebro.adddata(PanelFeed.from_panel(panel, features))
    return cerebro


def _settling(strategy: type[bt.Strategy]) -> type[bt.Strategy]:
    """Return the strategy with its open position closed, costs included, at the end of the data."""

    class Settling(strategy):  # type: ignore[misc]  # backtrader has no stubs
        def stop(self) -> Any:
            self.broker.settle(self.data)
            return super().stop()

    Settling.__name__ = strategy.__name__
    return Settling
