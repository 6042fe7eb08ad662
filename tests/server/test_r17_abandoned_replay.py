"""R17, R7: whether a losing branch's action had begun is forgotten when its attempt dies."""

from __future__ import annotations

from restate import TerminalError

from resaga import Saga, StepContext, create_saga_step, saga_workflow
from tests.support import Rig
from tests.support.client import Invocation
from tests.support.waiting import until


async def _is_answered(invocation: Invocation) -> bool:
    return any(entry.type == "Call" and entry.completed for entry in await invocation.journal())


async def test_r17_an_abandoned_action_that_a_crash_cut_off_replays_alike(rig: Rig) -> None:
    """Nothing goes on beside it until it has ended, so the next attempt meets the same journal."""
    gate_a, gate_y = rig.gate(), rig.gate()
    f = rig.step("F", strict=True, fails=TerminalError("F", 409))
    y1, y2 = rig.step("Y1", gate=gate_y), rig.step("Y2")
    tries: list[int] = []

    async def run(step: StepContext, x: int) -> int:
        tries.append(x)
        if len(tries) == 1:
            await gate_a.hold()
            raise ValueError("a hiccup")
        return x

    a = create_saga_step("A", run)

    async def line(saga: Saga) -> None:
        await y1(saga, 1)
        await y2(saga, 1)

    async def inner(saga: Saga) -> None:
        await saga.gather(f(saga, 1), a(saga, 1))

    @saga_workflow(rig.name("Abandoned"))
    async def workflow(saga: Saga) -> None:
        await saga.gather(inner(saga), line(saga))

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate_a.reached()
    await gate_y.reached()
    await invocation.until_entry("F", completed=True)
    gate_y.open()
    await invocation.until_entry("Y1", completed=True)
    gate_a.open()
    error = await invocation.error()
    assert (error.code, error.message) == (409, "F")
    assert rig.ledger.undone() == ["Y1"]


async def test_r17_a_cancel_beside_an_abandoned_action_that_is_cut_off_replays_alike(
    rig: Rig,
) -> None:
    """By a cancel the core writes into the journal, so nobody takes it while the action runs.

    Found by `make chaos` on a cluster: the branch beside it had failed, the cancel was taken while
    its action was waited for, and the worker died. In the next attempt the action had not begun
    and was not waited for, so the rollback wrote where the cancel's signal to the child stood.
    """
    gate = rig.gate()
    tries: list[int] = []

    @saga_workflow(rig.name("Child"))
    async def child(saga: Saga) -> None:
        raise TerminalError("the child", 409)

    async def run(step: StepContext, x: int) -> int:
        rig.ledger.do(step)
        tries.append(x)
        if len(tries) == 1:
            await gate.hold()
            raise ValueError("a hiccup")
        return x

    a = create_saga_step("A", run)
    first = rig.step("First")

    async def call(saga: Saga) -> None:
        await saga.ctx.service_call(child.run, None)

    @saga_workflow(rig.name("CutOff"))
    async def workflow(saga: Saga) -> None:
        await first(saga, 1)
        await saga.gather(call(saga), a(saga, 1))

    await rig.serve(workflow, child)
    invocation = await rig.send(workflow)
    await gate.reached()
    await until(lambda: _is_answered(invocation), "the child's failure is in the journal")
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    error = await invocation.error()
    assert (error.code, error.message) == (409, "the child")
    assert rig.ledger.undone() == ["First"]
