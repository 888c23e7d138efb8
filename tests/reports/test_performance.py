"""The figures of a run against hand calculation and another library, and the words made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from liqtiers.reports.formatting import signed
from liqtiers.reports.performance import (
    FEWEST_TRADES,
    buy_and_hold,
    by_exit,
    daily_returns,
    max_drawdown,
    mean_interval,
    sharpe_ratio,
    summarise,
    verdict,
)
from liqtiers.strategies.trade_log import TRADES_SCHEMA
from made_up_runs import CASH

UTC = pa.timestamp("us", tz="UTC")


def curve(
    values: list[float], *, freq: str = "1D", position: list[float] | None = None
) -> pa.Table:
    """An equity table with one row a bar."""
    ts = pd.date_range("2024-01-01", periods=len(values), freq=freq, tz="UTC", unit="us")
    held = position or [0.0] * len(values)
    return pa.table({"ts": pa.array(ts).cast(UTC), "equity": values, "position": held})


def bars(opens: list[float], closes: list[float], settled: list[float]) -> pa.Table:
    return pa.table({"open": opens, "close": closes, "funding_settled": settled})


def trades(net: list[float], *, reason: str = "stop", price: float = 100.0) -> pa.Table:
    """Closed trades of one coin at one price, of which only the result differs."""
    rows = [
        {
            "trade_id": i + 1, "size": 1.0, "entry_price": price, "exit_price": price,
            "exit_reason": reason, "gross_pnl": value + 3.0, "fees": 2.0, "slippage": 1.5,
            "funding": 0.5, "net_pnl": value,
        }
        for i, value in enumerate(net)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=TRADES_SCHEMA)


def summary_of(net: list[float], **changes: float) -> dict[str, object]:
    """The summary of trades with these results over a hundred days in which the price doubles."""
    equity = curve([CASH + sum(net)] * 101)
    held = bars([50.0] * 101, [50.0] * 100 + [100.0], [0.0] * 101)
    return {**summarise(trades(net), equity, held, cash=CASH, taker_fee=0.0), **changes}


def test_returns_of_days_come_from_each_days_last_bar() -> None:
    """A UTC day's return is its last equity over the last equity of the day before, or the cash."""
    table = curve([101.0, 102.0, 99.0, 96.9, 96.9, 100.0], freq="12h")
    np.testing.assert_allclose(daily_returns(table, cash=100.0), [0.02, -0.05, 100 / 96.9 - 1])


def test_sharpe_and_drawdown_and_growth_equal_empyrical() -> None:
    """The figures are those that users of empyrical know, with 365 days a year."""
    empyrical = pytest.importorskip("empyrical", reason="empyrical-reloaded is not installed")
    returns = np.random.default_rng(3).normal(0.001, 0.02, 400)
    table = curve(list(CASH * np.cumprod(1.0 + returns)))
    daily = daily_returns(table, cash=CASH)
    assert sharpe_ratio(daily) == pytest.approx(empyrical.sharpe_ratio(returns, annualization=365))
    assert max_drawdown(table, cash=CASH)[0] == pytest.approx(empyrical.max_drawdown(returns))
    held = bars([50.0] * 400, [50.0] * 400, [0.0] * 400)
    figures = summarise(trades([]), table, held, cash=CASH, taker_fee=0.0)
    span = 399 / 400  # ours counts from the first bar to the last, empyrical counts the returns
    growth = empyrical.annual_return(returns, annualization=365)
    assert figures["annual_return"] == pytest.approx((1.0 + growth) ** (1.0 / span) - 1.0)


def test_deepest_drawdown_names_its_peak_and_its_low() -> None:
    """Depth is a fraction of the peak; both moments are given; the starting cash is a peak too."""
    table = curve([110.0, 120.0, 90.0, 130.0, 104.0])
    depth, peak, low = max_drawdown(table, cash=100.0)
    assert depth == pytest.approx(-0.25)
    assert (peak, low) == ("2024-01-02T00:00:00+00:00", "2024-01-03T00:00:00+00:00")
    assert max_drawdown(curve([80.0, 90.0]), cash=100.0)[0] == pytest.approx(-0.2)
    assert max_drawdown(curve([100.0, 101.0]), cash=100.0) == (0.0, None, None)


