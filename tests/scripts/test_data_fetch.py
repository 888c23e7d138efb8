"""`liqtiers data fetch`: from a server to the lake, completed by a second run, clear about what lacks."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from depot_server import Answer, Depot, serving, zipped
from liqtiers.datasets.downloads import FetchSettings, Request, known_sources, source_named
from liqtiers.datasets.downloads.binance_vision import ADDRESS_VARIABLE, BinanceVision
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.query import read
from liqtiers.scripts import data_fetch
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
UM = "/data/futures/um"
MONTH = f"{UM}/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip"
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
)


@pytest.fixture
def depot(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Depot]:
    """An archive on loopback, and quick attempts; it is 15 March 2024."""
    quick = FetchSettings(attempts=2, wait_initial=0.01, wait_max=0.02, timeout=0.5)
    monkeypatch.setattr(data_fetch, "FetchSettings", lambda parallel: quick)
    monkeypatch.setattr(data_fetch, "now", lambda: datetime(2024, 3, 15, 12, tzinfo=UTC))
    with serving() as found:
        monkeypatch.setenv(ADDRESS_VARIABLE, found.address)
        yield found


def klines(start: datetime, hours: int) -> str:
    """A csv without a header, as old archives have it."""
    lines = []
    for k in range(hours):
        ms = int((start + timedelta(hours=k)).timestamp() * 1000)
        price = 100.0 + k % 7
        lines.append(
            f"{ms},{price},{price + 1},{price - 1},{price},10,{ms + 3_599_999},{10 * price},5,4,{4 * price},0"
        )
    return "\n".join(lines) + "\n"


def day_path(day: int, *, month: str = "2024-02") -> str:
    return f"{UM}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-{month}-{day:02d}.zip"


def fetch(*words: str) -> int:
    return run(build(), ["data", "fetch", *words], program="liqtiers")


BARS = ("binance", "BTCUSDT", "--what", "bars", "--timeframe", "1h")


def bars(workspace: Path) -> int:
    rows = read(Lake(workspace / "lake"), "bars", venue="binance", symbol="BTCUSDT", timeframe="1h")
    return int(rows.num_rows)


def test_months_and_then_days_come_into_the_lake(
    depot: Depot, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """January as a month, February day by day since its month is not there; a second run asks for nothing."""
    depot.put_zip(MONTH, klines(datetime(2024, 1, 1, tzinfo=UTC), 24 * 31))
    for day in range(1, 30):
        if day != 10:
            depot.put_zip(day_path(day), klines(datetime(2024, 2, day, tzinfo=UTC), 24))
    assert fetch(*BARS, "--from", "2024-01", "--to", "2024-02") == 0
    told = capsys.readouterr().out
    assert "29 files fetched, 0 already here, 1 that the source does not have" in told
    assert "missing bars: 2024-02-10" in told
    assert bars(workspace) == 24 * (31 + 28)
    asked = dict(depot.asked)
    assert fetch(*BARS, "--from", "2024-01", "--to", "2024-02") == 0
    # The month of February may still come; nothing else is asked for again.
    changed = {path for path, count in depot.asked.items() if asked.get(path) != count}
    assert changed == {f"{UM}/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-02.zip"}
    assert bars(workspace) == 24 * (31 + 28)


def test_open_interest_and_funding_come_too(depot: Depot, workspace: Path) -> None:
    """Daily metrics and monthly funding, as the archive has them."""
    rows = "".join(
        f"2024-01-05 00:{m:02d}:00,BTCUSDT,{1000 + m},50000,1,1,1,1\n" for m in range(0, 60, 5)
    )
    depot.put_zip(f"{UM}/daily/metrics/BTCUSDT/BTCUSDT-metrics-2024-01-05.zip", METRICS + rows)
    depot.put_zip(
        f"{UM}/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip",
        "calc_time,funding_interval_hours,last_funding_rate\n1704412800000,8,0.0001\n",
    )
    words = (
        "binance",
        "BTCUSDT",
        "--what",
        "metrics,funding",
        "--from",
        "2024-01-05",
        "--to",
        "2024-01-05",
    )
    assert fetch(*words) == 0
    lake = Lake(workspace / "lake")
    assert read(lake, "open_interest", venue="binance", symbol="BTCUSDT").num_rows == 12
    assert read(lake, "funding", venue="binance", symbol="BTCUSDT").num_rows == 1


BAD = {
    "bomb": (zipped(b"0" * 80_000_000), "refused as a zip bomb"),
    "climbs": (zipped("a,b\n1,2\n", inner="../../outside.csv"), "climbs out of its folder"),
    "no zip": (b"<html>busy</html>", "holds no rows"),
    "changed column": (
        zipped("opened,o,h,l,c\n1704067200000,1,2,0.5,1\n"),
        "are of no known shape",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_read_is_named_and_fetched_again(
    depot: Depot, workspace: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """One line, exit code 1, nothing of it in the lake; a run after it was mended completes."""
    body, told = BAD[name]
    path = day_path(1)
    depot.put(path, Answer(body))
    depot.put_zip(day_path(2), klines(datetime(2024, 2, 2, tzinfo=UTC), 24))
    depot.put(f"{path}.CHECKSUM", Answer(hashlib.sha256(body).hexdigest().encode()))
    words = (*BARS, "--from", "2024-02-01", "--to", "2024-02-02")
    assert fetch(*words) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "BTCUSDT-1h-2024-02-01.zip" in error
    assert bars(workspace) == 24
    assert not (workspace.parent / "outside.csv").exists()
    depot.put_zip(path, klines(datetime(2024, 2, 1, tzinfo=UTC), 24))
    assert fetch(*words) == 0
    assert bars(workspace) == 48
    assert depot.asked[day_path(2)] == 1


def test_what_fails_is_told_and_the_rest_is_kept(
    depot: Depot, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day that the server cannot give: exit code 1, the other day in the lake, the next run goes on."""
    depot.put(day_path(1), Answer(code=503))
    depot.put_zip(day_path(2), klines(datetime(2024, 2, 2, tzinfo=UTC), 24))
    words = (*BARS, "--from", "2024-02-01", "--to", "2024-02-02")
    assert fetch(*words) == 1
    shown = capsys.readouterr()
    assert "1 files fetched" in shown.out
    assert "the server answered 503" in shown.err
    assert bars(workspace) == 24
    depot.put_zip(day_path(1), klines(datetime(2024, 2, 1, tzinfo=UTC), 24))
    assert fetch(*words) == 0
    assert bars(workspace) == 48


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("binance", "BTCUSDT"), "name a source, a symbol and --from"),
        (("nowhere", "BTCUSDT", "--from", "2024-01"), "there is no source 'nowhere': it is one of"),
        (("binance", "BTCUSDT", "--from", "January"), "--from 'January' is no month or day"),
        (("binance", "BTCUSDT", "--from", "2024-02-30"), "--from '2024-02-30' is no month or day"),
        ((*BARS, "--from", "2024-02", "--to", "2024-01"), "lies before --from"),
        (
            (*BARS[:2], "--what", "depth", "--from", "2024-01"),
            "binance has no depth: --what may name",
        ),
        ((*BARS[:2], "--market", "moon", "--from", "2024-01"), "--market is 'moon'"),
        ((*BARS[:2], "--market", "spot", "--from", "2024-01"), "spot has no metrics"),
        ((*BARS[:4], "--timeframe", "1x", "--from", "2024-01"), "1x"),
        (("binance", "../x", "--from", "2024-01"), "../x"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    depot: Depot, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    """The option and what would be right; nothing is asked of the server."""
    assert fetch(*words) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert depot.asked.total() == 0


def test_the_list_names_each_source_and_its_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """What it has, from when, and what a reader must know."""
    assert fetch("--list") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "binance" in shown
    assert "liquidations" in shown
    assert "2024-10-14" in shown


def test_the_plan_covers_every_day_once() -> None:
    """Whole months by the month with its days in reserve, the rest by days; funding by the month."""
    request = Request(
        symbol="ETHUSDT",
        what=("bars", "funding"),
        first=date(2023, 12, 30),
        last=date(2024, 2, 3),
        timeframe="5m",
    )
    plan = BinanceVision().plan(request)
    bars = [remote for remote in plan if remote.what == "bars"]
    covered = [r.first + timedelta(d) for r in bars for d in range((r.last - r.first).days + 1)]
    assert covered == list(request.days())
    (month,) = [remote for remote in bars if remote.instead]
    assert [r.first for r in month.instead] == [d for d in request.days() if d.month == 1]
    assert [r.name[-11:-4] for r in plan if r.what == "funding"] == [
        "2023-12",
        "2024-01",
        "2024-02",
    ]
    assert all(r.checksum_url == f"{r.url}.CHECKSUM" for r in plan)


def test_a_source_of_ones_own_package_works(
    depot: Depot, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A little package with an entry point, found, fetched from and imported like any other."""
    package = tmp_path / "site"
    (package / "depot_source-1.0.dist-info").mkdir(parents=True)
    (package / "depot_source-1.0.dist-info" / "METADATA").write_text(
        "Name: depot-source\nVersion: 1.0\n"
    )
    (package / "depot_source-1.0.dist-info" / "entry_points.txt").write_text(
        "[liqtiers.sources]\nown = depot_source:Depot\nbroken = depot_source:Nothing\n"
    )
    (package / "depot_source.py").write_text(
        f"""
from liqtiers.datasets.downloads import Offer, Remote
from liqtiers.datasets.sources.parsed import ImportOptions

class Depot:
    name = "own"
    offers = (Offer("bars", None, None, "Bars of our own."),)

    def plan(self, request):
        return [
            Remote(
                url=f"{depot.address}/{{request.symbol}}/{{day}}.csv",
                name=f"{{request.symbol}}/{{day}}.csv",
                what="bars", first=day, last=day,
                options=ImportOptions(venue="own", symbol=request.symbol, timeframe="1h"),
            )
            for day in request.days()
        ]
"""
    )
    monkeypatch.syspath_prepend(str(package))
    assert {"own", "binance"} <= set(known_sources())
    header = "time_ms,open,high,low,close,volume\n"
    rows = klines(datetime(2024, 1, 1, tzinfo=UTC), 24)
    short = "\n".join(",".join(line.split(",")[:6]) for line in rows.splitlines())
    depot.put("/COIN/2024-01-01.csv", Answer((header + short + "\n").encode()))
    assert fetch("own", "COIN", "--from", "2024-01-01", "--to", "2024-01-01", "--what", "bars") == 0
    assert (
        read(Lake(workspace / "lake"), "bars", venue="own", symbol="COIN", timeframe="1h").num_rows
        == 24
    )
    with pytest.raises(InputError, match="cannot be loaded: AttributeError"):
        source_named("broken")
    del sys.modules["depot_source"]
