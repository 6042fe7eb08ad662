"""Factories, and requests, as users see their types."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, assert_type

from restate.context import ObjectContext, ObjectSharedContext, WorkflowContext

from resaga import (
    Handler,
    Saga,
    SagaFactory,
    SagaObserver,
    SagaRequest,
    SagaRestateWorkflow,
    SagaVirtualObject,
    SagaWorkflow,
)
from tests.typing.accepted_workflows import provide
from tests.typing.domain import Inventory, Order, RushOrder, Services

shared = SagaFactory(services=Services(), observers=[SagaObserver()])
scoped = SagaFactory(services_from=provide, deadline=timedelta(hours=1), metadata={"team": "shop"})
plain = SagaFactory(max_result_size=1024)

assert_type(shared, SagaFactory[Services])
assert_type(scoped, SagaFactory[Services])
assert_type(plain, SagaFactory[Any])


# -- what they make -----------------------------------------------------------------------


@shared.workflow("FactoryCheckout", description="What it does")
async def checkout(saga: Saga[Services], order: Order) -> str:
    return saga.services.payments


@shared.workflow("FactorySlice")
async def slim(saga: Saga[Inventory]) -> str:
    return saga.services.inventory


@scoped.workflow("FactoryUnasked", deadline=None)
async def unasked(saga: Saga, order: RushOrder) -> int:
    return order.hours


@plain.workflow("FactoryPlain")
async def without(saga: Saga, order: Order) -> None: ...


@scoped.restate_workflow("FactoryApproval", workflow_retention=timedelta(days=7))
async def approval(saga: Saga[Inventory], ctx: WorkflowContext, order: Order) -> str:
    return saga.services.inventory


@scoped.restate_workflow("FactoryKeyedAlone")
async def keyed_alone(saga: Saga[Services], ctx: WorkflowContext) -> None: ...


wallet = scoped.virtual_object("FactoryWallet", state_preload=False)


@wallet.handler()
async def transfer(saga: Saga[Services], ctx: ObjectContext, order: Order) -> str:
    return saga.services.payments


@wallet.handler(kind="shared")
async def peek(ctx: ObjectSharedContext) -> int:
    return 0


assert_type(checkout, SagaWorkflow[Order, str, Services])
assert_type(slim, SagaWorkflow[None, str, Services])
assert_type(unasked, SagaWorkflow[RushOrder, int, Services])
assert_type(without, SagaWorkflow[Order, None, Any])
assert_type(approval, SagaRestateWorkflow[Order, str, Services])
assert_type(keyed_alone, SagaRestateWorkflow[None, None, Services])
assert_type(wallet, SagaVirtualObject[Services])
assert_type(transfer, Handler[Order, str])
assert_type(peek, Handler[None, int])


# -- what a provider is given -------------------------------------------------------------


def request(given: SagaRequest[RushOrder]) -> None:
    assert_type(given.input, RushOrder)
    wider: SagaRequest[Order] = given
    bare: SagaRequest = wider
    print(bare)


@asynccontextmanager
async def provide_anything(given: SagaRequest) -> AsyncGenerator[Services]:
    yield Services(inventory=given.headers.get("tenant", "none"), payments=given.key or "")


rebound = checkout.with_services(provide_anything)
assert_type(rebound, SagaWorkflow[Order, str, Services])
