"""The joins in time, against brute force in plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets._as_of import (
    Run,
    chain,
    in_order_of_knowledge,
    is_fresh,
    newest_known,
    runs_of,
    sum_between,
)
from liqtiers.datasets.naming import DAY_US, HOUR_US

moments = st.lists(st.integers(0, 40), min_size=1, max_size=20)
bar_steps = st.lists(st.integers(1, 6), min_size=1, max_size=12)


def integers(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@given(available=moments.map(sorted), at=moments)
def test_newest_known_is_the_last_row_at_or_before(available: list[int], at: list[int]) -> None:
    """A row counts from its moment on, that moment included."""
    expected = [max([i for i, t in enumerate(available) if t <= x], default=-1) for x in at]
    assert newest_known(integers(available), integers(at)).tolist() == expected


@given(rows=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), min_size=1, max_size=15))
def test_knowledge_never_goes_back_in_time(rows: list[tuple[int, int]]) -> None:
    """At every moment the last row kept is the newest of all that are known."""
    ts = integers([at for at, _ in rows])
    available = integers([at + lag for at, lag in rows])
    kept = in_order_of_knowledge(ts, available)
    assert (np.diff(available[kept]) >= 0).all()
    for now in range(32):
        known = ts[available <= now]
        last = kept[available[kept] <= now]
        assert (len(known) == 0) == (len(last) == 0)
        if len(known):
            assert ts[last[-1]] == known.max()


@given(at=moments.map(sorted), steps=bar_steps, start=st.integers(-3, 30), data=st.data())
def test_sums_are_of_open_to_close(
    at: list[int], steps: list[int], start: int, data: st.DataObject
) -> None:
    """After the open, up to and including the close; gaps between bars belong to none."""
    opens = start + np.cumsum(integers(steps)) * 2
    closes = opens + 2
    values = data.draw(st.lists(st.integers(-9, 9).map(float), min_size=len(at), max_size=len(at)))
    found = sum_between(integers(at), np.array(values), opens, closes)
    expected = [
        sum(v for t, v in zip(at, values, strict=True) if first < t <= last)
        for first, last in zip(opens, closes, strict=True)
    ]
    assert found.tolist() == expected


def test_sum_of_a_bar_does_not_depend_on_its_neighbours() -> None:
    """To the last bit: what comes before and after is not part of the rounding."""
    rng = np.random.default_rng(5)
    values = rng.lognormal(0.0, 12.0, 999)
    at = np.sort(rng.integers(0, 300, 999))
    opens = np.arange(0, 300, 10)
    whole = sum_between(at, values, opens, opens + 10)
    for bar in range(30):
        inside = (at > opens[bar]) & (at <= opens[bar] + 10)
        alone = sum_between(
            at[inside], values[inside], opens[bar : bar + 1], opens[bar : bar + 1] + 10
        )
        assert alone[0].tobytes() == whole[bar].tobytes()


def test_freshness_is_three_steps_or_a_day() -> None:
    """A five-minute series is stale after a day, a daily one after three, a weekly after 21."""
    for step, limit in ((HOUR_US // 12, DAY_US), (DAY_US, 3 * DAY_US), (7 * DAY_US, 21 * DAY_US)):
        available = np.arange(6, dtype=np.int64) * step
        at = available[-1] + integers([0, limit - 1, limit])
        newest = newest_known(available, at)
        assert is_fresh(available, newest, at).tolist() == [True, True, False]


def test_one_outage_does_not_stretch_the_patience() -> None:
    """Ten silent days once do not make thirty silent days normal."""
    step = HOUR_US // 12
    before = np.arange(5, dtype=np.int64) * step
    available = np.concatenate([before, before[-1] + 10 * DAY_US + before])
    at = available[-1:] + DAY_US
    assert not is_fresh(available, newest_known(available, at), at).any()


@given(count=st.integers(1, 6), step=st.integers(1, 3), at=st.integers(0, 40))
def test_freshness_is_causal(count: int, step: int, at: int) -> None:
    """Rows that come later do not change whether a row was fresh."""
    available = np.cumsum(np.full(count, step)) * DAY_US
    now = integers([at * DAY_US])
    newest = newest_known(available, now)
    known = available[available <= now[0]]
    if len(known):
        alone = is_fresh(known, newest_known(known, now), now)
        assert is_fresh(available, newest, now).tolist() == alone.tolist()
    else:
        assert not is_fresh(available, newest, now).any()


def test_runs_cover_all_bars() -> None:
    """Stretches of equal series, in order."""
    assert runs_of(integers([-1, -1, 1, 0, 0])) == [Run(-1, 0, 2), Run(1, 2, 3), Run(0, 3, 5)]
    assert runs_of(integers([2])) == [Run(2, 0, 1)]


def test_chain_by_hand() -> None:
    """Each later series is rescaled to the level of the one before; silence keeps the level."""
    nan = np.nan
    first = np.array([nan, 10.0, 11.0, 12.0, 12.0, 12.0, 24.0])
    second = np.array([100.0, 100.0, 100.0, 120.0, 150.0, 150.0, 300.0])
    series = integers([-1, 0, 0, 1, 1, -1, 0])
    level = chain([first, second], runs_of(series))
    # At bar 3: 12 of the first is 120 of the second. At bar 6 the second says 300, the first 24.
    np.testing.assert_array_equal(level, [nan, 10.0, 11.0, 12.0, 15.0, 15.0, 30.0])


@given(
    series=st.lists(st.integers(0, 2), min_size=1, max_size=20),
    seed=st.integers(0, 2**32 - 1),
)
def test_chained_changes_are_those_of_a_series(series: list[int], seed: int) -> None:
    """The relative change over every bar is that of the series in use before or in it."""
    values = list(np.random.default_rng(seed).uniform(1.0, 2.0, (3, len(series))))
    level = chain(values, runs_of(integers(series)))
    for bar in range(1, len(series)):
        use = series[bar - 1]
        expected = values[use][bar] / values[use][bar - 1]
        np.testing.assert_allclose(level[bar] / level[bar - 1], expected, rtol=1e-12)
