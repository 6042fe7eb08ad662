"""resaga."""

from __future__ import annotations

from typing import Any

import restate
from restate import TerminalError

from chaos.compare import shop
from chaos.compare.contenders.warehouse import release, reserve, warehouse
from chaos.compare.shop import STEPS, Label, Order, OrderFailed, OutOfStock, Receipt
from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Retry,
    Saga,
    SagaStep,
    StepContext,
    create_saga_step,
    register_terminal_errors,
    saga_step,
    saga_workflow,
)

register_terminal_errors([OutOfStock])


async def undo(step: CompensationContext[object, str], _: object) -> None:
    """What undoes any step here: its input is the order's id."""
    await shop.undo(step.input, step.name)


async def perform(step: StepContext, order_id: str) -> str:
    """The action of most steps."""
    return await shop.do(order_id, step.name)


steps: dict[str, SagaStep[str, str, Any]] = {
    name: create_saga_step(name, perform, undo) for name in STEPS
}


@saga_workflow("Checkout")
async def checkout(saga: Saga, order: Order) -> str:
    """Four steps."""
    for step in steps.values():
        await step(saga, order.id)
    return "sold"


@saga_workflow("Wrapped")
async def wrapped(saga: Saga, order: Order) -> str:
    """The body raises an error of its own from the step's."""
    try:
        for step in steps.values():
            await step(saga, order.id)
    except TerminalError as error:
        raise OrderFailed("the order failed") from error
    return "sold"


@saga_workflow("Grouped")
async def grouped(saga: Saga, order: Order) -> str:
    """The body tries all steps, and raises what went wrong with them."""
    errors: list[TerminalError] = []
    for step in steps.values():
        try:
            await step(saga, order.id)
        except TerminalError as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("not everything could be done", errors)
    return "sold"


@saga_workflow("OutOfStock")
async def out_of_stock(saga: Saga, order: Order) -> str:
    """The body raises a registered error."""
    for name in STEPS[:3]:
        await steps[name](saga, order.id)
    raise OutOfStock("nothing left")


@saga_step("Ship")
async def ship_nothing(step: StepContext) -> None:
    """An action raises it."""
    raise OutOfStock("nothing left")


@saga_workflow("OutOfStockInStep")
async def out_of_stock_in_step(saga: Saga, order: Order) -> str:
    """A step raises a registered error."""
    for name in STEPS[:3]:
        await steps[name](saga, order.id)
    await ship_nothing(saga)
    return "sold"


@saga_step("Reserve", durable=True)
async def reserve_there(step: DurableStepContext, order_id: str) -> str:
    """A durable step can call."""
    return await step.ctx.service_call(reserve, order_id)


@reserve_there.compensate
async def release_there(step: DurableCompensationContext[object, str], _: str) -> None:
    """And so can its compensation."""
    await step.ctx.service_call(release, step.input)


@saga_workflow("Calling")
async def calling(saga: Saga, order: Order) -> str:
    """The first step, and what undoes it, call another service."""
    await reserve_there(saga, order.id)
    for name in STEPS[1:]:
        await steps[name](saga, order.id)
    return "sold"


async def charge(step: StepContext, order_id: str) -> Receipt:
    """A step that returns a dataclass."""
    return await shop.charge(order_id)


charge_for_receipt = create_saga_step("Charge", charge, undo)


@saga_workflow("DataclassResult")
async def dataclass_result(saga: Saga, order: Order) -> str:
    """A step returns a dataclass; the next one fails at first, so the first is replayed."""
    receipt = await charge_for_receipt(saga, order.id)
    await steps["Ship"](saga, order.id)
    return f"{type(receipt).__name__} over {receipt.amount}"


async def print_label(step: StepContext, order_id: str) -> Label:
    """A step that returns a pydantic model."""
    return await shop.print_label(order_id)


pack_with_label = create_saga_step("Pack", print_label, undo)


@saga_workflow("ModelResult")
async def model_result(saga: Saga, order: Order) -> str:
    """The same with a pydantic model."""
    label = await pack_with_label(saga, order.id)
    await steps["Ship"](saga, order.id)
    return f"{type(label).__name__} of {label.weight}"


# Annotated with what it returns, this step would be refused when it is made.
async def respond(step: StepContext, order_id: str) -> Any:
    """A step that returns what its client library gave it."""
    return await shop.respond(order_id)


charge_for_response = create_saga_step("Charge", respond, undo)


@saga_workflow("Unserialisable")
async def unserialisable(saga: Saga, order: Order) -> str:
    """A step's result cannot be journaled."""
    await steps["Reserve"](saga, order.id)
    await charge_for_response(saga, order.id)
    return "sold"


charge_twice = create_saga_step("Charge", perform, undo, retry=Retry(max_attempts=2))


@saga_workflow("Persistent")
async def persistent(saga: Saga, order: Order) -> str:
    """A step is tried twice, and no more."""
    await steps["Reserve"](saga, order.id)
    await charge_twice(saga, order.id)
    return "sold"


app = restate.app(
    [
        checkout,
        wrapped,
        grouped,
        out_of_stock,
        out_of_stock_in_step,
        calling,
        dataclass_result,
        model_result,
        unserialisable,
        persistent,
        warehouse,
    ]
)
