"""Mistakes with virtual objects and `saga.state`, reported by mypy and pyright; none runs.

See `rejected_steps` for how a line proves that.
"""

from __future__ import annotations

from datetime import timedelta

from restate.context import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    WorkflowContext,
)

from resaga import Handler, Saga, SagaVirtualObject, create_saga_virtual_object
from tests.typing.accepted_objects import (
    Account,
    account,
    deposit,
    get_balance,
    peek,
    provided,
    served,
    transfer,
    wallet,
)
from tests.typing.domain import Inventory, Order, Paid, Receipt, Services
from tests.typing.rejected_workflows import provide_nothing, provide_number


def exclusive() -> None:
    @wallet.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_saga(ctx: ObjectContext, order: Order) -> None: ...

    @wallet.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def no_context(saga: Saga, order: Order) -> None: ...

    @wallet.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong_context(saga: Saga, ctx: WorkflowContext, order: Order) -> None: ...

    @wallet.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # it awaits steps, so it is async
    def plain(saga: Saga, ctx: ObjectContext, order: Order) -> None: ...

    @wallet.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def two_inputs(saga: Saga, ctx: ObjectContext, order: Order, paid: Paid) -> None: ...

    @wallet.handler  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # it is called
    async def no_call(saga: Saga, ctx: ObjectContext, order: Order) -> None: ...


def shared() -> None:
    @wallet.handler(kind="shared")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def with_saga(saga: Saga, ctx: ObjectSharedContext) -> None: ...

    @wallet.handler(kind="shared")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # it may only read
    async def exclusive_context(ctx: ObjectContext) -> None: ...

    @wallet.handler(kind="shared")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def plain(ctx: ObjectSharedContext) -> None: ...

    @wallet.handler(kind="shared")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def two_inputs(ctx: ObjectSharedContext, order: Order, paid: Paid) -> None: ...

    wallet.handler(kind="shared", deadline=timedelta(hours=1))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no saga that it could apply to
    wallet.handler(kind="shared", observers=[])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    wallet.handler(kind="shared", max_result_size=7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    wallet.handler(kind="common")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    wallet.handler(deadline=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no timedelta
    wallet.handler(workflow_retention=timedelta(days=1))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    wallet.handler(services=Services())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # they are the object's
    wallet.handler("name", "shared")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # by position
    wallet.handler(7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def contracts() -> None:
    @account.handler(Account.transfer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def wrong_input(saga: Saga, ctx: ObjectContext, paid: Paid) -> Receipt:
        raise NotImplementedError

    @account.handler(Account.transfer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def wrong_output(saga: Saga, ctx: ObjectContext, order: Order) -> Paid:
        raise NotImplementedError

    @account.handler(Account.transfer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def no_input(saga: Saga, ctx: ObjectContext) -> Receipt:
        raise NotImplementedError

    @account.handler(Account.transfer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def no_saga(ctx: ObjectSharedContext, order: Order) -> Receipt:
        raise NotImplementedError

    @account.handler(Account.close)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def needless_input(saga: Saga, ctx: ObjectContext, order: Order) -> None: ...

    @account.handler(Account.get_balance, kind="shared")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def with_saga(saga: Saga, ctx: ObjectContext) -> int:
        raise NotImplementedError

    @account.handler(Account.get_balance, kind="shared")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def wrong_shared_output(ctx: ObjectSharedContext) -> str:
        raise NotImplementedError

    @account.handler(Account.get_history, kind="shared")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # None, too, may come
    async def narrow_input(ctx: ObjectSharedContext, limit: int) -> list[Receipt]:
        raise NotImplementedError

    account.handler(Account.nothing)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    account.handler(Account)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # one of its calls is meant
    account.handler(Account.get_balance, kind="shared", deadline=timedelta(hours=1))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def services() -> None:
    @served.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def other(saga: Saga[Paid], ctx: ObjectContext, order: Order) -> None: ...

    @provided.handler(Account.close)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def other_by_contract(saga: Saga[Paid], ctx: ObjectContext) -> None: ...

    SagaVirtualObject("NoProvider", services_from=Services())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SagaVirtualObject("NoManager", services_from=provide_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    create_saga_virtual_object("NoManager", services_from=provide_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    wallet.with_services(provide_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wallet.with_services(Services())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong: SagaVirtualObject[Inventory] = wallet.with_services(provide_number)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    print(wrong)


def options() -> None:
    SagaVirtualObject()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    SagaVirtualObject("Name", Services())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # by position
    SagaVirtualObject("Name", retry_policy="pause")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SagaVirtualObject("Name", workflow_retention=timedelta(days=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a Restate workflow's
    SagaVirtualObject("Name", retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    create_saga_virtual_object("Name", [deposit])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # by their names
    create_saga_virtual_object("Name", {"deposit": deposit}, [peek])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_virtual_object("Name", {"deposit": 7})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
    create_saga_virtual_object("Name", retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def in_use(ctx: Context, saga: Saga, order: Order) -> None:
    await ctx.object_call(transfer, "anna", Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong_input: Handler[Paid, Receipt] = transfer  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_output: Handler[None, str] = get_balance  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await transfer(saga, Paid("charge-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await wallet.transfer(order)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # objects are called through clients
    print(wrong_input, wrong_output)


async def state(saga: Saga) -> None:
    saga.state.get("balance", int)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    balance: str | None = await saga.state.get("balance", int)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    certain: int = await saga.state.get("balance", int)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # there may be none
    await saga.state.get("balance", 7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await saga.state.set("balance")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await saga.state.set(7, "balance")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await saga.state.set("balance", 7, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await saga.state.clear()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    print(balance, certain)
