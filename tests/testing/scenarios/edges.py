"""Names and providers (R27, R28), other handlers, keys and state."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import restate
from restate import TerminalError
from restate.context import ObjectContext, WorkflowContext

from resaga import (
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    SagaRequest,
    SagaVirtualObject,
    create_saga_restate_workflow,
    saga_step,
    saga_workflow,
    workflow_client,
)
from resaga.testing import (
    lose_worker,
)
from tests.testing.scenarios.table import (
    DECLINED,
    DECLINES,
    SCENARIOS,
    A,
    B,
    Scenario,
    scenario,
    step,
    world_of,
)
from tests.testing.shop import World


@scenario("R27: any text names a step")
async def _(saga: Saga[World], product: str) -> object:
    await step("🫖 'tea' \\ \"\n")(saga, product)
    return await DECLINES(saga, product)


@asynccontextmanager
async def closed(request: SagaRequest[str]) -> AsyncGenerator[World]:
    if request.input == "tea":
        raise TerminalError("no tea today", 403)
    yield World()


@scenario("R28: a provider's terminal error", options={"services_from": closed})
async def _(saga: Saga[World], product: str) -> object:
    return await A(saga, product)


bank = restate.Service("ScenarioBank")


@bank.handler()
async def lend(_: restate.Context, product: str) -> int:
    if product == "yacht":
        raise TerminalError("too dear", 402)
    return len(product)


@saga_step("Lends", durable=True)
async def lends(step: DurableStepContext[World], product: str) -> int:
    await step.ctx.sleep(timedelta(milliseconds=5))
    return await step.ctx.service_call(lend, product)


@lends.compensate
async def unlends(step: DurableCompensationContext[World, Any], data: object) -> None:
    # Durable code runs again on each replay, so what it does has to be the same then.
    step.services.effects[step.idempotency_key] = f"undo lends {step.outcome} {data!r}"


def lent(_: object) -> int:
    return 3


CALLED: dict[str, Any] = {"also": [bank], "calls": {lend: lent}}


@scenario("a durable step calls a service", lose_worker("Lends"), **CALLED)
async def _(saga: Saga[World], product: str) -> object:
    await lends(saga, product)
    raise DECLINED


@scenario(
    "a durable step, and an error from the other side",
    also=[bank],
    calls={lend: TerminalError("too dear", 402)},
)
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await lends(saga, "yacht")


@saga_workflow("ScenarioCalled")
async def called(saga: Saga, product: str) -> str:
    raise TerminalError("sold out", 409, metadata={"of": product})


@scenario(
    "a saga calls another",
    also=[called],
    calls={called: TerminalError("sold out", 409, metadata={"of": "tea"})},
)
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await workflow_client(saga, called).run(product)


async def keyed(saga: Saga[World], ctx: WorkflowContext, product: str) -> str:
    await A(saga, product)
    return f"{ctx.key()} {await B(saga, product)}"


SCENARIOS["a Restate workflow has its key"] = Scenario(
    definition=create_saga_restate_workflow("ScenarioKeyed", keyed, services_from=world_of),
    key="order 1",
)

wallet = SagaVirtualObject("ScenarioWallet", services_from=world_of)


@wallet.handler()
async def spend(saga: Saga[World], ctx: ObjectContext, product: str) -> list[object]:
    await saga.state.set("balance", 10)
    await saga.state.set("owner", "Anna")
    with suppress(TerminalError):
        async with saga.savepoint():
            await saga.state.set("balance", 7)
            await saga.state.clear("owner")
            await saga.state.set("new", True)
            await DECLINES(saga, product)
    await A(saga, product)
    state = saga.state
    return [await state.get(name, object) for name in ("balance", "owner", "new")]


SCENARIOS["the state of a virtual object is restored"] = Scenario(
    definition=wallet, handler="spend", key="anna"
)
