"""R26: a saga leaves nothing behind in the worker once its actions have ended."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from restate import TerminalError

import resaga
from resaga import Saga, SagaRequest, saga_workflow
from resaga.action import Running
from tests.support import Invocation, Rig, until

PACKAGE = str(Path(resaga.__file__).parent)


async def test_r26_nothing_is_left(rig: Rig) -> None:
    a, b = rig.steps("A", "B")
    t = rig.step("T", threaded=True)
    gate = rig.gate()
    held = rig.step("H", gate=gate)
    flaky = rig.step("F", fails=lambda n: ValueError("a hiccup") if n % 2 else None)

    @saga_workflow(rig.name("Left"))
    async def workflow(saga: Saga, ending: int) -> None:
        await a(saga, ending)
        await t(saga, ending)
        match ending % 4:
            case 1:
                raise TerminalError("no", 409)
            case 2:
                await held(saga, ending)
            case 3:
                await saga.gather(b(saga, 1), flaky(saga, 2), a(saga, 3))
            case _:
                pass

    await rig.serve(workflow)
    await rig.call(workflow, 0)
    invocations = [await rig.send(workflow, ending) for ending in range(24)]
    cancelled = invocations[2::4]
    await until(lambda: gate.held >= len(cancelled), "all are held")
    for invocation in cancelled:
        await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    for number, invocation in enumerate(invocations):
        if number % 4 in (1, 2):
            await invocation.error()
        else:
            await invocation.result()

    await until(lambda: not left(), "nothing is left")


def left() -> list[str]:
    """Registries with an entry, tasks and threads that are resaga's."""
    gc.collect()
    objects = gc.get_objects()
    running = [o for o in objects if isinstance(o, Running) and len(o)]
    waiting = [o for o in objects if isinstance(o, Running) and o.waiting]
    tasks = [t for t in asyncio.all_tasks() if PACKAGE in repr(t)]
    threads = [t.name for t in threading.enumerate() if "resaga" in t.name]
    return [*map(repr, running), *map(repr, waiting), *map(repr, tasks), *threads]


ENDINGS = [
    "rolls back incompletely",
    "is retried in the rollback",
    "is misused",
    "is mapped",
    "is killed in an action",
    "is killed in a thread",
    "is cancelled in a thread",
    "is cancelled at a sleep",
    "is killed at a sleep",
]
SUCCESSES = ["is misused"]
"""It is retried, and then mended."""


async def test_r26_no_scope_is_left_either_whatever_the_end(rig: Rig) -> None:
    opened: list[str] = []
    closed: list[str] = []

    @asynccontextmanager
    async def scope(request: SagaRequest[str]) -> AsyncGenerator[None]:
        opened.append(request.input)
        try:
            yield None
        finally:
            closed.append(request.input)

    a, b, d = rig.step("A"), rig.step("B"), rig.step("D", durable=True)
    gate = rig.gate()
    held = rig.step("H", gate=gate)
    threaded = rig.step("T", gate=gate, threaded=True)
    stuck = rig.step("S", undo_fails=TerminalError("stuck"))
    slow = rig.step("R", undo_fails=lambda n: ValueError("a hiccup") if n % 3 else None)
    misused: list[str] = []

    @saga_workflow(rig.name("Scopes"), services_from=scope, as_terminal_error=_late)
    async def workflow(saga: Saga[None], ending: str) -> None:
        await a(saga, 1)
        await d(saga, 1)
        match ending.rpartition(" ")[2]:
            case "incompletely":
                await stuck(saga, 1)
                raise ValueError from TerminalError("no", 409)
            case "rollback":
                await slow(saga, 1)
                raise TerminalError("no", 409)
            case "misused":
                if not misused:
                    misused.append(saga.id)
                    await asyncio.gather(b(saga, 1), a(saga, 1))
                await b(saga, 1)
            case "mapped":
                raise Late
            case "sleep":
                await saga.ctx.sleep(timedelta(days=1))
            case "thread":
                await threaded(saga, 1)
            case _:
                await held(saga, 1)

    await rig.serve(workflow)
    sagas = {ending: await rig.send(workflow, ending) for ending in ENDINGS}
    await until(lambda: gate.held == 3, "all that are to be held are held")
    for ending, saga in sagas.items():
        if ending.endswith("sleep"):
            await _until_asleep(saga)
        if "cancelled" in ending:
            await saga.cancel()
        elif "killed" in ending:
            await saga.kill()
    gate.open()
    for ending, saga in sagas.items():
        assert ((await saga.attach()).error is None) == (ending in SUCCESSES), ending
    await until(lambda: sorted(opened) == sorted(closed), "all scopes are left")
    assert set(opened) == set(ENDINGS)
    await until(lambda: not left(), "nothing is left")


class Late(Exception):
    """The workflow's own mapper makes it terminal."""


def _late(error: Exception) -> TerminalError | None:
    return TerminalError("late", 408) if isinstance(error, Late) else None


async def _until_asleep(saga: Invocation) -> None:
    async def asleep() -> bool:
        return any(entry.type == "Sleep" for entry in await saga.journal())

    await until(asleep, "it sleeps")


async def test_r26_a_thread_that_outlives_its_attempt_is_forgotten_when_it_ends(rig: Rig) -> None:
    gate = rig.gate()
    step = rig.step("T", threaded=True, gate=gate)

    @saga_workflow(rig.name("Outlives"))
    async def workflow(saga: Saga) -> None:
        await step(saga, 1)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await invocation.kill()
    await invocation.error()
    await until(lambda: rig.traffic.open[workflow.name] == 0, "the attempt is over")
    assert gate.held == 1, "nobody can stop a thread"
    assert left(), "and it is known to run"
    gate.open()
    await until(lambda: not left(), "nothing is left")
