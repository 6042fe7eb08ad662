"""How much longer a transaction takes with the barrier in it, on PostgreSQL on the loopback.

    .venv/bin/python -m scripts.barrier_latency

The transaction changes one row and inserts another. It is run bare and with the barrier, in turn,
so that whatever else the machine does meets both; what is told is the median, and its ratio to
the bare one. The server does not wait for the disk (fsync=off), which makes the barrier look as
dear as it can get.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from resaga import CompensationContext, StepContext
from resaga.ext.sql import barrier
from tests.support.bank import ACCOUNTS, MOVES, open_bank
from tests.support.databases.given import Databases

ROUNDS = 400
WARM = 40


async def effect(session: AsyncSession) -> int:
    """What a step does, two statements, with a result to keep."""
    changed = ACCOUNTS.c.balance - 1
    await session.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == 0).values(balance=changed))
    await session.execute(insert(MOVES).values(saga="s", what="w"))
    return 1


async def effect_only(session: AsyncSession) -> None:
    """The same, without a result."""
    await effect(session)


async def undo(session: AsyncSession, _stored: int) -> None:
    """What its compensation does: as much."""
    await effect(session)


def forward(key: str) -> StepContext:
    return StepContext(name="S", saga_id="s", idempotency_key=key, services=None)


def backward(key: str) -> CompensationContext:
    return CompensationContext(
        name="S",
        saga_id="s",
        idempotency_key=f"{key}.undo",
        forward_idempotency_key=key,
        services=None,
        input=None,
        has_data=False,
        outcome="unknown",
    )


async def measure(url: str) -> dict[str, float]:
    """The median of each kind of transaction, in milliseconds."""
    engine = create_async_engine(url)
    sessions = async_sessionmaker(engine)

    async def bare(_key: str) -> None:
        async with sessions.begin() as session:
            await effect(session)

    async def with_result(key: str) -> None:
        async with sessions.begin() as session:
            await barrier(session, forward(key), effect)

    async def without(key: str) -> None:
        async with sessions.begin() as session:
            await barrier(session, forward(f"{key}n"), effect_only)

    async def again(key: str) -> None:
        async with sessions.begin() as session:
            await barrier(session, forward(key), effect)

    async def back(key: str) -> None:
        async with sessions.begin() as session:
            await barrier(session, backward(key), undo)

    kinds: dict[str, Callable[[str], Awaitable[None]]] = {
        "bare": bare,
        "step with a result": with_result,
        "step without": without,
        "repeat": again,
        "compensation": back,
    }
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(WARM + ROUNDS):
        key = uuid.uuid4().hex
        for name, act in kinds.items():
            begun = time.perf_counter()
            await act(key)
            took[name].append(time.perf_counter() - begun)
    await engine.dispose()
    return {name: 1000 * statistics.median(times[WARM:]) for name, times in took.items()}


def main() -> None:
    """Measure with both drivers."""
    databases = Databases()
    with tempfile.TemporaryDirectory() as folder:
        for asyncpg in (False, True):
            given = databases.get("postgresql", Path(folder), asyncpg=asyncpg)
            open_bank(given.engine(), 1)
            medians = asyncio.run(measure(given.async_url))
            print(f"{'asyncpg' if asyncpg else 'psycopg'}:")
            for name, median in medians.items():
                print(f"  {name:<20} {median:6.2f} ms  {median / medians['bare']:.2f} x")
    databases.stop()


if __name__ == "__main__":
    main()
