"""Mistakes with composition and factories, reported by mypy and pyright; none runs.

See `rejected_steps` for how a line proves that.
"""

from __future__ import annotations

from datetime import timedelta

from restate.context import ObjectContext, WorkflowContext

from resaga import (
    Saga,
    SagaFactory,
    SagaWorkflow,
    StepContext,
    create_saga_module,
    run_nested_saga,
    saga_module,
)
from tests.typing.accepted_composition import made_asking, pay, pick, ship, stock, tidy
from tests.typing.accepted_services import rebound, scoped, shared
from tests.typing.accepted_workflows import alone, asks, checkout, provide
from tests.typing.domain import Inventory, Order, Paid, Receipt, Reserved, Services
from tests.typing.rejected_workflows import provide_nothing, provide_number


async def workflows(saga: Saga, slim: Saga[Inventory], step: StepContext, order: Order) -> None:
    await checkout.run_as_step(saga, Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await checkout.run_as_step(saga)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await checkout.run_as_step(order)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    await checkout.run_as_step(saga, order, order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await checkout.run_as_step(step, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a step has no saga
    await alone.run_as_step(saga, order)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await asks.run_as_step(saga, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a saga without services
    await shared.workflow("Rich")(rich_body).run_as_step(slim, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a saga without all of them
    checkout.run_as_step(saga, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    receipt: Reserved = await checkout.run_as_step(saga, order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    late: Receipt = checkout.run_as_step(saga, order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(receipt, late)


async def rich_body(saga: Saga[Services], order: Order) -> str:
    return saga.services.payments


def plain(saga: Saga) -> None: ...


async def two(saga: Saga, order: Order) -> None: ...


async def functions(saga: Saga, order: Order) -> None:
    await run_nested_saga(saga, plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it awaits steps, so it is async
    await run_nested_saga(saga, two)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await run_nested_saga(saga, pay, order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await run_nested_saga(pay, saga)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await run_nested_saga(saga, pick)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a saga without services
    await run_nested_saga(saga, pay(saga))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await run_nested_saga(saga, checkout)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run_nested_saga(saga, pay)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    paid: Reserved = await run_nested_saga(saga, pay)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    print(paid)


def modules() -> None:
    @saga_module  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def no_saga(order: Order) -> None: ...

    @saga_module  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def nothing() -> None: ...

    @saga_module  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def no_coroutine(saga: Saga, order: Order) -> None: ...

    @saga_module()  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]  # it is not called
    async def called(saga: Saga, order: Order) -> None: ...

    create_saga_module(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    create_saga_module(provide)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    create_saga_module()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def modules_in_use(saga: Saga, order: Order) -> None:
    await ship(saga, Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await ship(saga)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await ship(order)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    await ship(saga, order, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # by position
    await ship(saga, order, quickly=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await tidy(saga, order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await stock(saga, order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a saga without services
    await made_asking(saga)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ship(saga, order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    paid: Paid = await ship(saga, order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(paid)


def factories() -> None:
    @shared.workflow("Wrong")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong(saga: Saga[Paid], order: Order) -> None: ...

    @scoped.workflow("NoSaga")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_saga(order: Order) -> None: ...

    @scoped.restate_workflow("WrongKeyed")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong_keyed(saga: Saga[Paid], ctx: WorkflowContext) -> None: ...

    @scoped.restate_workflow("NoContext")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_context(saga: Saga) -> None: ...

    @scoped.virtual_object("WrongObject").handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong_object(saga: Saga[Paid], ctx: ObjectContext) -> None: ...

    scoped.workflow("Own", services=Services())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the factory's are for all
    scoped.workflow("Own", services_from=provide)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scoped.virtual_object("Own", services=Services())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scoped.workflow("Name", workflow_retention=timedelta(days=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scoped.workflow()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    scoped.workflow("Name", deadline=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no timedelta
    SagaFactory(Services())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # by position
    SagaFactory(services_from=Services())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SagaFactory(services_from=provide_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SagaFactory(retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    SagaFactory(state_preload=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # an object's
    rebound.with_services(provide_number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong_services: SagaWorkflow[Order, str, Inventory] = rebound  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # it asks for more
    print(wrong_services)
