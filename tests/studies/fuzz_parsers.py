"""Whether any bytes bring a parser to a traceback, a hang, or a row that no file holds.

Every source of files (`liqtiers data import`), zip, gz and parquet files as such, and every answer of a
server that `liqtiers data fetch` looks into. Inputs are bred by how much of the parsers' code they reach,
from small whole files. On each: either one of the library's own errors of one line, or rows, of which
those that the lake would keep are held against laws that are written anew (`parser_laws`).

Each parser runs in a process of its own for its share of the minutes; what a process needs to start
comes on top. Inputs that show a fault are kept in a folder, each with what it showed beside it, and are
tried again by ``--parser NAME --input FILE``. The exit code is 1 if there was a fault. An input that needs
more memory than there should be counts as one that hangs. ccxt's answers are left out: they come as
objects of its own parsing, not as bytes.

Once what it had found was mended, 7 minutes of seed 7 tried 494,296 inputs without a fault (2026-11-26).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
from parser_laws import broken_laws, invented, misplaced
from parser_mutations import LONGEST, mutated

SLOWEST: Final = 5
"""Seconds that an input may take."""

LARGEST_MB: Final = 2048
"""Of memory, libraries counted."""

NUMBERED: Final = ("inputs", "accepted", "refused")
KINDS: Final = {"traceback": "tracebacks", "hang": "hangs", "wrong": "wrong_rows"}
# What libFuzzer calls an input that it had to stop.
STOPPED: Final = {"timeout": "hang", "slow-unit": "hang", "oom": "hang", "crash": "traceback"}
ENDS: Final = frozenset({0, 70, 71, 77})
"""Exit codes: all time used, or stopped by an input that took too long, too much memory, or crashed."""

GRACE: Final = 120
"""Seconds to start and end a process, beyond which it hangs."""


class Counts:
    """Counts that outlive their process, however it ends."""

    def __init__(self, path: Path) -> None:
        size = 8 * len(NUMBERED)
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size)

    def add(self, name: str) -> None:
        """Count one more."""
        at = 8 * NUMBERED.index(name)
        (before,) = struct.unpack_from("<q", self._memory, at)
        struct.pack_into("<q", self._memory, at, before + 1)

    def all(self) -> dict[str, int]:
        """Return the counts by name."""
        return dict(zip(NUMBERED, struct.unpack(f"<{len(NUMBERED)}q", self._memory), strict=True))


class Trial:
    """One parser under trial.

    Parameters
    ----------
    parser : parser_readers.Parser
    name : str
    folder : Path
        Where files to be parsed, counts and faults are put.
    slowest : float
        Seconds that an input may take.
    """

    def __init__(self, parser: Any, name: str, folder: Path, *, slowest: float = SLOWEST) -> None:
        self._parser, self._name, self._slowest = parser, name, slowest
        self._files, self._faults = folder / "files", folder / "faults"
        for made in (self._files, self._faults):
            made.mkdir(exist_ok=True)
        self._counts = Counts(folder / "counts")

    def __call__(self, given: bytes) -> None:
        """Try an input; what is wrong is kept and does not end the trial."""
        self._counts.add("inputs")
        begin = time.monotonic()
        try:
            found = self._judged(given)
        except Exception as error:  # noqa: BLE001  # whatever a parser raises is what is looked for
            self._keep("traceback", place_of(error), given, traceback.format_exc())
            return
        finally:
            for path in self._files.iterdir():
                path.unlink()
        for law in found:
            self._keep("wrong", law, given, law)
        if (took := time.monotonic() - begin) > self._slowest:
            self._keep("hang", "slow", given, f"took {took:.1f} seconds")

    def _judged(self, given: bytes) -> list[str]:
        from liqtiers.datasets.errors import InputError
        from liqtiers.datasets.schemas import TABLES
        from liqtiers.datasets.validation import sort_rows

        found = []
        try:
            outcome = self._parser.read(self._files, given)
            for parsed in outcome.found:
                judged = sort_rows(TABLES[parsed.table], parsed.rows, timeframe=parsed.timeframe)
                found += laws_broken_by(parsed, judged, outcome.text)
        except (InputError, *self._parser.refusals) as error:
            self._counts.add("refused")
            told = str(error)
            return [] if len(told.splitlines()) == 1 else ["an error of more or less than one line"]
        self._counts.add("accepted")
        return found

    def _keep(self, kind: str, key: str, given: bytes, told: str) -> None:
        digest = hashlib.sha256(key.encode()).hexdigest()[:8]
        path = self._faults / f"{self._name}.{kind}.{digest}"
        if not path.exists():
            path.write_bytes(given)
            path.with_name(f"{path.name}.txt").write_text(told, encoding="utf-8")


def laws_broken_by(parsed: Any, judged: Any, text: str | None) -> list[str]:
    """Return the laws that the good rows of a series break."""
    counted = judged.good.num_rows + judged.bad.num_rows + judged.repeated
    found = ["a row is lost"] * (counted != parsed.rows.num_rows)
    found += broken_laws(parsed.table, parsed.timeframe, judged.good)
    if text is not None:
        found += invented(parsed.table, parsed.recognised, judged.good, text)
        found += misplaced(parsed.table, parsed.recognised, parsed.rows, text)
    return [f"{parsed.table}: {law}" for law in found]


def place_of(error: BaseException) -> str:
    """Return an error's kind and the last line of ours that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/datasets/" in frame.filename] or frames
    return f"{type(error).__name__} {Path(ours[-1].filename).name}:{ours[-1].lineno}"


