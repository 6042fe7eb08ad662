"""The folder that a demo and its workers share, and what is where in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

__all__ = ["VARIABLE", "DemoFolder"]

VARIABLE = "RESAGA_DEMO_FOLDER"
"""The environment variable by which a worker of the demo knows its folder."""


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Paths in the folder of one demo.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def database(self) -> Path:
        """The shop's SQLite database."""
        return self.path / "shop.db"

    @property
    def pipe(self) -> Path:
        """The named pipe by which workers tell what happens."""
        return self.path / "events"

    @property
    def trap(self) -> Path:
        """The file that is there while a trap is set."""
        return self.path / "trap"

    def engine(self) -> AsyncEngine:
        """An engine on the database.

        It keeps no connections: each has a thread, which a worker that stops would have to end.
        """
        return create_async_engine(f"sqlite+aiosqlite:///{self.database}", poolclass=NullPool)
