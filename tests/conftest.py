"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from resaga import clear_terminal_errors, set_global_error_mapper
from tests.support.databases.given import Databases


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
