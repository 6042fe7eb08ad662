"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from resaga import clear_terminal_errors, set_global_error_mapper


@pytest.fixture(autouse=True)
def _clean_registry() -> Iterator[None]:
    """The registry of terminal errors is the one global state: each test finds it empty."""
    yield
    clear_terminal_errors()
    set_global_error_mapper(None)
