"""Fixtures that several kinds of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.platform import RunningPlatform, running_platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """One platform for all the tests that leave it as they found it; those that break it start their own."""
    with running_platform(tmp_path_factory.mktemp("platform")) as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Tell a run in which nothing ran, since tests could not be collected, from one in which tests failed.

    CI runs once more what failed; of a run that never was, that would be next to nothing.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.TESTS_FAILED and reporter is not None and not reporter.stats.get("passed"):
        session.exitstatus = pytest.ExitCode.INTERRUPTED
