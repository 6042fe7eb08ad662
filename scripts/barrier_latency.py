"""How much longer a transaction takes with the barrier in it, on PostgreSQL on the loopback.

    .venv/bin/python -m scripts.barrier_latency

The transaction changes one row and inserts another. It is run bare and with the barrier, in turn,
so that whatever else the machine does meets both; what is told is the median, and its ratio to
the bare one. The server does not wait for the disk (fsync=off), which makes the barrier look as
dear as it can get.

The last figures are of psycopg alone, without SQLAlchemy, by hand: what the statements themselves
cost, and what would be saved if the one that stores the result could travel with the COMMIT.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import insert, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from resaga import CompensationContext, StepContext
from resaga.ext.sql import barrier
from tests.support.bank import ACCOUNTS, MOVES, open_bank
from tests.support.databases.given import Databases

ROUNDS = 400
ROUNDS_BY_HAND = 4000
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


BEGUN = """
    INSERT INTO resaga_barrier (key, step, state, repeats, created_at)
    VALUES (%s, 'S', 'started', 0, now())
    ON CONFLICT (key) DO UPDATE SET repeats = resaga_barrier.repeats + 1
    RETURNING step, state, result, undo_result, repeats
"""
DONE = """
    UPDATE resaga_barrier SET state = 'done', result = {result}
    WHERE key = {key} AND state = 'started'
"""


def measure_by_hand(url: str) -> dict[str, float]:
    """The same transactions as bare statements, and one with two of them in one round trip."""
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string()) as driver:

        def work() -> None:
            driver.execute("UPDATE accounts SET balance = balance - 1 WHERE id = %s", [0])
            driver.execute("INSERT INTO moves (saga, what) VALUES (%s, %s)", ["s", "w"])

        done = sql.SQL(DONE).format(result=sql.Placeholder(), key=sql.Placeholder())

        def bare(_key: str) -> None:
            work()
            driver.commit()

        def without(key: str) -> None:
            driver.execute(BEGUN, [f"{key}h"]).fetchone()
            work()
            driver.commit()

        def with_result(key: str) -> None:
            driver.execute(BEGUN, [f"{key}i"]).fetchone()
            work()
            driver.execute(done, ["1", f"{key}i"])
            driver.commit()

        def together(key: str) -> None:
            driver.execute(BEGUN, [f"{key}j"]).fetchone()
            work()
            # Two statements in one go take no parameters.
            stored = sql.SQL(DONE).format(result=sql.Literal("1"), key=sql.Literal(f"{key}j"))
            driver.execute(sql.SQL("{}; COMMIT").format(stored))

        kinds: dict[str, Callable[[str], None]] = {
            "bare": bare,
            "step with a result": with_result,
            "step without": without,
            "result with COMMIT": together,
        }
        took: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(WARM + ROUNDS_BY_HAND):
            key = uuid.uuid4().hex
            # What comes after which would tell with times as short as these.
            for name in random.sample(list(kinds), len(kinds)):
                begun = time.perf_counter()
                kinds[name](key)
                took[name].append(time.perf_counter() - begun)
    return {name: 1000 * statistics.median(times[WARM:]) for name, times in took.items()}


def show(title: str, medians: dict[str, float]) -> None:
    """Print them, each beside its ratio to the bare transaction."""
    print(f"{title}:")
    for name, median in medians.items():
        print(f"  {name:<20} {median:6.2f} ms  {median / medians['bare']:.2f} x")


def main() -> None:
    """Measure with both drivers."""
    databases = Databases()
    with tempfile.TemporaryDirectory() as folder:
        for asyncpg in (False, True):
            given = databases.get("postgresql", Path(folder), asyncpg=asyncpg)
            open_bank(given.engine(), 1)
            show("asyncpg" if asyncpg else "psycopg", asyncio.run(measure(given.async_url)))
        show("by hand", measure_by_hand(databases.get("postgresql", Path(folder)).url))
    databases.stop()


if __name__ == "__main__":
    main()
