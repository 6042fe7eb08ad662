"""Clients that call: of every kind of definition and contract, through everything that can."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Never, assert_type

import restate
from restate.client_types import RestateClient
from restate.context import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    WorkflowContext,
    WorkflowSharedContext,
)

from resaga import (
    Call,
    Client,
    Contract,
    DurableCompensationContext,
    DurableStepContext,
    KeyedWorkflowClient,
    ObjectContract,
    Saga,
    SagaWorkflow,
    Via,
    WorkflowClient,
    WorkflowContract,
    object_client,
    service_client,
    workflow_client,
)
from tests.typing.accepted_keyed import alone as keyed_alone
from tests.typing.accepted_keyed import approval, approve, made, progress, status
from tests.typing.accepted_objects import Account, get_balance, get_history, transfer, wallet
from tests.typing.accepted_workflows import alone, asks, checkout, optional
from tests.typing.domain import Inventory, Order, Receipt, RushOrder, Services

# -- contracts ----------------------------------------------------------------------------

Checkout = Contract("Checkout", Order, Receipt)
Optional = Contract("Optional", Order | None, list[Receipt])
Nothing = Contract("Alone", None, None)

assert_type(Checkout, Contract[Order, Receipt])
assert_type(Optional, Contract[Order | None, list[Receipt]])
assert_type(Nothing, Contract[None, None])
assert_type(checkout.contract, Contract[Order, Receipt])
assert_type(alone.contract, Contract[None, None])
assert_type(Checkout.run, Call[Order, Receipt])
assert_type(Checkout.name, str)
assert_type(Checkout.input_schema(), dict[str, Any] | None)
assert_type(Checkout.output_schema(), dict[str, Any] | None)
assert_type(Call(Order, Receipt), Call[Order, Receipt])
assert_type(Call(None, int, name="getCount"), Call[None, int])
assert_type(Call(Order | None, None), Call[Order | None, None])


class Wallet(ObjectContract, name="Wallet"):
    """The contract of an object."""

    transfer = Call(Order, Receipt)
    get_balance = Call(None, int, name="getBalance")
    get_history = Call(int | None, list[Receipt])


class Approval(WorkflowContract, name="Approval"):
    """The contract of a keyed workflow."""

    run = Call(Order, Receipt)
    approve = Call(bool, None)
    status = Call(None, list[str], name="getStatus")


assert_type(Wallet.transfer, Call[Order, Receipt])
assert_type(Approval.status, Call[None, list[str]])
assert_type(Wallet.get_balance.takes_input, bool)
assert_type(Wallet.contract_name, str)


# -- definitions of the SDK's -------------------------------------------------------------

pricing = restate.Service("Pricing")
counter = restate.VirtualObject("Counter")
printing = restate.Workflow("Printing")


@pricing.handler("quote")
async def quote(ctx: Context, order: Order) -> int:
    return len(order.product)


@pricing.handler("total")
async def total(ctx: Context) -> float:
    return 0.0


@counter.handler("add")
async def add(ctx: ObjectContext, by: int) -> int:
    return by


@counter.handler("peek", kind="shared")
async def peek(ctx: ObjectSharedContext) -> int:
    return 0


@printing.main()
async def run(ctx: WorkflowContext, order: Order) -> Receipt:
    return Receipt(order.product, ctx.key())


@printing.handler()
async def stop(ctx: WorkflowSharedContext, why: str) -> None: ...


# -- through everything -------------------------------------------------------------------


async def vias(
    saga: Saga,
    rich: Saga[Services],
    step: DurableStepContext,
    served_step: DurableStepContext[Inventory],
    undo: DurableCompensationContext,
    served_undo: DurableCompensationContext[Inventory, Order],
    ctx: Context,
    object_ctx: ObjectContext,
    shared_ctx: ObjectSharedContext,
    workflow_ctx: WorkflowContext,
    signal_ctx: WorkflowSharedContext,
    client: RestateClient,
    order: Order,
) -> None:
    assert_type(await workflow_client(saga, checkout).run(order), Receipt)
    assert_type(await workflow_client(rich, checkout).run(order), Receipt)
    assert_type(await workflow_client(step, checkout).run(order), Receipt)
    assert_type(await workflow_client(served_step, checkout).run(order), Receipt)
    assert_type(await workflow_client(undo, checkout).run(order), Receipt)
    assert_type(await workflow_client(served_undo, checkout).run(order), Receipt)
    assert_type(await workflow_client(ctx, checkout).run(order), Receipt)
    assert_type(await workflow_client(object_ctx, checkout).run(order), Receipt)
    assert_type(await workflow_client(shared_ctx, checkout).run(order), Receipt)
    assert_type(await workflow_client(workflow_ctx, checkout).run(order), Receipt)
    assert_type(await workflow_client(signal_ctx, checkout).run(order), Receipt)
    assert_type(await workflow_client(client, checkout).run(order), Receipt)
    every: list[Via] = [saga, rich, step, undo, served_undo, ctx, object_ctx, signal_ctx, client]
    assert_type([object_client(via, wallet, "anna") for via in every], list[Client])


# -- workflows ----------------------------------------------------------------------------


async def workflows(via: Via, order: Order, rush: RushOrder) -> None:
    client = workflow_client(via, checkout)
    assert_type(client, WorkflowClient[Order, Receipt])
    await assert_type(client.run(order), Coroutine[object, Never, Receipt])
    assert_type(await client.run(order), Receipt)
    assert_type(await client.run(rush, idempotency_key="k-1", headers={"tenant": "a"}), Receipt)
    assert_type(await client.call(checkout.run, order), Receipt)
    assert_type(await client.call(Checkout.run, order, headers={"tenant": "a"}), Receipt)
    assert_type(await workflow_client(via, alone).run(), None)
    assert_type(await workflow_client(via, alone).call(alone.run), None)
    assert_type(await workflow_client(via, optional).run(None), list[Receipt])
    assert_type(await workflow_client(via, asks).run(order), str)
    assert_type(await service_client(via, checkout).run(order), Receipt)
    assert_type(service_client(via, checkout), WorkflowClient[Order, Receipt])
    assert_type(await workflow_client(via, Checkout).run(order), Receipt)
    assert_type(await workflow_client(via, Optional).run(None), list[Receipt])
    assert_type(await workflow_client(via, Nothing).run(), None)
    assert_type(await service_client(via, Checkout).run(order, idempotency_key="k-1"), Receipt)


async def any_of(via: Via, of: SagaWorkflow[Order, Receipt], order: Order) -> Receipt:
    return await workflow_client(via, of).run(order)


# -- keyed workflows ----------------------------------------------------------------------


async def keyed(via: Via, order: Order, rush: RushOrder) -> None:
    client = workflow_client(via, approval, "order-7")
    assert_type(client, KeyedWorkflowClient[Order, Receipt])
    assert_type(await client.run(order), Receipt)
    assert_type(await client.run(rush, headers={"tenant": "a"}), Receipt)
    assert_type(await client.attach(), Receipt)
    assert_type(await client.call(approval.run, order), Receipt)
    assert_type(await client.call(approve, True), None)
    assert_type(await client.call(status), list[str])
    assert_type(await client.call(Approval.approve, True), None)
    assert_type(await client.call(Approval.status), list[str])
    named = workflow_client(via, approval, key="order-7")
    assert_type(named, KeyedWorkflowClient[Order, Receipt])
    assert_type(await workflow_client(via, keyed_alone, "order-7").run(), None)
    assert_type(await workflow_client(via, keyed_alone, "order-7").attach(), None)
    assert_type(await workflow_client(via, made, "order-7").call(progress), int)


async def keyed_contracts(via: Via, order: Order) -> None:
    client = workflow_client(via, Approval, "order-7")
    assert_type(client, Approval)
    assert_type(await client.run(order), Receipt)
    await assert_type(client.approve(True), Coroutine[object, Never, None])
    assert_type(await client.approve(True, idempotency_key="k-1", headers={"a": "b"}), None)
    assert_type(await client.status(), list[str])
    assert_type(await client.status(headers={"tenant": "a"}), list[str])


async def keyed_of_the_sdk(via: Via, order: Order) -> None:
    client = workflow_client(via, printing, "order-7")
    assert_type(client, KeyedWorkflowClient[Any, Any])
    assert_type(await client.call(run, order), Receipt)
    assert_type(await client.call(stop, "too late"), None)


# -- objects ------------------------------------------------------------------------------


async def objects(via: Via, order: Order, rush: RushOrder) -> None:
    client = object_client(via, wallet, "anna")
    assert_type(client, Client)
    await assert_type(client.call(transfer, order), Coroutine[object, Never, Receipt])
    assert_type(await client.call(transfer, rush, idempotency_key="k-1"), Receipt)
    assert_type(await client.call(get_balance), int)
    assert_type(await client.call(get_balance, headers={"tenant": "a"}), int)
    assert_type(await client.call(get_history, None), list[Receipt])
    assert_type(await client.call(Wallet.transfer, order), Receipt)
    assert_type(await client.call(Wallet.get_balance), int)
    assert_type(await client.getBalance(), Any)
    assert_type(await object_client(via, counter, "c").call(add, 7), int)
    assert_type(await object_client(via, counter, "c").call(peek), int)


async def object_contracts(via: Via, order: Order) -> None:
    client = object_client(via, Wallet, "anna")
    assert_type(client, Wallet)
    assert_type(await client.transfer(order), Receipt)
    assert_type(await client.transfer(order, idempotency_key="k-1", headers={"a": "b"}), Receipt)
    assert_type(await client.get_balance(), int)
    assert_type(await client.get_history(None), list[Receipt])
    assert_type(await object_client(via, Account, "anna").close(), None)
    assert_type(object_client(via, Wallet, key="anna"), Wallet)


# -- services -----------------------------------------------------------------------------


async def services(via: Via, saga: Saga, order: Order) -> None:
    client = service_client(via, pricing)
    assert_type(client, Client)
    assert_type(await client.call(quote, order), int)
    assert_type(await client.call(total), float)
    assert_type(await client.call(total, headers={"tenant": "a"}), float)
    assert_type(
        await saga.gather(client.call(quote, order), workflow_client(via, checkout).run(order)),
        tuple[int, Receipt],
    )
