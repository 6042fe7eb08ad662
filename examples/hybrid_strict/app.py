"""One action, charging a card, as a hybrid step and as a strict one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import restate
from restate import TerminalError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from examples.hybrid_strict.tables import Charge, Undo
from resaga import (
    CompensationContext,
    Retry,
    Saga,
    StepContext,
    create_saga_step,
    create_saga_step_strict,
    saga_step,
    saga_workflow,
)

sessions = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))

Trouble = Literal["none", "card declined", "no answer", "sold out later"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What is to be paid, with which kind of step, and what is to go wrong."""

    order: str
    amount: int
    kind: Literal["hybrid", "strict"]
    trouble: Trouble


async def charge(step: StepContext, payment: Payment) -> str:
    """Charge a card at a provider, which charges once for one key."""
    if payment.trouble == "card declined":
        raise TerminalError("card declined", 402)  # It said no: nothing was charged.
    async with sessions.begin() as session:
        await session.merge(
            Charge(key=step.idempotency_key, order=payment.order, amount=payment.amount)
        )
    if payment.trouble == "no answer":
        raise ConnectionError("no answer")  # Charged it was, and we do not know.
    return step.idempotency_key


async def refund(step: CompensationContext[object, Payment], _: str | Payment) -> None:
    """Give back what was charged, if anything was: the key tells, whatever the outcome."""
    async with sessions.begin() as session:
        charged = await session.get(Charge, step.forward_idempotency_key)
        if charged is not None:
            await session.delete(charged)
        # A compensation may run twice, too, and has a key of its own against that.
        if await session.get(Undo, step.idempotency_key) is None:
            session.add(
                Undo(
                    key=step.idempotency_key,
                    order=step.input.order,
                    outcome=step.outcome,
                    found="a charge" if charged else "nothing",
                )
            )


async def refund_strict(step: CompensationContext[object, Payment], key: str) -> None:
    """The same; a strict step has completed when this runs, so there is always its data."""
    await refund(step, key)


ONCE = Retry(max_attempts=1)
hybrid_charge = create_saga_step("ChargeCard", charge, refund, retry=ONCE)
strict_charge = create_saga_step_strict("ChargeCard", charge, refund_strict, retry=ONCE)


@saga_step("ReserveStock")
async def reserve_stock(_: StepContext, trouble: str) -> None:
    if trouble == "sold out later":
        raise TerminalError("sold out", 409)


@saga_workflow("PaymentWorkflow")
async def pay(saga: Saga, payment: Payment) -> None:
    step = hybrid_charge if payment.kind == "hybrid" else strict_charge
    await step(saga, payment)
    await reserve_stock(saga, payment.trouble)


app = restate.app([pay])
