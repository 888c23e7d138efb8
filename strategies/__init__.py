"""Every decision: the rulebook, its parameters, and the backtrader parts that carry it out."""

from .backtest import BacktestResult, perpetual_cerebro, run_backtest
from .broker import PerpetualBroker
from .commission import PerpetualCommission
from .feed import PanelFeed
from .ledger import Fill, FundingPayment, Ledger
from .parameters import CostParameters, TierBreakoutParameters
from .slippage import DepthSlippage, Slippage, SquareRootSlippage
from .tier_breakout import TierBreakout
from .trade_log import TRADES_SCHEMA, EquityCurve, TierTrades

__all__ = [
    "TRADES_SCHEMA",
    "BacktestResult",
    "CostParameters",
    "DepthSlippage",
    "EquityCurve",
    "Fill",
    "FundingPayment",
    "Ledger",
    "PanelFeed",
    "PerpetualBroker",
    "PerpetualCommission",
    "Slippage",
    "SquareRootSlippage",
    "TierBreakout",
    "TierBreakoutParameters",
    "TierTrades",
    "perpetual_cerebro",
    "run_backtest",
]
