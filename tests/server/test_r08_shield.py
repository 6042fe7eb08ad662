"""R8: cancelling again during a rollback skips nothing, and a rollback that waits does not spin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import restate
from restate import Context, TerminalError

from resaga import (
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    create_saga_step,
    saga_workflow,
)
from tests.support import Gate, Rig, until

AT_MOST = 12
"""Attempts in a rollback that waits for a second or two. One that spins makes hundreds."""


async def act(step: DurableStepContext[Any]) -> str:
    """The body of a durable step that needs nothing from Restate."""
    return f"data of {step.name}"


@pytest.mark.parametrize("cancels", [1, 2])
@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
@pytest.mark.parametrize("first", ["error", "cancel"])
async def test_r08_a_cancel_during_the_rollback_skips_nothing(
    rig: Rig, first: str, durable: bool, cancels: int
) -> None:
    gate, undo_gate = rig.gate(), rig.gate()
    a = rig.step("A", durable=durable)
    b = rig.step("B", durable=durable, undo_gate=undo_gate)
    c = rig.step("C", durable=durable)
    d = rig.step("D", gate=gate)

    @saga_workflow(rig.name("Shield"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        await c(saga, 3)
        if first == "cancel":
            await d(saga, 4)
        raise TerminalError("no", 418)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    if first == "cancel":
        await gate.reached()
        await rig.cancel_in_flight(invocation, workflow)
        gate.open()
    await undo_gate.reached()
    for _ in range(cancels):
        await rig.cancel_in_flight(invocation, workflow)
    undo_gate.open()
    error = await invocation.error()
    assert error.metadata == {}
    expected = ("cancelled", 409) if first == "cancel" else ("no", 418)
    assert (error.message, error.code) == expected
    undone = ["D", "C", "B", "A"] if first == "cancel" else ["C", "B", "A"]
    assert rig.ledger.undone() == undone


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "plain"])
async def test_r08_a_failing_compensation_is_retried_after_a_second_cancel(
    rig: Rig, threaded: bool
) -> None:
    undo_gate = rig.gate()
    a = rig.step("A")
    b = rig.step(
        "B",
        threaded=threaded,
        undo_gate=undo_gate,
        undo_fails=lambda n: ValueError("not yet") if n < 3 else None,
    )

    @saga_workflow(rig.name("ShieldRetry"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        raise TerminalError("no", 418)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await undo_gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    undo_gate.open()
    error = await invocation.error()
    assert (error.message, error.code, error.metadata) == ("no", 418, {})
    assert rig.ledger.undone() == ["B", "B", "B", "A"]


async def undone_by(
    rig: Rig, undo: Any, *others: restate.Service, cancel_again: Gate | None = None
) -> int:
    """Cancel a saga whose step B is undone by ``undo``; how many attempts its rollback took.

    With ``cancel_again``, a second cancel arrives while something is held at that gate.
    """
    a = rig.step("A")
    b = create_saga_step("B", act, undo, durable=True)

    @saga_workflow(rig.name("Undone"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga)
        await saga.ctx.sleep(timedelta(minutes=10))

    await rig.serve(workflow, *others)
    invocation = await rig.send(workflow)
    await invocation.until_entry("B", completed=True)

    async def sleeps() -> bool:
        return any(entry.type == "Sleep" for entry in await invocation.journal())

    await until(sleeps, "the body sleeps")
    before = rig.traffic.attempts[workflow.name]
    await invocation.cancel()
    if cancel_again is not None:
        await cancel_again.reached()
        await invocation.cancel()
        cancel_again.open()
    error = await invocation.error()
    assert (error.message, error.code, error.metadata) == ("cancelled", 409, {})
    return rig.traffic.attempts[workflow.name] - before


async def test_r08_a_durable_compensation_that_sleeps_does_not_spin(rig: Rig) -> None:
    async def undo(step: DurableCompensationContext[Any, Any], data: str) -> None:
        await step.ctx.sleep(timedelta(seconds=1.5))

        async def work() -> None:
            rig.ledger.undo(step, data)

        await step.ctx.run_typed("work", work)

    attempts = await undone_by(rig, undo)
    assert rig.ledger.undone() == ["B", "A"]
    assert attempts <= AT_MOST


async def test_r08_a_durable_compensation_that_sleeps_does_not_see_a_second_cancel(
    rig: Rig,
) -> None:
    gate = rig.gate()

    async def undo(step: DurableCompensationContext[Any, Any], data: str) -> None:
        await gate.hold()
        await step.ctx.sleep(timedelta(milliseconds=200))

        async def work() -> None:
            rig.ledger.undo(step, data)

        await step.ctx.run_typed("work", work)

    attempts = await undone_by(rig, undo, cancel_again=gate)
    assert rig.ledger.undone() == ["B", "A"]
    assert attempts <= AT_MOST


def slow_service(rig: Rig, gate: Gate) -> restate.Service:
    """A plain service that waits at a gate, in an action, and tells if it was cancelled."""
    service = restate.Service(rig.name("Slow"))

    @service.handler()
    async def refund(ctx: Context, amount: int) -> str:
        async def work() -> str:
            await gate.hold()
            rig.ledger.note("refund", amount)
            return f"refunded {amount}"

        done = await ctx.run_typed("work", work)
        try:
            await ctx.sleep(timedelta(milliseconds=10))
        except TerminalError:
            rig.ledger.note("refund was cancelled")
            raise
        return done

    return service


@pytest.mark.parametrize("again", [False, True], ids=["once", "cancelled-again"])
async def test_r08_what_a_durable_compensation_calls_is_not_cancelled(
    rig: Rig, again: bool
) -> None:
    gate = rig.gate()
    service = slow_service(rig, gate)
    if not again:
        gate.open()

    async def undo(step: DurableCompensationContext[Any, Any], data: str) -> None:
        refunded = await step.ctx.generic_call(service.name, "refund", b"7")

        async def work() -> None:
            rig.ledger.undo(step, [data, refunded.decode()])

        await step.ctx.run_typed("work", work)

    await undone_by(rig, undo, service, cancel_again=gate if again else None)
    assert rig.ledger.order() == ["do A", "note refund", "undo B", "undo A"]
    assert rig.ledger.payload("undo B") == ["data of B", '"refunded 7"']


async def test_r08_a_typed_call_in_a_durable_compensation_gives_its_typed_result(rig: Rig) -> None:
    gate = rig.gate()
    service = restate.Service(rig.name("Typed"))

    @service.handler()
    async def refund(ctx: Context, amount: int) -> dict[str, int]:
        async def work() -> None:
            await gate.hold()

        await ctx.run_typed("work", work)
        return {"refunded": amount}

    async def undo(step: DurableCompensationContext[Any, Any], data: str) -> None:
        refunded = await step.ctx.service_call(refund, 7)

        async def work() -> None:
            rig.ledger.undo(step, refunded)

        await step.ctx.run_typed("work", work)

    await undone_by(rig, undo, service, cancel_again=gate)
    assert rig.ledger.payload("undo B") == {"refunded": 7}


async def test_r08_a_call_that_fails_in_a_durable_compensation_raises_there(rig: Rig) -> None:
    service = restate.Service(rig.name("Refuses"))

    @service.handler()
    async def refund(ctx: Context, amount: int) -> str:
        raise TerminalError("closed", 410, metadata={"until": "monday"})

    async def undo(step: DurableCompensationContext[Any, Any], data: str) -> None:
        try:
            await step.ctx.service_call(refund, 7)
        except TerminalError as error:
            told = [error.message, error.status_code, error.metadata]

            async def work() -> None:
                rig.ledger.undo(step, told)

            await step.ctx.run_typed("work", work)

    await undone_by(rig, undo, service)
    assert rig.ledger.undone() == ["B", "A"]
    assert rig.ledger.payload("undo B") == ["closed", 410, {"until": "monday"}]


@pytest.mark.parametrize("wins", ["call", "sleep"])
async def test_r08_select_works_in_a_durable_compensation(rig: Rig, wins: str) -> None:
    gate = rig.gate()
    service = slow_service(rig, gate)
    if wins == "call":
        gate.open()

    async def undo(step: DurableCompensationContext[Any, Any], data: str) -> None:
        call = step.ctx.generic_call(service.name, "refund", b"7")
        patience = timedelta(minutes=10) if wins == "call" else timedelta(milliseconds=50)
        match await restate.select(call=call, sleep=step.ctx.sleep(patience)):
            case ["call", bytes() as refunded]:
                winner = ["call", refunded.decode()]
            case other:
                winner = [str(other[0])]

        async def work() -> None:
            rig.ledger.undo(step, winner)

        await step.ctx.run_typed("work", work)

    attempts = await undone_by(rig, undo, service)
    assert rig.ledger.undone() == ["B", "A"]
    expected = ["call", '"refunded 7"'] if wins == "call" else ["sleep"]
    assert rig.ledger.payload("undo B") == expected
    assert attempts <= AT_MOST


async def test_r08_waiting_for_a_call_in_a_rollback_does_not_spin(rig: Rig) -> None:
    service = restate.Service(rig.name("Sleeps"))

    @service.handler()
    async def refund(ctx: Context) -> str:
        await ctx.sleep(timedelta(seconds=1.5))
        return "refunded"

    async def undo(step: DurableCompensationContext[Any, Any], data: str) -> None:
        refunded = await step.ctx.service_call(refund, None)

        async def work() -> None:
            rig.ledger.undo(step, refunded)

        await step.ctx.run_typed("work", work)

    attempts = await undone_by(rig, undo, service)
    assert rig.ledger.payload("undo B") == "refunded"
    assert attempts <= AT_MOST


async def test_r08_many_plain_compensations_after_a_cancel_do_not_spin(rig: Rig) -> None:
    gate = rig.gate()
    names = [f"S{n}" for n in range(6)]
    steps = rig.steps(*names)
    last = rig.step("Last", gate=gate)

    @saga_workflow(rig.name("Many"))
    async def workflow(saga: Saga) -> None:
        for step in steps:
            await step(saga, 1)
        await last(saga, 1)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    before = rig.traffic.attempts[workflow.name]
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    await invocation.error()
    assert rig.ledger.undone() == ["Last", *reversed(names)]
    assert rig.traffic.attempts[workflow.name] - before <= len(names) + 4
