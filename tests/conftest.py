"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from resaga import clear_terminal_errors, set_global_error_mapper
from tests.support.databases.given import Databases

COVERED = ("src", "tests/unit", "tests/ext", "tests/testing")
"""What coverage is measured by, beside the tests on a normal server."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage where lines are reached for the first time.

    Measuring costs half of the time again, and what the other flavours and the programs run is
    what the unit tests and the normal server run.
    """
    for item in items:
        normal = item.path.match("tests/server/*.py") and (
            "normal" in item.name or "[" not in item.name
        )
        if not normal and not item.nodeid.startswith(COVERED):
            item.add_marker("no_cover")


@pytest.fixture(autouse=True)
def _clean_registry() -> Iterator[None]:
    """The registry of terminal errors is the one global state: each test finds it empty."""
    yield
    clear_terminal_errors()
    set_global_error_mapper(None)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The database servers of this session; each is started when a test first needs it."""
    databases = Databases()
    yield databases
    databases.stop()
