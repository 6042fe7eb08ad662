"""Removing the barrier's old rows."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Final, Never, overload

from sqlalchemy import Connection, Table, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from resaga.errors import MisuseError
from resaga.ext.sql.table import BARRIER_TABLE

__all__ = ["prune_barrier"]

_BATCH: Final = 1000


@overload
def prune_barrier(
    connection: Connection, *, older_than: timedelta, batch_size: int = ..., table: Table = ...
) -> int: ...
@overload
def prune_barrier(
    connection: AsyncConnection,
    *,
    older_than: timedelta,
    batch_size: int = ...,
    table: Table = ...,
) -> Coroutine[object, Never, int]: ...
def prune_barrier(
    connection: Connection | AsyncConnection,
    *,
    older_than: timedelta,
    batch_size: int = _BATCH,
    table: Table = BARRIER_TABLE,
) -> int | Coroutine[object, Never, int]:
    """Remove the rows of sagas that are long over, a batch at a time.

    Each batch is a short transaction of its own, which locks the old rows it removes and nothing
    else, so that sagas go on meanwhile. It may be stopped at any time, and run by several at once.

    **A row is what tells a compensation that there is something to undo.** Let ``older_than`` be
    longer than any of your sagas can take, the time that one may be paused for an operator and the
    time that Restate retries included: weeks rather than hours. Once its row is gone, a
    compensation takes the step for one that never happened, and an action that is still on its
    way runs.

    Example::

        with engine.connect() as connection:
            prune_barrier(connection, older_than=timedelta(days=90))

    Args:
        connection: A connection that is in no transaction; with an `AsyncConnection`, await the
            call.
        older_than: How long ago a row must have been written, by this machine's clock.
        batch_size: How many rows one transaction removes.
        table: Another table than `BARRIER_TABLE`.

    Returns:
        How many rows were removed.

    Raises:
        MisuseError: ``older_than`` or ``batch_size`` is not positive, or the connection is in a
            transaction. Nothing was removed.
    """
    if older_than <= timedelta(0):
        raise MisuseError(
            f"prune_barrier: older_than is {older_than}, which would remove the rows of sagas that "
            "still run. Give a time longer than any saga takes, timedelta(days=90) say."
        )
    if batch_size < 1:
        raise MisuseError(f"prune_barrier: batch_size is {batch_size}. Give 1 or more.")
    if connection.in_transaction():
        raise MisuseError(
            "prune_barrier: the connection is in a transaction, in which every batch would stay "
            "locked until its end. Give a fresh one: with engine.connect() as connection."
        )
    before = datetime.now(UTC).replace(tzinfo=None) - older_than
    if isinstance(connection, AsyncConnection):
        return connection.run_sync(_prune, table, before, batch_size)
    return _prune(connection, table, before, batch_size)


def _prune(connection: Connection, table: Table, before: datetime, batch_size: int) -> int:
    # Two statements, since MySQL neither limits a subquery nor deletes from what it selects.
    old = (
        select(table.c.key)
        .where(table.c.created_at < before)
        .order_by(table.c.created_at)
        .limit(batch_size)
    )
    removed = 0
    while True:
        with connection.begin():
            keys = connection.scalars(old).all()
            if not keys:
                return removed
            removed += _delete(connection, table, sorted(keys))


def _delete(connection: Connection, table: Table, keys: list[str]) -> int:
    """Delete rows, in one order, so that two who prune at once wait and do not deadlock."""
    if connection.dialect.name in ("postgresql", "sqlite"):
        return connection.execute(delete(table).where(table.c.key.in_(keys))).rowcount
    # For several at once, InnoDB may read, and so lock, the whole table.
    one = delete(table).where(table.c.key == bindparam("the_key"))
    return sum(connection.execute(one, {"the_key": key}).rowcount for key in keys)
