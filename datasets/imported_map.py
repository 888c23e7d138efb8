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

from ._compiled import compiled_in_place
from ._map_book import LONG, SHORT, Book, empty_book, reached_bin, sweep
from ._map_kernel import (
    KernelOutput,
    KernelSettings,
    MarketArrays,
    empty_output,
    keep_picture,
    measure_bar,
)
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
from .map_features import features_from_arrays
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
    output = empty_output(
        len(panel), settings, tiers_kept=parameters.tiers_kept, pictures=len(kept)
    )
    for unknown in (output.sums, output.predicted, output.book):
        unknown.fill(np.nan)
    book = empty_book(1, 0, len(settings.grid.prices))
    market = market_arrays(panel, parameters.bin_width)
    _follow(book, market, settings, levels, in_use, kept, output)
    features = features_from_arrays(
        parameters.windows,
        (output.sums[SHORT], output.sums[LONG]),
        tiers=(output.tiers[SHORT], output.tiers[LONG]),
        hourly_quote_volume=hourly_quote_volume(panel),
        predicted=(output.predicted[SHORT], output.predicted[LONG]),
        book=(output.book[SHORT], output.book[LONG]),
    )
    return LiquidationMap(
        features=features,
        snapshots=picture(panel, settings, kept, fine=output.snapshots),
        latest=close_up(panel, settings, fine=output.snapshots),
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


@compiled_in_place
def _load(book: Book, levels: Levels, snapshot: int) -> None:
    """Let the book hold one snapshot, or nothing below 0."""
    book.value[:] = 0.0
    if snapshot >= 0:
        for row in range(levels.start[snapshot], levels.start[snapshot + 1]):
            book.value[0, levels.side[row], levels.position[row]] += levels.value[row]
    book.nearest[SHORT] = 0
    book.nearest[LONG] = book.value.shape[2] - 1


@compiled_in_place
def _follow(
    book: Book,
    market: MarketArrays,
    settings: KernelSettings,
    levels: Levels,
    in_use: Int64Array1D,
    snapshot_at: Int64Array1D,
    output: KernelOutput,
) -> None:
    """Fill all that an imported map has a value for, bar by bar, from an empty book."""
    grid = settings.grid
    current = -1
    shot = 0
    for bar in range(len(market.close)):
        if current >= 0:
            above = reached_bin(market.sweep_high[bar], SHORT, grid)
            below = reached_bin(market.sweep_low[bar], LONG, grid)
            output.predicted[SHORT, bar] = sweep(book, SHORT, above, grid, output.by_class)[1]
            output.predicted[LONG, bar] = sweep(book, LONG, below, grid, output.by_class)[1]
        if in_use[bar] != current:
            current = in_use[bar]
            _load(book, levels, current)
            for side in range(2):
                sweep(book, side, reached_bin(market.close[bar], side, grid), grid, output.by_class)
        if current >= 0:
            measure_bar(book, bar, market, settings, output)
        if shot < len(snapshot_at) and snapshot_at[shot] == bar:
            keep_picture(book, output.snapshots, shot)
            shot += 1
