"""What cannot work is refused with a clear error, before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from resaga import CodecError, MisuseError, UnsupportedTypeError
from resaga.action import call
from resaga.contexts import leave
from resaga.ext.sql import barrier, barrier_sync, barrier_table
from tests.ext.sql.effects import (
    EFFECTS,
    PAID,
    Paid,
    backward,
    durable,
    effects,
    forward,
    pay,
    pay_sync,
    refund_sync,
    states,
)
from tests.support.databases.given import Given


@pytest.fixture(autouse=True)
def _nothing_written(engine: Engine) -> Iterator[None]:
    """Whatever is refused leaves the database as it was."""
    yield
    assert effects(engine) == []
    assert states(engine) == {}


def refused(session: Any, step: Any, action: Any, *args: Any, match: str, **how: Any) -> None:
    """The barrier refuses it, and sends nothing to the database before that."""
    sent: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    engine = session.get_bind() if isinstance(session, Session) else session.engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        with pytest.raises(MisuseError, match=match):
            barrier_sync(session, step, action, *args, **how)
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    assert sent == []


def test_no_transaction(engine: Engine) -> None:
    match = r"the session is in no transaction.*Begin one around the barrier"
    with Session(engine) as session:
        refused(session, forward(), pay_sync, match=match)
    with engine.connect() as connection:
        refused(connection, forward(), pay_sync, match=match)


async def test_no_transaction_async(async_engine: AsyncEngine) -> None:
    async with AsyncSession(async_engine) as session:
        with pytest.raises(MisuseError, match="in no transaction"):
            await barrier(session, forward(), pay)
    async with async_engine.connect() as connection:
        with pytest.raises(MisuseError, match="in no transaction"):
            await barrier(connection, forward(), pay)


@pytest.mark.parametrize("of", ["engine", "options", "connection"])
def test_autocommit(given: Given, of: str) -> None:
    engine = given.engine(**({"isolation_level": "AUTOCOMMIT"} if of == "engine" else {}))
    if of == "options":
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    match = "autocommit mode.*another isolation_level than AUTOCOMMIT"
    with engine.connect() as connection:
        if of == "connection":
            connection.execution_options(isolation_level="AUTOCOMMIT")
        with connection.begin():
            refused(connection, forward(), pay_sync, match=match)
        with Session(connection) as session, session.begin():
            refused(session, forward(), pay_sync, match=match)


async def test_autocommit_async(given: Given) -> None:
    engine = given.async_engine(isolation_level="AUTOCOMMIT")
    async with AsyncSession(engine) as session, session.begin():
        with pytest.raises(MisuseError, match="autocommit mode"):
            await barrier(session, forward(), pay)
    await engine.dispose()


def test_sqlite_that_is_begun_by_hand_is_fine(given: Given) -> None:
    """SQLAlchemy's recipe for savepoints in SQLite: the driver commits by itself, and does not."""
    if given.kind != "sqlite":
        return
    engine = given.engine()

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    with Session(engine) as session, session.begin() as transaction:
        assert barrier_sync(session, forward(), pay_sync) == PAID
        transaction.rollback()


def test_no_table(engine: Engine) -> None:
    other = barrier_table(name="not_there")
    for session in (Session(engine), engine.connect()):
        with session, session.begin() as transaction:
            with pytest.raises(MisuseError, match=r"no table not_there .*create_barrier_table"):
                barrier_sync(session, forward(), pay_sync, table=other)
            assert not transaction.is_active


async def test_no_table_async(async_engine: AsyncEngine) -> None:
    other = barrier_table(name="not_there")
    with pytest.raises(MisuseError, match=r"no table not_there .*create_barrier_table"):
        async with AsyncSession(async_engine) as session, session.begin():
            await barrier(session, forward(), pay, table=other)


def test_a_result_type_that_json_cannot_carry(engine: Engine) -> None:
    def act(session: Session) -> object:
        return pay_sync(session)

    def files(session: Session) -> Engine:
        pay_sync(session)
        return engine

    with Session(engine) as session, session.begin():
        refused(session, forward(), files, match="Engine cannot go through JSON")
        with pytest.raises(UnsupportedTypeError, match=r"step 'Pay'.*the result of its action"):
            barrier_sync(session, forward(), files)
        refused(session, backward(), refund_sync, stored_type=Engine, match=r"Engine.*through JSON")
    with (
        pytest.raises(CodecError, match=r"'Pay'.*cannot be stored.*rolled back"),
        Session(engine) as session,
        session.begin(),
    ):
        barrier_sync(session, forward(), act)


def test_a_result_that_is_not_of_its_type(engine: Engine) -> None:
    def act(session: Session) -> int:
        pay_sync(session)
        return "five"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    def nothing(session: Session) -> None:
        pay_sync(session)
        return 5  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    for action in (act, nothing):
        with Session(engine) as session, session.begin() as transaction:
            with pytest.raises(CodecError, match=r"'Pay'.*cannot be stored"):
                barrier_sync(session, forward(), action)
            assert not transaction.is_active


async def test_a_session_of_the_other_kind(engine: Engine, async_engine: AsyncEngine) -> None:
    wrong: Any = Session(engine)
    with pytest.raises(MisuseError, match=r"is Session.*Use barrier_sync"):
        await barrier(wrong, forward(), pay)
    wrong = AsyncSession(async_engine)
    with pytest.raises(MisuseError, match=r"is AsyncSession.*await barrier"):
        barrier_sync(wrong, forward(), pay_sync)
    wrong = 5
    with pytest.raises(MisuseError, match=r"is int.*Session or Connection"):
        barrier_sync(wrong, forward(), pay_sync)


