"""Errors of the business are terminal and undo the saga; those of the weather are retried."""

from __future__ import annotations

import os

import restate
from restate import TerminalError
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from examples.errors.tables import Hold, Try
from resaga import (
    CompensationContext,
    Saga,
    StepContext,
    register_terminal_errors,
    saga_step,
    saga_workflow,
    set_global_error_mapper,
)

sessions = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))


class OutOfStock(Exception):
    """There is nothing left of it. Our own class, and our own modules raise it."""


class CarrierError(Exception):
    """A carrier's answer, as its client library raises it: some are final, some are not."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class OrderFailed(Exception):
    """What our own code makes of an error that it cannot do anything about."""


def carrier_said_no(error: Exception) -> TerminalError | None:
    """What a carrier refuses is final; that it is out of order is not."""
    if isinstance(error, CarrierError) and error.status < 500:
        return TerminalError(f"carrier: {error}", 422)
    return None


# Where the application starts, and so the same on every worker.
register_terminal_errors({OutOfStock: 409})
set_global_error_mapper(carrier_said_no)


@saga_step("HoldGoods")
async def hold_goods(step: StepContext, order: str) -> None:
    async with sessions.begin() as session:
        await session.merge(Hold(key=step.idempotency_key, order=order))


@hold_goods.compensate
async def release_goods(step: CompensationContext, order: str) -> None:
    if order == "jammed door":
        raise TerminalError("the door of the store is jammed")  # For good: nobody tries again.
    async with sessions.begin() as session:
        await session.execute(delete(Hold).where(Hold.key == step.forward_idempotency_key))


@saga_step("Ship")
async def ship(_: StepContext, order: str) -> int:
    async with sessions.begin() as session:
        session.add(Try(order=order))
        tries = await session.scalar(select(func.count()).where(Try.order == order))
    match order:
        case "bad weather" if tries == 1:
            raise CarrierError("no planes today", status=503)
        case "to Atlantis":
            raise CarrierError("no such place", status=404)
        case "last teapot" | "jammed door":
            raise OutOfStock("no teapots left")
        case "heavy":
            raise TerminalError("over 30 kg", 413, metadata={"limit": "30"})
        case _:
            return tries or 0


@saga_workflow("OrderWorkflow")
async def place(saga: Saga, order: str) -> int:
    await hold_goods(saga, order)
    try:
        return await ship(saga, order)
    except TerminalError as error:
        if order == "heavy":
            # It is terminal by its cause, and the caller gets the cause: message, code, metadata.
            raise OrderFailed("cannot be shipped") from error
        raise


app = restate.app([place])
