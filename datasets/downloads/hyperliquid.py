"""Hyperliquid: the positions of accounts that the user names, with their liquidation prices, as of now."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from ..errors import InputError
from ..naming import check_name
from ..sources.hyperliquid import SNAPSHOT
from ..sources.parsed import ImportOptions
from .client import Client
from .source import Broken, Offer, Piece, Request, Source, Wish

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


class Hyperliquid(Source):
    """The info endpoint; no key. One snapshot a run: run it by a timer to collect a history."""

    name: ClassVar[str] = "hyperliquid"
    title: ClassVar[str] = "Hyperliquid positions"
    url: ClassVar[str] = "https://api.hyperliquid.xyz"
    per_second: ClassVar[float] = 5.0  # 1,200 a minute are allowed, each of these counts for two
    parallel: ClassVar[int] = 1
    settles: ClassVar[timedelta] = timedelta()
    offers: ClassVar[tuple[Offer, ...]] = (
        Offer(
            "map",
            "now only",
            "at once",
            "accounts given by --address; cross margin moves its prices; no archive exists",
        ),
    )

    def plan(self, wish: Wish) -> list[Piece]:
        """Return one snapshot of all accounts."""
        self.has(wish)
        check_name("symbol", wish.symbol)
        wrong = [text for text in wish.addresses if not _ADDRESS.fullmatch(text)]
        if wrong or not wish.addresses:
            told = f"--address {wrong[0][:60]!r} is none" if wrong else "--address is missing"
            raise InputError(f"{told}: give accounts as 0x and 40 hexadecimal digits")
        return [
            Piece(
                name=f"{wish.symbol}-positions-{wish.now:%Y-%m-%dT%H%M%S}.json",
                what="map",
                begin=wish.now,
                end=wish.now,
                request=Request(
                    url=f"{wish.url}/info",
                    body=[{"type": "clearinghouseState", "user": user} for user in wish.addresses],
                ),
                options=ImportOptions(symbol=wish.symbol),
                reader="hyperliquid",
            )
        ]

    def bring(self, piece: Piece, client: Client, to: Path) -> None:
        """Ask for one account after another and write them as one file."""
        states = []
        for body in piece.request.body:
            answer = client.read(Request(url=piece.request.url, body=body))
            try:
                state = json.loads(answer)
            except ValueError:
                raise Broken(f"{piece.request.url}: the answer is not whole JSON") from None
            states.append({"address": body["user"], "state": state})
        to.write_text(json.dumps({SNAPSHOT: states}), encoding="utf-8")