async def test_actions_that_cannot_be(engine: Engine, async_engine: AsyncEngine) -> None:
    async def act(session: object) -> None: ...

    def note_sync(session: Session) -> None: ...

    def gives(session: Session) -> Iterator[int]:
        yield 1

    async def agives(session: Session) -> AsyncIterator[int]:
        yield 1

    with engine.begin() as connection:
        refused(connection, forward(), act, match=r"is async.*use barrier with an AsyncSession")
        refused(connection, forward(), gives, match=r"'Pay'.*its action is a generator")
        refused(connection, forward(), agives, match=r"'Pay'.*its action is a generator")
        refused(connection, forward(), 5, match=r"'Pay'.*its action is 5")
        refused(connection, forward(), pay_sync, 1, 2, match=r"cannot be called as action\(session")
        refused(connection, forward(), lambda: 5, match=r"cannot be called as action\(session, \.")
        refused(connection, backward(), note_sync, match=r"as action\(session, stored, \.\.\.\)")
        refused(connection, forward(), pay_sync, stored_type=int, match="stored_type= is for")
    plain: Any = pay_sync
    with pytest.raises(MisuseError, match="is no async function"):
        async with async_engine.begin() as started:
            await barrier(started, forward(), lambda session: plain)


def test_what_is_no_context(engine: Engine) -> None:
    with engine.begin() as connection:
        refused(connection, "inv_1", pay_sync, match=r"`step` is str.*the context")
        refused(connection, forward("x" * 256), pay_sync, match="longer than 255 characters")


async def test_a_context_inside_another_step(engine: Engine) -> None:
    def nothing() -> Callable[[], None]:
        return lambda: None

    async def inside(own: Any, step: Any, action: Any, *, fine: bool) -> None:
        async def run() -> str:
            with engine.connect() as connection, connection.begin() as transaction:
                if fine:
                    barrier_sync(connection, step, action)
                    transaction.rollback()
                else:
                    refused(connection, step, action, match=r"used inside .*this very function")
            return "went as expected"

        told: str = await call(
            run, where="step 'Pay' of saga Order", threaded=False, begin=nothing, given=own
        )
        assert told

    await inside(forward(), forward(), pay_sync, fine=True)
    await inside(forward("inv_1.2"), forward(), pay_sync, fine=False)
    await inside(forward(), backward(), refund_sync, fine=False)
    await inside(backward(), backward(), refund_sync, fine=True)
    await inside(backward(), forward(), pay_sync, fine=False)
    # An action in durable code has none of its own; then only those of durable code are fine.
    await inside(None, forward(), pay_sync, fine=False)
    await inside(None, durable(forward()), pay_sync, fine=True)


def test_a_context_whose_function_has_ended(engine: Engine) -> None:
    match = r"context of (the compensation of )?step 'Pay' is used after that has ended"
    steps: list[tuple[Any, Any]] = [
        (forward(), pay_sync),
        (backward(), refund_sync),
        (durable(forward()), pay_sync),
    ]
    for step, action in steps:
        leave(step)
        with engine.connect() as connection, connection.begin():
            refused(connection, step, action, match=match)


def test_an_action_that_fails_is_never_committed(engine: Engine) -> None:
    """Neither half done, nor under a row that says it is done, whoever catches the error."""

    def fail(session: Session) -> None:
        session.execute(insert(EFFECTS).values(name="half"))
        raise ValueError("no")

    with Session(engine) as session, session.begin():
        with pytest.raises(ValueError, match="no"):
            barrier_sync(session, forward(), fail)
        with pytest.raises(InvalidRequestError, match="closed transaction"):
            session.execute(text("SELECT 1"))
    session = Session(engine)
    session.begin()
    with pytest.raises(ValueError, match="no"):
        barrier_sync(session, forward(), fail)
    session.commit()
    session.close()


async def test_an_action_that_is_cut_off_is_never_committed(async_engine: AsyncEngine) -> None:
    async def hang(session: AsyncSession) -> None:
        await session.execute(insert(EFFECTS).values(name="half"))
        await asyncio.Event().wait()

    async with AsyncSession(async_engine) as session:
        begun = await session.begin()
        assert begun.is_active
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await barrier(session, forward(), hang)
        await session.commit()


def test_an_action_that_ends_the_transaction_by_rolling_back(engine: Engine) -> None:
    def act(session: Session) -> Paid:
        pay_sync(session)
        session.rollback()
        return PAID

    with Session(engine) as session:
        session.begin()
        with pytest.raises(MisuseError, match=r"'Pay'.*ended the transaction.*commit"):
            barrier_sync(session, forward(), act)


def test_the_amount_is_shown_to_nobody(engine: Engine) -> None:
    """R24: neither values nor keys stand in messages."""

    def act(session: Session) -> dict[str, int]:
        wrong: dict[str, Any] = {"secret": Decimal("4711.25")}
        return wrong

    with (
        pytest.raises(CodecError) as caught,
        Session(engine) as session,
        session.begin(),
    ):
        barrier_sync(session, forward("inv_key"), act)
    assert "4711" not in str(caught.value)
    assert "inv_key" not in str(caught.value)
    assert caught.value.__context__ is None
