"""Situations of R6, R8, R11 and R18-R20 in one another: what is promised alone holds together."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import restate
from restate import InvocationRetryPolicy, TerminalError
from restate.context import Context

from resaga import (
    DurableCompensationContext,
    DurableStepContext,
    Retry,
    Saga,
    saga_step,
    saga_workflow,
)
from tests.support import Rig, until

SOON = timedelta(milliseconds=300)
LONG = timedelta(hours=1)


async def test_r20_it_passes_in_a_durable_steps_sleep(rig: Rig) -> None:
    a, never = rig.steps("A", "Never")

    @saga_step("Sleeps", durable=True)
    async def sleeps(step: DurableStepContext) -> None:
        await step.ctx.sleep(LONG)

    @sleeps.compensate
    async def undo(step: DurableCompensationContext, data: None) -> None:
        rig.ledger.note(f"undo Sleeps, {step.outcome}")

    @saga_workflow(rig.name("SleepingStep"), deadline=SOON)
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await sleeps(saga)
        await never(saga, 2)

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).code == 408
    assert dict.fromkeys(rig.ledger.order()) == dict.fromkeys(
        ["do A", "note undo Sleeps, unknown", "undo A"]
    )


async def test_r20_it_passes_just_before_the_last_step(rig: Rig) -> None:
    a, last = rig.steps("A", "Last")

    @saga_workflow(rig.name("LastStep"), deadline=SOON)
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        with contextlib.suppress(TerminalError):
            await saga.ctx.sleep(LONG)
        with contextlib.suppress(TerminalError):
            await last(saga, 2)
        return "done"

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).code == 408
    assert rig.ledger.order() == ["do A", "undo A"]


async def test_r19_a_pivot_in_a_savepoint_that_stands_in_a_saga_that_gathers(rig: Rig) -> None:
    before, left, right, after = rig.steps("Before", "Left", "Right", "After")

    @saga_workflow(rig.name("Pivot"))
    async def workflow(saga: Saga) -> None:
        await before(saga, 1)
        async with saga.savepoint():
            await saga.gather(left(saga, 2), right(saga, 3))
            saga.pivot()
            await after(saga, 4)
        raise TerminalError("later", 409)

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).code == 409
    assert rig.ledger.undone() == ["After"]


async def test_r18_branches_in_a_savepoint_in_a_branch(rig: Rig) -> None:
    beside, inner, other, kept = rig.steps("Beside", "Inner", "Other", "Kept")

    class Expected(TerminalError):
        """By which the savepoint fails."""

    @saga_workflow(rig.name("Nested"))
    async def workflow(saga: Saga) -> str:
        async def branch() -> None:
            await kept(saga, 1)
            with contextlib.suppress(Expected):
                async with saga.savepoint():
                    await saga.gather(inner(saga, 2), other(saga, 3))
                    raise Expected("the savepoint", 410)

        await saga.gather(branch(), beside(saga, 4))
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert sorted(rig.ledger.undone()) == ["Inner", "Other"]


async def test_r08_a_durable_compensation_that_calls_is_cancelled_a_second_and_third_time(
    rig: Rig,
) -> None:
    gate = rig.gate()
    a = rig.step("A")
    other = restate.Service(rig.name("Refund"))

    @other.handler()
    async def refund(ctx: Context) -> str:
        async def work() -> str:
            await gate.hold()
            rig.ledger.note("refunded")
            return "refunded"

        return await ctx.run_typed("refund", work)

    @saga_step("D", durable=True)
    async def d(step: DurableStepContext) -> None:
        """Has no effect of its own."""

    @d.compensate
    async def undo(step: DurableCompensationContext, data: None) -> None:
        answer = await step.ctx.service_call(refund, None)

        async def told() -> None:
            rig.ledger.note(f"told {answer}")

        await step.ctx.run_typed("told", told)

    @saga_workflow(rig.name("Cancelled3"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await d(saga)
        await saga.ctx.sleep(LONG)

    await rig.serve(workflow, other)
    invocation = await rig.send(workflow)
    await invocation.until_entry("D", completed=True)
    await invocation.cancel()
    await gate.reached()
    await invocation.cancel()
    await invocation.cancel()
    gate.open()
    error = await invocation.error()
    assert (error.code, error.message) == (409, "cancelled")
    assert rig.ledger.order() == ["do A", "note refunded", "note told refunded", "undo A"]


async def test_r06_a_child_that_is_rolling_back_itself_is_waited_for(rig: Rig) -> None:
    gate = rig.gate()
    parents = rig.step("Parent")
    childs = rig.step("Child", undo_gate=gate)

    @saga_workflow(rig.name("RollingChild"))
    async def child(saga: Saga) -> None:
        await childs(saga, 1)
        raise TerminalError("the child's own", 418)

    @saga_workflow(rig.name("RollingParent"))
    async def parent(saga: Saga) -> None:
        await parents(saga, 1)
        await saga.ctx.service_call(child.run, None)

    await rig.serve(parent, child)
    invocation = await rig.send(parent)
    await gate.reached()
    await invocation.cancel()
    gate.open()
    error = await invocation.error()
    assert error.code in (409, 418)
    assert rig.ledger.order() == ["do Parent", "do Child", "undo Child", "undo Parent"]


async def test_r11_an_operator_finishes_a_rollback_that_was_paused(rig: Rig) -> None:
    mended: list[bool] = []
    a = rig.step("A")
    b = rig.step("B", undo_fails=lambda _: None if mended else ValueError("the bank is down"))
    quick = InvocationRetryPolicy(
        max_attempts=2, initial_interval=timedelta(milliseconds=30), on_max_attempts="pause"
    )

    @saga_workflow(rig.name("Paused"), retry_policy=quick)
    async def workflow(saga: Saga) -> None:
        await saga.gather(a(saga, 1), b(saga, 2))
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_status("paused")
    (told,) = await rig.restate.sql(
        f"SELECT event_json FROM sys_journal_events WHERE id = '{invocation.id}' "
        "AND event_type = 'Paused'"
    )
    assert '"related_command_name":"compensate:B"' in told["event_json"].replace(" ", "")
    mended.append(True)
    await invocation.resume()
    error = await invocation.error()
    assert (error.code, error.message, error.metadata) == (409, "no", {})
    assert rig.ledger.count("undo A") == 1
    assert set(rig.ledger.undone()) == {"A", "B"}


async def test_r10_a_compensation_retry_with_an_end_names_what_is_left_in_branches(
    rig: Rig,
) -> None:
    twice = Retry(max_attempts=2, initial_interval=timedelta(milliseconds=10))
    a = rig.step("A")
    b = rig.step("B", undo_fails=ValueError("the bank is gone"), compensation_retry=twice)

    @saga_workflow(rig.name("GivenUp"))
    async def workflow(saga: Saga) -> None:
        await saga.gather(a(saga, 1), b(saga, 2))
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 409
    assert error.metadata["resaga.rollback"] == "incomplete"
    assert "not undone: B" in error.message
    assert rig.ledger.count("undo B") == 2
    assert rig.ledger.count("undo A") == 1


async def test_r06_a_thread_that_outlives_its_attempt_in_a_branch(rig: Rig) -> None:
    gate = rig.gate()
    a, threaded = rig.step("A"), rig.step("Threaded", threaded=True, gate=gate)

    @saga_workflow(rig.name("Outlives"))
    async def workflow(saga: Saga) -> None:
        await saga.gather(a(saga, 1), threaded(saga, 2))

    wire = await rig.serve_on_wire(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    wire.cut()
    # The next attempt begins the action again while the first thread is still at the gate.
    await gate.reached(2)
    await invocation.cancel()
    gate.open()
    error = await invocation.error()
    assert error.code == 409
    order = rig.ledger.order()
    first_undo = next(n for n, effect in enumerate(order) if effect.startswith("undo"))
    assert all(effect.startswith("undo") for effect in order[first_undo:])
    assert set(rig.ledger.undone()) == {"A", "Threaded"}
    await until(lambda: gate.held == 0, "no thread is left")