def test_buy_and_hold_pays_fees_both_ways_and_funding() -> None:
    """All the cash from the first open to the last close, 0.1 % of it each, funding sold and bought."""
    table = bars([100.0, 110.0, 120.0], [110.0, 120.0, 150.0], [0.01, 0.0, -0.02])
    by_hand = 1.5 * 0.999 * 0.999 * 0.99 * 1.02 - 1.0
    assert buy_and_hold(table, taker_fee=0.001) == pytest.approx(by_hand)


def test_years_of_funding_never_cost_more_than_all() -> None:
    """A holder who pays 1 % each day of a boom and sees the price fall back has something left."""
    price = [100.0, *[1000.0] * 200, 100.0]
    table = bars(price, price, [0.01] * len(price))
    assert buy_and_hold(table, taker_fee=0.0) == pytest.approx(0.99 ** len(price) - 1.0)


def test_buy_and_hold_without_funding_is_price_and_fees() -> None:
    """Unknown funding counts as none."""
    table = bars([100.0, 100.0], [100.0, 120.0], [np.nan, np.nan])
    assert buy_and_hold(table, taker_fee=0.0) == pytest.approx(0.2)


def test_interval_of_the_mean_equals_scipys_for_any_order() -> None:
    """The interval is the bias-corrected bootstrap's, near the t interval, and the same each time."""
    net = np.random.default_rng(1).normal(5.0, 40.0, 200)
    low, high = mean_interval(net)
    t = stats.t.interval(0.95, len(net) - 1, loc=net.mean(), scale=stats.sem(net))
    assert (low, high) == pytest.approx(t, abs=0.6)
    assert mean_interval(net) == (low, high)


@pytest.mark.parametrize("net", [[], [5.0], [3.0, 3.0, 3.0]], ids=["none", "one", "alike"])
def test_interval_is_unknown_where_nothing_can_be_resampled(net: list[float]) -> None:
    """Fewer than two trades, or trades that are all alike, have no interval."""
    assert np.isnan(mean_interval(np.array(net))).all()


def test_trades_by_exit_split_the_result_into_gross_and_costs() -> None:
    """Each reason's rows add up: net = gross - fees - slippage + funding; a lost reason is counted."""
    frame = pa.concat_tables(
        [trades([10.0, -4.0]), trades([7.0], reason="target"), trades([1.0], reason=None)]  # type: ignore[arg-type]
    ).to_pandas()
    rows = {row["exit_reason"]: row for row in by_exit(frame)}
    assert {reason: row["trades"] for reason, row in rows.items()} == {
        "": 1,
        "stop": 2,
        "target": 1,
    }
    assert rows["stop"]["net_pnl"] == 6.0
    assert rows["stop"]["hit_rate"] == 0.5
    for row in rows.values():
        split = row["gross_pnl"] - row["fees"] - row["slippage"] + row["funding"]
        assert split == pytest.approx(row["net_pnl"])


def test_summary_counts_exposure_and_turnover() -> None:
    """Exposure is the share of bars with a position, turnover the value traded over the cash."""
    table = curve([CASH] * 4, position=[0.0, 2.0, -1.0, 0.0])
    held = bars([50.0] * 4, [50.0] * 4, [0.0] * 4)
    figures = summarise(trades([1.0, 2.0], price=25_000.0), table, held, cash=CASH, taker_fee=0.0)
    assert figures["exposure"] == 0.5
    assert figures["turnover"] == pytest.approx(1.0)
    assert figures["mean_return_bps"] == pytest.approx(1e4 * 1.5 / 25_000.0)


def test_no_trade_leaves_figures_unknown_and_warns() -> None:
    """Without a trade there is no hit rate, and the verdict says that nothing was tested."""
    figures = summary_of([])
    assert np.isnan(figures["hit_rate"])
    assert np.isnan(figures["mean_net_pnl"])
    judged = verdict(figures)
    assert judged.sentence == "No trade in 3 months; buy-and-hold gained 100.0%."
    assert judged.warning == "Nothing was traded, so nothing was tested."


def test_account_below_zero_has_no_ratio_that_means_anything() -> None:
    """A negative equity gives unknown figures, not infinite ones."""
    table = curve([50.0, -10.0, -10.0])
    held = bars([50.0] * 3, [50.0] * 3, [0.0] * 3)
    figures = summarise(trades([-110.0]), table, held, cash=100.0, taker_fee=0.0)
    assert np.isnan(figures["sharpe"])
    assert np.isnan(figures["annual_return"])
    assert figures["net_return"] == pytest.approx(-1.1)


