"""Side by side, savepoints, pivots, deadlines (R17 to R20), and sagas in sagas."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

from restate import TerminalError

from resaga import (
    CompensationContext,
    Saga,
    run_nested_saga,
    saga_module,
    saga_workflow,
)
from resaga.testing import (
    cancel,
    error,
    fail,
)
from tests.testing.scenarios.table import (
    DECLINES,
    STRICT,
    A,
    B,
    C,
    OrderFailed,
    mapped,
    scenario,
    world_of,
)
from tests.testing.shop import World


@scenario("R17: side by side, and values in order", effects_in_order=False)
async def _(saga: Saga[World], product: str) -> object:
    async def branch() -> str:
        await saga.ctx.sleep(timedelta(milliseconds=5))
        return str(await B(saga, product))

    first, second, third = await saga.gather(
        A(saga, product), branch(), saga.gather(C(saga, product))
    )
    return [first, second, list(third)]


@scenario("R17: a branch that fails undoes the others", effects_in_order=False)
async def _(saga: Saga[World], product: str) -> object:
    async def branch() -> object:
        await B(saga, product)
        return await DECLINES(saga, product)

    return list(await saga.gather(A(saga, product), branch(), STRICT(saga, product)))


@scenario("R17: a flaky sibling", error("B", times=2), effects_in_order=False)
async def _(saga: Saga[World], product: str) -> object:
    return list(await saga.gather(A(saga, product), B(saga, product), STRICT(saga, product)))


@scenario("R18: a savepoint undoes its own, and another way is taken")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    with suppress(TerminalError):
        async with saga.savepoint():
            await B(saga, product)
            await DECLINES(saga, product)
    await C(saga, product)
    if product == "tea":
        raise TerminalError("after all")
    return "sold"


@scenario("R18: cancelled while a savepoint is undone", cancel("B", undo=True))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    with suppress(TerminalError):
        async with saga.savepoint():
            await B(saga, product)
            await DECLINES(saga, product)
    return await C(saga, product)


@scenario("R19: what stands before a pivot stays")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    saga.pivot()
    await B(saga, product)
    return await DECLINES(saga, product)


@scenario("R20: a deadline passes", options={"deadline": timedelta(milliseconds=100)})
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    await saga.ctx.sleep(timedelta(days=1))
    return await B(saga, product)


@saga_module
async def pay(saga: Saga[World], product: str) -> str:
    await B(saga, product)
    return str(await STRICT(saga, product))


@saga_workflow("ScenarioInner", services_from=world_of, as_terminal_error=mapped)
async def inner(saga: Saga[World], product: str) -> str:
    await A(saga, product)
    if product == "refused":
        raise OrderFailed("inside")
    return await pay(saga, product)


@scenario("nested: a workflow in a workflow, a module, a function")
async def _(saga: Saga[World], product: str) -> object:
    async def function(inside: Saga[World]) -> object:
        return await C(inside, product)

    await inner.run_as_step(saga, product)
    await run_nested_saga(saga, function)
    return await DECLINES(saga, product)


@scenario("nested: a step of a workflow in a workflow fails", fail("Strict"))
async def _(saga: Saga[World], product: str) -> object:
    await C(saga, product)
    return await inner.run_as_step(saga, product)


@scenario("nested: its own mapper is asked")
async def _(saga: Saga[World], product: str) -> object:
    await C(saga, product)
    return await inner.run_as_step(saga, "refused")


@scenario("a compensation without a step")
async def _(saga: Saga[World], product: str) -> object:
    async def tell(step: CompensationContext[World, Any], data: object) -> None:
        step.services.log.append(f"tell {data}")

    await A(saga, product)
    saga.add_compensation("Tell", tell, {"the": "customer"})
    return await DECLINES(saga, product)
