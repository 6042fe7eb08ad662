"""R18: a savepoint rolls back its own registrations only. R19: a pivot drops the earlier ones."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from restate import TerminalError

from resaga import MisuseError, Saga, saga_workflow
from tests.support import Rig


@pytest.mark.parametrize("later", [False, True])
async def test_r18_only_its_own_is_rolled_back(rig: Rig, later: bool) -> None:
    a, b, c, d = rig.steps("A", "B", "C", "D")
    caught: list[tuple[str, int]] = []

    @saga_workflow(rig.name("Savepoint"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        try:
            async with saga.savepoint():
                await b(saga, 2)
                await c(saga, 3)
                raise TerminalError("full", 409)
        except TerminalError as error:
            caught.append((error.message, error.status_code))
            await d(saga, 4)
        if later:
            raise TerminalError("later", 410)
        return "another way"

    await rig.serve(workflow)
    first = ["do A", "do B", "do C", "undo C", "undo B", "do D"]
    if later:
        assert (await rig.fail(workflow)).message == "later"
        assert rig.ledger.order() == [*first, "undo D", "undo A"]
    else:
        assert await rig.call(workflow) == "another way"
        assert rig.ledger.order() == first
    assert set(caught) == {("full", 409)}


async def test_r18_what_a_savepoint_that_succeeded_has_registered_stays(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("Kept"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        async with saga.savepoint():
            await b(saga, 2)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.undone() == ["B", "A"]


async def test_r18_savepoints_stand_in_each_other_and_in_branches(rig: Rig) -> None:
    a, b, c, d = rig.steps("A", "B", "C", "D")

    @saga_workflow(rig.name("Nested"))
    async def workflow(saga: Saga) -> list[str]:
        async def branch(step: Any) -> str:
            await step(saga, 1)
            with contextlib.suppress(TerminalError):
                async with saga.savepoint():
                    await c(saga, 1)
                    with contextlib.suppress(TerminalError):
                        async with saga.savepoint():
                            await d(saga, 1)
                            raise TerminalError("inner")
                    raise TerminalError("outer")
            return "went on"

        return list(await saga.gather(branch(a), branch(b)))

    await rig.serve(workflow)
    assert await rig.call(workflow) == ["went on", "went on"]
    assert sorted(rig.ledger.undone()) == ["C", "C", "D", "D"]
    order = rig.ledger.order()
    assert order.index("undo D") < order.index("undo C")


async def test_r18_a_gather_in_a_savepoint_is_undone_with_it(rig: Rig) -> None:
    a, b, c = rig.steps("A", "B", "C")

    @saga_workflow(rig.name("GatherInside"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        with contextlib.suppress(TerminalError):
            async with saga.savepoint():
                await saga.gather(b(saga, 1), c(saga, 2))
                raise TerminalError("no")
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert sorted(rig.ledger.undone()) == ["B", "C"]


@pytest.mark.parametrize("later", [False, True])
async def test_r18_what_a_savepoint_could_not_undo_is_not_forgotten(rig: Rig, later: bool) -> None:
    a = rig.step("A")
    b = rig.step("B", undo_fails=TerminalError("stuck", 500))
    told: list[str] = []

    @saga_workflow(rig.name("Stuck"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        try:
            async with saga.savepoint():
                await b(saga, 2)
                raise TerminalError("first", 409)
        except TerminalError as error:
            told.append(error.message)
            if not later:
                raise
        raise TerminalError("later", 410)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.metadata or {})["resaga.failed"] == '["B"]'
    assert error.code == (410 if later else 409)
    assert error.message.startswith("later" if later else "first")
    assert error.message.count("stuck") == 1
    assert "B: stuck" in told[0]
    assert rig.ledger.undone() == ["B", "A"]


async def test_r18_a_cancel_during_its_rollback_skips_nothing(rig: Rig) -> None:
    gate = rig.gate()
    a, b = rig.step("A"), rig.step("B", undo_gate=gate)
    c = rig.step("C")

    @saga_workflow(rig.name("CancelledInside"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        with contextlib.suppress(TerminalError):
            async with saga.savepoint():
                await c(saga, 1)
                await b(saga, 2)
                raise TerminalError("no", 409)
        await c(saga, 3)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    error = await invocation.error()
    assert (error.code, error.message) == (409, "cancelled")
    assert rig.ledger.undone() == ["B", "C", "A"]
    assert rig.ledger.count("do C") == 1, "the cancel sticks"


async def test_r19_a_pivot_drops_what_was_registered_before(rig: Rig) -> None:
    a, b, c = rig.steps("A", "B", "C")

    @saga_workflow(rig.name("Pivot"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        async with saga.savepoint():
            await b(saga, 2)
            saga.pivot()
            await c(saga, 3)
            raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.undone() == ["C"]


async def test_r19_a_pivot_is_refused_in_a_branch(rig: Rig) -> None:
    a = rig.step("A")
    refused: list[str] = []

    @saga_workflow(rig.name("PivotInBranch"))
    async def workflow(saga: Saga) -> None:
        async def branch() -> None:
            try:
                saga.pivot()
            except MisuseError as error:
                refused.append(str(error))

        await saga.gather(a(saga, 1), branch())
        saga.pivot()
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert "in a branch" in refused[0]
    assert rig.ledger.undone() == []
