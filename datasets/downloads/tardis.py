"""Tardis: single liquidations as its recorders saw them, a csv.gz a day, with both clocks.

Without a key the first day of each month is free, and only those days are asked for.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import ClassVar, Final

from ..errors import InputError
from ..naming import check_name
from ..sources.parsed import ImportOptions
from .source import Offer, Piece, Request, Source, Wish

# Our venue's name, so that other sources' series stand beside it.
_VENUES: Final = {
    "binance-futures": "binance",
    "binance-delivery": "binance",
    "okex-swap": "okx",
    "okex-futures": "okx",
}


class Tardis(Source):
    """The csv files at datasets.tardis.dev; the exchange is named as in ``tardis:binance-futures``."""

    name: ClassVar[str] = "tardis"
    title: ClassVar[str] = "Tardis datasets"
    url: ClassVar[str] = "https://datasets.tardis.dev"
    per_second: ClassVar[float] = 5.0
    settles: ClassVar[timedelta] = timedelta(days=3)
    key_variable: ClassVar[str] = "TARDIS_API_KEY"
    offers: ClassVar[tuple[Offer, ...]] = (
        Offer(
            "liquidations",
            "by exchange: binance-futures 2019-11-17 on, others later",
            "a day",
            "sell closes a long; Binance's at most one a second since 2021-04-27; OKX in contracts; "
            "without a key the first day of each month",
        ),
    )

    def plan(self, wish: Wish) -> list[Piece]:
        """Return a file a day: of all days with a key, else of the first of each month."""
        self.has(wish)
        check_name("symbol", wish.symbol)
        if not wish.exchange:
            raise InputError("name the exchange as Tardis does, for example tardis:binance-futures")
        check_name("venue", wish.exchange)
        free_only = not os.environ.get(self.key_variable)
        days = [day for day in wish.days() if not free_only or day.begin.day == 1]
        if not days:
            raise InputError(
                f"without a key ({self.key_variable}) Tardis gives the first day of a month, and the "
                "period holds none"
            )
        folder = f"v1/{wish.exchange}/liquidations"
        return [
            Piece(
                name=f"{folder}/{day.begin:%Y/%m/%d}/{wish.symbol}.csv.gz",
                what="liquidations",
                begin=day.begin,
                end=day.end,
                request=Request(
                    url=f"{wish.url}/{folder}/{day.begin:%Y/%m/%d}/{wish.symbol}.csv.gz"
                ),
                options=ImportOptions(
                    venue=_VENUES.get(wish.exchange, wish.exchange), symbol=wish.symbol
                ),
                reader="tardis",
            )
            for day in days
        ]
