"""What every test shares: threads, hypothesis profiles, the workspace and the real data.

A test that cannot run here (no real data, no browser) skips with its reason. Where
``LIQTIERS_REQUIRE_ALL=1`` is set, as in CI, every such skip is a failure, whoever asked for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings

PROJECT: Final = Path(__file__).resolve().parents[1]
REQUIRE_ALL: Final = os.environ.get("LIQTIERS_REQUIRE_ALL") == "1"

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)

settings.register_profile("default", deadline=None)
# The same examples on every run, so that CI fails for a change and not by chance.
settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_configure() -> None:
    """Keep each worker to one core, before a test module imports numba or a BLAS."""
    for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test an empty workspace of its own, by ``LIQTIERS_HOME``."""
    monkeypatch.setenv("LIQTIERS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the checkout's folder."""
    return PROJECT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real market data that stands beside the checkout."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real market data at {folder}")
    return folder


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Return the system's Chromium or Chrome."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    pytest.skip("no Chromium on this machine: install the package chromium")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where everything is required."""
    report = yield
    return _required(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failure where everything is required."""
    report = yield
    return _required(report)


def _required(report: AnyReport) -> AnyReport:
    expected_failure = hasattr(report, "wasxfail")
    if REQUIRE_ALL and report.skipped and not expected_failure:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"LIQTIERS_REQUIRE_ALL=1 forbids this skip. {reason}"
    return report
