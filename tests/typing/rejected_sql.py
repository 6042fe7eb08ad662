"""Mistakes with the barrier that both type checkers tell."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from resaga import CompensationContext, StepContext
from resaga.ext.sql import barrier, barrier_sync


async def take(session: AsyncSession, amount: int) -> float:
    return 1.0


async def put_back(session: AsyncSession, taken: float) -> None: ...


def take_sync(session: Session) -> float:
    return 1.0


async def mistakes(
    session: AsyncSession, plain: Session, step: StepContext, undo: CompensationContext
) -> None:
    await barrier(session, step, take)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await barrier(session, step, take, "1")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await barrier(session, step, take, 1, 2)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await barrier(session, step, take_sync)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await barrier(plain, step, take, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await barrier(session, step, put_back)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await barrier(session, undo, put_back, 1)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await barrier(session, "step", take, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    barrier_sync(session, step, take_sync)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    barrier(session, step, take, 1)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
