"""The main job as one call: run the strategy over a panel's map, judge it, and keep the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..datasets.instruments import Instrument
from ..datasets.liquidation_map import LiquidationMap
from ..datasets.liquidation_map import parameter_rows as map_rows
from ..datasets.panel import Panel
from ..strategies.backtest import run_backtest
from ..strategies.parameters import CostParameters, TierBreakoutParameters, parameter_rows
from .backtest_report import write_report
from .level_log import level_log
from .map_check import check_of
from .performance import summarise, verdict
from .provenance import data_of, instrument_of, versions
from .random_entry import random_entry
from .return_statistics import daily_table, drawdowns, monthly_returns, return_figures
from .run_record import bars_table, write_run
from .trade_groups import trade_groups
from .trade_story import with_what_the_rules_saw


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A run that was written.

    Attributes
    ----------
    folder, report : Path
    sentence : str
        The verdict.
    warning : str or None
    """

    folder: Path
    report: Path
    sentence: str
    warning: str | None


def run_and_record(
    workspace: Path,
    panel: Panel,
    liquidation_map: LiquidationMap,
    *,
    instrument: Instrument,
    parameters: TierBreakoutParameters,
    costs: CostParameters,
    cash: float,
    command: str,
    created_at: datetime,
    levels: Sequence[float] = (),
) -> Recorded:
    """Run the strategy, write ``runs/<id>/`` with its report, and return where it is.

    Parameters
    ----------
    workspace : Path
    panel, liquidation_map, instrument, parameters, costs, cash
        See `run_backtest`.
    command : str
        What the user typed, for the record.
    created_at : datetime
        The present moment.
    levels : sequence of float
        Prices whose every approach is logged.

    Raises
    ------
    InputError, LakeError
        See `run_backtest` and `write_run`.
    """
    result = run_backtest(
        panel,
        liquidation_map.features,
        instrument=instrument,
        parameters=parameters,
        costs=costs,
        cash=cash,
    )
    bars = bars_table(panel, liquidation_map, parameters.imbalance_window)
    trades = with_what_the_rules_saw(result.trades, panel, parameters)
    daily = daily_table(result.equity, bars, cash=cash, taker_fee=costs.taker_fee)
    summary = summarise(trades, result.equity, bars, cash=cash, taker_fee=costs.taker_fee)
    summary |= {
        "by_group": trade_groups(trades, panel),
        "random_entry": random_entry(trades, bars),
        "returns": return_figures(daily),
        "months": monthly_returns(daily),
        "drawdowns": drawdowns(daily, cash=cash),
    }
    judged = verdict(summary)
    about = {
        "command": command,
        "versions": versions(),
        "instrument": instrument_of(panel, instrument),
        "data": data_of(panel),
        "window": parameters.imbalance_window,
        "map": {
            "model": liquidation_map.model,
            "notes": list(liquidation_map.notes),
            "parameters": map_rows(liquidation_map.parameters),
            "check": check_of(panel, liquidation_map),
        },
        "parameters": parameter_rows(parameters),
        "costs": parameter_rows(costs),
        "levels": level_log(
            panel, liquidation_map, instrument, levels, window=parameters.imbalance_window
        ),
        "summary": summary,
        "verdict": {"sentence": judged.sentence, "warning": judged.warning},
    }
    folder = write_run(
        workspace,
        about,
        created_at=created_at,
        panel=panel,
        liquidation_map=liquidation_map,
        imbalance_window=parameters.imbalance_window,
        trades=trades,
        equity=result.equity,
        daily=daily,
    )
    return Recorded(
        folder=folder,
        report=write_report(folder),
        sentence=judged.sentence,
        warning=judged.warning,
    )
