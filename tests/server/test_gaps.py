"""What no other test would notice if it broke, found by `make mutate`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from enum import IntEnum
from typing import Any

import pytest
from restate import TerminalError

from resaga import (
    CompensationContext,
    Saga,
    SagaRequest,
    StepContext,
    create_saga_step,
    saga_workflow,
)
from tests.support import Rig, until


async def test_r04_what_leaves_the_saga_is_the_attempts_end_and_not_its_group(rig: Rig) -> None:
    """The server sees no difference, since the attempt is over; a scope does."""
    a = rig.step("A")
    ends: list[BaseException] = []
    left: list[BaseException | None] = []

    @contextlib.asynccontextmanager
    async def scope(request: SagaRequest[Any]) -> AsyncGenerator[None]:
        try:
            yield None
        except BaseException as leaving:
            left.append(leaving)
            raise
        left.append(None)

    @saga_workflow(rig.name("GroupLeaves"), services_from=scope)
    async def workflow(saga: Saga[None]) -> str:
        await a(saga, 1)
        try:
            await saga.ctx.sleep(timedelta(milliseconds=50))
        except BaseException as end:
            ends.append(end)
            raise BaseExceptionGroup("all", [TerminalError("no", 418), end]) from None
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    if rig.flavour != "normal":
        assert ends, "this flavour was to end an attempt at the sleep"
    assert not [each for each in left if isinstance(each, BaseExceptionGroup)]
    assert all(any(each is end for each in left) for end in ends)
    assert rig.ledger.order() == ["do A"]


class Size(IntEnum):
    SMALL = 1


OTHERS: dict[str, Callable[[], Any]] = {
    "a tuple": lambda: {"pair": (1, 2)},
    "a key that is no string": lambda: {1: "one"},
    "a number with a name": lambda: [Size.SMALL],
}


@pytest.mark.parametrize("kind", OTHERS)
async def test_r15_what_reads_back_as_something_else_fails_the_step_once(
    rig: Rig, kind: str
) -> None:
    """It is JSON, and can be read again, but a replay would go on with another value."""

    async def run(step: StepContext, value: int) -> Any:
        rig.ledger.do(step, value)
        return OTHERS[kind]()

    async def undo(step: CompensationContext[object, int], data: Any) -> None:
        rig.ledger.undo(step, [data, step.has_data, step.outcome])

    other = create_saga_step("Other", run, undo)

    @saga_workflow(rig.name("ComesBackOther"))
    async def workflow(saga: Saga) -> None:
        await other(saga, 7)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert "would" in error.message
    assert "come back" in error.message
    assert rig.ledger.order() == ["do Other", "undo Other"]
    assert rig.ledger.payload("undo Other") == [7, False, "unknown"]


async def test_r19_a_savepoint_with_a_pivot_in_it_undoes_what_came_later(rig: Rig) -> None:
    """By itself: the saga goes on, so there is no later rollback that would do it."""
    a, b, c = rig.steps("A", "B", "C")

    @saga_workflow(rig.name("PivotInSavepoint"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        with contextlib.suppress(TerminalError):
            async with saga.savepoint():
                await b(saga, 2)
                saga.pivot()
                await c(saga, 3)
                raise TerminalError("no", 409)
        return "went on"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "went on"
    assert rig.ledger.order() == ["do A", "do B", "do C", "undo C"]


async def test_r26_branches_end_with_their_attempt(rig: Rig) -> None:
    """Left to the garbage collector, they would clean up when what they use is closed."""
    flaky = rig.step("F", fails=lambda n: ValueError("a hiccup") if n < 3 else None)
    attempts: list[list[str]] = []

    @contextlib.asynccontextmanager
    async def scope(request: SagaRequest[Any]) -> AsyncGenerator[list[str]]:
        told: list[str] = []
        attempts.append(told)
        try:
            yield told
        finally:
            told.append("scope left")

    @saga_workflow(rig.name("BranchesEnd"), services_from=scope)
    async def workflow(saga: Saga[list[str]]) -> str:
        async def waits() -> None:
            try:
                await saga.ctx.sleep(timedelta(seconds=1))
            finally:
                saga.services.append("branch left")

        await saga.gather(waits(), flaky(saga, 1))
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    await until(lambda: all("scope left" in told for told in attempts), "all scopes are left")
    assert len(attempts) >= 3
    assert attempts == [["branch left", "scope left"]] * len(attempts)


@pytest.mark.parametrize("wrapped", [False, True], ids=["terminal", "wrapped"])
async def test_r28_what_is_told_of_a_provider_that_fails_later_names_it(
    rig: Rig, wrapped: bool
) -> None:
    """As a terminal error, it would contradict the journal; the server retries that, too."""
    a = rig.step("A")
    opened: list[int] = []

    @contextlib.asynccontextmanager
    async def scope(request: SagaRequest[Any]) -> AsyncGenerator[None]:
        opened.append(1)
        if len(opened) in (2, 3):
            error = TerminalError("no such tenant", 403)
            if wrapped:
                raise ConnectionError("no database") from error
            raise error
        yield None

    @saga_workflow(rig.name("ProviderLater"), services_from=scope)
    async def workflow(saga: Saga[None]) -> str:
        await a(saga, 1)
        if len(opened) == 1:
            raise ValueError("a hiccup")
        return "done"

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert await invocation.result() == "done"
    told = [text for text in await invocation.failures() if "a hiccup" not in text]
    assert told
    for text in told:
        assert f"services_from provider of saga {workflow.name}" in text
        assert "no such tenant" not in text
