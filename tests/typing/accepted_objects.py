"""Virtual objects: exclusive, shared and contract handlers, and `saga.state`, by their types."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any, assert_type

import restate
from restate import TerminalError
from restate.client_types import RestateClient
from restate.context import Context, ObjectContext, ObjectSharedContext

from resaga import (
    Call,
    Handler,
    ObjectContract,
    Saga,
    SagaObserver,
    SagaState,
    SagaVirtualObject,
    create_saga_virtual_object,
)
from tests.typing.accepted_workflows import provide
from tests.typing.domain import Inventory, Order, Receipt, Services


def as_terminal(error: Exception) -> TerminalError | None:
    return TerminalError("sold out", 409) if isinstance(error, LookupError) else None


# -- handlers -----------------------------------------------------------------------------

wallet = SagaVirtualObject("Wallet")


@wallet.handler()
async def transfer(saga: Saga, ctx: ObjectContext, order: Order) -> Receipt:
    assert_type(saga.services, object)
    assert_type(ctx.key(), str)
    return Receipt(order.product, saga.id)


@wallet.handler(
    "closeIt",
    kind="exclusive",
    as_terminal_error=as_terminal,
    observers=[SagaObserver()],
    max_result_size=1024,
    deadline=timedelta(hours=1),
    state_preload=False,
    ingress_private=True,
)
async def close(saga: Saga, ctx: ObjectContext) -> None: ...


@wallet.handler("getBalance", kind="shared")
async def get_balance(ctx: ObjectSharedContext) -> int:
    return await ctx.get("balance", type_hint=int) or 0


@wallet.handler(kind="shared", as_terminal_error=as_terminal, inactivity_timeout=timedelta(hours=1))
async def get_history(ctx: ObjectSharedContext, limit: int | None) -> list[Receipt]:
    return []


assert_type(wallet, SagaVirtualObject[Any])
assert_type(transfer, Handler[Order, Receipt])
assert_type(close, Handler[None, None])
assert_type(get_balance, Handler[None, int])
assert_type(get_history, Handler[int | None, list[Receipt]])


# -- handlers that keep a contract --------------------------------------------------------


class Account(ObjectContract, name="Account"):
    """A contract with every kind of handler."""

    transfer = Call(Order, Receipt)
    close = Call(None, None)
    get_balance = Call(None, int, name="getBalance")
    get_history = Call(int | None, list[Receipt])


account = SagaVirtualObject("Account", state_preload=["balance"], deadline=timedelta(hours=1))


@account.handler(Account.transfer)
async def account_transfer(saga: Saga, ctx: ObjectContext, order: Order) -> Receipt:
    return Receipt(order.product, saga.id)


@account.handler(Account.close, deadline=None)
async def account_close(saga: Saga, ctx: ObjectContext) -> None: ...


@account.handler(Account.get_balance, kind="shared")
async def account_balance(ctx: ObjectSharedContext) -> int:
    return 0


@account.handler(Account.get_history, kind="shared", ingress_private=True)
async def account_history(ctx: ObjectSharedContext, limit: int | None) -> list[Receipt]:
    return []


assert_type(account, SagaVirtualObject[Any])
assert_type(account_transfer, Handler[Order, Receipt])
assert_type(account_close, Handler[None, None])
assert_type(account_balance, Handler[None, int])
assert_type(account_history, Handler[int | None, list[Receipt]])


# -- services: an object, or a provider ---------------------------------------------------

served = SagaVirtualObject("Served", services=Services())
provided = SagaVirtualObject("Provided", services_from=provide)


@served.handler()
async def ship(saga: Saga[Services], ctx: ObjectContext, order: Order) -> str:
    return saga.services.payments


@served.handler()
async def ship_slice(saga: Saga[Inventory], ctx: ObjectContext, order: Order) -> str:
    return saga.services.inventory


@served.handler()
async def ship_unasked(saga: Saga, ctx: ObjectContext, order: Order) -> None: ...


@wallet.handler()
async def asks(saga: Saga[Inventory], ctx: ObjectContext, order: Order) -> str:
    return saga.services.inventory


bound = wallet.with_services(provide)

assert_type(served, SagaVirtualObject[Services])
assert_type(provided, SagaVirtualObject[Services])
assert_type(ship, Handler[Order, str])
assert_type(ship_slice, Handler[Order, str])
assert_type(ship_unasked, Handler[Order, None])
assert_type(asks, Handler[Order, str])
assert_type(bound, SagaVirtualObject[Services])


# -- without decorators -------------------------------------------------------------------


async def deposit(saga: Saga, ctx: ObjectContext, order: Order) -> None: ...


async def peek(ctx: ObjectSharedContext) -> int:
    return 0


made = create_saga_virtual_object("Made", {"deposit": deposit}, {"peek": peek})
made_empty = create_saga_virtual_object("MadeEmpty", description="Nothing yet")
made_served = create_saga_virtual_object("MadeServed", {"deposit": deposit}, services=Services())
made_provided = create_saga_virtual_object(
    "MadeProvided", shared_handlers={"peek": peek}, services_from=provide
)

assert_type(made, SagaVirtualObject[Any])
assert_type(made_empty, SagaVirtualObject[Any])
assert_type(made_served, SagaVirtualObject[Services])
assert_type(made_provided, SagaVirtualObject[Services])


# -- in use -------------------------------------------------------------------------------

every: Sequence[SagaVirtualObject] = [wallet, account, served, provided, bound, made, made_served]
some: Sequence[SagaVirtualObject[Inventory]] = [served, provided, bound, made_served]
app = restate.app([wallet, account, served])


async def by_the_sdk(ctx: Context, client: RestateClient, order: Order) -> None:
    assert_type(await ctx.object_call(transfer, "anna", order), Receipt)
    assert_type(await ctx.object_call(get_balance, "anna", None), int)
    assert_type(await client.object_call(transfer, "anna", order), Receipt)
    await ctx.object_send(account_transfer, "anna", order).invocation_id()


# -- the state ----------------------------------------------------------------------------


async def state(saga: Saga, rich: Saga[Services], order: Order) -> None:
    assert_type(saga.state, SagaState)
    assert_type(rich.state, SagaState)
    assert_type(await saga.state.get("balance", int), int | None)
    assert_type(await saga.state.get("order", Order), Order | None)
    assert_type(await saga.state.get("orders", list[Order]), list[Order] | None)
    assert_type(await saga.state.get("either", int | str), int | str | None)
    assert_type(await saga.state.get("anything"), Any)
    assert_type(await saga.state.get("balance", int) or 0, int)
    await assert_type(saga.state.set("balance", 7), Awaitable[None])
    await assert_type(saga.state.clear("balance"), Awaitable[None])
    assert_type(await saga.state.set("orders", [order], list[Order]), None)
    assert_type(await saga.state.clear("balance"), None)
    await saga.state.set("either", 7, int | str)
    await saga.state.set("nothing", None)
