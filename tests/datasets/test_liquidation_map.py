"""The liquidation map against a plain reference, its invariant, and its blindness to the future."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_map
from builders import random_panel
from liqtiers.datasets._map_kernel import KernelOutput, accumulate, empty_output
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import (
    MODEL_OPEN_INTEREST,
    MODEL_VOLUME,
    LiquidationMap,
    MapParameters,
    build_map,
    hourly_quote_volume,
    kernel_settings,
    leverage_offsets,
    market_arrays,
)
from liqtiers.datasets.panel import Panel, panel_from_frame

INSTRUMENT = instrument_for("generic", "COIN")


def bins_of(liquidation_map: LiquidationMap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the last snapshot: middle prices of its rows, shorts, longs."""
    shots = liquidation_map.snapshots
    middle = np.sqrt(shots.price_edges[1:] * shots.price_edges[:-1])
    return middle, shots.short_notional[-1], shots.long_notional[-1]


def swept_by_class(
    panel: Panel, parameters: MapParameters, schedule: list[reference_map.Row] | None
) -> KernelOutput:
    """Run the kernel alone, with what it sweeps by leverage class at each bar."""
    offsets = leverage_offsets(parameters, INSTRUMENT)
    kernel = kernel_settings(panel, parameters, offsets)
    if schedule:
        kernel = kernel._replace(
            in_force_from=np.array([row.first_bar for row in schedule]),
            mix=np.array([row.mix for row in schedule]),
            churn=np.array([row.churn for row in schedule]),
        )
    output = empty_output(len(panel), kernel, tiers_kept=2, periods=len(panel))
    market = market_arrays(panel, parameters.bin_width)
    accumulate(market, kernel, np.zeros(0, dtype=np.int64), np.arange(len(panel)), output)
    return output


