"""R11: compensations are retried, paused for an operator, and survive crashes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from restate import InvocationRetryPolicy, TerminalError

from resaga import Retry, Saga, saga_workflow
from tests.support import Rig, until

QUICK = timedelta(milliseconds=10)
THREE = InvocationRetryPolicy(max_attempts=3, initial_interval=QUICK, max_interval=QUICK)


@pytest.mark.parametrize("kind", ["async", "plain", "durable"])
async def test_r11_an_ordinary_error_of_a_compensation_is_retried(rig: Rig, kind: str) -> None:
    a = rig.step("A")
    b = rig.step(
        "B",
        threaded=kind == "plain",
        durable=kind == "durable",
        undo_fails=lambda n: ValueError("not yet") if n < 6 else None,
    )
    c = rig.step("C")

    @saga_workflow(rig.name("Retried"))
    async def workflow(saga: Saga) -> None:
        for step in (a, b, c):
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message, error.metadata) == (409, "no", {})
    assert rig.ledger.undone() == ["C", *["B"] * 6, "A"]


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r11_paused_for_an_operator_and_resumed_where_it_stood(
    rig: Rig, durable: bool
) -> None:
    mended: list[bool] = []
    a = rig.step("A")
    b = rig.step(
        "B", durable=durable, undo_fails=lambda _: None if mended else ValueError("broken")
    )
    c = rig.step("C")

    @saga_workflow(rig.name("Paused"), retry_policy=THREE)
    async def workflow(saga: Saga) -> None:
        for step in (a, b, c):
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_status("paused")
    tried = rig.ledger.undone()
    assert tried[0] == "C"
    assert set(tried[1:]) == {"B"}
    mended.append(True)
    await invocation.resume()
    error = await invocation.error()
    assert (error.code, error.message, error.metadata) == (409, "no", {})
    assert rig.ledger.undone() == [*tried, "B", "A"]
    assert [rig.ledger.count(f"do {name}") for name in "ABC"] == [1, 1, 1]


async def test_r11_a_cancel_of_a_paused_rollback_skips_nothing(rig: Rig) -> None:
    mended: list[bool] = []
    a = rig.step("A")
    b = rig.step("B", undo_fails=lambda _: None if mended else ValueError("broken"))

    @saga_workflow(rig.name("PausedCancelled"), retry_policy=THREE)
    async def workflow(saga: Saga) -> None:
        for step in (a, b):
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_status("paused")
    mended.append(True)
    await invocation.cancel()
    error = await invocation.error()
    assert (error.code, error.message, error.metadata) == (409, "no", {})
    assert rig.ledger.undone()[-2:] == ["B", "A"]


async def test_r11_a_bounded_compensation_fails_for_good(rig: Rig) -> None:
    a = rig.step("A")
    b = rig.step(
        "B",
        undo_fails=ValueError("broken"),
        compensation_retry=Retry(max_attempts=4, initial_interval=QUICK, factor=1.0),
    )

    @saga_workflow(rig.name("Bounded"))
    async def workflow(saga: Saga) -> None:
        for step in (a, b):
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 409
    assert error.metadata["resaga.rollback"] == "incomplete"
    assert rig.ledger.undone() == ["B", "B", "B", "B", "A"]


async def test_r11_a_compensation_does_not_inherit_the_steps_retry(rig: Rig) -> None:
    a = rig.step(
        "A",
        undo_fails=lambda n: ValueError("not yet") if n < 5 else None,
        retry=Retry(max_attempts=2, initial_interval=QUICK),
    )

    @saga_workflow(rig.name("NotInherited"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message, error.metadata) == (409, "no", {})
    assert rig.ledger.undone() == ["A"] * 5


async def test_r11_what_is_undone_is_not_undone_again_by_later_attempts(rig: Rig) -> None:
    steps = rig.steps("A", "B", "C", "D")
    last = rig.step("E", undo_fails=lambda n: ValueError("not yet") if n < 3 else None)
    first = rig.step("Z", undo_fails=lambda n: ValueError("not yet") if n < 3 else None)

    @saga_workflow(rig.name("OnlyOnce"))
    async def workflow(saga: Saga) -> None:
        for step in (first, *steps, last):
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.undone() == ["E", "E", "E", "D", "C", "B", "A", "Z", "Z", "Z"]


async def test_r11_kill_is_what_skips_a_rollback(rig: Rig) -> None:
    undo_gate = rig.gate()
    a = rig.step("A")
    b = rig.step("B", undo_gate=undo_gate)

    @saga_workflow(rig.name("Killed"))
    async def workflow(saga: Saga) -> None:
        for step in (a, b):
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await undo_gate.reached()
    await invocation.kill()
    error = await invocation.error()
    assert error.message == "killed"
    await until(lambda: not rig.traffic.open[workflow.name], "the attempt is over")
    assert rig.ledger.count("undo A") == 0
