"""Steps by hand, and a table in which their effects are counted."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from resaga import CompensationContext, DurableStepContext, Outcome, StepContext
from resaga.ext.sql import BARRIER_TABLE, create_barrier_table
from tests.support.databases.given import Given

EFFECTS = Table(
    "effects",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False),
    mysql_engine="InnoDB",
)

PRICES = Table(
    "prices",
    EFFECTS.metadata,
    Column("id", Integer, primary_key=True),
    mysql_engine="InnoDB",
)
"""A table that is only read."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What a step returns."""

    id: str
    amount: Decimal


PAID = Paid("p-1", Decimal("12.50"))


def forward(key: str = "inv_1.1", name: str = "Pay") -> StepContext:
    return StepContext(name=name, saga_id="inv_1", idempotency_key=key, services=None)


def backward(
    key: str = "inv_1.1", name: str = "Pay", *, undo: str = "", outcome: Outcome = "unknown"
) -> CompensationContext:
    return CompensationContext(
        name=name,
        saga_id="inv_1",
        idempotency_key=undo or f"{key}.undo",
        forward_idempotency_key=key,
        services=None,
        input=None,
        has_data=False,
        outcome=outcome,
    )


def durable(step: StepContext) -> DurableStepContext:
    """The same as a durable step would get it; its Restate context is there in name only."""
    nothing: Any = None
    return DurableStepContext(
        name=step.name,
        saga_id=step.saga_id,
        idempotency_key=step.idempotency_key,
        services=None,
        ctx=nothing,
    )


async def pay(session: AsyncSession | AsyncConnection, what: str = "pay") -> Paid:
    await session.execute(insert(EFFECTS).values(name=what))
    return PAID


async def refund(session: AsyncSession | AsyncConnection, paid: Paid) -> str:
    await session.execute(insert(EFFECTS).values(name=f"refund {paid.id} {paid.amount}"))
    return "refunded"


async def note(session: AsyncSession | AsyncConnection) -> None:
    await session.execute(insert(EFFECTS).values(name="note"))


def pay_sync(session: Session | Connection, what: str = "pay") -> Paid:
    session.execute(insert(EFFECTS).values(name=what))
    return PAID


def refund_sync(session: Session | Connection, paid: Paid) -> str:
    session.execute(insert(EFFECTS).values(name=f"refund {paid.id} {paid.amount}"))
    return "refunded"


REFUND = "refund p-1 12.50"


def emptied(given: Given) -> Given:
    """The same database, with the tables that are used here, all empty."""
    engine = given.engine()
    try:
        with engine.begin() as connection:
            for table in (BARRIER_TABLE, EFFECTS):
                connection.execute(delete(table))
    except DBAPIError:
        EFFECTS.metadata.create_all(engine)
        create_barrier_table(engine)
    return given


def effects(engine: Engine) -> list[str]:
    """What has been committed."""
    with engine.connect() as connection:
        return list(connection.scalars(select(EFFECTS.c.name).order_by(EFFECTS.c.id)))


def states(engine: Engine) -> dict[str, str]:
    """The states of the committed rows, by key."""
    with engine.connect() as connection:
        rows = connection.execute(select(BARRIER_TABLE.c.key, BARRIER_TABLE.c.state))
        return {row.key: row.state for row in rows}
