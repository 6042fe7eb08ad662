"""R1: a saga rolls back when its body ends in a terminal error, and on nothing else."""

from __future__ import annotations

from datetime import timedelta

from restate import TerminalError

from resaga import Saga, saga_workflow
from tests.support import Rig


async def test_r01_success_undoes_nothing(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("Success"))
    async def workflow(saga: Saga, n: int) -> int:
        await a(saga, n)
        doubled: int = await b(saga, 2 * n)
        return doubled

    await rig.serve(workflow)
    assert await rig.call(workflow, 4) == 8
    assert rig.ledger.order() == ["do A", "do B"]


async def test_r01_terminal_error_of_the_body_rolls_back(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("BodyFails"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (409, "no")
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


async def test_r01_terminal_error_of_a_step_rolls_back(rig: Rig) -> None:
    a = rig.step("A")
    b = rig.step("B", fails=TerminalError("declined", 402))

    @saga_workflow(rig.name("StepFails"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (402, "declined")
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


async def test_r01_ordinary_error_of_the_body_is_retried(rig: Rig) -> None:
    a, b = rig.steps("A", "B")
    raised: list[int] = []

    @saga_workflow(rig.name("BodyRetried"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        if len(raised) < 3:
            raised.append(1)
            raise ValueError("a hiccup")
        await b(saga, 2)
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert len(raised) == 3
    assert rig.ledger.order() == ["do A", "do B"]


async def test_r01_ordinary_error_of_a_step_is_retried(rig: Rig) -> None:
    a = rig.step("A")
    b = rig.step("B", fails=lambda n: ValueError("a hiccup") if n < 3 else None)
    c = rig.step("C", durable=True, fails=lambda n: ValueError("a hiccup") if n < 3 else None)

    @saga_workflow(rig.name("StepRetried"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        await b(saga, 2)
        await c(saga, 3)
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert rig.ledger.order() == ["do A", *["do B"] * 3, *["do C"] * 3]


async def test_r01_a_terminal_error_that_is_caught_undoes_nothing(rig: Rig) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("RawCaught"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)

        async def refuse() -> None:
            raise TerminalError("raw", 400)

        try:
            await saga.ctx.run_typed("raw", refuse)
        except TerminalError as error:
            await saga.ctx.sleep(timedelta(milliseconds=5))
            return error.message
        return "not raised"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "raw"
    assert rig.ledger.order() == ["do A"]


async def test_r01_an_ordinary_error_before_the_terminal_one_changes_nothing(rig: Rig) -> None:
    a, b = rig.steps("A", "B")
    raised: list[int] = []

    @saga_workflow(rig.name("FirstOrdinary"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        if not raised:
            raised.append(1)
            raise ValueError("a hiccup")
        await b(saga, 2)
        raise TerminalError("no")

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]
