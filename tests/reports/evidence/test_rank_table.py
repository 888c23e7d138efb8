"""Partial correlations from ranks computed once: equal to the plain computation."""

from __future__ import annotations

import numpy as np
import pytest

from liqtiers.reports.evidence.rank_table import rank_table
from liqtiers.reports.rank_statistics import partial_rank_correlation


def made_up(rows: int = 400, seed: int = 1) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Return a signal, three controls and an outcome that depends on all of them."""
    rng = np.random.default_rng(seed)
    controls = [rng.normal(size=rows) for _ in range(3)]
    signal = controls[0] + rng.standard_t(3, size=rows)
    outcome = 0.2 * signal + controls[0] - controls[1] + rng.normal(size=rows)
    return signal, controls, outcome


def test_partial_correlations_equal_least_squares() -> None:
    """On all rows it is the partial rank correlation by regression on ranks."""
    signal, controls, outcome = made_up()
    expected = partial_rank_correlation(signal, outcome, controls)
    assert rank_table(signal, controls, [outcome]).partial(0) == pytest.approx(expected, abs=1e-10)
    assert abs(expected) > 0.05


def test_useless_controls_change_nothing() -> None:
    """A constant and a repeated control are left out instead of failing."""
    signal, controls, outcome = made_up()
    more = [*controls, np.ones(len(signal)), controls[1]]
    assert rank_table(signal, more, [outcome]).partial(0) == pytest.approx(
        rank_table(signal, controls, [outcome]).partial(0), abs=1e-9
    )


def test_unknown_outcomes_and_subsets_are_left_out() -> None:
    """Values where the outcome is unknown or the subset does not reach do not count."""
    signal, controls, outcome = made_up()
    rows = np.arange(400) < 250
    cut = np.where(np.arange(400) >= 300, np.nan, outcome)
    table = rank_table(signal, controls, [cut, np.where(rows, cut, np.nan)])
    # Within the subset the ranks are a monotone function of those of the subset alone.
    assert table.partial(0, rows) == pytest.approx(table.partial(1), abs=0.02)
    assert table.partial(0) != table.partial(0, rows)


def test_too_few_rows_and_explained_signals_are_unknown() -> None:
    """Fewer than fifty rows, and a signal that is one of its controls, give no figure."""
    signal, controls, outcome = made_up()
    table = rank_table(signal, controls, [outcome])
    assert np.isnan(table.partial(0, np.arange(400) < 49))
    assert np.isfinite(table.partial(0, np.arange(400) < 50))
    assert np.isnan(rank_table(controls[0], controls, [outcome]).partial(0))
