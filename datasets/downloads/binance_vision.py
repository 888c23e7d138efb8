"""Binance's public archive: whole months where they exist, else days, each with its checksum.

Facts that matter (checked November 2026): metrics begin in September 2020, daily files only; funding is
monthly only; snapshots of forced orders of USD-M are gone from the archive, of COIN-M only BTCUSD_PERP from
2023-06-25 to 2024-10-14 remains, and the stream behind them has shown at most one a second and symbol since
2021-04-27.
How files are read, with or without a header and in which unit of time, is in `sources.binance`.
"""

from __future__ import annotations

import calendar
import os
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import Final

from ..errors import InputError
from ..naming import check_name, timeframe_us
from ..sources.binance import SPOT_VENUE, VENUE
from ..sources.parsed import ImportOptions
from .source import Offer, Remote, Request

ADDRESS: Final = "https://data.binance.vision"
ADDRESS_VARIABLE: Final = "LIQTIERS_BINANCE_ARCHIVE"
"""Names another address of the same layout, such as a mirror."""

_MARKETS: Final = {"um": "futures/um", "cm": "futures/cm", "spot": "spot"}
_FUTURES_ONLY: Final = frozenset({"mark", "metrics", "funding", "liquidations"})
_KLINES: Final = {"bars": "klines", "mark": "markPriceKlines"}
_KINDS: Final = {
    "metrics": "metrics",
    "funding": "fundingRate",
    "liquidations": "liquidationSnapshot",
}
_MONTHS_SETTLED: Final = 45
_DAYS_SETTLED: Final = 7


class BinanceVision:
    """The archive as a source; see `Source`."""

    name = "binance"
    offers = (
        Offer("bars", "2017-08-17", None, "Klines of --timeframe; spot from 2017, USD-M from 2019-09."),
        Offer("mark", "2020-01-01", None, "Mark price klines, which trigger liquidations; futures only."),
        Offer("metrics", "2020-09-01", None, "Open interest and ratios every 5 minutes; daily files."),
        Offer("funding", "2020-01-01", None, "Settled funding rates; monthly files, after the month."),
        Offer(
            "liquidations", "2023-06-25", "2024-10-14",
            "Forced orders, at most one a second: lower bounds. USD-M is gone from the archive; COIN-M "
            "BTCUSD_PERP remains (--market cm).",
        ),
    )  # fmt: skip

    def plan(self, request: Request) -> list[Remote]:
        """Return what to fetch; see `Source`."""
        check_name("symbol", request.symbol)
        if request.market not in _MARKETS:
            raise InputError(f"--market is {request.market!r}: use one of {', '.join(_MARKETS)}")
        futures = [what for what in request.what if what in _FUTURES_ONLY]
        if request.market == "spot" and futures:
            raise InputError(f"spot has no {futures[0]}: leave it out of --what")
        timeframe_us(request.timeframe)
        return [remote for what in request.what for remote in _files(request, what)]


def _files(request: Request, what: str) -> Iterator[Remote]:
    for (year, month), days in groupby(request.days(), key=lambda day: (day.year, day.month)):
        own = list(days)
        last = date(year, month, calendar.monthrange(year, month)[1])
        whole = own[0].day == 1 and own[-1] == last
        if what == "funding":
            yield _monthly(request, what, date(year, month, 1), last, ())
        elif what not in _KLINES or not whole:
            yield from (_daily(request, what, day) for day in own)
        else:
            parts = tuple(_daily(request, what, day) for day in own)
            yield _monthly(request, what, own[0], last, parts)


def _monthly(
    request: Request, what: str, first: date, last: date, instead: tuple[Remote, ...]
) -> Remote:
    return _remote(
        request, what, "monthly", f"{first:%Y-%m}", first, last, instead, _MONTHS_SETTLED
    )


def _daily(request: Request, what: str, day: date) -> Remote:
    return _remote(request, what, "daily", day.isoformat(), day, day, (), _DAYS_SETTLED)


def _remote(
    request: Request,
    what: str,
    period: str,
    stamp: str,
    first: date,
    last: date,
    instead: tuple[Remote, ...],
    settled_days: int,
) -> Remote:
    kind = _KLINES.get(what) or _KINDS[what]
    symbol, timeframe = request.symbol, request.timeframe
    inner = f"{symbol}/{timeframe}" if what in _KLINES else symbol
    part = timeframe if what in _KLINES else kind
    name = f"{_MARKETS[request.market]}/{period}/{kind}/{inner}/{symbol}-{part}-{stamp}.zip"
    address = os.environ.get(ADDRESS_VARIABLE) or ADDRESS
    url = f"{address.rstrip('/')}/data/{name}"
    return Remote(
        url=url,
        name=name,
        what=what,
        first=first,
        last=last,
        options=ImportOptions(
            venue=SPOT_VENUE if request.market == "spot" else VENUE,
            symbol=symbol,
            timeframe=timeframe if what in _KLINES else None,
            table="mark_bars" if what == "mark" else None,
        ),
        checksum_url=f"{url}.CHECKSUM",
        instead=instead,
        settled_days=settled_days,
    )
