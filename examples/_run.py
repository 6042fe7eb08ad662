"""What every example needs around it: a Restate server, a worker, an empty SQLite database."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import Engine, MetaData, create_engine, text
from sqlalchemy.pool import NullPool

from resaga.ext.sql import create_barrier_table
from resaga.server import RestateServer, Worker

__all__ = ["Running", "running"]

DATABASE_URL = "DATABASE_URL"
"""The variable in which a worker finds its database, as in production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An example that runs.

    Attributes:
        ingress: Where its services are called.
        engine: Its database.
    """

    ingress: str
    engine: Engine

    def post(self, handler: str, value: object, *, headers: Mapping[str, str] | None = None) -> str:
        """Call a handler over HTTP, and give status and body of the answer."""
        # The answer takes as long as the saga does; no proxy stands between.
        with httpx.Client(base_url=self.ingress, timeout=None, trust_env=False) as client:
            answer = client.post(f"/{handler}", json=value, headers=headers)
        return f"{answer.status_code} {answer.text}"

    def show(self, query: str) -> None:
        """Print the rows that a query finds, a line each."""
        with self.engine.connect() as connection:
            for row in connection.execute(text(query)):
                print("  ", *row)


@contextmanager
def running(app: str, tables: MetaData | None = None) -> Generator[Running]:
    """Run an app until the block ends; server, worker and database are gone then.

    Args:
        app: The app, as ``module:name``. It finds its database in ``DATABASE_URL``.
        tables: The tables it needs; that of the barrier is made anyway.
    """
    with tempfile.TemporaryDirectory(prefix="resaga-example-") as folder:
        file = Path(folder) / "example.sqlite"
        engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
        create_barrier_table(engine)
        if tables is not None:
            tables.create_all(engine)
        found_at = {DATABASE_URL: f"sqlite+aiosqlite:///{file}"}
        with RestateServer() as server, Worker(app=app, env=found_at) as worker:
            server.register(worker.uri)
            yield Running(ingress=server.ingress_url, engine=engine)
