"""The cache of maps: equal to the last bit, rebuilt when damaged or when anything differs, bounded."""

import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from builders import random_panel
from liqtiers.datasets import liquidation_map, map_cache
from liqtiers.datasets.calibration import CalibrationParameters
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import MapParameters, build_map
from liqtiers.datasets.map_cache import cached_map, map_fingerprint, prune_map_cache

INSTRUMENT = instrument_for("generic", "COIN")
FIT = CalibrationParameters(minimum_days=2.0, refit_days=2.0)


def same(first: object, second: object) -> bool:
    """Compare two values field by field, arrays to the last bit."""
    if isinstance(first, np.ndarray):
        return isinstance(second, np.ndarray) and np.array_equal(
            first, second, equal_nan=first.dtype.kind == "f"
        )
    if is_dataclass(first):
        return type(first) is type(second) and all(
            same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first)
        )
    return first == second


class Counting:
    """Counts the maps that are really built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.built = 0
        plain = liquidation_map.accumulate

        def counted(*arguments: object) -> object:
            self.built += 1
            return plain(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(liquidation_map, "accumulate", counted)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


@pytest.mark.parametrize("calibration", [None, FIT])
def test_a_loaded_map_is_the_built_one(
    tmp_path: Path, counting: Counting, calibration: CalibrationParameters | None
) -> None:
    """Features, ladders, snapshots, notes and the fit come back to the last bit, without a build."""
    panel, lake = random_panel(12 * 24 * 6, seed=1), Lake(tmp_path)
    plain = build_map(panel, INSTRUMENT, calibration=calibration)
    first = cached_map(lake, panel, INSTRUMENT, calibration=calibration)
    built = counting.built
    second = cached_map(lake, panel, INSTRUMENT, calibration=calibration)
    assert counting.built == built
    assert same(plain, first)
    assert same(plain, second)
    if calibration is not None:
        assert second.calibration is not None
        assert len(second.calibration) > 1


def other_parameters() -> list[dict[str, object]]:
    return [
        {"parameters": MapParameters(churn=0.2)},
        {"parameters": MapParameters(windows=(0.05, 0.10))},
        {"calibration": FIT},
        {"calibration": replace(FIT, prior_weight=7.0)},
        {"snapshots": 3},
    ]


def test_whatever_differs_makes_another_map() -> None:
    """Panel, contract, parameters and options are all in the fingerprint; the code is too."""
    panel = random_panel(200, seed=1)
    names = {map_fingerprint(panel, INSTRUMENT)}
    assert map_fingerprint(panel, INSTRUMENT, parameters=MapParameters()) in names
    for options in other_parameters():
        names.add(map_fingerprint(panel, INSTRUMENT, **options))  # type: ignore[arg-type]
    names.add(map_fingerprint(panel.slice(0, 199), INSTRUMENT))
    names.add(map_fingerprint(replace(panel, sources={"liquidations": ("a:b:1h",)}), INSTRUMENT))
    names.add(map_fingerprint(panel, replace(INSTRUMENT, formula="linear with fee")))
    brackets = replace(
        INSTRUMENT.brackets, maintenance_rate=INSTRUMENT.brackets.maintenance_rate * 1.1
    )
    names.add(map_fingerprint(panel, replace(INSTRUMENT, brackets=brackets)))
    assert len(names) == 1 + 5 + 4


def test_other_code_makes_another_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """A map of an older version of the sources is never loaded."""
    panel = random_panel(50, seed=1)
    before = map_fingerprint(panel, INSTRUMENT)
    monkeypatch.setattr(map_cache, "sources_stamp", lambda: "edited")
    assert map_fingerprint(panel, INSTRUMENT) != before


@pytest.mark.parametrize("harm", ["shorten", "flip", "index", "missing"])
def test_a_damaged_entry_is_built_anew(tmp_path: Path, counting: Counting, harm: str) -> None:
    """Half-written or changed files are not trusted."""
    panel, lake = random_panel(200, seed=2), Lake(tmp_path)
    first = cached_map(lake, panel, INSTRUMENT)
    (entry,) = [p for p in (tmp_path / "map_cache").iterdir() if p.is_dir()]
    array = max(entry.glob("*.npy"), key=lambda p: p.stat().st_size)
    raw = array.read_bytes()
    if harm == "shorten":
        array.write_bytes(raw[: len(raw) // 2])
    elif harm == "flip":
        array.write_bytes(raw[:-9] + bytes([raw[-9] ^ 64]) + raw[-8:])
    elif harm == "index":
        index = entry / "index.json"
        index.write_text(index.read_text().replace("open interest", "closed interest"))
    else:
        array.unlink()
    built = counting.built
    again = cached_map(lake, panel, INSTRUMENT)
    assert counting.built == built + 1
    assert same(first, again)
    cached_map(lake, panel, INSTRUMENT)
    assert counting.built == built + 1


def test_what_is_used_least_goes_first(tmp_path: Path) -> None:
    """The cache is bounded; the map used last stays."""
    import os

    lake, panels = Lake(tmp_path), [random_panel(100, seed=seed) for seed in range(3)]
    for age, panel in enumerate(panels):
        cached_map(lake, panel, INSTRUMENT)
        entry = tmp_path / "map_cache" / map_fingerprint(panel, INSTRUMENT)
        os.utime(entry / "index.json", (1000.0 + age, 1000.0 + age))
    cached_map(lake, panels[0], INSTRUMENT)
    size = sum(f.stat().st_size for f in entry.iterdir())
    report = prune_map_cache(lake, keep_bytes=int(size * 1.5))
    assert (report.kept, report.removed) == (1, 2)
    assert (tmp_path / "map_cache" / map_fingerprint(panels[0], INSTRUMENT)).is_dir()
    with pytest.raises(InputError, match="keep_bytes"):
        prune_map_cache(lake, keep_bytes=-1)


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    """A half-written folder is removed and never loaded."""
    lake = Lake(tmp_path)
    left = tmp_path / "map_cache" / ".0123456789abcdef.new"
    left.mkdir(parents=True)
    (left / "000_x.npy").write_bytes(b"half")
    assert prune_map_cache(lake).kept == 0
    assert not left.exists()


def test_only_named_functions_can_be_cached(tmp_path: Path) -> None:
    """What a partial or a lambda does is in no fingerprint."""
    with pytest.raises(InputError, match="named function"):
        cached_map(
            Lake(tmp_path),
            random_panel(20, seed=1),
            INSTRUMENT,
            build=partial(build_map),
        )


BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import numpy as np
from builders import random_panel
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.map_cache import cached_map
panel = random_panel(300, seed=5)
built = cached_map(Lake(Path(sys.argv[2])), panel, instrument_for("generic", "COIN"))
print(float(np.nansum(built.features.notional_above)))
"""


def test_two_processes_build_the_same_map_at_once(tmp_path: Path) -> None:
    """No error, one entry, the same figures."""
    tests = str(Path(__file__).parents[1])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, tests, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    sums = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len(set(sums)) == 1
    entries = [p for p in (tmp_path / "map_cache").iterdir() if p.is_dir()]
    assert len(entries) == 1
