"""R7: what completed during a cancel is undone; what has not begun does not begin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from restate import InvocationRetryPolicy, TerminalError

from resaga import (
    DurableCompensationContext,
    DurableStepContext,
    Retry,
    Saga,
    SagaObserver,
    StepEvent,
    create_saga_step_strict,
    saga_workflow,
)
from tests.support import Rig


class Named(SagaObserver):
    """Keeps the steps it was told have failed, with their outcomes."""

    def __init__(self) -> None:
        self.failed: dict[str, str | None] = {}

    def on_step_failed(self, event: StepEvent) -> None:
        if not event.retried:
            self.failed[event.step] = event.outcome


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
@pytest.mark.parametrize("strict", [False, True], ids=["hybrid", "strict"])
async def test_r07_completed_while_cancelled_is_undone(
    rig: Rig, strict: bool, durable: bool
) -> None:
    gate = rig.gate()
    a = rig.step("A", strict=strict)
    b = rig.step("B", strict=strict, durable=durable, gate=gate, returns=lambda n: {"n": n})

    @saga_workflow(rig.name("Completed"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    await invocation.error()
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]
    undo = rig.ledger.payload("undo B")
    assert (undo["outcome"], undo["data"]) == ("completed", {"n": 2})


@pytest.mark.parametrize("strict", [False, True], ids=["hybrid", "strict"])
async def test_r07_an_action_is_not_begun_again_while_cancelled(rig: Rig, strict: bool) -> None:
    """Cancelled in flight, then failing with an ordinary error: no attempt may repeat it."""
    gate, named = rig.gate(), Named()
    a = rig.step("A")
    b = rig.step("B", strict=strict, gate=gate, fails=ValueError("who knows"))

    @saga_workflow(rig.name("NotAgain"), observers=[named])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    if strict:
        assert rig.ledger.order() == ["do A", "do B", "undo A"]
    else:
        assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]
        undo = rig.ledger.payload("undo B")
        assert (undo["outcome"], undo["has_data"], undo["data"]) == ("unknown", False, 2)
    assert named.failed == {"B": "unknown"}


async def test_r07_a_thread_is_not_begun_again_while_cancelled(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A")
    b = rig.step("B", threaded=True, gate=gate, fails=ValueError("who knows"))

    @saga_workflow(rig.name("NoThreadAgain"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    await invocation.error()
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


async def test_r07_draining_begins_nothing_of_the_users_either(rig: Rig) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("RawNotBegun"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

        async def late() -> None:
            rig.ledger.note("late")

        try:
            await saga.ctx.sleep(timedelta(minutes=10))
        except TerminalError:
            await saga.ctx.run_typed("late", late)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_entry("A", completed=True)
    await invocation.cancel()
    await invocation.error()
    assert rig.ledger.order() == ["do A", "undo A"]


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r07_a_step_after_the_cancel_does_not_run(rig: Rig, durable: bool) -> None:
    a = rig.step("A")
    b = rig.step("B", durable=durable)

    @saga_workflow(rig.name("NotBegun"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        try:
            await saga.ctx.sleep(timedelta(minutes=10))
        except TerminalError:
            await b(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_entry("A", completed=True)
    await invocation.cancel()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert rig.ledger.count("do B") == 0
    assert rig.ledger.undone()[-1] == "A"


async def test_r07_a_strict_step_with_exhausted_retries_is_named_and_not_undone(rig: Rig) -> None:
    named = Named()
    a = rig.step("A")
    b = rig.step(
        "B",
        strict=True,
        fails=ValueError("who knows"),
        retry=Retry(max_attempts=2, initial_interval=timedelta(milliseconds=10)),
    )

    @saga_workflow(rig.name("StrictUnknown"), observers=[named])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.order() == ["do A", "do B", "do B", "undo A"]
    assert named.failed == {"B": "unknown"}


@pytest.mark.parametrize("strict", [False, True], ids=["hybrid", "strict"])
async def test_r07_a_paused_action_is_not_begun_again_by_a_cancel(rig: Rig, strict: bool) -> None:
    """Paused after its attempts ran out, then cancelled instead of resumed."""
    quick = timedelta(milliseconds=10)
    a = rig.step("A")
    b = rig.step("B", strict=strict, fails=ValueError("who knows"))

    @saga_workflow(
        rig.name("PausedForward"),
        retry_policy=InvocationRetryPolicy(
            max_attempts=2, initial_interval=quick, max_interval=quick
        ),
    )
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_status("paused")
    tried = rig.ledger.order()
    await invocation.cancel()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert rig.ledger.order() == [*tried, *([] if strict else ["undo B"]), "undo A"]


async def test_r07_a_durable_step_that_ends_well_in_spite_of_the_cancel_is_undone(rig: Rig) -> None:
    async def run(step: DurableStepContext[Any]) -> str:
        try:
            await step.ctx.sleep(timedelta(minutes=10))
        except TerminalError:
            return "half"
        return "whole"

    async def undo(step: DurableCompensationContext[Any, Any], data: str) -> None:
        told = [step.outcome, data]

        async def work() -> None:
            rig.ledger.undo(step, told)

        await step.ctx.run_typed("work", work)

    a = rig.step("A")
    b = create_saga_step_strict("B", run, undo, durable=True)

    @saga_workflow(rig.name("EndsWell"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_entry("B", completed=True)
    await invocation.cancel()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert rig.ledger.undone() == ["B", "A"]
    assert rig.ledger.payload("undo B") == ["completed", "half"]
