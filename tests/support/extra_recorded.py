"""The sagas whose journals are kept in ``tests/journals``: what format 1 was written by (R23).

Their code must stay as it is: a recorded journal is replayed by it, on every later version of
resaga. Whatever an action does goes to ``ran``, so that a test sees that a replay runs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from restate import TerminalError

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Retry,
    Saga,
    SagaWorkflow,
    StepContext,
    StepResponse,
    saga_step,
    saga_step_strict,
    saga_workflow,
)

SHORT = timedelta(milliseconds=20)


@dataclass
class Order:
    product: str
    quantity: int


@dataclass
class Hold:
    id: str


def recorded_sagas(ran: list[str], hiccups: Sequence[str] = ()) -> list[SagaWorkflow[Order, str]]:
    """The sagas.

    Args:
        ran: What their actions and compensations have done.
        hiccups: Names of those whose next attempt fails at the very end, with an ordinary error,
            so that the attempt after it meets the whole journal. Used to record.
    """
    left = list(hiccups)

    @saga_step("Reserve")
    async def reserve(step: StepContext, order: Order) -> Hold:
        ran.append("reserve")
        return Hold(f"hold of {order.product}")

    @reserve.compensate
    async def release(step: CompensationContext[object, Order], data: Hold | Order) -> None:
        ran.append(f"release {data}")

    @saga_step_strict("Charge")
    def charge(step: StepContext, amount: int) -> StepResponse[str, list[int]]:
        ran.append("charge")
        return StepResponse("charged", [amount, 7])

    @charge.compensate
    async def refund(step: CompensationContext[object, int], data: list[int]) -> None:
        ran.append(f"refund {data}")

    @saga_step("Notify größe 💶")
    async def notify(step: StepContext) -> None:
        ran.append("notify")

    @notify.compensate
    async def apologize(step: CompensationContext[object, None], data: None) -> None:
        ran.append("apologize")
        raise TerminalError("nobody listens", 404)

    @saga_step("Ship", durable=True)
    async def ship(step: DurableStepContext, order: Order) -> str:
        await step.ctx.sleep(SHORT)

        async def book() -> str:
            ran.append("book")
            return "parcel"

        return await step.ctx.run_typed("book", book)

    @ship.compensate
    async def call_back(step: DurableCompensationContext[object, Order], data: str | Order) -> None:
        async def unbook() -> None:
            ran.append(f"unbook {data}")

        await step.ctx.run_typed("unbook", unbook)

    @saga_step("Declines")
    async def declines(step: StepContext, order: Order) -> str:
        ran.append("declines")
        raise TerminalError("declined", 402, {"bank": "X"})

    @declines.compensate
    async def undecline(step: CompensationContext[object, Order], data: str | Order) -> None:
        ran.append(f"undecline {step.outcome} {data}")

    @saga_step("Half-way")
    async def half_way(step: StepContext, order: Order) -> StepResponse[str, int]:
        ran.append("half-way")
        return StepResponse.permanent_failure("half-way", 50, status_code=409)

    @half_way.compensate
    async def back(step: CompensationContext[object, Order], data: int | Order) -> None:
        ran.append(f"back {step.outcome} {data}")

    @saga_step("Exhausted", retry=Retry(max_attempts=2, initial_interval=SHORT))
    async def exhausted(step: StepContext, order: Order) -> str:
        ran.append("exhausted")
        raise ValueError("again")

    @exhausted.compensate
    async def recover(step: CompensationContext[object, Order], data: str | Order) -> None:
        ran.append(f"recover {step.outcome}")

    def hiccup(name: str) -> None:
        if name in left:
            left.remove(name)
            raise ValueError("a hiccup")

    async def all_of_it(saga: Saga, order: Order) -> str:
        hold = await reserve(saga, order)
        paid = await charge(saga, order.quantity)
        await notify(saga)
        for fails in (declines, half_way, exhausted):
            with suppress(TerminalError):
                await fails(saga, order)
        saga.add_compensation("Close", close, "ticket")
        parcel, again = await saga.gather(ship(saga, order), reserve(saga, order))
        return f"{hold.id}, {paid}, {parcel}, {again.id}"

    async def close(step: CompensationContext[object, str], data: str) -> None:
        ran.append(f"close {data}")

    @saga_workflow("RecordedCompleted")
    async def completed(saga: Saga, order: Order) -> str:
        told = await all_of_it(saga, order)
        hiccup("RecordedCompleted")
        return told

    @saga_workflow("RecordedRolledBack")
    async def rolled_back(saga: Saga, order: Order) -> str:
        raise TerminalError(await all_of_it(saga, order), 418, {"tea": "pot"})

    @saga_workflow("RecordedBounded", deadline=timedelta(days=1))
    async def bounded(saga: Saga, order: Order) -> str:
        hold = await reserve(saga, order)
        await saga.ctx.sleep(SHORT)
        hiccup("RecordedBounded")
        return hold.id

    @saga_workflow("RecordedCancelled")
    async def cancelled(saga: Saga, order: Order) -> str:
        await reserve(saga, order)
        await saga.ctx.sleep(timedelta(days=1))
        return "not cancelled"

    return [completed, rolled_back, bounded, cancelled]
