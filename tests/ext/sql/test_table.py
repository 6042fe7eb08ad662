"""The table: made here or by Alembic, under any name and schema; and its old rows."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, MetaData, Table, event, func, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Session

from resaga import MisuseError
from resaga.ext.sql import (
    BARRIER_TABLE,
    barrier_sync,
    barrier_table,
    create_barrier_table,
    prune_barrier,
)
from tests.ext.sql.effects import PAID, REFUND, backward, effects, forward, pay_sync, refund_sync
from tests.support.databases.given import Given


@pytest.fixture
def other(engine: Engine) -> Iterator[Table]:
    """A table of another name in another schema, which is not there yet."""
    schema = {"postgresql": "app", "mysql": "app", "sqlite": None}[engine.dialect.name]
    with engine.begin() as connection:
        if schema is not None:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    table = barrier_table(name="once", schema=schema)
    yield table
    with engine.begin() as connection:
        table.drop(connection, checkfirst=True)
        if schema is not None:
            connection.execute(text(f"DROP SCHEMA {schema}"))


def test_another_name_and_schema(engine: Engine, other: Table) -> None:
    create_barrier_table(engine, table=other)
    create_barrier_table(engine, table=other)
    for _ in range(2):
        with Session(engine) as session, session.begin():
            assert barrier_sync(session, forward(), pay_sync, table=other) == PAID
    for _ in range(2):
        with Session(engine) as session, session.begin():
            assert barrier_sync(session, backward(), refund_sync, table=other) == "refunded"
    assert effects(engine) == ["pay", REFUND]
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(other)) == 1
        assert connection.scalar(select(func.count()).select_from(BARRIER_TABLE)) == 0


async def test_by_an_async_engine(async_engine: AsyncEngine, engine: Engine, other: Table) -> None:
    await create_barrier_table(async_engine, table=other)
    await create_barrier_table(async_engine, table=other)
    assert inspect(engine).has_table("once", schema=other.schema)


def test_metadata_for_alembic(given: Given) -> None:
    class Base(DeclarativeBase):
        metadata = MetaData()

    table = barrier_table(Base.metadata, name="of_alembic")
    assert Base.metadata.tables == {"of_alembic": table}
    engine = given.engine()
    Base.metadata.create_all(engine)
    columns = {column["name"] for column in inspect(engine).get_columns("of_alembic")}
    assert columns == set(table.columns.keys())
    Base.metadata.drop_all(engine)


def fill(engine: Engine, count: int, *, age: timedelta, name: str) -> None:
    when = datetime.now(UTC).replace(tzinfo=None) - age
    rows = [
        {"key": f"{name}{i}", "step": "S", "state": "done", "created_at": when}
        for i in range(count)
    ]
    with engine.begin() as connection:
        connection.execute(insert(BARRIER_TABLE), rows)


def left(engine: Engine) -> int | None:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(BARRIER_TABLE))


def test_old_rows_are_removed_in_batches(engine: Engine) -> None:
    fill(engine, 25, age=timedelta(days=91), name="old")
    fill(engine, 5, age=timedelta(days=89), name="new")
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    with engine.connect() as connection:
        removed = prune_barrier(connection, older_than=timedelta(days=90), batch_size=10)
        assert removed == 25
        assert len(commits) >= 3
        assert left(engine) == 5
        assert prune_barrier(connection, older_than=timedelta(days=90)) == 0


async def test_old_rows_are_removed_async(engine: Engine, async_engine: AsyncEngine) -> None:
    fill(engine, 25, age=timedelta(days=91), name="old")
    async with async_engine.connect() as connection:
        assert await prune_barrier(connection, older_than=timedelta(days=90), batch_size=10) == 25
    assert left(engine) == 0


def test_pruning_and_sagas_do_not_block_each_other(given: Given) -> None:
    """Between two batches a saga begins, and stays in its transaction until pruning is done."""
    if given.kind == "sqlite":
        return  # It has one writer at a time, whatever that one does.
    engine, another = given.engine(), given.engine()
    fill(engine, 30, age=timedelta(days=91), name="inv_")
    begun, done = threading.Event(), threading.Event()

    def saga() -> None:
        with Session(another) as session, session.begin():
            barrier_sync(session, forward("inv_1_new"), pay_sync)
            begun.set()
            assert done.wait(60)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(saga)
        assert begun.wait(60)
        with engine.connect() as connection:
            assert prune_barrier(connection, older_than=timedelta(days=90), batch_size=10) == 30
        done.set()
        future.result(60)
    assert left(engine) == 1


def test_what_prune_refuses(engine: Engine) -> None:
    fill(engine, 1, age=timedelta(days=91), name="old")
    with engine.connect() as connection:
        for older_than in (timedelta(0), timedelta(days=-1)):
            with pytest.raises(MisuseError, match=r"older_than is .*longer than any saga"):
                prune_barrier(connection, older_than=older_than)
        with pytest.raises(MisuseError, match="batch_size is 0"):
            prune_barrier(connection, older_than=timedelta(days=1), batch_size=0)
        with connection.begin(), pytest.raises(MisuseError, match=r"is in a transaction.*fresh"):
            prune_barrier(connection, older_than=timedelta(days=1))
    assert left(engine) == 1


def test_resaga_without_it_does_not_import_sqlalchemy() -> None:
    program = "import sys, resaga; sys.exit('sqlalchemy' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
