"""A bank whose workers die between a commit and its acknowledgement, as often as an order says.

A transfer is two steps behind the barrier, each on one account, and a last one that may fail. What
has moved is counted in the bank's own database, beside the balances.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, cast

import restate
from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config
from hypercorn.typing import Framework  # pyright: ignore[reportUnknownVariableType]
from restate import TerminalError
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from resaga import CompensationContext, Saga, SagaStep, StepContext, create_saga_step, saga_workflow
from resaga.ext.sql import (
    BARRIER_TABLE,
    StepAbandoned,
    barrier,
    barrier_sync,
    create_barrier_table,
)
from tests.support.ledger import Ledger
from tests.support.serving import Protocol

METADATA = MetaData()
ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("balance", Integer, nullable=False),
    mysql_engine="InnoDB",
)
MOVES = Table(
    "moves",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("saga", String(100), nullable=False),
    Column("what", String(50), nullable=False),
    mysql_engine="InnoDB",
)
BALANCE = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """One transfer.

    Attributes:
        source: The account that pays.
        target: The account that is paid.
        amount: How much.
        fails: Whether it fails at its end, and is rolled back.
        dies: Where its worker dies, once in each place: ``Debit``, ``undo Debit``, ...
    """

    source: int
    target: int
    amount: int
    fails: bool = False
    dies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """What a step returns, and what its compensation needs."""

    account: int
    by: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker is told.

    Attributes:
        url: The database.
        service: The name of the workflow.
        folder: Where deaths are noted, so that each happens once.
        protocol: The serverless one, or None.
    """

    url: str
    service: str
    folder: Path
    protocol: Protocol | None = None


def open_bank(engine: Engine, accounts: int) -> None:
    """A bank with so many accounts, in which nothing has happened."""
    METADATA.create_all(engine)
    create_barrier_table(engine)
    with engine.begin() as connection:
        for table in (ACCOUNTS, MOVES, BARRIER_TABLE):
            connection.execute(delete(table))
        rows = [{"id": number, "balance": BALANCE} for number in range(accounts)]
        connection.execute(insert(ACCOUNTS), rows)


def moves(engine: Engine, saga: str) -> list[str]:
    """What a saga has moved, in order."""
    with engine.connect() as connection:
        mine = select(MOVES.c.what).where(MOVES.c.saga == saga).order_by(MOVES.c.id)
        return list(connection.scalars(mine))


def balances(engine: Engine) -> dict[int, int]:
    """What is in the accounts."""
    with engine.connect() as connection:
        rows = connection.execute(select(ACCOUNTS.c.id, ACCOUNTS.c.balance))
        return {row.id: row.balance for row in rows}


def repeats(engine: Engine) -> int:
    """How often the barrier has held off a repeat.

    A row counts how often it was met; the compensation that ran has met it, too.
    """
    with engine.connect() as connection:
        met = int(connection.scalar(select(func.sum(BARRIER_TABLE.c.repeats))) or 0)
    return met - states(engine).get("undone", 0)


def states(engine: Engine) -> dict[str, int]:
    """How many rows of the barrier are in which state."""
    count = select(BARRIER_TABLE.c.state, func.count().label("number")).group_by(
        BARRIER_TABLE.c.state
    )
    with engine.connect() as connection:
        return {row.state: row.number for row in connection.execute(count)}


async def move(session: AsyncSession, step: StepContext, account: int, by: int) -> Moved:
    """The effect."""
    changed = ACCOUNTS.c.balance + by
    await session.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account).values(balance=changed))
    await session.execute(insert(MOVES).values(saga=step.saga_id, what=step.name))
    return Moved(account, by)


async def move_back(session: AsyncSession, moved: Moved, step: CompensationContext) -> None:
    """Its undoing, which goes by what is stored."""
    changed = ACCOUNTS.c.balance - moved.by
    await session.execute(
        update(ACCOUNTS).where(ACCOUNTS.c.id == moved.account).values(balance=changed)
    )
    await session.execute(insert(MOVES).values(saga=step.saga_id, what=f"undo {step.name}"))


