"""The barrier in a step and in its compensation, by all of its ways in."""

from __future__ import annotations

import functools
from decimal import Decimal

import pytest
from restate import TerminalError
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from resaga import CompensationContext, DurableCompensationContext, StepContext
from resaga.ext.sql import BARRIER_TABLE, StepAbandoned, barrier, barrier_sync
from tests.ext.sql.effects import (
    EFFECTS,
    PAID,
    REFUND,
    Paid,
    backward,
    durable,
    effects,
    forward,
    note,
    pay,
    pay_sync,
    refund,
    refund_sync,
    states,
)


async def do(engine: AsyncEngine, step: StepContext | None = None, what: str = "pay") -> Paid:
    async with AsyncSession(engine) as session, session.begin():
        return await barrier(session, step or forward(), pay, what)


async def undo(engine: AsyncEngine, step: CompensationContext | None = None) -> str | None:
    async with AsyncSession(engine) as session, session.begin():
        return await barrier(session, step or backward(), refund)


async def test_it_runs_once_and_gives_the_stored_result_again(
    engine: Engine, async_engine: AsyncEngine
) -> None:
    assert await do(async_engine) is PAID
    again = await do(async_engine, what="a second one")
    assert again == PAID
    assert again is not PAID
    assert type(again) is Paid
    assert type(again.amount) is Decimal
    assert effects(engine) == ["pay"]
    assert states(engine) == {"inv_1.1": "done"}
    with engine.connect() as connection:
        row = connection.execute(select(BARRIER_TABLE)).one()
    assert (row.step, row.repeats, row.result) == ("Pay", 1, '{"id":"p-1","amount":"12.50"}')


async def test_keys_that_differ_in_case_alone_are_two(
    engine: Engine, async_engine: AsyncEngine
) -> None:
    await do(async_engine, forward("inv_a"), "a")
    await do(async_engine, forward("inv_A"), "A")
    assert effects(engine) == ["a", "A"]


async def test_the_compensation_gets_the_stored_result_and_runs_once(
    engine: Engine, async_engine: AsyncEngine
) -> None:
    """The context knows no data: what was unknown to the journal is known here."""
    await do(async_engine)
    assert await undo(async_engine) == "refunded"
    assert await undo(async_engine) == "refunded"
    assert effects(engine) == ["pay", REFUND]
    assert states(engine) == {"inv_1.1": "undone"}


async def test_an_effect_is_undone_once_even_under_another_undo_key(
    engine: Engine, async_engine: AsyncEngine
) -> None:
    """A copy of the invocation (restart-as-new) has the same forward key and a new undo key."""
    await do(async_engine)
    await undo(async_engine)
    assert await undo(async_engine, backward(undo="inv_2.1.undo")) == "refunded"
    assert effects(engine) == ["pay", REFUND]


async def test_an_action_that_repeats_after_its_compensation_has_no_effect(
    engine: Engine, async_engine: AsyncEngine
) -> None:
    await do(async_engine)
    await undo(async_engine)
    assert await do(async_engine) == PAID
    assert effects(engine) == ["pay", REFUND]


async def test_without_an_effect_nothing_is_undone_and_the_action_never_runs(
    engine: Engine, async_engine: AsyncEngine
) -> None:
    assert await undo(async_engine) is None
    assert await undo(async_engine) is None
    for _ in range(2):
        with pytest.raises(StepAbandoned, match="'Pay' was abandoned") as caught:
            await do(async_engine)
        assert isinstance(caught.value, TerminalError)
        assert caught.value.status_code == 409
    assert await undo(async_engine) is None
    assert effects(engine) == []
    assert states(engine) == {"inv_1.1": "blocked"}


async def test_an_action_without_a_result(engine: Engine, async_engine: AsyncEngine) -> None:
    async def undo_note(session: AsyncSession, stored: None) -> None:
        assert stored is None
        await note(session)

    for _ in range(2):
        async with AsyncSession(async_engine) as session, session.begin():
            await barrier(session, forward(), note)
    for _ in range(2):
        async with AsyncSession(async_engine) as session, session.begin():
            await barrier(session, backward(), undo_note)
    assert effects(engine) == ["note", "note"]


async def test_connections(engine: Engine, async_engine: AsyncEngine) -> None:
    async def on(connection: AsyncConnection) -> Paid:
        return await pay(connection)

    for _ in range(2):
        async with async_engine.begin() as connection:
            assert await barrier(connection, forward(), on) == PAID
    for _ in range(2):
        async with async_engine.begin() as connection:
            assert await barrier(connection, backward(), refund) == "refunded"
    assert effects(engine) == ["pay", REFUND]


