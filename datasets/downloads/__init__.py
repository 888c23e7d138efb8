"""Bringing files from exchanges' archives and APIs, once, whole, and politely.

A **source** plans which **pieces** (remote files, or answers of an API) a wish is made of; `fetch` brings
those that are not in the cache yet; what it brings goes through `sources.registry.parse_file` into the
lake like any other file.

Adding a source from a package of your own
------------------------------------------
Write a class, name it in the entry point group ``liqtiers.sources``, install the package::

    # my_source.py (a test runs this example)
    from liqtiers.datasets.downloads import Offer, Piece, Request, Source, Wish
    from liqtiers.datasets.sources.parsed import ImportOptions

    class MySource(Source):
        name = "mine"
        title = "My recorder"
        url = "https://example.org"
        offers = (Offer("bars", period="since 2024", delay="a day"),)

        def plan(self, wish: Wish) -> list[Piece]:
            return [
                Piece(
                    name=f"{wish.symbol}_{day.name}.csv",
                    what="bars",
                    begin=day.begin,
                    end=day.end,
                    request=Request(url=f"{wish.url}/{wish.symbol}/{day.name}.csv"),
                    options=ImportOptions(venue="mine", symbol=wish.symbol, timeframe="1h"),
                )
                for day in wish.days()
            ]

    # pyproject.toml
    [project.entry-points."liqtiers.sources"]
    mine = "my_source:MySource"

``liqtiers data fetch mine BTCUSDT --from 2024-01 --what bars`` then brings it: retries, pace, cache, the
record of missing days, and the import are not the source's business. A file of a shape that is not
recognised is named by ``ImportOptions(table=..., columns=...)``, as on the command line.
"""

from .client import Client, Policy
from .fetching import Fetched, fetch
from .source import (
    Broken,
    Missing,
    Offer,
    Piece,
    Request,
    Source,
    Wish,
    load_source,
    source_class,
    source_names,
)

__all__ = [
    "Broken",
    "Client",
    "Fetched",
    "Missing",
    "Offer",
    "Piece",
    "Policy",
    "Request",
    "Source",
    "Wish",
    "fetch",
    "load_source",
    "source_class",
    "source_names",
]
