"""Mistakes with Restate workflows and their signals, reported by mypy and pyright; none runs.

See `rejected_steps` for how a line proves that.
"""

from __future__ import annotations

from datetime import timedelta

from restate.client_types import RestateClient
from restate.context import Context, WorkflowContext, WorkflowSharedContext

from resaga import (
    Handler,
    Saga,
    SagaRestateWorkflow,
    StepContext,
    create_saga_restate_workflow,
    saga_restate_workflow,
)
from tests.typing.accepted_keyed import (
    Review,
    alone,
    approval,
    approve,
    asks,
    progress,
    review,
    ship,
    status,
    stock,
)
from tests.typing.domain import Inventory, Order, Paid, Receipt, Reserved, Services
from tests.typing.rejected_workflows import provide_for_paid, provide_nothing, provide_number


def bodies() -> None:
    @saga_restate_workflow("NoContext")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_context(saga: Saga, order: Order, paid: Paid) -> None: ...

    @saga_restate_workflow("NoSaga")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_saga(ctx: WorkflowContext, order: Order) -> None: ...

    @saga_restate_workflow("SagaAlone")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # it gets the Restate context, too
    async def saga_alone(saga: Saga) -> None: ...

    @saga_restate_workflow("WrongContext")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong_context(saga: Saga, ctx: StepContext, order: Order) -> None: ...

    @saga_restate_workflow("StepContext")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def step_context(step: StepContext, ctx: WorkflowContext, order: Order) -> None: ...

    @saga_restate_workflow("Plain")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # it awaits steps, so it is async
    def plain(saga: Saga, ctx: WorkflowContext, order: Order) -> None: ...

    @saga_restate_workflow("TwoInputs")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def two_inputs(saga: Saga, ctx: WorkflowContext, order: Order, paid: Paid) -> None: ...

    @saga_restate_workflow  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # the name is missing
    async def no_name(saga: Saga, ctx: WorkflowContext, order: Order) -> None: ...


def signals() -> None:
    @approval.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # a signal has no saga
    async def with_saga(saga: Saga, ctx: WorkflowSharedContext, approved: bool) -> None: ...

    @approval.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # nor the main handler's context
    async def main_context(ctx: WorkflowContext, approved: bool) -> None: ...

    @approval.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def plain(ctx: WorkflowSharedContext, approved: bool) -> None: ...

    @approval.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def two_inputs(ctx: WorkflowSharedContext, approved: bool, why: str) -> None: ...

    @approval.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def nothing() -> None: ...

    @approval.handler  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # it is called
    async def no_call(ctx: WorkflowSharedContext, approved: bool) -> None: ...

    approval.handler(deadline=timedelta(hours=1))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # no saga that it could apply to
    approval.handler(observers=[])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    approval.handler(kind="shared")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    approval.handler(inactivity_timeout=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no timedelta
    approval.handler(7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def contracts() -> None:
    @review.handler(Review.reject)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def wrong_input(ctx: WorkflowSharedContext, why: int) -> None: ...

    @review.handler(Review.reject)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def wrong_output(ctx: WorkflowSharedContext, why: str) -> str:
        raise NotImplementedError

    @review.handler(Review.reject)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def no_input(ctx: WorkflowSharedContext) -> None: ...

    @review.handler(Review.status)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def needless_input(ctx: WorkflowSharedContext, why: str) -> list[str]:
        raise NotImplementedError

    @review.handler(Review.status)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def with_saga(saga: Saga, ctx: WorkflowSharedContext) -> list[str]:
        raise NotImplementedError

    review.handler(Review.nothing)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    review.handler(Review)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # one of its calls is meant


def services() -> None:
    @saga_restate_workflow("Wrong", services=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong(saga: Saga[Inventory], ctx: WorkflowContext, order: Order) -> None: ...

    @saga_restate_workflow("WrongProvider", services_from=provide_number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong_provider(saga: Saga[Inventory], ctx: WorkflowContext) -> None: ...

    saga_restate_workflow("Both", services=Services(), services_from=provide_number)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    saga_restate_workflow("NoProvider", services_from=Services())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    saga_restate_workflow("NoManager", services_from=provide_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    asks.with_services(provide_number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    asks.with_services(provide_for_paid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    asks.with_services(provide_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    asks.with_services(Services())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    create_saga_restate_workflow("Wrong", stock, services=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_restate_workflow("WrongProvider", stock, services_from=provide_number)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_restate_workflow("Both", stock, services=Services(), services_from=provide_number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


def options() -> None:
    saga_restate_workflow()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    saga_restate_workflow("Name", Services())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # by position
    saga_restate_workflow("Name", retry_policy="pause")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    saga_restate_workflow("Name", workflow_retention=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no timedelta
    saga_restate_workflow("Name", retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    create_saga_restate_workflow("Name", ship, retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    create_saga_restate_workflow("Name", ship, [progress])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # by their names
    create_saga_restate_workflow("Name", progress)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a signal is no main handler
    create_saga_restate_workflow("Name")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def in_use(saga: Saga, slim: Saga[Inventory], order: Order) -> None:
    await approval.run_as_step(saga, Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await approval.run_as_step(saga)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await approval.run_as_step(order)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    await alone.run_as_step(saga, order)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await asks.run_as_step(saga, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a saga without services
    approval.run_as_step(saga, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    receipt: Reserved = await approval.run_as_step(saga, order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_input: SagaRestateWorkflow[Paid, Receipt] = approval  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_output: SagaRestateWorkflow[Order, Paid] = approval  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_signal: Handler[str, None] = approve  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_query: Handler[None, int] = status  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await approval.run(saga, Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    approve(saga, True)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]  # a handler is not for calling; at least it wants an await
    print(receipt, wrong_input, wrong_output, wrong_signal, wrong_query, slim)


async def by_the_sdk(ctx: Context, client: RestateClient, order: Order) -> None:
    await ctx.workflow_call(approval.run, "order-7", Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await ctx.workflow_call(approve, "order-7", order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.workflow_call(approval.run, "order-7", 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
