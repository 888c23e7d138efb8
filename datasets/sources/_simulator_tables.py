"""What the simulated venue publishes, as canonical Arrow tables.

A price is known at its bar's close, a forced order at once, an observation of the open interest
after its delay, funding when it is settled.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from ..map_features import Float64Array2D
from ..naming import DAY_US, HOUR_US, timeframe_us
from ..panel import Float64Array1D, Int64Array1D
from ..schemas import TABLES, TIMESTAMP
from . import _simulator_kernel as kernel
from ._simulator_parameters import SimulatorParameters
from ._simulator_path import generator

_FUNDING_HOURS: Final = 8
_LARGEST_FUNDING: Final = 0.003
_RATE_DECIMALS: Final = 8
_SECOND_US: Final = 1_000_000


def bar_opens(parameters: SimulatorParameters, bars: int) -> Int64Array1D:
    """Return the open of each bar shown, UTC microseconds."""
    return parameters.start_us + parameters.bar_us * np.arange(bars, dtype=np.int64)


def bar_table(parameters: SimulatorParameters, rows: Float64Array2D) -> pa.Table:
    """Return the bars of the venue shown."""
    quote = rows[:, kernel.QUOTE_VOLUME]
    return _canonical(
        "bars",
        **_prices(parameters, rows),
        volume=rows[:, kernel.VOLUME],
        quote_volume=quote,
        trades=np.maximum(np.rint(quote / parameters.average_trade), 1).astype(np.int64),
        taker_buy_volume=rows[:, kernel.TAKER_BUY],
        taker_buy_quote_volume=rows[:, kernel.TAKER_BUY_QUOTE],
    )


def mark_bar_table(parameters: SimulatorParameters, rows: Float64Array2D) -> pa.Table:
    """Return the mark price's bars: here the trade price itself, which triggers liquidations."""
    return _canonical("mark_bars", **_prices(parameters, rows))


def _prices(
    parameters: SimulatorParameters, rows: Float64Array2D
) -> dict[str, Int64Array1D | Float64Array1D]:
    opens = bar_opens(parameters, len(rows))
    return {
        "ts": opens,
        "available_at": opens + parameters.bar_us,
        "open": rows[:, kernel.OPEN],
        "high": rows[:, kernel.HIGH],
        "low": rows[:, kernel.LOW],
        "close": rows[:, kernel.CLOSE],
    }


def open_interest_table(parameters: SimulatorParameters, rows: Float64Array2D) -> pa.Table:
    """Return the observations: taken at a bar's close, noisy and late as the parameters say."""
    every = parameters.open_interest_every_bars
    seen = rows[every - 1 :: every]
    noise = generator(parameters, "open interest").standard_normal(len(seen))
    base = seen[:, kernel.OPEN_INTEREST] * np.exp(parameters.open_interest_noise * noise)
    closes = bar_opens(parameters, len(rows))[every - 1 :: every] + parameters.bar_us
    return _canonical(
        "open_interest",
        ts=closes,
        available_at=closes + parameters.open_interest_delay_bars * parameters.bar_us,
        oi_base=base,
        oi_quote=base * seen[:, kernel.CLOSE],
    )