def test_verdict_says_answer_first_and_that_few_trades_say_nothing() -> None:
    """Result after costs, span, trades, benchmark; a warning below thirty trades with the interval."""
    judged = verdict(summary_of([-200.0, 100.0] * 8 + [-900.0]))
    assert judged.sentence == (
        "Lost 1.7% after all costs in 3 months with 17 trades; buy-and-hold gained 100.0%."
    )
    assert judged.warning is not None
    assert judged.warning.startswith("17 trades are too few to say anything (95% interval")


@pytest.mark.parametrize(
    ("net", "said"),
    [
        ([100.0], "1 trade is too few to say anything."),
        ([100.0, -100.0] * FEWEST_TRADES, "No evidence of an edge: chance explains it"),
        ([-100.0, -90.0] * FEWEST_TRADES, "The trades lose, beyond chance"),
        ([100.0, 90.0] * FEWEST_TRADES, "The mean trade is above zero"),
        ([-5.0] * FEWEST_TRADES, "All trades ended alike"),
    ],
    ids=["one", "chance", "loss", "gain", "alike"],
)
def test_warning_follows_the_interval_of_the_mean_trade(net: list[float], said: str) -> None:
    """The warning tells chance, loss and gain apart, and never leaves a gain without its caveat."""
    warning = verdict(summary_of(net)).warning
    assert warning is not None
    assert warning.startswith(said)
    assert "nan" not in warning


@pytest.mark.parametrize("net", [[3.0, -2.0, 1.0], [100.0, 90.0] * FEWEST_TRADES])
def test_the_interval_says_what_it_measures_and_in_what(net: list[float]) -> None:
    """The net result of a trade, in quote currency: a bare number could be basis points or percent."""
    figures = summary_of(net)
    low, high = (signed(figures[f"mean_net_pnl_{end}"]) for end in ("low", "high"))
    told = f"(95% interval of the mean trade, net: {low} to {high} in quote currency)"
    assert told in (verdict(figures).warning or "")


@pytest.mark.parametrize(
    ("days", "text"), [(12.0, "12 days"), (425.0, "14 months"), (1500.0, "4.1 years")]
)
def test_span_is_told_in_the_unit_that_reads_best(days: float, text: str) -> None:
    """Days up to two months, months up to two years, then years."""
    assert f"in {text} with" in verdict(summary_of([1.0], days=days)).sentence


def test_summary_of_three_trades_equals_a_calculation_by_hand() -> None:
    """Costs, hit rate, mean and drawdown of three trades over three days, each worked out by hand."""
    table = curve([1010.0, 990.0, 1005.0], position=[1.0, 1.0, 0.0])
    held = bars([100.0, 105.0, 110.0], [105.0, 110.0, 120.0], [0.0, 0.01, 0.0])
    figures = summarise(trades([10.0, -20.0, 15.0]), table, held, cash=1000.0, taker_fee=0.001)
    by_hand = {
        "final_equity": 1005.0,
        "net_pnl": 5.0,
        "net_return": 0.005,
        "annual_return": 1.005 ** (365 / 2) - 1.0,
        "buy_and_hold_return": 1.2 * 0.999 * 0.999 * 0.99 - 1.0,
        "max_drawdown": 990.0 / 1010.0 - 1.0,
        "exposure": 2 / 3,
        "turnover": 0.6,
        "days": 2.0,
        "trades": 3,
        "hit_rate": 2 / 3,
        "mean_net_pnl": 5 / 3,
        "mean_return_bps": 1e4 * (0.10 - 0.20 + 0.15) / 3,
        "gross_pnl": 14.0,
        "fees": 6.0,
        "slippage": 4.5,
        "funding": 1.5,
    }
    assert {name: figures[name] for name in by_hand} == pytest.approx(by_hand)
    split = figures["gross_pnl"] - figures["fees"] - figures["slippage"] + figures["funding"]
    assert split == pytest.approx(figures["net_pnl"])
    assert (figures["drawdown_from"], figures["drawdown_to"]) == (
        "2024-01-01T00:00:00+00:00",
        "2024-01-02T00:00:00+00:00",
    )
