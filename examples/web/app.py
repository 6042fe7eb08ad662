"""The sagas' worker: services for each request, made of the headers that the application sent."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import restate
from restate import TerminalError
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from examples.web.contract import Order, Receipt
from examples.web.tables import Sale
from resaga import (
    CompensationContext,
    Saga,
    SagaRequest,
    StepContext,
    saga_step,
    saga_workflow,
)
from resaga.ext.sql import barrier

sessions = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What the steps of one request work with."""

    tenant: str
    user: str
    sessions: async_sessionmaker[AsyncSession]


@asynccontextmanager
async def shop_of(request: SagaRequest[Order]) -> AsyncGenerator[Shop]:
    """Entered once for each attempt; headers are in the journal, so every attempt is the same."""
    if "x-tenant" not in request.headers:
        raise TerminalError("whose shop is it? Send x-tenant", 400)
    user = request.headers.get("x-user", "a guest")
    yield Shop(tenant=request.headers["x-tenant"], user=user, sessions=sessions)


@saga_step("Sell")
async def sell(step: StepContext[Shop], order: Order) -> int:
    async with step.services.sessions.begin() as session:
        return await barrier(session, step, insert_sale, step.services, order)


@sell.compensate
async def take_back(step: CompensationContext[Shop], _: int | Order) -> None:
    async with step.services.sessions.begin() as session:
        await barrier(session, step, delete_sale)


async def insert_sale(session: AsyncSession, shop: Shop, order: Order) -> int:
    sale = Sale(tenant=shop.tenant, user=shop.user, product=order.product)
    session.add(sale)
    await session.flush()
    return sale.id


async def delete_sale(session: AsyncSession, sale_id: int) -> None:
    await session.execute(delete(Sale).where(Sale.id == sale_id))


@saga_step("Charge")
async def charge(_: StepContext, amount: int) -> None:
    if amount > 100:
        raise TerminalError("card declined", 402)


@saga_workflow("CheckoutWorkflow", services_from=shop_of)
async def checkout(saga: Saga[Shop], order: Order) -> Receipt:
    sale = await sell(saga, order)
    await charge(saga, order.amount)
    return Receipt(sale=sale, sold_by=saga.services.tenant)


app = restate.app([checkout])
