"""The same tiers traded both ways, net of all costs: breakout and fade, side by side, at several sizes.

Whoever says that reaching a tier predicts something must earn it: the trade is opened at the market at the
first open after the bar that reached the tier, towards it (breakout) or away from it (fade), and closed
at the market so many hours later. Both pay fees, slippage and funding, so that what one earns before
costs the other loses, and both may lose after them.

The second question is the map's own: the strategy with its default parameters, on the map and on the
price-only twin, day by day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from ...datasets.errors import InputError
from ...datasets.map_features import Float64Array2D, MapFeatures
from ...datasets.naming import DAY_US
from ...datasets.panel import BoolArray1D, Float64Array1D, Int64Array1D, Panel
from ...strategies import bars_of
from ...strategies.parameters import CostParameters, TierBreakoutParameters
from ...strategies.replay import replay
from ...strategies.slippage import Slippage, SquareRootSlippage
from ..performance import daily_returns
from .claims import hours_words
from .encounters import Encounters
from .inference import Effect, blocks_of, clustered_mean
from .market import EvidenceMarket, bars_in
from .superior_ability import SuperiorAbility, superior_ability

Way = Literal["breakout", "fade"]
BREAKOUT: Final[Way] = "breakout"
FADE: Final[Way] = "fade"
WAYS: Final = (BREAKOUT, FADE)
NOTIONALS: Final = (10_000.0, 100_000.0, 1_000_000.0, 10_000_000.0)
"""Sizes of one order, quote."""
_FEWEST_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventTrades:
    """One trade an event, towards the tier; all shares of the value at entry.

    Attributes
    ----------
    event : ndarray of int64, shape (m,)
        Place of each trade's event among those given; events too near the end or a gap have none.
    entry_bar, exit_bar : ndarray of int64, shape (m,)
        Bars at whose opens it begins and ends.
    day : ndarray of int64, shape (m,)
        UTC day of the entry, counted from 1970.
    gross, funding : ndarray of float64, shape (m,)
        What a trade towards the tier gains from price and from funding; away from it, the negative.
    fee : ndarray of float64, shape (m,)
        Taker fees of both fills, positive.
    slippage : ndarray of float64, shape (sizes, m)
        Of both fills at each size, positive.
    notionals : tuple of float
        The sizes, quote.
    """

    event: Int64Array1D
    entry_bar: Int64Array1D
    exit_bar: Int64Array1D
    day: Int64Array1D
    gross: Float64Array1D
    funding: Float64Array1D
    fee: Float64Array1D
    slippage: Float64Array2D
    notionals: tuple[float, ...]

    def before_costs(self, way: Way) -> Float64Array1D:
        """Return what price alone gave each trade, shape (m,)."""
        return self.gross if way == BREAKOUT else -self.gross

    def net(self, way: Way, size: int) -> Float64Array1D:
        """Return what each trade gave after fees, slippage at that size, and funding, shape (m,)."""
        sign = 1.0 if way == BREAKOUT else -1.0
        result: Float64Array1D = sign * (self.gross + self.funding) - self.fee - self.slippage[size]
        return result


def trade_events(
    panel: Panel,
    bar: Int64Array1D,
    side: Int64Array1D,
    *,
    hours: float,
    costs: CostParameters,
    notionals: tuple[float, ...] = NOTIONALS,
    slippage: Slippage | None = None,
) -> EventTrades:
    """Trade each event towards its tier for some hours.

    Parameters
    ----------
    panel : Panel
    bar : ndarray of int64, shape (k,)
        Bars in which a tier was reached; the trade begins at the next open.
    side : ndarray of int64, shape (k,)
        1 for a tier above price, -1 for one below.
    hours : float
        How long it lasts.
    costs : CostParameters
    notionals : tuple of float
        Sizes of one order, quote.
    slippage : Slippage, optional
        Prices a fill, for example from a depth table; the square-root law with the costs' coefficient
        otherwise.

    Notes
    -----
    Look-ahead: a trade is decided at the close of the bar that reached the tier and filled at the next
    open. Events whose trade would run over missing bars or the end have no trade.
    """
    length = bars_in(panel, hours)
    entry = bar + 1
    event = np.flatnonzero(entry + length < len(panel))
    spans = panel.ts[entry[event] + length] - panel.ts[bar[event]]
    event = event[spans == (length + 1) * panel.bar_us]
    entry = entry[event]
    leave, way = entry + length, side[event].astype(np.float64)
    opened, closed = panel.open[entry], panel.open[leave]
    bars = bars_of(panel)
    paid = np.concatenate([[0.0], np.cumsum(bars.funding_settled * bars.close)])
    law = slippage or SquareRootSlippage(
        spread_bps=costs.spread_bps,
        coefficient=costs.impact_coefficient,
        max_bps=costs.max_slippage_bps,
    )
    into, out = (_slipped(law, panel, fills, notionals) for fills in (entry, leave))
    return EventTrades(
        event=event,
        entry_bar=entry,
        exit_bar=leave,
        day=panel.ts[entry] // DAY_US,
        gross=way * (closed / opened - 1.0),
        funding=-way * (paid[leave] - paid[entry]) / opened,
        fee=costs.taker_fee * (1.0 + closed / opened),
        slippage=into + out * closed / opened,
        notionals=notionals,
    )


def _slipped(
    law: Slippage, panel: Panel, fills: Int64Array1D, notionals: tuple[float, ...]
) -> Float64Array2D:
    """Return the slippage of a fill in each bar at each size, shape (sizes, fills), fractions."""
    quote_volume = bars_of(panel).quote_volume
    rows = [
        [
            law.bps(n, quote_volume=quote_volume[b], high=panel.high[b], low=panel.low[b])
            for b in fills.tolist()
        ]
        for n in notionals
    ]
    return 1e-4 * np.array(rows, dtype=np.float64).reshape(len(notionals), len(fills))


def daily_nets(
    trades: EventTrades,
    days: Int64Array1D,
    *,
    way: Way,
    size: int,
    chosen: np.ndarray | None = None,
) -> Float64Array1D:
    """Return the sum of the trades' net results by the day of entry, shape (len(days),).

    Parameters
    ----------
    trades : EventTrades
    days : ndarray of int64, shape (days,)
        UTC days, increasing; those without a trade give 0.
    way : {"breakout", "fade"}
    size : int
        Place among `EventTrades.notionals`.
    chosen : ndarray of bool, shape (m,), optional
        Which trades count; all by default.
    """
    kept = np.ones(len(trades.day), bool) if chosen is None else chosen
    place = np.searchsorted(days, trades.day[kept])
    net = trades.net(way, size)[kept]
    return np.bincount(place, weights=net, minlength=len(days)).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleRuns:
    """The default rule on the map and on its twin.

    Attributes
    ----------
    day : ndarray of int64, shape (days,)
        UTC days since 1970.
    mapped, twin : ndarray of float64, shape (days,)
        Daily returns after all costs; those of the map and those of the price-only twin.
    mapped_trades, twin_trades : int
    """

    day: Int64Array1D
    mapped: Float64Array1D
    twin: Float64Array1D
    mapped_trades: int
    twin_trades: int


def run_rules(
    market: EvidenceMarket,
    twin: MapFeatures,
    *,
    parameters: TierBreakoutParameters | None = None,
    costs: CostParameters | None = None,
    cash: float = 100_000.0,
) -> RuleRuns:
    """Run the strategy on the map and on its price-only twin.

    Parameters
    ----------
    market : EvidenceMarket
    twin : MapFeatures
        What the same rule reads where only price is known; over the same bars.
    parameters : TierBreakoutParameters, optional
    costs : CostParameters, optional
    cash : float
        Starting equity, quote.

    Raises
    ------
    InputError
        See `run_backtest`.
    """
    runs = [
        replay(
            market.panel,
            features,
            instrument=market.instrument,
            parameters=parameters,
            costs=costs,
            cash=cash,
        )
        for features in (market.features, twin)
    ]
    mapped, other = (np.nan_to_num(daily_returns(run.equity, cash=cash)) for run in runs)
    return RuleRuns(
        day=np.unique(market.panel.ts // DAY_US),
        mapped=mapped,
        twin=other,
        mapped_trades=runs[0].trades.num_rows,
        twin_trades=runs[1].trades.num_rows,
    )


def check_notionals(notionals: tuple[float, ...]) -> None:
    """Raise an InputError unless sizes are positive and increasing."""
    if not notionals or notionals[0] <= 0.0 or list(notionals) != sorted(set(notionals)):
        told = ", ".join(f"{n:g}" for n in notionals)
        raise InputError(f"order sizes must be positive and increasing, not {told or 'none'}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WayRow:
    """What one way of trading every encounter gave, a trade; fractions of the order.

    Attributes
    ----------
    hours : float
    notional : float
        Of one order, quote.
    way : {"breakout", "fade"}
    gross, net : Effect
        Before costs, and after fees, slippage and funding.
    slippage, fee : float
        Mean of both fills together.
    """

    hours: float
    notional: float
    way: Way
    gross: Effect
    net: Effect
    slippage: float
    fee: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BothWays:
    """Breakout and fade of every encounter, side by side.

    Attributes
    ----------
    rows : tuple of WayRow
    tested : tuple of str
        The simple rules that were tested together, in words.
    ability : SuperiorAbility or None
        Whether the best of them gained anything after costs; None with too few days.
    notional : float
        Size at which they were tested, quote.
    """

    rows: tuple[WayRow, ...]
    tested: tuple[str, ...]
    ability: SuperiorAbility | None
    notional: float


def both_ways(
    market: EvidenceMarket,
    encounters: Encounters,
    *,
    hours: Sequence[float],
    costs: CostParameters,
    rng: np.random.Generator,
    notionals: tuple[float, ...] = NOTIONALS,
    slippage: Slippage | None = None,
) -> BothWays:
    """Trade every encounter both ways at several sizes, and test the best of the simple rules.

    Parameters
    ----------
    market : EvidenceMarket
    encounters : Encounters
    hours : sequence of float
        How long a trade lasts.
    costs : CostParameters
    rng : numpy.random.Generator
    notionals : tuple of float
        Sizes, quote; the rules are tested together at the second, or the only one.
    slippage : Slippage, optional
        See `trade_events`.

    Notes
    -----
    The rules trade all encounters, those of the fuller half, or those to whose side the imbalance is 2 to
    1 or more, either way, at each horizon. The fuller half is that of the encounters before.
    """
    check_notionals(notionals)
    days = np.unique(market.panel.ts // DAY_US)
    tested_at = min(1, len(notionals) - 1)
    groups = _groups(encounters)
    rows: list[WayRow] = []
    tested: dict[str, Float64Array1D] = {}
    for h in hours:
        trades = trade_events(
            market.panel,
            encounters.bar,
            encounters.side,
            hours=h,
            costs=costs,
            notionals=notionals,
            slippage=slippage,
        )
        block = blocks_of(trades.day, h / 24.0)
        for way in WAYS:
            gross = clustered_mean(trades.before_costs(way), block, rng=rng)
            rows += [
                WayRow(
                    hours=h,
                    notional=notional,
                    way=way,
                    gross=gross,
                    net=clustered_mean(trades.net(way, size), block, rng=rng),
                    slippage=_mean(trades.slippage[size]),
                    fee=_mean(trades.fee),
                )
                for size, notional in enumerate(notionals)
            ]
            for name, chosen in groups.items():
                tested[f"{way} of {name}, {hours_words(h)}"] = daily_nets(
                    trades, days, way=way, size=tested_at, chosen=chosen[trades.event]
                )
    return BothWays(
        rows=tuple(rows),
        tested=tuple(tested),
        ability=_ability(np.column_stack(list(tested.values())), rng),
        notional=notionals[tested_at],
    )


def _groups(encounters: Encounters) -> dict[str, BoolArray1D]:
    fuel = pd.Series(encounters.fuel)
    fuller = fuel > fuel.expanding().median().shift()
    return {
        "all tiers": np.ones(len(encounters), np.bool_),
        "the fuller half": fuller.to_numpy(dtype=np.bool_),
        "tiers towards which it is 2 to 1": encounters.imbalance_towards >= np.log(2.0),
    }


def _ability(daily: Float64Array2D, rng: np.random.Generator) -> SuperiorAbility | None:
    if len(daily) < _FEWEST_DAYS or not daily.any():
        return None
    return superior_ability(daily, rng=rng)


def _mean(values: Float64Array1D) -> float:
    return float(values.mean()) if len(values) else float("nan")
