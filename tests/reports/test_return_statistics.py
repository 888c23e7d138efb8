"""Daily returns as quantstats and empyrical see them."""

from __future__ import annotations

import empyrical
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from liqtiers.datasets.panel import panel_from_frame
from liqtiers.reports.return_statistics import (
    DRAWDOWNS,
    ROLLING_DAYS,
    daily_table,
    drawdowns,
    monthly_returns,
    return_figures,
)
from made_up_runs import CASH, equity_of, made_up_trades, random_walk

UTC = pa.timestamp("us", tz="UTC")


def run_of(days: int, *, seed: int = 3, per_day: int = 4) -> tuple[pa.Table, pa.Table]:
    """Equity and bars of a random walk; an account that wanders on its own."""
    rng = np.random.default_rng(seed)
    rows = days * per_day
    ts = pd.date_range("2023-11-20", periods=rows, freq=f"{24 // per_day}h", tz="UTC", unit="us")
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, rows)))
    equity = CASH * np.exp(np.cumsum(rng.normal(0.0002, 0.01, rows)))
    moments = pa.array(ts).cast(UTC)
    bars = pa.table(
        {
            "ts": moments,
            "open": np.r_[100.0, close[:-1]],
            "close": close,
            "funding_settled": np.zeros(rows),
        }
    )
    return pa.table({"ts": moments, "equity": equity, "position": np.zeros(rows)}), bars


@pytest.fixture(scope="module")
def daily() -> pd.DataFrame:
    """Four hundred days, over three calendar years."""
    return daily_table(*run_of(400), cash=CASH, taker_fee=0.001)


def test_days_compound_to_the_account_and_to_holding(daily: pd.DataFrame) -> None:
    """Returns of the days multiply to the whole; holding pays its fee on the first day."""
    equity, bars = run_of(400)
    assert np.prod(1.0 + daily["account"]) == pytest.approx(equity["equity"][-1].as_py() / CASH)
    whole = bars["close"][-1].as_py() / 100.0 * (1.0 - 0.001)
    assert np.prod(1.0 + daily["hold"]) == pytest.approx(whole)


def test_rolling_figures_are_quantstats(daily: pd.DataFrame) -> None:
    """Over 90 days with 365 a year; unknown before."""
    import quantstats  # here, since it takes seconds

    returns = daily["account"]
    options = {"rolling_period": ROLLING_DAYS, "periods_per_year": 365}
    sharpe = quantstats.stats.rolling_sharpe(returns, **options)
    known = daily["rolling_sharpe"].dropna()
    assert len(known) == 400 - ROLLING_DAYS + 1
    assert known.to_numpy() == pytest.approx(sharpe.dropna().to_numpy()[-len(known) :])
    volatility = quantstats.stats.rolling_volatility(returns, **options)
    assert daily["rolling_volatility"].iloc[-1] == pytest.approx(float(volatility.iloc[-1]))


def test_months_are_quantstats(daily: pd.DataFrame) -> None:
    """A month without a day is empty, where quantstats writes 0; years compound."""
    import quantstats

    plain = daily["account"].copy()
    plain.index = pd.DatetimeIndex(plain.index).tz_localize(None)
    theirs = quantstats.stats.monthly_returns(plain, eoy=True, compounded=True)
    ours = monthly_returns(daily)
    assert [row["year"] for row in ours] == [int(year) for year in theirs.index]
    for row, (_, other) in zip(ours, theirs.iterrows(), strict=True):
        months = [0.0 if value is None else value for value in row["months"]]
        assert months == pytest.approx(other.iloc[:12].to_list())
        assert row["total"] == pytest.approx(float(other.iloc[12]))
    assert ours[0]["months"][:10] == [None] * 10


def test_drawdowns_are_quantstats(daily: pd.DataFrame) -> None:
    """The five deepest: depth, and the day of the low."""
    import quantstats

    plain = daily["account"].copy()
    plain.index = pd.DatetimeIndex(plain.index).tz_localize(None)
    series = quantstats.stats.to_drawdown_series(plain)
    theirs = quantstats.stats.drawdown_details(series).sort_values("max drawdown").head(DRAWDOWNS)
    ours = drawdowns(daily, cash=CASH)
    assert [100.0 * row["depth"] for row in ours] == pytest.approx(
        theirs["max drawdown"].to_list(), rel=1e-6
    )
    assert [row["low"] for row in ours] == [str(day)[:10] for day in theirs["valley"]]
    assert ours[0]["depth"] == pytest.approx(empyrical.max_drawdown(daily["account"]))


def test_a_drawdown_has_its_dates() -> None:
    """By hand: from a high, down, up again; one from the start; one that lasts."""
    equity = pd.DataFrame(
        {"equity": [90.0, 100.0, 120.0, 60.0, 90.0, 120.0, 110.0]},
        index=pd.date_range("2024-01-01", periods=7, tz="UTC"),
    )
    found = drawdowns(equity, cash=100.0)
    assert [tuple(row[name] for name in ("peak", "low", "recovered", "days")) for row in found] == [
        ("2024-01-03", "2024-01-04", "2024-01-06", 3),
        (None, "2024-01-01", "2024-01-02", 2),
        ("2024-01-06", "2024-01-07", None, 1),
    ]
    assert [row["depth"] for row in found] == pytest.approx([-0.5, -0.1, -1 / 12])


def test_ratios_are_known_where_there_are_days(daily: pd.DataFrame) -> None:
    """Sortino and Calmar by hand; with two days nothing is claimed."""
    found = return_figures(daily)
    returns = daily["account"].to_numpy()
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)) * np.sqrt(365)
    assert found["sortino"] == pytest.approx(returns.mean() * 365 / downside)
    growth = np.prod(1.0 + returns) ** (365 / len(returns)) - 1.0
    depth = drawdowns(daily, cash=CASH)[0]["depth"]
    assert found["calmar"] == pytest.approx(growth / -depth)
    assert found["worst_day"] == returns.min()
    assert np.isnan(list(return_figures(daily.iloc[:2]).values())).all()


def test_a_flat_account_has_no_ratio() -> None:
    """Without a trade nothing is divided by nothing, and no warning is raised."""
    equity, bars = run_of(120)
    flat = equity.set_column(1, "equity", pa.array(np.full(equity.num_rows, CASH)))
    daily = daily_table(flat, bars, cash=CASH, taker_fee=0.001)
    assert daily["rolling_sharpe"].isna().all()
    assert drawdowns(daily, cash=CASH) == []
    found = return_figures(daily)
    assert np.isnan(found["sortino"])
    assert found["volatility"] == 0.0


def test_days_do_not_know_later_ones() -> None:
    """Cutting bars off changes no day before the cut."""
    frame = random_walk(3000, seed=5)
    panel = panel_from_frame(frame, venue="x", symbol="Y", timeframe="5m")
    equity = equity_of(
        panel, made_up_trades(panel, count=9, seed=5, losses_only=False, reason=None)
    )
    bars = pa.table({n: frame[n].to_numpy() for n in ("open", "close", "funding_settled")})
    whole = daily_table(equity, bars, cash=CASH, taker_fee=0.001)
    part = daily_table(equity.slice(0, 1440), bars.slice(0, 1440), cash=CASH, taker_fee=0.001)
    pd.testing.assert_frame_equal(part, whole.iloc[:5], check_freq=False)
