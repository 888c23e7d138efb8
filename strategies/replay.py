"""The compiled replay: what `run_backtest` does, thousands of times faster, over the panel's arrays.

Same inputs give the same trades, trade for trade, and the same equity at each bar; where the two ever
differ, backtrader is right and the replay has an error. `replay` returns the same tables; `replay_arrays`
is what tuning calls: it takes what no parameter changes ready-made and makes no tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..datasets._compiled import frozen
from ..datasets.instruments import Brackets, Instrument
from ..datasets.map_features import MapFeatures
from ..datasets.panel import Float64Array1D, Int64Array1D, Panel
from ._cost_formulas import bracket_table
from ._replay_fills import END_OF_DATA, LIQUIDATION, STOP, TARGET, TRAIL, Settings
from ._replay_kernel import Bars, bars_of, rows_for, run
from .backtest import BacktestResult, _check
from .ledger import END, LIQUIDATED
from .parameters import CostParameters, TierBreakoutParameters
from .rulebook import REASONS, rules_of
from .signals import Signals, signals_of
from .trade_log import TIER_COLUMNS, TRADES_SCHEMA

EXIT_REASONS: Final = {
    **REASONS,
    STOP: "stop",
    TARGET: "target",
    TRAIL: "trail",
    LIQUIDATION: LIQUIDATED,
    END_OF_DATA: END,
}
"""What the numbers in `ReplayArrays.exit_reason` say."""

_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplaySetup:
    """Everything about a run but its bars.

    Attributes
    ----------
    settings : Settings
        Parameters, costs, contract and cash as numbers.
    brackets : Brackets
        The contract's maintenance-margin table, which says what was refused.
    """

    settings: Settings
    brackets: Brackets


class ReplayArrays(NamedTuple):
    """What a run did, as arrays: the first two by bar, the others by trade.

    `size` is signed. Bars are counted from the arrays' first, whatever `start` was. A reference is the
    price before slippage; `lowest` and `highest` are the prices behind ``mae`` and ``mfe``; fees and funding
    are quote; `exit_reason` is a key of `EXIT_REASONS`.
    """

    equity: Float64Array1D
    position: Float64Array1D
    size: Float64Array1D
    entry_price: Float64Array1D
    entry_reference: Float64Array1D
    exit_price: Float64Array1D
    exit_reference: Float64Array1D
    fees: Float64Array1D
    funding: Float64Array1D
    lowest: Float64Array1D
    highest: Float64Array1D
    equity_before: Float64Array1D
    stop_price: Float64Array1D
    target_price: Float64Array1D
    own_liquidation_price: Float64Array1D
    tier_lower: Float64Array1D
    tier_upper: Float64Array1D
    tier_peak: Float64Array1D
    tier_notional: Float64Array1D
    tier_fuel: Float64Array1D
    imbalance: Float64Array1D
    armed_bar: Int64Array1D
    trigger_bar: Int64Array1D
    entry_bar: Int64Array1D
    exit_bar: Int64Array1D
    exit_reason: Int64Array1D

    @property
    def trades(self) -> int:
        """How many there are."""
        return len(self.size)


def replay_setup(
    parameters: TierBreakoutParameters | None = None,
    costs: CostParameters | None = None,
    *,
    instrument: Instrument,
    cash: float = 100_000.0,
) -> ReplaySetup:
    """Return parameters, costs and contract as `replay_arrays` takes them; see `run_backtest`."""
    parameters, costs = parameters or TierBreakoutParameters(), costs or CostParameters()
    settings = Settings(
        rules=rules_of(parameters),
        risk_fraction=float(parameters.risk_fraction),
        leverage=float(parameters.max_leverage),
        lot=float(instrument.lot),
        taker_fee=float(costs.taker_fee),
        maker_fee=float(costs.maker_fee),
        spread_bps=float(costs.spread_bps),
        impact_coefficient=float(costs.impact_coefficient),
        max_slippage_bps=float(costs.max_slippage_bps),
        brackets=bracket_table(instrument.brackets),
        cash=float(cash),
    )
    return ReplaySetup(settings=settings, brackets=instrument.brackets)


def replay_arrays(
    signals: Signals,
    bars: Bars,
    setup: ReplaySetup,
    *,
    start: int = 0,
    stop: int | None = None,
) -> ReplayArrays:
    """Run over bars `start` to `stop` (exclusive), from flat to flat.

    Parameters
    ----------
    signals : Signals
        See `signals_of`.
    bars : Bars
        `bars_of` the same panel.
    setup : ReplaySetup
    start, stop : int, optional
        All bars by default.

    Returns
    -------
    ReplayArrays
        By bar, shape (stop - start,); by trade, shape (trades,).

    Raises
    ------
    ValueError
        If there are no such bars.
    InputError
        If a position is too large for its leverage.

    Notes
    -----
    Look-ahead: nothing after the close of a bar is read for what is decided there. The first tier can be
    armed at the close of bar `start`. Indicators come from `signals`: those of bars before `start` are in
    them if they were made over these bars, too.
    """
    stop = len(bars.close) if stop is None else stop
    if len(signals.close) != len(bars.close) or not 0 <= start < stop <= len(bars.close):
        raise ValueError(
            f"bars {start} to {stop} of {len(bars.close)}, signals over {len(signals.close)}"
        )
    equity, position = np.empty(stop - start), np.empty(stop - start)
    floats, ints = rows_for(stop - start)
    trades, refused = run(
        frozen(signals)._replace(tiers=signals.tiers),
        frozen(bars),
        setup.settings,
        start,
        stop,
        equity,
        position,
        floats,
        ints,
    )
    if refused:
        _raise_refusal(setup, float(floats[trades, 1]), float(floats[trades, 0]))
    return ReplayArrays(equity, position, *floats[:trades].T.copy(), *ints[:trades].T.copy())


def replay(
    panel: Panel,
    features: MapFeatures,
    *,
    instrument: Instrument,
    parameters: TierBreakoutParameters | None = None,
    costs: CostParameters | None = None,
    cash: float = 100_000.0,
) -> BacktestResult:
    """Run the breakout strategy without backtrader; the same result as `run_backtest`.

    Parameters, errors and notes are those of `run_backtest`.
    """
    parameters = parameters or TierBreakoutParameters()
    _check(panel, instrument, parameters, cash)
    if len(features) != len(panel):
        raise ValueError(f"{len(features)} rows of features for {len(panel)} bars")
    setup = replay_setup(parameters, costs, instrument=instrument, cash=cash)
    done = replay_arrays(signals_of(panel, features, parameters), bars_of(panel), setup)
    equity = pa.table(
        {
            "ts": pa.array(panel.ts).cast(_TIMESTAMP),
            "equity": done.equity,
            "position": done.position,
        }
    )
    return BacktestResult(trades=trades_table(done, panel.ts), equity=equity, cash=cash)


def trades_table(done: ReplayArrays, ts: Int64Array1D) -> pa.Table:
    """Return trades as a table of `TRADES_SCHEMA`.

    Parameters
    ----------
    done : ReplayArrays
    ts : ndarray of int64, shape (n,)
        Opens of the bars that were run over, UTC microseconds.
    """
    direction = np.where(done.size > 0.0, 1, -1)
    quantity = np.abs(done.size)
    entry = quantity * done.entry_price / quantity
    adverse = np.where(direction > 0, done.lowest, done.highest)
    favourable = np.where(direction > 0, done.highest, done.lowest)
    money = _money(done)
    columns = {
        "trade_id": np.arange(1, done.trades + 1),
        "direction": direction,
        **{f"{name}_ts": ts[getattr(done, f"{name}_bar")] for name in _MOMENTS},
        "entry_price": entry,
        "exit_price": quantity * done.exit_price / quantity,
        "size": quantity,
        "stop_price": done.stop_price,
        "target_price": done.target_price,
        "own_liquidation_price": done.own_liquidation_price,
        **{name: getattr(done, name) for name in TIER_COLUMNS},
        "exit_reason": [EXIT_REASONS[code] for code in done.exit_reason.tolist()],
        "bars_held": done.exit_bar - done.entry_bar + 1,
        **money,
        "return_on_equity": money["net_pnl"] / done.equity_before,
        "mae": direction * (adverse / entry - 1.0),
        "mfe": direction * (favourable / entry - 1.0),
    }
    arrays = [pa.array(columns[f.name]).cast(f.type) for f in TRADES_SCHEMA]
    return pa.table(arrays, schema=TRADES_SCHEMA)


_MOMENTS: Final = ("armed", "trigger", "entry", "exit")


def _money(done: ReplayArrays) -> dict[str, NDArray[np.float64]]:
    gross = -(done.size * done.entry_reference + -done.size * done.exit_reference)
    slippage = done.size * (done.entry_price - done.entry_reference) + -done.size * (
        done.exit_price - done.exit_reference
    )
    return {
        "gross_pnl": gross,
        "fees": done.fees,
        "slippage": slippage,
        "funding": done.funding,
        "net_pnl": gross - slippage - done.fees + done.funding,
    }


def _raise_refusal(setup: ReplaySetup, entry: float, size: float) -> None:
    """Raise what the broker raises for a position that the venue would not grant."""
    setup.brackets.liquidation_price(
        entry, setup.settings.leverage, quantity=abs(size), direction=1 if size > 0.0 else -1
    )
    raise AssertionError("the venue refuses what its table grants")
