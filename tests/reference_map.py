"""A slow, plain reference of the liquidation map: a list of positions, numpy over whole arrays.

It follows the steps of `liqtiers.datasets.liquidation_map` for a panel whose open interest is known at
every bar or never, and shares no code with the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from liqtiers.datasets.liquidation_map import MapParameters
from liqtiers.datasets.panel import Panel


class Position(NamedTuple):
    """What one entry left in one leverage class."""

    place: int
    quantity: float
    leverage_class: int


class Row(NamedTuple):
    """A mix (2, C) and a churn that hold from a bar on."""

    first_bar: int
    mix: np.ndarray
    churn: float


class Run(NamedTuple):
    """The sides after the last bar; predicted and totals (2, n); swept a unit of mix (2, n, C)."""

    sides: list[Side]
    predicted: np.ndarray
    totals: np.ndarray
    by_class: np.ndarray


@dataclass
class Side:
    """One side's positions."""

    sign: int
    positions: list[Position] = field(default_factory=list)
    pool: float = 0.0

    def total(self) -> float:
        return self.pool + sum(p.quantity for p in self.positions)

    def scale(self, kept: float) -> None:
        self.positions = [p._replace(quantity=p.quantity * kept) for p in self.positions]
        self.pool *= kept


def reached(log_price: float, sign: int, width: float) -> int:
    """Return the furthest bin whose middle a price has reached."""
    place = log_price / width - 0.5
    return int(np.floor(place) if sign > 0 else np.ceil(place))


def run(
    panel: Panel,
    parameters: MapParameters,
    offsets: np.ndarray,
    schedule: list[Row] | None = None,
) -> Run:
    """Return the state after the last bar and what was swept at each."""
    width = parameters.bin_width
    both = np.array([parameters.mix, parameters.mix])
    rows = schedule or [Row(0, both, parameters.churn)]
    sides = [Side(1), Side(-1)]
    predicted = np.zeros((2, len(panel)))
    totals = np.zeros((2, len(panel)))
    by_class = np.zeros((2, len(panel), both.shape[1]))
    level = None
    half_life = parameters.half_life_hours * 3600e6 / panel.bar_us
    now = rows[0]
    for t in range(len(panel)):
        for row in rows[1:]:
            if row.first_bar == t:
                for s, side in enumerate(sides):
                    _reweight(side, row.mix[s] / now.mix[s])
                now = row
        swept = []
        close = float(np.log(panel.close[t]))
        for s, side in enumerate(sides):
            extreme = panel.high[t] if side.sign > 0 else panel.low[t]
            limit = reached(float(np.log(extreme)), side.sign, width)
            hit = [p for p in side.positions if (p.place - limit) * side.sign <= 0]
            side.positions = [p for p in side.positions if (p.place - limit) * side.sign > 0]
            for p in hit:
                value = p.quantity * np.exp((p.place + 0.5) * width)
                predicted[s, t] += value
                by_class[s, t, p.leverage_class] += value / now.mix[s, p.leverage_class]
            swept.append(sum(p.quantity for p in hit))
        if level is None:
            for s, side in enumerate(sides):
                side.scale(0.5 ** (1.0 / half_life))
                _open(side, now.churn * panel.volume[t], t, panel, parameters, offsets, now.mix[s])
            if panel.oi_observed[t]:
                level = panel.oi_base[t]
                for side in sides:
                    target = level * min((t + 1) / half_life, 1.0)
                    side.scale(target / side.total())
                    side.pool += level - side.total()
        else:
            change = panel.oi_base[t] - level
            churned = min(now.churn * panel.volume[t], 0.5 * level)
            gross = max(change, 0.0) + churned
            closed = gross - change
            for s, side in enumerate(sides):
                _leave(side, max(closed - swept[s], 0.0), close, parameters, offsets[s])
                again = max(swept[s] - closed, 0.0)
                _open(side, gross + again, t, panel, parameters, offsets, now.mix[s])
            level += change
        totals[:, t] = [side.total() for side in sides]
    return Run(sides, predicted, totals, by_class)


def _reweight(side: Side, factors: np.ndarray) -> None:
    everything = side.total()
    side.positions = [
        p._replace(quantity=p.quantity * factors[p.leverage_class]) for p in side.positions
    ]
    known = sum(p.quantity for p in side.positions)
    if known > everything:
        side.positions = [
            p._replace(quantity=p.quantity * everything / known) for p in side.positions
        ]
        known = everything
    side.pool = everything - known


def _leave(
    side: Side, quantity: float, close: float, parameters: MapParameters, offsets: np.ndarray
) -> None:
    """Close in proportion, losers at `losers_hazard` times the winners' rate, the pool at the mean."""
    share = quantity / side.total()
    side.pool *= 1.0 - share
    turning = [int(np.floor((close + offset) / parameters.bin_width)) for offset in offsets]
    wins = [(p.place - turning[p.leverage_class]) * side.sign > 0 for p in side.positions]
    hazard = np.where(wins, 1.0, parameters.losers_hazard)
    held = np.array([p.quantity for p in side.positions])
    if held.sum() == 0.0:
        return
    leaving = held * hazard * (share * held.sum() / (held * hazard).sum())
    # Nobody closes more than he has: the other group makes up for it.
    for group in (np.array(wins), ~np.array(wins)):
        excess = leaving[group].sum() - held[group].sum()
        if excess > 0.0:
            leaving[group] = held[group]
            leaving[~group] += held[~group] * excess / held[~group].sum()
    side.positions = [
        p._replace(quantity=p.quantity - gone)
        for p, gone in zip(side.positions, leaving, strict=True)
    ]


def _open(
    side: Side,
    quantity: float,
    t: int,
    panel: Panel,
    parameters: MapParameters,
    offsets: np.ndarray,
    mix: np.ndarray,
) -> None:
    width = parameters.bin_width
    close = float(np.log(panel.close[t]))
    low, high = float(np.log(panel.low[t])), float(np.log(panel.high[t]))
    limit = reached(close, side.sign, width)
    points = parameters.entry_points
    for point in range(points):
        entry = low + (high - low) * (point + 0.5) / points
        for c, offset in enumerate(offsets[0 if side.sign > 0 else 1]):
            place = int(np.floor((entry + offset) / width))
            if (place - limit) * side.sign <= 0:
                place = int(np.floor((close + offset) / width))
            side.positions.append(Position(place, quantity / points * mix[c], c))
    side.pool += quantity * (1.0 - mix.sum())
