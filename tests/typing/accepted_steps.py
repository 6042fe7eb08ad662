"""Steps as they are meant to be written, and the types that users then see.

The definitions run when pytest imports this file, so what the checkers accept works, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Sequence
from datetime import timedelta
from typing import Never, assert_type

from restate import TerminalError
from restate.context import Context

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableSagaStep,
    DurableStepContext,
    Outcome,
    Retry,
    Saga,
    SagaStep,
    StepContext,
    StepResponse,
    saga_step,
    saga_step_strict,
)
from tests.typing.accepted_made_steps import made
from tests.typing.domain import Inventory, Order, Paid, Reserved, RushOrder, Services


def as_terminal(error: Exception) -> TerminalError | None:
    return TerminalError("sold out", 409) if isinstance(error, LookupError) else None


# -- hybrid: the compensation gets the data, or the input ---------------------------------


@saga_step("output")
async def output(step: StepContext, order: Order) -> Reserved:
    return Reserved(order.product + step.idempotency_key)


@output.compensate
async def undo_output(step: CompensationContext, data: Reserved | Order) -> None:
    match data:
        case Reserved(hold):
            assert_type(hold, str)
        case Order(product):
            assert_type(product, str)


@saga_step("response")
async def response(step: StepContext, order: Order) -> StepResponse[Reserved]:
    return StepResponse(Reserved(order.product))


@response.compensate
def undo_response(step: CompensationContext[object, Order], data: Reserved | Order) -> None:
    assert_type(step.input, Order)
    assert_type(step.outcome, Outcome)
    assert_type(step.failed, bool)
    assert_type(step.has_data, bool)
    assert_type(step.forward_idempotency_key, str)


@saga_step("data")
async def data_apart(step: StepContext, order: Order) -> StepResponse[Reserved, str]:
    if not order.product:
        return StepResponse.permanent_failure("no product", status_code=422)
    if order.product == "half":
        return StepResponse.permanent_failure("half done", "hold-1")
    return StepResponse(Reserved(order.product), "hold-1")


@data_apart.compensate
async def undo_data_apart(step: CompensationContext, data: str | Order) -> None: ...


@saga_step("nothing")
async def nothing(step: StepContext, order: Order) -> None: ...


@nothing.compensate
async def undo_nothing(step: CompensationContext, data: Order) -> None: ...


@saga_step(
    "options",
    retry=Retry(max_attempts=3, initial_interval=timedelta(seconds=1)),
    compensation_retry=Retry(factor=2.0),
    timeout=timedelta(seconds=5),
    as_terminal_error=as_terminal,
)
async def optional(step: StepContext, order: Order | None) -> Reserved | None: ...


@optional.compensate
async def undo_optional(
    step: CompensationContext, data: Reserved | Order | None, note: str = "injected"
) -> None: ...


assert_type(output, SagaStep[Order, Reserved, Reserved | Order, object])
assert_type(response, SagaStep[Order, Reserved, Reserved | Order, object])
assert_type(data_apart, SagaStep[Order, Reserved, str | Order, object])
assert_type(nothing, SagaStep[Order, None, Order, object])
assert_type(optional, SagaStep[Order | None, Reserved | None, Reserved | Order | None, object])


# -- plain functions, and those that give an awaitable ------------------------------------


@saga_step("plain")
def plain(step: StepContext, order: Order) -> Reserved:
    return Reserved(order.product)


@saga_step("plain response")
def plain_response(step: StepContext, order: Order) -> StepResponse[list[Reserved], dict[str, int]]:
    return StepResponse([Reserved(order.product)], {"hold": 1})


@saga_step("plain nothing")
def plain_nothing(step: StepContext, order: Order) -> None: ...


@saga_step("awaitable")
def awaitable(step: StepContext, order: Order) -> Awaitable[Reserved]:
    return output_of(order)


async def output_of(order: Order) -> Reserved:
    return Reserved(order.product)


assert_type(plain, SagaStep[Order, Reserved, Reserved | Order, object])
assert_type(
    plain_response,
    SagaStep[Order, list[Reserved], dict[str, int] | Order, object],
)
assert_type(plain_nothing, SagaStep[Order, None, Order, object])
assert_type(awaitable, SagaStep[Order, Reserved, Reserved | Order, object])


# -- no input -----------------------------------------------------------------------------


@saga_step("alone")
async def alone(step: StepContext) -> Reserved:
    return Reserved(step.saga_id)


@alone.compensate
async def undo_alone(step: CompensationContext, data: Reserved | None) -> None: ...


@saga_step("alone response")
async def alone_response(step: StepContext) -> StepResponse[Reserved, str]:
    return StepResponse(Reserved(step.name), step.name)


@saga_step("alone nothing")
async def alone_nothing(step: StepContext) -> None: ...


@saga_step("alone plain")
def alone_plain(step: StepContext) -> Reserved:
    return Reserved(step.name)


assert_type(alone, SagaStep[None, Reserved, Reserved | None, object])
assert_type(alone_response, SagaStep[None, Reserved, str | None, object])
assert_type(alone_nothing, SagaStep[None, None, None, object])
assert_type(alone_plain, SagaStep[None, Reserved, Reserved | None, object])


# -- what is injected does not count ------------------------------------------------------


@saga_step("injected")
async def injected(step: StepContext, order: Order, repository: str = "injected") -> Reserved:
    return Reserved(repository)


@saga_step("injected by keyword")
async def injected_by_keyword(step: StepContext, order: Order, *, repository: str) -> Reserved:
    return Reserved(repository)


@saga_step("alone injected")
async def alone_injected(step: StepContext, *, repository: str) -> Reserved:
    return Reserved(repository)


assert_type(injected, SagaStep[Order, Reserved, Reserved | Order, object])
assert_type(injected_by_keyword, SagaStep[Order, Reserved, Reserved | Order, object])
assert_type(alone_injected, SagaStep[None, Reserved, Reserved | None, object])


# -- strict: the compensation gets the data -----------------------------------------------


@saga_step_strict("strict", retry=Retry(max_attempts=3))
async def strict(step: StepContext, order: Order) -> Paid:
    return Paid(order.product)


@strict.compensate
async def undo_strict(step: CompensationContext, data: Paid) -> None: ...


@saga_step_strict("strict response")
async def strict_response(step: StepContext, order: Order) -> StepResponse[Paid, str]:
    return StepResponse(Paid(order.product), "refund-1")


@strict_response.compensate
async def undo_strict_response(step: CompensationContext, data: str) -> None: ...


@saga_step_strict("strict nothing")
def strict_nothing(step: StepContext, order: Order) -> None: ...


@strict_nothing.compensate
def undo_strict_nothing(step: CompensationContext, data: Order) -> None: ...


@saga_step_strict("strict alone")
def strict_alone(step: StepContext) -> Paid:
    return Paid(step.name)


assert_type(strict, SagaStep[Order, Paid, Paid, object])
assert_type(strict_response, SagaStep[Order, Paid, str, object])
assert_type(strict_nothing, SagaStep[Order, None, Order, object])
assert_type(strict_alone, SagaStep[None, Paid, Paid, object])


# -- durable: contexts with the Restate context -------------------------------------------


@saga_step("durable", durable=True, as_terminal_error=as_terminal)
async def durable(step: DurableStepContext, order: Order) -> StepResponse[Reserved, str]:
    assert_type(step.ctx, Context)
    return StepResponse(Reserved(order.product), order.product)


@durable.compensate
async def undo_durable(step: DurableCompensationContext, data: str | Order) -> None:
    assert_type(step.ctx, Context)


@saga_step_strict("durable strict", durable=True)
async def durable_strict(step: DurableStepContext) -> Reserved:
    return Reserved(step.name)


@durable_strict.compensate
async def undo_durable_strict(
    step: DurableCompensationContext[object, None], data: Reserved
) -> None:
    assert_type(step.input, None)


@saga_step("durable without use for it", durable=True)
async def durable_plainly(step: StepContext, order: Order) -> None: ...


@durable_plainly.compensate
async def undo_durable_plainly(step: CompensationContext, data: Order) -> None: ...


assert_type(durable, DurableSagaStep[Order, Reserved, str | Order, object])
assert_type(durable_strict, DurableSagaStep[None, Reserved, Reserved, object])
assert_type(durable_plainly, DurableSagaStep[Order, None, Order, object])


# -- services: a step asks for all of them, or for the slice it needs ---------------------


@saga_step("slice")
async def sliced(step: StepContext[Inventory], order: Order) -> Reserved:
    return Reserved(step.services.inventory)


@sliced.compensate
async def undo_sliced(step: CompensationContext[Inventory], data: Reserved | Order) -> None:
    assert_type(step.services.inventory, str)


@saga_step("whole")
async def whole(step: StepContext[Services], order: Order) -> Paid:
    return Paid(step.services.payments)


@whole.compensate
async def undo_whole(step: CompensationContext[Inventory], data: Paid | Order) -> None: ...


assert_type(sliced, SagaStep[Order, Reserved, Reserved | Order, Inventory])
assert_type(whole, SagaStep[Order, Paid, Paid | Order, Services])


# -- running them -------------------------------------------------------------------------

every: Sequence[SagaStep] = [output, nothing, alone, strict, durable, sliced, whole, made]
some: Sequence[SagaStep[Order, Reserved]] = [output, data_apart, plain, durable, sliced, made]


async def body(saga: Saga, served: Saga[Services], order: Order, rush: RushOrder) -> None:
    assert_type(await output(saga, order), Reserved)
    assert_type(await output(served, rush), Reserved)
    assert_type(await output(saga, input=order), Reserved)
    assert_type(await data_apart(saga, order), Reserved)
    assert_type(await nothing(saga, order), None)
    assert_type(await optional(saga, None), Reserved | None)
    assert_type(await optional(saga), Reserved | None)
    assert_type(await plain_response(saga, order), list[Reserved])
    assert_type(await alone(saga), Reserved)
    assert_type(await alone(served), Reserved)
    assert_type(await alone_nothing(saga), None)
    assert_type(await strict(saga, order), Paid)
    assert_type(await durable(saga, order), Reserved)
    assert_type(await durable_strict(saga), Reserved)
    assert_type(await sliced(served, order), Reserved)
    assert_type(await whole(served, order), Paid)
    later = output(saga, order)
    await assert_type(later, Coroutine[object, Never, Reserved])
    for step in some:
        assert_type(await step(saga, order), Reserved)
    # What `compensate` returns is the function, to be called in a test of its own.
    context = CompensationContext(
        name="output",
        saga_id="inv_1",
        idempotency_key="inv_1.1.undo",
        forward_idempotency_key="inv_1.1",
        services=None,
        input=order,
        has_data=True,
        outcome="completed",
    )
    assert_type(await undo_output(context, Reserved("hold-1")), None)
