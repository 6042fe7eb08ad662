"""The rows of the barrier, as three statements; it never begins or ends a transaction itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Column, Connection, Executable, Row, Table, bindparam, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from resaga.errors import MisuseError

__all__ = ["DIALECTS", "Found", "State", "enter", "finish"]

State: TypeAlias = Literal["started", "done", "undone", "blocked"]

DIALECTS: Final = ("postgresql", "mysql", "mariadb", "sqlite")

_NO_SUCH_TABLE: Final = ("42P01", "42S02", 1146)
"""What PostgreSQL and MySQL call it; some drivers of MySQL tell its number alone."""


@dataclass(frozen=True, slots=True)
class Found:
    """A row that was there before.

    Attributes:
        step: The name of the step that wrote it.
        state: How far that step got.
        result: What its action returned, as JSON.
        undo_result: What its compensation returned, as JSON.
    """

    step: str
    state: State
    result: str | None
    undo_result: str | None


def enter(
    connection: Connection,
    table: Table,
    *,
    key: str,
    step: str,
    state: State,
    result: str | None,
    look_first: bool,
) -> Found | None:
    """Write the row of ``key``, or find the one that is there; either is locked from here on.

    A transaction that has it at this moment is waited for, at every isolation level: the one
    statement both writes and reads, so that it never goes by an old snapshot. Where the level
    asks for it, the database refuses instead (a serialization failure, a deadlock), and Restate
    tries again.

    Args:
        connection: Where, with a transaction.
        table: The barrier's table.
        key: The forward key.
        step: The name of the step.
        state: What to write if there is no row.
        result: The same.
        look_first: A row is expected. It matters to MySQL alone, which cannot do both at once.

    Returns:
        The row that was there; None if it was written now.

    Raises:
        MisuseError: There is no such table.
        sqlalchemy.exc.DBAPIError: What the database says, a serialization failure among it.
    """
    values: dict[str, object] = {
        "key": key,
        "step": step,
        "state": state,
        "result": result,
        "created_at": datetime.now(UTC).replace(tzinfo=None),
    }
    try:
        if connection.dialect.insert_returning:
            statement = _upsert(table, connection.dialect.name)
            row = connection.execute(statement, values).one()
            return None if row.repeats == 0 else _found(row)
        return _without_returning(connection, table, values, look_first=look_first)
    except DBAPIError as exc:
        if not _is_missing_table(exc):
            raise
        raise MisuseError(
            f"there is no table {table.fullname} in the database of this session. Create it when "
            "you deploy, with create_barrier_table(engine) or with Alembic (barrier_table), or "
            "give the one you have as table=."
        ) from exc


def _without_returning(
    connection: Connection, table: Table, values: dict[str, object], *, look_first: bool
) -> Found | None:
    """`enter` for MySQL itself, whose INSERT cannot give the row that it met."""
    look = _look(table)
    # Looking first locks the gap where no row is, and so others' new rows. That is rare where a
    # row is expected, and saves the second statement.
    row = connection.execute(look, values).one_or_none() if look_first else None
    if row is None:
        written = connection.execute(_plain_upsert(table), values)
        # A row that was met and changed counts as two.
        if written.rowcount == 1:
            return None
        row = connection.execute(look, values).one()
    return _found(row)


def finish(
    connection: Connection,
    table: Table,
    *,
    key: str,
    before: State,
    after: State,
    result: str,
) -> None:
    """Note how the action, or the compensation, went.

    Raises:
        MisuseError: The row is not as it was left; nothing was noted.
    """
    statement = _finish(table, "undo_result" if after == "undone" else "result")
    values = {"the_key": key, "before": before, "after": after, "json": result}
    if connection.execute(statement, values).rowcount != 1:
        raise MisuseError(
            f"the row that the barrier wrote to {table.fullname} was changed or removed by the "
            "action. Leave that table to resaga."
        )


def _found(row: Row[Any]) -> Found:
    return Found(row.step, row.state, row.result, row.undo_result)


def _is_missing_table(error: DBAPIError) -> bool:
    original = error.orig
    code: object = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if code is None and original is not None and original.args:
        code = original.args[0]
    return code in _NO_SUCH_TABLE or (isinstance(code, str) and "no such table" in code)


# What a statement gives is typed differently in SQLAlchemy 2.0 and 2.1, so nothing is said of it.


@lru_cache(maxsize=16)
def _upsert(table: Table, dialect: str) -> Executable:
    again = {"repeats": table.c.repeats + 1}
    if dialect == "postgresql":
        met = postgresql.insert(table).on_conflict_do_update(
            index_elements=[table.c.key], set_=again
        )
        return met.returning(*_columns(table))
    if dialect == "sqlite":
        there = sqlite.insert(table).on_conflict_do_update(index_elements=[table.c.key], set_=again)
        return there.returning(*_columns(table))
    return mysql.insert(table).on_duplicate_key_update(again).returning(*_columns(table))


@lru_cache(maxsize=16)
def _plain_upsert(table: Table) -> Executable:
    return mysql.insert(table).on_duplicate_key_update(repeats=table.c.repeats + 1)


@lru_cache(maxsize=16)
def _look(table: Table) -> Executable:
    found = select(*_columns(table)).where(table.c.key == bindparam("key"))
    return found.with_for_update()


@lru_cache(maxsize=16)
def _finish(table: Table, column: str) -> Executable:
    return (
        update(table)
        .where(table.c.key == bindparam("the_key"), table.c.state == bindparam("before"))
        .values({"state": bindparam("after"), column: bindparam("json")})
    )


def _columns(table: Table) -> tuple[Column[Any], ...]:
    columns = table.c
    return (columns.step, columns.state, columns.result, columns.undo_result, columns.repeats)
