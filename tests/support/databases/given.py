"""The databases that tests are given: started once in a test process, when first asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.support.databases.mariadb import MariaDB
from tests.support.databases.postgres import Postgres
from tests.support.databases.server import DatabaseServer, NotHere

Kind = Literal["postgresql", "mariadb", "sqlite"]

LEVELS: dict[Kind, tuple[str, ...]] = {
    "postgresql": ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"),
    "mariadb": ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"),
    "sqlite": ("READ UNCOMMITTED", "SERIALIZABLE"),
}
"""Every isolation level with transactions that each of them offers."""

REQUIRED = "RESAGA_TEST_DATABASES"
"""Set to ``required`` by CI: there, a database that is not here is no reason to skip."""

_SERVERS: dict[Kind, Callable[[], DatabaseServer]] = {"postgresql": Postgres, "mariadb": MariaDB}


@dataclass(frozen=True, slots=True)
class Given:
    """A database for one test.

    Attributes:
        kind: Which one.
        url: SQLAlchemy's address, for plain engines.
        async_url: The same, for async ones.
    """

    kind: Kind
    url: str
    async_url: str

    def engine(self, **options: Any) -> Engine:
        """A plain engine whose connections end when they are given back."""
        return create_engine(self.url, **{"poolclass": NullPool, **options})

    def async_engine(self, **options: Any) -> AsyncEngine:
        """The same, async."""
        return create_async_engine(self.async_url, **{"poolclass": NullPool, **options})


class Databases:
    """The servers of this test process."""

    def __init__(self) -> None:
        self._servers: dict[Kind, DatabaseServer] = {}

    def get(self, kind: Kind, folder: Path, *, asyncpg: bool = False) -> Given:
        """A database, which may hold what the tests before have left in it.

        Where the machine has none, the test is skipped, and says so; in CI it fails.
        """
        if kind == "sqlite":
            file = folder / "database.sqlite"
            return Given(kind, f"sqlite:///{file}", f"sqlite+aiosqlite:///{file}")
        server = self._servers.get(kind)
        if server is None:
            try:
                server = self._servers[kind] = _SERVERS[kind]()
            except NotHere as missing:
                if os.environ.get(REQUIRED) == "required":
                    raise
                pytest.skip(f"NOT TESTED ON THIS DATABASE: {missing}")
        if kind == "mariadb":
            return Given(kind, server.url("pymysql"), server.url("aiomysql"))
        other = "asyncpg" if asyncpg else "psycopg"
        return Given(kind, server.url("psycopg"), server.url(other))

    def stop(self) -> None:
        """Stop them all."""
        for server in self._servers.values():
            server.close()
