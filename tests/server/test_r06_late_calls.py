"""R5, R6: calls at the edge of a cancel: none begins after it, and none is forgotten."""

from __future__ import annotations

from restate import TerminalError

from resaga import (
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    create_saga_step,
    saga_workflow,
)
from tests.support import Rig, until


async def test_r06_no_call_begins_in_a_durable_step_once_the_saga_is_cancelled(rig: Rig) -> None:
    """Else the child goes on after its parent has rolled back, and nothing ever undoes it."""
    gate = rig.gate()
    a = rig.step("A")

    @saga_workflow(rig.name("Child"))
    async def child(saga: Saga) -> str:
        await a(saga, 1)
        return "done"

    async def run(step: DurableStepContext, x: int) -> str:
        await step.ctx.run_typed("hold", gate.hold)
        return await step.ctx.service_call(child.run, None)

    async def undo(step: DurableCompensationContext, data: str | int) -> None:
        if data == "done":
            await step.ctx.run_typed("undo", lambda: rig.ledger.note("undone"))

    d = create_saga_step("D", run, undo, durable=True)

    @saga_workflow(rig.name("Parent"))
    async def parent(saga: Saga) -> None:
        await d(saga, 1)

    await rig.serve(parent, child)
    invocation = await rig.send(parent)
    await gate.reached()
    await rig.cancel_in_flight(invocation, parent)
    gate.open()
    assert (await invocation.error()).code == 409
    assert await rig.restate.invocations(child) == []


async def test_r06_a_call_that_was_awaited_after_the_cancel_is_waited_for_too(rig: Rig) -> None:
    """The child rolls back; its parent has caught the cancel meanwhile, and awaits the call."""
    gate = rig.gate()
    a = rig.step("A", undo_gate=gate)
    (b,) = rig.steps("B")

    @saga_workflow(rig.name("Child"))
    async def child(saga: Saga) -> None:
        await a(saga, 1)
        await never(saga)

    async def never(saga: Saga) -> None:
        await saga.ctx.awakeable(type_hint=str)[1]

    @saga_workflow(rig.name("Parent"))
    async def parent(saga: Saga) -> None:
        await b(saga, 1)
        call = saga.ctx.service_call(child.run, None)
        try:
            await never(saga)
        except TerminalError:
            await call

    await rig.serve(parent, child)
    invocation = await rig.send(parent)
    await invocation.until_entry("B", completed=True)

    async def child_waits() -> bool:
        begun = await rig.restate.invocations(child)
        return bool(begun) and "A" in await begun[0].runs()

    await until(child_waits, "the child has done A")
    await invocation.cancel()
    await gate.reached()
    assert rig.ledger.undone() == []
    gate.open()
    assert (await invocation.error()).code == 409
    assert rig.ledger.undone() == ["A", "B"]
