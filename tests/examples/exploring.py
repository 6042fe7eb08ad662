"""An example in the test's own process: its module, on a database of its own."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, delete, insert, text
from sqlalchemy.pool import NullPool

from resaga.ext.sql import create_barrier_table

Rows = dict[str, list[dict[str, object]]]


class Example:
    """An example that can be explored.

    Attributes:
        app: Its module.
    """

    def __init__(
        self, name: str, tables: MetaData, folder: Path, patch: pytest.MonkeyPatch, rows: Rows
    ) -> None:
        file = folder / f"{name}.sqlite"
        self._tables = tables
        self._rows = rows
        self._engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
        create_barrier_table(self._engine)
        tables.create_all(self._engine)
        # As the worker's environment has it; the module reads it when it is imported. An action
        # that is cut off may keep its lock until SQLAlchemy has closed its connection, and the
        # next attempt would wait 5 s for that, as if nothing could be tried again.
        patch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{file}?timeout=0.5")
        self.app: Any = importlib.import_module(f"examples.{name}.app")

    async def as_it_was(self) -> None:
        """Put the database in the order in which every saga finds it."""
        with self._engine.begin() as connection:
            for table in reversed(self._tables.sorted_tables):
                connection.execute(delete(table))
                if rows := self._rows.get(table.name):
                    connection.execute(insert(table), rows)

    async def everything(self) -> object:
        """What is in its tables."""
        return {name: self.ask(f"SELECT * FROM {name}") for name in sorted(self._tables.tables)}

    def ask(self, query: str) -> Sequence[tuple[object, ...]]:
        """The rows that a query finds."""
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
