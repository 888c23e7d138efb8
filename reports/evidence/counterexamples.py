"""Where the map was wrong: largest moves against the imbalance, and fullest tiers that turned price back.

Always shown, whatever the verdict. Tiers are potential, not promise, and the dates say so best. Moves do
not overlap, so that one crash is one example; each comes with the prices around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from ...datasets.naming import HOUR_US
from ...datasets.panel import Float64Array1D, Int64Array1D
from ._columns import TIME, field, table_of
from ._paths import REJECTED
from .encounters import Encounters, ladder_of, nearest_tier
from .market import EvidenceMarket, bars_in, forward_returns
from .outcomes import Outcomes

Kind = Literal["against the imbalance", "rejected tier"]
AGAINST: Final[Kind] = "against the imbalance"
REJECTED_TIER: Final[Kind] = "rejected tier"
Period = Literal["history", "month"]
"""Of what the worst are taken: of all bars, or of each calendar month (UTC) by itself."""

COUNT: Final = 10
_AROUND_HOURS: Final = 24


class Tier(NamedTuple):
    """A tier in an example: prices, quote, and hours of trading; NaN for none."""

    near: float
    far: float
    notional: float
    fuel: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counterexample:
    """A moment at which the map pointed one way and price went the other.

    Attributes
    ----------
    kind : {"against the imbalance", "rejected tier"}
    moment_us : int
        When the map stood so: the close of a bar, UTC microseconds.
    side : int
        Where the map pointed: 1 up (shorts above), -1 down.
    price : float
        Close at that moment, quote per base.
    horizon_hours : float
    move : float
        Log return from then (from the tier's near edge for a rejected one) to the end of the horizon.
    log_imbalance : float
        Log of above over below within the market's window; NaN where unknown.
    notional_above, notional_below : float
        Within the window, quote.
    tier_near, tier_far, tier_notional, tier_fuel : float
        The tier that turned price back, or the nearest on the side to which the map pointed; NaN for
        none.
    around_us : ndarray of int64, shape (w,)
    around_price : ndarray of float64, shape (w,)
        Hourly closes from a day before to a day after the horizon, as far as there are any.
    """

    kind: Kind
    moment_us: int
    side: int
    price: float
    horizon_hours: float
    move: float
    log_imbalance: float
    notional_above: float
    notional_below: float
    tier_near: float
    tier_far: float
    tier_notional: float
    tier_fuel: float
    around_us: Int64Array1D
    around_price: Float64Array1D


def moves_against(
    market: EvidenceMarket, hours: float = 24, *, count: int = COUNT, period: Period = "history"
) -> tuple[Counterexample, ...]:
    """Return the largest moves against the imbalance, the worst first.

    Parameters
    ----------
    market : EvidenceMarket
    hours : float
        Over which a move is taken; none starts within so long of another.
    count : int
        How many of each period.
    period : {"history", "month"}

    Notes
    -----
    The worst is where log imbalance times forward log return is most negative. Look-ahead: chosen by
    what came after, which is their purpose.
    """
    bars = bars_in(market.panel, hours)
    forward = forward_returns(market.panel, bars)
    score = market.log_imbalance() * forward
    order = np.argsort(score, kind="stable")
    chosen = _apart(order[score[order] < 0.0], market.panel.ts, hours, count, period)
    pointed = np.where(market.log_imbalance() > 0.0, 1, -1)
    return tuple(
        _example(
            market,
            int(bar),
            kind=AGAINST,
            side=int(pointed[bar]),
            hours=hours,
            move=float(forward[bar]),
            tier=_nearest_tier(market, int(bar), int(pointed[bar])),
        )
        for bar in chosen
    )


def rejected_tiers(
    market: EvidenceMarket,
    encounters: Encounters,
    outcomes: Outcomes,
    *,
    count: int = COUNT,
    period: Period = "history",
) -> tuple[Counterexample, ...]:
    """Return the tiers with most fuel from which price turned back and stayed, the fullest first.

    Parameters
    ----------
    market : EvidenceMarket
    encounters : Encounters
    outcomes : Outcomes
        Of these encounters; its horizon decides what was rejected, and was still on the near side at the
        end.
    count : int
        How many of each period.
    period : {"history", "month"}
    """
    stayed = (outcomes.state == REJECTED) & (outcomes.signed_move < 0.0)
    turned = np.flatnonzero(stayed & np.isfinite(encounters.fuel))
    order = turned[np.argsort(-encounters.fuel[turned], kind="stable")]
    chosen = _apart(order, encounters.known_us, outcomes.horizon_hours, count, period)
    unit = encounters.volatility * np.sqrt(bars_in(market.panel, outcomes.horizon_hours))
    move = encounters.side * outcomes.signed_move * unit
    return tuple(
        _example(
            market,
            int(encounters.bar[row]) - 1,
            kind=REJECTED_TIER,
            side=int(encounters.side[row]),
            hours=outcomes.horizon_hours,
            move=float(move[row]),
            tier=Tier(
                float(encounters.near[row]),
                float(encounters.far[row]),
                float(encounters.notional[row]),
                float(encounters.fuel[row]),
            ),
        )
        for row in chosen
    )


def counterexample_table(examples: tuple[Counterexample, ...]) -> pa.Table:
    """Return a row for each example, without the prices around it."""
    return table_of(_FIELDS, [[getattr(example, f.name) for example in examples] for f in _FIELDS])


_FIELDS: Final = (
    field("kind", pa.string(), "name", "what went against the map"),
    field("moment_us", TIME, "UTC", "close of the bar at which the map stood so"),
    field("side", pa.int64(), "1 or -1", "where the map pointed: up or down"),
    field("price", pa.float64(), "quote per base", "close at that moment"),
    field("horizon_hours", pa.float64(), "hours", "over which the move was taken"),
    field("move", pa.float64(), "log return", "what price did"),
    field("log_imbalance", pa.float64(), "log ratio", "above over below within the window"),
    field("notional_above", pa.float64(), "quote", "shorts above price within the window"),
    field("notional_below", pa.float64(), "quote", "longs below price within the window"),
    field("tier_near", pa.float64(), "quote per base", "near edge of the tier"),
    field("tier_far", pa.float64(), "quote per base", "far edge of the tier"),
    field("tier_notional", pa.float64(), "quote", "value that would be liquidated in it"),
    field("tier_fuel", pa.float64(), "hours", "that value in hours of trading"),
)


def _apart(
    order: Int64Array1D, moment_us: Int64Array1D, hours: float, count: int, period: Period
) -> list[int]:
    """Return the first `count` rows of each period in `order` of which no two lie within so many hours."""
    if period == "month":
        month = moment_us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    else:
        month = np.zeros(len(moment_us), np.int64)
    chosen: list[int] = []
    left = dict.fromkeys(month[order].tolist(), count)
    open_rows = order
    while len(open_rows):
        row = open_rows[0]
        chosen.append(int(row))
        left[int(month[row])] -= 1
        keep = np.abs(moment_us[open_rows] - moment_us[row]) >= hours * HOUR_US
        keep[0] = False
        if left[int(month[row])] == 0:
            keep &= month[open_rows] != month[row]
        open_rows = open_rows[keep]
    return chosen


def _nearest_tier(market: EvidenceMarket, bar: int, side: int) -> Tier:
    near, far, _, notional, fuel, _ = (
        column[0]
        for column in nearest_tier(
            ladder_of(market, side).slice(bar, bar + 1), market.panel.close[bar : bar + 1], side
        )
    )
    return Tier(float(near), float(far), float(notional), float(fuel))


def _example(
    market: EvidenceMarket,
    bar: int,
    *,
    kind: Kind,
    side: int,
    hours: float,
    move: float,
    tier: Tier,
) -> Counterexample:
    panel, features = market.panel, market.features
    index = features.window_index(market.window)
    around = bars_in(panel, _AROUND_HOURS)
    shown = np.arange(bar - around, bar + bars_in(panel, hours) + around + 1, bars_in(panel, 1))
    shown = shown[(shown >= 0) & (shown < len(panel))]
    return Counterexample(
        kind=kind,
        moment_us=int(panel.close_ts[bar]),
        side=side,
        price=float(panel.close[bar]),
        horizon_hours=hours,
        move=move,
        log_imbalance=float(market.log_imbalance()[bar]),
        notional_above=float(features.notional_above[bar, index]),
        notional_below=float(features.notional_below[bar, index]),
        tier_near=tier.near,
        tier_far=tier.far,
        tier_notional=tier.notional,
        tier_fuel=tier.fuel,
        around_us=panel.close_ts[shown],
        around_price=panel.close[shown],
    )
