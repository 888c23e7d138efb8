"""Workers and parents killed at random moments: no finished trial may be lost or counted twice.

Each round starts or resumes the same study with two workers, waits for a random time, and kills a worker or
the parent with SIGKILL. After each round the journal is read by Optuna's own backend, numbers must run
from 0 without a hole, every trial seen before must still be there, unchanged, and none may stand there under
two numbers: settings are drawn at random, so that two equal ones are one trial. Needs Linux's /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna

TESTS = Path(__file__).parents[1]
WORLD = TESTS / "strategies" / "tuning_worlds.py"


def started(folder: Path, trials: int) -> subprocess.Popen[str]:
    """Return the study's process, at work."""
    before = lines_in(folder)
    process = subprocess.Popen(
        [sys.executable, str(WORLD), str(folder), f"--trials={trials}", "--workers=2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_lines(folder, before + 8, process)
    return process


def lines_in(folder: Path) -> int:
    """Return how many lines the journal has."""
    path = folder / "journal.log"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_lines(folder: Path, lines: int, process: subprocess.Popen[str]) -> None:
    """Wait until the journal has so many lines."""
    began = time.monotonic()
    while lines_in(folder) < lines:
        if process.poll() is not None or time.monotonic() - began > 600.0:
            raise SystemExit(f"the study does not get on: {process.communicate()[1]}")
        time.sleep(0.01)


def workers_of(pid: int) -> list[int]:
    """Return the worker processes of a parent."""
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(w) for w in words if "spawn_main" in Path(f"/proc/{w}/cmdline").read_text()]


def gone(pids: list[int]) -> bool:
    """Wait until processes have ended by themselves; False if they do not."""
    began = time.monotonic()
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() - began > 30.0:
            return False
        time.sleep(0.05)
    return True


def trials_in(folder: Path) -> dict[int, object]:
    """Return the finished trials by number, read as optuna-dashboard would."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    study = optuna.load_study(study_name="small", storage=optuna.storages.JournalStorage(backend))
    return {t.number: (t.params, t.values) for t in study.trials if t.state.is_finished()}


def main() -> None:
    """Print a line a kill, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    lost = twice = holes = orphans = 0
    before: dict[int, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kill in range(options.kills):
            process = started(folder, trials=100_000)
            time.sleep(chance.uniform(0.0, 1.0))
            crew = workers_of(process.pid)
            parent = chance.random() < 0.5
            os.kill(process.pid if parent else chance.choice(crew), signal.SIGKILL)
            time.sleep(chance.uniform(0.0, 0.5))
            if not parent:
                crew = workers_of(process.pid)
                process.kill()
            process.communicate()
            orphans += not gone(crew)
            now = trials_in(folder)
            lost += sum(now.get(number) != trial for number, trial in before.items())
            twice += len(now) - len({repr(trial) for trial in now.values()})
            holes += sorted(now) != list(range(len(now)))
            before = now
            print(
                f"kill {kill + 1}: {'parent' if parent else 'worker'}, {len(now)} trials",
                flush=True,
            )
        goal = len(before) + 10
        last = subprocess.run(
            [sys.executable, str(WORLD), str(folder), f"--trials={goal}", "--workers=2"],
            capture_output=True,
            text=True,
            check=False,
        )
        reached = len(trials_in(folder))
    answer = {
        "kills": options.kills,
        "trials": reached,
        "goal": goal,
        "lost_or_changed": lost,
        "counted_twice": twice,
        "holes": holes,
        "orphans": orphans,
        "resumed": last.returncode == 0 and reached == goal,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
