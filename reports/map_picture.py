"""What a picture of the liquidation map shows, prepared once: page, image and terminal only lay it out.

The picture is of the panel's last bar. To look at an earlier moment, end the panel there: nothing after
it is then used, neither for the map nor for the base rate. The bin in which price stands belongs to
neither side, here as in the features, so that what is drawn adds up to what is stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ..datasets.errors import InputError
from ..datasets.liquidation_map import MODEL_OPEN_INTEREST, MODEL_VOLUME, LiquidationMap
from ..datasets.map_features import MapSnapshots, TierLadder
from ..datasets.panel import Float64Array1D, Panel
from ..datasets.sources._names import quote_of
from .formatting import price_places
from .map_mix import mix_in_force

SideName = Literal["shorts", "longs"]

HEADLINE_WINDOW: Final = 0.10
_FINEST_TICK: Final = 1e-3
"""A tick above this share of price is a stand-in for an unknown one."""
_IMPORTED: Final = "The leverage mix is the maker's own, and not known here."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """One side of the map, bin by bin, walking away from price.

    Attributes
    ----------
    edges : ndarray of float64, shape (n + 1,)
        Prices, the one nearest to price first: increasing for shorts, decreasing for longs.
    notional : ndarray of float64, shape (n,)
        Value that would be liquidated in each bin, quote.
    """

    edges: Float64Array1D
    notional: Float64Array1D

    @property
    def cumulative(self) -> Float64Array1D:
        """Value between price and each bin's far edge, quote, shape (n,)."""
        return np.cumsum(self.notional)

    def rows(self, bins: int) -> Side:
        """Return the side with every `bins` bins summed into one, counted from price."""
        if len(self.notional) == 0:
            return self
        first = np.arange(0, len(self.notional), bins)
        return Side(
            edges=np.append(self.edges[first], self.edges[-1]),
            notional=np.add.reduceat(self.notional, first),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A dense tier.

    Attributes
    ----------
    name : str
        ``S1`` is the nearest of shorts, ``L1`` the nearest of longs.
    side : {"shorts", "longs"}
    lower, upper, peak : float
        Quote per base.
    notional : float
        Quote.
    fuel : float
        `notional` in hours of median trading; NaN where volume is not yet known.
    distance : float
        From price to its nearer edge, fraction of price, below 0 for longs.
    """

    name: str
    side: SideName
    lower: float
    upper: float
    peak: float
    notional: float
    fuel: float
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRate:
    """How often this map was at least as lopsided before.

    Attributes
    ----------
    bars : int
        Earlier bars at which the imbalance is known.
    since_us : int
        Close of the first of them, UTC microseconds.
    either : float
        Share of them at which the imbalance was at least as far from 1, to either side; NaN without
        any.
    same : float
        Share at which it was so to the same side.
    """

    bars: int
    since_us: int
    either: float
    same: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What lies within a distance of price.

    Attributes
    ----------
    distance : float
        Fraction of price.
    above, below : float
        Shorts above and longs below, quote.
    imbalance : float
        `above` over `below`; infinite where only `below` is 0, NaN where both are.
    base_rate : BaseRate
    """

    distance: float
    above: float
    below: float
    imbalance: float
    base_rate: BaseRate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapPicture:
    """The liquidation map at one moment, with all that is said of it.

    Attributes
    ----------
    venue, symbol, timeframe : str
    at_us : int
        Close of the last bar that was used, UTC microseconds.
    price : float
        Its close, quote per base.
    places : int
        Decimals with which prices are written.
    currency : str
        The quote currency as the symbol says it, else ``quote``.
    model : str
        What the map was built from, or who made it.
    imported : bool
    mix_origin : str
        Where the leverage mix comes from, in words.
    mix : tuple of (float, float, float)
        Leverage, and shares of the shorts' and of the longs' openings, of each class; empty for an
        imported map.
    mix_fitted : bool
        Whether it was fitted to this market.
    notes : tuple of str
        What a reader of the map must know, one sentence each.
    data_notes : tuple of str
        The same of the data behind it.
    shorts, longs : Side
    tiers : tuple of Tier
        From the top.
    windows : tuple of Window
        Nearest first.
    bin_width : float
        Width of a bin, log price.
    book : float
        Open interest that each side of the map sums to, quote; NaN where the map does not know it.
    """

    venue: str
    symbol: str
    timeframe: str
    at_us: int
    price: float
    places: int
    currency: str
    model: str
    imported: bool
    mix_origin: str
    mix_fitted: bool
    mix: tuple[tuple[float, float, float], ...]
    notes: tuple[str, ...]
    data_notes: tuple[str, ...]
    shorts: Side
    longs: Side
    tiers: tuple[Tier, ...]
    windows: tuple[Window, ...]
    bin_width: float
    book: float

    @property
    def headline(self) -> Window:
        """The window that is put into words first: the one nearest to 10 %."""
        return min(self.windows, key=lambda window: abs(window.distance - HEADLINE_WINDOW))


def map_picture(
    liquidation_map: LiquidationMap,
    panel: Panel,
    *,
    tick: float | None = None,
    notes: tuple[str, ...] = (),
) -> MapPicture:
    """Prepare the picture of a map at its panel's last bar.

    Parameters
    ----------
    liquidation_map : LiquidationMap
        Built over `panel`, by us or by somebody else.
    panel : Panel
    tick : float, optional
        Smallest price step, for the number of decimals.
    notes : tuple of str
        Sentences to add to the map's own.

    Raises
    ------
    InputError
        If the map says nothing at that bar, or nothing lies within its reach.

    Notes
    -----
    Look-ahead: nothing after the panel's last bar exists here; base rates count the bars before it.
    """
    features = liquidation_map.features
    price = float(panel.close[-1])
    _check_not_empty(liquidation_map)
    shorts, longs = _sides(liquidation_map.latest, price)
    imported = liquidation_map.model not in (MODEL_OPEN_INTEREST, MODEL_VOLUME)
    mix = mix_in_force(liquidation_map, panel)
    return MapPicture(
        venue=panel.venue,
        symbol=panel.symbol,
        timeframe=panel.timeframe,
        at_us=int(panel.close_ts[-1]),
        price=price,
        places=_places(tick, price),
        currency=quote_of(panel.symbol) or "quote",
        model=_printable(liquidation_map.model),
        imported=imported,
        mix_origin=_IMPORTED if imported else mix.origin,
        mix_fitted=mix.fitted and not imported,
        mix=() if imported else mix.shares,
        notes=tuple(_printable(note) for note in (*notes, *liquidation_map.notes)),
        data_notes=tuple(_printable(note) for note in panel.notes),
        shorts=shorts,
        longs=longs,
        tiers=(
            *reversed(_tiers("shorts", features.above, price)),
            *_tiers("longs", features.below, price),
        ),
        windows=tuple(_windows(liquidation_map, panel)),
        bin_width=liquidation_map.parameters.bin_width,
        book=_book(liquidation_map, price),
    )


def _check_not_empty(liquidation_map: LiquidationMap) -> None:
    features = liquidation_map.features
    above, below = features.notional_above[-1], features.notional_below[-1]
    if not (np.isfinite(above).any() or np.isfinite(below).any()):
        raise InputError("the map says nothing at that moment: its last snapshot is too old")
    if not (np.nansum(above) + np.nansum(below) > 0.0):
        raise InputError(
            f"the map is empty at that moment: nothing lies within {features.windows[-1]:.0%} of "
            "price; choose a later moment, or give it more history with an earlier start"
        )


def _book(liquidation_map: LiquidationMap, price: float) -> float:
    known = liquidation_map.model == MODEL_OPEN_INTEREST
    return float(liquidation_map.features.book_short[-1]) * price if known else np.nan


def _sides(latest: MapSnapshots, price: float) -> tuple[Side, Side]:
    edges = latest.price_edges
    here = int(np.searchsorted(edges, price, side="right")) - 1
    above = latest.short_notional[-1, here + 1 :].astype(np.float64)
    below = latest.long_notional[-1, : max(here, 0)].astype(np.float64)[::-1]
    return (
        Side(edges=edges[here + 1 :], notional=above),
        Side(edges=edges[: here + 1][::-1], notional=below),
    )


def _tiers(side: SideName, ladder: TierLadder, price: float) -> list[Tier]:
    """Return the tiers of one side, nearest first."""
    found: list[Tier] = []
    for k in np.flatnonzero(np.isfinite(ladder.lower[-1])):
        lower, upper = float(ladder.lower[-1, k]), float(ladder.upper[-1, k])
        near = lower if side == "shorts" else upper
        found.append(
            Tier(
                name=f"{'S' if side == 'shorts' else 'L'}{len(found) + 1}",
                side=side,
                lower=lower,
                upper=upper,
                peak=float(ladder.peak[-1, k]),
                notional=float(ladder.notional[-1, k]),
                fuel=float(ladder.fuel[-1, k]),
                distance=near / price - 1.0,
            )
        )
    return found


def _windows(liquidation_map: LiquidationMap, panel: Panel) -> list[Window]:
    features = liquidation_map.features
    # Before open interest is known the map is another one, built from volume.
    first = int(np.argmax(panel.oi_observed)) if liquidation_map.model == MODEL_OPEN_INTEREST else 0
    return [
        Window(
            distance=distance,
            above=float(features.notional_above[-1, index]),
            below=float(features.notional_below[-1, index]),
            imbalance=float(features.imbalance[-1, index]),
            base_rate=base_rate(features.imbalance[first:, index], panel.close_ts[first:]),
        )
        for index, distance in enumerate(features.windows)
    ]


def base_rate(imbalance: Float64Array1D, close_ts: np.ndarray) -> BaseRate:
    """Return how often the imbalance was at least as lopsided before its last value.

    Parameters
    ----------
    imbalance : ndarray, shape (n,)
        Ratio of above to below at each bar; NaN where unknown.
    close_ts : ndarray of int64, shape (n,)
        The bars' closes, UTC microseconds.
    """
    with np.errstate(divide="ignore"):
        lean = np.log(imbalance)
    now, before = float(lean[-1]), lean[:-1]
    known = np.isfinite(before) | np.isinf(before)
    before = before[known]
    since = int(close_ts[:-1][known][0]) if len(before) else int(close_ts[-1])
    if len(before) == 0 or np.isnan(now):
        return BaseRate(bars=len(before), since_us=since, either=np.nan, same=np.nan)
    as_far = np.abs(before) >= abs(now)
    return BaseRate(
        bars=len(before),
        since_us=since,
        either=float(as_far.mean()),
        same=float((as_far & (np.sign(before) == np.sign(now))).mean()),
    )


def _places(tick: float | None, price: float) -> int:
    known = tick is not None and tick <= _FINEST_TICK * price
    return price_places(tick if known else None, price)


def _printable(text: str) -> str:
    """Return text on one line, without what a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
