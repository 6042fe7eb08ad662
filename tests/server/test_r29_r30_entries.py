"""R29, R30: no entry before the first step; one per plain step and one per compensation."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from restate import TerminalError

from resaga import CompensationContext, Saga, SagaObserver, SagaRequest, saga_workflow
from tests.support import Invocation, Rig


async def _commands(invocation: Invocation) -> list[str]:
    """The journal's commands; notifications are what the server adds to them."""
    rows = await invocation.server.sql(
        f"SELECT entry_type, name FROM sys_journal WHERE id = '{invocation.id}' ORDER BY index"
    )
    return [
        " ".join(filter(None, [row["entry_type"].removeprefix("Command: "), row.get("name")]))
        for row in rows
        if row["entry_type"].startswith("Command: ")
    ]


async def test_r29_a_saga_of_no_steps_adds_no_entry(rig: Rig) -> None:
    @saga_workflow(rig.name("Empty"))
    async def workflow(saga: Saga) -> str:
        return saga.id

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert await invocation.result() == invocation.id
    assert await _commands(invocation) == ["Input", "Output"]


async def test_r29_neither_services_nor_observers_nor_a_deadline_add_one_before_the_first_step(
    rig: Rig,
) -> None:
    """So that the first entry is the step's, whatever the version."""

    @asynccontextmanager
    async def scope(request: SagaRequest[int]) -> AsyncGenerator[None]:
        yield None

    a = rig.step("A")

    @saga_workflow(
        rig.name("First"),
        services_from=scope,
        observers=[SagaObserver()],
        deadline=timedelta(hours=1),
    )
    async def workflow(saga: Saga[None], steps: int) -> str:
        for number in range(steps):
            await a(saga, number)
        return saga.id

    await rig.serve(workflow)
    invocation = await rig.send(workflow, 0)
    await invocation.result()
    assert await _commands(invocation) == ["Input", "Output"]
    invocation = await rig.send(workflow, 1)
    await invocation.result()
    assert (await _commands(invocation))[:2] == ["Input", "Run A"]


async def test_r30_registering_reading_and_failing_cost_nothing(rig: Rig) -> None:
    """Observers, services, a caught error, a step without compensation, ``add_compensation``."""

    async def undo(step: CompensationContext, data: int) -> None:
        """Undoes nothing."""

    a = rig.step("A", undo=False)
    b = rig.step("B", fails=TerminalError("no", 409))

    @saga_workflow(rig.name("Cheap"), services=object(), observers=[SagaObserver()])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        saga.add_compensation("Added", undo, 1)
        with suppress(TerminalError):
            await b(saga, 2)
        raise TerminalError("the end", 418)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    assert await _commands(invocation) == [
        "Input", "Run A", "Run B", "Run compensate:B", "Run compensate:Added", "Output",
    ]  # fmt: skip


async def test_r30_a_plain_step_costs_one_entry_and_its_compensation_another(rig: Rig) -> None:
    a, b = rig.step("A"), rig.step("B", strict=True)
    c = rig.step("C", threaded=True)

    @saga_workflow(rig.name("Entries"))
    async def workflow(saga: Saga, fails: bool) -> None:
        await a(saga, 1)
        await b(saga, 2)
        await c(saga, 3)
        if fails:
            raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow, False)
    await invocation.result()
    assert await _commands(invocation) == ["Input", "Run A", "Run B", "Run C", "Output"]
    invocation = await rig.send(workflow, True)
    await invocation.error()
    assert await _commands(invocation) == [
        "Input", "Run A", "Run B", "Run C",
        "Run compensate:C", "Run compensate:B", "Run compensate:A", "Output",
    ]  # fmt: skip


async def test_r30_a_durable_step_adds_its_name_and_what_its_body_does(rig: Rig) -> None:
    d = rig.step("D", durable=True)

    @saga_workflow(rig.name("DurableEntries"))
    async def workflow(saga: Saga) -> None:
        await d(saga, 1)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.result()
    commands = await _commands(invocation)
    assert commands[:2] == ["Input", "Run D"]
    assert commands[-1] == "Output"
    assert len(commands) == 4, "the body of the rig's durable step is one run"
