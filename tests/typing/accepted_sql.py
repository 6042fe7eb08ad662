"""What the type checkers make of the barrier."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from resaga import CompensationContext, DurableStepContext, StepContext
from resaga.ext.sql import barrier, barrier_sync, create_barrier_table, prune_barrier


class Bank: ...


async def take(session: AsyncSession, account: str, amount: int) -> float:
    return 1.0


async def note(session: AsyncSession) -> None: ...


async def put_back(session: AsyncSession, taken: float, reason: str) -> str:
    return "x"


async def steps(
    session: AsyncSession,
    step: StepContext[Bank],
    durable: DurableStepContext[Bank],
    undo: CompensationContext[Bank, int],
) -> None:
    assert_type(await barrier(session, step, take, "a", 1), float)
    assert_type(await barrier(session, durable, take, "a", 1), float)
    assert_type(await barrier(session, step, lambda s: take(s, "a", 1), result_type=float), float)
    assert_type(await barrier(session, undo, put_back, "why"), str | None)
    await barrier(session, step, note)


async def connections(connection: AsyncConnection, step: StepContext) -> None:
    async def act(connection: AsyncConnection) -> list[int]:
        return []

    assert_type(await barrier(connection, step, act), list[int])
    await create_barrier_table(create_async_engine("sqlite+aiosqlite://"))
    assert_type(await prune_barrier(connection, older_than=timedelta(days=90)), int)


def plain(
    session: Session, connection: Connection, step: StepContext, undo: CompensationContext
) -> None:
    def act(session: Session | Connection, amount: int) -> list[int]:
        return []

    def act_back(session: Session | Connection, stored: list[int]) -> bool:
        return True

    assert_type(barrier_sync(session, step, act, 1), list[int])
    assert_type(barrier_sync(connection, step, act, 1), list[int])
    assert_type(barrier_sync(session, undo, act_back), bool | None)
    create_barrier_table(create_engine("sqlite://"))
    assert_type(prune_barrier(connection, older_than=timedelta(days=90)), int)
