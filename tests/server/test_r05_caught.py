"""R5: caught errors roll nothing back, and a cancel sticks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from restate import TerminalError

from resaga import Saga, StepResponse, saga_workflow
from tests.support import Rig


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r05_a_caught_step_error_undoes_nothing(rig: Rig, durable: bool) -> None:
    a, c = rig.steps("A", "C")
    b = rig.step("B", durable=durable, returns=lambda _: StepResponse.permanent_failure("no"))

    @saga_workflow(rig.name("Caught"))
    async def workflow(saga: Saga) -> str:
        caught = "nothing"
        await a(saga, 1)
        try:
            await b(saga, 2)
        except TerminalError as error:
            caught = error.message
        await c(saga, 3)
        return caught

    await rig.serve(workflow)
    assert await rig.call(workflow) == "no"
    assert rig.ledger.order() == ["do A", "do B", "do C"]


async def test_r05_what_was_caught_is_undone_if_the_saga_fails_later(rig: Rig) -> None:
    a, c = rig.steps("A", "C")
    b = rig.step("B", fails=TerminalError("caught", 400))
    d = rig.step("D", strict=True, fails=TerminalError("last", 409))

    @saga_workflow(rig.name("Later"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        try:
            await b(saga, 2)
        except TerminalError:
            await c(saga, 3)
        await d(saga, 4)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.message, error.code) == ("last", 409)
    assert rig.ledger.order() == [
        "do A", "do B", "do C", "do D", "undo C", "undo B", "undo A",
    ]  # fmt: skip


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r05_a_cancel_sticks_and_a_normal_return_is_rolled_back(
    rig: Rig, durable: bool
) -> None:
    gate = rig.gate()
    a, c = rig.steps("A", "C")
    b = rig.step("B", durable=durable, gate=gate)
    d = rig.step("D", durable=True)
    raised: list[str] = []

    @saga_workflow(rig.name("Sticky"))
    async def workflow(saga: Saga) -> str:
        raised.clear()
        await a(saga, 1)
        try:
            await b(saga, 2)
        except TerminalError as error:
            raised.append(f"b {error.status_code}")
        try:
            await c(saga, 3)
        except TerminalError as error:
            raised.append(f"c {error.status_code}")
        try:
            await saga.ctx.sleep(timedelta(milliseconds=10))
        except TerminalError as error:
            raised.append(f"sleep {error.status_code}")
        try:
            await d(saga, 4)
        except TerminalError as error:
            raised.append(f"d {error.status_code}")
        return "as if nothing had happened"

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert raised == ["b 409", "c 409", "sleep 409", "d 409"]
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


async def test_r05_a_cancel_of_a_durable_wait_sticks(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    codes: list[int] = []

    @saga_workflow(rig.name("StickySleep"))
    async def workflow(saga: Saga) -> str:
        codes.clear()
        await a(saga, 1)
        for _ in range(3):
            try:
                await saga.ctx.sleep(timedelta(minutes=10))
            except TerminalError as error:
                codes.append(error.status_code)
        try:
            await b(saga, 2)
        except TerminalError:
            return "as if nothing had happened"
        return "went on"

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_entry("A", completed=True)
    await invocation.cancel()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert codes == [409, 409, 409]
    assert rig.ledger.order() == ["do A", "undo A"]


async def test_r05_another_error_after_a_cancel_is_what_the_caller_sees(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A", gate=gate)

    @saga_workflow(rig.name("Other"))
    async def workflow(saga: Saga) -> None:
        try:
            await a(saga, 1)
        except TerminalError as error:
            raise TerminalError("interrupted by the customer", 499) from error

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    error = await invocation.error()
    assert (error.message, error.code) == ("interrupted by the customer", 499)
    assert rig.ledger.order() == ["do A", "undo A"]
