"""The public recipes do on bars what their descriptions say, and none of them looks ahead here."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from public_recipes import RECIPES, Recipe, predicted

from builders import random_panel
from liqtiers.datasets.panel import Panel, panel_from_frame


def four_hours() -> Panel:
    """Price stands at 100 and reaches 111 in the third and in the fourth bar, 99 below."""
    frame = pd.DataFrame(
        {"open": 100.0, "high": [101.0, 101.0, 111.0, 111.0], "low": 99.0, "close": 100.0},
        index=pd.date_range("2024-01-01", periods=4, freq="1h", tz="UTC"),
    )
    frame["volume"] = 1.0
    return panel_from_frame(frame, timeframe="1h")


def ten_times(*, half_life_hours: float | None, sweeps: bool) -> Recipe:
    """100 on each side in each bar at ten times leverage: shorts' levels at 110, longs' at 90."""
    return Recipe(
        leverages=(10.0,),
        shares=(1.0,),
        half_lives_hours=None if half_life_hours is None else (half_life_hours,),
        sweeps=sweeps,
        openings=lambda panel: (np.full(len(panel), 100.0), np.full(len(panel), 100.0)),
    )


@pytest.mark.parametrize(
    ("half_life_hours", "sweeps", "third", "fourth"),
    [
        pytest.param(None, True, 200.0, 100.0, id="cleared once reached"),
        pytest.param(None, False, 200.0, 300.0, id="levels come back"),
        pytest.param(1.0, True, 75.0, 50.0, id="halved every hour"),
    ],
)
def test_levels_by_hand(
    half_life_hours: float | None, sweeps: bool, third: float, fourth: float
) -> None:
    """What earlier bars placed at 110 is predicted when price gets there; longs at 90 never are."""
    recipe = ten_times(half_life_hours=half_life_hours, sweeps=sweeps)
    short, long = predicted(four_hours(), recipe)
    assert short.tolist() == [0.0, 0.0, third, fourth]
    assert long.tolist() == [0.0] * 4


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_looks_ahead(name: str) -> None:
    """Cutting the future off changes no prediction before the cut; each recipe predicts something."""
    panel = random_panel(500, seed=4, timeframe="1h")
    full = predicted(panel, RECIPES[name])
    assert (full.sum(axis=1) > 0.0).all()
    for cut in (60, 333):
        assert np.array_equal(predicted(panel.slice(0, cut), RECIPES[name]), full[:, :cut])
