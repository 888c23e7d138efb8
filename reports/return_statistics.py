"""What users of quantstats and pyfolio look for in daily returns, by empyrical: ratios, months, drawdowns.

Days are UTC days, a year has 365 of them. Ratios come out of empyrical-reloaded; months and drawdowns are
sums over the same returns, and tests hold them to quantstats.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from ..strategies.holding import held_share
from .performance import DAYS_A_YEAR, daily_returns, day_ends

ROLLING_DAYS: Final = 90
DRAWDOWNS: Final = 5
_FEWEST_DAYS: Final = 3


def daily_table(equity: pa.Table, bars: pa.Table, *, cash: float, taker_fee: float) -> pd.DataFrame:
    """Return one row a UTC day: the account's return, buy-and-hold's, and the account's rolling figures.

    Parameters
    ----------
    equity, bars : pyarrow.Table
        See `run_record.RunRecord`.
    cash : float
        What both started with, quote.
    taker_fee : float
        Paid by buy-and-hold when it buys.

    Returns
    -------
    DataFrame
        Indexed by day (``day``, UTC midnight): ``account``, ``hold`` (fractions), ``equity`` (quote, at the
        day's last bar), and over the last 90 days ``rolling_sharpe`` and ``rolling_volatility`` (yearly
        fractions), NaN before.
    """
    share = held_share(bars["funding_settled"].to_numpy(), taker_fee=taker_fee)
    hold = cash * bars["close"].to_numpy() / bars["open"].to_numpy()[0] * share
    account = daily_returns(equity, cash=cash)
    held = daily_returns(pa.table({"ts": equity["ts"], "equity": hold}), cash=cash)
    by_day = day_ends(equity)
    frame = pd.DataFrame({"account": account, "hold": held, "equity": by_day}, index=by_day.index)
    frame.index.name = "day"
    window = frame["account"].rolling(ROLLING_DAYS)
    deviation = window.std()
    yearly = float(np.sqrt(DAYS_A_YEAR))
    frame["rolling_sharpe"] = (window.mean() / deviation * yearly).where(deviation > 1e-12)
    frame["rolling_volatility"] = deviation * yearly
    return frame


def return_figures(daily: pd.DataFrame) -> dict[str, float]:
    """Return the ratios of daily returns, by empyrical; NaN where there are fewer than three days.

    Parameters
    ----------
    daily : DataFrame
        What `daily_table` gives.
    """
    names = (
        *("volatility", "sortino", "calmar", "omega", "tail_ratio", "stability"),
        *("value_at_risk", "expected_shortfall", "beta", "alpha"),
    )
    account, hold = (daily[name].dropna() for name in ("account", "hold"))
    if len(account) < _FEWEST_DAYS:
        return dict.fromkeys((*names, "best_day", "worst_day"), float("nan"))
    import empyrical  # two seconds, which a page that is written again need not wait for

    year = {"annualization": DAYS_A_YEAR}
    with np.errstate(all="ignore"):
        values = (
            empyrical.annual_volatility(account, **year),
            empyrical.sortino_ratio(account, **year),
            empyrical.calmar_ratio(account, **year),
            empyrical.omega_ratio(account, annualization=DAYS_A_YEAR),
            empyrical.tail_ratio(account),
            empyrical.stability_of_timeseries(account),
            empyrical.value_at_risk(account),
            empyrical.conditional_value_at_risk(account),
            empyrical.beta(account, hold),
            empyrical.alpha(account, hold, **year),
        )
    found = {name: _finite(value) for name, value in zip(names, values, strict=True)}
    return {**found, "best_day": float(account.max()), "worst_day": float(account.min())}


def monthly_returns(daily: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row a year: ``year``, ``months`` (twelve returns, None without a day) and ``total``."""
    growth = 1.0 + daily["account"].to_numpy(dtype=np.float64)
    index = pd.DatetimeIndex(daily.index)
    rows = []
    for year in sorted(set(index.year)):
        own = index.year == year
        months = [
            float(growth[own & (index.month == month)].prod() - 1.0)
            if (own & (index.month == month)).any()
            else None
            for month in range(1, 13)
        ]
        rows.append({"year": year, "months": months, "total": float(growth[own].prod() - 1.0)})
    return rows


def drawdowns(daily: pd.DataFrame, *, cash: float) -> list[dict[str, Any]]:
    """Return the deepest falls of the account at the closes of days, the deepest first.

    Parameters
    ----------
    daily : DataFrame
    cash : float
        What the account started with.

    Returns
    -------
    list of dict
        ``peak``, ``low``, ``recovered`` (ISO days, recovered None where it never was; peak None where the
        account fell from its first day on), ``depth`` (fraction, below 0), ``days`` from peak to recovery
        or to the end.
    """
    days = [None, *(day.date().isoformat() for day in pd.DatetimeIndex(daily.index))]
    curve = np.concatenate([[cash], daily["equity"].to_numpy(dtype=np.float64)])
    depth = curve / np.maximum.accumulate(curve) - 1.0
    under = depth < 0.0
    starts = np.flatnonzero(under & ~np.r_[False, under[:-1]])
    found: list[dict[str, Any]] = []
    for start in starts.tolist():
        above = np.flatnonzero(~under[start:])
        end = start + int(above[0]) if len(above) else None
        low = start + int(np.argmin(depth[start:end]))
        last = len(curve) - 1 if end is None else end
        found.append(
            {
                "peak": days[start - 1],
                "low": days[low],
                "recovered": None if end is None else days[end],
                "depth": float(depth[low]),
                "days": last - (start - 1),
            }
        )
    return sorted(found, key=lambda row: row["depth"])[:DRAWDOWNS]


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # empyrical has no types
    return number if np.isfinite(number) else float("nan")
