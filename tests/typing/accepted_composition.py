"""Workflows, functions and modules inside a saga: composition, as users see its types."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Never, assert_type

from resaga import (
    Saga,
    create_saga_module,
    run_nested_saga,
    saga_module,
)
from tests.typing.accepted_workflows import (
    alone,
    asks,
    bound,
    checkout,
    made_served,
    optional,
    served,
)
from tests.typing.domain import Inventory, Order, Paid, Receipt, RushOrder, Services

# -- workflows ----------------------------------------------------------------------------


async def workflows(
    saga: Saga, slim: Saga[Inventory], rich: Saga[Services], order: Order, rush: RushOrder
) -> None:
    await assert_type(checkout.run_as_step(saga, order), Coroutine[object, Never, Receipt])
    assert_type(await checkout.run_as_step(saga, order), Receipt)
    assert_type(await checkout.run_as_step(rich, rush), Receipt)
    assert_type(await alone.run_as_step(saga), None)
    assert_type(await alone.run_as_step(rich), None)
    assert_type(await optional.run_as_step(saga, None), list[Receipt])
    assert_type(await asks.run_as_step(slim, order), str)
    assert_type(await asks.run_as_step(rich, order), str)
    assert_type(await bound.run_as_step(slim, order), str)
    assert_type(await served.run_as_step(rich, order), str)
    assert_type(await made_served.run_as_step(rich, input=order), str)
    assert_type(
        await saga.gather(checkout.run_as_step(saga, order), alone.run_as_step(saga)),
        tuple[Receipt, None],
    )


# -- functions ----------------------------------------------------------------------------


async def pay(saga: Saga) -> Paid:
    return Paid(saga.id)


async def pick(saga: Saga[Inventory]) -> str:
    return saga.services.inventory


async def functions(saga: Saga, slim: Saga[Inventory], rich: Saga[Services], order: Order) -> None:
    async def with_order(inner: Saga) -> Receipt:
        return Receipt(order.product, inner.id)

    assert_type(await run_nested_saga(saga, pay), Paid)
    assert_type(await run_nested_saga(rich, pay), Paid)
    assert_type(await run_nested_saga(slim, pick), str)
    assert_type(await run_nested_saga(rich, pick), str)
    assert_type(await run_nested_saga(saga, with_order), Receipt)
    assert_type(
        await run_nested_saga(saga, lambda inner: checkout.run_as_step(inner, order)), Receipt
    )
    assert_type(
        await saga.gather(run_nested_saga(saga, pay), run_nested_saga(saga, with_order)),
        tuple[Paid, Receipt],
    )


# -- modules ------------------------------------------------------------------------------


@saga_module
async def ship(saga: Saga, order: Order, *, quick: bool = False) -> Receipt:
    return Receipt(order.product, str(quick))


@saga_module
async def tidy(saga: Saga) -> None: ...


@saga_module
async def stock(saga: Saga[Inventory], order: Order, count: int = 1) -> str:
    return saga.services.inventory * count


made = create_saga_module(pay)
made_asking = create_saga_module(pick)

alone_module: Callable[[Saga], Coroutine[object, Never, None]] = tidy
with_defaults: Callable[[Saga, Order], Coroutine[object, Never, Receipt]] = ship


async def modules(saga: Saga, slim: Saga[Inventory], rich: Saga[Services], order: Order) -> None:
    await assert_type(ship(saga, order), Coroutine[object, Never, Receipt])
    assert_type(await ship(saga, order), Receipt)
    assert_type(await ship(rich, RushOrder("p-1", 2), quick=True), Receipt)
    assert_type(await tidy(saga), None)
    assert_type(await stock(slim, order), str)
    assert_type(await stock(rich, order, count=2), str)
    assert_type(await made(saga), Paid)
    assert_type(await made_asking(rich), str)
    assert_type(
        await saga.gather(ship(saga, order), tidy(saga), made(saga)), tuple[Receipt, None, Paid]
    )
