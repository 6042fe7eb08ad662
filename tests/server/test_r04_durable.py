"""R4 where code is durable: exits of bodies, of durable steps and of their compensations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from restate import TerminalError
from restate.exceptions import RetryableError

from resaga import (
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    create_saga_step,
    saga_workflow,
)
from tests.support import Rig


class Exotic(BaseException):
    """Nobody's way to fail."""


EXITS: list[Callable[[], BaseException]] = [
    asyncio.CancelledError,
    lambda: SystemExit(3),
    Exotic,
    lambda: RetryableError("again"),
    lambda: ValueError("ordinary"),
]
EXIT_IDS = ["cancelled", "system-exit", "base-exception", "retryable", "ordinary"]


@pytest.mark.parametrize("exit_", EXITS, ids=EXIT_IDS)
async def test_r04_an_exit_of_the_body_is_retried(
    rig: Rig, exit_: Callable[[], BaseException]
) -> None:
    a, b = rig.steps("A", "B")
    raised: list[int] = []

    @saga_workflow(rig.name("BodyExit"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        if len(raised) < 2:
            raised.append(1)
            raise exit_()
        await b(saga, 2)
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert len(raised) == 2
    assert rig.ledger.order() == ["do A", "do B"]


@pytest.mark.parametrize("exit_", EXITS, ids=EXIT_IDS)
async def test_r04_an_exit_of_a_durable_step_is_retried(
    rig: Rig, exit_: Callable[[], BaseException]
) -> None:
    a, c = rig.steps("A", "C")
    raised: list[int] = []

    async def run(step: DurableStepContext[Any]) -> str:
        if len(raised) < 2:
            raised.append(1)
            raise exit_()
        return "b"

    b = create_saga_step("B", run, durable=True)

    @saga_workflow(rig.name("DurableExit"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        done = await b(saga)
        await c(saga, 3)
        return done

    await rig.serve(workflow)
    assert await rig.call(workflow) == "b"
    assert len(raised) == 2
    assert rig.ledger.order() == ["do A", "do C"]


@pytest.mark.parametrize("exit_", EXITS, ids=EXIT_IDS)
async def test_r04_an_exit_of_a_durable_compensation_is_retried(
    rig: Rig, exit_: Callable[[], BaseException]
) -> None:
    a = rig.step("A")
    raised: list[int] = []

    async def run(step: DurableStepContext[Any]) -> str:
        return "b"

    async def undo(step: DurableCompensationContext[Any, Any], data: str | None) -> None:
        if len(raised) < 2:
            raised.append(1)
            raise exit_()

        async def work() -> None:
            rig.ledger.undo(step, data)

        await step.ctx.run_typed("work", work)

    b = create_saga_step("B", run, undo, durable=True)

    @saga_workflow(rig.name("UndoExit"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.message, error.code, error.metadata) == ("no", 409, {})
    assert len(raised) == 2
    assert rig.ledger.order() == ["do A", "undo B", "undo A"]
