"""What is made of what, and how long it lives."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass

from dishka import (
    Provider,
    Scope,
    make_async_container,
    provide,  # pyright: ignore[reportUnknownVariableType]
)
from restate import TerminalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from examples.services.tables import Item
from resaga import SagaRequest
from resaga.ext.dishka import SagaProvider

__all__ = ["Stock", "Tenant", "container"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose request this is."""

    name: str


@dataclass(frozen=True, slots=True)
class Stock:
    """The shelf of one tenant, in one transaction."""

    session: AsyncSession
    tenant: Tenant

    async def change(self, product: str, units: int) -> int:
        """Put units on the shelf, or take some; gives what is there then."""
        item = await self.session.get(Item, (self.tenant.name, product))
        if item is None or item.units + units < 0:
            raise TerminalError(f"{self.tenant.name} has not enough of {product}", 409)
        item.units += units
        return item.units


class Shop(Provider):
    """The factories, each with the scope that its product lives in."""

    stock = provide(Stock, scope=Scope.ACTION)

    @provide(scope=Scope.APP)
    async def engine(self) -> AsyncIterable[AsyncEngine]:
        """Once for the worker."""
        engine = create_async_engine(os.environ["DATABASE_URL"])
        yield engine
        await engine.dispose()

    @provide(scope=Scope.REQUEST)
    def tenant(self, request: SagaRequest) -> Tenant:
        """Once for each attempt of a saga. Headers are in the journal: it is always the same."""
        return Tenant(request.headers["x-tenant"])

    @provide(scope=Scope.ACTION)
    async def session(self, engine: AsyncEngine) -> AsyncGenerator[AsyncSession, Exception | None]:
        """Once for each action: two side by side never share a session.

        It is committed before the step counts as completed, unless the action failed.
        """
        async with AsyncSession(engine) as session, session.begin():
            failed = yield session
            if failed is not None:
                await session.rollback()


container = make_async_container(SagaProvider(), Shop())
