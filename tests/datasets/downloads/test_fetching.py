"""Fetching from servers that behave as the real ones do, and badly: once, whole, or a clear error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from depot_server import Answer, Depot, serving
from liqtiers.datasets.downloads import Fetched, Fetcher, FetchSettings, Remote
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.sources.parsed import ImportOptions

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
TODAY = date(2024, 6, 1)
QUICK = FetchSettings(attempts=3, wait_initial=0.01, wait_max=0.02, timeout=0.5)
BODY = b"0123456789" * 1000


@pytest.fixture
def depot() -> Iterator[Depot]:
    """A server with one file and its checksum."""
    with serving() as found:
        found.put("/file.bin", Answer(BODY))
        found.put(
            "/file.bin.CHECKSUM", Answer(hashlib.sha256(BODY).hexdigest().encode() + b"  file.bin")
        )
        yield found


def remote_of(depot: Depot, **changes: object) -> Remote:
    plain = Remote(
        url=f"{depot.address}/file.bin",
        name="a/file.bin",
        what="bars",
        first=date(2024, 1, 1),
        last=date(2024, 1, 31),
        options=ImportOptions(),
        checksum_url=f"{depot.address}/file.bin.CHECKSUM",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # any of its fields


def fetch(folder: Path, *remotes: Remote, today: date = TODAY) -> list[Fetched]:
    with Fetcher(folder, today=today, settings=QUICK) as fetcher:
        return fetcher.fetch(remotes)


def left_over(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file() and p.name.startswith(".")]


def test_a_file_is_fetched_once_and_whole(depot: Depot, tmp_path: Path) -> None:
    """The second run asks for nothing."""
    (found,) = fetch(tmp_path, remote_of(depot))
    assert found.state == "fetched"
    assert found.path is not None
    assert found.path.read_bytes() == BODY
    asked = dict(depot.asked)
    (again,) = fetch(tmp_path, remote_of(depot))
    assert again.state == "cached"
    assert dict(depot.asked) == asked


@pytest.mark.parametrize(
    "first",
    [
        Answer(code=500),
        Answer(code=503),
        Answer(code=429, headers={"Retry-After": "0"}),
        Answer(BODY, cut=True),
        Answer(b"something else"),
        Answer(BODY, wait=1.0),
    ],
    ids=["500", "503", "429", "cut", "wrong checksum", "slow"],
)
def test_trouble_that_passes_ends_in_the_right_file(
    depot: Depot, tmp_path: Path, first: Answer
) -> None:
    """The next attempt gets it; nothing half is left."""
    depot.put("/file.bin", first, Answer(BODY))
    (found,) = fetch(tmp_path, remote_of(depot))
    assert found.state == "fetched"
    assert found.path is not None
    assert found.path.read_bytes() == BODY
    assert depot.asked["/file.bin"] == 2
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("answer", "told", "attempts"),
    [
        (Answer(code=500), "the server answered 500", 3),
        (Answer(code=429), "the server answered 429", 3),
        (Answer(BODY, cut=True), "cut off", 3),
        (Answer(b"something else"), "its checksum does not agree", 3),
        (Answer(BODY, wait=1.0), "no answer within 0.5 seconds", 3),
        (Answer(code=403), "the server answered 403 (is the key right", 1),
        (Answer(code=302, headers={"Location": "http://127.0.0.1:1/x"}), "sends elsewhere", 1),
    ],
    ids=["500", "429", "cut", "wrong checksum", "slow", "403", "redirect"],
)
def test_trouble_that_stays_is_one_clear_error_and_the_next_run_goes_on(
    depot: Depot, tmp_path: Path, answer: Answer, told: str, attempts: int
) -> None:
    """So many attempts as were asked for, no file, and a later run gets what is then there."""
    depot.put("/file.bin", answer)
    (found,) = fetch(tmp_path, remote_of(depot))
    assert (found.state, found.path) == ("failed", None)
    assert told in found.error
    assert "\n" not in found.error
    assert depot.asked["/file.bin"] == attempts
    assert left_over(tmp_path) == []
    depot.put("/file.bin", Answer(BODY))
    assert fetch(tmp_path, remote_of(depot))[0].state == "fetched"


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    """Nobody listens: said so, and tried as often as was asked for."""
    with serving() as gone:
        remote = remote_of(gone)
    (found,) = fetch(tmp_path, remote)
    assert found.state == "failed"
    assert found.error.endswith("/file.bin: cannot be reached")


def test_a_wait_that_the_server_asks_for_is_kept(
    depot: Depot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``Retry-After`` in seconds, or as a moment against the server's own clock."""
    import stamina.instrumentation

    waits: list[float] = []

    def note(details: stamina.instrumentation.RetryDetails) -> None:
        waits.append(details.wait_for)

    stamina.instrumentation.set_on_retry_hooks([note])
    monkeypatch.setattr("time.sleep", lambda _: None)
    moments = {
        "Date": "Mon, 01 Jan 2024 00:00:00 GMT",
        "Retry-After": "Mon, 01 Jan 2024 00:01:30 GMT",
    }
    depot.put(
        "/file.bin",
        Answer(code=429, headers={"Retry-After": "7"}),
        Answer(code=503, headers=moments),
        Answer(BODY),
    )
    try:
        assert fetch(tmp_path, remote_of(depot))[0].state == "fetched"
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    assert waits[0] == pytest.approx(7.0)
    assert waits[1] <= 90.0
    assert waits[1] > 80.0


