"""The checkout saga of the demo, as anybody would write it: nothing in here knows of the demo.

Three steps, each with its idempotency key, two of them with a compensation. What is undone is
found by the key that the step's action had, so it does not matter whether the action got as far
as having an effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from restate import InvocationRetryPolicy, TerminalError

from resaga import (
    CompensationContext,
    Saga,
    SagaObserver,
    SagaWorkflow,
    StepContext,
    create_saga_workflow,
    saga_step,
    saga_step_strict,
)
from resaga.cli.demo.shop import Refused, Shop

__all__ = ["Order", "Receipt", "checkout_workflow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a customer wants; ``amount`` is in cents."""

    id: str
    product: str
    quantity: int
    amount: int
    city: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the customer gets to know."""

    order_id: str
    units: list[int]
    amount: int


@saga_step("ReserveStock")
async def reserve_stock(step: StepContext[Shop], order: Order) -> list[int]:
    """Hold the things that the order wants."""
    return await step.services.reserve(order.product, order.quantity, key=step.idempotency_key)


@reserve_stock.compensate
async def release_stock(step: CompensationContext[Shop], _: list[int] | Order) -> None:
    """Put them back on the shelf."""
    await step.services.release(held_by=step.forward_idempotency_key)


@saga_step("ChargePayment")
async def charge_payment(step: StepContext[Shop], order: Order) -> None:
    """Take the customer's money."""
    await step.services.charge(order.id, order.amount, key=step.idempotency_key)


@charge_payment.compensate
async def refund_payment(step: CompensationContext[Shop], _: Order) -> None:
    """Give it back."""
    await step.services.refund(charged_by=step.forward_idempotency_key, key=step.idempotency_key)


# The last step, and strict: a carrier that refuses has done nothing, so nothing is to be undone.
@saga_step_strict("ShipOrder")
async def ship_order(step: StepContext[Shop], order: Order) -> None:
    """Hand the parcel to a carrier."""
    await step.services.ship(order.id, order.city, key=step.idempotency_key)


async def checkout(saga: Saga[Shop], order: Order) -> Receipt:
    """Sell something: all of it happens, or none of it stays."""
    units = await reserve_stock(saga, order)
    await charge_payment(saga, order)
    await ship_order(saga, order)
    return Receipt(order_id=order.id, units=units, amount=order.amount)


def refused(error: Exception) -> TerminalError | None:
    """What the shop refuses ends the saga; any other error is worth another attempt."""
    return TerminalError(str(error), 409) if isinstance(error, Refused) else None


def checkout_workflow(
    shop: Shop, *, observers: Sequence[SagaObserver] = ()
) -> SagaWorkflow[Order, Receipt]:
    """The workflow for one shop."""
    return create_saga_workflow(
        "Checkout",
        checkout,
        services=shop,
        as_terminal_error=refused,
        observers=observers,
        # Customers wait for the answer, so a worker that is gone is looked for again soon.
        retry_policy=InvocationRetryPolicy(
            initial_interval=timedelta(milliseconds=100), max_interval=timedelta(seconds=1)
        ),
    )
