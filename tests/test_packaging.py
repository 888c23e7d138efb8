"""What is installed: the wheel's contents, and that it works away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).resolve().parents[1]
PARTS: Final = ("datasets", "strategies", "reports", "scripts")
IGNORED: Final = shutil.ignore_patterns("__pycache__", "*.egg-info")


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as a stranger would: nothing of this process's Python settings reaches it."""
    private = ("PYTHON", "COV_", "LIQTIERS_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(private)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel by way of the source distribution, from a copy of the checkout."""
    source = tmp_path_factory.mktemp("source")
    for part in PARTS:
        shutil.copytree(PROJECT / part, source / part, ignore=IGNORED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source / name)
    target = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, folder=source)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(target.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a fresh environment and return its folder of programs.

    The dependencies come from the running environment by a plain path entry: the .pth files found
    there, among them the editable install's finder, are not followed, so that `liqtiers` can only
    be the wheel. ``.ci/run`` installs the dependencies themselves.
    """
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    scheme = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    programs = Path(sysconfig.get_path("scripts", "venv", scheme))
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(sorted(dependencies)), encoding="utf-8")
    pip = ("-m", "pip", "--python", programs / "python", "install", "--no-deps", "--no-index")
    done = run(sys.executable, *pip, wheel, folder=home)
    assert done.returncode == 0, done.stdout + done.stderr
    return programs


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return an empty folder to work in."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_package_folder_is_listed() -> None:
    """A folder with an __init__.py is in pyproject's list, else the wheel would lack it."""
    with (PROJECT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    found = {
        ".".join(("liqtiers", *path.parent.relative_to(PROJECT).parts))
        for part in PARTS
        for path in (PROJECT / part).rglob("__init__.py")
    }
    assert sorted(listed) == sorted(found)


def test_every_folder_with_modules_is_a_package() -> None:
    """No module stands in a folder without an __init__.py, where neither list nor wheel sees it."""
    folders = {path.parent for part in PARTS for path in (PROJECT / part).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_wheel_installs_one_import_name(wheel: Path) -> None:
    """Nothing named datasets, reports or tests is ever installed at the top."""
    information = f"liqtiers-{metadata.version('liqtiers')}.dist-info"
    assert {name.split("/")[0] for name in names(wheel)} == {"liqtiers", information}


def test_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    """Modules, type markers, tables and templates are all in; caches are not."""
    expected = {
        f"liqtiers/{path.relative_to(PROJECT).as_posix()}"
        for part in PARTS
        for path in (PROJECT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names(wheel) if name.startswith("liqtiers/")} == expected
    assert {f"liqtiers/{part}/py.typed" for part in PARTS} <= expected


def test_wheel_carries_its_licence(wheel: Path) -> None:
    """The GPL's text travels with the package, and the metadata names it."""
    with zipfile.ZipFile(wheel) as archive:
        licence = next(name for name in archive.namelist() if name.endswith("LICENSE"))
        assert "GNU GENERAL PUBLIC LICENSE" in archive.read(licence).decode()
        about = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        assert "License-Expression: GPL-3.0-or-later" in archive.read(about).decode()


def test_installed_package_is_the_wheel(installed: Path, empty: Path) -> None:
    """`liqtiers` comes from the fresh environment; no folder of ours is importable by itself."""
    code = (
        "import importlib.util, liqtiers.datasets.schemas as module; print(module.__file__);"
        f"print([n for n in {(*PARTS, 'tests')} if importlib.util.find_spec(n)])"
    )
    answer = run(installed / "python", "-c", code, folder=empty)
    assert answer.returncode == 0, answer.stderr
    place, importable = answer.stdout.splitlines()
    assert Path(place).is_relative_to(installed.parent)
    assert importable == "[]"


def test_installed_command_answers(installed: Path, empty: Path) -> None:
    """`liqtiers` is on the path, knows its version and works where there is nothing yet."""
    for words in (["--help"], ["data", "describe"]):
        answer = run(installed / "liqtiers", *words, folder=empty)
        assert (answer.returncode, answer.stderr) == (0, "")
    answer = run(installed / "liqtiers", "--version", folder=empty)
    assert answer.stdout == f"liqtiers {metadata.version('liqtiers')}\n"
