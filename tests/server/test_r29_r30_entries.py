"""R29, R30: no entry before the first step; one per plain step and one per compensation."""

from __future__ import annotations

from restate import TerminalError

from resaga import Saga, saga_workflow
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
