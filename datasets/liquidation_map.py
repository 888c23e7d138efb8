"""The liquidation map as it stood at every bar.

State: quantity per log-price bin for each side and leverage class, and one pool a side that cannot be
liquidated at a known price (cross margin, hedges, low leverage). Per bar, in this order:

1. Sweep: what price (the mark price where known) has reached is gone: the predicted liquidations.
2. Close: what else left the open interest is taken from the rest of the side in proportion.
3. Open: new positions are spread over the bar's range and the leverage mix. A swept position's
   contract lives on in other hands, so it is opened again; without that the book leaks.

Invariant: each side sums to the open interest at every bar. Where there is none, openings follow the
volume and everything decays with a half-life; the map's `model` then says ``"volume"``.

Look-ahead: row t uses bars up to t and open interest known at the close of t. Positions found by an
observation that covers several bars are placed at those bars' prices, from the observation on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
import pandas as pd

from ._map_book import LONG, SHORT, Grid
from ._map_kernel import KernelOutput, KernelSettings, MarketArrays, accumulate, empty_output
from .brackets import Brackets
from .calibration import (
    Calibration,
    CalibrationParameters,
    calibrate,
    with_calibration,
)
from .errors import InputError
from .instruments import Instrument
from .map_features import MapFeatures, MapSnapshots, MeasureSettings, features_from_arrays
from .naming import DAY_US, HOUR_US
from .panel import Float64Array1D, Int64Array1D, Panel

MODEL_OPEN_INTEREST: Final = "open interest"
MODEL_VOLUME: Final = "volume"

_MEAN_DISTANCE: Final = 0.25
"""The mean density against which a tier is dense is taken within this distance of price."""
_VOLUME_MEMORY_HOURS: Final = 168
_VOLUME_WARM_UP_HOURS: Final = 24
_SNAPSHOT_ROWS: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class MapParameters:
    """How the map is built and measured.

    The leverage mix and the churn are where a calibration starts (see ``calibration``), or a prior where
    there is none: real positions on a venue that publishes them have a median leverage near 8 and a
    ninth decile near 48 by value, and most of them no liquidation price of their own (cross margin),
    so the shares sum to less than 1.
    """

    bin_width: float = field(
        default=0.001, metadata={"unit": "log price", "meaning": "width of a price bin"}
    )
    leverages: tuple[float, ...] = field(
        default=(3.0, 5.0, 10.0, 20.0, 25.0, 50.0, 75.0, 100.0, 125.0),
        metadata={"unit": "x", "meaning": "leverage classes"},
    )
    mix: tuple[float, ...] = field(
        default=(0.10, 0.14, 0.16, 0.10, 0.06, 0.05, 0.03, 0.02, 0.02),
        metadata={"unit": "share", "meaning": "share of openings by class; the rest is pooled"},
    )
    churn: float = field(
        default=0.3,
        metadata={
            "unit": "share of volume",
            "meaning": "volume that replaces positions by new ones",
        },
    )
    losers_hazard: float = field(
        default=1.0,
        metadata={
            "unit": "x winners",
            "meaning": "rate at which losing positions close at will, by that of winning ones",
        },
    )
    half_life_hours: float = field(
        default=240.0,
        metadata={"unit": "hours", "meaning": "decay where there is no open interest"},
    )
    entry_points: int = field(
        default=3, metadata={"unit": "count", "meaning": "prices at which a bar's entries are put"}
    )
    position_notional: float = field(
        default=100_000.0,
        metadata={
            "unit": "quote",
            "meaning": "size of a position, or what its leverage allows if that is less",
        },
    )
    windows: tuple[float, ...] = field(
        default=(0.05, 0.10, 0.25, 0.40),
        metadata={"unit": "fraction", "meaning": "distances within which notional is summed"},
    )
    tier_density: float = field(
        default=2.0,
        metadata={"unit": "x mean", "meaning": "density from which on a bin belongs to a tier"},
    )
    tier_gap: float = field(
        default=0.003,
        metadata={"unit": "log price", "meaning": "thin stretch that may lie inside a tier"},
    )
    tier_reach: float = field(
        default=0.40,
        metadata={"unit": "fraction", "meaning": "distance within which tiers are looked for"},
    )
    tiers_kept: int = field(
        default=4, metadata={"unit": "count", "meaning": "tiers kept on each side, nearest first"}
    )

    def __post_init__(self) -> None:
        _check_positive(self, "bin_width", "churn", "half_life_hours", "position_notional")
        _check_positive(self, "losers_hazard")
        _check_positive(self, "entry_points", "tier_density", "tier_reach", "tiers_kept")
        if len(self.mix) != len(self.leverages):
            raise InputError(
                f"mix has {len(self.mix)} shares for {len(self.leverages)} leverages: give one each"
            )
        if min(self.mix) < 0.0 or sum(self.mix) > 1.0 + 1e-12:
            raise InputError(f"mix {self.mix} must be shares of at least 0 that sum to at most 1")
        if any(not 0.0 < window < 1.0 for window in self.windows):
            raise InputError(f"windows {self.windows} must lie between 0 and 1")
        if list(self.windows) != sorted(set(self.windows)):
            raise InputError(f"windows {self.windows} must be increasing")


def _check_positive(parameters: MapParameters, *names: str) -> None:
    for name in names:
        value = getattr(parameters, name)
        if not value > 0:
            raise InputError(f"map parameter {name} is {value:g}, it must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiquidationMap:
    """A map over a panel's bars.

    Attributes
    ----------
    features : MapFeatures
    snapshots : MapSnapshots
        The whole map at moments spread over the panel, bins summed into a few hundred rows.
    latest : MapSnapshots
        The map at the last bar, bin by bin, as far as it is measured.
    parameters : MapParameters
    model : str
        ``"open interest"``, ``"volume"``, or the name of an imported map's maker.
    notes : tuple of str
        What a reader of a picture must know, one sentence each.
    calibration : Calibration or None
        The fitted mix over time; None where the parameters' mix holds throughout.
    """

    features: MapFeatures
    snapshots: MapSnapshots
    latest: MapSnapshots
    parameters: MapParameters
    model: str
    notes: tuple[str, ...]
    calibration: Calibration | None = None


def build_map(
    panel: Panel,
    instrument: Instrument,
    *,
    parameters: MapParameters | None = None,
    calibration: CalibrationParameters | None = None,
    snapshots: int = 1200,
) -> LiquidationMap:
    """Rebuild the liquidation map at each bar of a panel.

    Parameters
    ----------
    panel : Panel
    instrument : Instrument
        Its formula and maintenance margin place the liquidation prices.
    parameters : MapParameters, optional
    calibration : CalibrationParameters, optional
        How to fit the leverage mix and the churn on the way, from the panel's printed liquidations or
        open interest; without it those of the parameters hold throughout.
    snapshots : int
        How many moments of the whole map to keep for pictures, spread evenly; the last is the
        panel's last bar.

    Raises
    ------
    InputError
        If the panel is empty, or a leverage is above what the maintenance margin allows.
    """
    if len(panel) == 0:
        raise InputError(f"no bars of {panel.venue} {panel.symbol} to build a map from")
    parameters = parameters or MapParameters()
    market = market_arrays(panel, parameters.bin_width)
    offsets = leverage_offsets(parameters, instrument, price=float(panel.open[0]))
    settings = kernel_settings(panel, parameters, offsets)
    fitted = None
    if calibration is not None:
        fitted = calibrate(
            panel, market, settings, leverages=parameters.leverages, parameters=calibration
        )
        settings = with_calibration(settings, fitted, panel)
    kept = snapshot_bars(len(panel), snapshots)
    output = empty_output(
        len(panel),
        settings,
        tiers_kept=parameters.tiers_kept,
        pictures=len(kept),
    )
    accumulate(market, settings, kept, np.zeros(0, dtype=np.int64), output)
    del market  # years of minutes: a few hundred megabytes
    observed = bool(panel.oi_observed.any())
    features = _features(panel, parameters, output)
    return LiquidationMap(
        features=features,
        snapshots=picture(panel, settings, kept, fine=output.snapshots),
        latest=close_up(panel, settings, fine=output.snapshots),
        parameters=parameters,
        model=MODEL_OPEN_INTEREST if observed else MODEL_VOLUME,
        notes=_notes(panel) + _calibration_notes(fitted),
        calibration=fitted,
    )


def rebuild_features(
    panel: Panel,
    instrument: Instrument,
    *,
    parameters: MapParameters,
    calibration: Calibration | None = None,
) -> MapFeatures:
    """Rebuild a map's features with a mix that is given, without a fit and without pictures.

    For maps of other paths, or by other conventions, that are to be compared with a map: with the
    same arguments the features are those of `build_map`, to the last bit.

    Parameters
    ----------
    panel : Panel
    instrument : Instrument
    parameters : MapParameters
    calibration : Calibration, optional
        A fitted mix over time, as `LiquidationMap` has it; without it the parameters' mix and churn
        hold throughout.
    """
    offsets = leverage_offsets(parameters, instrument, price=float(panel.open[0]))
    settings = kernel_settings(panel, parameters, offsets)
    if calibration is not None:
        settings = with_calibration(settings, calibration, panel)
    output = empty_output(len(panel), settings, tiers_kept=parameters.tiers_kept)
    nothing = np.zeros(0, dtype=np.int64)
    accumulate(market_arrays(panel, parameters.bin_width), settings, nothing, nothing, output)
    return _features(panel, parameters, output)


def _features(panel: Panel, parameters: MapParameters, output: KernelOutput) -> MapFeatures:
    return features_from_arrays(
        parameters.windows,
        (output.sums[0], output.sums[1]),
        tiers=(output.tiers[0], output.tiers[1]),
        hourly_quote_volume=hourly_quote_volume(panel),
        predicted=(output.predicted[0], output.predicted[1]),
        book=(output.book[0], output.book[1]),
    )


def leverage_offsets(
    parameters: MapParameters, instrument: Instrument, *, price: float = 1.0
) -> np.ndarray:
    """Return the log distance from entry to liquidation, shape (2, C): shorts above 0, longs below.

    A position is worth `position_notional`, or as much as the venue grants at its leverage where that is
    less: who wants 100x holds less than who is content with 10x. A class above every cap stands at the
    highest. A class without a liquidation price is an error of the parameters, not of the market.

    Parameters
    ----------
    parameters : MapParameters
    instrument : Instrument
    price : float
        Quote per base; turns a table that goes by quantity into one by value.
    """
    brackets = instrument.brackets.at_price(price)
    leverages = np.minimum(parameters.leverages, brackets.max_leverage[0])
    granted = [_most_granted(brackets, leverage) for leverage in leverages]
    prices = brackets.liquidation_price(
        1.0,
        leverages,
        quantity=np.minimum(granted, parameters.position_notional),
        direction=np.array([[-1], [1]]),
        formula=instrument.formula,
        taker_fee=instrument.taker_fee,
    )
    if np.isnan(prices).any():
        raise InputError(
            f"leverages {parameters.leverages} include one at which no price liquidates a position"
        )
    return np.log(prices)


def _most_granted(brackets: Brackets, leverage: float) -> float:
    """Return the largest value that a position of that leverage may have when it is opened, quote."""
    last = int(np.flatnonzero(brackets.max_leverage >= leverage)[-1])
    floors = brackets.floor_notional
    return float(np.nextafter(floors[last + 1], 0.0)) if last + 1 < len(floors) else np.inf


def kernel_settings(panel: Panel, parameters: MapParameters, offsets: np.ndarray) -> KernelSettings:
    """Return the parameters as the kernel wants them, on a grid that covers all of the panel."""
    width = parameters.bin_width
    furthest = max(parameters.tier_reach, parameters.windows[-1], _MEAN_DISTANCE)
    lowest = np.log(_finite_extreme(np.fmin(panel.low, panel.mark_low), np.min))
    highest = np.log(_finite_extreme(np.fmax(panel.high, panel.mark_high), np.max))
    first_bin = int(np.floor((lowest + min(offsets.min(), np.log1p(-furthest))) / width)) - 2
    last_bin = int(np.floor((highest + max(offsets.max(), np.log1p(furthest))) / width)) + 2

    def bins(distance: float, side: int) -> int:
        log_distance = np.log1p(distance) if side == SHORT else -np.log1p(-distance)
        return max(int(log_distance / width), 1)

    bin_prices = np.exp((np.arange(first_bin, last_bin + 1) + 0.5) * width)
    bars_in_half_life = parameters.half_life_hours * HOUR_US / panel.bar_us
    return KernelSettings(
        grid=Grid(width, first_bin, bin_prices),
        offsets=offsets / width,
        in_force_from=np.zeros(1, dtype=np.int64),
        mix=np.array([[parameters.mix, parameters.mix]]),
        churn=np.array([parameters.churn]),
        losers_hazard=parameters.losers_hazard,
        entry_points=parameters.entry_points,
        fallback_survival=float(0.5 ** (1.0 / bars_in_half_life)),
        fallback_warm_up_bars=bars_in_half_life,
        measuring=MeasureSettings(
            window_bins=np.array(
                [[bins(window, side) for window in parameters.windows] for side in (SHORT, LONG)],
                dtype=np.int64,
            ),
            mean_bins=(bins(_MEAN_DISTANCE, SHORT), bins(_MEAN_DISTANCE, LONG)),
            reach_bins=(bins(parameters.tier_reach, SHORT), bins(parameters.tier_reach, LONG)),
            gap_bins=round(parameters.tier_gap / width),
            density_multiple=parameters.tier_density,
            bin_prices=bin_prices,
            half_bin=float(np.exp(0.5 * width)),
        ),
    )


def _finite_extreme(values: Float64Array1D, pick: np.ufunc | object) -> float:
    return float(pick(values[np.isfinite(values)]))  # type: ignore[operator]  # np.min or np.max


def market_arrays(panel: Panel, bin_width: float) -> MarketArrays:
    """Return the columns that the kernel reads; the mark price sweeps where it is known."""

    def on_grid(price: Float64Array1D) -> Float64Array1D:
        position: Float64Array1D = np.log(price) / bin_width
        return position

    high, low = on_grid(panel.high), on_grid(panel.low)
    known = np.isfinite(panel.mark_high) & np.isfinite(panel.mark_low)
    marked = bool(known.any())
    return MarketArrays(
        sweep_high=np.where(known, on_grid(panel.mark_high), high) if marked else high,
        sweep_low=np.where(known, on_grid(panel.mark_low), low) if marked else low,
        high=high,
        low=low,
        close=on_grid(panel.close),
        volume=panel.volume,
        oi=panel.oi_base,
        oi_observed=panel.oi_observed,
    )


def hourly_quote_volume(panel: Panel) -> Float64Array1D:
    """Return the median hourly traded value of the past week at each bar's close, quote, shape (n,).

    NaN during the first day, when a median of hours says little.
    """
    bars_an_hour = max(HOUR_US // panel.bar_us, 1)
    hours_a_bar = max(panel.bar_us / HOUR_US, 1.0)
    hourly = pd.Series(panel.quote_volume).rolling(bars_an_hour).sum() / hours_a_bar
    window = max(int(_VOLUME_MEMORY_HOURS * bars_an_hour / hours_a_bar), 2)
    warm_up = max(int(_VOLUME_WARM_UP_HOURS * bars_an_hour / hours_a_bar), 1)
    median = hourly.rolling(window, min_periods=warm_up).median().to_numpy()
    return np.where(median > 0.0, median, np.nan)


def snapshot_bars(bars: int, wanted: int) -> Int64Array1D:
    """Return at most `wanted` bars spread evenly, the last of them the last bar."""
    count = min(wanted, bars)
    return np.unique(np.linspace(bars / max(count, 1) - 1, bars - 1, count).astype(np.int64))


def picture(
    panel: Panel,
    settings: KernelSettings,
    bars: Int64Array1D,
    *,
    fine: np.ndarray,
) -> MapSnapshots:
    """Return snapshots cut to the prices worth drawing and summed into a few hundred rows."""
    width = settings.grid.width
    margin = np.log1p(0.15)
    bottom = int(np.floor((np.log(panel.low.min()) - margin) / width)) - settings.grid.first_bin
    top = int(np.ceil((np.log(panel.high.max()) + margin) / width)) - settings.grid.first_bin
    bottom, top = max(bottom, 0), min(top, len(settings.grid.prices))
    factor = max(int(np.ceil((top - bottom) / _SNAPSHOT_ROWS)), 1)
    rows = (top - bottom) // factor
    edges = np.exp((settings.grid.first_bin + bottom + factor * np.arange(rows + 1)) * width)
    sides = [
        side[:, bottom : bottom + rows * factor].reshape(len(bars), rows, factor).sum(axis=2)
        for side in fine
    ]
    return MapSnapshots(
        ts=panel.close_ts[bars],
        price_edges=edges,
        short_notional=sides[0],
        long_notional=sides[1],
    )


def close_up(panel: Panel, settings: KernelSettings, *, fine: np.ndarray) -> MapSnapshots:
    """Return the last snapshot bin by bin, within all distances at which the map is measured."""
    grid, measuring = settings.grid, settings.measuring
    here = int(np.floor(np.log(panel.close[-1]) / grid.width)) - grid.first_bin
    up, down = (
        int(max(measuring.window_bins[side, -1], measuring.reach_bins[side])) for side in (0, 1)
    )
    bottom, top = max(here - down, 0), min(here + up + 1, len(grid.prices))
    return MapSnapshots(
        ts=panel.close_ts[-1:],
        price_edges=np.exp((grid.first_bin + np.arange(bottom, top + 1)) * grid.width),
        short_notional=fine[0, -1:, bottom:top],
        long_notional=fine[1, -1:, bottom:top],
    )


def _notes(panel: Panel) -> tuple[str, ...]:
    if not panel.oi_observed.any():
        return (
            "No open interest: the map is built from volume with a half-life, and its level means "
            "nothing.",
        )
    first = int(np.argmax(panel.oi_observed))
    if panel.ts[first] - panel.ts[0] < DAY_US:
        return ()
    day = np.datetime_as_string(panel.ts[first].astype("datetime64[us]"), unit="D")
    return (f"Before {day} there is no open interest: the map is built from volume until then.",)


def _calibration_notes(calibration: Calibration | None) -> tuple[str, ...]:
    if calibration is None:
        return ("The leverage mix and the churn are a prior, not fitted to this market.",)
    if len(calibration) == 1:
        return (
            f"The leverage mix and the churn are a prior: too little {calibration.target} to fit them.",
        )
    day = np.datetime_as_string(calibration.fitted_us[1].astype("datetime64[us]"), unit="D")
    return (
        f"From {day} on the leverage mix and the churn are fitted to past {calibration.target} "
        f"({len(calibration) - 1} fits); before they are a prior.",
    )


def parameter_rows(parameters: MapParameters) -> list[dict[str, object]]:
    """Return name, value, unit and meaning of each parameter, for tables."""
    return [
        {
            "name": f.name,
            "value": getattr(parameters, f.name),
            "unit": f.metadata["unit"],
            "meaning": f.metadata["meaning"],
        }
        for f in fields(parameters)
    ]
