"""The barrier in sagas on a real server, whose workers die, or sleep, at the worst moment."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from restate import TerminalError
from sqlalchemy import Column, Integer, MetaData, NullPool, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from resaga import (
    DurableCompensationContext,
    DurableStepContext,
    MisuseError,
    Saga,
    StepContext,
    create_saga_step,
    saga_workflow,
)
from resaga.ext.sql import barrier, create_barrier_table
from tests.support import Flavour, Rig, until
from tests.support.bank import (
    BALANCE,
    Order,
    Plan,
    Workers,
    balances,
    moves,
    open_bank,
    repeats,
)
from tests.support.databases.given import Databases, Given, Kind
from tests.support.serving import Protocol
from tests.support.wire import wire_to

pytestmark = pytest.mark.xdist_group("databases")


KINDS: dict[Flavour, Kind] = {
    "normal": "postgresql",
    "replay": "mariadb",
    "serverless": "postgresql",
}


@pytest.fixture
def given(flavour: Flavour, databases: Databases, tmp_path: Path) -> Given:
    """One database or the other; the tests in tests/ext/sql are for all that differs in them."""
    return databases.get(KINDS[flavour], tmp_path)


@contextmanager
def workers(plan: Plan, *, slow: bool = False) -> Generator[Workers]:
    running = Workers(plan, slow=slow)
    try:
        yield running
    finally:
        running.stop()


def plan_of(rig: Rig, url: str, folder: Path) -> Plan:
    protocol: Protocol | None = "request_response" if rig.flavour == "serverless" else None
    return Plan(url, rig.name("Bank"), folder, protocol)


async def test_workers_die_between_commit_and_acknowledgement(
    rig: Rig, given: Given, tmp_path: Path
) -> None:
    """Six deaths in two sagas; each effect happens once all the same."""
    engine = given.engine()
    open_bank(engine, 4)
    plan = plan_of(rig, given.async_url, tmp_path)
    with workers(plan) as bank:
        await rig.restate.register(f"http://127.0.0.1:{bank.port}")
        good = Order(0, 1, 100, dies=("Debit", "Credit"))
        bad = Order(2, 3, 50, fails=True, dies=("Debit", "Credit", "undo Credit", "undo Debit"))
        first = await rig.send(plan.service, vars_of(good))
        second = await rig.send(plan.service, vars_of(bad))
        assert await first.result() == "transferred"
        error = await second.error()
        assert (error.code, error.message) == (409, "refused")
        await until(lambda: bank.deaths == 6, "six deaths are counted")
    assert moves(engine, first.id) == ["Debit", "Credit"]
    assert moves(engine, second.id) == ["Debit", "Credit", "undo Credit", "undo Debit"]
    assert balances(engine) == {0: BALANCE - 100, 1: BALANCE + 100, 2: BALANCE, 3: BALANCE}
    assert repeats(engine) >= 6


def vars_of(order: Order) -> dict[str, object]:
    return {name: getattr(order, name) for name in Order.__slots__}


async def test_a_stopped_worker_wakes_up_after_the_rollback(
    rig: Rig, given: Given, tmp_path: Path
) -> None:
    """Hanging: its action goes on, finds itself abandoned, and has no effect."""
    engine = given.engine()
    open_bank(engine, 1)
    plan = plan_of(rig, given.url, tmp_path)
    with workers(plan, slow=True) as first, workers(plan, slow=True) as second:
        async with wire_to(first.port) as wire:
            await rig.restate.register(f"http://127.0.0.1:{wire.port}")
            saga = await rig.send(plan.service, "order")
            await until(
                lambda: rig.ledger.has_flag(f"begun order {first.pid}"), "the action has begun"
            )
            os.kill(first.pid, signal.SIGSTOP)
            wire.lead_to(second.port)
            await saga.cancel()
            wire.cut()
            error = await saga.error()
            assert (error.code, error.message) == (409, "cancelled")
            assert moves(engine, saga.id) == []
            rig.ledger.raise_flag("go on order")
            os.kill(first.pid, signal.SIGCONT)
            await until(lambda: rig.ledger.count("note abandoned") > 0, "it was abandoned")
            assert rig.ledger.payload("note abandoned") == first.pid
    assert moves(engine, saga.id) == []


async def test_by_durable_steps(rig: Rig, tmp_path: Path) -> None:
    """Their bodies run again on every replay, and the barrier holds that off.

    What they journal with ``ctx.run`` does not, and the barrier holds off the repeats of that.
    """
    engine = await notes_of(tmp_path)

    async def run(step: DurableStepContext) -> str:
        async with AsyncSession(engine) as session, session.begin():
            got = await barrier(session, step, write, step.name)
        await step.ctx.run_typed("between", lambda: "done")
        return got

    async def undo(step: DurableCompensationContext, _data: object) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await barrier(session, step, write_back)

    async def run_journaled(step: DurableStepContext) -> str:
        return await step.ctx.run_typed("write", lambda: run_within(step))

    async def run_within(step: DurableStepContext) -> str:
        async with AsyncSession(engine) as session, session.begin():
            return await barrier(session, step, write, step.name)

    async def undo_journaled(step: DurableCompensationContext, _data: object) -> None:
        await step.ctx.run_typed("write back", lambda: undo(step, None))

    steps = [
        create_saga_step("Note", run, undo, durable=True),
        create_saga_step("Other", run_journaled, undo_journaled, durable=True),
    ]

    @saga_workflow(rig.name("Durable"))
    async def workflow(saga: Saga) -> None:
        for step in steps:
            await step(saga)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (409, "no")
    async with engine.connect() as connection:
        written = (await connection.scalars(select(NOTES.c.text).order_by(NOTES.c.id))).all()
    assert written == ["Note", "Other", "not Other", "not Note"]
    await engine.dispose()


async def test_a_context_outside_its_step_is_refused(rig: Rig, tmp_path: Path) -> None:
    """In the body, in another step's action, in what a step left behind, in its next call."""
    engine = await notes_of(tmp_path)
    kept: list[StepContext] = []
    told: list[str] = []

    async def use(step: StepContext) -> None:
        try:
            async with AsyncSession(engine) as session, session.begin():
                await barrier(session, step, write, "x")
        except MisuseError as misuse:
            told.append(str(misuse))

    async def keep(step: StepContext) -> None:
        if kept:
            await use(kept[0])  # Its own is another one.
        kept.append(step)

    async def use_kept(_step: StepContext) -> None:
        await use(kept[0])

    left: list[asyncio.Task[None]] = []

    async def leave(step: StepContext) -> None:
        async def late() -> None:
            await until(lambda: step.over, "the action has ended")
            await use(step)

        left.append(asyncio.create_task(late()))

    first, second = create_saga_step("First", keep), create_saga_step("Second", use_kept)
    third = create_saga_step("Third", leave)

    @saga_workflow(rig.name("Outside"))
    async def workflow(saga: Saga) -> None:
        await first(saga)
        if kept:
            await use(kept[0])
        # One that is not over: made by hand, or of a branch beside this one.
        await use(StepContext(name="Hand", saga_id=saga.id, idempotency_key="k", services=None))
        await first(saga)
        await second(saga)
        await third(saga)

    await rig.serve(workflow)
    await rig.call(workflow)
    await asyncio.gather(*left)
    assert {message.partition(", ")[0] for message in told} == {
        "barrier: the context of step 'First' is used after that has ended",
        "barrier: the context of step 'Third' is used after that has ended",
        "barrier: the context of step 'Hand' is used outside of it",
    }
    assert len(told) >= 5
    async with engine.connect() as connection:
        assert (await connection.scalars(select(NOTES.c.text))).all() == []
    await engine.dispose()


NOTES = Table(
    "notes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(100)),
)


async def write(session: AsyncSession, text: str) -> str:
    await session.execute(insert(NOTES).values(text=text))
    return text


async def write_back(session: AsyncSession, text: str) -> None:
    await session.execute(insert(NOTES).values(text=f"not {text}"))


async def notes_of(folder: Path) -> AsyncEngine:
    """An SQLite database that has the tables."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/notes.sqlite", poolclass=NullPool)
    await create_barrier_table(engine)
    async with engine.begin() as connection:
        await connection.run_sync(NOTES.metadata.create_all)
    return engine