def test_plain_sessions(engine: Engine) -> None:
    for _ in range(2):
        with Session(engine) as session, session.begin():
            assert barrier_sync(session, forward(), pay_sync) == PAID
    for _ in range(2):
        with Session(engine) as session, session.begin():
            assert barrier_sync(session, backward(), refund_sync) == "refunded"
    with Session(engine) as session, session.begin():
        assert barrier_sync(session, backward("inv_1.2"), refund_sync) is None
    with pytest.raises(StepAbandoned), Session(engine) as session, session.begin():
        barrier_sync(session, forward("inv_1.2"), pay_sync)
    assert effects(engine) == ["pay", REFUND]


def test_plain_connections(engine: Engine) -> None:
    for _ in range(2):
        with engine.begin() as connection:
            assert barrier_sync(connection, forward(), pay_sync, "by connection") == PAID
    for _ in range(2):
        with engine.begin() as connection:
            assert barrier_sync(connection, backward(), refund_sync) == "refunded"
    assert effects(engine) == ["by connection", REFUND]


def test_within_a_savepoint(engine: Engine) -> None:
    """What is rolled back with the savepoint has not happened, and can happen again."""
    with Session(engine) as session, session.begin():
        with session.begin_nested() as nested:
            barrier_sync(session, forward(), pay_sync, "undone by the savepoint")
            nested.rollback()
        with session.begin_nested():
            barrier_sync(session, forward(), pay_sync)
    assert effects(engine) == ["pay"]


def test_an_error_within_a_savepoint_leaves_the_rest(engine: Engine) -> None:
    def fail(session: Session) -> Paid:
        pay_sync(session)
        raise ValueError("no")

    with Session(engine) as session, session.begin():
        session.execute(insert(EFFECTS).values(name="before"))
        with pytest.raises(ValueError, match="no"), session.begin_nested():
            barrier_sync(session, forward(), fail)
        session.execute(insert(EFFECTS).values(name="after"))
    assert effects(engine) == ["before", "after"]
    assert states(engine) == {}


def test_the_types_may_be_given(engine: Engine) -> None:
    for _ in range(2):
        with engine.begin() as connection:
            got = barrier_sync(connection, forward(), lambda c: pay_sync(c), result_type=Paid)
            assert got == PAID
    with engine.begin() as connection:
        barrier_sync(connection, backward(), lambda c, paid: refund_sync(c, paid), stored_type=Paid)
    assert effects(engine) == ["pay", REFUND]


def test_plain_json_without_types(engine: Engine) -> None:
    def untyped(connection: Connection, amount: int):  # type: ignore[no-untyped-def]
        pay_sync(connection)
        return {"amount": amount, "tags": ["a", None]}

    for _ in range(2):
        with engine.begin() as connection:
            got = barrier_sync(connection, forward(), untyped, 5)
            assert got == {"amount": 5, "tags": ["a", None]}
    assert effects(engine) == ["pay"]


def test_partials_and_methods(engine: Engine) -> None:
    class Bank:
        def take(self, session: Session, what: str) -> Paid:
            return pay_sync(session, what)

    for _ in range(2):
        with Session(engine) as session, session.begin():
            assert barrier_sync(session, forward("a"), Bank().take, "method") == PAID
            part = functools.partial(Bank().take, what="partial")
            assert barrier_sync(session, forward("b"), part) == PAID
    assert effects(engine) == ["method", "partial"]


async def test_a_name_of_any_text(engine: Engine, async_engine: AsyncEngine) -> None:
    name = "Zahlen \N{EURO SIGN} \U0001f4b6 'x' \0 " + "long " * 200
    await do(async_engine, forward(name=name))
    await do(async_engine, forward(name=name))
    assert await undo(async_engine, backward(name=name)) == "refunded"
    assert effects(engine) == ["pay", REFUND]


async def test_contexts_of_durable_steps(engine: Engine, async_engine: AsyncEngine) -> None:
    nothing: object = None
    compensation = DurableCompensationContext(
        name="Pay",
        saga_id="inv_1",
        idempotency_key="inv_1.1.undo",
        forward_idempotency_key="inv_1.1",
        services=None,
        input=None,
        has_data=False,
        outcome="failed",
        ctx=nothing,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )
    assert await do(async_engine, durable(forward())) == PAID
    assert await undo(async_engine, compensation) == "refunded"
    assert effects(engine) == ["pay", REFUND]


async def test_a_big_result(engine: Engine, async_engine: AsyncEngine) -> None:
    """MySQL's TEXT would end at 64 KiB."""
    text = "\N{EURO SIGN}" * 100_000

    async def write(_session: AsyncSession) -> str:
        return text

    for _ in range(2):
        async with AsyncSession(async_engine) as session, session.begin():
            assert await barrier(session, forward(), write) == text


def test_a_second_connection_sees_nothing_before_the_commit(engine: Engine) -> None:
    connection: Connection
    with engine.connect() as connection, connection.begin() as transaction:
        barrier_sync(connection, forward(), pay_sync)
        transaction.rollback()
    assert effects(engine) == []
    assert states(engine) == {}
