"""The charts of a study: what is left out of twenty thousand trials, and where a value is drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from liqtiers.reports.parameter_charts import Axis, literal
from liqtiers.reports.plain_charts import padded
from liqtiers.reports.tuning_charts import best_so_far, thinned, unbeaten


def trials(count: int, *, seed: int = 1, steps: int | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score, second = rng.normal(size=(2, count))
    if steps:
        score, second = np.round(score * steps), np.round(second * steps)
    return pd.DataFrame(
        {
            "number": np.arange(count),
            "score": score,
            "second": second,
            "feasible": rng.random(count) < 0.7,
        }
    )


def axis(**more: object) -> Axis:
    given = {"name": "x", "unit": "bars", "meaning": "", "low": 1.0, "high": 100.0, "log": False}
    return Axis(**{**given, "choices": (), "value": 1.0, "share": None, **more})  # type: ignore[arg-type]  # any of its fields


def test_thinning_keeps_what_matters_and_the_shape() -> None:
    """Of 20,000 trials 1,500 are left: those asked for, the best 200, the rest evenly by rank."""
    scored = trials(20_000)
    worst = int(scored["score"].idxmin())
    kept = thinned(scored, 1500, keep=[worst, 17])
    assert len(kept) == 1500
    assert kept["number"].is_monotonic_increasing
    assert {worst, 17} <= set(kept["number"])
    ranks = scored["score"].rank(ascending=False).to_numpy()[kept["number"]]
    assert set(range(1, 201)) <= set(ranks)
    assert np.diff(np.sort(ranks)).max() <= -(-20_000 // (1500 - 202)) + 1
    assert thinned(scored[:1500], 1500, keep=[]).equals(scored[:1500])


def test_best_so_far_by_hand() -> None:
    """The line steps where a trial with enough trades is better, and runs on to the last trial."""
    scored = pd.DataFrame(
        {
            "number": [0, 2, 3, 5, 7, 9],
            "score": [1.0, 9.0, 0.5, 2.0, 2.0, -1.0],
            "feasible": [True, False, True, True, True, True],
        }
    )
    assert best_so_far(scored) == {"number": [0, 5, 9], "score": [1.0, 2.0, 2.0]}


@pytest.mark.parametrize("seed", range(5))
def test_unbeaten_trials_by_brute_force(seed: int) -> None:
    """A trial is on the line if none is as good in both goals and better in one; of equals, the first."""
    scored = trials(60, seed=seed, steps=3)
    able = scored[scored["feasible"]]
    wanted = []
    for one in able.itertuples():
        better = [
            other
            for other in able.itertuples()
            if other.score >= one.score
            and other.second <= one.second
            and (other.score, -other.second, -other.number) > (one.score, -one.second, -one.number)
        ]
        if not better:
            wanted.append(one.number)
    assert sorted(unbeaten(scored)["number"]) == wanted


def test_places_on_an_axis() -> None:
    """Even, in the logarithm, or in the middle of a choice's share; what is unknown is nowhere."""
    values = pd.Series([1.0, 10.0, 100.0])
    assert axis().places(values) == pytest.approx([0.0, 9.0 / 99.0, 1.0])
    assert axis(log=True).places(values) == pytest.approx([0.0, 0.5, 1.0])
    chosen = axis(choices=("tier", "next")).places(pd.Series(["next", "tier", None]))
    assert chosen == pytest.approx([0.75, 0.25, np.nan], nan_ok=True)


def test_long_choices_are_numbered_and_told() -> None:
    """A choice whose name has no room stands as a number, with its name in the text."""
    short = axis(choices=("tier", "next"))
    assert (short.labels(), short.key()) == (["tier", "next"], "")
    long = axis(choices=("churn=0.02 tier_density=2", "churn=0.05 tier_density=2"))
    assert long.labels() == ["1", "2"]
    assert long.key() == "1 = churn=0.02 tier_density=2, 2 = churn=0.05 tier_density=2"


@pytest.mark.parametrize("values", [[], [np.nan], [3.0], [0.0, 0.0], [-2.0, np.nan, 5.0]], ids=str)
def test_an_axis_has_room_whatever_there_is(values: list[float]) -> None:
    """Nothing, one value, equal ones: the axis spans more than nothing and holds all of them."""
    span = padded(np.array(values))
    assert span.start < span.end
    assert all(span.start < v < span.end for v in values if np.isfinite(v))


def test_no_text_is_taken_for_a_formula() -> None:
    """Bokeh would fetch a library to set what stands between two dollar signs."""
    assert "$$" not in literal("$$x$$")
    assert literal("hours of volume") == "hours of volume"