def parsers() -> Any:
    """Return what makes each parser, by name; imported late, so that their code can be watched."""
    from answer_readers import answer_parsers
    from parser_readers import file_parsers

    return file_parsers() | answer_parsers()


def fuzz(name: str, folder: Path, *, seconds: int, seed: int) -> None:
    """Try a parser in this process, which ends with it."""
    import atheris

    # First, so that only the parsers are watched.
    import liqtiers.datasets.lake
    import liqtiers.datasets.panel  # noqa: F401

    with atheris.instrument_imports(
        include=["liqtiers.datasets.sources", "liqtiers.datasets.downloads"]
    ):
        parser = parsers()[name]()
    warnings.simplefilter("error")
    trial = Trial(parser, name, folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(parser.seeds):
        (corpus / f"seed-{number}").write_bytes(content)
        trial(content)
    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-max_len={LONGEST}",
            f"-timeout={SLOWEST}",
            f"-rss_limit_mb={LARGEST_MB}",
            f"-artifact_prefix={folder}/faults/",
        ],
        trial,
        # Looked up late: atheris puts the function that works in its place when it begins.
        custom_mutator=lambda data, most, seed: mutated(
            data, most, seed, parser=parser, plain=atheris.Mutate
        ),
    )
    atheris.Fuzz()


def tried(name: str, *, seconds: int, seed: int, keep: Path) -> tuple[dict[str, int], Counter[str]]:
    """Try a parser in a process of its own; return its counts, and how many faults it had."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        command = [sys.executable, __file__, "--alone", made, "--parser", name]
        command += ["--seconds", str(seconds), "--seed", str(seed)]
        threads = {f"{part}_NUM_THREADS": "1" for part in ("OMP", "OPENBLAS", "NUMBA", "ARROW")}
        with (folder / "log").open("w") as log:
            try:
                code = subprocess.run(
                    command,
                    stdout=log,
                    stderr=log,
                    env=os.environ | threads,
                    timeout=seconds + GRACE,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                code = 0
                (folder / "faults" / f"{name}.hang.whole").write_bytes(b"")
        log_text = (folder / "log").read_text(errors="replace")
        edges = re.findall(r"cov: (\d+)", log_text)
        if not edges or code not in ENDS:
            raise RuntimeError(f"{name} did not run:\n{log_text[-2000:]}")
        counts = Counts(folder / "counts").all()
        faults = kept_faults(name, folder / "faults", keep)
    return {**counts, "edges": max(map(int, edges))}, faults


def kept_faults(name: str, folder: Path, keep: Path) -> Counter[str]:
    """Move inputs that showed a fault to where they are kept; return how many there are by kind."""
    found = Counter[str]()
    for path in sorted(folder.iterdir()):
        if path.suffix == ".txt":
            continue
        ours = path.name.startswith(f"{name}.")
        kind = path.name.split(".")[1] if ours else STOPPED[path.name.rpartition("-")[0]]
        found[KINDS[kind]] += 1
        keep.mkdir(parents=True, exist_ok=True)
        target = keep / (path.name if ours else f"{name}.{kind}.{path.name}")
        target.write_bytes(path.read_bytes())
        told = path.with_name(f"{path.name}.txt")
        words = told.read_text(encoding="utf-8") if told.exists() else path.name
        target.with_name(f"{target.name}.txt").write_text(words, encoding="utf-8")
        print(f"{name}: {kind}: {words.strip().splitlines()[-1][:150]}: {target}", flush=True)
    return found


def try_again(name: str, path: Path) -> int:
    """Try one input, print what it shows, and return how many faults that is."""
    parser = parsers()[name]()
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as made:
        Trial(parser, name, Path(made))(path.read_bytes())
        told = sorted((Path(made) / "faults").glob("*.txt"))
        for each in told:
            print(each.read_text(encoding="utf-8"))
        print(json.dumps({"faults": len(told)}))
    return len(told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each fault, the last line as JSON; return 1 if there was one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="of all parsers together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parser", action="append", metavar="NAME", help="all unless given")
    parser.add_argument("--keep", type=Path, help="folder of faults; a temporary one unless given")
    parser.add_argument("--input", type=Path, help="try this file and nothing else")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.alone:
        fuzz(options.parser[0], options.alone, seconds=options.seconds, seed=options.seed)
    known = list(parsers())
    names = options.parser or known
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"there is no parser {unknown[0]}: use some of {', '.join(known)}")
    if options.input:
        return min(1, try_again(names[0], options.input))
    keep = options.keep or Path(tempfile.gettempdir()) / f"fuzz-parsers-{os.getpid()}"
    seconds = max(1, round(options.minutes * 60 / len(names)))
    figures, totals = {}, Counter[str]()
    for name in names:
        figures[name], faults = tried(name, seconds=seconds, seed=options.seed, keep=keep)
        totals.update(faults)
    found = {kind: totals[kind] for kind in KINDS.values()}
    given = {"seed": options.seed, "minutes": options.minutes}
    print(json.dumps({**given, "parsers": figures, **found}))
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
