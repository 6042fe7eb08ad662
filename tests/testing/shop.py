"""A small saga, correct in every way, that the tests of `resaga.testing` break."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import timedelta

from resaga import (
    CompensationContext,
    Retry,
    Saga,
    StepContext,
    saga_step,
    saga_step_strict,
    saga_workflow,
)


@dataclass
class World:
    """What sagas have effects on; what is asked twice with one key is done once."""

    effects: dict[Hashable, str] = field(default_factory=dict[Hashable, str])
    log: list[str] = field(default_factory=list[str])

    def do(self, key: str, what: str) -> None:
        self.log.append(f"do {what}")
        self.effects[key] = what

    def undo(self, key: str) -> None:
        self.log.append(f"undo {self.effects.pop(key, '-')}")


WORLD = World()
QUICK = Retry(max_attempts=2, initial_interval=timedelta(milliseconds=5))


@saga_step("Reserve", retry=QUICK)
async def reserve(step: StepContext[World], product: str) -> str:
    step.services.do(step.idempotency_key, product)
    return product


@reserve.compensate
async def release(step: CompensationContext[World, str], _: str) -> None:
    step.services.undo(step.forward_idempotency_key)


@saga_step_strict("Quote")
async def quote(step: StepContext[World], product: str) -> int:
    return len(product)


@saga_step("Charge", retry=QUICK)
async def charge(step: StepContext[World], amount: int) -> int:
    step.services.do(step.idempotency_key, f"charge {amount}")
    return amount


@charge.compensate
def refund(step: CompensationContext[World, int], _: int) -> None:
    step.services.undo(step.forward_idempotency_key)


@saga_workflow("Shop", services=WORLD)
async def shop(saga: Saga[World], product: str) -> int:
    await reserve(saga, product)
    price = await quote(saga, product)
    return await charge(saga, price)


@saga_workflow("SideBySide", services=WORLD)
async def side_by_side(saga: Saga[World], product: str) -> int:
    await reserve(saga, product)
    _, paid = await saga.gather(reserve(saga, "other"), charge(saga, 3))
    return paid
