"""Compiled functions are never run stale."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import NumbaError

import liqtiers.datasets._compiled as module


def _write(folder: Path, *, factor: int) -> None:
    helper = f"""
        from liqtiers.datasets._compiled import compiled

        @compiled
        def helper(x):
            return {factor} * x
    """
    caller = """
        from liqtiers.datasets._compiled import compiled
        from helper import helper

        @compiled
        def caller(x):
            return helper(x) + 1
    """
    (folder / "helper.py").write_text(textwrap.dedent(helper))
    if not (folder / "caller.py").exists():
        (folder / "caller.py").write_text(textwrap.dedent(caller))


def test_an_edited_helper_in_another_file_is_compiled_anew(tmp_path: Path) -> None:
    """numba's own cache would run a caller with the old helper inside."""
    program = textwrap.dedent(
        """
        import sys
        import liqtiers.datasets._compiled as c
        c.sources_stamp = lambda: open("helper.py").read()
        from caller import caller
        print(caller(10))
        """
    )
    seen = []
    for factor in (2, 3):
        _write(tmp_path, factor=factor)
        run = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.append(run.stdout.strip())
    assert seen == ["21", "31"]


def test_the_stamp_covers_the_kernels() -> None:
    """A change in any source of the package changes the stamp, so it reads their content."""
    assert len(module.sources_stamp()) == 64


def test_a_function_in_place_that_makes_an_array_is_refused() -> None:
    """Without counted references an array of its own would never be freed: an error, not a leak."""

    def makes_an_array(values: np.ndarray) -> float:
        return float((values * 2.0)[0])

    with pytest.raises(NumbaError, match="NRT required but not enabled"):
        module.compiled_in_place(makes_an_array)(np.ones(3))
