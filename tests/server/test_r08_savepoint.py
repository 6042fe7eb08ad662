"""R8 for a savepoint's rollback: a cancel during it skips nothing, and then counts."""

from __future__ import annotations

import pytest
from restate import TerminalError

from resaga import Saga, saga_workflow
from tests.support import Rig


@pytest.mark.parametrize("cancels", [1, 2])
@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r08_a_cancel_during_a_savepoints_rollback_skips_nothing(
    rig: Rig, durable: bool, cancels: int
) -> None:
    undo_gate = rig.gate()
    a, b, d = rig.steps("A", "B", "D", durable=durable)
    c = rig.step("C", durable=durable, undo_gate=undo_gate)

    @saga_workflow(rig.name("Savepoint"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        try:
            async with saga.savepoint():
                await b(saga, 2)
                await c(saga, 3)
                raise TerminalError("another way", 418)
        except TerminalError:
            await d(saga, 4)
        return "done"

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await undo_gate.reached()
    for _ in range(cancels):
        await rig.cancel_in_flight(invocation, workflow)
    undo_gate.open()
    error = await invocation.error()
    assert (error.message, error.code, error.metadata) == ("cancelled", 409, {})
    assert rig.ledger.undone() == ["C", "B", "A"]
    assert rig.ledger.count("do D") == 0


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r08_a_cancel_inside_a_savepoint_undoes_it_first(rig: Rig, durable: bool) -> None:
    gate = rig.gate()
    a, b = rig.steps("A", "B", durable=durable)
    c = rig.step("C", durable=durable, gate=gate)

    @saga_workflow(rig.name("InSavepoint"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        async with saga.savepoint():
            await b(saga, 2)
            await c(saga, 3)
        return "done"

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    error = await invocation.error()
    assert (error.message, error.code) == ("cancelled", 409)
    assert rig.ledger.order() == ["do A", "do B", "do C", "undo C", "undo B", "undo A"]
