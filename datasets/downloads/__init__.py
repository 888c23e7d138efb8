"""Bringing data of exchanges and vendors to this machine: what to fetch, and fetching it once and whole.

A source is a small class that says which files, or requests, hold a symbol's data over a span of days. It is
registered by an entry point of the group ``liqtiers.sources``, in one's own package as well::

    # my_package/depot.py
    from liqtiers.datasets.downloads import Offer, Remote, Request
    from liqtiers.datasets.sources.parsed import ImportOptions

    class Depot:
        name = "depot"
        offers = (Offer("bars", "2020-01-01", None, "Daily bars of our own collector."),)

        def plan(self, request: Request) -> list[Remote]:
            return [
                Remote(
                    url=f"https://depot.example/{request.symbol}/{day}.csv",
                    name=f"{request.symbol}/{day}.csv",
                    what="bars",
                    first=day,
                    last=day,
                    options=ImportOptions(venue="depot", symbol=request.symbol, timeframe="1d"),
                )
                for day in request.days()
            ]

    # my_package's pyproject.toml
    [project.entry-points."liqtiers.sources"]
    depot = "my_package.depot:Depot"

From then on ``liqtiers data fetch depot BTCUSDT --from 2024-01`` works. Fetching, retries, the cache, checks
and the import are the same for all sources.
"""

from .fetching import Fetched, Fetcher, FetchSettings
from .source import Offer, Remote, Request, Source, known_sources, source_named

__all__ = [
    "FetchSettings",
    "Fetched",
    "Fetcher",
    "Offer",
    "Remote",
    "Request",
    "Source",
    "known_sources",
    "source_named",
]