def funding_table(
    parameters: SimulatorParameters, log_closes: Float64Array1D, bars: int
) -> pa.Table:
    """Return the settlements: the base rate and the mean premium of price over its daily average.

    Parameters
    ----------
    parameters : SimulatorParameters
    log_closes : ndarray of float64
        Of all bars, warm-up included.
    bars : int
        How many of them, the last ones, are shown.
    """
    premium = log_closes - daily_average(parameters, log_closes)
    interval = max(_FUNDING_HOURS * HOUR_US // parameters.bar_us, 1)
    smooth = pd.Series(premium).rolling(interval, min_periods=1).mean().to_numpy()[-bars:]
    closes = bar_opens(parameters, bars) + parameters.bar_us
    settled = closes % (_FUNDING_HOURS * HOUR_US) == 0
    rate = parameters.funding_base + parameters.funding_from_trend * smooth[settled]
    rate = np.clip(rate, -_LARGEST_FUNDING, _LARGEST_FUNDING).round(_RATE_DECIMALS)
    return _canonical(
        "funding",
        ts=closes[settled],
        available_at=closes[settled],
        rate=rate,
        interval_hours=np.full(len(rate), max(_FUNDING_HOURS, parameters.bar_us / HOUR_US)),
    )


def daily_average(parameters: SimulatorParameters, log_closes: Float64Array1D) -> Float64Array1D:
    """Return the exponential average of the log price with a memory of one day."""
    memory = DAY_US // parameters.bar_us
    return pd.Series(log_closes).ewm(alpha=1.0 / (memory + 1.0), adjust=False).mean().to_numpy()


def liquidation_table(
    parameters: SimulatorParameters,
    *,
    ts: Int64Array1D,
    is_long: NDArray[np.bool_],
    price: Float64Array1D,
    quantity: Float64Array1D,
) -> pa.Table:
    """Return the forced orders that are printed, of those given in the order of time.

    A venue that prints one a second prints the last one of the second.
    """
    printed = generator(parameters, "prints").random(len(ts)) < parameters.print_coverage
    if parameters.prints == "one a second":
        kept = np.flatnonzero(printed)
        second = ts[kept] // _SECOND_US
        last = np.append(second[1:] != second[:-1], True)[: len(kept)]
        printed = np.zeros(len(ts), dtype=bool)
        printed[kept[last]] = True
    ts = ts[printed]
    first_of_moment = np.searchsorted(ts, ts, side="left")
    return _canonical(
        "liquidations",
        ts=ts,
        available_at=ts,
        side=np.where(is_long[printed], "long", "short"),
        price=price[printed],
        average_price=price[printed],
        quantity=quantity[printed],
        notional=price[printed] * quantity[printed],
        seq=np.arange(len(ts)) - first_of_moment,
    )


def sum_liquidations(events: pa.Table, timeframe: str) -> pa.Table:
    """Return printed liquidations summed by bar and side, known at the bar's close.

    Parameters
    ----------
    events : pyarrow.Table
        Single forced orders, as `SimulatedMarket.liquidations`.
    timeframe : str
        Length of a bar. Between the first and the last bar with an event, a bar without one has
        zeros, so that a quiet hour differs from an unknown one.
    """
    length = timeframe_us(timeframe)
    frame = pd.DataFrame(
        {
            "bar": _microseconds(events["ts"]) // length,
            "side": events["side"].to_pylist(),
            "notional": events["notional"].to_numpy(),
        }
    )
    sums = frame.pivot_table(index="bar", columns="side", values="notional", aggfunc="sum")
    first, last = (int(frame["bar"].min()), int(frame["bar"].max())) if len(frame) else (0, -1)
    sums = sums.reindex(index=range(first, last + 1), columns=["long", "short"]).fillna(0.0)
    opens = np.repeat(sums.index.to_numpy(dtype=np.int64) * length, 2)
    return _canonical(
        "liquidations",
        ts=opens,
        available_at=opens + length,
        side=np.tile(np.array(["long", "short"]), len(sums)),
        notional=sums.to_numpy(dtype=np.float64).ravel(),
        seq=np.zeros(len(opens), dtype=np.int64),
    )


def _microseconds(column: pa.ChunkedArray) -> Int64Array1D:
    return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _canonical(name: str, **columns: ArrayLike) -> pa.Table:
    schema = TABLES[name].schema
    arrays = []
    for field in schema:
        if field.name not in columns:
            rows = len(np.asarray(columns["ts"]))
            arrays.append(pa.nulls(rows, field.type))
        elif field.type == TIMESTAMP:
            arrays.append(pa.array(columns[field.name], pa.int64()).cast(TIMESTAMP))
        else:
            arrays.append(pa.array(columns[field.name]).cast(field.type))
    return pa.table(arrays, schema=schema)
