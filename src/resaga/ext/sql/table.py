"""The barrier's table."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Final, Never, overload

from sqlalchemy import Column, DateTime, Engine, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["BARRIER_TABLE", "KEY_LENGTH", "barrier_table", "create_barrier_table"]

KEY_LENGTH: Final = 255
"""How many characters a key may have."""

# Keys and names differ in case alone, which MySQL's usual collations do not see.
_KEY: Final = String(KEY_LENGTH).with_variant(
    mysql.VARCHAR(KEY_LENGTH, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
# MySQL's own TEXT ends at 64 KiB.
_JSON: Final = Text().with_variant(
    mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_TIME: Final = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def barrier_table(
    metadata: MetaData | None = None, *, name: str = "resaga_barrier", schema: str | None = None
) -> Table:
    """The table of the barrier, for Alembic or under a name of your own.

    It has one row for each call of a step that went through the barrier: the step's key and name,
    how far it got (``started``, ``done``, ``undone``, ``blocked``), what its action and its
    compensation returned (as JSON), how often the row was there already when one of them came,
    and when it was written (UTC).

    Example::

        class Base(DeclarativeBase): ...


        BARRIER = barrier_table(Base.metadata, schema="app")  # Alembic sees it with your tables
        ...
        await barrier(session, step, debit, order, table=BARRIER)

    Args:
        metadata: Where the table is registered; None: in a `MetaData` of its own.
        name: The table's name.
        schema: The schema it is in; None: the connection's default one.

    Returns:
        The table, to be given as ``table=`` to all functions of `resaga.ext.sql`.

    Raises:
        sqlalchemy.exc.InvalidRequestError: ``metadata`` has another table of this name.
    """
    return Table(
        name,
        MetaData() if metadata is None else metadata,
        Column("key", _KEY, primary_key=True),
        Column("step", _JSON, nullable=False),
        Column("state", String(16), nullable=False),
        Column("result", _JSON),
        Column("undo_result", _JSON),
        Column("repeats", Integer, nullable=False, default=0, server_default="0"),
        Column("created_at", _TIME, nullable=False, index=True),
        schema=schema,
        # The one engine of theirs that has transactions.
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


BARRIER_TABLE: Final = barrier_table()
"""The table that is used where no other is given: ``resaga_barrier`` in the default schema."""


@overload
def create_barrier_table(engine: Engine, *, table: Table = ...) -> None: ...
@overload
def create_barrier_table(
    engine: AsyncEngine, *, table: Table = ...
) -> Coroutine[object, Never, None]: ...
def create_barrier_table(
    engine: Engine | AsyncEngine, *, table: Table = BARRIER_TABLE
) -> Coroutine[object, Never, None] | None:
    """Create the barrier's table, unless it is there; the schema has to be.

    Call it when you deploy, not in steps. Where migrations are made with Alembic, give it
    `barrier_table` instead.

    Example::

        create_barrier_table(engine)
        await create_barrier_table(async_engine)

    Args:
        engine: The database; with an `AsyncEngine`, await the call.
        table: Another table than `BARRIER_TABLE`, made by `barrier_table`.
    """
    if isinstance(engine, AsyncEngine):
        return _create(engine, table)
    with engine.begin() as connection:
        table.create(connection, checkfirst=True)
    return None


async def _create(engine: AsyncEngine, table: Table) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: table.create(sync, checkfirst=True))
