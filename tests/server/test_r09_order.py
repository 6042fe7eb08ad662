"""R9: newest first, and all of them are tried."""

from __future__ import annotations

from typing import Any

import pytest
from restate import TerminalError

from resaga import CompensationContext, Saga, saga_workflow
from tests.support import Rig


@pytest.mark.parametrize("strict", [False, True], ids=["hybrid", "strict"])
@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r09_newest_first(rig: Rig, durable: bool, strict: bool) -> None:
    a, b, c = rig.steps("A", "B", "C", durable=durable, strict=strict)

    @saga_workflow(rig.name("Order"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        await c(saga, 3)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (409, "no")
    assert rig.ledger.order() == ["do A", "do B", "do C", "undo C", "undo B", "undo A"]


async def test_r09_all_kinds_together(rig: Rig) -> None:
    """Hybrid, strict, durable, repeated steps, and compensations without a step."""
    a = rig.step("A")
    b = rig.step("B", strict=True)
    c = rig.step("C", durable=True)
    d = rig.step("D", undo=False)

    async def extra(step: CompensationContext[Any, Any], data: Any) -> None:
        rig.ledger.undo(step, data)

    @saga_workflow(rig.name("Kinds"))
    async def workflow(saga: Saga) -> None:
        await a(saga, "a1")
        saga.add_compensation("X", extra, "x")
        await b(saga, "b")
        await d(saga, "d")
        await a(saga, "a2")
        await c(saga, "c")
        saga.add_compensation("Y", extra, "y")
        raise TerminalError("no")

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.undone() == ["Y", "C", "A", "B", "X", "A"]
    undone = rig.ledger.effects(kind="undo", name="A")
    assert [effect.payload["data"] for effect in undone] == ["a2", "a1"]


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r09_one_that_fails_for_good_does_not_stop_the_others(
    rig: Rig, durable: bool
) -> None:
    closed = TerminalError("closed", 410)
    a = rig.step("A")
    b = rig.step("B", durable=durable, undo_fails=closed)
    c = rig.step("C")
    d = rig.step("D", durable=durable, undo_fails=closed)

    @saga_workflow(rig.name("GoesOn"))
    async def workflow(saga: Saga) -> None:
        for step in (a, b, c, d):
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert rig.ledger.undone() == ["D", "C", "B", "A"]
    assert error.code == 409
    assert error.metadata["resaga.rollback"] == "incomplete"


async def test_r09_the_first_fails_and_the_last_fails(rig: Rig) -> None:
    closed = TerminalError("closed", 410)
    a = rig.step("A", undo_fails=closed)
    b = rig.step("B")
    c = rig.step("C", undo_fails=closed)

    @saga_workflow(rig.name("BothEnds"))
    async def workflow(saga: Saga) -> None:
        for step in (a, b, c):
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.undone() == ["C", "B", "A"]
