"""Services from a dishka container: scopes, injection, and databases that leak nothing (R28)."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NewType

import pytest
from dishka import (
    AsyncContainer,
    Provider,
    Scope,
    make_async_container,
    make_container,
    provide,  # pyright: ignore[reportUnknownVariableType]
)
from restate import TerminalError
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import AsyncAdaptedQueuePool

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    MisuseError,
    ProviderError,
    Saga,
    SagaRequest,
    StepContext,
    saga_step,
    saga_workflow,
)
from resaga.ext.dishka import FromDishka, SagaProvider, dishka_services
from tests.support import Rig, until


class Base(DeclarativeBase): ...


class Hold(Base):
    """A row per step that is done and not undone."""

    __tablename__ = "holds"
    key: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]


@dataclass(frozen=True)
class Order:
    number: int
    fails: bool = False


Tenant = NewType("Tenant", str)
Number = NewType("Number", int)


class Sessions:
    """Which sessions were made, and what became of them."""

    def __init__(self) -> None:
        self.alive: weakref.WeakSet[AsyncSession] = weakref.WeakSet()
        self.opened = self.committed = self.rolled_back = 0
        self.commit_fails = 0
        self.in_use: set[int] = set()

    @property
    def closed(self) -> int:
        return self.committed + self.rolled_back


class Database(Provider):
    """An engine for all, a session for each action."""

    def __init__(self, engine: AsyncEngine, sessions: Sessions) -> None:
        super().__init__()
        self._engine = engine
        self._sessions = sessions

    @provide(scope=Scope.APP)
    def sessions(self) -> Sessions:
        return self._sessions

    @provide(scope=Scope.REQUEST)
    def tenant(self, request: SagaRequest) -> Tenant:
        return Tenant(request.headers.get("x-tenant", "nobody"))

    @provide(scope=Scope.REQUEST)
    def number(self, request: SagaRequest[Order]) -> Number:
        return Number(request.input.number)

    @provide(scope=Scope.ACTION)
    async def session(self) -> AsyncGenerator[AsyncSession, BaseException | None]:
        made = self._sessions
        session = AsyncSession(self._engine)
        made.alive.add(session)
        made.opened += 1
        try:
            error = yield session
            if error is None:
                if made.commit_fails:
                    made.commit_fails -= 1
                    raise ConnectionError("the database is gone")
                await session.commit()
                made.committed += 1
            else:
                made.rolled_back += 1
        finally:
            await session.close()


class Stock:
    """What an application has: a class that is given its session."""

    def __init__(self, session: AsyncSession, tenant: Tenant, sessions: Sessions) -> None:
        self.session = session
        self._tenant = tenant
        self._in_use = sessions.in_use

    async def hold(self, key: str) -> None:
        assert id(self.session) not in self._in_use, "two actions share a session"
        self._in_use.add(id(self.session))
        try:
            await self.session.merge(Hold(key=key, tenant=self._tenant))
            await self.session.flush()
        finally:
            self._in_use.discard(id(self.session))

    async def release(self, key: str) -> None:
        row = await self.session.get(Hold, key)
        if row is not None:
            await self.session.delete(row)


class Stocks(Provider):
    scope = Scope.ACTION
    stock = provide(Stock)


@saga_step("Reserve")
async def reserve(step: StepContext, order: Order, stock: FromDishka[Stock]) -> str:
    await stock.hold(step.idempotency_key)
    return step.idempotency_key


@reserve.compensate
async def release(step: CompensationContext, data: str | Order, stock: FromDishka[Stock]) -> None:
    await stock.release(step.forward_idempotency_key)


@saga_step("ReserveDurably", durable=True)
async def reserve_durably(
    step: DurableStepContext, order: Order, stock: FromDishka[Stock], tenant: FromDishka[Tenant]
) -> str:
    async def hold() -> str:
        # The body's scope outlives the run, so the run has to commit: it is not done again.
        await stock.hold(step.idempotency_key)
        await stock.session.commit()
        return tenant

    return await step.ctx.run_typed("hold", hold)


@reserve_durably.compensate
async def release_durably(
    step: DurableCompensationContext, data: str | Order, stock: FromDishka[Stock]
) -> None:
    async def undo() -> None:
        await stock.release(step.forward_idempotency_key)
        await stock.session.commit()

    await step.ctx.run_typed("release", undo)


@saga_step("Announce")
def announce(step: StepContext[AsyncContainer], *, number: FromDishka[Number]) -> int:
    return number


@saga_step("Settle")
async def settle(step: StepContext[AsyncContainer], order: Order) -> None:
    """The container in hand gives the same session as the parameters would."""
    stock = await step.services.get(Stock)
    assert stock.session is await step.services.get(AsyncSession)
    await stock.hold(step.idempotency_key)
    if order.fails:
        raise TerminalError("sold out", 409)


async def body(saga: Saga[AsyncContainer], order: Order) -> list[str]:
    tenant = await saga.services.get(Tenant)
    assert await announce(saga) == order.number
    await reserve(saga, order)
    _, said = await saga.gather(reserve(saga, order), reserve_durably(saga, order))
    await settle(saga, order)
    return [tenant, said]


@dataclass(frozen=True)
class World:
    rig: Rig
    engine: AsyncEngine
    sessions: Sessions
    container: AsyncContainer

    async def rows(self) -> list[Hold]:
        async with AsyncSession(self.engine) as session:
            return list(await session.scalars(select(Hold)))

    async def count(self) -> int:
        async with AsyncSession(self.engine) as session:
            return await session.scalar(select(func.count()).select_from(Hold)) or 0

    async def all_is_given_back(self) -> None:
        """No connection is in use any more."""
        pool = self.engine.pool
        assert isinstance(pool, AsyncAdaptedQueuePool)
        await until(lambda: pool.checkedout() == 0, "all connections are given back")

    async def nothing_is_left(self) -> None:
        """And nothing refers to a session (pytest does, by the frames of logged errors)."""
        await self.all_is_given_back()

        def collected() -> bool:
            gc.collect()
            return not self.sessions.alive

        await until(collected, "nothing refers to a session")


def _hurry(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
async def world(rig: Rig, tmp_path: Path) -> AsyncIterator[World]:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}", connect_args={"timeout": 60}
    )
    event.listen(engine.sync_engine, "connect", _hurry)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        await connection.run_sync(Base.metadata.create_all)
    sessions = Sessions()
    container = make_async_container(SagaProvider(), Database(engine, sessions), Stocks())
    yield World(rig, engine, sessions, container)
    await container.close()
    await engine.dispose()


async def test_parameters_come_from_the_scope_of_the_action(world: World) -> None:
    rig = world.rig
    workflow = saga_workflow(rig.name("Shop"), services_from=dishka_services(world.container))(body)
    await rig.serve(workflow)
    said = await rig.call(workflow, asdict(Order(7)), headers={"x-tenant": "acme"})
    assert said == ["acme", "acme"]
    rows = await world.rows()
    assert len(rows) == 4
    assert {row.tenant for row in rows} == {"acme"}
    assert world.sessions.opened >= 4, "one for each action"
    await world.nothing_is_left()


async def test_a_rollback_has_sessions_of_its_own(world: World) -> None:
    rig = world.rig
    workflow = saga_workflow(rig.name("Shop"), services_from=dishka_services(world.container))(body)
    await rig.serve(workflow)
    error = await rig.fail(workflow, asdict(Order(7, fails=True)))
    assert (error.code, error.message) == (409, "sold out")
    assert await world.count() == 0
    assert world.sessions.rolled_back >= 1
    await world.nothing_is_left()


async def test_what_is_not_committed_is_not_done(world: World) -> None:
    """The commit in the factory fails: the step is tried again, and done once."""
    rig = world.rig
    workflow = saga_workflow(rig.name("Shop"), services_from=dishka_services(world.container))(body)
    await rig.serve(workflow)
    world.sessions.commit_fails = 2
    await rig.call(workflow, asdict(Order(7)))
    assert world.sessions.commit_fails == 0
    assert await world.count() == 4
    await world.all_is_given_back()


async def test_many_sagas_leak_no_session(world: World) -> None:
    """Over 1,000 sagas, a third of which roll back (fewer where each of them has many attempts)."""
    rig = world.rig
    number = 1000 if rig.flavour == "normal" else 40
    services = dishka_services(world.container)

    @saga_workflow(rig.name("Many"), services_from=services)
    async def workflow(saga: Saga[AsyncContainer], order: Order) -> None:
        await saga.gather(reserve(saga, order), reserve(saga, order))
        await settle(saga, order)

    await rig.serve(workflow)
    at_once = asyncio.Semaphore(8)
    failed: list[int] = []

    async def one(index: int) -> None:
        order = Order(index, fails=index % 3 == 0)
        async with at_once:
            if order.fails:
                failed.append((await rig.fail(workflow, asdict(order))).code)
            else:
                await rig.call(workflow, asdict(order))

    tasks = len(asyncio.all_tasks())
    await asyncio.gather(*map(one, range(number)))
    assert failed == [409] * len(range(0, number, 3))
    assert await world.count() == 3 * (number - len(failed))
    await until(lambda: world.sessions.opened == world.sessions.closed, "all sessions are closed")
    assert world.sessions.opened >= 3 * number
    await world.nothing_is_left()
    assert len(asyncio.all_tasks()) <= tasks + 20, "the connections of server and worker"


async def test_what_the_container_cannot_make_is_an_ordinary_error(world: World) -> None:
    rig = world.rig
    said: list[str] = []

    @saga_step("Wanting", as_terminal_error=lambda exc: said.append(repr(exc)))
    async def wanting(step: StepContext, order: Order, clock: FromDishka[Any]) -> None: ...

    async def wants(saga: Saga[AsyncContainer], order: Order) -> None:
        await wanting(saga, order)

    workflow = saga_workflow(rig.name("Wants"), services_from=dishka_services(world.container))(
        wants
    )
    await rig.serve(workflow)
    sent = await rig.send(workflow, asdict(Order(1)))
    await until(lambda: _failure(sent), "the attempt has failed")
    assert said == [], "no mapper is asked"
    failure = await _failure(sent)
    assert ProviderError.__name__ in failure
    assert "'Wanting'" in failure
    assert "NoFactoryError" in failure


async def _failure(sent: Any) -> str:
    row = await sent.row()
    return str(row.get("last_failure") or "")


@pytest.mark.parametrize("given", ["a sync container", "an inner container", "something else"])
async def test_only_the_applications_own_async_container_will_do(given: str) -> None:
    apps = make_async_container(SagaProvider())
    wrong: Any = {
        "a sync container": make_container(Provider(scope=Scope.APP)),
        "an inner container": apps(scope=Scope.REQUEST),
        "something else": object(),
    }[given]
    with pytest.raises(MisuseError, match="dishka_services was given"):
        dishka_services(wrong)
    await apps.close()