@pytest.mark.parametrize("losers_hazard", [1.0, 0.3, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_a_plain_list_of_positions(seed: int, losers_hazard: float) -> None:
    """Totals, predicted liquidations and the notional near price are those of the reference."""
    panel = random_panel(220, seed=seed)
    parameters = MapParameters(
        tier_reach=0.3, windows=(0.02, 0.05, 0.10), churn=0.05, losers_hazard=losers_hazard
    )
    built = build_map(panel, INSTRUMENT, parameters=parameters)
    plain = reference_map.run(panel, parameters, leverage_offsets(parameters, INSTRUMENT))
    features = built.features
    assert features.book_short == pytest.approx(plain.totals[0], rel=1e-9)
    assert features.book_long == pytest.approx(plain.totals[1], rel=1e-9)
    predicted = plain.predicted
    assert features.predicted_short_liquidations == pytest.approx(predicted[0], rel=1e-7, abs=1e-6)
    assert features.predicted_long_liquidations == pytest.approx(predicted[1], rel=1e-7, abs=1e-6)
    assert predicted.sum() > 0.0
    here = int(np.floor(np.log(panel.close[-1]) / parameters.bin_width))
    for column, window in enumerate(parameters.windows):
        up = int(np.log1p(window) / parameters.bin_width)
        value = sum(
            p.quantity * np.exp((p.place + 0.5) * parameters.bin_width)
            for p in plain.sides[0].positions
            if here < p.place <= here + up
        )
        assert features.notional_above[-1, column] == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("losers_hazard", [1.0, 2.5])
def test_a_new_mix_holds_for_old_positions_too(losers_hazard: float) -> None:
    """Refits weigh each class anew, shift its openings and churn, and keep the sides' sums."""
    panel = random_panel(200, seed=11)
    rng = np.random.default_rng(5)
    parameters = MapParameters(losers_hazard=losers_hazard)
    classes = len(parameters.leverages)
    schedule = [
        reference_map.Row(bar, rng.dirichlet(np.ones(classes), 2) * share, churn)
        for bar, share, churn in ((0, 0.6, 0.1), (70, 1.0, 0.5), (140, 0.3, 0.02))
    ]
    plain = reference_map.run(panel, parameters, leverage_offsets(parameters, INSTRUMENT), schedule)
    output = swept_by_class(panel, parameters, schedule)
    assert output.book == pytest.approx(plain.totals, rel=1e-9)
    assert output.predicted == pytest.approx(plain.predicted, rel=1e-7, abs=1e-6)
    assert output.swept_by_class == pytest.approx(plain.by_class, rel=1e-7, abs=1e-5)


def test_classes_add_up_to_what_is_predicted() -> None:
    """What is swept by class, weighed by the mix, is what is swept."""
    panel = random_panel(400, seed=4)
    parameters = MapParameters()
    output = swept_by_class(panel, parameters, None)
    weighed = output.swept_by_class @ np.array(parameters.mix)
    assert weighed == pytest.approx(output.predicted, rel=1e-9, abs=1e-6)


def test_losers_that_close_early_leave_less_to_liquidate() -> None:
    """The hazard by profit: a swept position has always lost, so fewer are left the sooner losers go."""
    panel = random_panel(600, seed=8)
    swept = [
        build_map(
            panel, INSTRUMENT, parameters=MapParameters(losers_hazard=hazard)
        ).features.predicted_long_liquidations.sum()
        for hazard in (0.2, 1.0, 5.0)
    ]
    assert swept[0] > swept[1] > swept[2]


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    every=st.sampled_from([1, 3, 12]),
    churn=st.floats(1e-4, 1.0),
    losers_hazard=st.sampled_from([1.0, 0.01, 0.5, 20.0]),
)
def test_each_side_sums_to_the_open_interest(
    seed: int, every: int, churn: float, losers_hazard: float
) -> None:
    """The invariant: nothing leaks, at whatever pace open interest is observed."""
    panel = random_panel(300, seed=seed, every=every)
    parameters = MapParameters(churn=churn, losers_hazard=losers_hazard)
    built = build_map(panel, INSTRUMENT, parameters=parameters)
    level = np.where(panel.oi_observed, panel.oi_base, np.nan)
    known = np.flatnonzero(panel.oi_observed)
    last = level[known[np.searchsorted(known, np.arange(len(panel)), side="right") - 1]]
    assert built.model == MODEL_OPEN_INTEREST
    assert built.features.book_short == pytest.approx(last, rel=1e-9)
    assert built.features.book_long == pytest.approx(last, rel=1e-9)


def whole(built: LiquidationMap, bars: int) -> list[np.ndarray]:
    """Return every feature of the first bars."""
    cut = built.features.slice(0, bars)
    plain = [getattr(cut, name) for name in ("notional_above", "notional_below", "imbalance")]
    plain += [cut.hourly_quote_volume, cut.book_short, cut.book_long]
    plain += [cut.predicted_short_liquidations, cut.predicted_long_liquidations]
    for ladder in (cut.above, cut.below):
        plain += [ladder.lower, ladder.upper, ladder.peak, ladder.notional, ladder.fuel]
    return plain


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    cut=st.integers(2, 590),
    every=st.sampled_from([1, 7, 48]),
    open_interest=st.booleans(),
)
def test_the_future_changes_nothing(seed: int, cut: int, every: int, open_interest: bool) -> None:
    """Truncation: every feature before the cut is the same to the last bit."""
    panel = random_panel(600, seed=seed, every=every, open_interest=open_interest)
    full = whole(build_map(panel, INSTRUMENT), cut)
    truncated = whole(build_map(panel.slice(0, cut), INSTRUMENT), cut)
    for ours, theirs in zip(full, truncated, strict=True):
        assert np.array_equal(ours, theirs, equal_nan=True)


def test_what_price_has_reached_is_gone() -> None:
    """After a bar no short lies below its high and no long above its low, but for what opened since."""
    panel = random_panel(500, seed=5)
    middle, short, long = bins_of(build_map(panel, INSTRUMENT))
    close = panel.close[-1]
    assert short[middle < close * 0.998].sum() == 0.0
    assert long[middle > close * 1.002].sum() == 0.0
    assert short.sum() > 0.0
    assert long.sum() > 0.0


def test_without_open_interest_volume_stands_in_and_says_so() -> None:
    """The fallback is named wherever the map is shown."""
    built = build_map(random_panel(300, seed=1, open_interest=False), INSTRUMENT)
    assert built.model == MODEL_VOLUME
    assert "No open interest" in built.notes[0]
    assert built.features.notional_above[-1, -1] > 0.0


def without_trades_above(panel: Panel) -> Panel:
    """Return the panel with its mark price's highs at the open: no short is liquidated."""
    frame = panel.to_frame()
    frame["mark_high"] = frame[["open", "close"]].min(axis=1)
    frame["mark_low"] = frame["low"]
    return panel_from_frame(frame, timeframe=panel.timeframe)


