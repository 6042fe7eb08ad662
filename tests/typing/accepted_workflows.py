"""Workflows, their handlers and services, as users see their types.

The definitions run when pytest imports this file, so what the checkers accept works, too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import assert_type

import restate
from restate import InvocationRetryPolicy, TerminalError
from restate.client_types import RestateClient
from restate.context import Context

from resaga import (
    CompensationContext,
    Handler,
    Retry,
    Saga,
    SagaObserver,
    SagaRequest,
    SagaWorkflow,
    create_saga_workflow,
    saga_workflow,
)
from tests.typing.domain import Inventory, Order, Receipt, RushOrder, Services


def as_terminal(error: Exception) -> TerminalError | None:
    return TerminalError("sold out", 409) if isinstance(error, LookupError) else None


# -- bodies -------------------------------------------------------------------------------


@saga_workflow("Checkout")
async def checkout(saga: Saga, order: Order) -> Receipt:
    assert_type(saga.id, str)
    assert_type(saga.ctx, Context)
    assert_type(saga.services, object)
    return Receipt(order.product, saga.id)


@saga_workflow("Alone")
async def alone(saga: Saga) -> None: ...


@saga_workflow(
    "Options",
    as_terminal_error=as_terminal,
    observers=[SagaObserver()],
    max_result_size=1024,
    retry_policy=InvocationRetryPolicy(max_attempts=5),
    description="What it does",
    metadata={"team": "shop"},
    inactivity_timeout=timedelta(minutes=1),
    abort_timeout=timedelta(minutes=1),
    journal_retention=timedelta(days=1),
    idempotency_retention=timedelta(days=1),
    ingress_private=True,
)
async def optional(saga: Saga, order: Order | None) -> list[Receipt]:
    return []


@saga_workflow("Asks")
async def asks(saga: Saga[Inventory], order: Order) -> str:
    assert_type(saga.services, Inventory)
    return saga.services.inventory


assert_type(checkout, SagaWorkflow[Order, Receipt, object])
assert_type(alone, SagaWorkflow[None, None, object])
assert_type(optional, SagaWorkflow[Order | None, list[Receipt], object])
assert_type(asks, SagaWorkflow[Order, str, Inventory])
assert_type(checkout.run, Handler[Order, Receipt])
assert_type(alone.run, Handler[None, None])


# -- services: an object, or a provider ---------------------------------------------------


@asynccontextmanager
async def provide(request: SagaRequest) -> AsyncGenerator[Services]:
    assert_type(request.input, object)
    assert_type(request.headers, Mapping[str, str])
    assert_type(request.saga_id, str)
    assert_type(request.key, str | None)
    yield Services()


@asynccontextmanager
async def provide_for_order(request: SagaRequest[Order]) -> AsyncGenerator[Services]:
    yield Services(inventory=request.input.product)


class Scope:
    async def __aenter__(self) -> Services:
        return Services()

    async def __aexit__(self, *exc_info: object) -> None: ...


def provide_scope(request: SagaRequest) -> Scope:
    return Scope()


def provide_manager(request: SagaRequest) -> AbstractAsyncContextManager[Services]:
    return provide(request)


@saga_workflow("Served", services=Services())
async def served(saga: Saga[Inventory], order: Order) -> str:
    return saga.services.inventory


@saga_workflow("ServedDoesNotAsk", services=Services(), description="It need not.")
async def served_unasked(saga: Saga, order: Order) -> None: ...


@saga_workflow("Provided", services_from=provide)
async def provided(saga: Saga[Services], order: Order) -> str:
    return saga.services.payments


@saga_workflow("ProvidedAlone", services_from=provide_scope, observers=())
async def provided_alone(saga: Saga[Inventory]) -> str:
    return saga.services.inventory


@saga_workflow("ProvidedForItsInput", services_from=provide_for_order)
async def provided_for_order(saga: Saga[Services], order: RushOrder) -> int:
    return order.hours


bound = asks.with_services(provide)
bound_for_order = asks.with_services(provide_for_order)
bound_unasked = checkout.with_services(provide_manager)

assert_type(served, SagaWorkflow[Order, str, Services])
assert_type(served_unasked, SagaWorkflow[Order, None, Services])
assert_type(provided, SagaWorkflow[Order, str, Services])
assert_type(provided_alone, SagaWorkflow[None, str, Services])
assert_type(provided_for_order, SagaWorkflow[RushOrder, int, Services])
assert_type(bound, SagaWorkflow[Order, str, Inventory])


# -- without decorators -------------------------------------------------------------------


async def ship(saga: Saga, order: Order) -> Receipt:
    return Receipt(order.product, saga.id)


async def stock(saga: Saga[Inventory], order: Order) -> str:
    return saga.services.inventory


async def tidy(saga: Saga) -> None: ...


made = create_saga_workflow("Made", ship, description="What it does")
made_alone = create_saga_workflow("MadeAlone", tidy)
made_asking = create_saga_workflow("MadeAsking", stock)
made_served = create_saga_workflow("MadeServed", stock, services=Services())
made_provided = create_saga_workflow("MadeProvided", stock, services_from=provide)
made_provided_for_order = create_saga_workflow("MadeFor", stock, services_from=provide_for_order)
made_alone_provided = create_saga_workflow("MadeAloneProvided", tidy, services_from=provide)

assert_type(made, SagaWorkflow[Order, Receipt, object])
assert_type(made_alone, SagaWorkflow[None, None, object])
assert_type(made_asking, SagaWorkflow[Order, str, Inventory])
assert_type(made_served, SagaWorkflow[Order, str, Services])
assert_type(made_provided, SagaWorkflow[Order, str, Services])
assert_type(made_provided_for_order, SagaWorkflow[Order, str, Services])
assert_type(made_alone_provided, SagaWorkflow[None, None, Services])


# -- in use -------------------------------------------------------------------------------

every: Sequence[SagaWorkflow] = [checkout, alone, served, provided, bound, made]
some: Sequence[SagaWorkflow[Order, str]] = [asks, served, provided, bound, made_served]
app = restate.app([checkout, alone, served])


async def undo(step: CompensationContext, ticket: int) -> None: ...


def undo_served(step: CompensationContext[Inventory], ticket: int) -> None: ...


async def caller(
    ctx: Context, client: RestateClient, saga: Saga, rich: Saga[Services], order: Order
) -> None:
    assert_type(await ctx.service_call(checkout.run, order), Receipt)
    assert_type(await ctx.service_call(alone.run, None), None)
    assert_type(await client.service_call(checkout.run, order), Receipt)
    slim: Saga[Inventory] = rich
    bare: Saga = slim
    bare.add_compensation("CloseTicket", undo, 7, retry=Retry(max_attempts=3))
    slim.add_compensation("CloseTicket", undo_served, 7)
    await ctx.service_send(checkout.run, order).invocation_id()


# -- branches keep their types --------------------------------------------------------------


async def branches(saga: Saga, order: Order) -> None:
    async def one() -> int:
        return 1

    async def two() -> str:
        return order.product

    async def three() -> None: ...

    assert_type(await saga.gather(), tuple[()])
    assert_type(await saga.gather(one()), tuple[int])
    assert_type(
        await saga.gather(one(), two(), three(), one(), two(), three()),
        tuple[int, str, None, int, str, None],
    )
    assert_type(
        await saga.gather(
            one(), two(), three(), one(), two(), three(), one(), two(), three(), one()
        ),
        tuple[int, str, None, int, str, None, int, str, None, int],
    )
    assert_type(await saga.gather(*[one() for _ in range(3)]), tuple[int, ...])
    assert_type(
        await saga.gather(
            one(), one(), one(), one(), one(), one(), one(), one(), one(), one(), one()
        ),
        tuple[int, ...],
    )
