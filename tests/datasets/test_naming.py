"""Names and timeframes: what is let into a path or a query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.naming import (
    DAY_US,
    HOUR_US,
    check_name,
    timeframe_name,
    timeframe_us,
)


@pytest.mark.parametrize("name", ["BTCUSDT", "0123", "BTC-USDT-SWAP", "1000PEPE", "a.b", "x" * 64])
def test_ordinary_names_pass(name: str) -> None:
    """Symbols of the large venues are valid and come back as they are."""
    assert check_name("symbol", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../x",
        "a/b",
        "a\\b",
        "a..b",
        "a.",
        "-a",
        "_a",
        "a b",
        "a=b",
        "a:b",
        "a*",
        "a'b",
        "'; drop table--",
        "BTC\n",
        "BTC\x00",
        "BTCé",
        "x" * 65,
    ],
)
def test_unsafe_names_are_refused_by_name(name: str) -> None:
    """The message shows what was given and what would be right."""
    with pytest.raises(InputError) as caught:
        check_name("venue", name)
    assert str(caught.value).startswith(f"venue {name!r} is not a valid name: use letters")
    assert "\n" not in str(caught.value)


@given(st.text(max_size=70))
def test_no_accepted_name_can_leave_its_folder_or_its_quotes(name: str) -> None:
    """Whatever passes has no separator, quote, pattern, blank or parent in it."""
    try:
        check_name("symbol", name)
    except InputError:
        return
    assert name.isascii()
    assert not set(name) & set("/\\'\"*?[]=:;\x00 \n\t")
    assert ".." not in name
    assert name[0].isalnum()


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [("1s", 1), ("1m", 60), ("15m", 900), ("4h", 14_400), ("1d", 86_400), ("1w", 604_800)],
)
def test_lengths_of_timeframes(timeframe: str, seconds: int) -> None:
    """Microseconds of the usual timeframes."""
    assert timeframe_us(timeframe) == seconds * 1_000_000


def test_hour_and_day() -> None:
    """The two constants that others count in."""
    assert (HOUR_US, DAY_US) == (3_600_000_000, 86_400_000_000)


@pytest.mark.parametrize(
    "timeframe", ["", "m", "5", "0m", "05m", "-1m", "1.5h", "1M", "1 h", "1hour", "events", "1m\n"]
)
def test_what_is_no_timeframe_is_refused(timeframe: str) -> None:
    """A month has no fixed length, a text with blanks is a slip."""
    with pytest.raises(InputError, match="is not a count and a unit: write for example"):
        timeframe_us(timeframe)


@given(st.integers(1, 10**6))
def test_name_of_a_length_is_its_inverse(seconds: int) -> None:
    """A length survives being named, as far as five digits can say it."""
    name = timeframe_name(seconds * 1_000_000)
    if len(name) <= 6:
        assert timeframe_us(name) == seconds * 1_000_000


@pytest.mark.parametrize("length", [0, -1, 1, 1_500_000])
def test_lengths_without_a_name_are_refused(length: int) -> None:
    """Only positive whole seconds have names."""
    with pytest.raises(InputError, match="not a positive number of whole seconds"):
        timeframe_name(length)
