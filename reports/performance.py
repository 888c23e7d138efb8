"""The figures of a run, and the sentence that they amount to.

Returns are of UTC days and years have 365 of them, as crypto trades. Nothing here is drawn or
formatted except the verdict, which is words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import stats

from ..datasets.panel import Float64Array1D
from ..strategies.holding import held_share
from .formatting import signed

DAYS_A_YEAR: Final = 365
FEWEST_TRADES: Final = 30
"""Below this many closed trades nothing is claimed, whatever the mean is."""

_SPLIT: Final = ("gross_pnl", "fees", "slippage", "funding")
_RESAMPLES: Final = 9999
_BOOTSTRAP_SEED: Final = 20240229


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reader should take away: one sentence, and a warning where one is due."""

    sentence: str
    warning: str | None


def summarise(
    trades: pa.Table, equity: pa.Table, bars: pa.Table, *, cash: float, taker_fee: float
) -> dict[str, Any]:
    """Return the figures of a run.

    Parameters
    ----------
    trades, equity, bars : pyarrow.Table
        See `RunRecord`.
    cash : float
        What the run started with, quote.
    taker_fee : float
        Paid by buy-and-hold, which buys at the first open and sells at the last close, without
        leverage, and pays or receives funding as a holder of the contract does.

    Returns
    -------
    dict
        Money in quote, rates as fractions, times as ISO texts; NaN where a figure has no meaning.
    """
    curve = equity["equity"].to_numpy()
    frame = trades.to_pandas()
    net = frame["net_pnl"].to_numpy(dtype=np.float64)
    daily = daily_returns(equity, cash=cash)
    days = (_moment(equity, -1) - _moment(equity, 0)) / pd.Timedelta(days=1)
    low, high = mean_interval(net)
    depth, from_ts, to_ts = max_drawdown(equity, cash=cash)
    costs = {
        name: float(frame[name].sum()) for name in ("gross_pnl", "fees", "slippage", "funding")
    }
    return {
        "cash": cash,
        "final_equity": float(curve[-1]),
        "net_pnl": float(curve[-1] - cash),
        "net_return": float(curve[-1] / cash - 1.0),
        "annual_return": float((curve[-1] / cash) ** (DAYS_A_YEAR / days) - 1.0)
        if days > 0 and curve[-1] > 0
        else float("nan"),
        "buy_and_hold_return": buy_and_hold(bars, taker_fee=taker_fee),
        "max_drawdown": depth,
        "drawdown_from": from_ts,
        "drawdown_to": to_ts,
        "sharpe": sharpe_ratio(daily),
        "exposure": float(np.mean(equity["position"].to_numpy() != 0.0)),
        "turnover": float(
            (frame["size"] * (frame["entry_price"] + frame["exit_price"])).sum() / cash
        ),
        "days": float(days),
        "trades": len(frame),
        "hit_rate": float(np.mean(net > 0.0)) if len(net) else float("nan"),
        "mean_net_pnl": float(np.mean(net)) if len(net) else float("nan"),
        "mean_net_pnl_low": low,
        "mean_net_pnl_high": high,
        "mean_return_bps": float(1e4 * (net / (frame["size"] * frame["entry_price"])).mean())
        if len(net)
        else float("nan"),
        **costs,
        "by_exit": by_exit(frame),
    }


def day_ends(equity: pa.Table) -> pd.Series[float]:
    """Return the equity at the last bar of each UTC day, by the day's midnight."""
    curve = equity.select(["ts", "equity"]).to_pandas().set_index("ts")["equity"]
    ends: pd.Series[float] = curve.groupby(curve.index.floor("D")).last()
    return ends


def daily_returns(equity: pa.Table, *, cash: float) -> Float64Array1D:
    """Return the returns of UTC days, shape (days,), from the equity at each day's last bar."""
    last: Float64Array1D = np.asarray(day_ends(equity), dtype=np.float64)
    before = np.concatenate([[cash], last[:-1]])
    # An account at or below zero has no return any more.
    returns: Float64Array1D = last / np.where(before > 0.0, before, np.nan) - 1.0
    return returns


def sharpe_ratio(daily: Float64Array1D) -> float:
    """Return the yearly Sharpe ratio of daily returns, without a risk-free rate; NaN if they are flat.

    ``mean / standard deviation (of a sample) * sqrt(365)``.
    """
    if len(daily) < 2:  # a deviation needs two
        return float("nan")
    deviation = float(np.std(daily, ddof=1))
    if not deviation > 0.0:
        return float("nan")
    return float(np.mean(daily) / deviation * np.sqrt(DAYS_A_YEAR))


