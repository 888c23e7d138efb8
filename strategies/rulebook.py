"""The rulebook: one pure compiled function decides, bar by bar, for every driver.

`decide` maps what was true before (state), what is known at this close (row) and what is held
(account) to the next state and one decision. It reads no clock and keeps nothing: the backtrader
strategy and any replay that call it with the same rows decide the same.

Direction 1 trades shorts' tiers above price with long positions, -1 longs' tiers below with short
ones. A tier's near edge is the one that price meets first, its far edge the other.

- *Armed*: flat, the nearest tier of at least `min_fuel` that begins beyond price and within
  `max_distance`, when the imbalance towards it is at least `min_imbalance`. The tier is frozen as it
  stands. It is dropped after
  `max_armed_bars`, when price is further away than `max_distance`, or has closed beyond the far edge.
- *Triggered*, on a later bar: the close at or beyond the near edge and not beyond the far one,
  thrust of at least `min_thrust` towards it, funding not above `max_funding` against it. With
  `entry` "stop" the order rests at the edge during the next bar instead, while price has not reached
  it, and is decided anew at each close.
- *In position*: a stop and a target rest at the venue; absorbed, time and trail are decided here.

Missing values (NaN) never act, but an unknown funding rate does not forbid a trade.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ..datasets._compiled import compiled_in_place
from ..datasets.map_features import Float64Array2D
from .parameters import BOTH, LONG_ONLY, SHORT_ONLY, TierBreakoutParameters
from .signals import FUEL, LOWER, NOTIONAL, PEAK, UPPER, Row, Signals

HOLD: Final = 0
ENTER: Final = 1
REST: Final = 2
EXIT: Final = 3
MOVE_STOP: Final = 4

NO_REASON: Final = 0
ABSORBED: Final = 1
TIME: Final = 2
REASONS: Final = {ABSORBED: "absorbed", TIME: "time"}

_MARGIN_RESERVE: Final = 0.02
"""Share of the leverage cap left free for fees and for an open away from the close."""

_LOOK_AHEAD: Final = 32


class Rules(NamedTuple):
    """The parameters as numbers; see `TierBreakoutParameters`."""

    trades_long: bool
    trades_short: bool
    rests: bool
    to_next_tier: bool
    max_distance: float
    min_fuel: float
    min_imbalance: float
    max_armed_bars: int
    min_thrust: float
    max_funding: float
    stop_atr: float
    patience: int
    min_progress: float
    max_hold: int
    trail_atr: float


class Tier(NamedTuple):
    """A frozen tier; `armed_bar` is -1 where there is none."""

    lower: float
    upper: float
    peak: float
    notional: float
    fuel: float
    imbalance: float
    armed_bar: int


class State(NamedTuple):
    """What the rules remember: armed tiers by direction, the traded one, its stop and progress."""

    above: Tier
    below: Tier
    active: Tier
    stop: float
    reach: float
    best_close: float


class Account(NamedTuple):
    """What is held at the close: signed quantity, bars since entry (1 in the entry bar), any fill."""

    position: float
    bars_held: int
    filled: bool


class Decision(NamedTuple):
    """What to do at the next open."""

    action: int
    direction: int
    entry: float
    stop: float
    target: float
    reason: int


@compiled_in_place
def no_tier() -> Tier:
    """Return the absence of a tier."""
    return Tier(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, -1)


@compiled_in_place
def first_state() -> State:
    """Return the state before the first bar."""
    return State(no_tier(), no_tier(), no_tier(), np.nan, np.nan, np.nan)


@compiled_in_place
def _hold() -> Decision:
    return Decision(HOLD, 0, np.nan, np.nan, np.nan, NO_REASON)


@compiled_in_place
def _near(tier: Tier, direction: int) -> float:
    return tier.lower if direction > 0 else tier.upper


@compiled_in_place
def _far(tier: Tier, direction: int) -> float:
    return tier.upper if direction > 0 else tier.lower


@compiled_in_place
def _leans(imbalance: float, direction: int, rules: Rules) -> bool:
    """Return whether the map holds enough more on a side than on the other."""
    towards = imbalance if direction > 0 else 1.0 / imbalance
    return towards >= rules.min_imbalance


@compiled_in_place
def _first_in_reach(tiers: Float64Array2D, close: float, direction: int, rules: Rules) -> int:
    """Return which of a side's tiers qualifies to be frozen, -1 if none does."""
    for index in range(len(tiers)):
        near = tiers[index, LOWER] if direction > 0 else tiers[index, UPPER]
        distance = (near / close - 1.0) * direction
        if not distance <= rules.max_distance:
            break
        if distance > 0.0 and tiers[index, FUEL] >= rules.min_fuel:
            return index
    return -1


@compiled_in_place
def _arm(row: Row, direction: int, rules: Rules) -> Tier:
    """Return the tier to freeze, if one qualifies."""
    if not _leans(row.imbalance, direction, rules):
        return no_tier()
    tiers = row.tiers[0 if direction > 0 else 1]
    index = _first_in_reach(tiers, row.close, direction, rules)
    if index < 0:
        return no_tier()
    return Tier(
        tiers[index, LOWER],
        tiers[index, UPPER],
        tiers[index, PEAK],
        tiers[index, NOTIONAL],
        tiers[index, FUEL],
        row.imbalance if direction > 0 else 1.0 / row.imbalance,
        row.bar,
    )


