"""`liqtiers data import`: what it says, what it stores, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqtiers.datasets.lake import QUARANTINE, Lake
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build
from source_files import KLINES, OHLCV, TARDIS, bar, kline, put, zipped

NAMED = ("--venue", "binance", "--symbol", "BTCUSDT")


def load(*words: str | Path) -> int:
    return run(build(), ["data", "import", *map(str, words)], program="liqtiers")


def stored(workspace: Path) -> dict[str, int]:
    """Rows of each stored series by its name."""
    return {
        ":".join(filter(None, (s.table, s.venue, s.symbol, s.timeframe))): s.rows
        for s in Lake(workspace / "lake").series()
    }


def test_zip_is_recognised_and_counted(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what it took a file for, how many rows are new, and what it set aside."""
    text = "\n".join([KLINES, kline(0), kline(1), kline(2, low=200)])
    path = zipped(workspace, "BTCUSDT-1h-2024-01.zip", ("BTCUSDT-1h-2024-01.csv", text))
    assert load("binance", path) == 0
    shown = capsys.readouterr().out
    assert "BTCUSDT-1h-2024-01.zip: Binance klines, 1h, milliseconds" in shown
    assert "bars of binance:BTCUSDT:1h: 2 new, 0 changed, 0 already there, 1 set aside" in shown
    assert "1 x low above high" in shown
    assert "1 of 1 files imported." in shown
    assert stored(workspace) == {"bars:binance:BTCUSDT:1h": 2}
    assert (workspace / "lake" / "catalog.duckdb").is_file()


