"""Cells become numbers by two roads that must agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets.sources._cells import to_numbers

# What people and programs write for numbers, and near misses.
CELL = st.one_of(
    st.floats().map(repr),
    st.floats(-1e9, 1e9).map(lambda value: f"{value:.9f}"),
    st.integers().map(str),
    st.sampled_from(
        ["", " 1", "1 ", "+1", "0x10", "1_0", "1e400", ".5", "1.", "NaN", "inf", "-", "true"]
    ),
    st.text("0123456789.e+-_ xnaif", max_size=8),
)


@given(cells=st.lists(CELL, min_size=1, max_size=6))
def test_the_quick_road_gives_what_pandas_gives(cells: list[str]) -> None:
    """Texts that Arrow takes for numbers are those that pandas takes, to the last bit."""
    column = pd.Series(cells, dtype="str")
    wanted = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    np.testing.assert_array_equal(to_numbers(column), wanted)
