"""What leaves in one message with what: a run's command and the result of an action, above all."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from restate import TerminalError

from resaga import Saga, StepContext, saga_step, saga_workflow
from tests.support import Rig
from tests.support.waiting import until

COMMAND, RESULT, SLEEP = "command", "result", "sleep"
KINDS = {0x0411: COMMAND, 0x0005: RESULT, 0x040C: SLEEP}
"""Of the service protocol's messages: RunCommand, ProposeRunCompletion, SleepCommand."""


def _messages(part: bytes) -> Iterator[int]:
    """The types of the messages that a part of a response is made of."""
    while part:
        kind, _, length = struct.unpack_from(">HHI", part)
        yield kind
        part = part[8 + length :]


def _said(rig: Rig, name: str) -> list[list[str]]:
    """The commands and results of runs, by the parts of responses that they left in."""
    parts = [
        [KINDS[kind] for kind in _messages(part) if kind in KINDS]
        for part in rig.traffic.said[name]
    ]
    return [part for part in parts if part]


async def test_what_ends_at_once_is_one_message_with_its_command(rig: Rig) -> None:
    """Steps and compensations alike; the result of a failed step, too."""
    steps = rig.steps("A", "B", "C")
    failing = rig.step("D", fails=TerminalError("no", 409))

    @saga_workflow(rig.name("AtOnce"))
    async def workflow(saga: Saga) -> None:
        for step in steps:
            await step(saga, 1)
        await failing(saga, 1)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.undone() == ["D", "C", "B", "A"]
    assert _said(rig, workflow.name) == [[COMMAND, RESULT]] * 8


async def test_what_begins_together_is_one_message(rig: Rig) -> None:
    steps = rig.steps("A", "B", "C")

    @saga_workflow(rig.name("Together"))
    async def workflow(saga: Saga) -> None:
        await saga.gather(*(step(saga, 1) for step in steps))

    await rig.serve(workflow)
    await rig.call(workflow)
    assert _said(rig, workflow.name) == [[COMMAND] * 3 + [RESULT] * 3]


@pytest.mark.parametrize("threaded", [False, True], ids=["coroutine", "thread"])
async def test_the_command_of_what_waits_is_sent_meanwhile(rig: Rig, *, threaded: bool) -> None:
    """So that whoever looks at the journal sees what a saga is at."""
    gate = rig.gate()

    @saga_step("Slow")
    async def waits(step: StepContext) -> None:
        await gate.hold()

    @saga_step("Slow")
    def blocks(step: StepContext) -> None:
        gate.hold_thread()

    @saga_workflow(rig.name("Slow"))
    async def workflow(saga: Saga) -> None:
        await (blocks if threaded else waits)(saga)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await invocation.until_entry("Slow", completed=False)
    gate.open()
    await invocation.result()
    assert _said(rig, workflow.name) == [[COMMAND], [RESULT]]


@pytest.mark.parametrize("flavour", ["normal"])
async def test_a_result_is_sent_though_who_waited_for_it_is_gone(rig: Rig) -> None:
    """An action ends in the turn that it was given, and its waiter is cancelled in that turn.

    Whoever else waits on the context hears of it, and sends what came of it. In one flavour, as
    the others end the attempt where that one waits.
    """

    @saga_workflow(rig.name("Gone"))
    async def workflow(saga: Saga) -> str:
        ctx = saga.ctx
        waiting: Any = ctx.sleep(timedelta(hours=1))
        listening = asyncio.ensure_future(waiting)
        await until(lambda: [SLEEP] in _said(rig, name), "the other one waits for a message")

        async def action() -> str:
            run.future.task.cancel()
            return "done"

        run: Any = ctx.run_typed("Ends", action)
        with pytest.raises(asyncio.CancelledError):
            await run
        await until(lambda: [COMMAND, RESULT] in _said(rig, name), "the result is sent")
        listening.cancel()
        return "done"

    name = workflow.name
    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
