"""Runs made up for tests of what is recorded and shown: a random walk, a map that looks like one, trades."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from liqtiers.datasets.liquidation_map import LiquidationMap, MapParameters
from liqtiers.datasets.map_features import MapSnapshots, features_from_arrays
from liqtiers.datasets.panel import Panel, panel_from_frame
from liqtiers.reports.performance import summarise, verdict
from liqtiers.reports.random_entry import random_entry
from liqtiers.reports.return_statistics import (
    daily_table,
    drawdowns,
    monthly_returns,
    return_figures,
)
from liqtiers.reports.run_record import bars_table, write_run
from liqtiers.reports.trade_groups import trade_groups
from liqtiers.reports.trade_story import with_what_the_rules_saw
from liqtiers.strategies.parameters import CostParameters, TierBreakoutParameters, parameter_rows
from liqtiers.strategies.trade_log import TRADES_SCHEMA

CASH: Final = 100_000.0
CREATED_AT: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MINUTE_US: Final = 60_000_000
LEVERAGES: Final = (5.0, 10.0, 20.0, 25.0, 50.0, 100.0)
WINDOW: Final = 0.10


def random_walk(
    bars: int, *, seed: int, minutes: int = 5, start_price: float = 60_000.0
) -> pd.DataFrame:
    """Bars of a random walk with funding every 8 hours and a drifting open interest."""
    rng = np.random.default_rng(seed)
    close = start_price * np.exp(np.cumsum(rng.normal(0.0, 0.0016, bars)))
    before = np.concatenate([[start_price], close[:-1]])
    wick = np.abs(rng.normal(0.0, 0.0008, (2, bars)))
    index = pd.date_range("2021-01-01", periods=bars, freq=f"{minutes}min", tz="UTC", unit="us")
    settled = (index.hour % 8 == 0) & (index.minute == 0)
    rate = np.clip(rng.normal(0.0001, 0.0002, bars), -0.001, 0.002)
    return pd.DataFrame(
        {
            "open": before,
            "high": np.maximum(before, close) * (1.0 + wick[0]),
            "low": np.minimum(before, close) * (1.0 - wick[1]),
            "close": close,
            "volume": rng.gamma(2.0, 300.0, bars),
            "oi_base": 80_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.001, bars))),
            "funding_rate": pd.Series(np.where(settled, rate, np.nan))
            .ffill()
            .fillna(0.0001)
            .to_numpy(),
            "funding_settled": np.where(settled, rate, 0.0),
        },
        index=index,
    )


def ladders(panel: Panel, *, columns: int) -> MapSnapshots:
    """A map that looks like one: positions opened along the way, swept by the range that follows."""
    rng = np.random.default_rng(len(panel))
    columns = min(columns, len(panel))
    ends = np.linspace(len(panel) / columns - 1, len(panel) - 1, columns).astype(np.int64)
    edges = np.geomspace(panel.low.min() / 1.15, panel.high.max() * 1.15, 301)
    middle = np.sqrt(edges[1:] * edges[:-1])
    sides = {-1: np.zeros(len(middle)), 1: np.zeros(len(middle))}
    pictures: dict[int, list[Any]] = {-1: [], 1: []}
    start = 0
    for end in ends:
        span = slice(start, end + 1)
        for direction in sides:
            book = 0.997 * sides[direction]
            for leverage in LEVERAGES:
                level = panel.close[end] * (1.0 + direction / leverage) * rng.normal(1.0, 0.003)
                book += rng.gamma(1.0, 3e6) * np.exp(-((np.log(middle / level) / 0.006) ** 2))
            high, low = panel.high[span].max(), panel.low[span].min()
            sides[direction] = np.where(
                middle <= high if direction > 0 else middle >= low, 0.0, book
            )
            pictures[direction].append(sides[direction])
        start = end + 1
    return MapSnapshots(
        ts=panel.close_ts[ends],
        price_edges=edges,
        short_notional=np.array(pictures[1], dtype=np.float32),
        long_notional=np.array(pictures[-1], dtype=np.float32),
    )


def made_up_map(
    panel: Panel, snapshots: MapSnapshots, *, imbalance: bool, notes: tuple[str, ...]
) -> LiquidationMap:
    """A map whose imbalance within 10 % is read off the snapshots, or unknown."""
    n = len(panel)
    sums = np.full((2, n, 1), np.nan)
    if imbalance:
        at = np.clip(np.searchsorted(snapshots.ts, panel.close_ts, side="right") - 1, 0, None)
        middle = np.sqrt(snapshots.price_edges[1:] * snapshots.price_edges[:-1])
        shorts, longs = (
            np.cumsum(s, axis=1) for s in (snapshots.short_notional, snapshots.long_notional)
        )
        high, low = (np.searchsorted(middle, panel.close * (1.0 + s * WINDOW)) - 1 for s in (1, -1))
        here = np.searchsorted(middle, panel.close) - 1
        sums[0, :, 0] = shorts[at, high] - shorts[at, here]
        sums[1, :, 0] = longs[at, here] - longs[at, low]
    nothing = np.full((n, 1, 4), np.nan)
    features = features_from_arrays(
        (WINDOW,),
        (sums[0], sums[1]),
        tiers=(nothing, nothing),
        hourly_quote_volume=np.ones(n),
        predicted=(np.zeros(n), np.zeros(n)),
        book=(np.ones(n), np.ones(n)),
    )
    return LiquidationMap(
        features=features,
        snapshots=snapshots,
        latest=snapshots,
        parameters=MapParameters(),
        model="volume",
        notes=notes,
    )


def made_up_trades(
    panel: Panel, *, count: int, seed: int, losses_only: bool, reason: str | None
) -> pa.Table:
    """Trades at the panel's prices with a tier each; net = gross - fees - slippage + funding."""
    rng = np.random.default_rng(seed)
    room = (len(panel) - 100) // max(count, 1)
    rows = []
    for number in range(count):
        armed = 20 + number * room + int(rng.integers(0, max(room - 75, 1)))
        entry = armed + int(rng.integers(2, 20))
        held = int(rng.integers(3, 50))
        price, out, size = panel.open[entry], panel.close[entry + held], 2.0
        direction = 1 if rng.random() < 0.7 else -1
        if losses_only:
            direction = 1 if out < price else -1
        gross = direction * size * (out - price)
        fees, slippage = 0.0005 * size * (price + out), float(rng.gamma(2.0, 10.0))
        funding = float(rng.normal(0.0, 5.0))
        edges = sorted((price * (1 + direction * 0.001), price * (1 + direction * 0.012)))
        rows.append(
            {
                "trade_id": number + 1,
                "direction": direction,
                "armed_ts": int(panel.ts[armed]),
                "trigger_ts": int(panel.ts[entry - 1]),
                "entry_ts": int(panel.ts[entry]),
                "exit_ts": int(panel.ts[entry + held]),
                "entry_price": price,
                "exit_price": out,
                "size": size,
                "stop_price": price * (1 - direction * 0.008),
                "target_price": price * (1 + direction * 0.012),
                "own_liquidation_price": price * (1 - direction * 0.3),
                "tier_lower": edges[0],
                "tier_upper": edges[1],
                "tier_peak": sum(edges) / 2,
                "tier_notional": float(rng.gamma(2.0, 4e7)),
                "tier_fuel": float(rng.gamma(2.0, 0.3)),
                "imbalance": float(np.exp(rng.normal(1.0, 0.8))),
                "exit_reason": reason
                or ("target" if gross > 0 else str(rng.choice(["stop", "absorbed", "time"]))),
                "bars_held": held + 1,
                "gross_pnl": gross,
                "fees": fees,
                "slippage": slippage,
                "funding": funding,
                "net_pnl": gross - fees - slippage + funding,
                "return_on_equity": 0.0,
                "mae": -0.01,
                "mfe": 0.01,
            }
        )
    return pa.Table.from_pylist(rows, schema=TRADES_SCHEMA)


