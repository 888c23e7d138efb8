"""Random worlds in which the replay must do what backtrader does, and the comparison of the two.

Markets have gaps, flat bars, spikes, missing bars, bars without volume, funding at any bar and mark prices
of their own; prices often lie on a coarse grid, so that edges, stops and targets are met exactly.
Parameters come from all over their ranges, but mostly from where trades happen.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import Brackets, Instrument
from liqtiers.datasets.map_features import MapFeatures, TierLadder
from liqtiers.datasets.panel import Panel, panel_from_frame
from liqtiers.strategies import (
    BacktestResult,
    CostParameters,
    TierBreakoutParameters,
    replay,
    run_backtest,
)
from liqtiers.strategies.parameters import ParameterSet

WINDOW: Final = 0.10
TIERS: Final = 3
TOLERANCE: Final = 1e-9
MONEY: Final = ("gross_pnl", "fees", "slippage", "funding", "net_pnl")
BUSY: Final[dict[str, tuple[float, float]]] = {
    "max_distance": (0.01, 0.5),
    "min_fuel": (0.0, 0.5),
    "min_imbalance": (0.0, 1.0),
    "max_armed_bars": (1, 300),
    "thrust_bars": (1, 20),
    "min_thrust": (-4.0, 0.5),
    "atr_bars": (1, 30),
    "max_funding": (-0.001, 0.01),
    "stop_atr": (0.0, 6.0),
    "patience": (1, 60),
    "min_progress": (0.0, 0.6),
    "max_hold": (1, 120),
    "trail_atr": (0.5, 4.0),
    "risk_fraction": (0.001, 1.0),
    "max_leverage": (1.0, 60.0),
    "taker_fee": (-0.001, 0.003),
    "maker_fee": (-0.001, 0.002),
    "spread_bps": (0.0, 30.0),
    "impact_coefficient": (0.0, 2.0),
    "max_slippage_bps": (0.0, 500.0),
}
"""Where there is something to see; values outside come now and then."""

LOGARITHMIC: Final = ("max_leverage", "risk_fraction", "patience", "max_hold", "max_armed_bars")


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """All that a run is given."""

    panel: Panel
    features: MapFeatures
    instrument: Instrument
    parameters: TierBreakoutParameters
    costs: CostParameters
    cash: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """What both runs did (None where refused), and in which respects they differ."""

    reference: BacktestResult | None
    differences: list[str]

    @property
    def trades(self) -> int:
        """How many trades backtrader made."""
        return 0 if self.reference is None else self.reference.trades.num_rows


def random_world(seed: int, *, bars: tuple[int, int] = (150, 400)) -> World:
    """Return a market with parameters and costs."""
    rng = np.random.default_rng(seed)
    return world_of(
        rng,
        parameters=random_parameters(rng),
        costs=random_costs(rng),
        bars=int(rng.integers(*bars, endpoint=True)),
    )


def world_of(
    rng: np.random.Generator,
    *,
    parameters: TierBreakoutParameters,
    costs: CostParameters,
    bars: int,
) -> World:
    """Return a random market, map and contract for given parameters."""
    panel, grid = random_market(rng, bars)
    instrument = random_instrument(rng, parameters.max_leverage, float(panel.close[0]))
    return World(
        panel=panel,
        features=random_features(rng, panel, grid, window=parameters.imbalance_window),
        instrument=instrument,
        parameters=parameters,
        costs=costs,
        cash=float(10.0 ** rng.uniform(3.0, 7.0)),
    )


def random_parameters(rng: np.random.Generator) -> TierBreakoutParameters:
    """Return parameters of the strategy."""
    return TierBreakoutParameters(**_drawn(rng, TierBreakoutParameters))


def random_costs(rng: np.random.Generator) -> CostParameters:
    """Return what trading costs."""
    return CostParameters(**_drawn(rng, CostParameters))


def _drawn(rng: np.random.Generator, of: type[ParameterSet]) -> dict[str, Any]:
    drawn: dict[str, Any] = {}

    def _even_in_logarithm(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    for f in fields(of):
        meta = f.metadata
        if meta["choices"] is not None:
            drawn[f.name] = str(rng.choice(meta["choices"]))
        elif f.name == "imbalance_window":
            drawn[f.name] = WINDOW
        else:
            usual = rng.random() < 0.98
            low, high = BUSY[f.name] if usual else (meta["low"], meta["high"])
            drawing = _even_in_logarithm if f.name in LOGARITHMIC and usual else rng.uniform
            value = rng.choice([low, high]) if rng.random() < 0.1 else drawing(low, high)
            drawn[f.name] = round(value) if isinstance(f.default, int) else float(value)
    if "trail_atr" in drawn and rng.random() < 0.5:
        drawn["trail_atr"] = 0.0
    return drawn


def random_market(rng: np.random.Generator, bars: int) -> tuple[Panel, float]:
    """Return a market, and the grid that its prices lie on."""
    first = 10.0 ** rng.uniform(-1.0, 5.0)
    step = 10.0 ** rng.uniform(-3.3, -1.7)
    # A slow wave makes price go through tiers and come back from them.
    wave = np.sin(np.arange(bars) / rng.uniform(3.0, 40.0)) * step * rng.uniform(0.0, 15.0)
    close = first * np.exp(np.cumsum(rng.normal(0.0, step, bars)) + wave)
    before = np.concatenate([[first], close[:-1]])
    opened = np.where(
        rng.random(bars) < 0.2, before * np.exp(rng.normal(0, 2 * step, bars)), before
    )
    spike = np.where(rng.random((2, bars)) < 0.05, 10.0, 1.0)
    wick = np.exp(np.abs(rng.normal(0.0, 0.5 * step, (2, bars))) * spike)
    high, low = np.maximum(opened, close) * wick[0], np.minimum(opened, close) / wick[1]
    flat = rng.random(bars) < rng.choice([0.0, 0.1])
    grid = first * step / rng.choice([2.0, 1e6])
    prices = [np.maximum(np.round(p / grid), 1.0) * grid for p in (opened, high, low, close)]
    prices = [np.where(flat, prices[3], p) for p in prices]
    frame = pd.DataFrame(
        dict(zip(("open", "high", "low", "close"), prices, strict=True)), index=_moments(rng, bars)
    )
    frame["volume"] = rng.lognormal(5.0, 1.0, bars) * (rng.random(bars) > 0.03)
    if rng.random() < 0.5:
        frame["quote_volume"] = frame["volume"] * frame["close"] * rng.uniform(0.9, 1.1, bars)
    if rng.random() < 0.5:
        unknown = rng.random(bars) < 0.1
        frame["mark_high"] = np.where(unknown, np.nan, prices[1] * rng.uniform(0.995, 1.005, bars))
        frame["mark_low"] = np.where(unknown, np.nan, prices[2] * rng.uniform(0.995, 1.005, bars))
    settled = rng.random(bars) < rng.choice([0.02, 0.5])
    frame["funding_settled"] = np.where(settled, rng.normal(0.0, 0.003, bars), 0.0)
    frame["funding_rate"] = np.where(rng.random(bars) < 0.2, np.nan, rng.normal(0.0, 0.002, bars))
    return panel_from_frame(frame, timeframe="5m"), grid


def _moments(rng: np.random.Generator, bars: int) -> pd.DatetimeIndex:
    missing = np.cumsum(np.where(rng.random(bars) < 0.02, rng.integers(1, 50, bars), 0))
    minutes = 5 * (np.arange(bars) + missing)
    return pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")


def random_features(
    rng: np.random.Generator, panel: Panel, grid: float, *, window: float
) -> MapFeatures:
    """Return tiers that stand for a while, on the grid, mostly within reach of price."""
    bars = len(panel)
    since = np.maximum.accumulate(np.where(rng.random(bars) < 0.05, np.arange(bars), 0))
    reach = np.std(np.diff(np.log(panel.close))) * rng.uniform(1.0, 8.0) + 1e-6
    imbalance = rng.lognormal(0.5, 1.0, bars)
    odd = rng.random(bars)
    imbalance = np.select([odd < 0.02, odd < 0.04, odd < 0.06], [np.inf, 0.0, np.nan], imbalance)
    line = np.ones(bars)
    return MapFeatures(
        windows=(window,),
        notional_above=imbalance[:, np.newaxis],
        notional_below=line[:, np.newaxis],
        imbalance=imbalance[:, np.newaxis],
        above=_ladder(rng, panel.close[since], reach, grid, 1),
        below=_ladder(rng, panel.close[since], reach, grid, -1),
        hourly_quote_volume=line,
        predicted_short_liquidations=line,
        predicted_long_liquidations=line,
        book_short=line,
        book_long=line,
    )


def _ladder(
    rng: np.random.Generator, anchor: np.ndarray, reach: float, grid: float, side: int
) -> TierLadder:
    bars = len(anchor)
    _, stretch = np.unique(anchor, return_inverse=True)
    steps = np.abs(rng.normal(0.0, reach, (stretch.max() + 1, 2 * TIERS)))[stretch]
    edges = anchor[:, np.newaxis] * np.exp(side * np.cumsum(steps, axis=1))
    edges = np.maximum(np.round(edges / grid), 1.0)
    # A tier is at least one step of the grid wide.
    edges = np.cumsum(
        np.diff(edges, axis=1, prepend=0.0) + side * (np.arange(2 * TIERS) > 0), axis=1
    )
    edges = np.maximum(edges, np.arange(2 * TIERS, 0, -1.0) if side < 0 else 1.0) * grid
    near, far = edges[:, ::2], edges[:, 1::2]
    count = rng.integers(0, TIERS, bars, endpoint=True)
    count = np.where(rng.random(bars) < 0.8, TIERS, count)
    there = np.where(np.arange(TIERS) < count[:, np.newaxis], 1.0, np.nan)
    fuel = rng.lognormal(0.0, 1.0, (bars, TIERS))
    return TierLadder(
        lower=np.minimum(near, far) * there,
        upper=np.maximum(near, far) * there,
        peak=0.5 * (near + far) * there,
        notional=1e6 * fuel * there,
        fuel=np.where(rng.random((bars, TIERS)) < 0.02, np.nan, fuel) * there,
    )


def random_instrument(rng: np.random.Generator, leverage: float, price: float) -> Instrument:
    """Return a contract whose brackets grant the leverage, to small positions at least."""
    rows = int(rng.integers(1, 5))
    floor = np.concatenate([[0.0], np.sort(10.0 ** rng.uniform(3.0, 8.0, rows - 1))])
    rate = np.sort(rng.uniform(0.02, 0.9, rows)) / leverage
    amount = np.cumsum(floor * np.diff(rate, prepend=rate[0]))
    unit = "base" if rng.random() < 0.2 else "quote"
    per = price if unit == "base" else 1.0
    brackets = Brackets(
        floor_notional=floor / per,
        maintenance_rate=rate,
        max_leverage=leverage * np.concatenate([[1.0], np.sort(rng.uniform(0.5, 3.0, rows - 1))])
        if rng.random() < 0.1
        else np.full(rows, leverage),
        maintenance_amount=amount / per,
        source="random",
        floor_unit="base" if unit == "base" else "quote",
    )
    return Instrument(
        venue="test",
        symbol="COIN",
        kind="linear",
        tick=0.01,
        lot=float(10.0 ** rng.integers(-6, 0)),
        taker_fee=0.0,
        maker_fee=0.0,
        brackets=brackets,
    )


def compare(world: World) -> Comparison:
    """Run both engines and say how they differ."""
    runs: list[BacktestResult | str] = []
    for engine in (run_backtest, replay):
        try:
            runs.append(
                engine(
                    world.panel,
                    world.features,
                    instrument=world.instrument,
                    parameters=world.parameters,
                    costs=world.costs,
                    cash=world.cash,
                )
            )
        except InputError as error:
            runs.append(str(error))
    reference, found = runs
    if isinstance(reference, str) or isinstance(found, str):
        same = reference == found
        shown = [r if isinstance(r, str) else "no error" for r in runs]
        return Comparison(
            reference=None,
            differences=[] if same else [f"backtrader: {shown[0]}; replay: {shown[1]}"],
        )
    return Comparison(
        reference=reference,
        differences=[
            *trade_differences(reference.trades, found.trades),
            *equity_differences(reference, found),
        ],
    )


def trade_differences(reference: pa.Table, found: pa.Table) -> list[str]:
    """Return how two tables of trades differ, one sentence a column."""
    if not reference.schema.equals(found.schema):
        return [f"schema {found.schema} instead of {reference.schema}"]
    if reference.num_rows != found.num_rows:
        return [f"{found.num_rows} trades instead of {reference.num_rows}"]
    value = reference["size"].to_numpy() * reference["entry_price"].to_numpy()
    told = []
    for name in reference.column_names:
        ours, theirs = reference[name], found[name]
        if pa.types.is_floating(ours.type):
            scale = value if name in MONEY else np.zeros(len(value))
            same = _close(ours.to_numpy(), theirs.to_numpy(), scale)
        else:
            same = np.array([a == b for a, b in zip(ours, theirs, strict=True)], dtype=bool)
        if not same.all():
            row = int(np.argmin(same))
            told.append(f"trade {row + 1}: {name} is {theirs[row]} instead of {ours[row]}")
    return told


def equity_differences(reference: BacktestResult, found: BacktestResult) -> list[str]:
    """Return where the curves first differ."""
    told = []
    if not reference.equity["ts"].equals(found.equity["ts"]):
        told.append("the curves have other times")
    for name in ("equity", "position"):
        ours, theirs = (r.equity[name].to_numpy() for r in (reference, found))
        same = _close(ours, theirs, np.full(len(ours), reference.cash if name == "equity" else 0.0))
        if not same.all():
            bar = int(np.argmin(same))
            told.append(f"bar {bar}: {name} is {theirs[bar]!r} instead of {ours[bar]!r}")
    return told


def _close(ours: np.ndarray, theirs: np.ndarray, scale: np.ndarray) -> np.ndarray:
    both_unknown = np.isnan(ours) & np.isnan(theirs)
    bound = TOLERANCE * np.maximum(np.abs(ours), scale) + 1e-15
    with np.errstate(invalid="ignore"):  # infinities are equal or not
        return both_unknown | (ours == theirs) | (np.abs(ours - theirs) <= bound)