def test_what_is_missing_is_asked_for_again_only_while_it_may_come(
    depot: Depot, tmp_path: Path
) -> None:
    """Days after its last day a file may still be published; weeks after it is known to be missing."""
    remote = remote_of(depot, url=f"{depot.address}/other", name="other", settled_days=7)
    early, late = date(2024, 2, 3), date(2024, 2, 9)
    for today in (early, early, late, late, late):
        assert fetch(tmp_path, remote, today=today)[0].state == "missing"
    # Twice early, once late; then it is known.
    assert depot.asked["/other"] == 3


def test_days_stand_for_a_month_that_is_not_there(depot: Depot, tmp_path: Path) -> None:
    """Each of them in order; the month is not asked for a second time."""
    depot.put("/day1", Answer(b"1"))
    depot.put("/day3", Answer(b"3"))
    days = tuple(
        remote_of(depot, url=f"{depot.address}/day{d}", name=f"day{d}", checksum_url=None)
        for d in (1, 2, 3)
    )
    month = remote_of(depot, url=f"{depot.address}/month", name="month", instead=days)
    assert [r.state for r in fetch(tmp_path, month)] == ["fetched", "missing", "fetched"]
    asked = dict(depot.asked)
    assert [r.state for r in fetch(tmp_path, month)] == ["cached", "missing", "cached"]
    assert dict(depot.asked) == asked


def test_results_keep_the_order_of_what_was_asked(depot: Depot, tmp_path: Path) -> None:
    """Forty files at once, some slow: in order, each once, and each told as it comes."""
    remotes = []
    for k in range(40):
        depot.put(f"/{k}", Answer(str(k).encode(), wait=0.05 if k % 7 == 0 else 0.0))
        remotes.append(remote_of(depot, url=f"{depot.address}/{k}", name=f"{k}", checksum_url=None))
    told: list[Fetched] = []
    with Fetcher(tmp_path, today=TODAY, settings=QUICK) as fetcher:
        found = fetcher.fetch(remotes, told=told.append)
    assert [r.remote.name for r in found] == [str(k) for k in range(40)]
    assert {r.remote.name for r in told} == {str(k) for k in range(40)}
    assert set(depot.asked.values()) == {1}


@pytest.mark.parametrize("name", ["../outside", "/root/x", "a/../../b", ""])
def test_a_name_that_climbs_out_is_refused(depot: Depot, tmp_path: Path, name: str) -> None:
    """Whatever a source of somebody else's plans, nothing is written outside of the cache."""
    with pytest.raises(InputError, match="climbs out of the cache"):
        fetch(tmp_path / "cache", remote_of(depot, name=name))
    assert depot.asked.total() == 0


def test_a_key_goes_to_its_server_and_nowhere_else(depot: Depot, tmp_path: Path) -> None:
    """Not to another host by a redirect, not into an error, not into a file."""
    secret = "planted-key-4711"
    with serving() as other:
        depot.put("/file.bin", Answer(code=302, headers={"Location": f"{other.address}/file.bin"}))
        remote = remote_of(depot, headers={"CG-API-KEY": secret})
        (found,) = fetch(tmp_path, remote)
        assert other.asked.total() == 0
    assert any(secret in headers.values() for headers in depot.headers)
    assert found.state == "failed"
    assert secret not in found.error
    assert secret not in repr(found)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
