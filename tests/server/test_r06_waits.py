"""R6 for the user's own waits: what is in flight counts, what is only waited for is given up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import restate
from restate import Context, TerminalError

from resaga import CompensationContext, Saga, StepContext, create_saga_step, saga_workflow
from tests.support import Rig, until

LONG = timedelta(minutes=10)


@pytest.mark.parametrize("what", ["sleep", "awakeable", "select", "gather"])
async def test_r06_a_wait_for_nothing_in_flight_is_given_up(rig: Rig, what: str) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("GivenUp"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        _, promise = saga.ctx.awakeable(type_hint=str)
        if what == "sleep":
            await saga.ctx.sleep(LONG)
        elif what == "awakeable":
            await promise
        elif what == "select":
            await restate.select(promise=promise, sleep=saga.ctx.sleep(LONG))
        else:
            await restate.gather(promise, saga.ctx.sleep(LONG))

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_entry("B", completed=True)
    await invocation.cancel()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


@pytest.mark.parametrize("how", ["gather", "select", "as_completed", "wait_completed"])
async def test_r06_raw_runs_in_flight_side_by_side_are_waited_for(rig: Rig, how: str) -> None:
    gates = [rig.gate(), rig.gate()]
    a = rig.step("A")

    @saga_workflow(rig.name("SideBySide"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

        async def slow(number: int) -> int:
            await gates[number].hold()
            rig.ledger.note(f"raw {number}")
            return number

        runs = [saga.ctx.run_typed(f"raw {n}", slow, number=n) for n in range(2)]
        if how == "gather":
            await restate.gather(*runs)
        elif how == "select":
            await restate.select(one=runs[0], two=runs[1])
        elif how == "as_completed":
            async for run in restate.as_completed(*runs):
                await run
        else:
            await restate.wait_completed(*runs)
        await saga.ctx.sleep(LONG)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    for gate in gates:
        await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gates[1].open()
    await until(lambda: rig.ledger.count("note raw 1"), "one of them is done")
    await invocation.runs()
    assert rig.ledger.undone() == []
    gates[0].open()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert rig.ledger.order() == ["do A", "note raw 1", "note raw 0", "undo A"]


async def test_r06_several_cancels_while_an_action_is_in_flight(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A")
    b = rig.step("B", gate=gate)

    @saga_workflow(rig.name("SeveralCancels"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    for _ in range(3):
        await rig.cancel_in_flight(invocation, workflow)
    assert rig.ledger.undone() == []
    gate.open()
    await invocation.error()
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


async def test_r06_a_call_that_succeeds_in_spite_of_the_cancel_counts(rig: Rig) -> None:
    """The other side may be past its point of no return; then the caller has its result."""
    gate = rig.gate()
    service = restate.Service(rig.name("Stubborn"))
    results: list[str] = []

    @service.handler()
    async def pay(ctx: Context) -> str:
        async def work() -> str:
            await gate.hold()
            return "paid"

        done = ctx.run_typed("work", work)
        while True:
            try:
                return await done
            except TerminalError:
                done = ctx.run_typed("again", work)

    a = rig.step("A")

    @saga_workflow(rig.name("CallCounts"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        results.append(await saga.ctx.service_call(pay, None))
        await saga.ctx.sleep(timedelta(milliseconds=1))
        rig.ledger.note("went on")

    await rig.serve(workflow, service)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert set(results) == {"paid"}
    assert rig.ledger.order() == ["do A", "undo A"]


async def test_r06_a_thread_of_a_compensation_that_was_cut_off_is_waited_for(rig: Rig) -> None:
    """The retried compensation, and the next one, start only when the thread has ended."""
    gate = rig.gate()
    running: list[str] = []
    at_most: list[int] = []
    a = rig.step("A")

    async def run(step: StepContext[Any]) -> str:
        return "b"

    def undo(step: CompensationContext[Any, Any], data: str | None) -> None:
        running.append(step.name)
        at_most.append(len(running))
        gate.hold_thread()
        rig.ledger.undo(step, data)
        running.remove(step.name)

    b = create_saga_step("B", run, undo)

    @saga_workflow(rig.name("CutUndo"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga)
        raise TerminalError("no", 409)

    def attempted(times: int) -> bool:
        return rig.traffic.attempts[workflow.name] >= begun + times - 1

    wire = await rig.serve_on_wire(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    begun = rig.traffic.attempts[workflow.name]
    for attempts in (2, 3):
        wire.cut()
        await until(partial(attempted, attempts), f"there is attempt {attempts}")
    await invocation.runs()
    assert rig.ledger.undone() == []
    gate.open()
    error = await invocation.error()
    assert (error.message, error.code) == ("no", 409)
    assert rig.ledger.undone() == ["B", "B", "A"]
    assert max(at_most) == 1


async def test_r06_an_async_action_ends_with_its_attempt(rig: Rig) -> None:
    """Nothing of it is left to be waited for when the connection breaks."""
    gate = rig.gate()
    ended: list[str] = []
    a = rig.step("A")

    async def run(step: StepContext[Any]) -> str:
        if ended:
            raise TerminalError("second thoughts", 409)
        try:
            await gate.hold()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "b"

    b = create_saga_step("B", run)

    @saga_workflow(rig.name("CutAction"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga)

    wire = await rig.serve_on_wire(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    wire.cut()
    error = await invocation.error()
    assert (error.message, error.code) == ("second thoughts", 409)
    assert ended == ["cancelled"]
    assert rig.ledger.order() == ["do A", "undo A"]
