"""R26: a saga leaves nothing behind in the worker once its actions have ended."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

from restate import TerminalError

import resaga
from resaga import Saga, saga_workflow
from resaga.action import Running
from tests.support import Rig, until

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

    def left() -> list[str]:
        gc.collect()
        objects = gc.get_objects()
        running = [o for o in objects if isinstance(o, Running) and len(o)]
        waiting = [o for o in objects if isinstance(o, Running) and o.waiting]
        tasks = [t for t in asyncio.all_tasks() if PACKAGE in repr(t)]
        threads = [t.name for t in threading.enumerate() if "resaga" in t.name]
        return [*map(repr, running), *map(repr, waiting), *map(repr, tasks),
                *threads]  # fmt: skip

    await until(lambda: not left(), "nothing is left")