def max_drawdown(equity: pa.Table, *, cash: float) -> tuple[float, str | None, str | None]:
    """Return the deepest fall from a peak (a fraction of it, 0 or below), its peak's and low's time."""
    curve = np.concatenate([[cash], equity["equity"].to_numpy()])
    peaks = np.maximum.accumulate(curve)
    falls = curve / peaks - 1.0
    low = int(np.argmin(falls))
    if falls[low] == 0.0:
        return 0.0, None, None
    peak = int(np.argmax(curve[: low + 1]))
    return (
        float(falls[low]),
        _moment(equity, max(peak - 1, 0)).isoformat(),
        _moment(equity, low - 1).isoformat(),
    )


def buy_and_hold(bars: pa.Table, *, taker_fee: float) -> float:
    """Return what all the cash in the contract came to from the first open to the last close, after costs.

    See `held_share`: unlevered, funding paid out of the position.
    """
    first, last = float(bars["open"].to_numpy()[0]), float(bars["close"].to_numpy()[-1])
    share = held_share(bars["funding_settled"].to_numpy(), taker_fee=taker_fee)
    return float(last / first * share[-1] * (1.0 - taker_fee) - 1.0)


def mean_interval(net: Float64Array1D) -> tuple[float, float]:
    """Return the 95 % bootstrap interval (BCa, seeded) of the mean of trades; NaN for fewer than 2."""
    if len(net) < 2 or np.ptp(net) == 0.0:  # nothing to resample
        return float("nan"), float("nan")
    interval = stats.bootstrap(
        (net,),
        np.mean,
        n_resamples=_RESAMPLES,
        method="BCa" if len(net) > 2 else "percentile",  # BCa jackknifes
        rng=np.random.default_rng(_BOOTSTRAP_SEED),
        vectorized=True,
        batch=500,
    ).confidence_interval
    return float(interval.low), float(interval.high)


def by_exit(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return count, hit rate, mean, sum and its split into gross result and costs by exit reason."""
    reasons = frame["exit_reason"].fillna("")
    return [
        {
            "exit_reason": reason,
            "trades": len(group),
            "hit_rate": float((group["net_pnl"] > 0).mean()),
            "mean_net_pnl": float(group["net_pnl"].mean()),
            **{name: float(group[name].sum()) for name in (*_SPLIT, "net_pnl")},
        }
        for reason, group in frame.groupby(reasons)
    ]


def verdict(summary: dict[str, Any]) -> Verdict:
    """Return what the figures amount to, in words."""
    moved = "Gained" if summary["net_return"] >= 0 else "Lost"
    held = summary["buy_and_hold_return"]
    count = summary["trades"]
    if count == 0:
        sentence = (
            f"No trade in {_span(summary['days'])}; buy-and-hold "
            f"{'gained' if held >= 0 else 'lost'} {abs(held):.1%}."
        )
        return Verdict(sentence=sentence, warning="Nothing was traded, so nothing was tested.")
    sentence = (
        f"{moved} {abs(summary['net_return']):.1%} after all costs in {_span(summary['days'])} with "
        f"{count} {'trade' if count == 1 else 'trades'}; buy-and-hold "
        f"{'gained' if held >= 0 else 'lost'} {abs(held):.1%}."
    )
    return Verdict(sentence=sentence, warning=_warning(summary))


def _warning(summary: dict[str, Any]) -> str:
    count = summary["trades"]
    low, high = summary["mean_net_pnl_low"], summary["mean_net_pnl_high"]
    interval = (
        f"95% interval of the mean trade, net: {signed(low)} to {signed(high)} in quote currency"
    )
    if count < FEWEST_TRADES:
        unclear = f" ({interval})" if np.isfinite(low) else ""
        return f"{count} {'trade is' if count == 1 else 'trades are'} too few to say anything{unclear}."
    if not np.isfinite(low):
        return (
            "All trades ended alike, which no market does: look for a fault before anything else."
        )
    if low <= 0.0 <= high:
        return f"No evidence of an edge: chance explains it ({interval})."
    if high < 0.0:
        return f"The trades lose, beyond chance ({interval})."
    return (
        f"The mean trade is above zero ({interval}), but this is one sample, not corrected for what "
        "else was tried, nor compared with a rule that knows only price."
    )


def _span(days: float) -> str:
    if days < 60:  # two months read better as days
        return f"{days:.0f} days"
    if days < 2 * DAYS_A_YEAR:
        return f"{days / (DAYS_A_YEAR / 12):.0f} months"
    return f"{days / DAYS_A_YEAR:.1f} years"


def _moment(table: pa.Table, row: int) -> pd.Timestamp:
    return pd.Timestamp(table["ts"][row if row >= 0 else table.num_rows + row].as_py())
