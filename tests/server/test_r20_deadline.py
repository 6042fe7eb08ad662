"""R20: a deadline bounds the forward part only."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import restate
from restate import TerminalError

from resaga import DurableCompensationContext, DurableStepContext, Saga, saga_step, saga_workflow
from tests.support import Rig, until

SOON = timedelta(milliseconds=300)
LONG = timedelta(hours=1)
NOT_SO_SOON = timedelta(seconds=2)
"""What comes before it comes before it on a loaded machine, too."""


async def test_r20_it_interrupts_a_durable_wait(rig: Rig) -> None:
    a, never = rig.steps("A", "Never")

    @saga_workflow(rig.name("Sleeps"), deadline=SOON)
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        with contextlib.suppress(TerminalError):
            await saga.ctx.sleep(LONG)
        await never(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    error = await invocation.error()
    assert error.code == 408
    assert "deadline" in error.message
    assert rig.ledger.order() == ["do A", "undo A"]
    runs = [(entry.type, entry.name) for entry in await invocation.journal()]
    assert [kind for kind, _ in runs][:2] == ["Input", "Run"], "no entry before the first step"
    assert [name for kind, name in runs if kind == "Sleep"].count("deadline") == 1


async def test_r20_a_step_in_flight_is_drained_and_undone(rig: Rig) -> None:
    gate = rig.gate()
    a, never = rig.step("A", gate=gate), rig.step("Never")

    @saga_workflow(rig.name("InFlight"), deadline=SOON)
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await never(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    timer = "SELECT id FROM sys_journal WHERE id = '{}' AND entry_type = 'Notification: Sleep'"

    async def passed() -> bool:
        return bool(await rig.restate.sql(timer.format(invocation.id)))

    await until(passed, "the deadline has passed")
    gate.open()
    assert (await invocation.error()).code == 408
    assert rig.ledger.order() == ["do A", "undo A"]


async def test_r20_a_called_saga_is_cancelled_and_waited_for(rig: Rig) -> None:
    a, b = rig.steps("Parent", "Child")

    @saga_workflow(rig.name("Child"))
    async def child(saga: Saga) -> None:
        await b(saga, 1)
        await saga.ctx.sleep(LONG)

    @saga_workflow(rig.name("Parent"), deadline=SOON)
    async def parent(saga: Saga) -> None:
        await a(saga, 1)
        await saga.ctx.service_call(child.run, None)

    await rig.serve(parent, child)
    error = await rig.fail(parent)
    assert error.code == 408, "the deadline, and not that the child was cancelled by it"
    assert "deadline" in error.message
    assert rig.ledger.order() == ["do Parent", "do Child", "undo Child", "undo Parent"]


async def test_r20_what_a_called_saga_could_not_undo_is_not_hidden_by_it(rig: Rig) -> None:
    a = rig.step("Parent")
    stuck = rig.step("Child", undo_fails=TerminalError("gone", 410))

    @saga_workflow(rig.name("StuckChild"))
    async def child(saga: Saga) -> None:
        await stuck(saga, 1)
        await saga.ctx.sleep(LONG)

    @saga_workflow(rig.name("StuckParent"), deadline=SOON)
    async def parent(saga: Saga) -> None:
        await a(saga, 1)
        await saga.ctx.service_call(child.run, None)

    await rig.serve(parent, child)
    error = await rig.fail(parent)
    assert error.metadata["resaga.rollback"] == "incomplete"
    assert "Child: gone" in error.message
    assert rig.ledger.undone() == ["Child", "Parent"]


async def test_r20_it_passes_in_a_gather(rig: Rig) -> None:
    a, b, d = rig.step("A"), rig.step("B"), rig.step("D", durable=True)

    @saga_workflow(rig.name("InGather"), deadline=SOON)
    async def workflow(saga: Saga) -> None:
        async def waits() -> None:
            await b(saga, 1)
            await saga.ctx.sleep(LONG)

        async def selects() -> None:
            await d(saga, 1)
            await restate.select(a=saga.ctx.sleep(LONG), b=saga.ctx.sleep(LONG * 2))

        await saga.gather(a(saga, 1), waits(), selects())

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).code == 408
    assert sorted(rig.ledger.undone()) == ["A", "B", "D"]


async def test_r20_it_does_not_matter_during_a_rollback(rig: Rig) -> None:
    a = rig.step("A")

    @saga_step("D", durable=True)
    async def d(step: DurableStepContext) -> None:
        """Does nothing."""

    @d.compensate
    async def undo(step: DurableCompensationContext, data: None) -> None:
        await step.ctx.sleep(NOT_SO_SOON)
        rig.ledger.note("the deadline has passed")

    @saga_workflow(rig.name("Rollback"), deadline=NOT_SO_SOON)
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await d(saga)
        raise TerminalError("before the deadline", 410)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (410, "before the deadline")
    assert rig.ledger.order()[0] == "do A"
    assert rig.ledger.undone() == ["A"]
    assert rig.ledger.count("note the deadline has passed")


async def test_r20_one_that_does_not_pass_changes_nothing(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("InTime"), deadline=LONG)
    async def workflow(saga: Saga) -> int:
        await a(saga, 1)
        result: int = await b(saga, 2)
        return result

    await rig.serve(workflow)
    assert await rig.call(workflow) == 2
    assert rig.ledger.order() == ["do A", "do B"]
