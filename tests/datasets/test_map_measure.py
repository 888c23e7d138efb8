"""What is measured at a bar, against lists walked bin by bin in plain Python."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtiers.datasets._map_measure import measure
from liqtiers.datasets.map_features import TIER_FIELDS, MeasureSettings

BINS = 150
WIDTH = 0.01
PRICES = np.exp((np.arange(BINS) + 0.5) * WIDTH)
TIERS_KEPT = 3


class Tier(NamedTuple):
    """Bins counted from the price, the nearest is 1."""

    first: int
    last: int
    peak: int
    notional: float


def tiers_of(walk: list[float], threshold: float, gap: int) -> list[Tier]:
    """Return the runs of dense bins of one side, nearest first, joined where few thin ones part them."""
    dense = [step for step, value in enumerate(walk, start=1) if value >= threshold]
    runs: list[list[int]] = []
    for step in dense:
        if runs and step - runs[-1][-1] - 1 <= gap:
            runs[-1].append(step)
        else:
            runs.append([step])
    return [
        Tier(
            run[0],
            run[-1],
            max(run, key=lambda step: walk[step - 1]),
            sum(walk[run[0] - 1 : run[-1]]),
        )
        for run in runs
    ]


@settings(max_examples=200)
@given(
    seed=st.integers(0, 100_000),
    price_bin=st.one_of(st.integers(0, BINS - 1), st.sampled_from([0, 1, BINS - 2, BINS - 1])),
    gap=st.integers(0, 12),
    multiple=st.one_of(st.floats(0.5, 4.0), st.just(1.0)),
    filled=st.sampled_from([0.02, 0.2, 0.9, 1.0]),
)
def test_sums_and_tiers_are_those_of_a_walk_bin_by_bin(
    seed: int, price_bin: int, gap: int, multiple: float, filled: float
) -> None:
    """Windows, the mean and tiers on random books, wherever price is on the grid, up to its ends."""
    rng = np.random.default_rng(seed)
    # Whole numbers, so that densities are often equal, in a level book even to the threshold.
    highest = 2 if filled == 1.0 else 6
    true = rng.integers(1, highest, (2, BINS)) * (rng.random((2, BINS)) < filled).astype(float)
    scale = np.array([[1.0, 1.0], [0.25, 2.0]])
    windows = np.sort(rng.integers(1, 90, (2, 3)), axis=1)
    mean_bins, reach_bins = tuple(rng.integers(1, 90, 2)), tuple(rng.integers(1, 90, 2))
    sums = np.zeros((2, 1, 3))
    tiers = np.full((2, 1, TIERS_KEPT, TIER_FIELDS), np.nan, np.float32)
    how = MeasureSettings(
        windows, mean_bins, reach_bins, gap, multiple, PRICES, float(np.exp(0.5 * WIDTH))
    )
    measure(true / scale[1][:, np.newaxis], scale, 1, price_bin, how, sums, tiers, 0)
    walks = [true[0, price_bin + 1 :].tolist(), true[1, :price_bin][::-1].tolist()]
    within = sum(sum(walk[:bins]) for walk, bins in zip(walks, mean_bins, strict=True))
    for side, sign in ((0, 1), (1, -1)):
        walk = walks[side]
        assert sums[side, 0] == pytest.approx([sum(walk[:bins]) for bins in windows[side]])
        threshold = multiple * (within / sum(mean_bins))
        expected = tiers_of(walk[: reach_bins[side]], threshold, gap) if within > 0.0 else []
        for rank in range(TIERS_KEPT):
            found = tiers[side, 0, rank]
            if rank >= len(expected):
                assert np.isnan(found).all()
                continue
            tier = expected[rank]
            ends = sorted((price_bin + sign * tier.first, price_bin + sign * tier.last))
            edges = (np.exp(ends[0] * WIDTH), np.exp((ends[1] + 1) * WIDTH))
            peak = PRICES[price_bin + sign * tier.peak]
            assert found == pytest.approx((*edges, peak, tier.notional), rel=1e-6)
