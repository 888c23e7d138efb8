"""A study's script as a module, for the tests that try it in small."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def study(request: pytest.FixtureRequest, project: Path) -> ModuleType:
    """The script that the test module names by ``STUDY``."""
    name = request.module.STUDY
    spec = importlib.util.spec_from_file_location(
        name, project / "tests" / "studies" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a NamedTuple of it is looked up there
    spec.loader.exec_module(module)
    return module
