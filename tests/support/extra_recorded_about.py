"""More sagas whose journals are kept: what their entries tell beside results (R23).

As with `tests.support.extra_recorded`, their code must stay as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from restate import TerminalError

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    SagaObserver,
    SagaWorkflow,
    StepContext,
    run_nested_saga,
    saga_module,
    saga_step,
    saga_step_strict,
    saga_workflow,
)
from tests.support.extra_recorded import SHORT, Order

__all__ = ["recorded_about"]


def recorded_about(ran: list[str], hiccups: Sequence[str] = ()) -> list[SagaWorkflow[Any, str]]:
    """The sagas; arguments as of `tests.support.extra_recorded.recorded_sagas`."""
    left = list(hiccups)

    @saga_step("Look up")
    async def look_up(step: StepContext, order: Order) -> str:
        ran.append("look up")
        return order.product

    @saga_step("Reserve")
    async def reserve(step: StepContext, order: Order) -> int:
        ran.append("reserve")
        return order.quantity

    @reserve.compensate
    async def release(step: CompensationContext[object, Order], data: int | Order) -> None:
        ran.append(f"release {data}")

    @saga_step("Ship", durable=True)
    async def ship(step: DurableStepContext, order: Order) -> str:
        await step.ctx.sleep(SHORT)
        return "parcel"

    @ship.compensate
    async def call_back(step: DurableCompensationContext[object, Order], data: str | Order) -> None:
        await step.ctx.sleep(SHORT)

    @saga_step_strict("Declines")
    async def declines(step: StepContext, order: Order) -> str:
        ran.append("declines")
        raise TerminalError("declined", 402)

    async def close(step: CompensationContext[object, str], data: str) -> None:
        ran.append(f"close {data}")

    @saga_module
    async def both(saga: Saga, order: Order) -> None:
        await saga.gather(reserve(saga, order), look_up(saga, order))

    @saga_workflow("RecordedInner")
    async def inner(saga: Saga, order: Order) -> str:
        await both(saga, order)
        return await ship(saga, order)

    async def all_of_it(saga: Saga, order: Order) -> str:
        found = await look_up(saga, order)
        await reserve(saga, order)
        saga.pivot()
        saga.add_compensation("Close", close, "ticket")
        parcel = await inner.run_as_step(saga, order)
        await run_nested_saga(saga, lambda nested: reserve(nested, order))
        return f"{found}, {parcel}"

    @saga_workflow("RecordedInside", observers=[SagaObserver()], deadline=timedelta(days=1))
    async def inside(saga: Saga, order: Order) -> str:
        told = await all_of_it(saga, order)
        if "RecordedInside" in left:
            left.remove("RecordedInside")
            raise ValueError("a hiccup")
        return told

    @saga_workflow("RecordedInsideUndone", observers=[SagaObserver()])
    async def undone(saga: Saga, order: Order) -> str:
        await all_of_it(saga, order)
        return await declines(saga, order)

    return [inside, undone]
