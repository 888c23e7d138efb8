"""Blocks drawn again against closed forms and arch; shifts of days against their own enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.resampling import (
    circular_shift_p,
    resampled_rows,
    stationary_bootstrap_interval,
    usual_block,
)


def persistent(rng: np.random.Generator, length: int, memory: float = 0.7) -> np.ndarray:
    """An autoregressive series."""
    series: np.ndarray = lfilter([1.0], [1.0, -memory], rng.normal(size=length + 50))[50:]
    return series


def test_stationary_blocks_have_geometric_lengths() -> None:
    """A new block begins with probability 1/block, each row comes as often, and the end meets the start."""
    rows = resampled_rows(50, 5.0, rng=np.random.default_rng(1), draws=4000)
    begins = (np.diff(rows, axis=1) % 50) != 1
    # One in 50 new blocks continues the old one by chance.
    assert begins.mean() == pytest.approx(0.2 * 49 / 50, abs=0.005)
    often = np.bincount(rows.ravel(), minlength=50) / 4000
    assert np.abs(often - 1.0).max() < 0.15


def test_fixed_blocks_have_one_length() -> None:
    """Blocks of four rows: within each one row follows the other, around the end too."""
    rows = resampled_rows(18, 4.0, rng=np.random.default_rng(2), draws=300, resampling="blocks")
    follows = np.diff(rows, axis=1) % 18 == 1
    inside = np.arange(1, 18) % 4 != 0
    assert follows[:, inside].all()
    assert follows[:, ~inside].mean() < 0.15
    assert len(np.unique(rows[:, 0])) == 18


def test_the_means_drawn_vary_as_theory_says() -> None:
    """The variance of the stationary bootstrap's mean, from the series' autocovariances (Politis-Romano)."""
    series = persistent(np.random.default_rng(3), 120)
    rows = resampled_rows(120, 6.0, rng=np.random.default_rng(4), draws=20_000)
    left, lag = series - series.mean(), np.arange(1, 120)
    covariance = np.array([left[:-k] @ left[k:] / 120 for k in lag])
    stay = 1.0 - 1.0 / 6.0
    kernel = (1.0 - lag / 120) * stay**lag + lag / 120 * stay ** (120 - lag)
    theory = (left @ left / 120 + 2.0 * kernel @ covariance) / 120
    assert series[rows].mean(axis=1).var() == pytest.approx(theory, rel=0.05)


def test_intervals_agree_with_arch() -> None:
    """arch's percentile interval of a mean and of a spread, for the same series and block."""
    from arch.bootstrap import StationaryBootstrap  # here, since it takes seconds

    series = persistent(np.random.default_rng(5), 200)
    for statistic in (np.mean, np.std):
        ours = stationary_bootstrap_interval(
            lambda rows, s=statistic: float(s(series[rows])),
            200,
            rng=np.random.default_rng(6),
            block=8.0,
            draws=3000,
        )
        theirs = StationaryBootstrap(8, series, seed=7).conf_int(
            statistic, reps=3000, method="percentile"
        )
        width = theirs[1, 0] - theirs[0, 0]
        assert ours == pytest.approx(tuple(theirs[:, 0]), abs=0.06 * width)


def test_longer_blocks_widen_intervals_of_persistent_series() -> None:
    """Without blocks persistence is overlooked; the usual block is the cube root of the length."""
    series = persistent(np.random.default_rng(8), 216)

    def width(block: float | None) -> float:
        low, high = stationary_bootstrap_interval(
            lambda rows: float(series[rows].mean()), 216, rng=np.random.default_rng(9), block=block
        )
        return high - low

    assert width(12.0) > 1.3 * width(1.0)
    assert width(None) == width(6.0)
    assert usual_block(216) == pytest.approx(6.0)
    assert usual_block(0) == 1.0


def test_what_cannot_be_drawn_is_said() -> None:
    """A block shorter than a row is refused; one row has no interval."""
    rng = np.random.default_rng(10)
    with pytest.raises(InputError, match="block of 0.5 rows is too short"):
        resampled_rows(10, 0.5, rng=rng)
    assert np.isnan(stationary_bootstrap_interval(lambda rows: 1.0, 1, rng=rng)).all()


def shift_p(first: np.ndarray, second: np.ndarray, day: np.ndarray, **options: int) -> float:
    """The p-value of the correlation of two series."""
    return circular_shift_p(
        lambda rows: float(np.corrcoef(first[rows], second)[0, 1]),
        day,
        rng=np.random.default_rng(11),
        **options,
    )


def test_shifts_are_those_of_whole_days() -> None:
    """Each whole day once, by hand; with fewer draws than days some of them."""
    rng = np.random.default_rng(12)
    day = np.repeat(np.arange(8), 6)
    first, second = rng.normal(size=(2, 48))
    second += 0.4 * first
    found = [np.corrcoef(np.roll(first, 6 * k), second)[0, 1] for k in range(8)]
    larger, smaller = (np.mean(sign * (np.array(found) - found[0]) >= 0.0) for sign in (1, -1))
    assert shift_p(first, second, day) == pytest.approx(min(2.0 * min(larger, smaller), 1.0))
    assert shift_p(first, second, day, draws=3) in (0.5, 1.0)
    assert np.isnan(shift_p(first, second, np.zeros(48, np.int64)))


def test_persistent_series_are_seldom_tied_by_shifts() -> None:
    """Two unrelated persistent series: 5 % are called tied; a real tie is found."""
    rng = np.random.default_rng(13)
    day = np.repeat(np.arange(60), 4)
    false = 0
    for _ in range(100):
        first, second = persistent(rng, 240, 0.9), persistent(rng, 240, 0.9)
        false += shift_p(first, second, day) < 0.05
    assert false <= binom.ppf(0.999, 100, 0.05)
    assert shift_p(first, first + persistent(rng, 240, 0.9), day) <= 2 / 60