@compiled_in_place
def _given_up(tier: Tier, bar: int, close: float, direction: int, rules: Rules) -> bool:
    """Return whether an armed tier is dropped: too old, too far away, or passed."""
    if bar - tier.armed_bar > rules.max_armed_bars:
        return True
    near, far = _near(tier, direction), _far(tier, direction)
    too_far = (near - close) * direction > rules.max_distance * close
    return too_far or (close - far) * direction >= 0.0


@compiled_in_place
def _placed(tier: Tier, close: float, direction: int, rules: Rules) -> bool:
    """Return whether price is where an entry is sent: at the edge or beyond, or not yet if it rests."""
    reached = (close - _near(tier, direction)) * direction >= 0.0
    return reached != rules.rests


@compiled_in_place
def _allowed(atr: float, thrust: float, funding_rate: float, direction: int, rules: Rules) -> bool:
    """Return whether momentum and funding permit an entry."""
    if not thrust * direction >= rules.min_thrust or not atr > 0.0:
        return False
    return not funding_rate * direction > rules.max_funding


@compiled_in_place
def _enter(tier: Tier, row: Row, direction: int, rules: Rules) -> Decision:
    """Return the decision to enter at a tier, if it is triggered."""
    if not _placed(tier, row.close, direction, rules) or not _allowed(
        row.atr, row.thrust, row.funding_rate, direction, rules
    ):
        return _hold()
    near, far = _near(tier, direction), _far(tier, direction)
    target = far
    if rules.to_next_tier:
        tiers = row.tiers[0 if direction > 0 else 1]
        for index in range(len(tiers)):
            edge = tiers[index, LOWER] if direction > 0 else tiers[index, UPPER]
            if (edge - far) * direction > 0.0:
                target = edge
                break
    stop = near - direction * rules.stop_atr * row.atr
    action = REST if rules.rests else ENTER
    return Decision(action, direction, near if rules.rests else row.close, stop, target, NO_REASON)


@compiled_in_place
def _manage(state: State, row: Row, account: Account, rules: Rules) -> tuple[State, Decision]:
    """Decide while a position is open."""
    direction = 1 if account.position > 0.0 else -1
    active, reach, best = state.active, state.reach, state.best_close
    if active.armed_bar < 0:
        active = state.above if direction > 0 else state.below
        reach = row.high if direction > 0 else row.low
        best = row.close
    elif direction > 0:
        reach, best = max(reach, row.high), max(best, row.close)
    else:
        reach, best = min(reach, row.low), min(best, row.close)
    state = State(no_tier(), no_tier(), active, state.stop, reach, best)

    width = active.upper - active.lower
    progress = (reach - _near(active, direction)) * direction / width
    if account.bars_held >= rules.max_hold:
        return state, Decision(EXIT, direction, np.nan, np.nan, np.nan, TIME)
    if account.bars_held >= rules.patience and progress < rules.min_progress:
        return state, Decision(EXIT, direction, np.nan, np.nan, np.nan, ABSORBED)
    if rules.trail_atr > 0.0 and row.atr > 0.0:
        stop = best - direction * rules.trail_atr * row.atr
        if (stop - state.stop) * direction > 0.0:
            moved = State(state.above, state.below, active, stop, reach, best)
            return moved, Decision(MOVE_STOP, direction, np.nan, stop, np.nan, NO_REASON)
    return state, _hold()


@compiled_in_place
def _side(tier: Tier, row: Row, direction: int, rules: Rules) -> tuple[Tier, Decision]:
    """Decide on one side of price while flat."""
    if tier.armed_bar < 0:
        return _arm(row, direction, rules), _hold()
    if _given_up(tier, row.bar, row.close, direction, rules):
        return no_tier(), _hold()
    return tier, _enter(tier, row, direction, rules)


@compiled_in_place
def decide(state: State, row: Row, account: Account, rules: Rules) -> tuple[State, Decision]:
    """Return the next state and what to do at the next open.

    Parameters
    ----------
    state : State
        What the call at the bar before returned; `first_state` at the first.
    row : Row
        What is known at this bar's close.
    account : Account
        What is held at this bar's close, and whether any order was filled within the bar.
    rules : Rules

    Notes
    -----
    Look-ahead: nothing after the close of `row` is read; the decision is carried out from the next
    bar's open on.
    """
    if account.position != 0.0:
        return _manage(state, row, account, rules)
    if account.filled or state.active.armed_bar >= 0:
        state = first_state()
    above, below = state.above, state.below
    decision = _hold()
    if rules.trades_long:
        above, decision = _side(above, row, 1, rules)
    if rules.trades_short:
        below, other = _side(below, row, -1, rules)
        nearer = abs(other.entry - row.close) < abs(decision.entry - row.close)
        if decision.action == HOLD or (other.action != HOLD and nearer):
            decision = other
    return State(above, below, no_tier(), decision.stop, np.nan, np.nan), decision


