"""Bybit: its REST API (v5) for bars, mark price, open interest and funding; its archive of trades.

The archive has no checksums and no liquidations; one day of trades of a large coin is tens of MB, and
gives bars with the takers' side, which the API's klines lack.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from ..errors import DownloadError, InputError
from ..naming import check_name, timeframe_us
from ..sources.parsed import ImportOptions
from .period import Span
from .source import (
    Broken,
    Missing,
    Offer,
    Piece,
    Request,
    Source,
    Wish,
    closed_windows,
    json_of,
    milliseconds,
)

_CATEGORIES: Final = {"um": "linear", "cm": "inverse", "spot": "spot"}
_INTERVALS: Final = {
    "1m": "1",
    "3m": "3",
    "5m": "5",
    "15m": "15",
    "30m": "30",
    "1h": "60",
    "2h": "120",
    "4h": "240",
    "6h": "360",
    "12h": "720",
    "1d": "D",
}
_KLINES_A_PAGE: Final = 1000
_ROWS_A_PAGE: Final = 200
_OPEN_INTEREST_STEP: Final = timedelta(minutes=5)
_FUNDING_STEP: Final = timedelta(hours=1)  # the shortest that any contract has
_TOO_MANY: Final = frozenset({10006, 10018})
_BUSY: Final = frozenset({10000, 10016})
_PATHS: Final = {
    "bars": "kline",
    "mark": "mark-price-kline",
    "metrics": "open-interest",
    "funding": "funding/history",
}


class BybitApi(Source):
    """The public part of Bybit's REST API."""

    name: ClassVar[str] = "bybit"
    title: ClassVar[str] = "Bybit REST v5"
    url: ClassVar[str] = "https://api.bybit.com"
    per_second: ClassVar[float] = 8.0
    immutable: ClassVar[bool] = False
    settles: ClassVar[timedelta] = timedelta(hours=1)
    offers: ClassVar[tuple[Offer, ...]] = (
        Offer("bars", "2020-03-25 on", "at once", "no takers' side; the archive's trades have it"),
        Offer("mark", "2020-03-25 on", "at once"),
        Offer(
            "metrics",
            "2020-08-05 on; every 5 minutes",
            "at once; a value counts as known 5 minutes after its time",
            "open interest in coins (inverse: dollars); no ratios",
        ),
        Offer("funding", "2020-03-25 on", "at once"),
    )

    def plan(self, wish: Wish) -> list[Piece]:
        """Return one request for each stretch of as many rows as an answer can hold."""
        self.has(wish)
        check_name("symbol", wish.symbol)
        if wish.market not in _CATEGORIES:
            raise InputError(f"--market {wish.market!r} must be one of {', '.join(_CATEGORIES)}")
        if wish.market == "spot" and set(wish.what) != {"bars"}:
            raise InputError("the spot market has bars only: leave the rest out of --what")
        if wish.timeframe not in _INTERVALS:
            raise InputError(f"--timeframe {wish.timeframe!r}: Bybit has {', '.join(_INTERVALS)}")
        return [piece for what in wish.what for piece in self._plan_of(what, wish)]

    def check(self, piece: Piece, path: Path) -> None:
        """Look at the answer's code, and whether it holds rows."""
        value = json_of(path)
        code = value.get("retCode") if isinstance(value, dict) else None
        code = code if isinstance(code, int) else str(code)[:40]
        told = str(value.get("retMsg"))[:120] if isinstance(value, dict) else ""
        if code in _TOO_MANY or code in _BUSY:
            raise Broken(f"{piece.request.url}: Bybit answered {code} {told}")
        if code != 0:
            raise DownloadError(f"{piece.request.url}: Bybit answered {code} {told}")
        if not (isinstance(value.get("result"), dict) and value["result"].get("list")):
            raise Missing(piece.name)

    def _plan_of(self, what: str, wish: Wish) -> Iterator[Piece]:
        kline = what in ("bars", "mark")
        step = (
            timedelta(microseconds=timeframe_us(wish.timeframe))
            if kline
            else (_OPEN_INTEREST_STEP if what == "metrics" else _FUNDING_STEP)
        )
        for window in closed_windows(wish, _KLINES_A_PAGE if kline else _ROWS_A_PAGE, step):
            yield self._piece(what, wish, window, kline=kline)

    def _piece(self, what: str, wish: Wish, window: Span, *, kline: bool) -> Piece:
        begin, last = milliseconds(window.begin), str(int(milliseconds(window.end)) - 1)
        params = {"category": _CATEGORIES[wish.market], "symbol": wish.symbol}
        if kline:
            params |= {"interval": _INTERVALS[wish.timeframe], "start": begin, "end": last}
        else:
            params |= {"startTime": begin, "endTime": last}
        if what == "metrics":
            params["intervalTime"] = "5min"
        params["limit"] = str(_KLINES_A_PAGE if kline else _ROWS_A_PAGE)
        label = wish.timeframe if kline else "5m" if what == "metrics" else "settled"
        folder = f"{params['category']}/{what}/{wish.symbol}/{label}"
        return Piece(
            name=f"{folder}/{wish.symbol}-{label}-{window.name}.json",
            what=what,
            begin=window.begin,
            end=window.end,
            request=Request(url=f"{wish.url}/v5/market/{_PATHS[what]}", params=params),
            options=ImportOptions(
                venue="bybit-spot" if wish.market == "spot" else "bybit",
                symbol=wish.symbol,
                timeframe=wish.timeframe if kline else None,
            ),
            reader="bybit",
        )


class BybitArchive(Source):
    """The archive at public.bybit.com."""

    name: ClassVar[str] = "bybit-archive"
    title: ClassVar[str] = "Bybit public archive"
    url: ClassVar[str] = "https://public.bybit.com"
    per_second: ClassVar[float] = 4.0
    parallel: ClassVar[int] = 2
    offers: ClassVar[tuple[Offer, ...]] = (
        Offer(
            "bars",
            "perpetuals, 2020-03-25 on",
            "a day",
            "summed up from every trade to 1 minute, with the takers' side; tens of MB a day",
        ),
    )

    def plan(self, wish: Wish) -> list[Piece]:
        """Return a file of trades a day."""
        self.has(wish)
        symbol = check_name("symbol", wish.symbol)
        if wish.timeframe != "1m":
            raise InputError("--timeframe must be 1m: trades are summed up to minutes")
        if wish.market == "spot":
            raise InputError("--market spot is not read from the archive: use the source bybit")
        return [
            Piece(
                name=f"trading/{symbol}/{symbol}{day.name}.csv.gz",
                what="bars",
                begin=day.begin,
                end=day.end,
                request=Request(url=f"{wish.url}/trading/{symbol}/{symbol}{day.name}.csv.gz"),
                options=ImportOptions(venue="bybit", symbol=symbol, timeframe="1m"),
                reader="bybit",
            )
            for day in wish.days()
        ]
