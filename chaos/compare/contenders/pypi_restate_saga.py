"""The package `restate-saga` 0.1.0, as its README says: hybrid steps, by its function API."""
# It is installed in a folder of its own, where type checkers do not look.
# mypy: disable-error-code="import-not-found"
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from typing import Any

import restate
from restate_saga import (
    SagaContext,
    SagaStepOptions,
    StepResponse,
    StepRetryPolicy,
    create_saga_step,
    create_saga_workflow,
    register_terminal_errors,
)

from chaos.compare import shop
from chaos.compare.contenders.warehouse import reserve, warehouse
from chaos.compare.shop import STEPS, Order, OrderFailed, OutOfStock

register_terminal_errors([OutOfStock])


def undoing(step: str) -> Any:
    """What undoes a step."""

    async def undo(data: dict[str, Any], *, failed: bool = False) -> None:
        await shop.undo(data["order_id"], step)

    return undo


def make_step(name: str, options: SagaStepOptions | None = None) -> Any:
    """A step, and what undoes it."""

    async def run(ctx: restate.Context, order: dict[str, Any]) -> StepResponse:
        done = await shop.do(order["order_id"], name)
        return StepResponse(output={"done": done}, compensation_data=order)

    return create_saga_step(name, run, undoing(name), options)


steps = {name: make_step(name) for name in STEPS}


async def run_checkout(saga: SagaContext, order: Order) -> str:
    """Four steps."""
    for step in steps.values():
        await step(saga, {"order_id": order.id})
    return "sold"


async def run_wrapped(saga: SagaContext, order: Order) -> str:
    """The body raises an error of its own from the step's."""
    try:
        for step in steps.values():
            await step(saga, {"order_id": order.id})
    except restate.TerminalError as error:
        raise OrderFailed("the order failed") from error
    return "sold"


async def run_grouped(saga: SagaContext, order: Order) -> str:
    """The body tries all steps, and raises what went wrong with them."""
    errors: list[restate.TerminalError] = []
    for step in steps.values():
        try:
            await step(saga, {"order_id": order.id})
        except restate.TerminalError as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("not everything could be done", errors)
    return "sold"


async def run_out_of_stock(saga: SagaContext, order: Order) -> str:
    """The body raises a registered error."""
    for name in STEPS[:3]:
        await steps[name](saga, {"order_id": order.id})
    raise OutOfStock("nothing left")


async def fail_to_ship(ctx: restate.Context, order: dict[str, Any]) -> StepResponse:
    """An action raises it."""
    raise OutOfStock("nothing left")


ship_nothing = create_saga_step("Ship", fail_to_ship)


async def run_out_of_stock_in_step(saga: SagaContext, order: Order) -> str:
    """A step raises a registered error."""
    for name in STEPS[:3]:
        await steps[name](saga, {"order_id": order.id})
    await ship_nothing(saga, {"order_id": order.id})
    return "sold"


async def call_warehouse(ctx: restate.Context, order: dict[str, Any]) -> StepResponse:
    """A step's first argument is the Restate context, so it can call."""
    done = await ctx.service_call(reserve, order["order_id"])
    return StepResponse(output={"done": done}, compensation_data=order)


# A compensation has no context, so it goes to the shop directly.
reserve_there = create_saga_step("Reserve", call_warehouse, undoing("Reserve"))


async def run_calling(saga: SagaContext, order: Order) -> str:
    """The first step calls another service."""
    await reserve_there(saga, {"order_id": order.id})
    for name in STEPS[1:]:
        await steps[name](saga, {"order_id": order.id})
    return "sold"


async def charge(ctx: restate.Context, order: dict[str, Any]) -> StepResponse:
    """A step that returns a dataclass."""
    return StepResponse(output=await shop.charge(order["order_id"]), compensation_data=order)


charge_for_receipt = create_saga_step("Charge", charge, undoing("Charge"))


async def run_dataclass_result(saga: SagaContext, order: Order) -> str:
    """A step returns a dataclass; the next one fails at first, so the first is replayed."""
    receipt = await charge_for_receipt(saga, {"order_id": order.id})
    await steps["Ship"](saga, {"order_id": order.id})
    return f"{type(receipt).__name__} over {receipt.amount}"


async def print_label(ctx: restate.Context, order: dict[str, Any]) -> StepResponse:
    """A step that returns a pydantic model."""
    return StepResponse(output=await shop.print_label(order["order_id"]), compensation_data=order)


pack_with_label = create_saga_step("Pack", print_label, undoing("Pack"))


async def run_model_result(saga: SagaContext, order: Order) -> str:
    """The same with a pydantic model."""
    label = await pack_with_label(saga, {"order_id": order.id})
    await steps["Ship"](saga, {"order_id": order.id})
    return f"{type(label).__name__} of {label.weight}"


async def respond(ctx: restate.Context, order: dict[str, Any]) -> StepResponse:
    """A step that returns what its client library gave it."""
    return StepResponse(output=await shop.respond(order["order_id"]), compensation_data=order)


charge_for_response = create_saga_step("Charge", respond, undoing("Charge"))


async def run_unserialisable(saga: SagaContext, order: Order) -> str:
    """A step's result cannot be journaled."""
    await steps["Reserve"](saga, {"order_id": order.id})
    await charge_for_response(saga, {"order_id": order.id})
    return "sold"


charge_twice = make_step(
    "Charge",
    SagaStepOptions(
        retry=StepRetryPolicy(max_retry_attempts=2), compensation_retry=StepRetryPolicy()
    ),
)


async def run_persistent(saga: SagaContext, order: Order) -> str:
    """A step is tried twice, and no more."""
    await steps["Reserve"](saga, {"order_id": order.id})
    await charge_twice(saga, {"order_id": order.id})
    return "sold"


app = restate.app(
    [
        create_saga_workflow("Checkout", run_checkout),
        create_saga_workflow("Wrapped", run_wrapped),
        create_saga_workflow("Grouped", run_grouped),
        create_saga_workflow("OutOfStock", run_out_of_stock),
        create_saga_workflow("OutOfStockInStep", run_out_of_stock_in_step),
        create_saga_workflow("Calling", run_calling),
        create_saga_workflow("DataclassResult", run_dataclass_result),
        create_saga_workflow("ModelResult", run_model_result),
        create_saga_workflow("Unserialisable", run_unserialisable),
        create_saga_workflow("Persistent", run_persistent),
        warehouse,
    ]
)
