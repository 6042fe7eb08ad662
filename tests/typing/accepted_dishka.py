"""Services from a dishka container: what is injected is no part of how a step is called."""

from __future__ import annotations

from typing import assert_type

from dishka import AsyncContainer

from resaga import (
    CompensationContext,
    DurableStepContext,
    Saga,
    SagaStep,
    SagaWorkflow,
    StepContext,
    StepScopes,
    saga_step,
    saga_step_strict,
    saga_workflow,
)
from resaga.ext.dishka import DishkaServices, FromDishka, dishka_services
from tests.typing.domain import Order, Paid, Reserved


class Stock: ...


def provider(container: AsyncContainer) -> StepScopes[AsyncContainer]:
    services = dishka_services(container)
    assert_type(services, DishkaServices)
    return services


@saga_step("Reserve")
async def reserve(step: StepContext, order: Order, stock: FromDishka[Stock]) -> Reserved:
    raise NotImplementedError


@reserve.compensate
async def release(
    step: CompensationContext, data: Reserved | Order, stock: FromDishka[Stock]
) -> None:
    assert_type(stock, Stock)


@saga_step_strict("Charge")
def charge(step: StepContext[AsyncContainer], order: Order, *, stock: FromDishka[Stock]) -> Paid:
    raise NotImplementedError


@saga_step("Announce")
async def announce(step: StepContext, *, stock: FromDishka[Stock]) -> int:
    raise NotImplementedError


@saga_step("Wait", durable=True)
async def wait(step: DurableStepContext, order: Order, stock: FromDishka[Stock]) -> Paid:
    raise NotImplementedError


assert_type(reserve, SagaStep[Order, Reserved, Reserved | Order, object])
assert_type(charge, SagaStep[Order, Paid, Paid, AsyncContainer])


def definitions(container: AsyncContainer) -> None:
    @saga_workflow("Checkout", services_from=dishka_services(container))
    async def checkout(saga: Saga[AsyncContainer], order: Order) -> Paid:
        assert_type(saga.services, AsyncContainer)
        assert_type(await reserve(saga, order), Reserved)
        assert_type(await announce(saga), int)
        assert_type(await wait(saga, order), Paid)
        return await charge(saga, order)

    assert_type(checkout, SagaWorkflow[Order, Paid, AsyncContainer])
    checkout.with_services(dishka_services(container))
