"""A market of leveraged traders whose true positions are known at every moment.

The ground truth for the liquidation map and for every claim of evidence: prices are a random walk,
positions are opened, closed, topped up and liquidated by rules that are written down, and forced
orders move the price or do not. With impact off, an effect that is found is a false one.

Traders here do not react to the map, there is no order book, no fee and no bankruptcy, and a forced
order is filled at the liquidation price. Draws come from seeded generators, and prices are rounded
to a tick, so that the last bit in which machines differ in a logarithm does not grow.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from .._map_book import LONG
from ..lake import Lake, WriteReport
from ..map_features import Float64Array2D
from ..naming import DAY_US, HOUR_US
from ..schemas import EVENTS
from . import _simulator_book as book_
from . import _simulator_kernel as kernel
from . import _simulator_tables as tables
from ._simulator_book import (
    CLOSED_AGAINST_FORCED,
    CLOSED_AT_WILL,
    LIQUIDATED,
    MARGIN_ADDED,
    NEVER,
    STILL_OPEN,
)
from ._simulator_parameters import (
    Prints,
    SimulatorParameters,
    cumulative_mix,
    parameter_rows,
    worlds,
)
from ._simulator_path import draw
from ._simulator_tables import sum_liquidations
from ._simulator_traders import Rules
from ._simulator_truth import (
    SimulatedMarket,
    TrueBook,
    TruePositions,
    true_book,
    true_positions,
)

__all__ = [
    "CLOSED_AGAINST_FORCED",
    "CLOSED_AT_WILL",
    "LIQUIDATED",
    "MARGIN_ADDED",
    "NEVER",
    "STILL_OPEN",
    "Prints",
    "SimulatedMarket",
    "SimulatorParameters",
    "TrueBook",
    "TruePositions",
    "parameter_rows",
    "simulate",
    "sum_liquidations",
    "true_book",
    "true_positions",
    "worlds",
    "write_to_lake",
]

VENUE: Final = "simulated"
SYMBOL: Final = "SIMUSDT"


def simulate(parameters: SimulatorParameters | None = None) -> SimulatedMarket:
    """Simulate a market.

    Parameters
    ----------
    parameters : SimulatorParameters, optional
        The world, see `worlds`; the one that matches the map's assumptions by default.

    Notes
    -----
    Look-ahead: a row of a table is known from its `available_at` on; `positions` and
    `true_open_interest` are the truth and are never known to a trader. Fewer `days` with the same
    seed give the same market up to there, to the last bit.
    """
    parameters = parameters or SimulatorParameters()
    rows, book = kernel.run(draw(parameters), _rules(parameters))
    warm_up = parameters.warm_up_days * parameters.bars_a_day
    shown = rows[warm_up:]
    positions = _positions(book, warm_up)
    return SimulatedMarket(
        parameters=parameters,
        bars=tables.bar_table(parameters, shown),
        mark_bars=tables.mark_bar_table(parameters, shown),
        open_interest=tables.open_interest_table(parameters, shown),
        funding=tables.funding_table(parameters, np.log(rows[:, kernel.CLOSE]), len(shown)),
        liquidations=_liquidations(parameters, positions),
        positions=positions,
        true_open_interest=shown[:, kernel.OPEN_INTEREST_ALL].copy(),
    )


def _rules(parameters: SimulatorParameters) -> Rules:
    hours_a_bar = parameters.bar_us / HOUR_US
    review_bars = max(round(parameters.review_hours / hours_a_bar), 1)
    bars_a_day = parameters.bars_a_day
    half_life_steps = parameters.impact_half_life_bars * parameters.sub_steps
    return Rules(
        start_price=parameters.start_price,
        price_factor=10.0**parameters.price_decimals,
        bar_volatility=parameters.bar_volatility,
        trend_memory=bars_a_day / (bars_a_day + 1.0),
        trend_scale=parameters.bar_volatility * float(np.sqrt(bars_a_day)),
        bar_quote_volume=parameters.daily_quote_volume * parameters.bar_us / DAY_US,
        hourly_quote_volume=parameters.hourly_quote_volume,
        volume_from_move=parameters.volume_from_move,
        open_interest_at_start=parameters.open_interest_at_start,
        opening_share=parameters.opening_share,
        leverages=np.array(parameters.leverages, dtype=np.float64),
        mix=cumulative_mix(parameters),
        bars_a_day=bars_a_day,
        isolated_share=parameters.isolated_share,
        long_tilt=parameters.long_tilt,
        trend_following=parameters.trend_following,
        maintenance_rate=parameters.maintenance_rate,
        closing_hazard=parameters.closing_hazard * hours_a_bar * review_bars,
        losers_hazard=parameters.losers_hazard,
        review_bars=review_bars,
        top_up_share=parameters.top_up_share,
        top_up_distance=parameters.top_up_distance,
        counterparty_opens=parameters.counterparty_opens,
        liquidations=parameters.liquidations,
        impact=parameters.impact,
        impact_at_once=parameters.impact_at_once,
        release=1.0 - 0.5 ** (1.0 / half_life_steps),
        venue_share=parameters.venue_share,
    )


def _positions(book: book_.Book, warm_up: int) -> TruePositions:
    count = int(book.counts[book_.LOTS])
    numbers: Float64Array2D = book.lot_numbers[:count]
    marks = book.lot_marks[:count]
    order = np.argsort(marks[:, book_.LOT_OPENED], kind="stable")
    closed = marks[order, book_.LOT_CLOSED]
    return TruePositions(
        direction=np.where(marks[order, book_.LOT_SIDE] == LONG, 1, -1).astype(np.int8),
        entry=numbers[order, book_.LOT_ENTRY],
        liquidation_price=numbers[order, book_.LOT_LIQUIDATION],
        quantity=numbers[order, book_.LOT_QUANTITY],
        leverage=numbers[order, book_.LOT_LEVERAGE],
        opened_bar=marks[order, book_.LOT_OPENED] - np.int32(warm_up),
        closed_bar=np.where(closed == NEVER, NEVER, closed - warm_up).astype(np.int32),
        closed_moment=numbers[order, book_.LOT_MOMENT],
        reason=marks[order, book_.LOT_REASON].astype(np.int8),
        venue=marks[order, book_.LOT_VENUE].astype(np.int8),
        trader=marks[order, book_.LOT_TRADER],
    )


def _liquidations(parameters: SimulatorParameters, positions: TruePositions) -> pa.Table:
    shown = (positions.reason == LIQUIDATED) & (positions.venue == 0) & (positions.closed_bar >= 0)
    forced = positions.where(shown)
    order = np.lexsort((forced.trader, forced.closed_moment, forced.closed_bar))
    forced = forced.where(order)
    # Strictly within the bar: at its very open the order would be known to the bar before.
    within = np.maximum(np.floor(forced.closed_moment * parameters.bar_us), 1.0)
    opens = parameters.start_us + forced.closed_bar.astype(np.int64) * parameters.bar_us
    return tables.liquidation_table(
        parameters,
        ts=opens + within.astype(np.int64),
        is_long=forced.direction == 1,
        price=forced.liquidation_price,
        quantity=forced.quantity,
    )


def write_to_lake(
    market: SimulatedMarket, lake: Lake, *, venue: str = VENUE, symbol: str = SYMBOL
) -> tuple[WriteReport, ...]:
    """Write what the venue published into a lake; the truth stays outside.

    Returns
    -------
    tuple of WriteReport
        One a table.
    """
    timeframes = {"bars": market.parameters.bar, "mark_bars": market.parameters.bar}
    timeframes["liquidations"] = EVENTS
    return tuple(
        lake.write(
            table,
            getattr(market, table),
            venue=venue,
            symbol=symbol,
            timeframe=timeframes.get(table),
            source=f"simulator, seed {market.parameters.seed}",
        )
        for table in ("bars", "mark_bars", "open_interest", "funding", "liquidations")
    )
