"""Sagas with one typical mistake each, and the rule by which the explorer finds it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from restate import TerminalError

from resaga import (
    CompensationContext,
    Retry,
    Saga,
    SagaStep,
    SagaWorkflow,
    StepContext,
    StepResponse,
    create_saga_step,
    create_saga_step_strict,
    saga_step,
    saga_step_strict,
    saga_workflow,
)
from tests.testing.shop import QUICK, World, charge, quote, reserve

Made = Callable[[str], SagaWorkflow[str, Any, World]]

MISTAKES: dict[str, tuple[Made, str, str]] = {}
"""For each mistake how the saga is made, the rule that finds it, and a case in which it does."""


def mistake(what: str, rule: str, case: str) -> Callable[[Made], Made]:
    def register(made: Made) -> Made:
        MISTAKES[what] = (made, rule, case)
        return made

    return register


@mistake("a compensation that does nothing", "snapshot", "Charge/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_step("Hold")
    async def hold(step: StepContext[World], product: str) -> str:
        step.services.do(step.idempotency_key, product)
        return product

    @hold.compensate
    async def release(step: CompensationContext[World, str], _: str) -> None:
        pass

    return workflow(name, hold)


@mistake("a compensation that is not idempotent", "snapshot", "Hold/undo lost")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_step("Hold")
    async def hold(step: StepContext[World], product: str) -> str:
        if step.idempotency_key not in step.services.effects:
            step.services.effects[step.idempotency_key] = product
            step.services.effects["stock"] = step.services.effects.get("stock", "") + "-"
        return product

    @hold.compensate
    async def release(step: CompensationContext[World, str], _: str) -> None:
        step.services.effects.pop(step.forward_idempotency_key, None)
        step.services.effects["stock"] = step.services.effects.get("stock", "")[1:] or "+"

    return workflow(name, hold)


@mistake("the wrong order, by a captured loop variable", "snapshot", "Charge/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_step("Hold")
    async def hold(step: StepContext[World], product: str) -> str:
        step.services.effects[product] = step.idempotency_key
        return product

    @saga_workflow(name)
    async def body(saga: Saga[World], product: str) -> int:
        for part in (product, "milk"):
            await hold(saga, part)

            async def release(step: CompensationContext[World, None], _: None) -> None:
                step.services.effects.pop(part, None)  # noqa: B023  # this is the mistake

            saga.add_compensation("Release", release, None)
        return await charge(saga, 3)

    return body


@mistake("an effect outside of any step", "snapshot", "Charge/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_workflow(name)
    async def body(saga: Saga[World], product: str) -> int:
        await reserve(saga, product)
        saga.services.effects["mail"] = "sold"
        return await charge(saga, 3)

    return body


@mistake("a step that gets what is not deterministic", "replay", "Charge/lost before")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_workflow(name)
    async def body(saga: Saga[World], product: str) -> int:
        await reserve(saga, product)
        return await charge(saga, random.randrange(10**9))

    return body


@mistake("a body that takes another way when it is replayed", "ends", "Charge/replayed")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    begun: set[str] = set()

    @saga_workflow(name)
    async def body(saga: Saga[World], product: str) -> int:
        if saga.id not in begun:
            begun.add(saga.id)
            await reserve(saga, product)
        return await charge(saga, 3)

    return body


@mistake("a swallowed error", "the error", "Charge/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_workflow(name)
    async def body(saga: Saga[World], product: str) -> str:
        await reserve(saga, product)
        with contextlib.suppress(TerminalError):
            await charge(saga, 3)
        return "sold"

    return body


@mistake("another error than the step's own", "the error", "Charge/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_workflow(name)
    async def body(saga: Saga[World], product: str) -> int:
        await reserve(saga, product)
        try:
            return await charge(saga, 3)
        except Exception:
            raise TerminalError("something went wrong") from None

    return body


@mistake("a strict step that should be hybrid", "snapshot", "Hold/gives up")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_step_strict("Hold", retry=QUICK)
    async def hold(step: StepContext[World], product: str) -> str:
        step.services.do(step.idempotency_key, product)
        return product

    @hold.compensate
    async def release(step: CompensationContext[World, str], _: str) -> None:
        step.services.undo(step.forward_idempotency_key)

    return workflow(name, hold)


@mistake("a compensation that fails where there is no effect", "undone", "Hold/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_step("Hold")
    async def hold(step: StepContext[World], product: str) -> str:
        step.services.do(step.idempotency_key, product)
        return product

    @hold.compensate
    async def release(step: CompensationContext[World, str], _: str) -> None:
        if step.forward_idempotency_key not in step.services.effects:
            raise TerminalError("there is no such hold", 404)
        step.services.undo(step.forward_idempotency_key)

    return workflow(name, hold)


@mistake("an action that does not use its key", "snapshot", "Hold/error once")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_step("Hold")
    async def hold(step: StepContext[World], product: str) -> StepResponse[str, int]:
        number = len(step.services.effects)
        step.services.effects[number] = product
        return StepResponse(product, number)

    @hold.compensate
    async def release(step: CompensationContext[World, str], data: int | str) -> None:
        step.services.effects.pop(data, None)

    return workflow(name, hold)


@mistake("a compensation that is retried for ever", "ends", "Hold/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    async def hold(step: StepContext[World], product: str) -> str:
        step.services.do(step.idempotency_key, product)
        return product

    async def release(step: CompensationContext[World, str], _: str) -> None:
        del step.services.effects[step.forward_idempotency_key]

    return workflow(name, create_saga_step("Hold", hold, release))


@mistake("an effect that nothing undoes", "snapshot", "Charge/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    async def hold(step: StepContext[World], product: str) -> str:
        step.services.do(step.idempotency_key, product)
        return product

    return workflow(name, create_saga_step_strict("Hold", hold))


@mistake("a step after a failure", "no step after", "Charge/fails")
def _(name: str) -> SagaWorkflow[str, Any, World]:
    @saga_workflow(name)
    async def body(saga: Saga[World], product: str) -> int:
        try:
            return await charge(saga, 3)
        finally:
            await reserve(saga, product)

    return body


def workflow(name: str, first: SagaStep[str, Any, Any, World]) -> SagaWorkflow[str, Any, World]:
    @saga_workflow(name)
    async def body(saga: Saga[World], product: str) -> int:
        await first(saga, product)
        return await charge(saga, 3)

    return body


def correct(name: str) -> SagaWorkflow[str, Any, World]:
    """Steps, a gather, a savepoint with another way, a step that may fail: nothing is wrong."""

    @saga_workflow(name, deadline=timedelta(minutes=5))
    async def body(saga: Saga[World], product: str) -> int:
        await reserve(saga, product)
        try:
            async with saga.savepoint():
                await upgrade(saga, product)
                await reserve(saga, "ribbon")
        except TerminalError:
            await quote(saga, product)
        price, _ = await saga.gather(quote(saga, product), reserve(saga, "box"))
        return await charge(saga, price)

    return body


@saga_step("Upgrade", retry=Retry(max_attempts=2, initial_interval=timedelta(milliseconds=5)))
def upgrade(step: StepContext[World], product: str) -> str:
    step.services.do(step.idempotency_key, f"upgrade {product}")
    return product


@upgrade.compensate
async def downgrade(step: CompensationContext[World, str], _: str) -> None:
    step.services.undo(step.forward_idempotency_key)
