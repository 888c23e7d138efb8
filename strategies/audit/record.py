"""What one run left behind: every column, bar by bar, every order, and how it failed if it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ...datasets.panel import Int64Array1D


class Stage(IntEnum):
    """Where in the chain a column stands; a cause comes before its effects."""

    DATA = 0
    MAP = 1
    LINE = 2
    STATE = 3
    ORDER = 4
    ACCOUNT = 5


STAGE_NAMES = {
    Stage.DATA: "data",
    Stage.MAP: "map",
    Stage.LINE: "line",
    Stage.STATE: "number",
    Stage.ORDER: "order",
    Stage.ACCOUNT: "account",
}


class Column(NamedTuple):
    """One quantity at every bar.

    Attributes
    ----------
    stage : Stage
    values : ndarray of float64, shape (n,) or (n, …)
        NaN where it had none.
    where : str
        ``file:line`` of the user's code that makes it, empty where unknown.
    """

    stage: Stage
    values: NDArray[Any]
    where: str


class OrderSent(NamedTuple):
    """An order as it was sent, or its cancellation.

    Attributes
    ----------
    bar : int
        The bar at whose close it was sent.
    words : str
        What was done: ``buy market``, ``sell limit``, ``cancel`` …
    size, price, limit : float
        Base, quote and quote; NaN where there is none.
    where : str
        ``file:line`` of the user's code that sent it.
    """

    bar: int
    words: str
    size: float
    price: float
    limit: float
    where: str


class Failure(NamedTuple):
    """An exception of the user's code.

    Attributes
    ----------
    bar : int
        The bar at which it was raised; -1 before the first one.
    words : str
        Its type and message.
    where : str
        ``file:line`` of the user's code.
    """

    bar: int
    words: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one run left behind.

    Attributes
    ----------
    ts : ndarray of int64, shape (n,)
        Opens of the bars that it was given, UTC microseconds.
    bars : int
        How many of them it got through.
    first_bar : int
        The first bar at which the strategy could act.
    columns : dict of str to Column
    orders : tuple of OrderSent
    failure : Failure or None
    kept : tuple of str
        Module globals and class attributes that the run changed, with ``file:line`` where known.
    files : tuple of str
        Files that the user's code read.
    """

    ts: Int64Array1D
    bars: int
    first_bar: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    orders: tuple[OrderSent, ...] = ()
    failure: Failure | None = None
    kept: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
