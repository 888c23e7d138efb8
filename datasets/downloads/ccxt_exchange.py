"""Any exchange that ccxt knows, for what archives lack: bars, open interest, funding (``ccxt:okx``).

ccxt is an extra: ``pip install 'liqtiers[ccxt]'``. Pages are asked for one after another from the begin
of a month to its end and kept as one csv. ccxt does not say whether an exchange's volume is in coins or
in contracts: where a contract is not one coin and the exchange is not known here, the user must say it.
"""

from __future__ import annotations

import csv
import importlib
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from ..errors import DownloadError, InputError
from ..naming import check_name, timeframe_us
from ..sources.parsed import ImportOptions
from .client import Client
from .source import Broken, Missing, Offer, Piece, Request, Source, Wish, milliseconds

_IN_COINS: Final = frozenset({"okx"})
"""Exchanges of whose bars ccxt gives the volume in coins though they count in contracts (as of 4.5)."""

_LAG_MS: Final = 5 * 60 * 1000
_BLANK_BARS: Final = 500
_BLANK_DAYS_MS: Final = 7 * 86_400_000
_HEADS: Final = {
    "bars": ("timestamp", "open", "high", "low", "close", "volume"),
    "funding": ("timestamp", "rate"),
    "metrics": ("ts", "available_at", "oi_base", "oi_quote"),
}

Row = list[Any]


