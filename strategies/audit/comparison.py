"""What differs between a run with the future and one without, and from which bar on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...datasets.panel import Float64Array1D
from .record import STAGE_NAMES, Column, OrderSent, Record, Stage


class Change(NamedTuple):
    """Something that is not the same when the future is cut off.

    Attributes
    ----------
    stage : Stage
    name : str
        Of the column; ``orders`` for orders, ``exception`` where the run broke off.
    bar, ts_us : int
        The first bar at which it changed, and its open, UTC microseconds.
    cut : int
        How many bars were left at the cut that showed it.
    whole, cut_off : str
        What it was with all bars, and without those after the cut.
    where : str
        ``file:line`` of the user's code, empty where unknown.
    """

    stage: Stage
    name: str
    bar: int
    ts_us: int
    cut: int
    whole: str
    cut_off: str
    where: str

    @property
    def kind(self) -> str:
        """What kind of thing it is."""
        return STAGE_NAMES[self.stage]


def changes_between(whole: Record, short: Record, *, tolerance: float) -> list[Change]:
    """Return the first change of every column and of the orders, causes before effects.

    Parameters
    ----------
    whole : Record
        With the future.
    short : Record
        Without; its bars are the first of `whole`.
    tolerance : float
        Relative difference that is put down to rounding; 0 for none.
    """
    bars = min(whole.bars, short.bars)
    found = [
        _change(whole, short, Stage(column.stage), name, bar, column.where, *words)
        for name, column in whole.columns.items()
        if (other := short.columns.get(name)) is not None
        and other.values.shape[1:] == column.values.shape[1:]
        and (bar := _first_difference(column, other, bars, tolerance)) is not None
        for words in [_both(column, other, bar, tolerance)]
    ]
    found += _order_changes(whole, short, bars, tolerance)
    found += _failures(whole, short)
    return sorted(found, key=_cause_first)


def earliest(changes: Iterable[Change]) -> list[Change]:
    """Return each name's earliest change, causes before effects."""
    kept: dict[str, Change] = {}
    for change in changes:
        if change.name not in kept or change.bar < kept[change.name].bar:
            kept[change.name] = change
    return sorted(kept.values(), key=_cause_first)


def _cause_first(change: Change) -> tuple[int, Stage, bool]:
    """Order by bar and stage; of equals, what the user can find in a file comes first."""
    return change.bar, change.stage, not change.where


def _change(
    whole: Record,
    short: Record,
    stage: Stage,
    name: str,
    bar: int,
    where: str,
    with_future: str,
    without: str,
) -> Change:
    ts = int(whole.ts[bar])
    return Change(stage, name, bar, ts, len(short.ts), with_future, without, where)


def differs(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, scale: float, tolerance: float
) -> NDArray[np.bool_]:
    """Return where two arrays are not the same, by more than a share of the values or their scale."""
    unequal: NDArray[np.bool_] = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    if tolerance > 0.0 and unequal.any():
        with np.errstate(invalid="ignore"):
            limit = tolerance * np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), scale)
            unequal &= ~(np.abs(ours - theirs) <= limit) | np.isinf(ours) | np.isinf(theirs)
    return unequal


def scale_of(values: NDArray[np.float64]) -> float:
    """Return the median size of the finite values, 0 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(np.median(finite)) if len(finite) else 0.0


def _first_difference(whole: Column, short: Column, bars: int, tolerance: float) -> int | None:
    scale = scale_of(whole.values) if tolerance > 0.0 else 0.0
    unequal = differs(whole.values[:bars], short.values[:bars], scale=scale, tolerance=tolerance)
    by_bar = unequal.reshape(bars, -1).any(axis=1) if bars else np.zeros(0, bool)
    return int(np.argmax(by_bar)) if by_bar.any() else None


def _both(whole: Column, short: Column, bar: int, tolerance: float) -> tuple[str, str]:
    """Return the two values at a bar; of several the first that differs."""
    ours, theirs = whole.values[bar].ravel(), short.values[bar].ravel()
    place = int(np.argmax(differs(ours, theirs, scale=scale_of(whole.values), tolerance=tolerance)))
    return _number(ours[place]), _number(theirs[place])


def _number(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.6g}"


def _order_changes(whole: Record, short: Record, bars: int, tolerance: float) -> list[Change]:
    ours, theirs = _by_bar(whole, bars), _by_bar(short, bars)
    for bar in sorted(ours.keys() | theirs.keys()):
        left, right = ours[bar], theirs[bar]
        if not _same_orders(left, right, tolerance):
            place = _first_unlike(left, right, tolerance)
            pair = [orders[place : place + 1] for orders in (left, right)]
            where = next((order.where for orders in pair for order in orders), "")
            words = [_order_words(orders) for orders in pair]
            return [_change(whole, short, Stage.ORDER, "orders", bar, where, *words)]
    return []


def _by_bar(record: Record, bars: int) -> defaultdict[int, list[OrderSent]]:
    found: defaultdict[int, list[OrderSent]] = defaultdict(list)
    for order in record.orders:
        if order.bar < bars:
            found[order.bar].append(order)
    return found


def _same_orders(left: list[OrderSent], right: list[OrderSent], tolerance: float) -> bool:
    return len(left) == len(right) and _first_unlike(left, right, tolerance) == len(left)


def _first_unlike(left: list[OrderSent], right: list[OrderSent], tolerance: float) -> int:
    for place, (ours, theirs) in enumerate(zip(left, right, strict=False)):
        numbers = [np.array([o.size, o.price, o.limit]) for o in (ours, theirs)]
        if ours.words != theirs.words or differs(*numbers, scale=0.0, tolerance=tolerance).any():
            return place
    return min(len(left), len(right))


def _order_words(orders: list[OrderSent]) -> str:
    if not orders:
        return "none"
    order = orders[0]
    # backtrader notes the last close as a market order's price.
    known = [] if "market" in order.words else [order.price, order.limit]
    prices = dict.fromkeys(f"{price:.6g}" for price in known if not np.isnan(price))
    return " ".join([order.words, f"{abs(order.size):.6g}", *(f"at {price}" for price in prices)])


def _failures(whole: Record, short: Record) -> list[Change]:
    failure = short.failure
    if failure is None or (whole.failure is not None and whole.failure.bar == failure.bar):
        return []
    bar = max(failure.bar, 0)
    # It is what is tried at the bar, so it comes before what follows from it there.
    return [
        _change(whole, short, Stage.LINE, "exception", bar, failure.where, "none", failure.words)
    ]


def settled_from(whole: Float64Array1D, later: Float64Array1D, *, tolerance: float) -> int | None:
    """Return from which bar on a column agrees with the one of a longer history, None if it never does.

    Parameters
    ----------
    whole, later : ndarray of float64, shape (m,) or (m, …)
        The same bars, the second computed without those before.
    tolerance : float
        Difference that is let pass, as a share of the value or of the column's median size.
    """
    unequal = differs(whole, later, scale=scale_of(whole), tolerance=tolerance)
    by_bar = unequal.reshape(len(whole), -1).any(axis=1)
    if not by_bar.any():
        return 0
    last = int(np.flatnonzero(by_bar)[-1])
    return last + 1 if last + 1 < len(whole) else None
