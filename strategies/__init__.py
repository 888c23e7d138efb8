"""Every decision: the rulebook, its parameters, and the backtrader parts that carry it out."""

from ._replay_kernel import bars_of
from .backtest import BacktestResult, perpetual_cerebro, run_backtest
from .broker import PerpetualBroker
from .commission import PerpetualCommission
from .feed import PanelFeed
from .lean import LeanCerebro, PassedBars
from .ledger import Fill, FundingPayment, Ledger
from .parameters import CostParameters, TierBreakoutParameters
from .replay import (
    EXIT_REASONS,
    ReplayArrays,
    ReplaySetup,
    replay,
    replay_arrays,
    replay_setup,
    trades_table,
)
from .signals import Ladders, Signals, ladders_of, signals_of
from .slippage import DepthSlippage, Slippage, SquareRootSlippage
from .tier_breakout import TierBreakout
from .trade_log import TRADES_SCHEMA, EquityCurve, TierTrades

__all__ = [
    "EXIT_REASONS",
    "TRADES_SCHEMA",
    "BacktestResult",
    "CostParameters",
    "DepthSlippage",
    "EquityCurve",
    "Fill",
    "FundingPayment",
    "Ladders",
    "LeanCerebro",
    "Ledger",
    "PanelFeed",
    "PassedBars",
    "PerpetualBroker",
    "PerpetualCommission",
    "ReplayArrays",
    "ReplaySetup",
    "Signals",
    "Slippage",
    "SquareRootSlippage",
    "TierBreakout",
    "TierBreakoutParameters",
    "TierTrades",
    "bars_of",
    "ladders_of",
    "perpetual_cerebro",
    "replay",
    "replay_arrays",
    "replay_setup",
    "run_backtest",
    "signals_of",
    "trades_table",
]
