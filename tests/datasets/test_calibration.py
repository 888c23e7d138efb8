"""The walk-forward fit: planted mixes are found, the future is not looked at, prints may be thin."""

from dataclasses import replace

import numpy as np
import pytest

from builders import random_panel
from liqtiers.datasets._map_book import LONG, SHORT
from liqtiers.datasets._map_kernel import accumulate, empty_output
from liqtiers.datasets.calibration import (
    LOST,
    PRINTED,
    Calibration,
    CalibrationParameters,
    calibrate,
)
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import (
    MapParameters,
    build_map,
    kernel_settings,
    leverage_offsets,
    market_arrays,
)
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.sources.simulator import simulate, worlds
from simulated_truth import agreement, panel_of, wrong_start

INSTRUMENT = instrument_for("generic", "COIN")
QUICK = CalibrationParameters(
    minimum_days=5.0, refit_days=5.0, window_days=60.0, prior_weight=3.0, churns=(0.1, 0.5)
)
CLASSES = {"leverages": (5.0, 10.0, 25.0, 50.0), "churn": 0.5}


def fit(panel: Panel, parameters: MapParameters, calibration: CalibrationParameters) -> Calibration:
    """Fit a panel's mix by the module under test."""
    settings = kernel_settings(panel, parameters, leverage_offsets(parameters, INSTRUMENT))
    return calibrate(
        panel,
        market_arrays(panel, parameters.bin_width),
        settings,
        leverages=parameters.leverages,
        parameters=calibration,
    )


def with_prints(panel: Panel, parameters: MapParameters, shown: np.ndarray) -> Panel:
    """Return the panel with the liquidations of a map of that mix as prints, thinned by `shown`."""
    settings = kernel_settings(panel, parameters, leverage_offsets(parameters, INSTRUMENT))
    output = empty_output(len(panel), settings)
    nothing = np.zeros(0, dtype=np.int64)
    accumulate(market_arrays(panel, parameters.bin_width), settings, nothing, nothing, output)
    printed = output.predicted * shown
    return replace(
        panel,
        short_liquidations=printed[SHORT],
        long_liquidations=printed[LONG],
        sources={**panel.sources, "liquidations": ("generic:COIN:events",)},
    )


def hourly(seed: int, days: int = 60) -> Panel:
    """A random market by the hour whose open interest is known, with moves that reach low leverage."""
    panel = random_panel(24 * days, seed=seed, timeframe="1h")
    return replace(
        panel,
        **{
            name: panel.open[0] * (getattr(panel, name) / panel.open[0]) ** 4
            for name in ("open", "high", "low", "close")
        },
    )


@pytest.mark.parametrize("planted", [0, 2])
def test_a_planted_mix_and_churn_are_found(planted: int) -> None:
    """Prints made by one class make that class the largest share, and the true churn wins."""
    mix = tuple(0.5 if c == planted else 0.02 for c in range(4))
    panel = with_prints(hourly(3), MapParameters(**CLASSES, mix=mix), np.ones(24 * 60))
    found = fit(panel, MapParameters(**CLASSES, mix=(0.14,) * 4), QUICK)
    assert found.target == PRINTED
    assert len(found) > 5
    assert (found.mix[-1].argmax(axis=1) == planted).all()
    assert found.churn[-1] == 0.5
    assert found.mix.sum(axis=2) == pytest.approx(0.56)
    assert (found.mix > 0.0).all()


def test_a_likelihood_by_hand_picks_the_heavier_class() -> None:
    """Independent truth: with the prior all but off, the shares are the planted ones."""
    mix = (0.05, 0.1, 0.3, 0.15)
    panel = with_prints(hourly(5, days=120), MapParameters(**CLASSES, mix=mix), np.ones(24 * 120))
    quick = replace(QUICK, prior_weight=1e-6, window_days=120.0)
    found = fit(panel, MapParameters(**CLASSES, mix=(0.15,) * 4), quick)
    assert found.mix[-1] == pytest.approx(np.array([mix, mix]), abs=0.06)


def test_incomplete_prints_give_nearly_the_same_mix() -> None:
    """Robust to thin prints: a third of each bar's value, at random, changes shares by a few points."""
    rng = np.random.default_rng(1)
    mix = (0.1, 0.3, 0.1, 0.1)
    whole = with_prints(hourly(7), MapParameters(**CLASSES, mix=mix), np.ones(24 * 60))
    thin = with_prints(
        hourly(7), MapParameters(**CLASSES, mix=mix), rng.uniform(0.1, 0.5, (2, 24 * 60))
    )
    start = MapParameters(**CLASSES, mix=(0.15,) * 4)
    quick = replace(QUICK, prior_weight=20.0)
    assert fit(thin, start, quick).mix[-1] == pytest.approx(
        fit(whole, start, quick).mix[-1], abs=0.08
    )


