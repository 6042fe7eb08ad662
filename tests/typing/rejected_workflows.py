"""Mistakes with workflows, services and the registry, reported by mypy and pyright; none runs.

See `rejected_steps` for how a line proves that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from restate import TerminalError
from restate.client_types import RestateClient
from restate.context import Context

from resaga import (
    CompensationContext,
    Handler,
    Saga,
    SagaRequest,
    SagaWorkflow,
    StepContext,
    create_saga_workflow,
    register_terminal_errors,
    saga_workflow,
    set_global_error_mapper,
)
from tests.typing.accepted_workflows import (
    asks,
    checkout,
    provide,
    provide_for_order,
    ship,
    stock,
    undo,
)
from tests.typing.domain import Inventory, Order, Paid, Receipt, Reserved, Services


@asynccontextmanager
async def provide_number(request: SagaRequest) -> AsyncGenerator[int]:
    yield 7


@asynccontextmanager
async def provide_for_paid(request: SagaRequest[Paid]) -> AsyncGenerator[Services]:
    yield Services()


async def provide_nothing(request: SagaRequest) -> Services:
    return Services()


def bodies() -> None:
    @saga_workflow("NoSaga")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_saga(order: Order) -> None: ...

    @saga_workflow("StepContext")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def step_context(step: StepContext, order: Order) -> None: ...

    @saga_workflow("Plain")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # it awaits steps, so it is async
    def plain(saga: Saga, order: Order) -> None: ...

    @saga_workflow("TwoInputs")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def two_inputs(saga: Saga, order: Order, paid: Paid) -> None: ...

    @saga_workflow  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # the name is missing
    async def no_name(saga: Saga, order: Order) -> None: ...


def services() -> None:
    @saga_workflow("Wrong", services=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong(saga: Saga[Inventory], order: Order) -> None: ...

    @saga_workflow("WrongProvider", services_from=provide_number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong_provider(saga: Saga[Inventory], order: Order) -> None: ...

    saga_workflow("Both", services=Services(), services_from=provide)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    saga_workflow("NoProvider", services_from=Services())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    saga_workflow("NoManager", services_from=provide_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    asks.with_services(provide_number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    asks.with_services(provide_for_paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    asks.with_services(provide_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    create_saga_workflow("Wrong", stock, services=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_workflow("WrongProvider", stock, services_from=provide_number)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_workflow("Both", stock, services=Services(), services_from=provide)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def options() -> None:
    saga_workflow()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    saga_workflow("Name", Services())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # by position
    saga_workflow("Name", retry_policy="pause")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    saga_workflow("Name", journal_retention=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no timedelta
    saga_workflow("Name", metadata={"size": 7})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    saga_workflow("Name", observers=[print])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    saga_workflow("Name", max_result_size="8 MiB")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    saga_workflow("Name", retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    create_saga_workflow("Name", ship, retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    create_saga_workflow("Name")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def callers(ctx: Context, client: RestateClient, saga: Saga, order: Order) -> None:
    await ctx.service_call(checkout.run, Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.service_call(checkout.run, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    receipt: Reserved = await ctx.service_call(checkout.run, order)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    wrong_input: SagaWorkflow[Paid, Receipt] = checkout  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_output: SagaWorkflow[Order, Paid] = checkout  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_handler: Handler[Paid, Receipt] = checkout.run  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    checkout.run(saga, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]  # a handler is not for calling; at least it wants an await
    await checkout(saga, order)  # type: ignore[operator]  # pyright: ignore[reportCallIssue]
    print(receipt, wrong_input, wrong_output, wrong_handler, provide_for_order)


def in_hand(saga: Saga, order: Order) -> None:
    async def undo_served(step: CompensationContext[Inventory], ticket: int) -> None: ...

    saga.add_compensation("CloseTicket", undo, "T-7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    saga.add_compensation("CloseTicket", undo)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    saga.add_compensation("CloseTicket", undo_served, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    needs: Saga[Services] = saga  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(saga.services.inventory, needs)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    saga.id = "inv_1"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def contexts(step: StepContext, undoing: CompensationContext[object, Order]) -> None:
    print(step.ctx)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]  # an action has no Restate context
    print(step.services.inventory)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    print(undoing.input.hold)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    step.name = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    print(undoing.outcome == "done")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]


def registry() -> None:
    def no_mapper(error: Exception) -> str:
        return str(error)

    def narrow(error: LookupError) -> TerminalError | None: ...

    register_terminal_errors(LookupError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    register_terminal_errors([7])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    register_terminal_errors([KeyboardInterrupt])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    set_global_error_mapper(no_mapper)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    set_global_error_mapper(narrow)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
