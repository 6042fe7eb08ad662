"""A basket of several products, reserved side by side, each in a session of its own."""

from __future__ import annotations

from dataclasses import dataclass

import restate
from dishka import AsyncContainer
from restate import TerminalError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.services.container import Stock, Tenant, container
from resaga import CompensationContext, Saga, StepContext, saga_step, saga_workflow
from resaga.ext.dishka import FromDishka, dishka_services
from resaga.ext.sql import barrier


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Some units of a product."""

    product: str
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """What a customer wants, and how it is paid."""

    lines: list[Line]
    card: str


# What stands after the input comes from the container, each of it made in its scope.
@saga_step("Reserve")
async def reserve(
    step: StepContext, line: Line, session: FromDishka[AsyncSession], stock: FromDishka[Stock]
) -> int:
    async def take(_: AsyncSession) -> int:
        return await stock.change(line.product, -line.units)

    return await barrier(session, step, take)


@reserve.compensate
async def release(
    step: CompensationContext[object, Line],
    _: int | Line,
    session: FromDishka[AsyncSession],
    stock: FromDishka[Stock],
) -> None:
    async def put_back(_session: AsyncSession, _left: int) -> None:
        await stock.change(step.input.product, step.input.units)

    await barrier(session, step, put_back)


@saga_step("Charge")
async def charge(_: StepContext, card: str, tenant: FromDishka[Tenant]) -> str:
    if card == "expired":
        raise TerminalError("card expired", 402)
    return f"paid to {tenant.name}"


@saga_workflow("BasketWorkflow", services_from=dishka_services(container))
async def buy(saga: Saga[AsyncContainer], basket: Basket) -> str:
    await saga.gather(*(reserve(saga, line) for line in basket.lines))
    return await charge(saga, basket.card)


app = restate.app([buy])
