"""R4: what is neither terminal nor mapped passes, and nothing is rolled back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import restate
from restate import TerminalError
from restate.exceptions import RetryableError

from resaga import Saga, StepContext, create_saga_step, saga_workflow, set_global_error_mapper
from tests.support import Invocation, Rig, until


class Exotic(BaseException):
    """Nobody's way to fail."""


EXITS: list[Callable[[], BaseException]] = [
    asyncio.CancelledError,
    lambda: SystemExit(3),
    Exotic,
    lambda: RetryableError("again"),
]
EXIT_IDS = ["cancelled", "system-exit", "base-exception", "retryable"]


async def has_entry(invocation: Invocation, kind: str) -> bool:
    """Whether the journal has an entry of this type."""
    return any(entry.type == kind for entry in await invocation.journal())


def everything_is_terminal(exc: Exception) -> TerminalError | None:
    """A mapper that is too eager; R4 comes before it."""
    return TerminalError(f"mapped {type(exc).__name__}", 418)


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "plain"])
@pytest.mark.parametrize("exit_", EXITS, ids=EXIT_IDS)
async def test_r04_an_exit_of_an_action_is_an_ordinary_error(
    rig: Rig, exit_: Callable[[], BaseException], threaded: bool
) -> None:
    a = rig.step("A")
    b = rig.step("B", threaded=threaded, fails=lambda n: exit_() if n < 3 else None)

    @saga_workflow(rig.name("Exit"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        await b(saga, 2)
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert rig.ledger.order() == ["do A", "do B", "do B", "do B"]


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "plain"])
@pytest.mark.parametrize("exit_", EXITS, ids=EXIT_IDS)
async def test_r04_an_exit_of_a_compensation_is_an_ordinary_error(
    rig: Rig, exit_: Callable[[], BaseException], threaded: bool
) -> None:
    a = rig.step("A")
    b = rig.step("B", threaded=threaded, undo_fails=lambda n: exit_() if n < 3 else None)

    @saga_workflow(rig.name("UndoExit"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.message, error.code, error.metadata) == ("no", 409, {})
    assert rig.ledger.undone() == ["B", "B", "B", "A"]


async def test_r04_the_end_of_an_attempt_is_never_mapped(rig: Rig) -> None:
    """On a server that replays at every await, each wait ends an attempt with an exception."""
    set_global_error_mapper(everything_is_terminal)
    a, b = rig.steps("A", "B")
    c = rig.step("C", durable=True, as_terminal_error=everything_is_terminal)

    @saga_workflow(rig.name("Suspends"), as_terminal_error=everything_is_terminal)
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        await saga.ctx.sleep(timedelta(milliseconds=20))
        await c(saga, 2)
        await b(saga, 3)
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert rig.ledger.order() == ["do A", "do C", "do B"]


async def test_r04_a_group_with_the_end_of_the_attempt_is_that_end(rig: Rig) -> None:
    set_global_error_mapper(everything_is_terminal)
    a, b = rig.steps("A", "B")
    waited: list[BaseException] = []

    @saga_workflow(rig.name("Grouped"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        try:
            await saga.ctx.sleep(timedelta(milliseconds=50))
        except BaseException as end:
            waited.append(end)
            raise BaseExceptionGroup("all", [TerminalError("no", 418), end]) from None
        await b(saga, 2)
        return "done"

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert await invocation.result() == "done"
    if rig.flavour != "normal":
        assert waited, "this flavour was to end an attempt at the sleep"
    assert rig.ledger.order() == ["do A", "do B"]
    # The attempt was suspended; it did not fail.
    assert await invocation.failures() == []


@pytest.mark.parametrize("where", ["action", "wait"])
async def test_r04_a_broken_connection_is_never_mapped(rig: Rig, where: str) -> None:
    """The SDK tells of it by a plain exception; an heir of this attempt goes on already.

    What an attempt that is over would do is refused in another place, too, so the mappers say
    what they were asked.
    """
    asked: list[type[Exception]] = []

    def mapper(exc: Exception) -> TerminalError | None:
        asked.append(type(exc))
        return everything_is_terminal(exc)

    set_global_error_mapper(mapper)
    gate = rig.gate()
    a = rig.step("A")
    b = rig.step("B", gate=gate, as_terminal_error=mapper)

    @saga_workflow(rig.name("Broken"), as_terminal_error=mapper)
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        if where == "wait":
            _, promise = saga.ctx.awakeable(type_hint=str)
            await restate.select(promise=promise, sleep=saga.ctx.sleep(timedelta(seconds=1)))
        await b(saga, 2)
        return "done"

    wire = await rig.serve_on_wire(workflow)
    invocation = await rig.send(workflow)
    if where == "wait":
        await until(partial(has_entry, invocation, "Sleep"), "the body waits")
    else:
        await gate.reached()
    wire.cut()
    await gate.reached(2 if where == "action" else 1)
    await invocation.runs()
    assert rig.ledger.order() == ["do A"]
    gate.open()
    assert await invocation.result() == "done"
    assert rig.ledger.order() == ["do A", "do B"]
    assert asked == []


async def test_r04_misuse_is_retried_whatever_the_mappers_say(rig: Rig) -> None:
    set_global_error_mapper(everything_is_terminal)
    a = rig.step("A")
    raised: list[int] = []
    sagas: list[Saga] = []

    async def misuse(step: StepContext[object]) -> str:
        if not raised:
            raised.append(1)
            sagas[-1].ctx.random()
        return "mended"

    b = create_saga_step("B", misuse)

    @saga_workflow(rig.name("Misuse"), as_terminal_error=everything_is_terminal)
    async def workflow(saga: Saga) -> str:
        sagas.append(saga)
        await a(saga, 1)
        mended: str = await b(saga)
        return mended

    await rig.serve(workflow)
    assert await rig.call(workflow) == "mended"
    assert rig.ledger.order() == ["do A"]


async def test_r04_retryable_error_is_retried_whatever_the_mappers_say(rig: Rig) -> None:
    set_global_error_mapper(everything_is_terminal)
    raised: list[int] = []
    a = rig.step("A", fails=lambda n: RetryableError("again") if n < 3 else None)

    @saga_workflow(rig.name("Retryable"), as_terminal_error=everything_is_terminal)
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        if not raised:
            raised.append(1)
            raise RetryableError("again")
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert rig.ledger.order() == ["do A", "do A", "do A"]