def make_app(plan: Plan) -> Any:
    """The workflow, as an app."""
    sessions = async_sessionmaker(create_async_engine(plan.url))

    def die_once(place: str, key: str, order: Order) -> None:
        """The worker dies here: what it did is committed, and nobody knows."""
        death = plan.folder / f"{key} {place}"
        if place not in order.dies or death.exists():
            return
        death.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    def make(name: str, sign: int) -> SagaStep[Any, Any, Any, Any]:
        async def run(step: StepContext, order: Order) -> Moved:
            account = order.source if sign < 0 else order.target
            async with sessions.begin() as session:
                moved = await barrier(session, step, move, step, account, sign * order.amount)
            die_once(name, step.idempotency_key, order)
            return moved

        async def undo(step: CompensationContext[Any, Order], _data: Any) -> None:
            async with sessions.begin() as session:
                await barrier(session, step, move_back, step)
            die_once(f"undo {name}", step.idempotency_key, step.input)

        return create_saga_step(name, run, undo)

    debit, credit = make("Debit", -1), make("Credit", 1)

    @saga_workflow(plan.service)
    async def transfer(saga: Saga, order: Order) -> str:
        await debit(saga, order)
        await credit(saga, order)
        if order.fails:
            raise TerminalError("refused", 409)
        return "transferred"

    return restate.app([transfer], protocol=plan.protocol)


def make_slow_app(plan: Plan) -> Any:
    """A workflow whose one action says that it has begun, and goes on when it is told to.

    It runs in a thread, which nothing can cut off, and notes how it ended. Its order is a name for
    the flags: ``begun <order> <process>``, ``go on <order>``.
    """
    engine = create_engine(plan.url)
    ledger = Ledger(plan.folder / "ledger.sqlite")
    going_on = threading.Event()

    def take(session: Session, step: StepContext) -> str:
        session.execute(insert(MOVES).values(saga=step.saga_id, what=step.name))
        return "taken"

    def run(step: StepContext, order: str) -> str:
        ledger.raise_flag(f"begun {order} {os.getpid()}")
        while not ledger.has_flag(f"go on {order}"):
            going_on.wait(0.02)
        try:
            with Session(engine) as session, session.begin():
                return barrier_sync(session, step, take, step)
        except StepAbandoned:
            ledger.note("abandoned", os.getpid(), saga=step.saga_id)
            raise

    def put_back(session: Session, _stored: str, step: CompensationContext) -> None:
        session.execute(insert(MOVES).values(saga=step.saga_id, what=f"undo {step.name}"))

    def undo(step: CompensationContext, _data: object) -> None:
        with Session(engine) as session, session.begin():
            barrier_sync(session, step, put_back, step)

    take_step = create_saga_step("Take", run, undo)

    @saga_workflow(plan.service)
    async def slow(saga: Saga, order: str) -> str:
        return await take_step(saga, order)

    return restate.app([slow], protocol=plan.protocol)


def work(listening: socket.socket, plan: Plan, *, slow: bool) -> None:
    """A worker process, on a port that is open already."""
    config = Config()
    config.keep_alive_max_requests = 10**9
    config.graceful_timeout = 0
    config.loglevel = "CRITICAL"
    config.bind = [f"fd://{listening.detach()}"]
    app = make_slow_app(plan) if slow else make_app(plan)
    asyncio.run(serve(cast("Framework", app), config))


_CHILDREN = threading.Lock()
"""To start a process is to look after all others, and two who look after one lose how it ended."""


class Workers:
    """A worker, and another one as soon as it has died; connections wait meanwhile.

    Attributes:
        port: Where they listen.
        deaths: How many have died of a SIGKILL.
    """

    def __init__(self, plan: Plan, *, slow: bool = False) -> None:
        self._plan = plan
        self._slow = slow
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listening.getsockname()[1]
        self.deaths = 0
        self._context = multiprocessing.get_context("forkserver")
        # What is imported there once, each of them has at once.
        drivers = ["psycopg", "aiomysql", "sqlalchemy.dialects.postgresql.psycopg"]
        drivers += ["sqlalchemy.dialects.mysql.aiomysql", "hypercorn.asyncio.run"]
        self._context.set_forkserver_preload(["__main__", "tests.support.bank", *drivers])
        self._process: ForkServerProcess | None = None
        self._stopping = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The worker's process."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def stop(self) -> None:
        """End the worker, for good."""
        with self._lock:
            self._stopping = True
            if self._process is not None:
                self._process.kill()
        self._thread.join()
        self._listening.close()

    def _keep(self) -> None:
        while True:
            with self._lock:
                if self._stopping:
                    return
                self._process = self._context.Process(
                    target=work, args=(self._listening, self._plan), kwargs={"slow": self._slow}
                )
                with _CHILDREN:
                    self._process.start()
            wait([self._process.sentinel])
            with _CHILDREN:
                died = self._process.exitcode
            if died == -signal.SIGKILL and not self._stopping:
                self.deaths += 1
