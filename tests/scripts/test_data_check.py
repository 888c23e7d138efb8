"""`liqtiers data check`: what it prints, its page, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from liqtiers.datasets.lake import Lake
from liqtiers.datasets.schemas import TIMESTAMP
from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build

HOUR = 3_600_000_000
START = 1_704_067_200_000_000  # 2024-01-01


def fill(workspace: Path, *, missing: int = 0, twice: bool = False) -> None:
    """Store thirty settlements of funding, with a gap or a doubled one."""
    at = [START + i * 8 * HOUR for i in range(30) if not 10 <= i < 10 + missing]
    if twice:
        at.insert(6, at[5] + 60_000_000)
    ts = pa.array(at, TIMESTAMP)
    rows = pa.table({"ts": ts, "available_at": ts, "rate": [0.0001] * len(at)})
    Lake(workspace / "lake").write("funding", rows, venue="binance", symbol="BTCUSDT")


def check(*options: str) -> int:
    return run(build(), ["data", "check", *options], program="liqtiers")


def test_nothing_found_is_said(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clean data: one sentence, exit code 0."""
    fill(workspace)
    assert check() == 0
    assert capsys.readouterr().out == "Nothing was found in 1 series.\n"


def test_a_finding_is_told_with_what_follows(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing settlements are told with their time and what a backtest does about them."""
    fill(workspace, missing=2)
    check()
    told = " ".join(capsys.readouterr().out.split())
    assert "settlements are missing" in told
    assert "2024-01-04 08:00" in told
    assert "No funding is charged for them" in told


def test_something_serious_is_code_3_and_a_page(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A doubled settlement is serious; `--html` writes the page and its figures, and nothing else."""
    fill(workspace, twice=True)
    page = workspace / "check.html"
    before = {path for path in workspace.rglob("*") if path.is_file()}
    assert check("--html", str(page)) == 3
    assert f"page: {page}" in capsys.readouterr().out
    after = {path for path in workspace.rglob("*") if path.is_file()}
    assert after - before == {page, page.with_name("check.html.json")}
    about = json.loads(page.with_name("check.html.json").read_text())
    assert about["schema"] == 1
    (series,) = about["series"]
    assert [f["kind"] for f in series["findings"]] == ["funding twice"]
    assert about["sentence"] in page.read_text().replace("&#39;", "'")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--symbol", "ETHUSDT"), "has nothing of ETHUSDT; it has binance:BTCUSDT"),
        (("--symbol", "../x"), "not a valid name"),
        (("--html", "missing/x.html"), "there is no folder missing"),
        (("--html", "."), "is a folder"),
    ],
    ids=["unknown", "bad name", "no folder", "a folder"],
)
def test_a_mistake_is_one_line(
    options: tuple[str, ...], told: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be checked or written is told before the work, exit code 2."""
    fill(workspace)
    assert check(*options) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_an_empty_lake_says_how_to_fill_it(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without data there is nothing to check."""
    assert check() == 2
    assert "liqtiers data import" in capsys.readouterr().err


def test_an_unreadable_file_is_named(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a file stops the check with its name, exit code 1."""
    fill(workspace)
    (file,) = (workspace / "lake").glob("funding/**/*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    assert check() == 1
    assert str(file) in capsys.readouterr().err
