"""A liquidation map that somebody else made, followed through a panel's bars.

Vendors publish snapshots. At each bar the newest one available stands in, less the levels that price
has reached since it was taken, and it is measured by the same code as our own map. A snapshot that is
too old says nothing. Vendors' figures are relative intensities: never add them to ours.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from ._compiled import compiled
from ._map_book import LONG, SHORT, empty_book, reached_bin, sweep
from ._map_kernel import KernelSettings, MarketArrays
from .errors import InputError
from .instruments import Instrument
from .liquidation_map import (
    LiquidationMap,
    MapParameters,
    close_up,
    hourly_quote_volume,
    kernel_settings,
    leverage_offsets,
    market_arrays,
    picture,
    snapshot_bars,
)
from .map_features import (
    TIER_FIELDS,
    Float64Array2D,
    features_from_arrays,
    measure,
    working_marks,
)
from .naming import HOUR_US
from .panel import Float64Array1D, Int64Array1D, Panel

DEFAULT_MAX_AGE_HOURS: Final = 24.0


class Levels(NamedTuple):
    """Snapshots as flat arrays: those of snapshot k are rows `start[k]` to `start[k + 1]`."""

    start: Int64Array1D
    side: Int64Array1D
    position: Int64Array1D
    value: Float64Array1D


def build_imported_map(
    panel: Panel,
    snapshots: pa.Table,
    *,
    instrument: Instrument,
    parameters: MapParameters | None = None,
    max_age_hours: float = DEFAULT_MAX_AGE_HOURS,
    pictures: int = 1200,
) -> LiquidationMap:
    """Follow imported snapshots through a panel's bars.

    Parameters
    ----------
    panel : Panel
    snapshots : pyarrow.Table
        Rows of the table ``liquidation_map``, of one model.
    instrument : Instrument
    parameters : MapParameters, optional
        Windows, bin width and tier definition; what concerns positions is not used.
    max_age_hours : float
        A snapshot older than this is not used; features are NaN then.
    pictures : int
        How many moments of the whole map to keep.

    Raises
    ------
    InputError
        If there are no rows, more than one model, or no snapshot covers a bar.
    """
    frame = snapshots.to_pandas()
    models = sorted(frame["model"].unique())
    if len(models) != 1:
        raise InputError(
            f"an imported map needs the rows of one model, found {', '.join(models) or 'none'}"
        )
    parameters = parameters or MapParameters()
    offsets = leverage_offsets(parameters, instrument, price=float(panel.open[0]))
    settings = kernel_settings(panel, parameters, offsets)
    levels, known_us = _levels(frame, settings)
    in_use = _snapshot_in_use(panel, known_us, max_age_us=int(max_age_hours * HOUR_US))
    if (in_use < 0).all():
        raise InputError(
            f"no snapshot of {models[0]} is at most {max_age_hours:g} hours old at any bar of "
            f"{panel.venue} {panel.symbol}: choose other dates"
        )
    kept = snapshot_bars(len(panel), pictures)
    sums, tiers, predicted, fine = _follow(
        market_arrays(panel, parameters.bin_width),
        settings,
        parameters.tiers_kept,
        levels,
        in_use,
        kept,
        working_marks(),
    )
    unknown = np.full(len(panel), np.nan)
    features = features_from_arrays(
        parameters.windows,
        (sums[SHORT], sums[LONG]),
        tiers=(tiers[SHORT], tiers[LONG]),
        hourly_quote_volume=hourly_quote_volume(panel),
        predicted=(predicted[SHORT], predicted[LONG]),
        book=(unknown, unknown.copy()),
    )
    return LiquidationMap(
        features=features,
        snapshots=picture(panel, settings, kept, fine=fine),
        latest=close_up(panel, settings, fine=fine),
        parameters=parameters,
        model=models[0],
        notes=(
            f"Imported map ({models[0]}): its figures are relative intensities, not comparable with "
            "open interest.",
        ),
    )


def _levels(frame: pd.DataFrame, settings: KernelSettings) -> tuple[Levels, Int64Array1D]:
    frame = frame.sort_values(["available_at", "side", "price_low"], kind="stable")
    low, high = frame["price_low"].to_numpy(), frame["price_high"].to_numpy()
    first = np.floor(np.log(low) / settings.grid.width).astype(np.int64)
    # The upper edge belongs to the next level, unless the level is a single price.
    last = np.ceil(np.log(high) / settings.grid.width - 1e-9).astype(np.int64) - 1
    width = np.maximum(last - first, 0) + 1
    row = np.repeat(np.arange(len(frame)), width)
    within = np.arange(len(row)) - np.repeat(np.cumsum(width) - width, width)
    position = first[row] + within - settings.grid.first_bin
    side = np.where(frame["side"].to_numpy() == "short", SHORT, LONG)[row]
    value = (frame["notional"].to_numpy() / width)[row]
    known = frame["available_at"].astype("int64").to_numpy()
    known_us, snapshot = np.unique(known, return_inverse=True)
    inside = (position >= 0) & (position < len(settings.grid.prices))
    start = np.searchsorted(snapshot[row][inside], np.arange(len(known_us) + 1))
    levels = Levels(start.astype(np.int64), side[inside], position[inside], value[inside])
    return levels, known_us.astype(np.int64)


def _snapshot_in_use(panel: Panel, known_us: Int64Array1D, *, max_age_us: int) -> Int64Array1D:
    newest = np.searchsorted(known_us, panel.close_ts, side="right") - 1
    age = panel.close_ts - known_us[np.maximum(newest, 0)]
    return np.where((newest >= 0) & (age <= max_age_us), newest, -1).astype(np.int64)


@compiled
def _follow(
    market: MarketArrays,
    settings: KernelSettings,
    tiers_kept: int,
    levels: Levels,
    in_use: Int64Array1D,
    snapshot_at: Int64Array1D,
    marks: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, Float64Array2D, np.ndarray]:
    bars = len(market.close)
    bins = len(settings.grid.prices)
    sums = np.full((2, bars, len(settings.measuring.window_bins[0])), np.nan)
    tiers = np.full((2, bars, tiers_kept, TIER_FIELDS), np.nan, np.float32)
    predicted = np.full((2, bars), np.nan)
    fine = np.zeros((2, len(snapshot_at), bins), np.float32)
    nothing = np.zeros((2, 0))
    book = empty_book(1, 0, bins)
    current = -1
    next_snapshot = 0
    for bar in range(bars):
        if current >= 0:
            above = reached_bin(market.sweep_high[bar], SHORT, settings.grid)
            below = reached_bin(market.sweep_low[bar], LONG, settings.grid)
            predicted[SHORT, bar] = sweep(book, SHORT, above, settings.grid, nothing)[1]
            predicted[LONG, bar] = sweep(book, LONG, below, settings.grid, nothing)[1]
        if in_use[bar] != current:
            current = in_use[bar]
            book = empty_book(1, 0, bins)
            if current >= 0:
                for row in range(levels.start[current], levels.start[current + 1]):
                    side = levels.side[row]
                    position = levels.position[row]
                    book.value[0, side, position] += levels.value[row]
                book.nearest[SHORT] = 0
                book.nearest[LONG] = bins - 1
                price = market.close[bar]
                sweep(book, SHORT, reached_bin(price, SHORT, settings.grid), settings.grid, nothing)
                sweep(book, LONG, reached_bin(price, LONG, settings.grid), settings.grid, nothing)
        if current >= 0:
            price_bin = int(np.floor(market.close[bar])) - settings.grid.first_bin
            measure(
                book.value[0],
                book.scale,
                0,
                price_bin,
                settings.measuring,
                sums,
                tiers,
                bar,
                marks,
            )
        if next_snapshot < len(snapshot_at) and snapshot_at[next_snapshot] == bar:
            for side in range(2):
                for position in range(bins):
                    fine[side, next_snapshot, position] = book.value[0, side, position]
            next_snapshot += 1
    return sums, tiers, predicted, fine