def equity_of(panel: Panel, trades: pa.Table) -> pa.Table:
    """The account: each trade's net result books at its exit."""
    equity, position = np.full(len(panel), CASH), np.zeros(len(panel))
    for trade in trades.to_pylist():
        entry, exit_ = (
            int(np.searchsorted(panel.ts, int(pd.Timestamp(trade[name]).value // 1000)))
            for name in ("entry_ts", "exit_ts")
        )
        equity[exit_:] += trade["net_pnl"]
        position[entry:exit_] = trade["direction"] * trade["size"]
    ts = pa.array(panel.ts).cast(pa.timestamp("us", tz="UTC"))
    return pa.table({"ts": ts, "equity": equity, "position": position})


def write_made_up_run(
    workspace: Path,
    *,
    bars: int = 1500,
    trades: int = 5,
    seed: int = 7,
    start_price: float = 60_000.0,
    tick: float | None = 0.1,
    venue: str = "binance",
    symbol: str = "BTCUSDT",
    reason: str | None = None,
    notes: tuple[str, ...] = (),
    losses_only: bool = False,
    funding: bool = True,
    open_interest: bool = True,
    imbalance: bool = True,
    heatmap: bool = True,
    dropped: slice | None = None,
    columns: int = 300,
) -> Path:
    """Write a run over a random walk; what is switched off is missing from it."""
    frame = random_walk(bars, seed=seed, start_price=start_price)
    if dropped is not None:
        frame = frame.drop(frame.index[dropped])
    if not funding:
        frame = frame.drop(columns=["funding_rate", "funding_settled"])
    if not open_interest:
        frame = frame.drop(columns="oi_base")
    panel = panel_from_frame(frame, venue=venue, symbol=symbol, timeframe="5m")
    snapshots = ladders(panel, columns=columns)
    if not heatmap:
        for side in (snapshots.short_notional, snapshots.long_notional):
            side[:] = 0.0
    made = made_up_map(panel, snapshots, imbalance=imbalance, notes=notes)
    log = made_up_trades(panel, count=trades, seed=seed, losses_only=losses_only, reason=reason)
    equity = equity_of(panel, log)
    costs = CostParameters()
    drawn = bars_table(panel, made, WINDOW)
    parameters = TierBreakoutParameters(max_hold=200)
    log = with_what_the_rules_saw(log, panel, parameters)
    daily = daily_table(equity, drawn, cash=CASH, taker_fee=costs.taker_fee)
    summary = summarise(log, equity, drawn, cash=CASH, taker_fee=costs.taker_fee)
    summary |= {
        "by_group": trade_groups(log, panel),
        "random_entry": random_entry(log, drawn, draws=100),
        "returns": return_figures(daily),
        "months": monthly_returns(daily),
        "drawdowns": drawdowns(daily, cash=CASH),
    }
    judged = verdict(summary)
    about = {
        "command": f"liqtiers backtest --venue {venue} --symbol {symbol}",
        "versions": {"liqtiers": "0.1.0", "python": "3.11.0"},
        "instrument": {
            "venue": venue, "symbol": symbol, "timeframe": "5m", "kind": "linear", "lot": 0.001,
            "tick": tick, "brackets": "made up",
        },
        "data": {
            "start": str(frame.index[0]), "end": str(frame.index[-1]), "bars": len(panel),
            "gaps": [[str(g.start_us), str(g.end_us), g.missing_bars] for g in panel.gaps],
            "fingerprint": panel.fingerprint(), "sources": {"bars": [f"{venue}:{symbol}:5m"]},
            "notes": ["made up for a test"],
        },
        "window": WINDOW,
        "map": {"model": "volume", "notes": list(notes), "parameters": []},
        "parameters": parameter_rows(parameters),
        "costs": parameter_rows(costs),
        "summary": summary,
        "verdict": {"sentence": judged.sentence, "warning": judged.warning},
    }  # fmt: skip
    return write_run(
        workspace, about, created_at=CREATED_AT, panel=panel, liquidation_map=made,
        imbalance_window=WINDOW, trades=log, equity=equity, daily=daily,
    )  # fmt: skip
