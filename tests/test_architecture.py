"""The house rules that a tool can hold: one-way imports, doctests that run, tests that say why."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).resolve().parents[1]
PARTS: Final = ("datasets", "strategies", "reports", "scripts")
MODULES: Final = sorted(
    ".".join(("liqtiers", *path.relative_to(PROJECT).with_suffix("").parts))
    for part in PARTS
    for path in (PROJECT / part).rglob("*.py")
    if path.name != "__init__.py"
)


def linted(source: Path, package: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the project's contracts on the folders in `source`."""
    package.mkdir(parents=True)
    for part in PARTS:
        (package / part).symlink_to(source / part)
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(package.parent), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package's folders, to plant violations in."""
    for part in PARTS:
        shutil.copytree(
            PROJECT / part, tmp_path / "tree" / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path / "tree"


def test_imports_go_one_way(tmp_path: Path) -> None:
    """Nothing in datasets imports strategies or reports, nothing in strategies imports reports."""
    answer = linted(PROJECT, tmp_path / "src" / "liqtiers")
    assert answer.returncode == 0, answer.stdout
    assert "0 broken" in answer.stdout


@pytest.mark.parametrize(
    ("path", "line", "part", "imported"),
    [
        ("datasets/planted.py", "from ..strategies import parameters", "datasets", "strategies"),
        ("datasets/sources/planted.py", "from ... import reports", "datasets", "reports"),
        ("strategies/planted.py", "import liqtiers.reports", "strategies", "reports"),
        ("reports/planted.py", "from ..scripts import main", "reports", "scripts"),
        ("strategies/planted.py", "import rich.console", "strategies", "rich"),
    ],
    ids=["up", "up two", "absolute", "scripts", "terminal"],
)
def test_planted_import_against_the_flow_is_found(
    tree: Path, tmp_path: Path, path: str, line: str, part: str, imported: str
) -> None:
    """The check sees the real package: an import in the wrong direction breaks it."""
    (tree / path).write_text(f"{line}\n", encoding="utf-8")
    answer = linted(tree, tmp_path / "src" / "liqtiers")
    assert answer.returncode == 1, answer.stdout
    assert "0 broken" not in answer.stdout
    assert f"liqtiers.{part}" in answer.stdout
    assert imported in answer.stdout.split("Broken contracts")[1]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    """Every example in a docstring gives what it says, whatever was imported before."""
    outcome = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert outcome.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_is_for(name: str) -> None:
    """Every module begins with a docstring."""
    assert (importlib.import_module(name).__doc__ or "").strip()


@pytest.mark.parametrize(
    "path",
    sorted((PROJECT / "tests").rglob("test_*.py")),
    ids=lambda path: str(path.relative_to(PROJECT / "tests")),
)
def test_each_test_states_its_requirement(path: Path) -> None:
    """Every test has a docstring that says what must hold."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert [node.name for node in tests if not ast.get_docstring(node)] == []
