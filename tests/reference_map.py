"""A slow, plain reference of the liquidation map: a list of positions, numpy over whole arrays.

It follows the steps of `liqtiers.datasets.liquidation_map` for a panel whose open interest is known at
every bar or never, and shares no code with the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from liqtiers.datasets.liquidation_map import MapParameters
from liqtiers.datasets.panel import Panel


@dataclass
class Side:
    """One side's positions by bin."""

    sign: int
    positions: list[tuple[int, float]] = field(default_factory=list)
    pool: float = 0.0

    def total(self) -> float:
        return self.pool + sum(quantity for _, quantity in self.positions)


def reached(log_price: float, sign: int, width: float) -> int:
    """Return the furthest bin whose middle a price has reached."""
    place = log_price / width - 0.5
    return int(np.floor(place) if sign > 0 else np.ceil(place))


def run(
    panel: Panel, parameters: MapParameters, offsets: np.ndarray
) -> tuple[list[Side], np.ndarray, np.ndarray]:
    """Return the sides after the last bar, and predicted liquidations and totals, shape (2, n)."""
    width = parameters.bin_width
    sides = [Side(1), Side(-1)]
    predicted = np.zeros((2, len(panel)))
    totals = np.zeros((2, len(panel)))
    level = None
    half_life = parameters.half_life_hours * 3600e6 / panel.bar_us
    for t in range(len(panel)):
        swept = []
        for s, side in enumerate(sides):
            extreme = panel.high[t] if side.sign > 0 else panel.low[t]
            limit = reached(float(np.log(extreme)), side.sign, width)
            hit = [p for p in side.positions if (p[0] - limit) * side.sign <= 0]
            side.positions = [p for p in side.positions if (p[0] - limit) * side.sign > 0]
            predicted[s, t] = sum(q * np.exp((b + 0.5) * width) for b, q in hit)
            swept.append(sum(q for _, q in hit))
        if level is None:
            for side in sides:
                _shrink(side, 0.5 ** (1.0 / half_life))
                _open(side, parameters.churn * panel.volume[t], t, panel, parameters, offsets)
            if panel.oi_observed[t]:
                level = panel.oi_base[t]
                for side in sides:
                    target = level * min((t + 1) / half_life, 1.0)
                    _shrink(side, target / side.total())
                    side.pool += level - side.total()
        else:
            change = panel.oi_base[t] - level
            churned = min(parameters.churn * panel.volume[t], 0.5 * level)
            gross = max(change, 0.0) + churned
            closed = gross - change
            for s, side in enumerate(sides):
                leaving = max(closed - swept[s], 0.0)
                _shrink(side, 1.0 - leaving / side.total())
                again = max(swept[s] - closed, 0.0)
                _open(side, gross + again, t, panel, parameters, offsets)
            level += change
        totals[:, t] = [side.total() for side in sides]
    return sides, predicted, totals


def _shrink(side: Side, kept: float) -> None:
    side.positions = [(b, q * kept) for b, q in side.positions]
    side.pool *= kept


def _open(
    side: Side,
    quantity: float,
    t: int,
    panel: Panel,
    parameters: MapParameters,
    offsets: np.ndarray,
) -> None:
    width = parameters.bin_width
    close = float(np.log(panel.close[t]))
    low, high = float(np.log(panel.low[t])), float(np.log(panel.high[t]))
    limit = reached(close, side.sign, width)
    points = parameters.entry_points
    for point in range(points):
        entry = low + (high - low) * (point + 0.5) / points
        for share, offset in zip(parameters.mix, offsets[0 if side.sign > 0 else 1], strict=True):
            place = int(np.floor((entry + offset) / width))
            if (place - limit) * side.sign <= 0:
                place = int(np.floor((close + offset) / width))
            side.positions.append((place, quantity / points * share))
    side.pool += quantity * (1.0 - sum(parameters.mix))
