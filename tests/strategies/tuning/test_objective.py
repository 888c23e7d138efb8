"""What a trial is worth: figures by hand and against empyrical."""

from __future__ import annotations

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError
from liqtiers.strategies.tuning.objective import (
    ObjectiveParameters,
    SegmentResult,
    daily_returns,
    day_ends,
    max_drawdown,
    score,
    segment_result,
    sharpe_ratio,
    values_of,
)

HOUR = 3_600_000_000


def result(**changed: object) -> SegmentResult:
    plain = SegmentResult(np.zeros(10), 1.0, 0.1, 0.05, 5)
    return plain._replace(**changed)  # type: ignore[arg-type]


def test_days_end_at_midnight_utc() -> None:
    """Bars from 22:00 on: the first day ends with its second bar, the last with the last bar."""
    ts = (np.arange(30) + 22) * HOUR
    assert day_ends(ts).tolist() == [1, 25, 29]


def test_daily_returns_by_hand() -> None:
    """Each day's return is over the day before's last equity, the first over the cash."""
    equity = np.array([101.0, 102.0, 90.0, 51.0, 102.0])
    assert daily_returns(equity, np.array([1, 3, 4]), cash=100.0) == pytest.approx(
        [0.02, -0.5, 1.0]
    )


def test_a_lost_account_returns_nothing_more() -> None:
    """At or below 0 the day loses all, and later days return 0."""
    equity = np.array([50.0, -10.0, -20.0])
    assert daily_returns(equity, np.array([0, 1, 2]), cash=100.0).tolist() == [-0.5, -1.0, 0.0]


@given(st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=60))
def test_sharpe_ratio_is_empyricals(found: list[float]) -> None:
    """Yearly with 365 days, as empyrical has it; 0 where empyrical has no value."""
    daily = np.array(found)
    if np.std(daily) < 1e-9:
        return
    assert sharpe_ratio(daily) == pytest.approx(empyrical.sharpe_ratio(daily, annualization=365))


@pytest.mark.parametrize("daily", [[], [0.01], [0.0, 0.0, 0.0]])
def test_no_risk_is_no_ratio(daily: list[float]) -> None:
    """Too few returns, or flat ones, have a ratio of 0."""
    assert sharpe_ratio(np.array(daily)) == 0.0


def test_drawdown_by_hand() -> None:
    """From 120 to 60 is a half; the cash itself is the first peak."""
    assert max_drawdown(np.array([110.0, 120.0, 60.0, 130.0]), cash=100.0) == pytest.approx(0.5)
    assert max_drawdown(np.array([80.0, 90.0]), cash=100.0) == pytest.approx(0.2)
    assert max_drawdown(np.array([101.0, 102.0]), cash=100.0) == 0.0


def test_score_is_the_mean_less_a_part_of_the_spread() -> None:
    """1, 2 and 3 have mean 2 and deviation 1; flipping the penalty changes the score."""
    assert score([1.0, 2.0, 3.0], spread_penalty=0.5) == pytest.approx(1.5)
    assert score([1.0, 2.0, 3.0], spread_penalty=0.0) == pytest.approx(2.0)


def test_values_of_each_goal() -> None:
    """One score; or the yearly return of the folds in a row, with the deepest of their drawdowns."""
    results = [result(total=0.10, drawdown=0.02), result(total=0.21, drawdown=0.07, sharpe=3.0)]
    plain = ObjectiveParameters(spread_penalty=1.0)
    assert values_of(results, plain) == pytest.approx((2.0 - np.sqrt(2.0),))
    both = ObjectiveParameters(goal="return-drawdown")
    # 20 days in all.
    assert values_of(results, both) == pytest.approx(((1.1 * 1.21) ** (365 / 20) - 1.0, 0.07))


def test_segment_result_puts_it_together() -> None:
    """Return, days, drawdown and trades of one equity curve."""
    found = segment_result(np.array([102.0, 101.0, 105.0]), np.array([0, 2]), cash=100.0, trades=3)
    assert found.daily == pytest.approx([0.02, 105 / 102 - 1])
    assert found.total == pytest.approx(0.05)
    assert found.drawdown == pytest.approx(1 / 102)
    assert found.trades == 3


def test_objective_checks_itself() -> None:
    """An unknown goal is told with those that there are."""
    with pytest.raises(InputError, match="goal is 'profit', it must be one of sharpe"):
        ObjectiveParameters(goal="profit")
