"""The steps that the agency's workflows are composed of."""

from __future__ import annotations

import os
from dataclasses import dataclass

from restate import TerminalError
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from examples.composed.tables import Booking, Hold
from resaga import CompensationContext, StepContext, saga_step
from resaga.ext.sql import barrier

__all__ = ["Item", "book", "hold", "take"]

sessions = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something to book."""

    what: str
    traveller: str


@saga_step("Book")
async def book(step: StepContext, item: Item) -> int:
    async with sessions.begin() as session:
        return await barrier(session, step, insert_booking, item)


@book.compensate
async def cancel_booking(step: CompensationContext, _: int | Item) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, delete_booking)


async def insert_booking(session: AsyncSession, item: Item) -> int:
    booking = Booking(what=item.what, traveller=item.traveller)
    session.add(booking)
    await session.flush()
    return booking.id


async def delete_booking(session: AsyncSession, booking_id: int) -> None:
    await session.execute(delete(Booking).where(Booking.id == booking_id))


@saga_step("HoldMoney")
async def hold(step: StepContext, amount: int) -> int:
    async with sessions.begin() as session:
        return await barrier(session, step, insert_hold, amount)


@hold.compensate
async def let_go(step: CompensationContext, _: int) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, delete_hold)


async def insert_hold(session: AsyncSession, amount: int) -> int:
    held = Hold(amount=amount, taken=False)
    session.add(held)
    await session.flush()
    return held.id


async def delete_hold(session: AsyncSession, hold_id: int) -> None:
    await session.execute(delete(Hold).where(Hold.id == hold_id))


# What is taken is given back by letting the hold go, so this needs no compensation of its own.
@saga_step("TakeMoney")
async def take(step: StepContext, hold_id: int) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, mark_taken, hold_id)


async def mark_taken(session: AsyncSession, hold_id: int) -> None:
    held = await session.get_one(Hold, hold_id)
    if held.amount > 1000:
        raise TerminalError("card declined", 402)
    held.taken = True
