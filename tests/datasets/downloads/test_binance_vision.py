"""Binance's archive as it is and as it can fail: right data or one clear line, and nothing twice."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bad_server import Answer, Served
from fetching import BINANCE, fetch, klines_zip, put_day, put_metrics, put_month, stored
from liqtiers.datasets.downloads import Client, Piece
from liqtiers.datasets.downloads.binance_vision import BinanceVision
from liqtiers.datasets.lake import Lake
from liqtiers.scripts import data_fetch
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build
from source_files import FUNDING, START_MS, zip_bytes

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

HOURLY = ("--timeframe", "1h", "--what", "bars")
TWO_DAYS = ("--from", "2024-01-01", "--to", "2024-01-02", *HOURLY)
BARS = "bars:binance:BTCUSDT:1h"


def test_month_is_brought_as_one_file_and_never_again(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole month is one file and its checksum; the second run asks for nothing."""
    put_month(served)
    put_day(served, 1)
    words = ("--from", "2024-01", "--to", "2024-01", *HOURLY)
    assert fetch(served, "binance", "BTCUSDT", *words) == 0
    assert stored(workspace) == {BARS: 744}
    assert sorted(served.asked.values()) == [1, 1]
    told = capsys.readouterr()
    assert "1 files fetched, 0 from the cache, 0 not there, 0 failed" in told.out
    assert "bars of binance:BTCUSDT:1h: 744 new" in told.out
    assert "Fetching from Binance Vision archive: 1 files" in told.err
    assert fetch(served, "binance", "BTCUSDT", *words) == 0
    assert sum(served.asked.values()) == 2
    assert "1 files were imported before" in capsys.readouterr().out


