"""Binance Vision, the public archive: a zip a month or day with its checksum beside it.

Files appear the day after (monthly ones in the first days of the next month). Klines exist by the month
and by the day; funding by the month only; metrics, forced orders and order book depth by the day only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar, Final

from ..errors import InputError
from ..naming import check_name
from ..sources.binance import SPOT_VENUE, VENUE
from ..sources.parsed import ImportOptions
from .period import Span
from .source import Offer, Piece, Request, Source, Wish

MARKETS: Final = {"um": "futures/um", "cm": "futures/cm", "spot": "spot"}
# Of its intervals those that a timeframe can name.
INTERVALS: Final = tuple("1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d".split())  # noqa: SIM905  # as read
_KINDS: Final = {
    "bars": "klines",
    "mark": "markPriceKlines",
    "metrics": "metrics",
    "funding": "fundingRate",
    "liquidations": "liquidationSnapshot",
    "depth": "bookDepth",
}
_BY_DAY: Final = frozenset({"metrics", "liquidations", "depth"})
_SPOT_KINDS: Final = frozenset({"bars"})


class BinanceVision(Source):
    """The archive at data.binance.vision."""

    name: ClassVar[str] = "binance"
    title: ClassVar[str] = "Binance Vision archive"
    url: ClassVar[str] = "https://data.binance.vision"
    per_second: ClassVar[float] = 20.0
    parallel: ClassVar[int] = 6
    # Monthly files come with the first Monday of the next month.
    settles: ClassVar[timedelta] = timedelta(days=10)
    offers: ClassVar[tuple[Offer, ...]] = (
        Offer(
            "bars",
            "um 2019-12 on, cm 2020-08 on, spot 2017-08 on",
            "a day",
            "spot files are in microseconds from 2025 on; --market um, cm or spot",
        ),
        Offer("mark", "um and cm, 2019-12 on", "a day", "liquidations go by the mark price"),
        Offer(
            "metrics",
            "um 2020-09 on (BTCUSDT), others later; every 5 minutes",
            "a day; a snapshot counts as known 5 minutes after its time",
            "open interest and ratios; ratios are empty in 2020",
        ),
        Offer("funding", "um and cm, 2020-01 on", "the end of the month", "monthly files only"),
        Offer(
            "liquidations",
            "cm BTCUSD_PERP 2023-06-25 to 2024-10-14; USD-M was taken off the archive",
            "ended",
            "at most one forced order a second since 2021-04-27: lower bounds",
        ),
        Offer(
            "depth",
            "um 2023-01 on; some twice a minute, 12 million rows a year",
            "a day",
            "what rests within 0.2 (lately) and 1 to 5 percent of the middle, no single levels",
        ),
    )

    def plan(self, wish: Wish) -> list[Piece]:
        """Return monthly files for whole months, each with its days to fall back on, else daily ones."""
        if wish.market not in MARKETS:
            raise InputError(f"--market {wish.market!r} must be one of {', '.join(MARKETS)}")
        if wish.timeframe not in INTERVALS:
            raise InputError(
                f"--timeframe {wish.timeframe!r}: the archive has {', '.join(INTERVALS)}"
            )
        self.has(wish)
        check_name("symbol", wish.symbol)
        return [piece for what in wish.what for piece in self._plan_of(what, wish)]

    def _plan_of(self, what: str, wish: Wish) -> Iterator[Piece]:
        if wish.market == "spot" and what not in _SPOT_KINDS:
            raise InputError(f"the spot market has no {what}: leave it out, or use --market um")
        if what == "depth" and wish.market != "um":
            raise InputError(
                f"--market {wish.market} has no depth of a known unit: use --market um"
            )
        if what in _BY_DAY:
            yield from (self._piece(what, wish, day, "daily") for day in wish.days())
            return
        for month in wish.months():
            if what == "funding":
                yield self._piece(what, wish, month, "monthly")
                continue
            first, last = max(month.begin, wish.span.begin), min(month.end, wish.span.end)
            days = tuple(
                self._piece(what, wish, day, "daily")
                for day in Span(first, last, "").days()
                if day.end <= wish.now
            )
            if (first, last) == (month.begin, month.end):
                yield self._piece(what, wish, month, "monthly", days)
            else:
                yield from days

    def _piece(
        self, what: str, wish: Wish, span: Span, every: str, otherwise: tuple[Piece, ...] = ()
    ) -> Piece:
        kind, symbol = _KINDS[what], wish.symbol
        by_interval = what in ("bars", "mark")
        label = wish.timeframe if by_interval else kind
        folder = f"{symbol}/{wish.timeframe}" if by_interval else symbol
        name = f"{MARKETS[wish.market]}/{every}/{kind}/{folder}/{symbol}-{label}-{span.name}.zip"
        url = f"{wish.url}/data/{name}"
        return Piece(
            name=name,
            what=what,
            begin=span.begin,
            end=span.end,
            request=Request(url=url),
            checksum=Request(url=f"{url}.CHECKSUM"),
            options=ImportOptions(
                venue=SPOT_VENUE if wish.market == "spot" else VENUE,
                symbol=symbol,
                timeframe=wish.timeframe if by_interval else None,
                table="mark_bars" if what == "mark" else None,
            ),
            reader="binance",
            otherwise=otherwise,
        )
