"""R21: misuse is an ordinary error that names step, saga and mend, found as early as can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from restate import InvocationRetryPolicy
from restate._preview import explicit_recovery

from resaga import (
    DurableStepContext,
    MisuseError,
    Retry,
    Saga,
    SagaStep,
    StepContext,
    create_saga_step,
    create_saga_workflow,
    saga_workflow,
)
from resaga.seam import take_seam
from tests.support import Rig, until

make_step: Callable[..., SagaStep[Any, Any, Any, Any]] = create_saga_step
make_workflow: Callable[..., Any] = create_saga_workflow
SECOND = timedelta(seconds=1)


async def action(step: StepContext, value: int) -> int:
    return value


def plain(step: StepContext, value: int) -> int:
    return value


async def durable(step: DurableStepContext, value: int) -> int:
    return value


async def undo(step: Any, data: Any) -> None:
    """Nothing to undo."""


def plain_undo(step: Any, data: Any) -> None:
    """Nothing to undo."""


async def generator(step: StepContext) -> Any:
    yield 1


async def no_arguments() -> None:
    """Takes no context."""


async def one_argument(step: Any) -> None:
    """Takes no data."""


async def body(saga: Saga, value: int) -> int:
    return value


async def three(saga: Saga, a: int, b: int) -> None:
    """Takes two inputs."""


def plain_body(saga: Saga) -> None:
    """Is no async def."""


DEFINITIONS: dict[str, tuple[Callable[[], object], str]] = {
    "no name": (lambda: make_step("", action), "non-empty string"),
    "no string": (lambda: make_step(7, action), "non-empty string"),
    "no function": (lambda: make_step("S", 7), "Give a function"),
    "generator": (lambda: make_step("S", generator), "contains `yield`"),
    "no context": (lambda: make_step("S", no_arguments), "takes no argument"),
    "second compensation": (lambda: make_step("S", action, undo).compensate(undo), "already"),
    "no data": (lambda: make_step("S", action, one_argument), "It gets two"),
    "timeout in a thread": (lambda: make_step("S", plain, timeout=SECOND), "cannot be stopped"),
    "no timeout": (lambda: make_step("S", action, timeout=timedelta(0)), "above zero"),
    "timeout in seconds": (lambda: make_step("S", action, timeout=3), "datetime.timedelta"),
    "durable in a thread": (lambda: make_step("S", plain, durable=True), "async def"),
    "durable undo in a thread": (
        lambda: make_step("S", durable, plain_undo, durable=True),
        "async def",
    ),
    "durable with retry": (lambda: make_step("S", durable, durable=True, retry=Retry()), "retry="),
    "durable with undo retry": (
        lambda: make_step("S", durable, durable=True, compensation_retry=Retry()),
        "compensation_retry=",
    ),
    "durable with timeout": (
        lambda: make_step("S", durable, durable=True, timeout=SECOND),
        "timeout=",
    ),
    "no attempts": (lambda: Retry(max_attempts=0), "1 or more"),
    "workflow without name": (lambda: make_workflow("", body), "non-empty string"),
    "workflow with a space": (lambda: make_workflow("My Saga", body), "stands in URLs"),
    "plain body": (lambda: make_workflow("W", plain_body), "async def"),
    "two inputs": (lambda: make_workflow("W", three), "at most one input"),
    "kill": (
        lambda: make_workflow(
            "W", body, retry_policy=InvocationRetryPolicy(max_attempts=3, on_max_attempts="kill")
        ),
        "on_max_attempts='pause'",
    ),
    "explicit recovery": (
        lambda: explicit_recovery(make_workflow("W", body)),
        "explicit_recovery",
    ),
    "two kinds of services": (
        lambda: make_workflow("W", body, services=1, services_from=plain_body),
        "services_from=",
    ),
    "no deadline": (lambda: make_workflow("W", body, deadline=timedelta(0)), "above zero"),
}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_r21_misuse_is_refused_when_things_are_defined(kind: str) -> None:
    define, mend = DEFINITIONS[kind]
    with pytest.raises(MisuseError) as refused:
        define()
    assert mend in str(refused.value)


async def _asyncio_gather(saga: Saga, steps: list[SagaStep[Any, Any, Any, Any]]) -> object:
    return await asyncio.gather(*(step(saga, 1) for step in steps))


async def _task_group(saga: Saga, steps: list[SagaStep[Any, Any, Any, Any]]) -> object:
    try:
        async with asyncio.TaskGroup() as tasks:
            for step in steps:
                tasks.create_task(_await(step, saga))
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return None


async def _await(step: SagaStep[Any, Any, Any, Any], saga: Saga) -> None:
    await step(saga, 1)


async def _left_behind(saga: Saga, steps: list[SagaStep[Any, Any, Any, Any]]) -> object:
    task = asyncio.create_task(_await(steps[0], saga))
    await asyncio.sleep(0)
    return task


Mistake = Callable[[Saga, list[SagaStep[Any, Any, Any, Any]]], Coroutine[Any, Any, object]]


@pytest.mark.parametrize(
    ("mistake", "mend"),
    [
        (_asyncio_gather, "saga.gather"),
        (_task_group, "saga.gather"),
        (_left_behind, "saga.gather"),
    ],
)
async def test_r21_steps_beside_each_other_are_refused(
    rig: Rig, mistake: Mistake, mend: str
) -> None:
    """It is retried, with nothing rolled back, until the code is mended."""
    steps = rig.steps("A", "B")
    refused: list[MisuseError] = []

    @saga_workflow(rig.name("Beside"))
    async def workflow(saga: Saga) -> None:
        if not refused:
            try:
                await mistake(saga, steps)
            except MisuseError as error:
                refused.append(error)
                raise
            refused.append(MisuseError("none yet: the driver refuses it"))
            return
        for step in steps:
            await step(saga, 1)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.result()
    assert rig.ledger.undone() == []
    (told,) = await invocation.failures()
    assert "MisuseError" in told
    assert f"of saga {workflow.name} ({invocation.id})" in told
    assert "step 'A'" in told
    assert mend in told
    assert mend in str(refused[0]) or mistake is _left_behind
    if mistake is _left_behind:
        assert await invocation.runs() == ["A", "B"]


async def test_r21_explicit_recovery_of_a_handler_is_refused(rig: Rig) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("Recovery"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

    explicit_recovery(workflow.run)
    await rig.serve(workflow)
    invocation = await rig.send(workflow)

    async def refused() -> bool:
        return "explicit_recovery" in str((await invocation.row()).get("last_failure"))

    await until(refused, "the attempt is refused")
    assert rig.ledger.order() == []


async def test_r21_a_saga_is_paused_and_never_killed(rig: Rig) -> None:
    @saga_workflow(rig.name("Pause"))
    async def workflow(saga: Saga) -> None:
        """Nothing to do."""

    await rig.serve(workflow)
    response = await rig.restate.http.get(f"{rig.restate.admin}/services/{workflow.name}")
    policy = response.json()["retry_policy"]
    assert str(policy["on_max_attempts"]).lower() == "pause"


def test_r21_a_handler_is_not_called_as_a_function() -> None:
    workflow = create_saga_workflow("W", body)
    with pytest.raises(MisuseError, match="run_as_step"):
        asyncio.run(workflow.run(object(), 1))


def test_r21_a_saga_needs_the_context_of_the_sdk() -> None:
    with pytest.raises(MisuseError, match=r"restate\.app"):
        take_seam(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
