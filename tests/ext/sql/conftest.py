"""Fixtures for the tests of the barrier; each runs on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.ext.sql.effects import emptied
from tests.support.databases.given import Databases, Given


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs them all, so that each server is started once."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("databases"))


@pytest.fixture(params=["postgresql", "postgresql, asyncpg", "mariadb", "sqlite"])
def given(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Given:
    """A database that has the barrier's table, and those for effects, all empty."""
    kind, _, driver = request.param.partition(", ")
    return emptied(databases.get(kind, tmp_path, asyncpg=bool(driver)))


@pytest.fixture
def engine(given: Given) -> Engine:
    return given.engine()


@pytest.fixture
async def async_engine(given: Given) -> AsyncIterator[AsyncEngine]:
    engine = given.async_engine()
    yield engine
    await engine.dispose()