class CcxtExchange(Source):
    """One exchange through ccxt; its own pacing is switched on."""

    name: ClassVar[str] = "ccxt"
    title: ClassVar[str] = "ccxt"
    url: ClassVar[str] = "https://ccxt.invalid"  # ccxt knows each exchange's address
    parallel: ClassVar[int] = 1
    immutable: ClassVar[bool] = False
    settles: ClassVar[timedelta] = timedelta(hours=1)
    offers: ClassVar[tuple[Offer, ...]] = (
        Offer("bars", "as far back as the exchange gives", "at once", "no takers' side"),
        Offer("funding", "as far back as the exchange gives", "at once"),
        Offer(
            "metrics",
            "often the last 30 days only",
            "at once; a value counts as known 5 minutes after its time",
            "open interest; of venues that count in contracts its value alone",
        ),
    )

    def __init__(self) -> None:
        self._exchange: Any = None
        self._volume_unit = 1.0
        self._lock = threading.Lock()

    def plan(self, wish: Wish) -> list[Piece]:
        """Return a piece a month; the market's symbol is the exchange's own or ccxt's."""
        self.has(wish)
        self._exchange = self._open(wish.exchange)
        market = self._market(wish)
        symbol = check_name("symbol", str(market["id"]))
        step = timeframe_us(wish.timeframe) // 1000
        closed = int(milliseconds(wish.now)) // step * step
        pieces = []
        for what in wish.what:
            label = wish.timeframe if what != "funding" else "settled"
            if what == "bars" and self._volume_unit != 1.0:
                label += "-contracts"  # what is written depends on what the user said
            for month in wish.months():
                begin = int(milliseconds(month.begin))
                end = min(int(milliseconds(month.end)), closed)
                if end <= begin:
                    continue
                body = {"market": market["symbol"], "begin": begin, "end": end}
                pieces.append(
                    Piece(
                        name=f"{wish.exchange}/{what}/{symbol}-{label}-{month.name}.csv",
                        what=what,
                        begin=month.begin,
                        end=month.end,
                        request=Request(
                            url=f"ccxt:{wish.exchange}",
                            params={"timeframe": wish.timeframe},
                            body=body,
                        ),
                        options=self._options(what, wish, symbol),
                    )
                )
        return pieces

    def bring(self, piece: Piece, client: Client, to: Path) -> None:
        """Ask for page after page and write the rows as csv."""
        with self._lock:  # an exchange object is not made for several threads
            rows = self._pages(piece, client)
        if not rows:
            raise Missing(piece.name)
        with to.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADS[piece.what])
            writer.writerows(rows)

    def _pages(self, piece: Piece, client: Client) -> list[Row]:
        begin, end = piece.request.body["begin"], piece.request.body["end"]
        found: dict[int, Row] = {}
        since, silent = begin, None
        while since < end:
            page = self._page(piece, since, client)
            if not page:
                # The market is not listed yet, or a gap is longer than a page: look further on.
                if since == end - 1:
                    break
                silent, since = since, min(since + self._blank(piece), end - 1)
                continue
            if silent is not None:
                page = self._after_silence(piece, silent, since, client) or page
                silent = None
            found.update({row[0]: row for row in page if begin <= row[0] < end})
            since = max(row[0] for row in page) + 1
        return [found[moment] for moment in sorted(found)]

    def _after_silence(self, piece: Piece, silent: int, heard: int, client: Client) -> list[Row]:
        """Return the first page after a moment that had none; `heard` is a moment that had one."""
        first: list[Row] = []
        step = timeframe_us(piece.request.params["timeframe"]) // 1000
        while heard - silent > step:
            middle = (silent + heard) // 2
            page = self._page(piece, middle, client)
            if page:
                heard, first = middle, page
            else:
                silent = middle
        return first

    @staticmethod
    def _blank(piece: Piece) -> int:
        if piece.what == "funding":
            return _BLANK_DAYS_MS
        return timeframe_us(piece.request.params["timeframe"]) // 1000 * _BLANK_BARS

    def _page(self, piece: Piece, since: int, client: Client) -> list[Row]:
        market, timeframe = piece.request.body["market"], piece.request.params["timeframe"]
        ask: dict[str, Callable[[], list[Any]]] = {
            "bars": lambda: self._exchange.fetch_ohlcv(market, timeframe, since),
            "funding": lambda: self._exchange.fetch_funding_rate_history(market, since),
            "metrics": lambda: self._exchange.fetch_open_interest_history(market, timeframe, since),
        }
        try:
            answers = ask[piece.what]()
        except Exception as error:  # noqa: BLE001  # ccxt raises its own kinds, which are not installed for all
            raise self._fault(piece, error, client) from None
        rows = [self._row(piece, answer) for answer in answers]
        return [row for row in rows if row[0] >= since]

    def _row(self, piece: Piece, answer: Any) -> Row:
        if piece.what == "bars":
            return [*answer[:5], None if answer[5] is None else answer[5] * self._volume_unit]
        moment = int(answer["timestamp"])
        if piece.what == "funding":
            return [moment, answer["fundingRate"]]
        contracts = (
            self._exchange.market(piece.request.body["market"]).get("contractSize") or 1
        ) != 1
        amount = None if contracts else answer.get("openInterestAmount")
        return [moment, moment + _LAG_MS, amount, answer.get("openInterestValue")]

    @staticmethod
    def _fault(piece: Piece, error: Exception, client: Client) -> Exception:
        names = {kind.__name__ for kind in type(error).__mro__}
        told = client.scrub(
            f"{piece.request.url} {piece.what}: {type(error).__name__}: {error}"[:300]
        )
        return Broken(told) if "NetworkError" in names else DownloadError(told)

    def _market(self, wish: Wish) -> dict[str, Any]:
        try:
            self._exchange.load_markets()
            market: dict[str, Any] = self._exchange.market(wish.symbol)
        except Exception as error:  # noqa: BLE001  # as in _page
            told = f"{type(error).__name__}: {error}"[:200]
            if "NetworkError" in {kind.__name__ for kind in type(error).__mro__}:
                raise DownloadError(f"ccxt:{wish.exchange} cannot be reached: {told}") from None
            raise InputError(
                f"ccxt:{wish.exchange} has no market {wish.symbol!r} ({told})"
            ) from None
        if "bars" in wish.what:
            self._volume_unit = _coins_a_unit(wish, market)
        return market

    def _options(self, what: str, wish: Wish, symbol: str) -> ImportOptions:
        tables = {"bars": "bars", "funding": "funding", "metrics": "open_interest"}
        columns = {"ts": "ts"} if what == "metrics" else {"ts": "timestamp"}
        return ImportOptions(
            venue=wish.exchange,
            symbol=symbol,
            timeframe=wish.timeframe if what == "bars" else None,
            table=tables[what],
            columns=columns,
            time_unit="ms",
        )

    def _open(self, exchange: str) -> Any:
        try:
            ccxt = importlib.import_module("ccxt")
        except ImportError:
            raise InputError("ccxt is not installed: pip install 'liqtiers[ccxt]'") from None
        if not exchange or exchange not in ccxt.exchanges:
            raise InputError(f"ccxt knows no exchange {exchange!r}: write for example ccxt:okx")
        return getattr(ccxt, exchange)({"enableRateLimit": True, "timeout": 30_000})


def _coins_a_unit(wish: Wish, market: dict[str, Any]) -> float:
    size = float(market.get("contractSize") or 1.0)
    if size == 1.0 and not market.get("inverse"):
        return 1.0
    if market.get("inverse"):
        raise InputError(
            f"ccxt:{wish.exchange} {wish.symbol} counts in dollars: leave bars out of --what"
        )
    if wish.unit == "contracts":
        return size
    if wish.unit == "coins" or wish.exchange in _IN_COINS:
        return 1.0
    raise InputError(
        f"ccxt:{wish.exchange} {wish.symbol} counts in contracts of {size:g}: say by --unit coins or "
        "--unit contracts what its bars' volume is in"
    )
