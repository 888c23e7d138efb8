"""`liqtiers tune` on several machines, with nothing in common but a PostgreSQL server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
import tuning_worlds

from liqtiers.scripts._terminal import run
from liqtiers.scripts.main import build
from postgres_server import Server, postgres_server
from source_files import OHLCV, put

SERIES: Final = ("--venue", "own", "--symbol", "DATA", "--timeframe", "1h")
TUNE: Final = (
    *("tune", "shared", *SERIES, "--no-calibrate", "--workers", "1", "--sampler", "random"),
    *("--folds", "3", "--min-trades", "0", "--pruner", "none", "--fix", "min_imbalance=0.1"),
    *("--range", "max_hold=12:24", "--range", "atr_bars=12:24", "--range", "thrust_bars=2:12"),
)
ENOUGH: Final = 5
FINISHED: Final = ("COMPLETE", "FAIL", "PRUNED")

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def server() -> Iterator[Server]:
    """An empty database."""
    with postgres_server() as started:
        yield started


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two workspaces into which the same bars were imported."""
    panel = tuning_worlds.hourly_panel(80 * 24)
    stamps = panel.ts.astype("datetime64[us]")
    columns = zip(stamps, panel.open, panel.high, panel.low, panel.close, strict=True)
    file = put(tmp_path, "bars.csv", OHLCV, *(",".join(map(str, row)) + ",1e3" for row in columns))
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        monkeypatch.setenv("LIQTIERS_HOME", str(folder))
        assert run(build(), ["data", "import", "auto", str(file), *SERIES], program="liqtiers") == 0
    return folders


def machine(home: Path, server: Server) -> subprocess.Popen[str]:
    """A machine at work for an hour, known to the server by the name of its workspace."""
    told = {"LIQTIERS_HOME": str(home), "LIQTIERS_STORAGE": server.address, "PGAPPNAME": home.name}
    program = "from liqtiers.scripts.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *TUNE, "--hours", "1"],
        env={**os.environ, **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_both(server: Server, homes: list[Path], machines: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + 900.0
    while any(server.stored_by(home.name) < ENOUGH for home in homes):
        for process in machines:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the study does not get on"
        time.sleep(0.05)


def stored(server: Server) -> list[tuple[int, str, str]]:
    """Each trial's number, state and parameters, read without Optuna."""
    query = """
        SELECT t.number, t.state::text,
            string_agg(p.param_name || '=' || p.param_value, ' ' ORDER BY p.param_name)
        FROM trials t LEFT JOIN trial_params p USING (trial_id)
        GROUP BY t.number, t.state ORDER BY t.number
    """
    where = server.address.replace("+psycopg", "")
    with psycopg.connect(where) as connection:
        return connection.execute(query).fetchall()


def test_two_machines_tune_one_study(
    server: Server,
    homes: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Begun at one moment on an empty database, both machines add to one study, which holds every trial of
    either once, and try different settings. The one that opens the holdout closes the study for the
    other, whose folder knows nothing of it. The password is nowhere.
    """
    machines = [machine(home, server) for home in homes]
    try:
        wait_for_both(server, homes, machines)
        for process in machines:
            process.send_signal(signal.SIGTERM)
        told = [process.communicate(timeout=60) for process in machines]
    finally:
        for process in machines:
            process.kill()
    assert [process.returncode for process in machines] == [130, 130], told
    assert all("trials are safe. The same command goes on." in out for out, _ in told)

    trials = stored(server)
    count = sum(server.stored_by(home.name) for home in homes)
    assert [number for number, _, _ in trials] == list(range(count))
    assert {state for _, state, _ in trials} <= set(FINISHED)
    # Both may have begun with the default parameters.
    assert len({words for _, _, words in trials}) >= count - 1

    monkeypatch.setenv("LIQTIERS_STORAGE", server.address)
    monkeypatch.setenv("LIQTIERS_HOME", str(homes[0]))
    assert run(build(), [*TUNE, "--trials", str(count)], program="liqtiers") == 0
    outcome = json.loads((homes[0] / "studies" / "shared" / "outcome.json").read_text())
    assert outcome["search"]["trials"] == count
    assert len(outcome["openings"]) == 1
    monkeypatch.setenv("LIQTIERS_HOME", str(homes[1]))
    assert run(build(), [*TUNE, "--trials", str(count + 5)], program="liqtiers") == 2
    shown = capsys.readouterr()
    assert "the holdout of shared was opened on" in shown.err
    assert len(stored(server)) == count

    texts = [*shown, *(text for pair in told for text in pair)]
    assert all(server.password not in text for text in texts)
    files = [path for home in homes for path in home.rglob("*") if path.is_file()]
    assert all(server.password.encode() not in path.read_bytes() for path in files)
