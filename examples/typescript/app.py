"""Sagas in Python that speak as those in TypeScript did: camelCase outside, Python inside."""

from __future__ import annotations

import os

import msgspec
import restate
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from restate import TerminalError
from restate.context import ObjectContext, ObjectSharedContext
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from examples.typescript.tables import Reservation
from resaga import (
    CompensationContext,
    Saga,
    SagaVirtualObject,
    StepContext,
    saga_step,
    saga_workflow,
)
from resaga.ext.sql import barrier

sessions = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))


# A msgspec struct renames its fields in one word; `rename=` of a field does it one by one.
class Order(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    product_id: str
    quantity: int
    amount_in_cents: int


class Receipt(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    reservation_id: int
    paid_in_cents: int


# A pydantic model does it with aliases.
class TopUp(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    amount_in_cents: int


@saga_step("ReserveInventory")
async def reserve_inventory(step: StepContext, order: Order) -> int:
    async with sessions.begin() as session:
        return await barrier(session, step, reserve, order)


@reserve_inventory.compensate
async def release_inventory(step: CompensationContext, _: int | Order) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, release)


async def reserve(session: AsyncSession, order: Order) -> int:
    reservation = Reservation(product_id=order.product_id, quantity=order.quantity)
    session.add(reservation)
    await session.flush()
    return reservation.id


async def release(session: AsyncSession, reservation_id: int) -> None:
    await session.execute(delete(Reservation).where(Reservation.id == reservation_id))


@saga_step("ApprovePayment")
async def approve_payment(_: StepContext, amount_in_cents: int) -> None:
    if amount_in_cents > 100_00:
        raise TerminalError("card declined", 402)


@saga_workflow("CheckoutWorkflow")
async def checkout(saga: Saga, order: Order) -> Receipt:
    reservation_id = await reserve_inventory(saga, order)
    await approve_payment(saga, order.amount_in_cents)
    return Receipt(reservation_id=reservation_id, paid_in_cents=order.amount_in_cents)


wallet = SagaVirtualObject("Wallet")


# Handlers have any name on the wire.
@wallet.handler("topUp")
async def top_up(saga: Saga, _: ObjectContext, money: TopUp) -> int:
    balance = (await saga.state.get("balance", int) or 0) + money.amount_in_cents
    await saga.state.set("balance", balance)
    return balance


@wallet.handler("getBalance", kind="shared")
async def get_balance(ctx: ObjectSharedContext) -> int:
    return await ctx.get("balance", type_hint=int) or 0


app = restate.app([checkout, wallet])