def test_days_stand_in_for_a_month_that_is_not_there(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the monthly file the daily ones come; missing days are named; nothing is asked twice."""
    for day in (1, 2, 5, 6):
        put_day(served, day)
    words = ("--from", "2024-01", "--to", "2024-01", *HOURLY)
    assert fetch(served, "binance", "BTCUSDT", *words) == 0
    assert stored(workspace) == {BARS: 4 * 24}
    told = capsys.readouterr().out
    assert "4 files fetched, 0 from the cache, 27 not there" in told
    assert "the server has nothing for 2024-01-03 to 2024-01-04, 2024-01-07 to 2024-01-31" in told
    before = sum(served.asked.values())
    assert fetch(served, "binance", "BTCUSDT", *words) == 0
    assert sum(served.asked.values()) == before
    assert max(served.asked.values()) == 1
    put_day(served, 7)
    assert fetch(served, "binance", "BTCUSDT", *words, "--ask-again") == 0
    assert stored(workspace) == {BARS: 5 * 24}


def test_metrics_funding_and_mark_prices(served: Served, workspace: Path) -> None:
    """Metrics become open interest and ratios, funding settled rates, mark klines mark bars."""
    put_metrics(served, 1)
    rows = f"{FUNDING}\n{START_MS + 3},8,0.0001\n"
    name = "BTCUSDT/BTCUSDT-fundingRate-2024-01.zip"
    served.put(f"{BINANCE}/monthly/fundingRate/{name}", zip_bytes(("f.csv", rows)))
    mark = f"{BINANCE}/daily/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2024-01-01.zip"
    served.put(mark, klines_zip(0, 24))
    words = ("--from", "2024-01-01", "--to", "2024-01-01", "--timeframe", "1h")
    assert fetch(served, "binance", "BTCUSDT", *words, "--what", "metrics,funding,mark") == 0
    assert stored(workspace) == {
        "open_interest:binance:BTCUSDT": 1,
        "positioning:binance:BTCUSDT": 1,
        "funding:binance:BTCUSDT": 1,
        "mark_bars:binance:BTCUSDT:1h": 24,
    }


def test_order_book_depth_comes_by_the_day(served: Served, workspace: Path) -> None:
    """Depth is a file a day."""
    name = "BTCUSDT/BTCUSDT-bookDepth-2024-01-01.zip"
    lines = ["timestamp,percentage,depth,notional"]
    lines += [f"2024-01-01 00:00:07,{percent},10,{abs(percent)}000" for percent in (-2, -1, 1, 2)]
    served.put(f"{BINANCE}/daily/bookDepth/{name}", zip_bytes(("d.csv", "\n".join(lines))))
    words = ("--from", "2024-01-01", "--to", "2024-01-01", "--what", "depth")
    assert fetch(served, "binance", "BTCUSDT", *words) == 0
    assert stored(workspace) == {"depth:binance:BTCUSDT": 4}


def test_archive_of_liquidations_that_ended_says_so(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the archive has no forced orders any more, the summary says what it has and till when."""
    words = ("--from", "2024-01-01", "--to", "2024-01-02", "--what", "liquidations")
    assert fetch(served, "binance", "BTCUSDT", *words) == 0
    told = capsys.readouterr().out
    assert "liquidations: the server has nothing for 2024-01-01 to 2024-01-02" in told
    assert "USD-M was taken off the archive" in told


@pytest.mark.parametrize(
    "faults",
    [
        [Answer(429, headers={"Retry-After": "0"})],
        [Answer(503), Answer(500)],
        [Answer(body=klines_zip(0, 24)[:300], cut=200)],
        [Answer(body=klines_zip(0, 24)[:300])],
        [Answer(body=klines_zip(0, 23))],
        [Answer(body=b"<html>try again</html>")],
    ],
    ids=["429", "5xx", "cut connection", "cut file", "wrong checksum", "a page instead"],
)
def test_passing_fault_ends_in_the_right_data(
    served: Served, workspace: Path, faults: list[Answer]
) -> None:
    """A fault that passes is tried again; what comes at last is what is stored."""
    path = put_day(served, 1)
    put_day(served, 2)
    served.faults[path] = faults
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert stored(workspace) == {BARS: 48}


def test_retry_after_is_honoured(served: Served, workspace: Path) -> None:
    """All requests wait as long as the server asks for."""
    path = put_day(served, 1)
    served.faults[path] = [Answer(429, headers={"Retry-After": "1"})]
    words = ("--from", "2024-01-01", "--to", "2024-01-01", *HOURLY)
    assert fetch(served, "binance", "BTCUSDT", *words) == 0
    assert served.moments[1] - served.moments[0] >= 0.99


def bomb() -> bytes:
    return zip_bytes(("k.csv", "0" * 30_000_000))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (bomb(), "refused as a zip bomb"),
        (klines_zip(0, 24, inner="../../evil.csv"), "climbs out of its folder; refused"),
        (zip_bytes(("a.csv", "1"), ("b.csv", "2")), "a zip must hold one file"),
    ],
    ids=["bomb", "climbing path", "two files"],
)
def test_harmful_zip_is_refused_and_never_kept(
    served: Served, workspace: Path, body: bytes, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A zip that could do harm leaves one line and no file; the others come, and a mended one later."""
    path = put_day(served, 1)
    put_day(served, 2)
    served.put(path, body)
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "1 files failed:"
    assert told in lines[2]
    assert path in lines[2]
    assert stored(workspace) == {BARS: 24}
    kept = [p.name for p in (workspace / "downloads").rglob("*") if p.is_file()]
    assert sorted(kept) == ["BTCUSDT-1h-2024-01-02.zip", "imported.jsonl"]
    put_day(served, 1)
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert stored(workspace) == {BARS: 48}
    assert served.times_asked("2024-01-02.zip.CHECKSUM") == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Answer(500), "the server answered 500 (3 tries)"),
        (Answer(body=b"PK", cut=9), "the connection failed"),
        (Answer(body=klines_zip(0, 23)), "as its checksum file says"),
        (Answer(400), "the server answered 400"),
        (Answer(403), "closed to some countries"),
        (Answer(429, headers={"Retry-After": "4000"}), "asks to wait 4000 seconds"),
        (Answer(302, headers={"Location": "/loop"}), "too many redirects"),
    ],
    ids=["5xx", "cut", "checksum", "refused", "closed", "long wait", "redirect"],
)
def test_lasting_fault_is_one_line_and_the_next_run_completes(
    served: Served,
    workspace: Path,
    fault: Answer,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A fault that lasts fails that file alone, in one line; the next run brings it and no other."""
    served.answer = lambda path, body: fault if path == "/loop" else None
    path = put_day(served, 1)
    put_day(served, 2)
    served.faults[path] = [fault] * 3
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count(path) == 1
    assert "Traceback" not in error
    assert stored(workspace) == {BARS: 24}
    served.faults.clear()
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert stored(workspace) == {BARS: 48}
    assert served.times_asked("2024-01-02.zip") == 2  # it and its checksum


def test_slow_server_is_given_up(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that does not answer in time is a line that says so."""
    path = put_day(served, 1)
    served.faults[path] = [Answer(delay=0.6)] * 2
    words = ("--from", "2024-01-01", "--to", "2024-01-01", *HOURLY)
    quick = ("--timeout", "0.2", "--attempts", "2")
    assert fetch(served, "binance", "BTCUSDT", *words, *quick) == 1
    assert "no answer within 0.2 seconds (2 tries)" in capsys.readouterr().err


def test_dripping_server_is_given_up(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that keeps sending, but next to nothing, does not hold a run up."""
    path = put_day(served, 1)
    served.faults[path] = [Answer(body=bytes(1000), drip=0.02)]
    words = ("--from", "2024-01-01", "--to", "2024-01-01", *HOURLY)
    quick = ("--timeout", "0.2", "--attempts", "1")
    assert fetch(served, "binance", "BTCUSDT", *words, *quick) == 1
    told = "under 1000 bytes a second came for 0.2 seconds"
    assert told in capsys.readouterr().err


def test_full_disk_names_the_file(
    served: Served,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where there is no room the run ends in one line with the file, and leaves none half written."""

    def full(source: BinanceVision, piece: Piece, client: Client, to: Path) -> None:
        to.write_bytes(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(BinanceVision, "bring", full)
    words = ("--from", "2024-01-01", "--to", "2024-01-01", *HOURLY)
    assert fetch(served, "binance", "BTCUSDT", *words) == 1
    assert "BTCUSDT-1h-2024-01-01.zip: No space left on device" in capsys.readouterr().err
    assert [p for p in (workspace / "downloads").rglob("*") if p.is_file()] == []


def test_changed_column_is_told_and_the_file_kept(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file whose columns changed is not taken for anything; it is not fetched again for that."""
    path = put_day(served, 1)
    served.put(path, klines_zip(0, 24, header="moment,o1,h1,l1,c1,v,e,q,n,tb,tq,x"))
    words = ("--from", "2024-01-01", "--to", "2024-01-01", *HOURLY)
    for _ in range(2):
        assert fetch(served, "binance", "BTCUSDT", *words) == 1
        assert "are of no known shape" in capsys.readouterr().err
    assert stored(workspace) == {}
    assert max(served.asked.values()) == 1


def test_dead_server_is_left_alone(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that fails file after file is not asked for hundreds more."""
    served.answer = lambda path, body: Answer(400)
    words = ("--from", "2023-01-01", "--to", "2023-12-31", "--what", "metrics")
    assert fetch(served, "binance", "BTCUSDT", *words) == 1
    assert "8 files failed in a row" in capsys.readouterr().err
    assert sum(served.asked.values()) < 40


def test_recent_day_is_asked_for_again(served: Served, workspace: Path) -> None:
    """What is not published yet is not remembered as missing."""
    yesterday = datetime.now(tz=UTC) - timedelta(days=1)
    words = (
        "--from",
        f"{yesterday:%Y-%m-%d}",
        "--to",
        f"{yesterday:%Y-%m-%d}",
        "--what",
        "metrics",
    )
    for _ in range(2):
        assert fetch(served, "binance", "BTCUSDT", *words) == 0
    assert set(served.asked.values()) == {2}


def test_day_that_is_not_over_is_not_asked_for(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive cannot have today's file: that is said, and nothing is asked for."""
    today = f"{datetime.now(tz=UTC):%Y-%m-%d}"
    assert fetch(served, "binance", "BTCUSDT", "--from", today, "--what", "bars,metrics") == 2
    assert f"cannot have anything from {today} on yet" in capsys.readouterr().err
    assert not served.asked


def test_lost_rows_are_imported_again_without_a_request(served: Served, workspace: Path) -> None:
    """A month that was taken out of the lake comes back from the cache."""
    put_day(served, 1)
    put_day(served, 2)
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    asked = sum(served.asked.values())
    for path in (workspace / "lake").rglob("month=*.parquet"):
        path.unlink()
    assert Lake(workspace / "lake").series() == []
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert stored(workspace) == {BARS: 48}
    assert sum(served.asked.values()) == asked


def test_what_repair_set_aside_comes_back_once(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `data repair` the same fetch brings the rows from its cache, and the next one nothing."""
    put_day(served, 1)
    put_day(served, 2)
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    asked = sum(served.asked.values())
    [month] = (workspace / "lake" / "bars").rglob("month=01.parquet")
    month.write_bytes(month.read_bytes()[:-99])
    assert run(build(), ["data", "repair"], program="liqtiers") == 3
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert stored(workspace) == {BARS: 48}
    capsys.readouterr()
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert "2 files were imported before" in capsys.readouterr().out
    assert sum(served.asked.values()) == asked


def test_file_damaged_on_disk_is_brought_again(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cached file that rotted before it was imported is told, removed, and fetched by the next run."""
    put_day(served, 1)
    put_day(served, 2)
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    [path] = (workspace / "downloads").rglob("*2024-01-01.zip")
    path.write_bytes(path.read_bytes()[:-40])
    (path.parents[7] / "binance" / "imported.jsonl").unlink()
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 1
    assert "was damaged on the disk and is removed" in capsys.readouterr().err
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert stored(workspace) == {BARS: 48}


def test_torn_record_is_no_error(served: Served, workspace: Path) -> None:
    """What a killed run left of a record's last line is passed over."""
    put_day(served, 1)
    put_day(served, 2)
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    record = workspace / "downloads" / "binance" / "imported.jsonl"
    record.write_bytes(record.read_bytes()[:-20])
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert stored(workspace) == {BARS: 48}
    good = [json.loads(line) for line in record.read_text().splitlines() if line.endswith("}")]
    assert {entry["name"][-14:-4] for entry in good} == {"2024-01-01", "2024-01-02"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "2024-13"), "--from '2024-13' is no month or day"),
        (("--from", "2024-02", "--to", "2024-01"), "holds no time"),
        (
            ("--from", "2024-01", "--what", "depth", "--market", "cm"),
            "--market cm has no depth of a known unit: use --market um",
        ),
        (("--from", "2024-01", "--what", "book"), "--what: 'book' is none of"),
        (("--from", "2024-01", "--what", "map"), "binance has no map: --what can be bars"),
        (("--from", "2024-01", "--market", "moon"), "--market 'moon' must be one of"),
        (("--from", "2024-01", "--timeframe", "7m"), "--timeframe '7m': the archive has 1s"),
        ((), "--from is missing"),
        (("--from", "2024-01", "--wait", "nan"), "--wait not negative"),
        (("--from", "2024-01", "--timeout", "inf"), "--timeout positive"),
    ],
    ids=[
        "date",
        "order",
        "depth",
        "kind",
        "not offered",
        "market",
        "timeframe",
        "no date",
        "wait",
        "timeout",
    ],
)
def test_mistake_is_one_line(
    served: Served,
    workspace: Path,
    words: tuple[str, ...],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A user's mistake ends in one line and exit code 2 before anything is asked for."""
    assert fetch(served, "binance", "BTCUSDT", *words) == 2
    assert told in capsys.readouterr().err
    assert not served.asked


def test_what_a_killed_run_left_is_removed(served: Served, workspace: Path) -> None:
    """A half-written file of a run that was killed long ago goes; one of another run now stays."""
    put_day(served, 1)
    put_day(served, 2)
    folder = workspace / "downloads" / "binance" / "spot"
    folder.mkdir(parents=True)
    old, new = folder / ".1-2-old.zip", folder / ".1-2-new.zip"
    for path in (old, new):
        path.write_bytes(b"PK")
    os.utime(old, (0, 0))
    assert fetch(served, "binance", "BTCUSDT", *TWO_DAYS) == 0
    assert (old.exists(), new.exists()) == (False, True)


def test_interrupted_run_goes_on(
    served: Served, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C keeps what came; the same command brings the rest and nothing twice."""
    for day in range(1, 11):
        put_day(served, day)
    words = ("--from", "2024-01-01", "--to", "2024-01-10", *HOURLY)
    real = data_fetch.import_file

    def interrupting(*args: Any, **options: Any) -> Any:
        if stored(workspace):
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(data_fetch, "import_file", interrupting)
    assert fetch(served, "binance", "BTCUSDT", *words) == 130
    monkeypatch.setattr(data_fetch, "import_file", real)
    assert fetch(served, "binance", "BTCUSDT", *words) == 0
    assert stored(workspace) == {BARS: 240}
    assert max(served.asked.values()) == 1
