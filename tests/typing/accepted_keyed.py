"""Restate workflows: bodies, signals, queries, and the function form, as users see their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import assert_type

import restate
from restate import InvocationRetryPolicy, TerminalError
from restate.client_types import RestateClient
from restate.context import Context, WorkflowContext, WorkflowSharedContext

from resaga import (
    Call,
    Handler,
    Saga,
    SagaObserver,
    SagaRestateWorkflow,
    WorkflowContract,
    create_saga_restate_workflow,
    saga_restate_workflow,
)
from tests.typing.accepted_workflows import provide, provide_for_order
from tests.typing.domain import Inventory, Order, Receipt, RushOrder, Services


def as_terminal(error: Exception) -> TerminalError | None:
    return TerminalError("sold out", 409) if isinstance(error, LookupError) else None


# -- bodies -------------------------------------------------------------------------------


@saga_restate_workflow("Approval")
async def approval(saga: Saga, ctx: WorkflowContext, order: Order) -> Receipt:
    assert_type(saga.services, object)
    assert_type(ctx.key(), str)
    approved = await ctx.promise("approval", type_hint=bool).value()
    return Receipt(order.product, str(approved))


@saga_restate_workflow("KeyedAlone")
async def alone(saga: Saga, ctx: WorkflowContext) -> None: ...


@saga_restate_workflow(
    "KeyedOptions",
    as_terminal_error=as_terminal,
    observers=[SagaObserver()],
    max_result_size=1024,
    deadline=timedelta(days=1),
    retry_policy=InvocationRetryPolicy(max_attempts=5),
    description="What it does",
    metadata={"team": "shop"},
    inactivity_timeout=timedelta(minutes=1),
    abort_timeout=timedelta(minutes=1),
    journal_retention=timedelta(days=1),
    ingress_private=True,
    state_preload=["balance"],
    workflow_retention=timedelta(days=7),
)
async def optional(saga: Saga, ctx: WorkflowContext, order: Order | None) -> list[Receipt]:
    return []


@saga_restate_workflow("KeyedAsks")
async def asks(saga: Saga[Inventory], ctx: WorkflowContext, order: Order) -> str:
    return saga.services.inventory


assert_type(approval, SagaRestateWorkflow[Order, Receipt, object])
assert_type(alone, SagaRestateWorkflow[None, None, object])
assert_type(optional, SagaRestateWorkflow[Order | None, list[Receipt], object])
assert_type(asks, SagaRestateWorkflow[Order, str, Inventory])
assert_type(approval.run, Handler[Order, Receipt])
assert_type(alone.run, Handler[None, None])


# -- signals and queries ------------------------------------------------------------------


@approval.handler()
async def approve(ctx: WorkflowSharedContext, approved: bool) -> None:
    await ctx.promise("approval", type_hint=bool).resolve(approved)


@approval.handler("getStatus", as_terminal_error=as_terminal, ingress_private=True)
async def status(ctx: WorkflowSharedContext) -> list[str]:
    return [ctx.key()]


assert_type(approve, Handler[bool, None])
assert_type(status, Handler[None, list[str]])


class Review(WorkflowContract, name="Review"):
    """A contract: `run`, a signal, and a query by another name on the wire."""

    run = Call(Order, Receipt)
    reject = Call(str, None)
    status = Call(None, list[str], name="getStatus")


@saga_restate_workflow("Review")
async def review(saga: Saga, ctx: WorkflowContext, order: Order) -> Receipt:
    return Receipt(order.product, ctx.key())


@review.handler(Review.reject, inactivity_timeout=timedelta(minutes=1))
async def reject(ctx: WorkflowSharedContext, why: str) -> None: ...


@review.handler(Review.status)
async def review_status(ctx: WorkflowSharedContext) -> list[str]:
    return []


assert_type(reject, Handler[str, None])
assert_type(review_status, Handler[None, list[str]])


# -- services: an object, or a provider ---------------------------------------------------


@saga_restate_workflow("KeyedServed", services=Services())
async def served(saga: Saga[Inventory], ctx: WorkflowContext, order: Order) -> str:
    return saga.services.inventory


@saga_restate_workflow("KeyedProvided", services_from=provide, workflow_retention=None)
async def provided(saga: Saga[Services], ctx: WorkflowContext) -> str:
    return saga.services.payments


@saga_restate_workflow("KeyedProvidedForItsInput", services_from=provide_for_order)
async def provided_for_order(saga: Saga[Services], ctx: WorkflowContext, order: RushOrder) -> int:
    return order.hours


bound = asks.with_services(provide)
bound_for_order = asks.with_services(provide_for_order)

assert_type(served, SagaRestateWorkflow[Order, str, Services])
assert_type(provided, SagaRestateWorkflow[None, str, Services])
assert_type(provided_for_order, SagaRestateWorkflow[RushOrder, int, Services])
assert_type(bound, SagaRestateWorkflow[Order, str, Inventory])
assert_type(bound_for_order, SagaRestateWorkflow[Order, str, Inventory])


# -- without decorators -------------------------------------------------------------------


async def ship(saga: Saga, ctx: WorkflowContext, order: Order) -> Receipt:
    return Receipt(order.product, ctx.key())


async def stock(saga: Saga[Inventory], ctx: WorkflowContext, order: Order) -> str:
    return saga.services.inventory


async def tidy(saga: Saga, ctx: WorkflowContext) -> None: ...


async def cancel(ctx: WorkflowSharedContext, why: str) -> None: ...


async def progress(ctx: WorkflowSharedContext) -> int:
    return 1


made = create_saga_restate_workflow(
    "KeyedMade", ship, {"cancel": cancel, "progress": progress}, description="What it does"
)
made_alone = create_saga_restate_workflow("KeyedMadeAlone", tidy)
made_asking = create_saga_restate_workflow("KeyedMadeAsking", stock)
made_served = create_saga_restate_workflow("KeyedMadeServed", stock, services=Services())
made_provided = create_saga_restate_workflow("KeyedMadeProvided", stock, services_from=provide)
made_for_order = create_saga_restate_workflow(
    "KeyedMadeFor", stock, None, services_from=provide_for_order
)
made_alone_provided = create_saga_restate_workflow(
    "KeyedMadeAloneProvided", tidy, handlers={"progress": progress}, services_from=provide
)

assert_type(made, SagaRestateWorkflow[Order, Receipt, object])
assert_type(made_alone, SagaRestateWorkflow[None, None, object])
assert_type(made_asking, SagaRestateWorkflow[Order, str, Inventory])
assert_type(made_served, SagaRestateWorkflow[Order, str, Services])
assert_type(made_provided, SagaRestateWorkflow[Order, str, Services])
assert_type(made_for_order, SagaRestateWorkflow[Order, str, Services])
assert_type(made_alone_provided, SagaRestateWorkflow[None, None, Services])


# -- in use -------------------------------------------------------------------------------

every: Sequence[SagaRestateWorkflow] = [approval, alone, served, provided, bound, made]
some: Sequence[SagaRestateWorkflow[Order, str]] = [asks, served, bound, made_served]
handlers: Mapping[str, Handler] = {"approve": approve, "status": status, "run": approval.run}
app = restate.app([approval, alone, served])


async def inside(saga: Saga, rich: Saga[Services], order: Order, rush: RushOrder) -> None:
    assert_type(await approval.run_as_step(saga, order), Receipt)
    assert_type(await approval.run_as_step(rich, rush), Receipt)
    assert_type(await alone.run_as_step(saga), None)
    assert_type(await asks.run_as_step(rich, order), str)
    assert_type(await optional.run_as_step(saga, None), list[Receipt])
    assert_type(
        await saga.gather(approval.run_as_step(saga, order), alone.run_as_step(saga)),
        tuple[Receipt, None],
    )


async def by_the_sdk(ctx: Context, client: RestateClient, order: Order) -> None:
    assert_type(await ctx.workflow_call(approval.run, "order-7", order), Receipt)
    assert_type(await ctx.workflow_call(approve, "order-7", True), None)
    assert_type(await client.workflow_call(approval.run, "order-7", order), Receipt)
    await ctx.workflow_send(approve, "order-7", True).invocation_id()
