"""What fuzzing found in answers of servers (tests/studies/fuzz_parsers.py), each in its smallest form."""

from __future__ import annotations

from pathlib import Path

import pytest

from bad_server import Answer, Served
from fetching import fetch, put_day, stored
from liqtiers.datasets.downloads.coinglass import CoinglassApi
from liqtiers.datasets.downloads.source import count_of

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

DAY = ("--from", "2024-01-01", "--to", "2024-01-01", "--timeframe", "1h")


@pytest.mark.parametrize("asked", ["Wed, 21 Oct 2026 07:28:00 +" + "9" * 30, "\xb2", "9" * 5000])
def test_retry_after_of_no_meaning_is_left_aside(
    served: Served, workspace: Path, asked: str
) -> None:
    """A busy server that asks for a wait of no meaning is asked again after our own."""
    path = put_day(served, 1)
    served.faults[path] = [Answer(503, headers={"Retry-After": asked})]
    assert fetch(served, "binance", "BTCUSDT", *DAY) == 0
    assert stored(workspace) == {"bars:binance:BTCUSDT:1h": 24}


def test_redirect_to_a_port_that_cannot_be_is_one_line(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A redirect that leads nowhere fails the piece in one line that names it."""
    path = put_day(served, 1)
    served.faults[path] = [Answer(302, headers={"Location": "http://127.0.0.1:99999/"})]
    assert fetch(served, "binance", "BTCUSDT", *DAY) == 1
    told = capsys.readouterr().err
    assert "cannot be asked for" in told
    assert "unexpected" not in told


@pytest.mark.parametrize(
    ("text", "count"), [("30", 30), ("", None), ("\xb2", None), ("9" * 5000, None), ("-1", None)]
)
def test_count_in_a_header_is_plain_digits(text: str, count: int | None) -> None:
    """Digits of other alphabets, and more than any count has, are no count."""
    assert count_of(text) == count


def test_used_requests_of_no_meaning_ask_for_no_pause() -> None:
    """Headers that count requests in no digits of ours do not stop a run."""
    headers = {"api-key-use-limit": "\xb2", "api-key-max-limit": "9" * 5000}
    assert CoinglassApi().pause_after(headers) == 0.0


def test_bybit_code_that_is_no_code_is_told(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer whose code is an object fails its piece in one line that shows it."""
    served.answer = lambda path, body: Answer(body=b'{"retCode": {"a": 1}}')
    assert fetch(served, "bybit", "BTCUSDT", *DAY) == 1
    assert "Bybit answered {'a': 1}" in capsys.readouterr().err
