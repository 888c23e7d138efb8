"""The simulator's random draws, and the price path that does not depend on any trader.

Every draw is made here with seeded generators, one for each purpose and each filled in the order of
time, so that a longer market begins with the shorter one. The kernel draws nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from .._compiled import compiled
from ..map_features import Float64Array2D
from ..panel import Float64Array1D
from ._simulator_parameters import SimulatorParameters

TRADER_DRAWS: Final = 1 << 19
"""Rows of draws for traders; trader i has row i modulo this, so that one market reuses few."""

LEVERAGE_DRAW: Final = 0
PATIENCE_DRAW: Final = 1
CAUTION_DRAW: Final = 2
COUNTERPARTY_DRAW: Final = 3

_PURPOSES: Final = (
    "moves",
    "volatility",
    "volume",
    "taker",
    "slots",
    "sizes",
    "traders",
    "first book",
    "open interest",
    "prints",
)
_FIRST_TRADERS: Final = 4_000
_FIRST_ENTRY_SPREAD: Final = 0.06


class Draws(NamedTuple):
    """What the kernel is given of chance.

    Attributes
    ----------
    moves : (n, sub_steps) log returns of the path that no trader moves
    volume : (n,) multiples of the average volume, mean 1
    taker : (n,) standard normal
    slots : (n, k) uniform: when in its bar, and at which venue, a position is opened
    sizes : (n, k) multiples of the average position, mean 1
    traders : (TRADER_DRAWS, 4) uniform; patience is exponential with mean 1
    first_entries : log entry over start price of the positions before the first bar
    """

    moves: Float64Array2D
    volume: Float64Array1D
    taker: Float64Array1D
    slots: Float64Array2D
    sizes: Float64Array2D
    traders: Float64Array2D
    first_entries: Float64Array1D


def generator(parameters: SimulatorParameters, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose; its kind is named, for numpy may change the default."""
    key = _PURPOSES.index(purpose)
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(parameters.seed, spawn_key=(key,)))
    )


def draw(parameters: SimulatorParameters) -> Draws:
    """Make every draw of a market, warm-up included."""
    bars = (parameters.warm_up_days + parameters.days) * parameters.bars_a_day
    slots = (bars, parameters.openings_a_bar)
    spread = parameters.opening_size_spread
    noise = parameters.volume_noise
    traders = generator(parameters, "traders").random((TRADER_DRAWS, 4))
    traders[:, PATIENCE_DRAW] = -np.log1p(-traders[:, PATIENCE_DRAW])
    first = generator(parameters, "first book").standard_normal(_FIRST_TRADERS)
    volume = np.exp(noise * generator(parameters, "volume").standard_normal(bars) - 0.5 * noise**2)
    return Draws(
        moves=_moves(parameters, bars),
        volume=volume * _season(parameters, bars),
        taker=generator(parameters, "taker").standard_normal(bars),
        slots=generator(parameters, "slots").random(slots),
        sizes=np.exp(
            spread * generator(parameters, "sizes").standard_normal(slots) - 0.5 * spread**2
        ),
        traders=traders,
        first_entries=_FIRST_ENTRY_SPREAD * first,
    )


def _season(parameters: SimulatorParameters, bars: int) -> Float64Array1D:
    """Busiest at 15:00 UTC, quietest twelve hours from it."""
    hour = np.arange(bars) % parameters.bars_a_day * 24.0 / parameters.bars_a_day
    return np.asarray(1.0 + parameters.volume_season * np.cos(2.0 * np.pi * (hour - 15.0) / 24.0))


def _moves(parameters: SimulatorParameters, bars: int) -> Float64Array2D:
    steps = parameters.sub_steps
    moves = generator(parameters, "moves").standard_normal((bars, steps))
    innovations = generator(parameters, "volatility").standard_normal(bars)
    hours_a_bar = 24.0 / parameters.bars_a_day
    _scale_moves(
        moves,
        innovations,
        parameters.bar_volatility / np.sqrt(steps),
        parameters.drift / (365.0 * parameters.bars_a_day * steps),
        parameters.volatility_clustering,
        0.5 ** (hours_a_bar / parameters.volatility_half_life_hours),
        parameters.autocorrelation,
    )
    return moves


@compiled
def _scale_moves(
    moves: Float64Array2D,
    innovations: Float64Array1D,
    volatility: float,
    drift: float,
    clustering: float,
    memory: float,
    autocorrelation: float,
) -> None:
    """Turn standard normal draws into log returns, in place.

    The log of the bars' volatility is a stationary autoregression; with its spread s the mean of
    the squared factor exp(h - s^2) is 1, so that clustering leaves the variance as it was. The part
    of a bar's return that follows the bar before is spread evenly over its steps.
    """
    bars, steps = moves.shape
    fresh = np.sqrt(1.0 - autocorrelation**2)
    log_factor = clustering * innovations[0]
    previous = 0.0
    for bar in range(bars):
        if bar > 0:
            log_factor *= memory
            log_factor += clustering * np.sqrt(1.0 - memory**2) * innovations[bar]
        scale = volatility * np.exp(log_factor - clustering**2) * fresh
        carried = autocorrelation * previous / steps
        previous = 0.0
        for step in range(steps):
            move = scale * moves[bar, step] + carried
            previous += move
            moves[bar, step] = move + drift
