"""The other sources: what they ask for, what they make of the answers, and another package's own."""

from __future__ import annotations

import gzip
import itertools
import json
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bad_server import Answer, Served
from fetching import fetch, stored
from liqtiers.datasets import downloads
from liqtiers.datasets.downloads.coinglass import CoinglassApi
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.query import read
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build
from source_files import START_MS, TARDIS

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

DAY = ("--from", "2024-01-01", "--to", "2024-01-01")
MINUTE_MS = 60_000
ADDRESSES = ("0x" + "1" * 40, "0x" + "2" * 40)


def rows(workspace: Path, table: str, venue: str, symbol: str, timeframe: str | None = None) -> Any:
    lake = Lake(workspace / "lake")
    return read(lake, table, venue=venue, symbol=symbol, timeframe=timeframe).to_pylist()


def query(path: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}


def bybit(path: str, body: bytes) -> Answer:
    """Answer as Bybit's API: newest first, at most as many as asked for."""
    asked = query(path)
    kline = "kline" in path
    begin = int(asked["start" if kline else "startTime"])
    end = int(asked["end" if kline else "endTime"])
    listed: list[Any]
    if kline:
        listed = [
            [str(t), "100", "110", "90", "105", "2", "210"] for t in range(begin, end, MINUTE_MS)
        ]
    elif "open-interest" in path:
        step = 5 * MINUTE_MS
        listed = [{"openInterest": "70", "timestamp": str(t)} for t in range(begin, end, step)]
    else:
        step = 8 * 60 * MINUTE_MS
        first = -(-begin // step) * step
        listed = [
            {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": str(t)}
            for t in range(first, end, step)
        ]
    listed = listed[: int(asked["limit"])][::-1]
    return Answer(body=json.dumps({"retCode": 0, "result": {"list": listed}}).encode())


def test_bybit_api_is_asked_in_whole_pages(served: Served, workspace: Path) -> None:
    """Bars, open interest and funding of a day come in pages that leave no gap, once."""
    served.answer = bybit
    words = (*DAY, "--what", "bars,metrics,funding")
    assert fetch(served, "bybit", "BTCUSDT", *words) == 0
    bars = rows(workspace, "bars", "bybit", "BTCUSDT", "1m")
    minutes = [bar["ts"] for bar in bars]
    assert len(minutes) >= 1440
    assert {(b - a).seconds for a, b in itertools.pairwise(minutes)} == {60}
    assert (bars[0]["volume"], bars[0]["quote_volume"]) == (2.0, 210.0)
    interest = rows(workspace, "open_interest", "bybit", "BTCUSDT")[0]
    assert interest["oi_base"] == 70.0
    assert (interest["available_at"] - interest["ts"]).seconds == 300
    assert rows(workspace, "funding", "bybit", "BTCUSDT")[0]["rate"] == 0.0001
    before = sum(served.asked.values())
    assert fetch(served, "bybit", "BTCUSDT", *words) == 0
    assert sum(served.asked.values()) == before


def test_bybit_inverse_counts_dollars(served: Served, workspace: Path) -> None:
    """Of an inverse contract size is dollars and turnover coins: volume is stored in coins."""
    served.answer = bybit
    assert fetch(served, "bybit", "BTCUSD", *DAY, "--market", "cm") == 0
    bar = rows(workspace, "bars", "bybit", "BTCUSD", "1m")[0]
    assert (bar["volume"], bar["quote_volume"]) == (210.0, 2.0)


def test_bybit_errors_inside_an_answer(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too many requests is tried again; a wrong symbol is told in Bybit's words."""
    busy = Answer(body=json.dumps({"retCode": 10006, "retMsg": "Too many visits!"}).encode())
    served.faults["/v5/market/kline"] = [busy]
    served.answer = bybit
    assert fetch(served, "bybit", "BTCUSDT", *DAY) == 0
    wrong = Answer(body=json.dumps({"retCode": 10001, "retMsg": "Symbol Is Invalid"}).encode())
    served.answer = lambda path, body: wrong
    assert fetch(served, "bybit", "NOSUCH", *DAY) == 1
    assert "Bybit answered 10001 Symbol Is Invalid" in capsys.readouterr().err


def test_bybit_archive_trades_become_minutes(served: Served, workspace: Path) -> None:
    """Trades are summed up to minutes with the takers' side, whatever order they stand in."""
    head = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
    second = START_MS // 1000
    lines = [
        f"{second + 61.5},BTCUSDT,Sell,4,99,MinusTick,c,0,0,0",
        f"{second + 30.25},BTCUSDT,Sell,2,101,PlusTick,b,0,0,0",
        f"{second + 0.5},BTCUSDT,Buy,1,100,PlusTick,a,0,0,0",
    ]
    content = gzip.compress("\n".join([head, *lines]).encode())
    served.files["/trading/BTCUSDT/BTCUSDT2024-01-01.csv.gz"] = content
    assert fetch(served, "bybit-archive", "BTCUSDT", *DAY) == 0
    first, last = rows(workspace, "bars", "bybit", "BTCUSDT", "1m")
    names = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume")
    assert [first[name] for name in names] == [100, 101, 100, 101, 3, 302, 2, 1]
    assert [last[name] for name in names] == [99, 99, 99, 99, 4, 396, 1, 0]


def coinglass(path: str, body: bytes) -> Answer:
    asked = query(path)
    if "heatmap" in path:
        data: Any = {
            "y_axis": [90.0, 100.0, 110.0],
            "liquidation_leverage_data": [[0, 0, 500.0], [1, 2, 700.0]],
            "price_candlesticks": [
                [1704067200 + 3600 * i, "1", "1", "1", "101", "9"] for i in (0, 1)
            ],
        }
    else:
        begin, end = int(asked["start_time"]), int(asked["end_time"])
        value: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close"), "0.01")
        if "liquidation" in path:
            value = {
                "aggregated_long_liquidation_usd": "5.5",
                "aggregated_short_liquidation_usd": "7",
            }
        data = [{"time": t, **value} for t in range(begin, end, 240 * MINUTE_MS)]
    return Answer(body=json.dumps({"code": "0", "msg": "success", "data": data}).encode())


def test_coinglass_series_and_map(
    served: Served, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Liquidations, open interest, funding and the heatmap go through the readers of exported files."""
    monkeypatch.setenv("COINGLASS_API_KEY", "k" * 20)
    monkeypatch.setattr(CoinglassApi, "per_second", 100.0)
    served.answer = coinglass
    words = (*DAY, "--timeframe", "4h", "--what", "liquidations,metrics,funding,map")
    assert fetch(served, "coinglass", "BTC", *words) == 0
    assert set(stored(workspace)) == {
        "liquidations:coinglass:BTC:4h",
        "open_interest:coinglass:BTC",
        "funding:coinglass:BTC",
        "liquidation_map:coinglass:BTC",
    }
    assert rows(workspace, "funding", "coinglass", "BTC")[0]["rate"] == pytest.approx(0.0001)
    [asked] = [path for path in served.asked if "liquidation/aggregated-history" in path]
    assert query(asked)["exchange_list"] == "Binance,OKX,Bybit"


def test_coinglass_limits_are_respected(
    served: Served,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """When an answer says that the minute's requests are used, the next one waits; errors are told."""
    monkeypatch.setenv("COINGLASS_API_KEY", "k" * 20)
    monkeypatch.setattr(CoinglassApi, "per_second", 100.0)
    monkeypatch.setattr(CoinglassApi, "period", 0.5)

    def limited(path: str, body: bytes) -> Answer:
        answer = coinglass(path, body)
        answer.headers = {"API-KEY-MAX-LIMIT": "30", "API-KEY-USE-LIMIT": "30"}
        return answer

    served.answer = limited
    words = (*DAY, "--timeframe", "4h", "--what", "metrics,funding")
    assert fetch(served, "coinglass", "BTC", *words) == 0
    assert served.moments[1] - served.moments[0] >= 0.49
    plan = Answer(body=b'{"code":"40004","msg":"Upgrade plan"}')
    served.answer = lambda path, body: plan
    assert fetch(served, "coinglass", "ETH", *words) == 1
    assert "Coinglass answered 40004 Upgrade plan" in capsys.readouterr().err


def test_coinglass_needs_its_key(
    served: Served,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the key nothing is asked for, and the variable is named."""
    monkeypatch.delenv("COINGLASS_API_KEY", raising=False)
    assert fetch(served, "coinglass", "BTC", *DAY, "--what", "metrics") == 2
    assert "set the variable COINGLASS_API_KEY" in capsys.readouterr().err
    assert not served.asked


def test_tardis_without_a_key_asks_for_free_days(
    served: Served, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key only the first day of each month is asked for; with one, every day."""
    monkeypatch.delenv("TARDIS_API_KEY", raising=False)
    us = START_MS * 1000
    row = f"binance-futures,BTCUSDT,{us},{us + 50},1,sell,100,2"
    content = gzip.compress(f"{TARDIS}\n{row}\n".encode())
    served.files["/v1/binance-futures/liquidations/2024/01/01/BTCUSDT.csv.gz"] = content
    words = ("--from", "2024-01", "--to", "2024-01-03", "--what", "liquidations")
    assert fetch(served, "tardis:binance-futures", "BTCUSDT", *words) == 0
    [liquidation] = rows(workspace, "liquidations", "binance", "BTCUSDT", "events")
    assert (liquidation["side"], liquidation["notional"]) == ("long", 200.0)
    assert len(served.asked) == 1
    monkeypatch.setenv("TARDIS_API_KEY", "t" * 20)
    assert fetch(served, "tardis:binance-futures", "BTCUSDT", *words) == 0
    assert len(served.asked) == 3
    assert served.sent[-1][1]["Authorization"] == "Bearer " + "t" * 20


def test_stored_gz_that_is_called_gzip_in_transit_stays_packed(
    served: Served, workspace: Path
) -> None:
    """A file of an archive is kept as it is, though the server sends its packing as an encoding."""
    us = START_MS * 1000
    row = f"bybit,BTCUSDT,{us},{us + 50},1,sell,100,2"
    packed = gzip.compress(f"{TARDIS}\n{row}\n".encode())
    path = "/v1/bybit/liquidations/2024/01/01/BTCUSDT.csv.gz"
    served.faults[path] = [Answer(body=packed, headers={"Content-Encoding": "gzip"})]
    assert fetch(served, "tardis:bybit", "BTCUSDT", *DAY, "--what", "liquidations") == 0
    assert stored(workspace) == {"liquidations:bybit:BTCUSDT:events": 1}


def test_answer_that_is_packed_in_transit_is_unpacked(served: Served, workspace: Path) -> None:
    """An answer of an API may come packed, though that was not asked for; a spoilt one comes again."""
    path, encoded = "/v5/market/open-interest", {"Content-Encoding": "gzip"}
    good = [{"openInterest": "70", "timestamp": str(START_MS)}]
    body = json.dumps({"retCode": 0, "result": {"list": good}}).encode()
    served.faults[path] = [
        Answer(body=body, headers=encoded),
        *[Answer(body=gzip.compress(body), headers=encoded)] * 2,
    ]
    assert fetch(served, "bybit", "BTCUSDT", *DAY, "--what", "metrics") == 0
    assert stored(workspace) == {"open_interest:bybit:BTCUSDT": 1}


def test_hyperliquid_positions_become_a_map(served: Served, workspace: Path) -> None:
    """A snapshot of several accounts is a map of one moment; equal levels add up."""

    def state(path: str, body: bytes) -> Answer:
        second = json.loads(body)["user"] == ADDRESSES[1]
        positions = [
            {"coin": "BTC", "szi": "-2.0", "liquidationPx": "120000"},
            {"coin": "ETH", "szi": "5", "liquidationPx": "1000"},
        ]
        if second:
            positions.append({"coin": "BTC", "szi": "1.5", "liquidationPx": None})
        wrapped = [{"type": "oneWay", "position": each} for each in positions]
        time = START_MS + 1000 * second
        return Answer(body=json.dumps({"assetPositions": wrapped, "time": time}).encode())

    served.answer = state
    words = [word for address in ADDRESSES for word in ("--address", address)]
    assert fetch(served, "hyperliquid", "BTC", "--what", "map", *words) == 0
    [level] = rows(workspace, "liquidation_map", "hyperliquid", "BTC")
    assert (level["side"], level["price_low"], level["notional"]) == ("short", 120000.0, 480000.0)
    assert level["ts"].timestamp() * 1000 == START_MS + 1000


def fake_ccxt(*, contract_size: float = 1.0, silent_hours: int = 0) -> ModuleType:
    """A stand-in for ccxt with one exchange, which gives at most 100 rows a page and fails once."""

    class NetworkError(Exception):
        pass

    class Exchange:
        pages = 0

        def __init__(self, options: dict[str, Any]) -> None:
            assert options["enableRateLimit"] is True

        def load_markets(self) -> None:
            pass

        def market(self, symbol: str) -> dict[str, Any]:
            return {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "contractSize": contract_size}

        def fetch_ohlcv(self, symbol: str, timeframe: str, since: int) -> list[list[float]]:
            Exchange.pages += 1
            if Exchange.pages == 2:
                raise NetworkError("reset")
            step = 60 * MINUTE_MS
            first = -(-since // step) * step
            listed = START_MS + silent_hours * step
            opens = [first + i * step for i in range(100)]
            return [[t, 100, 110, 90, 105, 3] for t in opens if t >= listed]

        def fetch_funding_rate_history(self, symbol: str, since: int) -> list[dict[str, Any]]:
            found = [START_MS + i * 480 * MINUTE_MS for i in range(90)]
            return [{"timestamp": t, "fundingRate": 0.0001} for t in found if t >= since][:50]

        def fetch_open_interest_history(
            self, symbol: str, timeframe: str, since: int
        ) -> list[dict[str, Any]]:
            found = [START_MS, START_MS + 60 * MINUTE_MS]
            return [
                {"timestamp": t, "openInterestAmount": 7.0, "openInterestValue": 700.0}
                for t in found
                if t >= since
            ]

    module = ModuleType("ccxt")
    module.__dict__.update(
        exchanges=["gate", "okx"], gate=Exchange, okx=Exchange, Exchange=Exchange
    )
    return module


def test_ccxt_pages_are_followed(
    served: Served, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page after page of an exchange comes without a gap, once; a failed page is tried again."""
    monkeypatch.setitem(sys.modules, "ccxt", fake := fake_ccxt())
    words = ("--from", "2024-01", "--to", "2024-01", "--timeframe", "1h")
    kinds = ("--what", "bars,funding,metrics")
    assert fetch(served, "ccxt:okx", "BTC/USDT:USDT", *words, *kinds) == 0
    assert stored(workspace) == {
        "bars:okx:BTCUSDT:1h": 744,
        "funding:okx:BTCUSDT": 90,
        "open_interest:okx:BTCUSDT": 2,
    }
    interest = rows(workspace, "open_interest", "okx", "BTCUSDT")[0]
    assert (interest["available_at"] - interest["ts"]).seconds == 300
    pages = fake.Exchange.pages
    assert fetch(served, "ccxt:okx", "BTC/USDT:USDT", *words, *kinds) == 0
    assert fake.Exchange.pages == pages


@pytest.mark.parametrize("silent", [380, 650, 743])
def test_ccxt_listing_within_a_month_is_found(
    served: Served, workspace: Path, monkeypatch: pytest.MonkeyPatch, silent: int
) -> None:
    """A page without rows, as before a market was listed, does not end the month; no bar is lost."""
    monkeypatch.setitem(sys.modules, "ccxt", fake_ccxt(silent_hours=silent))
    words = ("--from", "2024-01", "--to", "2024-01", "--timeframe", "1h")
    assert fetch(served, "ccxt:okx", "BTC/USDT:USDT", *words) == 0
    assert stored(workspace) == {"bars:okx:BTCUSDT:1h": 744 - silent}


def test_ccxt_volume_in_contracts_must_be_said(
    served: Served,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where a market counts in contracts its volume's unit must be said; open interest is its value."""
    monkeypatch.setitem(sys.modules, "ccxt", fake_ccxt(contract_size=0.01))
    words = ("--from", "2024-01", "--to", "2024-01", "--timeframe", "1h")
    assert fetch(served, "ccxt:gate", "BTC/USDT:USDT", *words, "--what", "bars") == 2
    assert "counts in contracts of 0.01: say by --unit" in capsys.readouterr().err
    kinds = ("--what", "bars,metrics", "--unit", "contracts")
    assert fetch(served, "ccxt:gate", "BTC/USDT:USDT", *words, *kinds) == 0
    assert rows(workspace, "bars", "gate", "BTCUSDT", "1h")[0]["volume"] == 0.03
    interest = rows(workspace, "open_interest", "gate", "BTCUSDT")[0]
    assert (interest["oi_base"], interest["oi_quote"]) == (None, 700.0)
    assert fetch(served, "ccxt:okx", "BTC/USDT:USDT", *words, "--what", "bars") == 0
    assert rows(workspace, "bars", "okx", "BTCUSDT", "1h")[0]["volume"] == 3.0


def documented_package() -> str:
    """Return the example that the package's docstring gives, as it stands there."""
    lines = (downloads.__doc__ or "").splitlines()
    begin = next(i for i, line in enumerate(lines) if "# my_source.py" in line)
    end = next(i for i, line in enumerate(lines) if "# pyproject.toml" in line)
    return textwrap.dedent("\n".join(lines[begin:end]))


@pytest.fixture
def another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of somebody else, as an installer lays it out."""
    site = tmp_path / "site"
    info = site / "my_source-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "my_source.py").write_text(documented_package())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-source\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[liqtiers.sources]\nmine = my_source:MySource\n")
    monkeypatch.syspath_prepend(str(site))
    return site


def test_another_package_adds_a_source(
    served: Served,
    workspace: Path,
    another_package: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A class named in another package's entry points is listed, fetched from and imported."""
    lines = ["timestamp,open,high,low,close,volume", "2024-01-01T00:00:00,100,110,90,105,7"]
    served.files["/BTCUSDT/2024-01-01.csv"] = "\n".join([*lines, ""]).encode()
    words = ("--from", "2024-01-01", "--to", "2024-01-02")
    assert fetch(served, "mine", "BTCUSDT", *words) == 0
    assert stored(workspace) == {"bars:mine:BTCUSDT:1h": 1}
    told = capsys.readouterr().out
    assert "My recorder: 1 files fetched, 0 from the cache, 1 not there" in told
    assert "it has since 2024" in told
    assert fetch(served, "", "", "--list") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("mine", "binance", "COINGLASS_API_KEY", "My recorder"))


def test_source_that_cannot_be_loaded_is_named(
    served: Served, workspace: Path, another_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken entry point of another package is one line that names it."""
    points = another_package / "my_source-1.0.dist-info" / "entry_points.txt"
    points.write_text("[liqtiers.sources]\nmine = my_source:Gone\n")
    assert fetch(served, "mine", "BTCUSDT", *DAY) == 2
    assert "the source mine (my_source:Gone) cannot be loaded" in capsys.readouterr().err


def test_broken_package_leaves_other_sources_alone(
    served: Served, workspace: Path, another_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What another package breaks is told in the list, and no other source is held up by it."""
    (another_package / "broken_source.py").write_text("raise ValueError('too old')\n")
    points = another_package / "my_source-1.0.dist-info" / "entry_points.txt"
    points.write_text("[liqtiers.sources]\nmine = broken_source:MySource\n")
    assert fetch(served, "bybit-archive", "BTCUSDT", *DAY) == 0
    assert fetch(served, "", "", "--list") == 0
    told = capsys.readouterr()
    assert "Bybit public archive" in told.out
    assert "mine (broken_source:MySource) cannot be loaded: too old" in told.err


def test_name_claimed_twice_is_refused(
    served: Served, workspace: Path, another_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package that takes the name of a source there is does not get its requests and its key."""
    points = another_package / "my_source-1.0.dist-info" / "entry_points.txt"
    points.write_text("[liqtiers.sources]\nbybit-archive = my_source:MySource\n")
    assert fetch(served, "bybit-archive", "BTCUSDT", *DAY) == 2
    assert "the source bybit-archive is claimed by" in capsys.readouterr().err
    assert not served.asked


def test_unknown_source_lists_those_that_there_are(
    served: Served, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source that nobody has is answered with the names of those that there are."""
    assert fetch(served, "binanse", "BTCUSDT", *DAY) == 2
    assert "there is no source 'binanse': use one of binance" in capsys.readouterr().err


def test_environment_names_a_mirror(
    served: Served,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """LIQTIERS_<SOURCE>_URL stands in for the server's address; what is no address is refused."""
    words = ["data", "fetch", "bybit-archive", "BTCUSDT", *DAY]
    monkeypatch.setenv("LIQTIERS_BYBIT_ARCHIVE_URL", f"{served.url}/")
    assert run(build(), words, program="liqtiers") == 0
    assert list(served.asked) == ["/trading/BTCUSDT/BTCUSDT2024-01-01.csv.gz"]
    monkeypatch.setenv("LIQTIERS_BYBIT_ARCHIVE_URL", "ftp://mirror")
    assert run(build(), words, program="liqtiers") == 2
    assert "'ftp://mirror' must begin with https://" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    ["https://", "https://h:port", "https://[::1", "https://a b", "https://h/?x=1", "mirror"],
    ids=["no host", "port", "IPv6", "blank", "query", "no scheme"],
)
def test_address_that_is_none_is_one_line(
    workspace: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address that cannot be asked is refused before anything is, in one line."""
    words = ["data", "fetch", "bybit-archive", "BTCUSDT", *DAY, "--url", url]
    assert run(build(), words, program="liqtiers") == 2
    assert f"{url!r} must begin with https:// and name a host" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["https://bob:s3cret@mirror", "ftp://bob:s3cret@[mirror"])
def test_password_in_an_address_is_not_shown(
    workspace: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address with a password is refused without showing it, not even with --debug."""
    words = ["data", "fetch", "bybit-archive", "BTCUSDT", *DAY, "--url", url, "--debug"]
    assert run(build(), words, program="liqtiers") == 2
    told = capsys.readouterr()
    assert "must hold no user name or password" in told.err
    assert "s3cret" not in told.out + told.err