def test_the_level_of_the_prints_does_not_matter() -> None:
    """A venue that shows a tenth of everything gives the same mix."""
    mix = (0.1, 0.3, 0.1, 0.1)
    whole = with_prints(hourly(7), MapParameters(**CLASSES, mix=mix), np.ones(24 * 60))
    tenth = with_prints(hourly(7), MapParameters(**CLASSES, mix=mix), np.full(24 * 60, 0.1))
    start = MapParameters(**CLASSES, mix=(0.15,) * 4)
    assert fit(tenth, start, QUICK).mix == pytest.approx(fit(whole, start, QUICK).mix, rel=1e-6)


@pytest.mark.parametrize("cut", [24 * 11, 24 * 25 + 7, 24 * 47])
@pytest.mark.parametrize("prints", [True, False])
def test_the_future_changes_no_fit(cut: int, prints: bool) -> None:
    """Truncation: every row, and the map built with them, is the same to the last bit before the cut."""
    panel = hourly(9)
    if prints:
        panel = with_prints(panel, MapParameters(), np.ones(len(panel)))
    parts = [build_map(p, INSTRUMENT, calibration=QUICK) for p in (panel, panel.slice(0, cut))]
    full, short = (part.calibration for part in parts)
    assert full is not None
    assert short is not None
    kept = len(short)
    assert np.array_equal(full.fitted_us[:kept], short.fitted_us)
    assert np.array_equal(full.mix[:kept], short.mix)
    assert np.array_equal(full.churn[:kept], short.churn)
    assert (full.fitted_us[kept:] >= panel.ts[cut - 1]).all()
    ours, theirs = (part.features for part in parts)
    assert np.array_equal(ours.notional_above[:cut], theirs.notional_above)
    assert np.array_equal(ours.below.notional[:cut], theirs.below.notional, equal_nan=True)


def test_lost_open_interest_stands_in_for_prints() -> None:
    """Without prints the open interest that disappeared is explained, with one mix for both sides."""
    found = fit(hourly(2), MapParameters(), QUICK)
    assert found.target == LOST
    assert len(found) > 1
    assert np.array_equal(found.mix[-1, SHORT], found.mix[-1, LONG])


def test_too_little_data_keeps_the_prior_and_says_so() -> None:
    """Before the minimum there is no fit, and the map's notes tell."""
    panel = with_prints(hourly(2, days=10), MapParameters(), np.ones(240))
    built = build_map(panel, INSTRUMENT, calibration=CalibrationParameters())
    assert built.calibration is not None
    assert len(built.calibration) == 1
    assert any("too little printed liquidations" in note for note in built.notes)
    plain = build_map(panel, INSTRUMENT)
    assert np.array_equal(built.features.notional_above, plain.features.notional_above)


def test_prints_in_long_bars_are_compared_over_long_bars() -> None:
    """Sums over four hours are not compared with single hours."""
    panel = with_prints(hourly(3), MapParameters(), np.ones(24 * 60))
    four = replace(panel, sources={"liquidations": ("generic:COIN:4h",)})
    assert fit(four, MapParameters(), QUICK).periods[-1] * 4 == pytest.approx(
        fit(panel, MapParameters(), QUICK).periods[-1], abs=4
    )


def skill_in(world: str, *, openings_a_bar: int, together: int) -> tuple[float, float]:
    """Return the mean agreement with the true levels at a market's end, fitted and not.

    Either map starts from a wrong mix and ten times the turnover.
    """
    parameters = replace(
        worlds()[world], days=60, openings_a_bar=openings_a_bar, opening_size_spread=0.5, bar="15m"
    )
    market = simulate(parameters)
    panel = panel_of(market)
    fitted, unfitted = (
        build_map(
            panel,
            instrument_for("simulated", "COIN"),
            parameters=wrong_start(0.001),
            calibration=calibration,
            snapshots=1,
        )
        for calibration in (CalibrationParameters(), None)
    )
    means = [
        float(np.mean(agreement(built, market, -1, bins_together=together)))
        for built in (fitted, unfitted)
    ]
    return means[0], means[1]


def test_the_fit_finds_the_simulators_truth() -> None:
    """Matching assumptions, the mix unknown: a rank correlation of 0.9 by bin within 10 % of price."""
    fitted, unfitted = skill_in("matching", openings_a_bar=48, together=1)
    assert fitted > 0.9
    assert fitted > unfitted + 0.3


@pytest.mark.parametrize(("world", "least"), [("losers close early", 0.7), ("topped up", 0.8)])
def test_in_a_world_of_other_rules_the_fit_still_helps(world: str, least: float) -> None:
    """Where its assumptions are wrong the map comes less close, and the fit is worth having."""
    fitted, unfitted = skill_in(world, openings_a_bar=24, together=5)
    assert least < fitted < 0.95
    assert fitted > unfitted + 0.2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"churns": ()}, "at least one share"),
        ({"churns": (0.1, 0.0)}, "all above 0"),
        ({"refit_days": 0.0}, "refit_days is 0, it must be above 0"),
        ({"minimum_days": 400.0}, "must not be above window_days"),
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, object], message: str) -> None:
    """One line that names the parameter and its limit."""
    with pytest.raises(InputError, match=message):
        CalibrationParameters(**wrong)  # type: ignore[arg-type]
