"""A server on loopback for each test of downloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bad_server import Served, serving
from liqtiers.datasets.downloads.binance_vision import BinanceVision
from liqtiers.datasets.downloads.bybit import BybitApi


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server that has nothing yet, and may be asked as fast as one likes."""
    for source in (BinanceVision, BybitApi):
        monkeypatch.setattr(source, "per_second", 1000.0)
    with serving() as server:
        yield server
