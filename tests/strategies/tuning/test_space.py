"""The search space: derived from the parameters, changed by the user, never beyond the bounds."""

from __future__ import annotations

from dataclasses import fields

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from liqtiers.datasets.errors import InputError
from liqtiers.strategies.parameters import TierBreakoutParameters
from liqtiers.strategies.tuning import Dimension, search_space


def test_space_is_what_the_parameters_say() -> None:
    """Everything with a search range or choices is searched, within it; nothing else is."""
    space = search_space()
    declared = {
        f.name
        for f in fields(TierBreakoutParameters)
        if f.metadata["search"] or f.metadata["choices"]
    }
    found = space.distributions()
    assert set(found) == declared
    assert found["min_fuel"] == FloatDistribution(0.01, 5.0, log=True)
    assert found["patience"] == IntDistribution(4, 288, log=True)
    assert found["side"] == CategoricalDistribution(("shorts", "longs", "both"))
    assert "risk_fraction" not in found


def test_user_changes_the_space() -> None:
    """A value, a range, a list: each replaces the declared range of its parameter."""
    space = search_space(
        fixed={"side": "both", "max_hold": "50"},
        ranges={"stop_atr": (1.0, 2.0)},
        values={"atr_bars": ["12", "24"], "imbalance_window": ["0.05", "0.25"]},
    )
    found = space.distributions()
    assert found["stop_atr"] == FloatDistribution(1.0, 2.0)
    assert found["atr_bars"] == CategoricalDistribution((12, 24))
    assert found["imbalance_window"] == CategoricalDistribution((0.05, 0.25))
    assert "side" not in found
    assert space.parameters({"stop_atr": 1.5, "atr_bars": 24}) == TierBreakoutParameters(
        side="both", max_hold=50, stop_atr=1.5, atr_bars=24
    )


def test_longest_trade_follows_the_space() -> None:
    """The gap between folds is the longest holding time and the longest warm-up that can be suggested."""
    assert search_space().longest_trade_bars() == 2000 + 288
    short = search_space(fixed={"max_hold": "10"}, ranges={"atr_bars": (5, 20)}, values={})
    assert short.longest_trade_bars() == 10 + 96  # thrust_bars goes up to 96
    listed = search_space(inner={"max_hold": ["10", "30"]}, fixed={"atr_bars": "20"})
    assert listed.longest_trade_bars() == 30 + 96


def test_inner_grid_is_not_suggested_and_all_of_it_is_tried() -> None:
    """Two lists of an inner grid make every combination; the sampler does not see them."""
    space = search_space(inner={"target": ["tier", "next"], "trail_atr": ["0", "2", "4"]})
    assert "target" not in space.distributions()
    assert "target" in space.all_distributions()
    assert len(space.inner_grid()) == 6
    assert {"target": "next", "trail_atr": 4.0} in space.inner_grid()
    assert search_space().inner_grid() == [{}]


def test_maps_are_one_more_choice() -> None:
    """With several maps the sampler chooses one; the first is the default; it is no strategy parameter."""
    space = search_space(maps=["a", "b"])
    assert space.distributions()["map"] == CategoricalDistribution(("a", "b"))
    assert space.map_name({"map": "b"}) == "b"
    assert space.map_name({}) == "a"
    assert space.parameters({"map": "b"}) == TierBreakoutParameters()
    assert "map" not in search_space().distributions()


def test_defaults_are_a_suggestion_unless_they_lie_outside() -> None:
    """The defaults can be tried first, unless the user searches elsewhere."""
    found = search_space().defaults()
    assert found is not None
    assert found["stop_atr"] == 2.0
    assert search_space(ranges={"stop_atr": (3.0, 4.0)}).defaults() is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ranges": {"stop_art": (1, 2)}}, "did you mean stop_atr"),
        ({"fixed": {"stop_atr": "2"}, "ranges": {"stop_atr": (1, 2)}}, "stop_atr is given twice"),
        ({"ranges": {"stop_atr": (2, 1)}}, "the range of stop_atr is 2 to 1 ATR"),
        ({"ranges": {"stop_atr": (1, 200)}}, "between 0 and 100"),
        ({"ranges": {"side": (1, 2)}}, "side has no range"),
        ({"values": {"stop_atr": ["1"]}}, "a list needs at least 2"),
        ({"values": {"patience": ["1.5", "2"]}}, "patience is '1.5', it must be a whole number"),
        ({"fixed": {"stop_atr": "x"}}, "stop_atr is 'x', it must be a number"),
    ],
)
def test_mistakes_are_told(given: dict[str, object], told: str) -> None:
    """Unknown names, ranges beyond the bounds and values that do not fit name the parameter."""
    with pytest.raises(InputError, match=told):
        search_space(**given)  # type: ignore[arg-type]


def test_nothing_to_search_is_told() -> None:
    """A space without dimensions is refused."""
    everything = {
        f.name: str(f.default)
        for f in fields(TierBreakoutParameters)
        if f.metadata["search"] or f.metadata["choices"]
    }
    with pytest.raises(InputError, match="nothing is left to search"):
        search_space(fixed=everything)


@pytest.mark.parametrize("log", [False, True])
def test_whole_numbers_survive_the_sampler(log: bool) -> None:
    """Many whole numbers are sampled as real ones; every sample stands for one within the range."""
    dimension = Dimension(name="patience", low=4, high=288, log=log, whole=True)
    sampled = dimension.sampled()
    assert isinstance(sampled, FloatDistribution)
    assert dimension.value(sampled.low) == 4
    assert dimension.value(sampled.high) == 288
    assert dimension.value(17.4) == 17
    few = Dimension(name="thrust_bars", low=1, high=4, whole=True)
    assert few.sampled() == IntDistribution(1, 4)
