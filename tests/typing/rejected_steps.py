"""Mistakes with steps, each of which mypy and pyright must report.

A line with a mistake bears the comments by which each of the two is told to let it pass; both
report a comment that nothing needs, so each line proves that both see the mistake. Nothing in
here ever runs.
"""

from __future__ import annotations

from datetime import timedelta

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableSagaStep,
    DurableStepContext,
    Retry,
    Saga,
    SagaStep,
    StepContext,
    StepResponse,
    create_saga_step,
    create_saga_step_strict,
    saga_step,
    saga_step_strict,
)
from tests.typing.accepted_made_steps import call, release, reserve
from tests.typing.accepted_steps import (
    alone,
    data_apart,
    durable,
    nothing,
    output,
    sliced,
    strict,
    whole,
)
from tests.typing.domain import Inventory, Order, Paid, Reserved, Services


async def calls(saga: Saga, slim: Saga[Inventory], order: Order) -> None:
    await output(saga, "p-1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # an input of the wrong type
    await output(saga, Reserved("hold-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await output(saga)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no input
    await output(order)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]  # no saga
    await output(saga, order, order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # too many
    await output(None, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no saga
    await alone(saga, order)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # an input where none is taken
    await sliced(saga, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a saga without services
    await whole(slim, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a saga without all of them


async def outputs(saga: Saga, order: Order) -> None:
    paid: Paid = await output(saga, order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # the output as what it is not
    print((await output(saga, order)).charge)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    print((await nothing(saga, order)).hold)  # type: ignore[attr-defined, func-returns-value]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    reserved: Reserved = output(saga, order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # the coroutine as the output
    print(paid, reserved)


async def forgotten(saga: Saga, order: Order) -> None:
    output(saga, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]  # not awaited
    alone(saga)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    durable(saga, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


def steps_as_others() -> None:
    wrong_input: SagaStep[Reserved, Reserved] = output  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_output: SagaStep[Order, Paid] = output  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_data: SagaStep[Order, Reserved, Reserved] = output  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_services: SagaStep[Order, Reserved, object, object] = sliced  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    not_durable: DurableSagaStep[Order, Reserved] = output  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(wrong_input, wrong_output, wrong_data, wrong_services, not_durable)


def compensations() -> None:
    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the input may come
    async def data_only(step: CompensationContext, data: Reserved) -> None: ...

    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the data may come
    async def input_only(step: CompensationContext, data: Order) -> None: ...

    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # neither
    async def neither(step: CompensationContext, data: Paid) -> None: ...

    @nothing.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no data, so it is the input
    async def output_of_nothing(step: CompensationContext, data: None) -> None: ...

    @data_apart.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the data is not the output
    async def output_for_data(step: CompensationContext, data: Reserved | Order) -> None: ...

    @alone.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # None may come
    async def no_none(step: CompensationContext, data: Reserved) -> None: ...

    @strict.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a strict step's gets the data, not the input
    async def input_of_strict(step: CompensationContext, data: Order) -> None: ...

    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no context
    async def no_context(data: Reserved | Order) -> None: ...

    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the wrong context
    async def step_context(step: StepContext, data: Reserved | Order) -> None: ...

    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no data
    async def no_data(step: CompensationContext) -> None: ...

    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a plain step's compensation has no Restate context
    async def durable_context(step: DurableCompensationContext, data: Reserved | Order) -> None: ...

    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # another input
    async def other_input(
        step: CompensationContext[object, Paid], data: Reserved | Order
    ) -> None: ...

    @output.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # services that the step does not ask for
    async def services(step: CompensationContext[Services], data: Reserved | Order) -> None: ...

    @sliced.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # more of them than the step asks for
    async def all_services(step: CompensationContext[Services], data: Reserved | Order) -> None: ...

    @durable.compensate  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def of_durable(step: DurableCompensationContext, data: Reserved | Order) -> None: ...


def actions() -> None:
    @saga_step("no context")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_context(order: Order) -> None: ...

    @saga_step("no parameters")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_parameters() -> None: ...

    @saga_step("a saga is no step context")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def saga_first(saga: Saga, order: Order) -> None: ...

    @saga_step("a plain step has no Restate context")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def durable_context(step: DurableStepContext, order: Order) -> None: ...

    @saga_step("a compensation is no action")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def compensation(step: CompensationContext, order: Order) -> None: ...

    @saga_step_strict("no context")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def strict_no_context(order: Order) -> None: ...

    @saga_step("durable code is async", durable=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def durable_plain(step: DurableStepContext, order: Order) -> None: ...

    @saga_step  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # the name is missing
    async def no_name(step: StepContext, order: Order) -> None: ...


def responses() -> None:
    @saga_step("response")
    async def wrong_output(step: StepContext, order: Order) -> StepResponse[Reserved]:
        return StepResponse(Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportReturnType]

    @saga_step("data")
    async def wrong_data(step: StepContext, order: Order) -> StepResponse[Reserved, str]:
        if order.product == "a":
            return StepResponse(Reserved("hold-1"))  # type: ignore[arg-type]  # pyright: ignore[reportReturnType]  # the output is no str
        if order.product == "b":
            return StepResponse.permanent_failure("no", 7)  # type: ignore[arg-type]  # pyright: ignore[reportReturnType]  # nor is this
        return StepResponse.permanent_failure("no", status_code="409")  # type: ignore[call-overload, no-any-return]  # pyright: ignore[reportArgumentType]

    print(wrong_output, wrong_data, StepResponse())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def options() -> None:
    saga_step()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    saga_step("name", Retry())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # by position
    saga_step("name", timeout=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no timedelta
    saga_step("name", retry=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no Retry
    saga_step("name", retires=Retry())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    saga_step("name", as_terminal_error=LookupError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a class is no mapper
    saga_step("name", durable=True, retry=Retry())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # nothing could apply it
    saga_step("name", durable=True, timeout=timedelta(seconds=1))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    saga_step("name", durable=True, compensation_retry=Retry())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    saga_step_strict("name", durable=True, retry=Retry())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    Retry(max_attempts="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Retry(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Retry(initial_interval=0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def made() -> None:
    async def wrong_data(step: CompensationContext, data: Paid) -> None: ...

    async def data_and_input(step: CompensationContext, data: Reserved | Order) -> None: ...

    def plain(step: DurableStepContext, order: Order) -> None: ...

    create_saga_step("name", reserve, wrong_data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_step("name", reserve, data_and_input)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_step_strict("name", reserve, wrong_data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_step("name", reserve, release, timeout=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_step("name", call)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # it asks for the Restate context
    create_saga_step("name", plain, durable=True)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_step("name", call, durable=True, retry=Retry())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_step("name")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