def test_liquidations_go_by_the_mark_price() -> None:
    """Venues liquidate on mark: a wick of trades alone sweeps nothing."""
    panel = random_panel(400, seed=3)
    by_trades = build_map(panel, INSTRUMENT).features.predicted_short_liquidations.sum()
    by_mark = build_map(without_trades_above(panel), INSTRUMENT)
    assert by_mark.features.predicted_short_liquidations.sum() < by_trades


def test_a_leverage_is_held_in_a_size_that_the_venue_grants() -> None:
    """100,000 at Binance's SOL is granted 50x alone: 75x and 100x are held smaller, and end nearer.

    By hand, from the table in force by 2024-10-31: up to 20,000 0.5 % at 100x, up to 100,000 0.65 % less
    30 at 75x, from there 1 % less 380 at 50x. A short ends at (1 + 1/L + amount/value) / (1 + rate).
    """
    instrument = instrument_for("binance", "SOLUSDT", at="2024-11-01")
    parameters = MapParameters(leverages=(50.0, 75.0, 100.0, 125.0), mix=(0.1,) * 4)
    short, long = np.exp(leverage_offsets(parameters, instrument, price=150.0))
    assert short[0] == pytest.approx((1.02 + 380 / 1e5) / 1.01)
    # Worth just under 100,000 when it is opened, a short is worth more than that when it ends.
    assert short[1] == pytest.approx((1.0 + 1 / 75 + 380 / 1e5) / 1.01)
    assert short[2] == pytest.approx(1.01 / 1.005, rel=1e-5)
    assert short[3] == short[2]
    assert long[1] == pytest.approx((1.0 - 1 / 75 - 30 / 1e5) / (1 - 0.0065))
    assert long[2] == pytest.approx(0.99 / 0.995)


OTHER = {
    "bin_width": 0.002,
    "leverages": (4.0, 6.0, 12.0, 20.0, 25.0, 50.0, 75.0, 85.0, 90.0),
    "mix": (0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05),
    "churn": 0.2,
    "losers_hazard": 3.0,
    "entry_points": 9,
    "position_notional": 20_000_000.0,
    "windows": (0.03,),
    "tier_density": 4.0,
    "tier_gap": 0.02,
    "tier_reach": 0.02,
    "tiers_kept": 1,
}


@pytest.mark.parametrize("name", OTHER)
def test_each_parameter_changes_the_map(name: str) -> None:
    """No option is dead."""
    panel = random_panel(400, seed=7)
    leverages = {"leverages": (3.0, 5.0, 8.0, 9.0, 10.0, 12.0, 15.0, 18.0, 19.0)}
    base = leverages if name == "position_notional" else {}
    first = whole(build_map(panel, INSTRUMENT, parameters=MapParameters(**base)), 400)
    changed = MapParameters(**{**base, name: OTHER[name]})  # type: ignore[arg-type]
    second = whole(build_map(panel, INSTRUMENT, parameters=changed), 400)
    assert any(
        a.shape != b.shape or not np.array_equal(a, b, equal_nan=True)
        for a, b in zip(first, second, strict=True)
    )


def test_the_half_life_matters_without_open_interest() -> None:
    """The fallback forgets at the pace that is set."""
    panel = random_panel(400, seed=7, open_interest=False)
    slow = build_map(panel, INSTRUMENT, parameters=MapParameters(half_life_hours=1000.0))
    quick = build_map(panel, INSTRUMENT, parameters=MapParameters(half_life_hours=1.0))
    assert quick.features.book_short[-1] < slow.features.book_short[-1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mix": (0.5,)}, "1 shares for 9 leverages"),
        ({"mix": (0.5,) * 9}, "sum to at most 1"),
        ({"churn": 0.0}, "churn is 0, it must be above 0"),
        ({"windows": (0.1, 0.05)}, "must be increasing"),
        ({"windows": (0.1, 1.5)}, "between 0 and 1"),
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, object], message: str) -> None:
    """One line that names the parameter and its limit."""
    with pytest.raises(InputError, match=message):
        MapParameters(**wrong)  # type: ignore[arg-type]


def test_median_hourly_volume_by_hand() -> None:
    """The median of trailing hours, unknown during the first day."""
    panel = random_panel(12 * 40, seed=2)
    ours = hourly_quote_volume(panel)
    assert np.isnan(ours[: 12 * 24 - 1]).all()
    hours = [panel.quote_volume[t - 11 : t + 1].sum() for t in range(11, len(panel))]
    assert ours[-1] == pytest.approx(np.median(hours))
