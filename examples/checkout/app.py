"""The checkout: reserve, then charge. Each step changes the shop's database exactly once."""

from __future__ import annotations

import os

import restate
from restate import TerminalError
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from examples.checkout.contract import Checkout, Order, Receipt
from examples.checkout.tables import Payment, Stock
from resaga import CompensationContext, Saga, StepContext, saga_step, saga_workflow
from resaga.ext.sql import barrier

sessions = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))

CREDIT = 100_00
"""What a card is good for, in cents."""


@saga_step("ReserveStock")
async def reserve_stock(step: StepContext, order: Order) -> int:
    async with sessions.begin() as session:
        return await barrier(session, step, take, order)


@reserve_stock.compensate
async def release_stock(step: CompensationContext[object, Order], _: int | Order) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, put_back, step.input)


async def take(session: AsyncSession, order: Order) -> int:
    """Take units from the shelf, and give what is left."""
    stock = await session.get_one(Stock, order.product)
    if stock.units < order.quantity:
        raise TerminalError(f"{stock.units} left of {order.product}", 409)
    stock.units -= order.quantity
    return stock.units


async def put_back(session: AsyncSession, _: int, order: Order) -> None:
    """Put the units back; it is called only if they were taken."""
    stock = await session.get_one(Stock, order.product)
    stock.units += order.quantity


@saga_step("ChargePayment")
async def charge_payment(step: StepContext, amount: int) -> int:
    if amount > CREDIT:
        raise TerminalError("card declined", 402)
    async with sessions.begin() as session:
        return await barrier(session, step, pay, amount)


# Nothing comes after the charge, and still it needs this: a saga can be cancelled at any moment.
@charge_payment.compensate
async def refund_payment(step: CompensationContext, _: int) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, pay_back)


async def pay(session: AsyncSession, amount: int) -> int:
    """Take the money, and give the payment's number."""
    payment = Payment(amount=amount)
    session.add(payment)
    await session.flush()
    return payment.id


async def pay_back(session: AsyncSession, payment_id: int) -> None:
    """Undo a payment."""
    await session.execute(delete(Payment).where(Payment.id == payment_id))


@saga_workflow("CheckoutWorkflow")
async def checkout(saga: Saga, order: Order) -> Receipt:
    left = await reserve_stock(saga, order)
    payment = await charge_payment(saga, order.amount)
    return Receipt(payment=payment, left=left)


assert checkout.contract == Checkout, "the contract is what callers rely on"

app = restate.app([checkout])
