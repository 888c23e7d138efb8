"""Coinglass API v4: liquidations, open interest and funding over venues; its heatmap as it is now.

The key goes into the header ``CG-API-KEY``. Plans allow 30 (hobbyist) to 1,200 requests a minute; each
answer says how many were used. Errors come with status 200 and a code in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from ..errors import DownloadError
from ..naming import check_name, timeframe_us
from ..sources.parsed import ImportOptions
from .source import (
    Broken,
    Missing,
    Offer,
    Piece,
    Request,
    Source,
    Wish,
    closed_windows,
    count_of,
    json_of,
    milliseconds,
)

_ROWS: Final = 1000
_ALL: Final = "Binance,OKX,Bybit"
_PATHS: Final = {
    "liquidations": "liquidation/aggregated-history",
    "metrics": "open-interest/aggregated-history",
    "funding": "funding-rate/oi-weight-history",
    "map": "liquidation/aggregated-heatmap/model2",
}
# The reader tells open interest from funding by a word in the file's name.
_WORDS: Final = {"liquidations": "liquidations", "metrics": "open_interest", "funding": "funding"}
_TOO_MANY: Final = frozenset({"429", "40003", "50001"})
_PLANS: Final = "as far back as the plan and the timeframe allow (hobbyist: 4h and longer)"


class CoinglassApi(Source):
    """The API at open-api-v4.coinglass.com; symbols are coins, ``coinglass:Binance`` picks a venue."""

    name: ClassVar[str] = "coinglass"
    title: ClassVar[str] = "Coinglass API v4"
    url: ClassVar[str] = "https://open-api-v4.coinglass.com"
    per_second: ClassVar[float] = 0.5
    parallel: ClassVar[int] = 1
    immutable: ClassVar[bool] = False
    settles: ClassVar[timedelta] = timedelta(days=2)  # the vendor revises what it first showed
    key_variable: ClassVar[str] = "COINGLASS_API_KEY"
    key_needed: ClassVar[bool] = True
    period: ClassVar[float] = 60.0
    """Seconds in which requests are counted."""
    offers: ClassVar[tuple[Offer, ...]] = (
        Offer(
            "liquidations",
            _PLANS,
            "the bar's close; revised later",
            f"sums over {_ALL}, or of one venue as coinglass:Binance; lower bounds",
        ),
        Offer("metrics", _PLANS, "the bar's close", "open interest over all venues, in dollars"),
        Offer(
            "funding",
            _PLANS,
            "the bar's close",
            "in percent, weighted over venues: no settled rate",
        ),
        Offer("map", "now only", "at once", "no past maps are sold: collect them as time goes on"),
    )

    def headers(self, key: str) -> Mapping[str, str]:
        """Return the header of the key."""
        return {"CG-API-KEY": key}

    def pause_after(self, headers: Mapping[str, str]) -> float:
        """Wait for the next minute once all requests of this one are used."""
        used = count_of(headers.get("api-key-use-limit", ""))
        most = count_of(headers.get("api-key-max-limit", ""))
        spent = used is not None and most is not None and used >= most > 0
        return self.period if spent else 0.0

    def plan(self, wish: Wish) -> list[Piece]:
        """Return one request for each thousand bars; of the map one, of now."""
        self.has(wish)
        check_name("symbol", wish.symbol)
        venue = "-".join(filter(None, ("coinglass", wish.exchange.lower().replace(",", "-"))))
        check_name("venue", venue)
        step = timedelta(microseconds=timeframe_us(wish.timeframe))
        pieces = []
        for what in wish.what:
            if what == "map":
                pieces.append(self._map(wish, venue))
                continue
            for window in closed_windows(wish, _ROWS, step):
                params = {
                    "symbol": wish.symbol,
                    "interval": wish.timeframe,
                    "limit": str(_ROWS),
                    "start_time": milliseconds(window.begin),
                    "end_time": str(int(milliseconds(window.end)) - 1),
                }
                if what == "liquidations":
                    params["exchange_list"] = wish.exchange or _ALL
                label = f"{wish.symbol}-{_WORDS[what]}-{wish.timeframe}-{window.name}"
                pieces.append(
                    Piece(
                        name=f"{venue}/{what}/{label}.json",
                        what=what,
                        begin=window.begin,
                        end=window.end,
                        request=Request(
                            url=f"{wish.url}/api/futures/{_PATHS[what]}", params=params
                        ),
                        options=ImportOptions(
                            # Open interest and funding are over all venues, whichever was named.
                            venue=venue if what == "liquidations" else "coinglass",
                            symbol=wish.symbol,
                            timeframe=wish.timeframe,
                        ),
                        reader="coinglass",
                    )
                )
        return pieces

    def check(self, piece: Piece, path: Path) -> None:
        """Look at the answer's code, and whether it holds data."""
        value = json_of(path)
        code = str(value.get("code")) if isinstance(value, dict) else "none"
        told = str(value.get("msg"))[:120] if isinstance(value, dict) else ""
        if code in _TOO_MANY or "too many" in told.lower():
            raise Broken(f"{piece.request.url}: Coinglass answered {code} {told}", wait=self.period)
        if code != "0":
            raise DownloadError(f"{piece.request.url}: Coinglass answered {code} {told}")
        if not value.get("data"):
            raise Missing(piece.name)

    def _map(self, wish: Wish, venue: str) -> Piece:
        return Piece(
            name=f"{venue}/map/{wish.symbol}-heatmap-{wish.now:%Y-%m-%dT%H%M%S}.json",
            what="map",
            begin=wish.now,
            end=wish.now,
            request=Request(
                url=f"{wish.url}/api/futures/{_PATHS['map']}",
                params={"symbol": wish.symbol, "range": "3d"},
            ),
            options=ImportOptions(venue="coinglass", symbol=wish.symbol),
            reader="coinglass",
        )
