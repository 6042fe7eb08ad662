"""R6: no compensation starts while an action, or a remote call, of the saga is under way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import restate
from restate import TerminalError

from resaga import DurableStepContext, Saga, StepContext, create_saga_step, saga_workflow
from tests.support import Gate, Invocation, Rig, until
from tests.support.serving import Definition


async def cancel_then_open(
    rig: Rig, workflow: Definition, gate: Gate, *, times: int = 1
) -> Invocation:
    """Cancel while a step is held at the gate, make sure nothing is undone yet, open the gate."""
    invocation = await rig.send(workflow)
    await gate.reached(times)
    await rig.cancel_in_flight(invocation, workflow)
    # A compensation that did not wait would have its run in the journal by now.
    runs = await invocation.runs()
    assert not any(name.startswith("compensate:") for name in runs), runs
    assert rig.ledger.undone() == []
    gate.open()
    return invocation


@pytest.mark.parametrize("strict", [False, True], ids=["hybrid", "strict"])
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "plain"])
async def test_r06_cancel_waits_for_the_action_in_flight(
    rig: Rig, threaded: bool, strict: bool
) -> None:
    gate = rig.gate()
    a = rig.step("A")
    b = rig.step("B", threaded=threaded, strict=strict, gate=gate)

    @saga_workflow(rig.name("InFlight"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await cancel_then_open(rig, workflow, gate)
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]
    assert rig.ledger.payload("undo B")["outcome"] == "completed"


async def test_r06_cancel_waits_for_the_run_inside_a_durable_step(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A")
    b = rig.step("B", durable=True, gate=gate)

    @saga_workflow(rig.name("InFlightDurable"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await cancel_then_open(rig, workflow, gate)
    await invocation.error()
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


async def test_r06_cancel_waits_for_an_awaitable_of_a_plain_function(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A")

    def run(step: StepContext[Any]) -> Any:
        async def rest() -> str:
            await gate.hold()
            rig.ledger.do(step)
            return "b"

        return rest()

    async def undo(step: Any, data: Any) -> None:
        rig.ledger.undo(step, data)

    b = create_saga_step("B", run, undo)

    @saga_workflow(rig.name("Awaitable"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga)

    await rig.serve(workflow)
    invocation = await cancel_then_open(rig, workflow, gate)
    await invocation.error()
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


async def test_r06_a_thread_left_over_from_a_cut_off_attempt_is_waited_for(rig: Rig) -> None:
    """The first attempt is cut off; its thread goes on while later ones roll back."""
    gate = rig.gate()
    calls: list[int] = []
    a = rig.step("A")

    def run(step: StepContext[Any], value: int) -> int:
        calls.append(value)
        if len(calls) > 1:
            raise TerminalError("second thoughts", 409)
        gate.hold_thread()
        rig.ledger.do(step)
        return value

    def undo(step: Any, data: Any) -> None:
        rig.ledger.undo(step, data)

    b = create_saga_step("B", run, undo)

    @saga_workflow(rig.name("LeftOver"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    wire = await rig.serve_on_wire(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    wire.cut()
    await until(lambda: len(calls) == 2, "a second attempt runs the action")
    await invocation.until_entry("B", completed=True)
    # One that waits for the thread is cut off, too.
    attempts = rig.traffic.attempts[workflow.name]
    wire.cut()
    await until(lambda: rig.traffic.attempts[workflow.name] > attempts, "there is another attempt")
    await invocation.runs()
    assert rig.ledger.order() == ["do A"]
    gate.open()
    error = await invocation.error()
    assert (error.message, error.code) == ("second thoughts", 409)
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


async def test_r06_a_thread_left_over_from_a_failed_attempt_is_waited_for(rig: Rig) -> None:
    """An ordinary error elsewhere ends the attempt; the thread of a raw run goes on."""
    gate = rig.gate()
    a = rig.step("A")
    begun: list[int] = []

    @saga_workflow(rig.name("LeftOverRaw"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

        def slow() -> str:
            begun.append(1)
            if len(begun) == 1:
                gate.hold_thread()
                rig.ledger.note("raw")
            return "raw"

        async def fails() -> None:
            await until(lambda: begun, "the slow action has begun")
            if len(begun) == 1:
                raise ValueError("a hiccup")

        raw = saga.ctx.run_typed("slow", slow)
        other = saga.ctx.run_typed("fails", fails)
        await restate.gather(raw, other)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await until(lambda: len(begun) == 2, "a second attempt runs the action")
    await invocation.until_entry("slow", completed=True)
    await invocation.until_entry("fails", completed=True)
    assert rig.ledger.order() == ["do A"]
    gate.open()
    await invocation.error()
    assert rig.ledger.order() == ["do A", "note raw", "undo A"]


async def test_r06_a_raw_run_that_nobody_awaits_is_waited_for(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A")

    @saga_workflow(rig.name("RawInFlight"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

        async def slow() -> None:
            await gate.hold()
            rig.ledger.note("raw")

        raw = saga.ctx.run_typed("slow", slow)
        await restate.select(raw=raw, sleep=saga.ctx.sleep(timedelta(milliseconds=20)))
        rig.ledger.note("body fails")
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    if rig.flavour == "normal":
        # The sleep is over while the run is in flight. Elsewhere the select waits for the run.
        await until(lambda: "note body fails" in rig.ledger.order(), "the body fails")
        await invocation.runs()
        assert rig.ledger.undone() == []
    gate.open()
    await invocation.error()
    order = [effect for effect in rig.ledger.order() if effect != "note body fails"]
    assert order == ["do A", "note raw", "undo A"]


@pytest.mark.parametrize("how", ["step", "body"])
async def test_r06_a_child_saga_has_rolled_back_before_the_parent_undoes_anything(
    rig: Rig, how: str
) -> None:
    gate, undo_gate = rig.gate(), rig.gate()
    a = rig.step("A")
    x = rig.step("X", undo_gate=undo_gate)
    y = rig.step("Y", gate=gate)

    @saga_workflow(rig.name("Child"))
    async def child(saga: Saga) -> str:
        await x(saga, 1)
        await y(saga, 2)
        return "child"

    async def call_child(step: DurableStepContext[Any]) -> str:
        return await step.ctx.service_call(child.run, None)

    async def undo_call(step: Any, data: Any) -> None:
        async def work() -> None:
            rig.ledger.undo(step, data)

        await step.ctx.run_typed("undo", work)

    b = create_saga_step("B", call_child, undo_call, durable=True)

    @saga_workflow(rig.name("Parent"))
    async def parent(saga: Saga) -> None:
        await a(saga, 1)
        if how == "step":
            await b(saga)
        else:
            await saga.ctx.service_call(child.run, None)

    await rig.serve(parent, child)
    invocation = await rig.send(parent)
    await gate.reached()
    await rig.cancel_in_flight(invocation, parent)
    (inner,) = await rig.restate.invocations(child)
    await until(inner.signals, "the cancel has reached the child")
    gate.open()
    await undo_gate.reached()
    # The child is in its rollback: the parent waits for the end of that.
    await invocation.runs()
    assert rig.ledger.undone(invocation.id) == []
    undo_gate.open()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    last = ["undo B", "undo A"] if how == "step" else ["undo A"]
    assert rig.ledger.order() == ["do A", "do X", "do Y", "undo Y", "undo X", *last]


async def test_r06_a_call_that_nobody_awaits_is_waited_for_after_a_cancel(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A")
    x = rig.step("X", gate=gate)

    @saga_workflow(rig.name("ForgottenChild"))
    async def child(saga: Saga) -> str:
        await x(saga, 1)
        return "child"

    @saga_workflow(rig.name("Forgetful"))
    async def parent(saga: Saga) -> None:
        await a(saga, 1)
        _forgotten = saga.ctx.service_call(child.run, None)
        await saga.ctx.sleep(timedelta(minutes=10))

    await rig.serve(parent, child)
    invocation = await rig.send(parent)
    await gate.reached()
    await rig.cancel_in_flight(invocation, parent)
    (inner,) = await rig.restate.invocations(child)
    await until(inner.signals, "the cancel has reached the child")
    await invocation.runs()
    assert rig.ledger.undone() == []
    gate.open()
    await invocation.error()
    assert rig.ledger.order() == ["do A", "do X", "undo X", "undo A"]


async def test_r06_two_sagas_do_not_wait_for_each_other(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A")
    b = rig.step("B", gate=gate)

    @saga_workflow(rig.name("Separate"))
    async def workflow(saga: Saga, fail: bool) -> None:
        await a(saga, 1)
        if fail:
            raise TerminalError("no", 409)
        await b(saga, 2)

    await rig.serve(workflow)
    held = await rig.send(workflow, False)
    await gate.reached()
    error = await asyncio.wait_for(rig.fail(workflow, True), 10)
    assert rig.ledger.order(error.invocation_id) == ["do A", "undo A"]
    gate.open()
    await held.result()
    assert rig.ledger.order(held.id) == ["do A", "do B"]
