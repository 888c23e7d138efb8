"""A server on loopback for each test of downloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bad_server import Served, serving


@pytest.fixture
def served() -> Iterator[Served]:
    """A server that has nothing yet."""
    with serving() as server:
        yield server
