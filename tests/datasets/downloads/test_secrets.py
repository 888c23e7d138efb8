"""A key reaches the server's own host in its header and nothing else: no log, error, file or other host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bad_server import Answer, Served, serving
from fetching import fetch
from liqtiers.datasets.downloads.coinglass import CoinglassApi

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KEY = "planted-0f3c9a71d2e84b65"
WORDS = ("--from", "2024-01-01", "--to", "2024-01-01", "--timeframe", "4h", "--what", "metrics")
GOOD = json.dumps(
    {
        "code": "0",
        "data": [{"time": 1704067200000, "open": "1", "high": "1", "low": "1", "close": "1"}],
    }
).encode()


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the key."""
    monkeypatch.setenv("COINGLASS_API_KEY", KEY)
    monkeypatch.setattr(CoinglassApi, "per_second", 100.0)
    monkeypatch.setattr(CoinglassApi, "period", 0.01)


@pytest.fixture
def elsewhere() -> Iterator[Served]:
    """Another host, to which a server may point."""
    with serving() as server:
        yield server


def found_in_files(workspace: Path) -> list[Path]:
    """Return the files that hold the key, or a name with it."""
    files = [path for path in workspace.rglob("*") if path.is_file()]
    return [p for p in files if KEY.encode() in p.read_bytes() or KEY in str(p)]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([Answer(body=GOOD)], 0),
        ([Answer(401, body=KEY.encode())], 2),
        ([Answer(500, body=KEY.encode())] * 3, 1),
        ([Answer(429, headers={"Retry-After": "0"})] * 3, 1),
        ([Answer(body=GOOD[:20], cut=99)] * 3, 1),
        ([Answer(302, headers={"Location": f"/again?key={KEY}"})] * 3, 1),
        ([Answer(302, headers={"Location": f"nowhere://{KEY}/x"})] * 3, 1),
        ([Answer(body=GOOD.replace(b'"0"', json.dumps(f"9 {KEY}").encode()))] * 3, 1),
        ([Answer(body=GOOD.replace(b"}", f', "k": "{KEY}"}}'.encode(), 1))] * 3, 1),
        ([Answer(body=GOOD.replace(b"}", f', "k": "{KEY}"}}'.encode(), 1), drip=0.003)] * 3, 1),
        ([Answer(body=b"<html>")] * 3, 1),
    ],
    ids=[
        "good",
        "refused",
        "5xx",
        "429",
        "cut",
        "redirect with it",
        "odd redirect",
        "error repeats it",
        "data repeats it",
        "data drips it",
        "a page",
    ],
)
def test_key_is_written_nowhere(
    served: Served,
    workspace: Path,
    answers: list[Answer],
    code: int,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever the server does, the key is in no output, no log and no file, not even with --debug."""
    caplog.set_level(0)
    path = "/api/futures/open-interest/aggregated-history"
    served.faults[path] = list(answers)
    assert fetch(served, "coinglass", "BTC", *WORDS, "--debug") == code
    told = capsys.readouterr()
    assert (
        served.sent[0][1]["Cg-Api-Key" if "Cg-Api-Key" in served.sent[0][1] else "CG-API-KEY"]
        == KEY
    )
    assert KEY not in told.out + told.err + caplog.text
    assert found_in_files(workspace) == []


def test_key_does_not_follow_a_redirect_to_another_host(
    served: Served, elsewhere: Served, workspace: Path
) -> None:
    """A redirect to another host is followed without the key; on the same host it is kept."""
    elsewhere.answer = lambda path, body: Answer(body=GOOD)
    here = "/api/futures/open-interest/aggregated-history"
    served.faults[here] = [Answer(302, headers={"Location": "/moved"})]
    served.faults["/moved"] = [Answer(307, headers={"Location": f"{elsewhere.url}/data"})]
    assert fetch(served, "coinglass", "BTC", *WORDS) == 0
    assert [KEY in headers.values() for _, headers in served.sent] == [True, True]
    assert [KEY in str(headers) for _, headers in elsewhere.sent] == [False]


def test_key_is_not_sent_unencrypted(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plain http address that is not this machine is refused before anything is sent."""
    url = ("--url", "http://example.org")
    assert fetch(served, "coinglass", "BTC", *WORDS, *url) == 2
    assert "would be sent to example.org unencrypted" in capsys.readouterr().err


def test_odd_key_is_refused_without_showing_it(
    served: Served,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A key with a line break in it is refused by the name of its variable alone."""
    monkeypatch.setenv("COINGLASS_API_KEY", f"{KEY}\nX-Other: 1")
    assert fetch(served, "coinglass", "BTC", *WORDS, "--debug") == 2
    told = capsys.readouterr().err
    assert "COINGLASS_API_KEY holds characters that no key has" in told
    assert KEY not in told
