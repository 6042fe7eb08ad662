"""What a step is given and may give back (R13 to R16)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from restate import TerminalError

from resaga import (
    CompensationContext,
    Saga,
    StepContext,
    create_saga_step,
    saga_step,
    saga_workflow,
)
from resaga.testing import (
    cancel,
    hang,
    lose_worker,
    unserialisable,
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


@scenario("R13: a key for each call, kept when the worker is lost", lose_worker("A", times=2))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    await A(saga, "coffee")
    raise DECLINED


@scenario("R14: no way to Restate out of an action")
async def _(saga: Saga[World], product: str) -> object:
    async def reach(step: StepContext[World], product: str) -> str:
        try:
            return str(saga.ctx)
        except Exception as exc:
            return type(exc).__name__

    return await create_saga_step("Reaches", reach)(saga, product)


@scenario("R15: a result that no journal carries", unserialisable("B"))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await B(saga, product)


@scenario("R15: a result that is too large", options={"max_result_size": 1000})
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await step("Large", gives="x" * 2000)(saga, product)


@saga_step("Counts")
async def counts(step: StepContext[World], product: str) -> int:
    step.services.do(step.idempotency_key, "counts")
    return product  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # as a mistake


@counts.compensate
async def uncounts(step: CompensationContext[World, str], _: object) -> None:
    step.services.undo(step.forward_idempotency_key)


@scenario("R15: a result of another type than declared")
async def _(saga: Saga[World], product: str) -> object:
    return await counts(saga, product)


@dataclass(frozen=True, slots=True)
class Order:
    """Of types that JSON has no word for."""

    when: datetime
    price: Decimal
    parts: tuple[str, ...] = ()


@saga_step("Values")
async def values(step: StepContext[World], order: Order) -> Order:
    step.services.log.append(repr(order))
    return Order(order.when, order.price + 1, (*order.parts, "paper"))


@values.compensate
async def unvalues(step: CompensationContext[World, Order], data: Order) -> None:
    step.services.log.append(f"{data!r} of {step.input!r}")


@saga_workflow("ScenarioValues", services_from=world_of)
async def typed(saga: Saga[World], order: Order) -> Order:
    first = await values(saga, order)
    await values(saga, first)
    if len(first.parts) > 2:
        raise TerminalError("too many")
    return first


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCENARIOS["R16: values of many types come back"] = Scenario(
    definition=typed, input=Order(NOW, Decimal("1.10"))
)
SCENARIOS["R16: and are what compensations get"] = Scenario(
    definition=typed,
    input=Order(NOW, Decimal("1.10"), ("a", "b")),
    faults=[cancel("Values", call=2)],
)


@scenario("a plain function, in a thread")
async def _(saga: Saga[World], product: str) -> object:
    def run(step: StepContext[World], product: str) -> str:
        step.services.do(step.idempotency_key, product)
        return product.upper()

    def undo(step: CompensationContext[World, str], data: str) -> None:
        step.services.log.append(f"undo {data}")

    await create_saga_step("Threaded", run, undo)(saga, product)
    return await DECLINES(saga, product)


@scenario("a step's timeout is an ordinary error", hang("Slow"))
async def _(saga: Saga[World], product: str) -> object:
    return await step("Slow", timeout=timedelta(milliseconds=30))(saga, product)
