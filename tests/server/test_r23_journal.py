"""R23: the journal is readable, and journals of format 1 can be replayed by every later version."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from restate import TerminalError

from resaga import CompensationContext, Saga, saga_module, saga_workflow
from resaga.record import ABSENT, About, Failure, Record, RecordCodec
from tests.support import Rig

FORMAT_1: dict[bytes, Record] = {
    b'{"key":"inv_1.1","output":5}': Record("inv_1.1", 5, 5, None),
    b'{"key":"inv_1.1","output":5,"data":[1]}': Record("inv_1.1", 5, [1], None),
    b'{"key":"inv_1.1","output":5,"data":null}': Record("inv_1.1", 5, None, None),
    b'{"key":"inv_1.1"}': Record("inv_1.1", None, ABSENT, None),
    b'{"key":"inv_1.1","data":[1]}': Record("inv_1.1", None, [1], None),
    b'{"key":"inv_1.1","failure":{"message":"no","code":409}}': Record(
        "inv_1.1", None, ABSENT, Failure("no", 409, None)
    ),
    b'{"key":"inv_1.1","data":[1],"failure":{"message":"no","code":409,"metadata":{"a":"b"}}}': (
        Record("inv_1.1", None, [1], Failure("no", 409, {"a": "b"}))
    ),
    b'{"key":"inv_1.1","data":[1],"about":{"undo":false,"within":[["Pay","3"]]}}': Record(
        "inv_1.1", None, [1], None, About(undo=False, within=(("Pay", "3"),))
    ),
    b'{"key":"inv_1.1","output":5,"of a later version":true}': Record("inv_1.1", 5, 5, None),
}


@pytest.mark.parametrize("raw", FORMAT_1)
def test_r23_a_record_of_format_1_means_what_it_meant(raw: bytes) -> None:
    codec = RecordCodec(int | None, list[int] | None, where="step 'S'")
    if raw == b'{"key":"inv_1.1","output":5}' or b"later" in raw:
        codec = RecordCodec(int | None, int | None, where="step 'S'")
    assert codec.decode(raw) == FORMAT_1[raw]


async def test_r23_entries_bear_the_names_of_steps(rig: Rig) -> None:
    a, d = rig.step("Reserve"), rig.step("Pay", durable=True)
    c = rig.step("Ship", fails=TerminalError("no", 409))

    @saga_workflow(rig.name("Readable"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await d(saga, 2)
        await c(saga, 3)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    runs = await invocation.runs()
    names = ["Reserve", "Pay", "Ship", "compensate:Ship", "compensate:Pay", "compensate:Reserve"]
    assert [name for name in runs if name in names] == names


async def test_r23_the_entry_of_a_step_tells_what_came_of_it(rig: Rig) -> None:
    a = rig.step("A")
    b = rig.step("B", fails=TerminalError("no", 409))

    @saga_workflow(rig.name("Entries"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    values = {entry.name: _json(entry.value) for entry in await invocation.journal() if entry.name}
    assert values["A"] == {"key": f"{invocation.id}.1", "output": 1}
    assert values["B"] == {
        "key": f"{invocation.id}.2",
        "failure": {"message": "no", "code": 409},
    }


async def test_r23_the_entries_of_durable_code_hold_its_keys(rig: Rig) -> None:
    d = rig.step("Pay", durable=True)

    @saga_workflow(rig.name("Durable"))
    async def workflow(saga: Saga) -> None:
        await d(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    assert await invocation.runs() == ["Pay", "work", "compensate:Pay", "undo work"]
    values = {entry.name: _json(entry.value) for entry in await invocation.journal() if entry.name}
    assert values["Pay"] == {"key": f"{invocation.id}.1", "about": {"durable": True}}
    assert values["compensate:Pay"] == {"key": f"{invocation.id}.1.undo"}


async def test_r23_the_entry_of_a_step_tells_what_is_unusual_about_it(rig: Rig) -> None:
    """What `resaga show` goes by: which steps are undone, and what they run inside."""
    a, b = rig.step("A"), rig.step("B", undo=False)
    c, d, e = rig.step("C"), rig.step("D"), rig.step("E")
    f = rig.step("F", strict=True, fails=TerminalError("no", 409))

    async def close(step: CompensationContext, data: int) -> None:
        rig.ledger.note("closed")

    @saga_module
    async def inner(saga: Saga) -> None:
        await c(saga, 1)
        await saga.gather(d(saga, 1))

    @saga_workflow(rig.name("Outer"))
    async def outer(saga: Saga) -> None:
        await inner(saga)

    @saga_workflow(rig.name("Unusual"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 1)
        await outer.run_as_step(saga, None)
        saga.pivot()
        saga.add_compensation("Close", close, 1)
        await e(saga, 1)
        await f(saga, 1)

    await rig.serve(workflow, outer)
    invocation = await rig.send(workflow)
    await invocation.error()
    assert rig.ledger.order()[-3:] == ["do F", "undo E", "note closed"]
    values = {entry.name: _json(entry.value) for entry in await invocation.journal() if entry.name}
    about = {name: values[name].get("about") for name in "ABCDEF"}
    within = [[outer.name, "3"], ["inner", "3"]]
    assert about == {
        "A": None,
        "B": {"undo": False},
        "C": {"within": within},
        "D": {"within": within},
        "E": {"pivot": 4, "added": [["5", "Close"]]},
        "F": {"undo": False, "pivot": 4},
    }


async def test_r23_the_entry_of_a_compensation_that_failed_for_good_says_so(rig: Rig) -> None:
    a = rig.step("A", undo_fails=TerminalError("stuck", 410))

    @saga_workflow(rig.name("Stuck"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    entries = {entry.name: entry for entry in await invocation.journal() if entry.name}
    assert "stuck" in str(entries["compensate:A"].failure)


def _json(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, (bytes, str)) and value else value