@compiled_in_place
def _may_arm(imbalance: float, most_fuel: float, direction: int, rules: Rules) -> bool:
    return _leans(imbalance, direction, rules) and most_fuel >= rules.min_fuel


@compiled_in_place
def _waits(
    tier: Tier,
    bar: int,
    close: float,
    atr: float,
    thrust: float,
    funding_rate: float,
    direction: int,
    rules: Rules,
) -> bool:
    """Return whether an armed tier is neither given up nor triggered."""
    if _given_up(tier, bar, close, direction, rules):
        return False
    return not (
        _placed(tier, close, direction, rules)
        and _allowed(atr, thrust, funding_rate, direction, rules)
    )


@compiled_in_place
def quiet_until(state: State, signals: Signals, bar: int, stop: int, rules: Rules) -> int:
    """Return the first bar, from `bar` on, at which `decide` may do more than hold; else `stop`.

    For whoever is flat, has no order and had no fill since the last call of `decide`: until the bar
    returned it would hold and leave its tiers as they are, so that those calls can be left out. It
    asks what `decide` asks, but of the least that it must know.

    Parameters
    ----------
    state : State
        What `decide` returned for the bar before.
    signals : Signals
    bar, stop : int
    rules : Rules
    """
    reach = _LOOK_AHEAD
    while bar < stop:
        # Looked at in pieces, so that a side that stays quiet is not searched to the end each time; in
        # ever longer ones, since each costs as much as tens of bars.
        end = min(bar + reach, stop)
        reach *= 2
        loud = end
        if rules.trades_long:
            loud = _side_quiet_until(state.above, signals, bar, loud, 1, rules)
        if rules.trades_short:
            loud = _side_quiet_until(state.below, signals, bar, loud, -1, rules)
        if loud < end:
            return loud
        bar = end
    return stop


@compiled_in_place
def _side_quiet_until(
    tier: Tier, signals: Signals, bar: int, stop: int, direction: int, rules: Rules
) -> int:
    # Taken out of the tuple once: in the loop that would count references.
    close = signals.close
    if tier.armed_bar < 0:
        imbalance, most_fuel, tiers = signals.imbalance, signals.most_fuel, signals.tiers
        side = 0 if direction > 0 else 1
        for here in range(bar, stop):
            if (
                _may_arm(imbalance[here], most_fuel[here, side], direction, rules)
                and _first_in_reach(tiers[here, side], close[here], direction, rules) >= 0
            ):
                return here
        return stop
    atr, thrust = signals.atr, signals.thrust
    funding_rate = signals.funding_rate
    for here in range(bar, stop):
        if not _waits(
            tier, here, close[here], atr[here], thrust[here], funding_rate[here], direction, rules
        ):
            return here
    return stop


@compiled_in_place
def position_size(
    equity: float,
    price: float,
    stop: float,
    risk_fraction: float,
    max_leverage: float,
    lot: float,
) -> float:
    """Return how much to trade: a fraction of equity at risk, capped by leverage, in whole lots.

    Parameters
    ----------
    equity : float
        Quote.
    price, stop : float
        Expected entry and stop, quote per base.
    risk_fraction : float
        Share of equity lost at the stop.
    max_leverage : float
        Cap on value over equity; 2 % of it stays free for fees and an open away from the close.
    lot : float
        Smallest quantity step, base.

    Returns
    -------
    float
        Base, a multiple of `lot`; 0 where there is not enough for one.

    Examples
    --------
    >>> position_size(10_000.0, 100.0, 98.0, 0.01, 3.0, 0.1)
    50.0
    """
    risk = abs(price - stop)
    if not (equity > 0.0 and price > 0.0 and risk > 0.0):
        return 0.0
    capped = (1.0 - _MARGIN_RESERVE) * equity * max_leverage / price
    quantity = min(equity * risk_fraction / risk, capped)
    # A quotient that is a whole number but for rounding must not lose a lot.
    lots = np.floor(quantity / lot + 1e-9)
    # 3 / 10 is the number nearest to 0.3 and 3 * 0.1 is not.
    lots_in_one = np.round(1.0 / lot)
    if abs(lots_in_one * lot - 1.0) < 1e-9:
        return float(lots / lots_in_one)
    return float(lots * lot)


def rules_of(parameters: TierBreakoutParameters) -> Rules:
    """Return a parameter set as the numbers that `decide` takes."""
    return Rules(
        trades_long=parameters.side in (LONG_ONLY, BOTH),
        trades_short=parameters.side in (SHORT_ONLY, BOTH),
        rests=parameters.entry == "stop",
        to_next_tier=parameters.target == "next",
        max_distance=float(parameters.max_distance),
        min_fuel=float(parameters.min_fuel),
        min_imbalance=float(parameters.min_imbalance),
        max_armed_bars=parameters.max_armed_bars,
        min_thrust=float(parameters.min_thrust),
        max_funding=float(parameters.max_funding),
        stop_atr=float(parameters.stop_atr),
        patience=parameters.patience,
        min_progress=float(parameters.min_progress),
        max_hold=parameters.max_hold,
        trail_atr=float(parameters.trail_atr),
    )