def test_a_symbol_that_is_an_emoji_elsewhere_is_shown_as_typed(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LINK between colons is a series' name."""
    path = put(workspace, "b.csv", OHLCV, bar(0), bar(1))
    assert load("auto", path, "--venue", "own", "--symbol", "LINK", "--timeframe", "1h") == 0
    assert "bars of own:LINK:1h: 2 new" in capsys.readouterr().out


def test_importing_twice_says_so_and_changes_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same file again adds no row, changes no file and does not grow the quarantine."""
    path = put(workspace, "BTCUSDT_1h.csv", OHLCV, bar(0), bar(1), bar(2, "1,2,3,4,5"))
    lake = workspace / "lake"

    def files() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in lake.rglob("*.parquet")}

    assert load("auto", path, "--venue", "binance") == 0
    before = files()
    assert load("auto", path, "--venue", "binance") == 0
    assert "0 new, 0 changed, 2 already there, 1 set aside" in capsys.readouterr().out
    assert files() == before
    assert sum(QUARANTINE in str(p) for p in before) == 1


def test_folder_lists_what_it_did_not_import(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder's other files are listed with their reasons; nothing is skipped silently."""
    folder = workspace / "files"
    put(folder, "BTCUSDT_1h.csv", OHLCV, bar(0), bar(1))
    put(folder, "deep/er/ETHUSDT_1h.csv", OHLCV, bar(0), bar(1))
    put(folder, "notes.txt", "hello, world", "1,2")
    (folder / "empty.csv").touch()
    (folder / "cut.zip").write_bytes(b"PK\x03\x04")
    assert load("auto", folder, *NAMED) == 0
    shown = capsys.readouterr()
    assert stored(workspace) == {"bars:binance:BTCUSDT:1h": 2}
    assert "1 of 5 files imported." in shown.out
    lines = shown.err.splitlines()
    first = next(i for i, line in enumerate(lines) if "4 of 5 files were not imported:" in line)
    told = "\n".join(lines[first + 1 :])
    assert len(lines[first + 1 :]) == 4
    assert "ETHUSDT_1h.csv: its name says ETHUSDT, not BTCUSDT" in told
    assert "notes.txt: the columns hello, world are of no known shape" in told
    assert "empty.csv: the file is empty" in told
    assert "cut.zip: the zip is damaged or cut off" in told


def test_symbols_of_a_folder_come_from_the_names(workspace: Path) -> None:
    """Without --symbol, each file of a folder goes to the symbol in its name."""
    folder = workspace / "files"
    put(folder, "BTCUSDT_1h.csv", OHLCV, bar(0), bar(1))
    put(folder, "ETHUSDT_1h.csv", OHLCV, bar(0), bar(1), bar(2))
    assert load("auto", folder, "--venue", "binance") == 0
    assert stored(workspace) == {"bars:binance:BTCUSDT:1h": 2, "bars:binance:ETHUSDT:1h": 3}


def test_named_file_that_fails_is_an_error(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that the user named and that cannot be read ends in code 2; the others are stored."""
    good = put(workspace, "BTCUSDT_1h.csv", OHLCV, bar(0), bar(1))
    assert load("auto", good, workspace / "none.csv", *NAMED) == 2
    assert "none.csv: there is no such file" in capsys.readouterr().err
    assert stored(workspace) == {"bars:binance:BTCUSDT:1h": 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--symbol", "../../x"), "symbol '../../x' is not a valid name"),
        (("--symbol", "'; drop table--"), 'symbol "\'; drop table--" is not a valid name'),
        (("--venue", "a/b"), "venue 'a/b' is not a valid name"),
        (("--timeframe", "5x"), "timeframe '5x' is not a count and a unit"),
        (("--time-unit", "min"), "--time-unit is 'min', it must be one of s, ms, us, ns"),
        (("--column", "ts"), "--column 'ts' is not NAME=COLUMN"),
        (("--unit", "euro"), "--unit is 'euro', it must be usd or coins"),
        (("--table", "candles"), "there is no table 'candles'"),
        (("--colour", "red"), "No such option: --colour"),
    ],
)
def test_option_that_is_wrong(
    workspace: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """A wrong option is one line and code 2, and nothing is stored."""
    path = put(workspace, "BTCUSDT_1h.csv", OHLCV, bar(0), bar(1))
    assert load("auto", path, "--venue", "binance", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(workspace.rglob("*.parquet"))


def test_unknown_source_and_empty_folder(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown source names those there are; an empty folder is said to be one."""
    path = put(workspace, "x.csv", OHLCV, bar(0), bar(1))
    assert load("kraken", path, *NAMED) == 2
    assert "no source 'kraken': use one of auto, binance" in capsys.readouterr().err
    (workspace / "nothing").mkdir()
    assert load("auto", workspace / "nothing") == 2
    assert "the folder holds no files" in capsys.readouterr().err


@pytest.mark.parametrize(("missing", "given"), [("--venue", NAMED[2:]), ("--symbol", NAMED[:2])])
def test_missing_venue_or_symbol_is_asked_for(
    workspace: Path, capsys: pytest.CaptureFixture[str], missing: str, given: tuple[str, ...]
) -> None:
    """What a file does not say is asked for by the name of the option."""
    assert load("auto", put(workspace, "x.csv", OHLCV, bar(0), bar(1)), *given) == 2
    assert f"give {missing}" in capsys.readouterr().err


def test_columns_named_on_the_command_line(workspace: Path) -> None:
    """A table of no known shape is read by the columns that the user names."""
    path = put(workspace, "f.csv", "when,paid", "2024-01-01,0.01", "2024-01-02,-0.02")
    words = ("--table", "funding", "--column", "ts=when", "--column", "rate=paid", "--percent")
    assert load("generic", path, *NAMED, *words) == 0
    assert stored(workspace) == {"funding:binance:BTCUSDT": 2}


def test_contracts_are_asked_for_and_told(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Amounts in contracts are refused until their worth is given, which the note then repeats."""
    line = "okex-swap,BTC-USDT-SWAP,1704067200000000,1704067200000005,,sell,42000,5"
    path = put(workspace, "t.csv", TARDIS, line)
    assert load("tardis", path) == 2
    assert "give --contract-value" in capsys.readouterr().err
    assert load("tardis", path, "--contract-value", "0.01") == 0
    assert "amounts are contracts of 0.01 coins each" in capsys.readouterr().out
    assert stored(workspace) == {"liquidations:okex-swap:BTC-USDT-SWAP:events": 1}


def test_file_of_several_series_is_stored_whole_or_not_at_all(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that cannot be stored refuses the file before its first series is."""
    header = "timestamp,venue,coin,oi_usd"
    lines = ["2024-01-01,okx,BTC,5", "2024-01-01,okx,ETH,5", "2024-01-01,okx,~/x,5"]
    assert load("auto", put(workspace, "x.csv", header, *lines)) == 2
    assert "symbol '~/x' is not a valid name" in capsys.readouterr().err
    assert stored(workspace) == {}


def test_name_with_line_breaks_stays_one_line(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file's name cannot add lines or markup to what the command says."""
    path = put(workspace, "a\nb[red].csv", "x,y", "1,2")
    assert load("auto", path) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 2
    assert "b[red].csv: the columns x, y" in error
